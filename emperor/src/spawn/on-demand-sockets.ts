/**
 * The listening sockets of on-demand vassals: binds, watches without accepting, keeps and closes
 * them. It must not know when a vassal sleeps or why it is started.
 */
import type { ListenOptions, SocketAddress, Watcher } from "@emperor/linux";
import type * as linux from "@emperor/linux";
import type { VassalSpec } from "@emperor/monitors";
import type { SocketFailure, SocketsKey } from "../court/hands.ts";
import { quoteName } from "../log/quoting.ts";
import { isSystemCode } from "./failures.ts";
import { errorCode } from "./machine.ts";
import { readAddresses, type OnDemandAddress } from "./on-demand-address.ts";
import { tokenOf, WATCH } from "./process-table.ts";
import {
  fileOf,
  isStillThere,
  removeStaleSocket,
  removeIfOurs,
  type SocketFile,
} from "./socket-file.ts";

export type SocketMachine = Pick<typeof linux, "listen" | "connect" | "close" | "setNonBlocking">;

/** What an administrator decided for all on-demand sockets. */
export interface SocketPolicy {
  readonly mode: number;
  /** undefined: the vassal's in tyrant mode, else the Emperor's. */
  readonly uid: number | undefined;
  readonly gid: number | undefined;
  readonly backlog: number;
  readonly tyrant: boolean;
  /** Descriptors from this number on are the Emperor's own; absent: there is no such number. */
  readonly firstReserved?: number;
}

export interface OnDemandSocketsParts {
  readonly machine: SocketMachine;
  readonly watcher: Watcher;
  readonly policy: SocketPolicy;
  readonly warn: (message: string) => void;
  readonly onConnection: (key: SocketsKey) => void;
}

interface OpenSocket {
  readonly text: string;
  readonly address: SocketAddress;
  readonly fd: number;
  /** Number of its token, never used again. */
  readonly number: number;
  /** Of a unix socket with a path. */
  readonly file: SocketFile | undefined;
}

interface Entry {
  readonly key: SocketsKey;
  /** In the order of the spec: the first becomes descriptor 0. */
  sockets: readonly OpenSocket[];
  /** The next connection is reported. */
  watched: boolean;
  /** The watcher knows the sockets, be it for `watch` or for `wasStirred`. */
  armed: boolean;
  /** A connection came since `wasStirred` was asked. */
  stirred: boolean;
}

/** Ports below need a privilege that a tenant does not have. */
const FIRST_FREE_PORT = 1024;

export class OnDemandSockets {
  readonly #parts: OnDemandSocketsParts;
  readonly #entries = new Map<SocketsKey, Entry>();
  /** Who has an address: a probe of our own socket would wake its vassal. */
  readonly #owners = new Map<string, SocketsKey>();
  readonly #byNumber = new Map<number, SocketsKey>();
  #lastNumber = 0;

  constructor(parts: OnDemandSocketsParts) {
    this.#parts = parts;
  }

  /** Sockets that are open, for tests of leaks. */
  get open(): number {
    return this.#byNumber.size;
  }

  /** Binds what is missing and closes what `spec` no longer asks for. All or nothing. */
  bind(key: SocketsKey, spec: VassalSpec): SocketFailure | undefined {
    const reading = readAddresses(spec.socket ?? "", spec.cwd);
    if (!reading.ok) return { lasting: true, detail: reading.problem };
    const entry = this.#entries.get(key) ?? newEntry(key);
    this.#entries.set(key, entry);
    const wanted = new Set(reading.addresses.map(({ text }) => text));
    const kept = new Map<string, OpenSocket>();
    for (const socket of entry.sockets) {
      if (wanted.has(socket.text) && this.#isInPlace(socket, spec)) kept.set(socket.text, socket);
      else this.#close(socket);
    }
    entry.sockets = [...kept.values()];
    for (const address of reading.addresses) {
      if (kept.has(address.text)) continue;
      const socket = this.#open(key, address, spec);
      // What is bound already stays: the next attempt needs only the rest.
      if (!("fd" in socket)) return socket;
      kept.set(address.text, socket);
      entry.sockets = [...kept.values()];
    }
    entry.sockets = reading.addresses.flatMap(({ text }) => kept.get(text) ?? []);
    return undefined;
  }

  /** Binds, then reports the next connection once for each socket. */
  watch(key: SocketsKey, spec: VassalSpec): SocketFailure | undefined {
    this.unwatch(key);
    const failure = this.bind(key, spec);
    if (failure !== undefined) return failure;
    const entry = this.#entries.get(key);
    if (entry !== undefined) entry.watched = true;
    return this.#arm(key);
  }

  unwatch(key: SocketsKey): void {
    const entry = this.#entries.get(key);
    if (entry === undefined || !entry.armed) return;
    entry.watched = false;
    entry.armed = false;
    for (const { number } of entry.sockets)
      this.#parts.watcher.remove(tokenOf(number, WATCH.listener));
  }

  close(key: SocketsKey): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    this.unwatch(key);
    for (const socket of entry.sockets) this.#close(socket);
    this.#entries.delete(key);
  }

  closeAll(): void {
    for (const key of this.#entries.keys()) this.close(key);
  }

  /** The watcher saw a connection at the socket with this number. */
  heard(number: number): void {
    const key = this.#byNumber.get(number);
    const entry = key === undefined ? undefined : this.#entries.get(key);
    if (entry === undefined) return;
    entry.stirred = true;
    if (entry.watched) this.#parts.onConnection(entry.key);
  }

  /** For a process: blocking, as uWSGI hands them over, whatever the last process made of them. */
  descriptors(key: SocketsKey): readonly number[] {
    const fds = this.#entries.get(key)?.sockets.map(({ fd }) => fd) ?? [];
    for (const fd of fds) this.#parts.machine.setNonBlocking(fd, false);
    return fds;
  }

  /**
   * Did a connection come since this was asked the last time? Of a burst one is seen, and one that the
   * process takes at once may be missed: it is a second witness beside the connections that last.
   */
  wasStirred(key: SocketsKey): boolean {
    const entry = this.#entries.get(key);
    if (entry === undefined) return false;
    const { stirred } = entry;
    entry.stirred = false;
    if (!entry.armed) this.#arm(key);
    else
      for (const { number } of entry.sockets)
        this.#parts.watcher.rearm(tokenOf(number, WATCH.listener));
    return stirred;
  }

  addresses(key: SocketsKey): readonly SocketAddress[] {
    return this.#entries.get(key)?.sockets.map(({ address }) => address) ?? [];
  }

  #arm(key: SocketsKey): SocketFailure | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    entry.armed = true;
    try {
      for (const { fd, number } of entry.sockets)
        this.#parts.watcher.addListener(fd, tokenOf(number, WATCH.listener));
      return undefined;
    } catch (error) {
      this.unwatch(key);
      return { lasting: false, detail: `its sockets cannot be watched: ${errorCode(error)}` };
    }
  }

  #open(key: SocketsKey, wanted: OnDemandAddress, spec: VassalSpec): OpenSocket | SocketFailure {
    const { text, address } = wanted;
    const where = `the socket ${quoteName(text)}`;
    const owner = this.#owners.get(placeOf(address));
    if (owner !== undefined && owner !== key)
      return { lasting: false, detail: `${where} belongs to another vassal already` };
    const tenant = this.#tenantOf(spec);
    if (tenant !== undefined && address.family !== "unix" && address.port < FIRST_FREE_PORT) {
      const detail = `${where} has a port below ${FIRST_FREE_PORT}, which a tenant may not ask for`;
      return { lasting: true, detail };
    }
    try {
      const fd = this.#spared(this.#bind(address, spec), address);
      // Whoever gets it shares the mode: until then it is blocking, as uWSGI's is.
      this.#lastNumber += 1;
      const number = this.#lastNumber;
      this.#byNumber.set(number, key);
      this.#owners.set(placeOf(address), key);
      return { text, address, fd, number, file: fileOf(address) };
    } catch (error) {
      if (error instanceof Occupied)
        return { lasting: false, detail: `${where} cannot be bound: ${error.message}` };
      const code = errorCode(error);
      return { lasting: LASTING.has(code), detail: `${where} cannot be bound: ${explain(code)}` };
    }
  }

  /** The last descriptors are the Emperor's: without them it could not even see what is deleted. */
  #spared(fd: number, address: SocketAddress): number {
    const { firstReserved = Infinity } = this.#parts.policy;
    if (fd < firstReserved) return fd;
    const file = fileOf(address);
    if (file !== undefined) removeIfOurs(file);
    this.#parts.machine.close(fd);
    throw new Occupied("no descriptor is left for it (EMFILE)");
  }

  #bind(address: SocketAddress, spec: VassalSpec): number {
    const { machine } = this.#parts;
    const options = this.#optionsOf(spec);
    try {
      return machine.listen(address, options);
    } catch (error) {
      if (
        errorCode(error) !== "EADDRINUSE" ||
        address.family !== "unix" ||
        address.path[0] === "\0"
      )
        throw error;
      const owners = [process.geteuid?.() ?? 0, options.uid, spec.uid];
      const occupant = removeStaleSocket(machine, address.path, owners);
      if (occupant !== undefined) throw new Occupied(occupant);
      return machine.listen(address, options);
    }
  }

  #optionsOf(spec: VassalSpec): ListenOptions {
    const { mode, backlog, tyrant } = this.#parts.policy;
    const uid = this.#parts.policy.uid ?? (tyrant ? spec.uid : undefined);
    const gid = this.#parts.policy.gid ?? (tyrant ? spec.gid : undefined);
    const tenant = this.#tenantOf(spec);
    return {
      backlog,
      mode,
      ...(uid === undefined ? {} : { uid }),
      ...(gid === undefined ? {} : { gid }),
      ...(tenant === undefined ? {} : { as: tenant }),
    };
  }

  /** In tyrant mode an address that a tenant wrote is bound with the tenant's rights to files. */
  #tenantOf(spec: VassalSpec): { readonly uid: number; readonly gid: number } | undefined {
    const { socketOwner, uid, gid } = spec;
    if (!this.#parts.policy.tyrant || socketOwner === undefined || socketOwner === 0)
      return undefined;
    return uid === undefined || gid === undefined ? undefined : { uid, gid };
  }

  /**
   * Has somebody put another socket in the place of ours? A vassal whose own config names the same
   * path does (uWSGI removes what is there and binds anew): then nobody reaches ours any more.
   */
  #isInPlace(socket: OpenSocket, spec: VassalSpec): boolean {
    if (socket.file === undefined || isStillThere(socket.file)) return true;
    this.#parts.warn(
      `[emperor] vassal ${quoteName(spec.name)}: its on-demand socket ${quoteName(socket.text)} was removed or replaced, binding it anew; if its own config binds it too, leave it out there: it is descriptor 0`,
    );
    return false;
  }

  #close(socket: OpenSocket): void {
    this.#parts.watcher.remove(tokenOf(socket.number, WATCH.listener));
    this.#byNumber.delete(socket.number);
    this.#owners.delete(placeOf(socket.address));
    // Before it is closed: until then nobody else can have the numbers of its file.
    if (socket.file !== undefined) removeIfOurs(socket.file);
    this.#parts.machine.close(socket.fd);
  }
}

function newEntry(key: SocketsKey): Entry {
  return { key, sockets: [], watched: false, armed: false, stirred: false };
}

/** Somebody is there, and not to be removed. */
class Occupied extends Error {
  override readonly name = "Occupied";
}

const LASTING: ReadonlySet<string> = new Set(["EINVAL", "ENAMETOOLONG", "EAFNOSUPPORT"]);

function explain(code: string): string {
  switch (code) {
    case "EADDRINUSE":
      return "another program has it (EADDRINUSE)";
    case "ENOENT":
      return "its directory does not exist (ENOENT)";
    case "EACCES":
    case "EPERM":
      return `not allowed (${code})`;
    case "EADDRNOTAVAIL":
      return "this machine does not have the address (EADDRNOTAVAIL)";
    default:
      return isSystemCode(code) ? `the system has nothing left (${code})` : code;
  }
}

function placeOf(address: SocketAddress): string {
  return address.family === "unix" ? address.path : `[${address.host}]:${address.port}`;
}
