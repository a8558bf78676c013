/** A remote source whose server a test plays by hand. */
import type { RemoteListener, RemoteSession, RemoteSource } from "../remote.ts";

interface Pending {
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/** One attempt to connect, and the connection that it became. */
export class FakeLink {
  readonly listener: RemoteListener;
  readonly signal: AbortSignal;
  /** Looks that wait for an answer. */
  readonly looks: Pending[] = [];
  looked = 0;
  isClosed = false;
  readonly #connecting: Pending;

  constructor(listener: RemoteListener, signal: AbortSignal, connecting: Pending) {
    this.listener = listener;
    this.signal = signal;
    this.#connecting = connecting;
  }

  accept(): Promise<void> {
    this.#connecting.resolve();
    return turns();
  }

  refuse(message: string): Promise<void> {
    this.#connecting.reject(new Error(message));
    return turns();
  }

  /** Answers the look that waits: `tell` says what the source wants. */
  answer(tell: (listener: RemoteListener) => void = () => undefined): Promise<void> {
    tell(this.listener);
    this.looks.shift()?.resolve();
    return turns();
  }

  fail(message: string): Promise<void> {
    this.looks.shift()?.reject(new Error(message));
    return turns();
  }
}

export class FakeSource implements RemoteSource {
  readonly id = "fake:server";
  readonly address = "fake://server";
  readonly secrets: readonly string[] = ["hunter2"];
  readonly needsSuffix: boolean;
  readonly links: FakeLink[] = [];
  readonly #hasLook: boolean;

  constructor(kind: "looks" | "messages" = "looks") {
    this.#hasLook = kind === "looks";
    this.needsSuffix = kind === "looks";
  }

  get link(): FakeLink {
    const link = this.links.at(-1);
    if (link === undefined) throw new Error("no attempt to connect was made");
    return link;
  }

  connect(listener: RemoteListener, signal: AbortSignal): Promise<RemoteSession> {
    return new Promise((resolve, reject) => {
      const session = (): RemoteSession => ({
        ...(this.#hasLook ? { look: () => this.#look(link) } : {}),
        close: () => {
          link.isClosed = true;
        },
      });
      const link = new FakeLink(listener, signal, { resolve: () => resolve(session()), reject });
      this.links.push(link);
    });
  }

  #look(link: FakeLink): Promise<void> {
    link.looked += 1;
    return new Promise((resolve, reject) => link.looks.push({ resolve, reject }));
  }
}

/** Lets promises that are settled go on. */
export async function turns(): Promise<void> {
  for (let turn = 0; turn < 8; turn += 1) await Promise.resolve();
}
