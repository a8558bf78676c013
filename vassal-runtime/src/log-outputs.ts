/**
 * The output of what this process starts (workers, commands, daemons) on its way to the loggers: a pipe
 * that they write to and this process reads, where a plain descriptor is not enough. The same for the request lines of
 * workers. Without it children inherit descriptors 1 and 2.
 */
import { execFileSync } from "node:child_process";
import { constants, mkdtempSync, readSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { close, openFile } from "@emperor/linux";
import { ourChildren } from "./children.ts";
import { RuntimeError, reasonOf } from "./errors.ts";
import type { LogSink } from "./log-sinks.ts";

const READ_BYTES = 65_536;
/** Then others get their turn. */
const MOST_READS = 16;
/** A line without an end is passed on in pieces of this size. */
const MOST_LINE_LENGTH = 65_536;

export class LogPipe {
  readonly #sink: LogSink;
  readonly #readFd: number;
  /** Also keeps the pipe from ending when no child has it. */
  readonly #writeFd: number;
  readonly #buffer = Buffer.alloc(READ_BYTES);
  readonly #decoder = new TextDecoder();
  #rest = "";

  /** Throws a `RuntimeError` when there can be no pipe. */
  constructor(sink: LogSink) {
    this.#sink = sink;
    try {
      const folder = mkdtempSync(join(tmpdir(), "vassal-log-"));
      try {
        const path = join(folder, "pipe");
        execFileSync("mkfifo", ["-m", "600", "--", path], { stdio: ["ignore", "ignore", "pipe"] });
        this.#readFd = openFile(path, constants.O_RDONLY | constants.O_NONBLOCK);
        this.#writeFd = openFile(path, constants.O_WRONLY);
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    } catch (error) {
      throw new RuntimeError(
        "VASSAL_CONFIG",
        `there can be no pipe for the log: ${reasonOf(error)}`,
        {},
        { cause: error },
      );
    }
    ourChildren().whenReadable(this.#readFd, () => this.#read(MOST_READS));
  }

  /**
   * A descriptor for one more writer, to be closed when the writer has it. Each has an open file of its
   * own, because Node makes its outputs non-blocking and other programs do not expect that.
   */
  writer(blocking: boolean): number {
    return openFile(
      `/proc/self/fd/${this.#writeFd}`,
      constants.O_WRONLY | (blocking ? 0 : constants.O_NONBLOCK),
    );
  }

  /** Everything that is in the pipe, for the end of this process. */
  drain(): void {
    this.#read(Number.POSITIVE_INFINITY);
    if (this.#rest !== "") this.#sink.write(`${this.#rest}\n`);
    this.#rest = "";
    this.#sink.flushNow();
  }

  #read(mostReads: number): void {
    for (let reads = 0; reads < mostReads; reads++) {
      let length = 0;
      try {
        length = readSync(this.#readFd, this.#buffer);
      } catch (error) {
        if (!(error instanceof Error && "code" in error && error.code === "EAGAIN")) throw error;
      }
      if (length === 0) return;
      const text = this.#decoder.decode(this.#buffer.subarray(0, length), { stream: true });
      this.#deliver(text);
    }
  }

  #deliver(text: string): void {
    const all = this.#rest + text;
    const end = all.lastIndexOf("\n") + 1;
    this.#rest = all.slice(end);
    if (end > 0) this.#sink.write(all.slice(0, end));
    if (this.#rest.length > MOST_LINE_LENGTH) {
      this.#sink.write(`${this.#rest}\n`);
      this.#rest = "";
    }
  }
}

/** Descriptors that a child gets as its output; `close` when it has them. */
export interface ChildOutput {
  readonly fd: readonly [stdout: number, stderr: number];
  close(): void;
}

const INHERITED: ChildOutput = { fd: [1, 2], close: () => undefined };

let outputs: LogPipe | undefined;
let requests: LogPipe | undefined;

/** From now on children write there. */
export function sendOutputsTo(sink: LogSink): LogPipe {
  return (outputs = new LogPipe(sink));
}

/** From now on workers write their request lines there. */
export function sendRequestLinesTo(sink: LogSink): LogPipe {
  return (requests = new LogPipe(sink));
}

/** For a child that is about to be started; `outlives`: it may be there when this process is not. */
export function childOutput(outlives = false): ChildOutput {
  if (outputs === undefined || outlives) return INHERITED;
  const fd = outputs.writer(true);
  return { fd: [fd, fd], close: () => close(fd) };
}

/** A descriptor for the request lines of one worker, non-blocking; undefined: its standard error. */
export function requestLineOutput(): number | undefined {
  return requests?.writer(false);
}
