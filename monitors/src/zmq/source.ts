/**
 * The monitor of `zmq://ENDPOINT`: a PULL socket that takes the commands of publishers. Owns the socket
 * and its security; what a message says is `frames.ts`'s, what becomes of it the roll's.
 */
import { chmodSync } from "node:fs";
import { isIP } from "node:net";
import { setImmediate as nextTurn } from "node:timers/promises";
import type { Pull, SocketOptions } from "zeromq";
import { AddressOptions, invalidOption } from "../address-options.ts";
import { Complaints } from "../complaints.ts";
import type { MonitorOptions } from "../monitor.ts";
import { quoteName } from "../names.ts";
import type { RemoteListener, RemoteSession, RemoteSource } from "../remote.ts";
import { readZmqFrames } from "./frames.ts";
import { allowedKeys, curveKey, serveZap, ZAP_DOMAIN } from "./keys.ts";

/** Largest frame; the library ends the connection of a peer that sends a larger one. */
const MAX_FRAME_BYTES = 256 * 1024;

/** Messages that wait per peer; then the peer waits, and nothing is lost. */
const MAX_WAITING = 256;

/** Messages that are handled in one turn of the loop: vassals and timers come between floods. */
const TURN_MESSAGES = 64;

const OPTIONS = ["connect", "chmod", "curve-secret", "curve-clients", "curve-server"] as const;

interface ZmqAddress {
  readonly endpoint: string;
  /** Connect to a publisher that is bound, instead of binding. */
  readonly connects: boolean;
  /** Mode of the socket of an `ipc://` endpoint. */
  readonly mode: number | undefined;
  /** Own secret key: only peers that know its public key get in, and what they say is encrypted. */
  readonly curveSecret: string | undefined;
  /** The public key to it, which who connects must show. */
  readonly curvePublic: string | undefined;
  /** Public keys of those that get in; undefined: all that know this Emperor's. */
  readonly curveClients: ReadonlySet<string> | undefined;
  /** Public key of the publisher, with `connect`. */
  readonly curveServer: string | undefined;
}

/** @throws MonitorError */
export function readZmqAddress(address: string): ZmqAddress {
  const argument = `zmq://${address}`;
  const mark = address.indexOf("?");
  const endpoint = mark < 0 ? address : address.slice(0, mark);
  if (!/^(tcp|ipc):\/\/./.test(endpoint))
    throw invalidOption(
      argument,
      "names no endpoint: it needs zmq://tcp://HOST:PORT or zmq://ipc://PATH",
    );
  const options = new AddressOptions(argument, mark < 0 ? "" : address.slice(mark + 1), OPTIONS);
  const mode = options.text("chmod");
  if (mode !== undefined && (!/^[0-7]{3,4}$/.test(mode) || !endpoint.startsWith("ipc://")))
    throw options.error("has an option chmod that is no octal mode, or not for an ipc:// endpoint");
  const secret = options.file("curve-secret");
  const clients = options.file("curve-clients");
  const server = options.text("curve-server");
  const connects = options.flag("connect");
  if (connects !== (server !== undefined) && (server !== undefined || secret !== undefined))
    throw options.error("needs both connect and curve-server where it connects with CURVE");
  if ((clients !== undefined || server !== undefined) && secret === undefined)
    throw options.error("has CURVE keys of others, and no curve-secret of its own");
  if (clients !== undefined && connects)
    throw options.error("has an option curve-clients, which is for those that bind");
  const keyOf = (text: string | undefined, kind: "secret" | "public", option: string) => {
    const key = text === undefined ? undefined : curveKey(text, kind);
    if (text !== undefined && key === undefined)
      throw options.error(`has no ${kind} CURVE key (40 characters) in ${option}`);
    return key;
  };
  return {
    endpoint,
    connects,
    mode: mode === undefined ? undefined : Number.parseInt(mode, 8),
    curveSecret: keyOf(secret, "secret", "curve-secret"),
    curvePublic: connects ? keyOf(secret, "public", "the file of curve-secret") : undefined,
    curveClients: clients === undefined ? undefined : allowedKeys(clients),
    curveServer: keyOf(server, "public", "curve-server"),
  };
}

export class ZmqSource implements RemoteSource {
  readonly id: string;
  readonly address: string;
  readonly secrets: readonly string[];
  readonly needsSuffix = true;
  readonly #address: ZmqAddress;
  readonly #complaints: Complaints;
  #isWarned = false;

  constructor(address: string, options: MonitorOptions) {
    this.#address = readZmqAddress(address);
    this.id = `zmq:${this.#address.endpoint}`;
    this.address = `zmq://${address}`;
    this.secrets = this.#address.curveSecret === undefined ? [] : [this.#address.curveSecret];
    this.#complaints = new Complaints(options.clock);
  }

  async connect(listener: RemoteListener): Promise<RemoteSession> {
    const zmq = await import("zeromq");
    const { endpoint, connects, mode } = this.#address;
    // A context of its own: its authentication is of this monitor only, and it ends with it.
    const context = new zmq.Context({ ioThreads: 1, blocky: false });
    const socket = new zmq.Pull({
      context,
      linger: 0,
      maxMessageSize: MAX_FRAME_BYTES,
      receiveHighWaterMark: MAX_WAITING,
      ...this.#security(),
    });
    const stopZap =
      this.#address.curveClients === undefined
        ? undefined
        : await serveZap(zmq, context, this.#address.curveClients, (why) =>
            this.#complain(listener, why),
          );
    const close = async (): Promise<void> => {
      if (!socket.closed) socket.close();
      stopZap?.();
    };
    try {
      if (connects) socket.connect(endpoint);
      else await socket.bind(endpoint);
      if (mode !== undefined) chmodSync(endpoint.slice("ipc://".length), mode);
    } catch (error) {
      await close();
      throw error;
    }
    this.#warnOfStrangers(listener);
    void this.#receive(socket, listener);
    return { close };
  }

  #security(): SocketOptions<Pull> {
    const { curveSecret, curvePublic, curveServer, curveClients } = this.#address;
    if (curveSecret === undefined) return {};
    if (curveServer !== undefined && curvePublic !== undefined)
      return {
        curveServerKey: curveServer,
        curveSecretKey: curveSecret,
        curvePublicKey: curvePublic,
      };
    return {
      curveServer: true,
      curveSecretKey: curveSecret,
      ...(curveClients === undefined ? {} : { zapDomain: ZAP_DOMAIN }),
    };
  }

  /** Until the socket is closed. Never rejects. */
  async #receive(socket: Pull, listener: RemoteListener): Promise<void> {
    let handled = 0;
    try {
      while (!socket.closed) {
        this.#handle(await socket.receive(), listener);
        handled += 1;
        // The library answers at once as long as messages wait: without this nothing else would run.
        if (handled % TURN_MESSAGES === 0) await nextTurn();
      }
    } catch (error) {
      if (!socket.closed) listener.lost(`its socket fails: ${String(error)}`);
    }
  }

  #handle(frames: readonly Uint8Array[], listener: RemoteListener): void {
    const command = readZmqFrames(frames);
    switch (command.kind) {
      case "touch":
        listener.wanted(command.entry);
        return;
      case "destroy":
        if (!listener.unwanted(command.name))
          this.#complain(
            listener,
            `a message destroys ${quoteName(command.name)}, which is unknown; ignoring it`,
          );
        return;
      case "malformed":
        return this.#complain(listener, `a message is malformed: ${command.why}; ignoring it`);
    }
  }

  #complain(listener: RemoteListener, text: string): void {
    const told = this.#complaints.ask(text);
    if (told !== undefined) listener.notice("warning", told);
  }

  /** Whoever reaches the endpoint commands the Emperor; an operator may not know that it is everybody. */
  #warnOfStrangers(listener: RemoteListener): void {
    const { endpoint, connects, curveSecret } = this.#address;
    if (this.#isWarned || connects || curveSecret !== undefined || isPrivate(endpoint)) return;
    this.#isWarned = true;
    listener.notice(
      "warning",
      `whoever reaches ${endpoint} decides what is run here: bind 127.0.0.1 or ipc://, or give it CURVE keys (curve-secret, curve-clients)`,
    );
  }
}

function isPrivate(endpoint: string): boolean {
  if (endpoint.startsWith("ipc://")) return true;
  const host = endpoint.slice("tcp://".length, endpoint.lastIndexOf(":")).replace(/^\[|\]$/g, "");
  return host === "::1" || host === "localhost" || (isIP(host) === 4 && host.startsWith("127."));
}
