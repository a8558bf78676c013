/**
 * Reads what an HTTP server gave: one config, or a JSON list of vassals. Pure; `docs/monitors.md` has
 * the schema.
 */
import { createHash } from "node:crypto";
import { namesNode } from "../node-filter.ts";
import type { RemoteEntry } from "../remote.ts";

export type ListAnswer =
  /** `problems`: whole clauses, for entries that have not even a name. */
  | {
      readonly kind: "list";
      readonly entries: readonly RemoteEntry[];
      readonly problems: readonly string[];
    }
  | { readonly kind: "config" }
  /** It was meant to be a list. `why` ends a sentence. */
  | { readonly kind: "broken"; readonly why: string };

const MAX_ID = 0xffff_fffe;

/**
 * A list is a JSON object with an array `vassals`; any other text is one config, JSON configs of
 * uWSGI (an object with `uwsgi`) among them. Where the address or the server says that it must be a
 * list, other text is an error, not a config of one strange vassal.
 */
export function readList(body: Uint8Array, node: string, mustBeList: boolean): ListAnswer {
  const document = parse(body);
  if (document === undefined || document.vassals === undefined) {
    if (!mustBeList) return { kind: "config" };
    return {
      kind: "broken",
      why: document === undefined ? "it is no JSON object" : "it has no array vassals",
    };
  }
  if (!Array.isArray(document.vassals)) return { kind: "broken", why: "its vassals is no array" };
  const entries: RemoteEntry[] = [];
  const problems: string[] = [];
  const names = new Set<string>();
  const list: readonly unknown[] = document.vassals;
  for (const [index, item] of list.entries()) {
    const entry = readEntry(item, node);
    if (entry === "elsewhere") continue;
    if (typeof entry === "string") problems.push(`entry ${index + 1} of the list ${entry}`);
    else if (names.has(entry.name))
      problems.push(`entry ${index + 1} of the list has the name of an earlier one, which counts`);
    else {
      names.add(entry.name);
      entries.push(entry);
    }
  }
  return { kind: "list", entries, problems };
}

function parse(body: Uint8Array): { readonly vassals?: unknown } | undefined {
  // Anything else than an object is no list; this spares the parsing of every ini file.
  const first = body.find((byte) => byte > 0x20);
  if (first !== 0x7b) return undefined;
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(body));
    return typeof value === "object" && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}

/** The entry; `elsewhere` if it is for other Emperors; else a clause on what is wrong with it. */
function readEntry(item: unknown, node: string): RemoteEntry | string {
  if (typeof item !== "object" || item === null) return "is no object";
  const fields: Item = item;
  const { name, config, ts, uid, gid, socket, attributes, node: filter } = fields;
  if (typeof name !== "string") return "has no name";
  if (!namesNode(filter, node)) return "elsewhere";
  const refusal = objection(fields);
  if (refusal !== undefined) return { name, version: refusal, refusal };
  const bytes = new TextEncoder().encode(typeof config === "string" ? config : "");
  const known = readAttributes(attributes);
  const version = createHash("sha256")
    .update(bytes)
    .update(JSON.stringify([ts, uid, gid, socket, known]))
    .digest("base64url");
  return {
    name,
    version,
    config: bytes,
    ...(typeof ts === "number" ? { modifiedAt: Math.floor(ts) } : {}),
    ...(typeof uid === "number" ? { uid } : {}),
    ...(typeof gid === "number" ? { gid } : {}),
    ...(typeof socket === "string" ? { socket } : {}),
    ...(known === undefined ? {} : { attributes: known }),
  };
}

interface Item {
  readonly name?: unknown;
  readonly config?: unknown;
  readonly ts?: unknown;
  readonly uid?: unknown;
  readonly gid?: unknown;
  readonly socket?: unknown;
  readonly attributes?: unknown;
  readonly node?: unknown;
}

/** What is wrong with a value, as the rest of a sentence. null is as good as left out. */
function objection({ config, ts, uid, gid, socket, attributes }: Item): string | undefined {
  if (typeof config !== "string") return "its config is no text";
  if (isGiven(ts) && (typeof ts !== "number" || !Number.isFinite(ts) || ts < 0))
    return "its ts is no number of seconds";
  for (const [key, id] of [
    ["uid", uid],
    ["gid", gid],
  ] as const)
    if (isGiven(id) && !(typeof id === "number" && Number.isInteger(id) && id >= 0 && id <= MAX_ID))
      return `its ${key} is no number from 0 to ${MAX_ID}`;
  if (isGiven(socket) && typeof socket !== "string") return "its socket is no text";
  if (isGiven(attributes) && readAttributes(attributes) === undefined)
    return "its attributes are no object of texts";
  return undefined;
}

function isGiven(value: unknown): boolean {
  return value !== undefined && value !== null;
}

/** Each value a text or a list of texts. */
function readAttributes(value: unknown): Record<string, readonly string[]> | undefined {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
  const result: Record<string, readonly string[]> = {};
  for (const [name, texts] of Object.entries(value)) {
    const list: unknown[] = Array.isArray(texts) ? texts : [texts];
    if (!list.every((text) => typeof text === "string")) return undefined;
    result[name] = list;
  }
  return result;
}
