/**
 * Where to connect and as whom: a connection string completed from the environment, the password file
 * and libpq's defaults. Opens no connection.
 */
import { readFileSync, statSync } from "node:fs";
import { homedir, userInfo } from "node:os";
import { join } from "node:path";

type Environment = Readonly<Record<string, string | undefined>>;

export type SslMode = "disable" | "allow" | "prefer" | "require" | "verify-ca" | "verify-full";

const SSL_MODES: readonly SslMode[] = [
  "disable",
  "allow",
  "prefer",
  "require",
  "verify-ca",
  "verify-full",
];

const SESSION_KINDS = ["any", "read-write", "read-only", "primary", "standby", "prefer-standby"];

/** One server to try. `host` is a name, an address, or the directory of a unix socket. */
export interface PgPlace {
  readonly host: string;
  /** Address to connect to instead of resolving `host`. */
  readonly hostaddr: string | undefined;
  readonly port: number;
}

export interface PgConnectionFacts {
  readonly places: readonly PgPlace[];
  readonly user: string;
  readonly database: string;
  readonly password: string | undefined;
  readonly passwordFile: string;
  readonly sslMode: SslMode;
  readonly sslRootCert: string | undefined;
  readonly sslCert: string | undefined;
  readonly sslKey: string | undefined;
  /** 0: no limit of its own. */
  readonly connectTimeoutMs: number;
  readonly applicationName: string;
  readonly options: string | undefined;
  readonly sessionKind: string;
}

/** Environment variable of each keyword that has one. */
const VARIABLES: Readonly<Record<string, string>> = {
  host: "PGHOST",
  hostaddr: "PGHOSTADDR",
  port: "PGPORT",
  dbname: "PGDATABASE",
  user: "PGUSER",
  password: "PGPASSWORD",
  passfile: "PGPASSFILE",
  connect_timeout: "PGCONNECT_TIMEOUT",
  application_name: "PGAPPNAME",
  options: "PGOPTIONS",
  sslmode: "PGSSLMODE",
  sslrootcert: "PGSSLROOTCERT",
  sslcert: "PGSSLCERT",
  sslkey: "PGSSLKEY",
  target_session_attrs: "PGTARGETSESSIONATTRS",
};

/**
 * What libpq would use.
 * @throws Error with the rest of a sentence after "monitor address ..."
 */
export function connectionFacts(
  conninfo: Readonly<Record<string, string>>,
  environment: Environment,
): PgConnectionFacts {
  const value = (key: string): string | undefined => {
    const given = conninfo[key] ?? environment[VARIABLES[key] ?? ""];
    return given === undefined || given === "" ? undefined : given;
  };
  const user = value("user") ?? userInfo().username;
  const sslMode = (value("sslmode") ?? "prefer") as SslMode;
  if (!SSL_MODES.includes(sslMode))
    throw new Error(`has the unknown sslmode "${sslMode}" (known: ${SSL_MODES.join(", ")})`);
  const sessionKind = value("target_session_attrs") ?? "any";
  if (!SESSION_KINDS.includes(sessionKind))
    throw new Error(`has an unknown target_session_attrs (known: ${SESSION_KINDS.join(", ")})`);
  const connectTimeout = Number(value("connect_timeout") ?? "0");
  if (!Number.isFinite(connectTimeout))
    throw new Error("has a connect_timeout that is no number of seconds");
  return {
    places: places(value("host"), value("hostaddr"), value("port")),
    user,
    database: value("dbname") ?? user,
    password: value("password"),
    passwordFile: value("passfile") ?? join(environment["HOME"] ?? homedir(), ".pgpass"),
    sslMode,
    sslRootCert: value("sslrootcert"),
    sslCert: value("sslcert"),
    sslKey: value("sslkey"),
    connectTimeoutMs: Math.max(0, connectTimeout) * 1000,
    applicationName:
      value("application_name") ?? conninfo["fallback_application_name"] ?? "emperor",
    options: value("options"),
    sessionKind,
  };
}

function places(
  hostList: string | undefined,
  addressList: string | undefined,
  portList: string | undefined,
): readonly PgPlace[] {
  const addresses = addressList?.split(",") ?? [];
  const hosts = hostList?.split(",") ?? addresses.map(() => "");
  if (hosts.length === 0) hosts.push("");
  if (addresses.length > 0 && addresses.length !== hosts.length)
    throw new Error(`has ${hosts.length} hosts and ${addresses.length} addresses`);
  const ports = portList?.split(",") ?? [""];
  if (ports.length !== 1 && ports.length !== hosts.length)
    throw new Error(`has ${hosts.length} hosts and ${ports.length} ports`);
  return hosts.map((host, index) => {
    const text = (ports.length === 1 ? ports[0] : ports[index]) || "5432";
    const port = Number(text);
    if (!Number.isInteger(port) || port < 1 || port > 65_535)
      throw new Error(`has the port "${text}", which is none`);
    const address = addresses[index];
    return {
      host: host || (address === undefined || address === "" ? defaultHost() : ""),
      hostaddr: address === "" ? undefined : address,
      port,
    };
  });
}

/** Debian's socket directory where there is one, as its libpq has it; else the loopback. */
function defaultHost(): string {
  const directory = "/var/run/postgresql";
  return statSync(directory, { throwIfNoEntry: false })?.isDirectory() === true
    ? directory
    : "localhost";
}

export type PasswordFile =
  | { readonly kind: "password"; readonly password: string }
  | { readonly kind: "none" }
  /** It is there and not used; `why` ends a sentence. */
  | { readonly kind: "refused"; readonly why: string };

/** The password of the first line of the password file that fits, as libpq reads it. */
export function passwordFromFile(
  facts: Pick<PgConnectionFacts, "passwordFile" | "user" | "database">,
  place: PgPlace,
): PasswordFile {
  let text: string;
  try {
    const { mode } = statSync(facts.passwordFile);
    // libpq ignores such a file, too: others of this machine could read it.
    if ((mode & 0o077) !== 0)
      return {
        kind: "refused",
        why: "others than its owner have access to it; chmod 600 helps",
      };
    text = readFileSync(facts.passwordFile, "utf8");
  } catch {
    return { kind: "none" };
  }
  const host = place.host.startsWith("/") || place.host === "" ? "localhost" : place.host;
  const wanted = [host, String(place.port), facts.database, facts.user];
  for (const line of text.split("\n")) {
    if (line.startsWith("#")) continue;
    const fields = passwordFields(line.replace(/\r$/, ""));
    if (fields.length < 5) continue;
    if (wanted.every((value, index) => fields[index] === "*" || fields[index] === value))
      return { kind: "password", password: fields[4] ?? "" };
  }
  return { kind: "none" };
}

/** Four fields that end at `:`, and the rest; `\:` and `\\` are escapes. */
function passwordFields(line: string): string[] {
  const fields: string[] = [""];
  for (let at = 0; at < line.length; at += 1) {
    const character = line.charAt(at);
    if (character === "\\" && at + 1 < line.length) {
      at += 1;
      fields[fields.length - 1] += line.charAt(at);
    } else if (character === ":" && fields.length < 5) {
      fields.push("");
    } else {
      fields[fields.length - 1] += character;
    }
  }
  return fields;
}
