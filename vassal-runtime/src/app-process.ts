/**
 * Serves the node-app in this process: loads it, gives it the listening sockets, announces it, and ends
 * it. The same for a vassal of one process and for a worker under a master: only who is told differs.
 * Knows no configuration and no signals.
 */
import { Server as HttpServer } from "node:http";
import type { RequestListener } from "node:http";
import type { Server } from "node:net";
import { Connections } from "./connections.ts";
import type { DrainOptions, RequestWatch } from "./connections.ts";
import { RuntimeError } from "./errors.ts";
import { captureListen } from "./listen-capture.ts";
import type { SocketDescriptor } from "./listen-capture.ts";
import { log } from "./log.ts";
import { loadNodeApp, resolveApp } from "./node-app.ts";
import type { AppExport } from "./node-app.ts";
import { loadProtocols } from "./socket-protocols.ts";

export interface AppProcessOptions {
  readonly file: string;
  /** Where `node-app` was set, for messages. */
  readonly origin: string;
  readonly sockets: readonly SocketDescriptor[];
  readonly backlog: number;
  /** The app is loaded. Called before `onAccepting`, once. */
  readonly onLoaded: () => void;
  readonly onAccepting: () => void;
  readonly onFirstServed: () => void;
  /** Those who want to know of every request. */
  readonly watches?: readonly RequestWatch[];
  /** Something that the process cannot survive, with its message. */
  readonly onFatal: (error: RuntimeError) => void;
}

/** How long a script may take until it is mentioned that it neither listens nor exports anything. */
const PATIENCE_MS = 10_000;

export interface AppProcess {
  /** Stops accepting and ends as `Connections.drain`; also before the app listens. */
  drain(options: DrainOptions): Promise<number>;
}

/** Loads and serves. Rejects with a `RuntimeError` when the app cannot be loaded or offers nothing. */
export async function startApp(options: AppProcessOptions): Promise<AppProcess> {
  const path = resolveApp(options.file, options.origin);
  const state: { connections?: Connections; loaded: boolean } = { loaded: false };
  const forget = tellOfEarlyExit(path);
  const loaded = (): void => {
    if (!state.loaded) options.onLoaded();
    state.loaded = true;
  };
  const sockets = options.sockets.filter(({ protocol }) => protocol !== "none");
  const handlerFor = await loadProtocols(sockets);
  const capture = captureListen({
    sockets,
    backlog: options.backlog,
    handlerFor: (socket, server) =>
      state.connections === undefined ? undefined : handlerFor(socket, server, state.connections),
    onServer: (server) => {
      state.connections = new Connections(server, options.onFirstServed, options.watches);
      if (sockets.length > 0) failOnListenError(server, options);
    },
    onExtraListener: (listener) => state.connections?.addListener(listener),
    onListening: () => {
      forget();
      loaded();
      options.onAccepting();
    },
  });
  const exported = await loadNodeApp(path, options.origin).catch((error: unknown) => {
    forget();
    throw error;
  });
  loaded();
  if (capture.server === undefined) {
    if (exported.kind === "nothing")
      awaitListen(path, exported.description, options, () => {
        if (capture.server === undefined) forget();
        return capture.server !== undefined;
      });
    else if (sockets.length > 0)
      capture.adopt(
        exported.kind === "server" ? exported.server : new HttpServer(await toListener(exported)),
      );
    else
      throw new RuntimeError(
        "VASSAL_CONFIG",
        `${options.origin}: node-app ${path} exports a request handler, but there is no socket to serve it on: set "http-socket = HOST:PORT" or "socket"`,
      );
  }
  return {
    drain: async (drainOptions) => state.connections?.drain(drainOptions) ?? 0,
  };
}

/** Apps that end the process without a word would leave nobody with a reason. Returns the way to undo it. */
function tellOfEarlyExit(path: string): () => void {
  const onExit = (code: number): void => {
    log(`node-app ${path}: the process exits with ${code} before it accepted a request`);
  };
  process.once("exit", onExit);
  return () => void process.off("exit", onExit);
}

async function toListener(
  exported: Exclude<AppExport, { kind: "nothing" | "server" }>,
): Promise<RequestListener> {
  if (exported.kind === "listener") return exported.listener;
  const { fetchListener } = await import("./fetch-listener.ts");
  return fetchListener(exported.handler);
}

/** The vassal's own sockets that cannot be listened on are no matter of the app. */
function failOnListenError(server: Server, options: AppProcessOptions): void {
  const onError = (error: Error): void => {
    const texts = options.sockets.map((socket) => socket.text).join(", ");
    options.onFatal(
      new RuntimeError(
        "VASSAL_BIND",
        `cannot listen on ${texts}: ${error.message}`,
        {},
        { cause: error },
      ),
    );
  };
  server.on("error", onError);
  server.once("listening", () => server.off("error", onError));
}

/** A script may connect to its database first. But when nothing is left to do, it will never listen. */
function awaitListen(
  path: string,
  description: string,
  options: AppProcessOptions,
  listens: () => boolean,
): void {
  const patience = setTimeout(() => {
    if (!listens())
      log(
        `node-app ${path} neither exports a handler nor called listen() yet; still waiting for it`,
      );
  }, PATIENCE_MS);
  patience.unref();
  process.once("beforeExit", () => {
    if (listens()) return;
    options.onFatal(
      new RuntimeError(
        "VASSAL_NO_APP",
        `${options.origin}: node-app ${path} offers nothing to serve: ${description}, it called no listen(), and has nothing left to do. Export a request listener, a framework's application or an object with fetch(), or listen()`,
      ),
    );
  });
}
