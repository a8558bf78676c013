/**
 * `master-fifo`: whoever may write to it gives orders of one character, as to uWSGI. One of up to ten
 * paths is open at a time. Owns the FIFOs; what an order does is for others.
 */
import { execFileSync } from "node:child_process";
import { constants, lstatSync, readSync, unlinkSync } from "node:fs";
import * as linux from "@emperor/linux";
import { EmperorError, errnoOf, reasonOf } from "../errors.ts";
import type { Logger } from "../log/logger.ts";
import type { Ears } from "./ears.ts";

/** What an Emperor can be asked by one character. */
export interface FifoOrders {
  /** `E`. */
  rescan(): void;
  /** `B`: byte 30 to the Emperor above. */
  askReinforcements(): void;
  /** `q`, `Q`. */
  stop(): void;
  /** `r`, `R`. */
  reload(): void;
  /** `s`. */
  logStatus(): void;
}

/** uWSGI's other characters are about workers, which an Emperor has not. */
const ORDERS: Readonly<Record<string, keyof FifoOrders>> = {
  E: "rescan",
  B: "askReinforcements",
  q: "stop",
  Q: "stop",
  r: "reload",
  R: "reload",
  s: "logStatus",
};

const READ_BYTES = 64;

export class MasterFifo {
  readonly #paths: readonly string[];
  readonly #ears: Ears;
  readonly #logger: Logger;
  readonly #orders: FifoOrders;
  #fd = -1;
  #open: { readonly path: string; readonly ino: bigint } | undefined;
  #deafen: () => void = () => undefined;

  /**
   * Opens the first path. `paths` are absolute.
   * @throws EmperorError `bind-failed`
   */
  constructor(paths: readonly string[], ears: Ears, logger: Logger, orders: FifoOrders) {
    this.#paths = paths;
    this.#ears = ears;
    this.#logger = logger;
    this.#orders = orders;
    this.#switch(0);
  }

  close(): void {
    this.#deafen();
    if (this.#fd >= 0) linux.close(this.#fd);
    this.#fd = -1;
    const open = this.#open;
    if (open === undefined) return;
    const found = lstatSync(open.path, { bigint: true, throwIfNoEntry: false });
    if (found?.ino === open.ino) unlinkSync(open.path);
  }

  #switch(slot: number): void {
    const path = this.#paths[slot];
    if (path === undefined)
      return this.#logger.warning(`[emperor] master FIFO: there is no slot ${slot}, ignoring`);
    const fd = create(path);
    this.close();
    this.#fd = fd;
    this.#open = { path, ino: lstatSync(path, { bigint: true }).ino };
    this.#deafen = this.#ears.hear(fd, () => this.#read());
  }

  #read(): void {
    const bytes = Buffer.alloc(READ_BYTES);
    let length = 0;
    try {
      length = readSync(this.#fd, bytes);
    } catch (error) {
      if (errnoOf(error) !== "EAGAIN") throw error;
    }
    for (const character of bytes.toString("latin1", 0, length)) this.#obey(character);
  }

  #obey(character: string): void {
    if (/\d/.test(character)) {
      try {
        this.#switch(Number(character));
      } catch (error) {
        this.#logger.error(`[emperor] ${reasonOf(error)}: the FIFO that is open stays`);
      }
      return;
    }
    const order = ORDERS[character];
    if (order === undefined) return; // line ends of echo among them
    this.#logger.info(`[emperor] master FIFO: command ${character}`);
    this.#orders[order]();
  }
}

/**
 * Open for reading and writing: so it does not end when a writer goes, and need not be made anew. A
 * FIFO that is there is replaced, as in uWSGI; anything else is left alone.
 */
function create(path: string): number {
  try {
    const found = lstatSync(path, { throwIfNoEntry: false });
    if (found !== undefined && !found.isFIFO())
      throw new Error("there is something that is no FIFO; it is left alone");
    if (found !== undefined) unlinkSync(path);
    execFileSync("mkfifo", ["-m", "600", "--", path], { stdio: ["ignore", "ignore", "pipe"] });
    return linux.openFile(path, constants.O_RDWR | constants.O_NONBLOCK | constants.O_NOFOLLOW);
  } catch (error) {
    throw new EmperorError(
      "bind-failed",
      `master-fifo = ${path}: ${reasonOf(error)}; nothing is started`,
      { cause: error },
    );
  }
}
