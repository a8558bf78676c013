/**
 * Sends one document to each connection, then the end. A client that neither reads nor sends costs one of
 * a few places for a few seconds. Knows nothing of the document; loaded only where `stats` is set.
 */
import { lstatSync, unlinkSync } from "node:fs";
import { connect, createServer } from "node:net";
import type { Server, Socket } from "node:net";
import { RuntimeError, reasonOf } from "./errors.ts";
import { atLeaving } from "./leaving.ts";
import { log } from "./log.ts";
import type { StatsSettings } from "./stats-settings.ts";

const MOST_CONNECTIONS = 16;
/** From accept to the end of a connection. */
const CONNECTION_MS = 4000;
const BACKLOG = 64;
/** No `Access-Control-Allow-Origin`: web pages opened on this machine have no business here. */
const HTTP_HEAD =
  "HTTP/1.0 200 OK\r\nConnection: close\r\nContent-Type: application/json\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n";

/**
 * Binds and serves until the process ends. Call it before an app is loaded: later on the first server
 * that listens is taken for the app's. Rejects with a `RuntimeError` when the address cannot be had.
 */
export async function serveStats(
  settings: StatsSettings,
  document: () => Promise<string>,
): Promise<void> {
  const open = new Map<Socket, NodeJS.Timeout>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    const [oldest] = open.keys();
    if (open.size >= MOST_CONNECTIONS) oldest?.destroy();
    const timer = setTimeout(() => socket.destroy(), CONNECTION_MS);
    timer.unref();
    open.set(socket, timer);
    socket.once("close", () => {
      clearTimeout(timer);
      open.delete(socket);
    });
    // A client that goes away in the middle is its own affair.
    socket.on("error", () => socket.destroy());
    answer(socket, settings.http, document);
  });
  const { address } = settings;
  await bind(server, settings).catch(async (error: unknown) => {
    const inUse = error instanceof Error && "code" in error && error.code === "EADDRINUSE";
    if (!inUse || address.kind !== "unix" || !(await removeStale(address.path)))
      throw bindError(settings, error);
    await bind(server, settings).catch((again: unknown) => {
      throw bindError(settings, again);
    });
  });
  server.on("error", (error) => log(`stats server: ${error.message}; going on`));
  server.unref();
  log(`stats server enabled on ${settings.text}`);
  if (address.kind === "unix" && !address.path.startsWith("\0")) removeAtLeaving(address.path);
}

function answer(socket: Socket, http: boolean, document: () => Promise<string>): void {
  const send = (): void => {
    document().then(
      (text) => {
        const body = Buffer.from(text);
        if (http) socket.write(`${HTTP_HEAD}Content-Length: ${body.length}\r\n\r\n`);
        socket.end(body);
      },
      (error: unknown) => {
        log(`the statistics could not be made: ${reasonOf(error)}`);
        socket.destroy();
      },
    );
    // Unread bytes of the client would turn the end into a reset, which may cost it the document's end.
    socket.resume();
  };
  if (http) socket.once("data", send);
  else send();
}

async function bind(server: Server, { address }: StatsSettings): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(
      address.kind === "tcp"
        ? { host: address.host, port: address.port, backlog: BACKLOG }
        : { path: address.path, backlog: BACKLOG },
      () => {
        server.off("error", reject);
        resolve();
      },
    );
  });
}

function bindError({ origin, text }: StatsSettings, error: unknown): RuntimeError {
  return new RuntimeError(
    "VASSAL_BIND",
    `${origin}: cannot listen on stats = ${JSON.stringify(text)}: ${reasonOf(error)}`,
    {},
    { cause: error },
  );
}

/** Removes a socket that a dead process left; anything else at that path is not ours to remove. */
async function removeStale(path: string): Promise<boolean> {
  if (lstatSync(path, { throwIfNoEntry: false })?.isSocket() !== true) return false;
  const dead = await new Promise<boolean>((resolve) => {
    const probe = connect(path);
    probe.once("connect", () => {
      probe.destroy();
      resolve(false);
    });
    probe.once("error", (error: NodeJS.ErrnoException) => resolve(error.code === "ECONNREFUSED"));
  });
  if (dead) unlinkSync(path);
  return dead;
}

/** The path goes with the process, if it is still the socket that was bound. */
function removeAtLeaving(path: string): void {
  const { ino } = lstatSync(path);
  atLeaving(() => {
    if (lstatSync(path, { throwIfNoEntry: false })?.ino === ino) unlinkSync(path);
  });
}
