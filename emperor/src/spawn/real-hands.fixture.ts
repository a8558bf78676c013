/** Real processes for the tests of this folder: the hands with the native package, and a tiny vassal. */
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import * as linux from "@emperor/linux";
import type { VassalSpec } from "@emperor/monitors";
import { memoryLogger } from "../log/logger.ts";
import type { Settings } from "../options/settings.ts";
import { createEmperorHooks, createHands } from "./create-hands.ts";
import type { EmperorHooks } from "./emperor-hooks.ts";
import type { MachineHands } from "./hands.ts";
import {
  RecordingListener,
  testSettings,
  testSpec,
  testTyrant,
  type Told,
} from "./spawn.fixture.ts";

const DEADLINE_MS = 10_000;

export type End = Extract<Told, { kind: "exited" | "failed" }>;

function isEnd(one: Told): one is End {
  return one.kind === "exited" || one.kind === "failed";
}

/** A directory of its own that everybody may enter. */
export function privateDirectory(mode: number): string {
  const directory = realpathSync(mkdtempSync(join(tmpdir(), "real-hands-")));
  chmodSync(directory, mode);
  return directory;
}

/** Compiles the tiny vassal into `directory` and gives its path. */
export function compileVassal(directory: string): string {
  const program = join(directory, "obeys");
  const source = fileURLToPath(new URL("obeys.fixture.c", import.meta.url));
  execFileSync("cc", ["-O1", "-o", program, source]);
  return program;
}

export function readProc(pid: number, file: string): string {
  return readFileSync(`/proc/${pid}/${file}`, "utf8");
}

/** One Emperor's hands, whose processes are ended and counted when the test is over. */
export class RealHands {
  readonly listener = new RecordingListener();
  readonly logger = memoryLogger();
  readonly hands: MachineHands;
  readonly hooks: EmperorHooks;
  readonly #handles: number[] = [];
  readonly #directory: string;

  constructor(program: string, directory: string, changes: Partial<Settings>) {
    const settings = testSettings({ binaryPath: program, ...changes });
    this.#directory = directory;
    this.hooks = createEmperorHooks(settings, linux, this.logger);
    this.hands = createHands(settings, linux, this.listener, this.logger, this.hooks, {
      ...testTyrant(settings),
    });
  }

  get lines(): readonly string[] {
    return this.logger.lines.map(({ message }) => message);
  }

  start(spec: Partial<VassalSpec> = {}): number {
    const handle = this.#handles.length + 1;
    this.#handles.push(handle);
    this.hands.spawn(handle, testSpec({ cwd: this.#directory, ...spec }), {});
    return handle;
  }

  bytesOf(handle: number): readonly number[] {
    return this.listener.told.flatMap((one) =>
      one.kind === "bytes" && one.handle === handle ? one.bytes : [],
    );
  }

  pidOf(handle: number): number {
    const one = this.listener.told.find(
      (told) => told.kind === "spawned" && told.handle === handle,
    );
    if (one?.kind !== "spawned") throw new Error(`not started: ${this.#story()}`);
    return one.pid;
  }

  ends(): readonly End[] {
    return this.listener.told.filter(isEnd);
  }

  /** Waits until `find` gives something; fails at the deadline with all that was told. */
  async until<Found>(find: () => Found | undefined, what: string): Promise<Found> {
    const found = find();
    if (found !== undefined) return found;
    return new Promise((resolve, reject) => {
      // Not everything that is waited for is told: the file system and /proc are looked at again.
      const timer = setInterval(look, 10);
      const limit = setTimeout(() => {
        finish();
        reject(new Error(`waited for ${what}; ${this.#story()}`));
      }, DEADLINE_MS);
      const { listener } = this;
      function finish(): void {
        clearInterval(timer);
        clearTimeout(limit);
        listener.onTold = () => undefined;
      }
      function look(): void {
        const now = find();
        if (now === undefined) return;
        finish();
        resolve(now);
      }
      listener.onTold = look;
    });
  }

  /** Waits until its process runs. */
  async started(handle: number): Promise<void> {
    const find = (): true | undefined =>
      this.listener.told.some((one) => one.kind === "spawned" && one.handle === handle)
        ? true
        : undefined;
    await this.until(find, `the start of ${handle}`);
  }

  async heard(handle: number, byte: number): Promise<void> {
    const hear = (): true | undefined => (this.bytesOf(handle).includes(byte) ? true : undefined);
    await this.until(hear, `byte ${byte} of ${handle}`);
  }

  async ended(handle: number): Promise<End> {
    return this.until(
      () => this.ends().find((one) => one.handle === handle),
      `the end of ${handle}`,
    );
  }

  /** Waits until no process has this pid, or only one that waits to be reaped by somebody else. */
  async gone(pid: number): Promise<void> {
    await this.until(() => {
      if (!existsSync(`/proc/${pid}`)) return true;
      return readProc(pid, "stat").includes(") Z ") ? true : undefined;
    }, `the end of pid ${pid}`);
  }

  /** Ends what is left, and gives everything back. The number of children that remain: 0. */
  async close(): Promise<number> {
    for (const handle of this.#handles) this.hands.kill(handle, "SIGKILL", "tree");
    for (const handle of this.#handles) {
      await this.ended(handle);
      this.hands.release(handle);
    }
    const left = this.hands.processesAlive + this.hands.watcher.size;
    await this.hands.close();
    return left;
  }

  #story(): string {
    return `told ${JSON.stringify(this.listener.told).slice(0, 2000)}; log ${JSON.stringify(this.lines)}`;
  }
}

/** An executable shell script. */
export function writeScript(path: string, body: string): string {
  writeFileSync(path, `#!/bin/sh\n${body}\n`);
  chmodSync(path, 0o755);
  return path;
}
