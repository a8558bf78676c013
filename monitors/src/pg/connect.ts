/**
 * Opens a connection to PostgreSQL: the places in order, TLS as `sslmode` says, the kind of server
 * that was asked for. Knows no query of the user. The driver is loaded with this file.
 */
import { readFileSync } from "node:fs";
import { isIP, Socket } from "node:net";
import { homedir } from "node:os";
import { join } from "node:path";
import type { ConnectionOptions } from "node:tls";
import pg from "pg";
import { reasonOf } from "../reason.ts";
import { passwordFromFile, type PgConnectionFacts, type PgPlace } from "./connection-facts.ts";

/** A connection and the socket under it, which can be cut when the server hangs. */
export interface PgConnection {
  readonly client: pg.Client;
  readonly socket: Socket;
}

export interface ConnectTools {
  readonly signal: AbortSignal;
  /** A password that was found: it must not be shown. */
  readonly secret: (password: string) => void;
  readonly warn: (message: string) => void;
  readonly alive: () => void;
}

/** Tries every place, with and without TLS as allowed. Rejects with what each said. */
export async function connectToAny(
  facts: PgConnectionFacts,
  tools: ConnectTools,
): Promise<PgConnection> {
  const refusals: string[] = [];
  for (const place of facts.places) {
    for (const ssl of sslAttempts(facts, place)) {
      if (tools.signal.aborted) throw new Error("the attempt was given up");
      try {
        const connection = await connectOnce(facts, place, ssl, tools);
        const objection = await objectionTo(connection.client, facts.sessionKind);
        if (objection === undefined) return connection;
        connection.socket.destroy();
        refusals.push(`${placeName(place)}: ${objection}`);
        break;
      } catch (error) {
        tools.alive();
        refusals.push(`${placeName(place)}: ${reasonOf(error)}`);
        // Only a refusal of TLS itself is answered by an attempt without it.
        if (!/does not support SSL|SSL|TLS|no pg_hba\.conf entry/i.test(reasonOf(error))) break;
      }
    }
  }
  throw new Error(`cannot connect to PostgreSQL (${[...new Set(refusals)].join("; ")})`);
}

function placeName({ host, hostaddr, port }: PgPlace): string {
  return host.startsWith("/") ? `${host}/.s.PGSQL.${port}` : `${host || hostaddr}:${port}`;
}

/** As libpq: no TLS on unix sockets; `prefer` and `allow` try one after the other. */
function sslAttempts(
  facts: PgConnectionFacts,
  place: PgPlace,
): readonly (false | ConnectionOptions)[] {
  if (place.host.startsWith("/") || facts.sslMode === "disable") return [false];
  const root = facts.sslRootCert ?? join(homedir(), ".postgresql/root.crt");
  const isSystem = facts.sslRootCert === "system";
  const ca = isSystem ? undefined : readOptional(root, facts.sslRootCert !== undefined);
  const cert = readOptional(facts.sslCert ?? "", facts.sslCert !== undefined);
  const key = readOptional(facts.sslKey ?? "", facts.sslKey !== undefined);
  // With a root certificate at hand `require` verifies the chain, as libpq does.
  const verifies =
    facts.sslMode.startsWith("verify") ||
    isSystem ||
    (facts.sslMode === "require" && ca !== undefined);
  const verifiesName = facts.sslMode === "verify-full" || isSystem;
  const tls: ConnectionOptions = {
    rejectUnauthorized: verifies,
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    ...(verifiesName ? nameToVerify(place.host) : { checkServerIdentity: () => undefined }),
  };
  if (facts.sslMode === "prefer") return [tls, false];
  if (facts.sslMode === "allow") return [false, tls];
  return [tls];
}

/** An address is verified like a name, but is none that TLS could send to the server: newer Nodes refuse it. */
function nameToVerify(host: string): ConnectionOptions {
  return isIP(host) === 0 ? { host, servername: host } : { host };
}

function readOptional(path: string, isNeeded: boolean): string | undefined {
  if (path === "") return undefined;
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (isNeeded) throw error;
    return undefined;
  }
}

async function connectOnce(
  facts: PgConnectionFacts,
  place: PgPlace,
  ssl: false | ConnectionOptions,
  tools: ConnectTools,
): Promise<PgConnection> {
  const socket = new Socket();
  const client = new pg.Client({
    host: place.host.startsWith("/") ? place.host : (place.hostaddr ?? place.host),
    port: place.port,
    user: facts.user,
    database: facts.database,
    password: passwordFor(facts, place, tools),
    ssl,
    application_name: facts.applicationName,
    ...(facts.options === undefined ? {} : { options: facts.options }),
    keepAlive: true,
    connectionTimeoutMillis: facts.connectTimeoutMs,
    stream: () => socket,
  });
  // Without a listener an error between two queries would end the process.
  client.on("error", () => undefined);
  const giveUp = (): void => void socket.destroy(new Error("the attempt was given up"));
  tools.signal.addEventListener("abort", giveUp, { once: true });
  try {
    await client.connect();
  } catch (error) {
    socket.destroy();
    throw error;
  } finally {
    tools.signal.removeEventListener("abort", giveUp);
  }
  return { client, socket };
}

/** Asked for by the driver when the server wants one. "" so that the driver looks nowhere itself. */
function passwordFor(facts: PgConnectionFacts, place: PgPlace, tools: ConnectTools): () => string {
  return () => {
    if (facts.password !== undefined) return facts.password;
    const found = passwordFromFile(facts, place);
    if (found.kind === "refused")
      tools.warn(`the password file ${facts.passwordFile} is not used: ${found.why}`);
    if (found.kind !== "password") return "";
    tools.secret(found.password);
    return found.password;
  };
}

/** Why a server is not of the kind that `target_session_attrs` asks for. */
async function objectionTo(client: pg.Client, kind: string): Promise<string | undefined> {
  if (kind === "any" || kind === "prefer-standby") return undefined;
  const { rows } = await client.query<[boolean, string]>({
    text: "SELECT pg_is_in_recovery(), current_setting('transaction_read_only')",
    rowMode: "array",
  });
  const [isStandby, readOnly] = rows[0] ?? [false, "off"];
  const isReadOnly = isStandby || readOnly === "on";
  const fits =
    kind === "primary"
      ? !isStandby
      : kind === "standby"
        ? isStandby
        : kind === "read-only"
          ? isReadOnly
          : !isReadOnly;
  return fits ? undefined : `it is not ${kind}, which target_session_attrs asks for`;
}
