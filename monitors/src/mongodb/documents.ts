/**
 * What a document of the collection means. Pure: it gets documents and gives entries.
 */
import { readId } from "../ids.ts";
import type { RemoteEntry } from "../remote.ts";
import type { JsonObject } from "./address.ts";

/** A document as the driver gives it. */
export type VassalDocument = Readonly<Record<string, unknown>>;

/** The fields that are looked at each time; the config is fetched of changed documents only. */
export function projectionOf(attributes: readonly string[]): Record<string, 0 | 1> {
  const fields = ["name", "ts", "uid", "gid", "socket", ...attributes];
  return { _id: 0, ...Object.fromEntries(fields.map((field) => [field, 1] as const)) };
}

/**
 * Seconds of `ts`: of a Date, or of a number of seconds. uWSGI takes a Date's milliseconds for
 * seconds and everything else for 0.
 */
export function secondsOf(ts: unknown): number {
  if (ts instanceof Date) return Math.floor(ts.getTime() / 1000) || 0;
  const number = Number(ts ?? 0);
  return Number.isFinite(number) ? Math.floor(number) : 0;
}

/** Changes whenever something of it changes that matters to the vassal, but the config. */
export function versionOf(document: VassalDocument, attributes: readonly string[]): string {
  const { ts, uid, gid, socket } = document;
  return JSON.stringify(
    [ts, uid, gid, socket, ...attributes.map((name) => document[name])],
    (_key, value: unknown) => (typeof value === "bigint" ? String(value) : value),
  );
}

/** Attributes are texts or lists of texts; what is missing comes from `defaults`. */
export function attributesOf(
  document: VassalDocument,
  names: readonly string[],
  defaults: JsonObject,
): Record<string, readonly string[]> {
  const attributes: Record<string, readonly string[]> = {};
  for (const name of names) {
    const value = Object.hasOwn(document, name) ? document[name] : defaults[name];
    const texts = (Array.isArray(value) ? (value as readonly unknown[]) : [value]).filter(
      (one): one is string => typeof one === "string",
    );
    if (texts.length > 0) attributes[name] = texts;
  }
  return attributes;
}

/** An empty or missing config means a file of that name, as in uWSGI. */
export function entryOf(
  document: VassalDocument,
  attributeNames: readonly string[],
  defaults: JsonObject,
): RemoteEntry {
  const { name, config, ts, uid, gid, socket } = document;
  const readUid = idOf(uid);
  const readGid = idOf(gid);
  const isConfig = config === undefined || config === null || typeof config === "string";
  return {
    name: String(name),
    version: versionOf(document, attributeNames),
    modifiedAt: secondsOf(ts),
    attributes: attributesOf(document, attributeNames, defaults),
    ...(isConfig ? {} : { refusal: "its config is no text" }),
    ...(typeof config === "string" && config !== "" ? { config: Buffer.from(config) } : {}),
    ...(readUid === undefined ? {} : { uid: readUid }),
    ...(readGid === undefined ? {} : { gid: readGid }),
    ...(typeof socket === "string" && socket !== "" ? { socket } : {}),
  };
}

/** Numbers of any of BSON's kinds: plain, Int32, Double, Long. */
function idOf(value: unknown): number | undefined {
  if (typeof value === "object" && value !== null && !(value instanceof Date))
    return readId(Number(value));
  return readId(value);
}
