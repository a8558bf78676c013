/**
 * The text after `pg://`: a connection string as libpq reads it, `;`, and a query. Only reads text;
 * what the environment and files add is `connection-facts.ts`.
 */
import { MonitorError } from "../errors.ts";
import { maskAddress } from "../secrets.ts";

/**
 * Used when the address has no query. uWSGI's rounds `ts` to whole seconds, so that it misses the second
 * change within one.
 */
export const DEFAULT_QUERY = "SELECT name,config,ts FROM vassals";

export interface PgAddress {
  /** Keywords of libpq (`host`, `dbname`, `sslmode` ...) and their values. */
  readonly conninfo: Readonly<Record<string, string>>;
  readonly query: string;
}

/** Keywords of libpq that mean something here. */
const KNOWN = new Set(
  "host hostaddr port dbname user password passfile connect_timeout client_encoding options application_name fallback_application_name keepalives keepalives_idle sslmode sslrootcert sslcert sslkey sslnegotiation target_session_attrs".split(
    " ",
  ),
);

/** Keywords of libpq that change who is talked to or how far it is trusted: not to be ignored. */
const REFUSED = new Set(
  "service sslcrl sslcrldir sslpassword sslcertmode requirepeer require_auth channel_binding krbsrvname gsslib gssencmode gssdelegation replication ssl_min_protocol_version ssl_max_protocol_version load_balance_hosts".split(
    " ",
  ),
);

/** Keywords that may be left aside. */
const IGNORED = new Set(
  "keepalives_interval keepalives_count tcp_user_timeout sslcompression sslsni".split(" "),
);

/**
 * Reads `CONNINFO[;QUERY]`. The query begins after the first `;` that is not inside of quotes; uWSGI
 * knows no quotes there, so a password with a `;` was impossible.
 * @throws MonitorError `invalid-address`; its message holds no password
 */
export function readPgAddress(text: string): PgAddress {
  const isUrl = /^postgres(?:ql)?:\/\//.test(text);
  const end = isUrl ? text.indexOf(";") : endOfConninfo(text);
  const head = end < 0 ? text : text.slice(0, end);
  const query = end < 0 ? "" : text.slice(end + 1).trim();
  const conninfo = isUrl ? readUrl(head) : readPairs(head);
  for (const key of Object.keys(conninfo)) {
    if (KNOWN.has(key) || IGNORED.has(key)) continue;
    const what = REFUSED.has(key)
      ? `has the connection option "${key}", which this version does not follow`
      : `has the unknown connection option "${key}"`;
    throw wrong(text, what);
  }
  return { conninfo, query: query.replace(/[\s;]+$/, "") || DEFAULT_QUERY };
}

function wrong(text: string, what: string): MonitorError {
  const shown = maskAddress(`pg://${text}`);
  return new MonitorError(
    "invalid-address",
    shown,
    `monitor address ${JSON.stringify(shown)} ${what}`,
  );
}

const PAIR =
  /\s*([A-Za-z_]\w*)\s*=\s*(?:'((?:[^'\\]|\\[^])*)'|((?:[^\s'\\;]|\\[^])(?:[^\s\\;]|\\[^])*)?)/y;

/** Index of the `;` that ends the connection string, or -1. */
function endOfConninfo(text: string): number {
  let at = 0;
  for (;;) {
    PAIR.lastIndex = at;
    if (!PAIR.test(text)) break;
    at = PAIR.lastIndex;
  }
  // What is no pair is an error that `readPairs` explains.
  return text.indexOf(";", at);
}

function readPairs(text: string): Record<string, string> {
  const pairs: Record<string, string> = {};
  let at = 0;
  while (at < text.length && /\S/.test(text.slice(at))) {
    PAIR.lastIndex = at;
    const match = PAIR.exec(text);
    if (match?.[1] === undefined)
      throw wrong(text, `is no list of keyword=value after ${at} characters (quotes closed?)`);
    at = PAIR.lastIndex;
    if (at < text.length && !/\s/.test(text.charAt(at)))
      throw wrong(text, `has something behind the value of ${match[1]} (quotes closed?)`);
    pairs[match[1]] = (match[2] ?? match[3] ?? "").replace(/\\([^])/g, "$1");
  }
  return pairs;
}

const URL_PARTS =
  /^postgres(?:ql)?:\/\/(?:([^:@/?]*)(?::([^/?]*))?@)?([^/?]*)(?:\/([^?]*))?(?:\?(.*))?$/s;

function readUrl(text: string): Record<string, string> {
  const match = URL_PARTS.exec(text);
  if (match === null) throw wrong(text, "is no URL of PostgreSQL");
  const [, user, password, authority = "", dbname, parameters = ""] = match;
  const decode = (part: string): string => {
    try {
      return decodeURIComponent(part);
    } catch {
      throw wrong(text, "has a % that is not followed by two hexadecimal digits");
    }
  };
  const hosts: string[] = [];
  const ports: string[] = [];
  for (const place of authority.split(",")) {
    const [, bracketed, plain, port = ""] =
      /^(?:\[([^\]]*)\]|([^:]*))(?::(\d*))?$/.exec(place) ?? [];
    if (bracketed === undefined && plain === undefined)
      throw wrong(text, "has a host that cannot be read");
    hosts.push(decode(bracketed ?? plain ?? ""));
    ports.push(port);
  }
  const pairs: Record<string, string> = {};
  if (user !== undefined && user !== "") pairs["user"] = decode(user);
  if (password !== undefined && password !== "") pairs["password"] = decode(password);
  if (hosts.some((host) => host !== "")) pairs["host"] = hosts.join(",");
  if (ports.some((port) => port !== "")) pairs["port"] = ports.join(",");
  if (dbname !== undefined && dbname !== "") pairs["dbname"] = decode(dbname);
  for (const parameter of parameters.split("&").filter((part) => part !== "")) {
    const equals = parameter.indexOf("=");
    if (equals <= 0) throw wrong(text, "has a parameter that is not NAME=VALUE");
    pairs[decode(parameter.slice(0, equals))] = decode(parameter.slice(equals + 1));
  }
  return pairs;
}
