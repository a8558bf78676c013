/**
 * The text of one request in the log: `log-format` made into a function, and uWSGI's own form. What a
 * client sends is escaped, so that nobody forges a second line or the end of a quoted field. Pure.
 */
import type { IncomingHttpHeaders } from "node:http";
import { strftime } from "./strftime.ts";

/** What is known of a request when its answer is complete, or was cut. */
export interface ServedRequest {
  readonly request: {
    readonly method?: string | undefined;
    readonly url?: string | undefined;
    readonly httpVersion: string;
    readonly headers: IncomingHttpHeaders;
    readonly rawHeaders: readonly string[];
    /** CGI variables of the uwsgi protocol. */
    readonly uwsgi?: Readonly<Record<string, string>>;
  };
  readonly address: string;
  readonly status: number;
  /** Text of the answer's head; empty when there is none. */
  readonly head: () => string;
  /** Head and body. */
  readonly sentBytes: number;
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
  readonly tookUs: number;
  readonly worker: number;
  readonly pid: number;
  /** Of this process, this one included. */
  readonly requests: number;
  /** The connection ended before the answer was complete. */
  readonly cut: boolean;
}

export interface LineOptions {
  readonly micros?: boolean;
  readonly forwardedFor?: boolean;
  /** The format is one of strftime as well. */
  readonly strftime?: boolean;
  /** `log-date`, for %(ftime). */
  readonly date?: string | undefined;
}

type Part = (served: ServedRequest, options: LineOptions) => string | number;

const CTIME = "%a %b %e %H:%M:%S %Y";
const APACHE = "%d/%b/%Y:%H:%M:%S %z";
const NONE = "-";

/** Longer ones are cut: so a line fits into one write, and no client fills the disk with one request. */
const MOST_FIELD_LENGTH = 2048;

/** A busy worker formats the same second again and again. */
const formatted = new Map<string, { readonly second: number; readonly text: string }>();

function timeText(format: string, atMs: number): string {
  const second = Math.floor(atMs / 1000);
  const known = formatted.get(format);
  if (known?.second === second) return known.text;
  const text = strftime(format, new Date(second * 1000));
  formatted.set(format, { second, text });
  return text;
}

// oxlint-disable-next-line no-control-regex -- exactly these are to be escaped
const UNSAFE = /[\u0000-\u001f"\\\u007f-\u009f\u2028\u2029]/;

/** Text of a client. Escapes are JSON's, so that a format of JSON stays one. */
function clean(text: string | undefined): string {
  if (text === undefined || text === "") return NONE;
  const short = text.length > MOST_FIELD_LENGTH ? `${text.slice(0, MOST_FIELD_LENGTH)}...` : text;
  if (!UNSAFE.test(short)) return short;
  return JSON.stringify(short)
    .slice(1, -1)
    .replaceAll(
      /[\u007f-\u009f\u2028\u2029]/g,
      (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
    );
}

function header({ request }: ServedRequest, name: string): string {
  const value = request.headers[name];
  return clean(Array.isArray(value) ? value.join(", ") : value);
}

function addressOf(served: ServedRequest, { forwardedFor = false }: LineOptions): string {
  if (forwardedFor) {
    const first = String(served.request.headers["x-forwarded-for"] ?? "")
      .split(",")[0]
      ?.trim();
    if (first !== undefined && first !== "") return clean(first);
  }
  return clean(served.address);
}

/** Who the proxy says it is, or HTTP's basic authentication. */
function userOf({ request }: ServedRequest): string {
  const told = request.uwsgi?.["REMOTE_USER"];
  if (told !== undefined && told !== "") return clean(told);
  if (request.headers.authorization === undefined) return NONE;
  const [, encoded] = /^basic +([\w+/=-]+)$/i.exec(request.headers.authorization) ?? [];
  if (encoded === undefined) return NONE;
  return clean(Buffer.from(encoded, "base64").toString("latin1").split(":")[0]);
}

function bodyBytes(served: ServedRequest): number {
  return Math.max(0, served.sentBytes - served.head().length);
}

function headerCount(served: ServedRequest): number {
  const head = served.head();
  let lines = 0;
  for (let at = head.indexOf("\r\n"); at >= 0; at = head.indexOf("\r\n", at + 2)) lines += 1;
  return Math.max(0, lines - 2); // the status and the end
}

function variableCount({ request }: ServedRequest): number {
  const variables = request.uwsgi === undefined ? 0 : Object.keys(request.uwsgi).length;
  return variables + request.rawHeaders.length / 2;
}

function variableBytes({ request }: ServedRequest): number {
  let bytes = 0;
  for (const text of request.rawHeaders) bytes += text.length + 2;
  if (request.uwsgi === undefined) return bytes;
  for (const [name, value] of Object.entries(request.uwsgi))
    bytes += name.length + value.length + 4;
  return bytes;
}

const zero: Part = () => 0;

/** Everything that has a meaning here, and what uWSGI says where it has none. */
const VARIABLES: Readonly<Record<string, Part>> = {
  uri: ({ request }) => clean(request.url),
  method: ({ request }) => clean(request.method),
  proto: ({ request }) => `HTTP/${request.httpVersion}`,
  status: ({ status }) => status,
  addr: addressOf,
  user: userOf,
  host: (served) => header(served, "host"),
  uagent: (served) => header(served, "user-agent"),
  referer: (served) => header(served, "referer"),
  micros: ({ tookUs }) => tookUs,
  msecs: ({ tookUs }) => Math.floor(tookUs / 1000),
  secs: ({ tookUs }) => (tookUs / 1e6).toFixed(6),
  time: ({ startedAt }) => Math.floor(startedAt / 1000),
  tmsecs: ({ startedAt }) => Math.floor(startedAt),
  tmicros: ({ startedAt }) => Math.floor(startedAt * 1000),
  ctime: ({ startedAt }) => timeText(CTIME, startedAt),
  ltime: ({ startedAt }) => timeText(APACHE, startedAt),
  ftime: ({ startedAt }, { date }) => timeText(date ?? APACHE, startedAt),
  epoch: ({ startedAt, tookUs }) => Math.floor((startedAt + tookUs / 1000) / 1000),
  size: ({ sentBytes }) => sentBytes,
  hsize: (served) => served.head().length,
  rsize: bodyBytes,
  headers: headerCount,
  cl: ({ request }) => request.headers["content-length"] ?? 0,
  pktsize: variableBytes,
  vars: variableCount,
  pid: ({ pid }) => pid,
  wid: ({ worker }) => worker,
  rss: () => process.memoryUsage.rss(),
  rssM: () => Math.floor(process.memoryUsage.rss() / 1024 / 1024),
  ioerr: ({ cut }) => (cut ? 1 : 0),
  werr: ({ cut }) => (cut ? 1 : 0),
  rerr: zero,
  switches: () => 1,
  core: zero,
  modifier1: zero,
  modifier2: zero,
  vsz: zero,
  vszM: zero,
};

/** The value of a CGI variable, as `HTTP_X_REQUEST_ID`: of the proxy, or made from the request's headers. */
function variable(name: string): Part {
  const headerName = name.startsWith("HTTP_")
    ? name.slice(5).toLowerCase().replaceAll("_", "-")
    : { CONTENT_TYPE: "content-type", CONTENT_LENGTH: "content-length" }[name];
  const direct: Readonly<Record<string, string>> = {
    REQUEST_METHOD: "method",
    REQUEST_URI: "uri",
    SERVER_PROTOCOL: "proto",
    REMOTE_ADDR: "addr",
    REMOTE_USER: "user",
  };
  const same = VARIABLES[direct[name] ?? ""];
  return (served, options) => {
    const told = served.request.uwsgi?.[name];
    if (told !== undefined && headerName === undefined) return clean(told);
    if (headerName !== undefined) return header(served, headerName);
    if (name === "QUERY_STRING") return clean(served.request.url?.split("?")[1]);
    if (name === "PATH_INFO") return clean(served.request.url?.split("?")[0]);
    return same?.(served, options) ?? NONE;
  };
}

export interface CompiledFormat {
  /** The line without its end. */
  readonly render: Part;
  /** Names that mean nothing here; they give `-`, as in uWSGI. */
  readonly unknown: readonly string[];
}

/** Makes a format into a function. `%%` is a percent sign; what is no variable stays. */
export function compileLogFormat(format: string): CompiledFormat {
  const unknown: string[] = [];
  const parts: (string | Part)[] = [];
  let end = 0;
  const add = (text: string): void => {
    if (text !== "") parts.push(text);
  };
  for (const match of format.matchAll(/%%|%\(([^)]+)\)/g)) {
    add(format.slice(end, match.index));
    end = match.index + match[0].length;
    const name = match[1];
    if (name === undefined) add("%");
    else if (name.startsWith("var.")) parts.push(variable(name.slice(4)));
    else {
      const part = Object.hasOwn(VARIABLES, name) ? VARIABLES[name] : undefined;
      if (part === undefined) unknown.push(name);
      parts.push(part ?? NONE);
    }
  }
  add(format.slice(end));
  return {
    unknown,
    render: (served, options) => {
      let line = "";
      for (const part of parts) line += typeof part === "string" ? part : part(served, options);
      return options.strftime === true ? strftime(line, new Date(served.startedAt)) : line;
    },
  };
}

/** uWSGI's own form. */
export const usualLine: Part = (served, options) => {
  const { request, status, startedAt, tookUs, pid, requests } = served;
  const user = userOf(served);
  const head = served.head();
  const time = options.micros === true ? `${tookUs} micros` : `${Math.floor(tookUs / 1000)} msecs`;
  return `[pid: ${pid}|app: 0|req: ${requests}/${requests}] ${addressOf(served, options)} (${user === NONE ? "" : user}) {${variableCount(served)} vars in ${variableBytes(served)} bytes} [${timeText(CTIME, startedAt)}] ${clean(request.method)} ${clean(request.url)} => generated ${Math.max(0, served.sentBytes - head.length)} bytes in ${time} (HTTP/${request.httpVersion} ${status}) ${headerCount(served)} headers in ${head.length} bytes (1 switches on core 0)`;
};
