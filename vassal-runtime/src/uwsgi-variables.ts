/**
 * What the CGI variables of a uwsgi request mean in HTTP: method, target, headers, length of the body,
 * and who the client is. Pure; refuses what could not have come over HTTP either, because an app trusts
 * Node never to give it a header with a line break in it.
 */
import { Buffer } from "node:buffer";
import type { IncomingHttpHeaders } from "node:http";
import { visitDictionary } from "@emperor/protocol";

/** The head of a request, ready to be given to an `IncomingMessage`. */
export interface UwsgiHead {
  readonly method: string;
  /** Target as the client sent it, `/path?query`. */
  readonly url: string;
  /** Names in lower case; the variables have lost the client's spelling. */
  readonly rawHeaders: string[];
  readonly headers: IncomingHttpHeaders;
  readonly headersDistinct: Record<string, string[]>;
  /** Bytes of the body; 0 without one. */
  readonly contentLength: number;
  readonly upgrade: boolean;
  /** The client's connection to the proxy was encrypted. */
  readonly secure: boolean;
  readonly remoteAddress: string | undefined;
  readonly remotePort: number | undefined;
  /** All variables that are no header, among them what `uwsgi_param` added. */
  readonly variables: Readonly<Record<string, string>>;
}

export type UwsgiHeadResult =
  | { readonly ok: true; readonly head: UwsgiHead }
  | { readonly ok: false; readonly reason: string };

const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
/** Control characters, with tab allowed in values as in HTTP. */
// oxlint-disable-next-line no-control-regex -- these are what is looked for
const BAD_IN_VALUE = /[\0-\x08\x0a-\x1f\x7f]/;
// oxlint-disable-next-line no-control-regex -- and here
const BAD_IN_URL = /[\0-\x20\x7f]/;
const HTTP_PREFIX = "HTTP_";
/**
 * Headers that belong to the connection between client and proxy, or whose meaning the proxy has taken
 * over: the length of the body is CONTENT_LENGTH alone, and it comes without any coding.
 */
const NOT_PASSED = new Set(["content-length", "transfer-encoding", "expect", "trailer", "te"]);

/** Reads the body of a request packet. */
export function readVariables(bytes: Uint8Array): UwsgiHeadResult {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const variables: Record<string, string> = Object.create(null) as Record<string, string>;
  const fields: [string, string][] = [];
  let bad: string | undefined;
  const whole = visitDictionary(bytes, (keyStart, keyEnd, valueStart, valueEnd) => {
    const key = buffer.toString("latin1", keyStart, keyEnd);
    const value = buffer.toString("latin1", valueStart, valueEnd);
    if (!key.startsWith(HTTP_PREFIX)) {
      variables[key] = value;
      return;
    }
    const name = key.slice(HTTP_PREFIX.length).toLowerCase().replaceAll("_", "-");
    if (!TOKEN.test(name) || BAD_IN_VALUE.test(value)) bad ??= key;
    else if (!NOT_PASSED.has(name)) fields.push([name, value]);
  });
  if (!whole) return { ok: false, reason: "a length in it passes its end, or a name is empty" };
  if (bad !== undefined)
    return { ok: false, reason: `${JSON.stringify(bad)} cannot be a header of HTTP` };
  return makeHead(variables, fields);
}

function makeHead(
  variables: Readonly<Record<string, string>>,
  fields: [string, string][],
): UwsgiHeadResult {
  const method = variables["REQUEST_METHOD"] ?? "";
  if (!TOKEN.test(method) || method === "CONNECT")
    return { ok: false, reason: `REQUEST_METHOD ${JSON.stringify(method)} cannot be served` };
  const url = targetOf(variables);
  if (url === "" || BAD_IN_URL.test(url))
    return { ok: false, reason: `REQUEST_URI ${JSON.stringify(url)} is no target of a request` };
  const lengthText = variables["CONTENT_LENGTH"] ?? "";
  if (!/^\d{0,15}$/.test(lengthText))
    return { ok: false, reason: `CONTENT_LENGTH ${JSON.stringify(lengthText)} is no length` };
  const type = variables["CONTENT_TYPE"] ?? "";
  if (BAD_IN_VALUE.test(type)) return { ok: false, reason: "CONTENT_TYPE cannot be a header" };

  const has = (name: string): boolean => fields.some(([field]) => field === name);
  if (type !== "") fields = fields.filter(([name]) => name !== "content-type");
  if (type !== "") fields.push(["content-type", type]);
  if (lengthText !== "") fields.push(["content-length", lengthText]);
  if (!has("host")) {
    const host = hostOf(variables);
    if (host !== undefined) fields.unshift(["host", host]);
  }
  const { REMOTE_ADDR: address = "", REMOTE_PORT: port = "", HTTPS: https = "" } = variables;
  const headers = joinHeaders(fields);
  return {
    ok: true,
    head: {
      method,
      url,
      rawHeaders: fields.flat(),
      ...headers,
      contentLength: Number(lengthText),
      upgrade:
        headers.headers.upgrade !== undefined &&
        /(?:^|,)\s*upgrade\s*(?:,|$)/i.test(headers.headers.connection ?? ""),
      secure: /^(?:on|1)$/i.test(https) || variables["REQUEST_SCHEME"] === "https",
      remoteAddress: address === "" ? undefined : address,
      remotePort: /^\d{1,5}$/.test(port) ? Number(port) : undefined,
      variables,
    },
  };
}

function targetOf(variables: Readonly<Record<string, string>>): string {
  const { REQUEST_URI: uri = "", PATH_INFO: path = "", QUERY_STRING: query = "" } = variables;
  if (uri !== "") return uri;
  return query === "" ? path : `${path}?${query}`;
}

/** A server without a Host header would be unusual over HTTP/1.1, so the proxy's own name stands in. */
function hostOf(variables: Readonly<Record<string, string>>): string | undefined {
  const { SERVER_NAME: name = "", SERVER_PORT: port = "" } = variables;
  if (!/^[\w.:[\]-]+$/.test(name)) return undefined;
  return /^\d{1,5}$/.test(port) && port !== "80" && port !== "443" ? `${name}:${port}` : name;
}

/** Headers of which Node keeps the first one only. */
const SINGLE = new Set(
  (
    "age authorization content-length content-type etag expires from host if-modified-since " +
    "if-unmodified-since last-modified location max-forwards proxy-authorization referer " +
    "retry-after server user-agent"
  ).split(" "),
);

/** Repeated headers come together as Node's HTTP server does it. */
function joinHeaders(
  fields: readonly (readonly [string, string])[],
): Pick<UwsgiHead, "headers" | "headersDistinct"> {
  const headers: IncomingHttpHeaders = {};
  const headersDistinct: Record<string, string[]> = Object.create(null) as Record<string, string[]>;
  for (const [name, value] of fields) {
    (headersDistinct[name] ??= []).push(value);
    const before = headers[name];
    if (name === "set-cookie") headers["set-cookie"] = [...(headers["set-cookie"] ?? []), value];
    else if (typeof before !== "string") headers[name] = value;
    else if (!SINGLE.has(name))
      headers[name] = `${before}${name === "cookie" ? "; " : ", "}${value}`;
  }
  return { headers, headersDistinct };
}
