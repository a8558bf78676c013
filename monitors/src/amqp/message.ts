/**
 * What an AMQP message says: a file, a URL, a config or a removal, and for which Emperor. Pure; knows
 * no broker, no file and no vassal.
 */
import { quoteName } from "../names.ts";
import { namesNode } from "../node-filter.ts";

export type AmqpCommand =
  /** `routing key` and body: the config of the vassal of that name. */
  | {
      readonly kind: "config";
      readonly name: string;
      readonly config: Uint8Array;
      readonly uid?: number;
      readonly gid?: number;
      readonly socket?: string;
    }
  /** No routing key, the body is the path of a config. */
  | { readonly kind: "file"; readonly path: string }
  /** No routing key, the body is the URL of a config. */
  | { readonly kind: "url"; readonly url: string }
  | { readonly kind: "remove"; readonly name: string }
  /** `why` is a whole clause. */
  | { readonly kind: "malformed"; readonly why: string };

export interface AmqpDelivery {
  readonly routingKey: string;
  readonly body: Uint8Array;
  readonly headers: Readonly<Record<string, unknown>>;
}

/** Longest path or URL; also the longest name of a vassal. */
const MAX_NAME_BYTES = 254;

const MAX_ID = 0xffff_fffe;

/**
 * The three kinds of messages that uWSGI documents, with the removal by an empty body. The headers
 * `uid`, `gid` and `socket` are ours: without them a vassal of a broker can neither run in Tyrant mode
 * nor on demand. So is the header `node`, a name or a list of names: a message that names other
 * Emperors than this one (`emperor-node`) takes the vassal away here, so that one message moves it
 * from one host to another.
 */
export function readAmqpDelivery(delivery: AmqpDelivery, node: string): AmqpCommand {
  const { routingKey, body, headers } = delivery;
  const isElsewhere = !namesNode(headers["node"], node);
  if (routingKey !== "") {
    if (body.length === 0 || isElsewhere) return { kind: "remove", name: routingKey };
    return readConfig(routingKey, body, headers);
  }
  if (body.length === 0)
    return malformed("it has neither a routing key nor a body, so it names no vassal");
  if (body.length > MAX_NAME_BYTES)
    return malformed(
      `without a routing key its body is a path or a URL, and ${body.length} bytes are too long for that (at most ${MAX_NAME_BYTES})`,
    );
  const text = decode(body);
  if (text === undefined) return malformed("its body is a path or a URL, and no valid UTF-8");
  if (isElsewhere) return { kind: "remove", name: text };
  if (!/^https?:\/\//i.test(text)) return { kind: "file", path: text };
  return URL.canParse(text)
    ? { kind: "url", url: text }
    : malformed(`its body ${quoteName(text)} is no valid URL`);
}

function readConfig(name: string, body: Uint8Array, headers: AmqpDelivery["headers"]): AmqpCommand {
  const ids: { uid?: number; gid?: number } = {};
  for (const key of ["uid", "gid"] as const) {
    const value = headers[key];
    if (value === undefined) continue;
    const id = typeof value === "string" && /^\d{1,10}$/.test(value) ? Number(value) : value;
    if (typeof id !== "number" || !Number.isInteger(id) || id < 0 || id > MAX_ID)
      return malformed(`its header ${key} is no number from 0 to ${MAX_ID}`);
    ids[key] = id;
  }
  const socket = headers["socket"];
  if (socket !== undefined && typeof socket !== "string")
    return malformed("its header socket is no text");
  return {
    kind: "config",
    name,
    // Copied: the body is a part of what was read from the network at once.
    config: new Uint8Array(body),
    ...ids,
    ...(socket === undefined || socket === "" ? {} : { socket }),
  };
}

const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function decode(bytes: Uint8Array): string | undefined {
  try {
    return UTF8.decode(bytes);
  } catch {
    return undefined;
  }
}

function malformed(why: string): AmqpCommand {
  return { kind: "malformed", why };
}
