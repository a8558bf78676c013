/**
 * The master FIFO: whoever may write to it gives orders of one character, as to uWSGI. One of up to ten
 * paths is open at a time. Loaded only where `master-fifo` is set; carries out nothing by itself.
 */
import { execFileSync } from "node:child_process";
import { constants, lstatSync, readSync, unlinkSync } from "node:fs";
import { close, openFile } from "@emperor/linux";
import { ourChildren } from "./children.ts";
import { RuntimeError, reasonOf } from "./errors.ts";
import { log, quote } from "./log.ts";
import type { VassalControls } from "./vassal.ts";

/** Commands beyond what every vassal can be asked. */
export interface FifoTarget {
  readonly controls: VassalControls;
  reinforcements(): void;
  toggleSubscriptions(): void;
  logStatistics(): void;
  reopenLogs(): void;
  rotateLogs(): void;
  rewritePidfiles(): void;
}

/** One order; a string says why there is none. */
type Order = ((target: FifoTarget) => void) | string;

/** All commands of uWSGI's; what is no key is ignored. */
export const FIFO_COMMANDS: ReadonlyMap<string, Order> = new Map<string, Order>([
  ["+", ({ controls }) => controls.changeWorkers(1)],
  ["-", ({ controls }) => controls.changeWorkers(-1)],
  ["B", (target) => target.reinforcements()],
  ["c", ({ controls }) => controls.chainReload()],
  ["C", ({ controls }) => controls.goCheap()],
  ["q", ({ controls }) => controls.stop(true)],
  ["Q", ({ controls }) => controls.stop(false)],
  ["r", ({ controls }) => controls.reload()],
  ["R", ({ controls }) => controls.brutalReload()],
  ["s", (target) => target.logStatistics()],
  ["w", ({ controls }) => controls.reloadWorkers(true)],
  ["W", ({ controls }) => controls.reloadWorkers(false)],
  ["E", "there is no Emperor in this process"],
  ["f", "a master does not copy itself; r starts a new generation beside the old one"],
  ["l", (target) => target.reopenLogs()],
  ["L", (target) => target.rotateLogs()],
  ["p", ({ controls }) => controls.pause()],
  ["P", (target) => target.rewritePidfiles()],
  ["S", (target) => target.toggleSubscriptions()],
]);

const READ_BYTES = 64;

/** Opens the first slot and follows it; throws a `RuntimeError` when that is not possible. */
export function followFifos(paths: readonly string[], target: FifoTarget): void {
  new Fifo(paths, target).open(0);
}

class Fifo {
  readonly #paths: readonly string[];
  readonly #target: FifoTarget;
  #fd = -1;
  #unwatch: () => void = () => undefined;

  constructor(paths: readonly string[], target: FifoTarget) {
    this.#paths = paths;
    this.#target = target;
  }

  open(slot: number): void {
    const path = this.#paths[slot];
    if (path === undefined) return log(`master FIFO: there is no slot ${slot}, ignoring`);
    const fd = create(path);
    this.#unwatch();
    if (this.#fd >= 0) close(this.#fd);
    this.#fd = fd;
    this.#unwatch = ourChildren().whenReadable(fd, () => this.#read());
    log(`master FIFO ${quote(path)} is open`);
  }

  #read(): void {
    const bytes = Buffer.alloc(READ_BYTES);
    let length = 0;
    try {
      length = readSync(this.#fd, bytes);
    } catch (error) {
      if (!(error instanceof Error && "code" in error && error.code === "EAGAIN")) throw error;
    }
    for (const character of bytes.toString("latin1", 0, length)) this.#obey(character);
  }

  #obey(character: string): void {
    if (/\d/.test(character)) {
      try {
        this.open(Number(character));
      } catch (error) {
        log(`${reasonOf(error)}; the open one stays`);
      }
      return;
    }
    const order = FIFO_COMMANDS.get(character);
    if (order === undefined) return; // line ends of echo among them
    if (typeof order === "string")
      return log(`master FIFO: command ${character} has no effect: ${order}`);
    log(`master FIFO: command ${character}`);
    order(this.#target);
  }
}

/**
 * Open for reading and writing: so it does not end when a writer goes, and need not be made anew. A FIFO
 * that is there is replaced, as in uWSGI; anything else is left alone.
 */
function create(path: string): number {
  try {
    const found = lstatSync(path, { throwIfNoEntry: false });
    if (found !== undefined && !found.isFIFO())
      throw new Error("there is something at that path that is no FIFO; it is left alone");
    if (found !== undefined) unlinkSync(path);
    execFileSync("mkfifo", ["-m", "600", "--", path], { stdio: ["ignore", "ignore", "pipe"] });
    return openFile(path, constants.O_RDWR | constants.O_NONBLOCK | constants.O_NOFOLLOW);
  } catch (error) {
    throw new RuntimeError(
      "VASSAL_CONFIG",
      `master-fifo = ${JSON.stringify(path)} cannot be opened: ${reasonOf(error)}`,
      {},
      { cause: error },
    );
  }
}
