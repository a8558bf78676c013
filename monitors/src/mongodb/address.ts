/**
 * The text after `mongodb://` and `mongodb2://`, as uWSGI documents both. Only reads text.
 */
import { MonitorError } from "../errors.ts";
import { maskAddress } from "../secrets.ts";
import { parseRelaxedJson, type JsonValue } from "./relaxed-json.ts";

export type JsonObject = { readonly [key: string]: JsonValue };

export interface MongoAddress {
  /** `HOST:PORT[,HOST:PORT]`, with `user:password@` and `/?options` if they were written. */
  readonly servers: string;
  readonly database: string;
  readonly collection: string;
  readonly filter: JsonObject;
  readonly login:
    | { readonly username: string; readonly password: string; readonly source: string }
    | undefined;
  readonly replicaSet: string | undefined;
  /** Attributes of documents that do not have them. */
  readonly defaults: JsonObject;
}

const DEFAULT_SERVER = "127.0.0.1:27017";
/** Database `uwsgi`, collection `emperor.vassals`. */
const DEFAULT_COLLECTION = "uwsgi.emperor.vassals";

function wrong(shown: string, what: string): MonitorError {
  const masked = maskAddress(shown);
  return new MonitorError(
    "invalid-address",
    masked,
    `monitor address ${JSON.stringify(masked)} ${what}`,
  );
}

/**
 * `[ADDRESS[,COLLECTION[,JSON]]]`. A comma inside of JSON is JSON's.
 * @throws MonitorError `invalid-address`
 */
export function readMongoAddress(text: string): MongoAddress {
  const shown = `mongodb://${text}`;
  const [servers = "", collection = "", ...json] = text.split(",");
  return {
    servers: servers.trim() || DEFAULT_SERVER,
    ...readCollection(collection.trim() || DEFAULT_COLLECTION, shown),
    filter: readObject(json.join(","), "filter", shown),
    login: undefined,
    replicaSet: undefined,
    defaults: {},
  };
}

/** Other names of a key. */
const ALIASES: Readonly<Record<string, string>> = {
  address: "addr",
  server: "addr",
  coll: "collection",
  db: "database",
  user: "username",
  pass: "password",
};

const KEYS = [
  "addr",
  "collection",
  "json",
  "database",
  "username",
  "password",
  "replica",
  "defaults",
];

/**
 * `KEY=VALUE,KEY=VALUE`; a backslash takes the meaning from a comma. uWSGI ignores unknown keys; a
 * slip of the pen in `json` would then start every vassal there is, so here it is an error.
 * @throws MonitorError `invalid-address`
 */
export function readMongo2Address(text: string): MongoAddress {
  const shown = `mongodb2://${text}`;
  const pairs = new Map<string, string>();
  for (const part of text.match(/(?:[^,\\]|\\[^])+/g) ?? []) {
    const equals = part.indexOf("=");
    const written = (equals < 0 ? part : part.slice(0, equals)).trim();
    const key = ALIASES[written] ?? written;
    if (key === "predigest")
      throw wrong(shown, "has predigest, a login that no server has known since MongoDB 4.0");
    if (equals < 0 || !KEYS.includes(key))
      throw wrong(shown, `has ${JSON.stringify(written)}, which is none of ${KEYS.join(", ")}`);
    pairs.set(key, part.slice(equals + 1).replace(/\\,/g, ","));
  }
  const username = pairs.get("username");
  const password = pairs.get("password");
  const source = pairs.get("database");
  if ((username === undefined) !== (password === undefined))
    throw wrong(shown, "needs username and password together");
  return {
    servers: pairs.get("addr") || DEFAULT_SERVER,
    ...readCollection(pairs.get("collection") || DEFAULT_COLLECTION, shown),
    filter: readObject(pairs.get("json") ?? "", "filter", shown),
    login:
      username === undefined || password === undefined
        ? undefined
        : { username, password, source: source ?? "admin" },
    replicaSet: pairs.get("replica"),
    defaults: readObject(pairs.get("defaults") ?? "", "defaults", shown),
  };
}

function readCollection(text: string, shown: string): { database: string; collection: string } {
  const dot = text.indexOf(".");
  if (dot <= 0 || dot === text.length - 1)
    throw wrong(shown, `has the collection ${JSON.stringify(text)}; needed is DATABASE.COLLECTION`);
  return { database: text.slice(0, dot), collection: text.slice(dot + 1) };
}

function readObject(text: string, what: string, shown: string): JsonObject {
  if (text.trim() === "") return {};
  let value: JsonValue;
  try {
    value = parseRelaxedJson(text);
  } catch (error) {
    throw wrong(shown, `has a ${what} that ${error instanceof Error ? error.message : "is wrong"}`);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw wrong(shown, `has a ${what} that is no document: {key: value}`);
  return value as JsonObject;
}

/** The filter with this Emperor's name for `${node}` in its texts. */
export function withNodeName(value: JsonValue, node: string): JsonValue {
  if (typeof value === "string") return value.replaceAll("${node}", node);
  if (Array.isArray(value)) return value.map((one: JsonValue) => withNodeName(one, node));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, one]) => [key, withNodeName(one, node)]),
  );
}
