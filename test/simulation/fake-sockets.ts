/**
 * The on-demand sockets of a simulated machine: which are bound, which are watched, and who waits at
 * them. A queue lives in the kernel, so it outlives processes and ends with the socket.
 */
import type { VassalSpec } from "@emperor/monitors";
import type { SocketFailure, SocketsKey } from "../../emperor/src/court/hands.ts";

export interface FakeSocket {
  readonly key: SocketsKey;
  readonly vassal: string;
  readonly text: string;
  watched: boolean;
  /** Connections that nobody accepted yet. */
  waiting: number;
  /** Since when somebody waits, simulated ms. */
  waitingSince: number;
}

export class FakeSockets {
  readonly #sockets = new Map<SocketsKey, FakeSocket>();
  /** Whose sockets can be bound by no second attempt, by vassal. */
  readonly lasting = new Set<string>();
  /** Decides about each attempt to bind. */
  fails: (spec: VassalSpec) => SocketFailure | undefined = () => undefined;

  get open(): number {
    return this.#sockets.size;
  }

  byKey(key: SocketsKey): FakeSocket | undefined {
    return this.#sockets.get(key);
  }

  of(vassal: string): FakeSocket | undefined {
    for (const socket of this.#sockets.values()) if (socket.vassal === vassal) return socket;
    return undefined;
  }

  bind(key: SocketsKey, spec: VassalSpec): FakeSocket | SocketFailure {
    const vassal = nameOf(spec);
    const text = spec.socket ?? "";
    const known = this.#sockets.get(key);
    if (known?.text === text) return known;
    this.#sockets.delete(key);
    const failure = this.fails(spec);
    if (failure?.lasting === true) this.lasting.add(vassal);
    else this.lasting.delete(vassal);
    if (failure !== undefined) return failure;
    const socket = { key, vassal, text, watched: false, waiting: 0, waitingSince: 0 };
    this.#sockets.set(key, socket);
    return socket;
  }

  close(key: SocketsKey): void {
    this.#sockets.delete(key);
  }
}

export function nameOf(spec: VassalSpec): string {
  return `${spec.monitor}\0${spec.name}`;
}
