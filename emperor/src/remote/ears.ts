/**
 * Hears when descriptors beside those of the vassals can be read: command sockets, the own Emperor's
 * channel, the FIFO. One thread for all of them, made when the first is heard. Knows no protocol.
 */
import { createWatcher, type Watcher } from "@emperor/linux";

export class Ears {
  #watcher: Watcher | undefined;
  readonly #listeners = new Map<number, () => void>();
  #lastToken = -1;

  /**
   * Calls `onReadable` whenever `fd` can be read, again as long as something is left to read.
   * @returns a function that ends it, to be called before the descriptor is closed
   */
  hear(fd: number, onReadable: () => void): () => void {
    const watcher = (this.#watcher ??= createWatcher((events) => {
      for (const { token } of events) this.#heard(token);
    }));
    this.#lastToken += 1;
    const token = this.#lastToken;
    watcher.addReadable(fd, token);
    this.#listeners.set(token, onReadable);
    return () => {
      if (this.#listeners.delete(token)) this.#watcher?.remove(token);
    };
  }

  close(): void {
    this.#listeners.clear();
    this.#watcher?.close();
    this.#watcher = undefined;
  }

  #heard(token: number): void {
    this.#listeners.get(token)?.();
    // Unknown to the watcher if the listener has ended the hearing.
    if (this.#listeners.has(token)) this.#watcher?.rearm(token);
  }
}
