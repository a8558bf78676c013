/**
 * Starts the built Emperor (bin/emperor) in a folder of its own and lets a test watch and poke it as
 * an operator would: by files, signals and sockets. What it started is gone when the test is over,
 * and a test after which anything is left fails. Knows nothing of how the Emperor works inside.
 */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import {
  chmodSync,
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { isAbsolute, join } from "node:path";
import type { StatsDocument, StatsVassal } from "@emperor/protocol";
import { expect, inject, onTestFinished } from "vitest";
import { descriptorsOf, isAlive, markedProcesses, renderTree } from "./processes.ts";
import { Reports } from "./reports.ts";
import type { Report } from "./reports.ts";
import { exchange } from "./sockets.ts";
import { waitFor } from "./wait.ts";
import type { Witness } from "./wait.ts";

/** Another program that takes the same options can be put to the same tests, to compare. */
const EMPEROR = process.env["EMPEROR_UNDER_TEST"] ?? join(import.meta.dirname, "../../bin/emperor");
const MARKER = "EMPEROR_TEST_RUN";

export interface StartOptions {
  /** Another Emperor that takes the same options, for a test that is about both. */
  readonly program?: string;
  /** Configs that are there before the Emperor starts: name -> text. */
  readonly vassals?: Readonly<Record<string, string>>;
  /** Further arguments. `{dir}` stands for the folder of this run, `{vassals}` for that of its configs, here and in `env`. */
  readonly args?: readonly string[];
  /** Values of `--emperor`; default: the folder of the vassals. */
  readonly monitors?: readonly string[];
  /** The vassals' program (`--emperor-wrapper`); default: the fixture. null: the option is left out. */
  readonly wrapper?: string | null;
  /** Address for `--emperor-stats`; default: a unix socket. null: none. */
  readonly stats?: string | null;
  /** null: the option is left out. Default 1: what a watch misses is found soon. */
  readonly frequencySeconds?: number | null;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** A program that executes its arguments (`prlimit --nofile=64`...). */
  readonly launcher?: readonly string[];
  /** Called with the folder before the Emperor starts. */
  readonly prepare?: (run: Run) => void;
  /** Do not wait until it governs. */
  readonly impatient?: boolean;
}

/** A folder of its own with a place for configs, reports and a log. */
export class Run {
  readonly path: string = mkdtempSync(join(tmpdir(), "em-"));
  readonly vassals: string = join(this.path, "vassals");
  readonly temporary: string = join(this.path, "tmp");
  readonly reports: Reports;

  constructor() {
    // Vassals of other users must be able to get here.
    chmodSync(this.path, 0o755);
    mkdirSync(this.vassals);
    mkdirSync(this.temporary);
    chmodSync(this.temporary, 0o777);
    mkdirSync(join(this.path, "seen"));
    this.reports = new Reports(join(this.path, "seen/reports.jsonl"));
  }

  /** Path of `name` in the vassals' folder, or `name` itself if it is absolute. */
  at(name: string): string {
    return isAbsolute(name) ? name : join(this.vassals, name);
  }

  /** Writes a config aside and renames it into place, as deployment tools do. */
  put(name: string, text: string): string {
    const target = this.at(name);
    const aside = join(this.path, `aside-${process.hrtime.bigint()}`);
    writeFileSync(aside, text);
    renameSync(aside, target);
    return target;
  }

  /** Environment of everything that is started on behalf of this run. */
  environment(more: Readonly<Record<string, string>> = {}): NodeJS.ProcessEnv {
    const inherited = Object.entries(process.env).filter(
      ([name]) => !/^(UWSGI_|NOTIFY_|FIXTURE_|VITEST|NODE_ENV|NODE_OPTIONS)/.test(name),
    );
    return {
      ...Object.fromEntries(inherited),
      TMPDIR: this.temporary,
      FIXTURE_EVENTS: this.reports.path,
      [MARKER]: this.path,
      ...more,
    };
  }

  processes(): ReturnType<typeof markedProcesses> {
    return markedProcesses(`${MARKER}=${this.path}`);
  }

  fill(args: readonly string[]): string[] {
    return args.map((arg) =>
      arg.replaceAll("{dir}", this.path).replaceAll("{vassals}", this.vassals),
    );
  }
}

export interface EmperorExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A started Emperor. */
export class EmperorUnderTest {
  readonly run: Run;
  readonly statsAddress: string | undefined;
  readonly argv: readonly string[];
  readonly #child: ChildProcess;
  readonly #logPath: string;
  #exit: EmperorExit | undefined;
  readonly #ended: Promise<void>;
  readonly #witness: Witness;

  constructor(
    run: Run,
    argv: readonly string[],
    statsAddress: string | undefined,
    options: StartOptions,
  ) {
    this.run = run;
    this.argv = argv;
    this.statsAddress = statsAddress;
    this.#logPath = join(
      run.path,
      `seen/emperor-${readdirSync(join(run.path, "seen")).length}.log`,
    );
    const log = openSync(this.#logPath, "a");
    const [program = "", ...args] = argv;
    this.#child = spawn(program, args, {
      cwd: options.cwd ?? run.path,
      env: run.environment(
        Object.fromEntries(
          Object.entries(options.env ?? {}).map(([name, value]) => [
            name,
            run.fill([value])[0] ?? "",
          ]),
        ),
      ),
      stdio: ["ignore", log, log],
      detached: true,
    });
    closeSync(log);
    this.#ended = new Promise((resolve) => {
      this.#child.once("error", (error) => {
        writeFileSync(this.#logPath, `cannot start: ${error.message}\n`, { flag: "a" });
        this.#exit = { code: 127, signal: null };
        resolve();
      });
      this.#child.once("exit", (code, signal) => {
        this.#exit = { code, signal };
        resolve();
      });
    });
    this.#witness = {
      onChange: (listener) => {
        const forget = run.reports.onChange(listener);
        this.#child.on("exit", listener);
        return () => {
          forget();
          this.#child.off("exit", listener);
        };
      },
      account: () => this.account(),
    };
  }

  get pid(): number {
    return this.#child.pid ?? -1;
  }

  get exit(): EmperorExit | undefined {
    return this.#exit;
  }

  log(): string {
    return readFileSync(this.#logPath, "utf8");
  }

  /** Everything that was seen: what a failed wait prints. */
  account(): string {
    const exit = this.#exit === undefined ? "runs" : `ended with ${JSON.stringify(this.#exit)}`;
    const reports = this.run.reports.all().map((report) => {
      const { event, name, pid, byte, behaviour, note, text, error } = report;
      return `  ${JSON.stringify({ event, name, pid, byte, behaviour, note, text: text?.slice(0, 80), error })}`;
    });
    return [
      `--- ${this.argv.join(" ")}\n--- the Emperor (pid ${this.pid}) ${exit}; reports of its vassals:`,
      reports.slice(-60).join("\n"),
      "--- its log (the end of it):",
      this.log().slice(-6000),
      "--- processes:",
      renderTree(this.run.processes()),
    ].join("\n");
  }

  // --- what an operator does

  put(name: string, text: string): string {
    return this.run.put(name, text);
  }

  /** Writes a config in place, as an editor or `cp` does. */
  write(name: string, text: string): string {
    const target = this.run.at(name);
    writeFileSync(target, text);
    return target;
  }

  remove(name: string): void {
    unlinkSync(this.run.at(name));
  }

  rename(from: string, to: string): void {
    renameSync(this.run.at(from), this.run.at(to));
  }

  /** As `touch`, but never into the same instant as before. */
  touch(name: string): void {
    const path = this.run.at(name);
    const at = new Date(Math.max(Date.now(), statSync(path).mtimeMs + 10));
    utimesSync(path, at, at);
  }

  signal(signal: NodeJS.Signals): void {
    process.kill(this.pid, signal);
  }

  // --- what an operator sees

  async rawStats(request?: string): Promise<string> {
    if (this.statsAddress === undefined) throw new Error("this Emperor has no statistics");
    return exchange(this.statsAddress, request);
  }

  async stats(): Promise<StatsDocument> {
    return JSON.parse(await this.rawStats()) as StatsDocument;
  }

  async vassal(name: string): Promise<StatsVassal | undefined> {
    return (await this.stats()).vassals.find((vassal) => vassal.id === name);
  }

  async blacklisted(name: string): Promise<StatsDocument["blacklist"][number] | undefined> {
    return (await this.stats()).blacklist.find((entry) => entry.id === name);
  }

  descriptorCount(): number {
    return descriptorsOf(this.pid).size;
  }

  // --- waits

  wait<T>(
    what: string,
    attempt: () => T | undefined | false | Promise<T | undefined | false>,
    deadlineMs?: number,
  ): Promise<T> {
    return waitFor(what, attempt, {
      witness: this.#witness,
      ...(deadlineMs === undefined ? {} : { deadlineMs }),
    });
  }

  /** The `count`th report of this event (1 = first) whose fields are as given. */
  report(event: string, name: string, fields: Partial<Report> = {}, count = 1): Promise<Report> {
    return this.wait(`report ${count} "${event}" of ${name} with ${JSON.stringify(fields)}`, () => {
      const found = this.run.reports
        .of(event, name)
        .filter((report) =>
          Object.entries(fields).every(([key, value]) => report[key as keyof Report] === value),
        );
      return found[count - 1];
    });
  }

  started(name: string, count = 1): Promise<Report> {
    return this.report("started", name, {}, count);
  }

  received(name: string, byte: number, count = 1): Promise<Report> {
    return this.report("received", name, { byte }, count);
  }

  starts(name: string): number {
    return this.run.reports.of("started", name).length;
  }

  /** Statistics of the vassal once its fields are as given. */
  vassalWith(name: string, fields: Partial<StatsVassal> = {}): Promise<StatsVassal> {
    return this.wait(`statistics of ${name} with ${JSON.stringify(fields)}`, async () => {
      const vassal = await this.vassal(name);
      if (vassal === undefined) throw new Error(`${name} is not in the statistics`);
      for (const [key, value] of Object.entries(fields)) {
        if (vassal[key as keyof StatsVassal] !== value) throw new Error(JSON.stringify(vassal));
      }
      return vassal;
    });
  }

  forgotten(name: string): Promise<true> {
    return this.wait(
      `${name} to leave the statistics`,
      async () => (await this.vassal(name)) === undefined && true,
    );
  }

  logged(text: string | RegExp): Promise<string> {
    return this.wait(`the log to have ${String(text)}`, () =>
      this.log()
        .split("\n")
        .find((line) => (typeof text === "string" ? line.includes(text) : text.test(line))),
    );
  }

  gone(pid: number): Promise<true> {
    return this.wait(`the end of process ${pid}`, () => !isAlive(pid) && true);
  }

  ended(deadlineMs?: number): Promise<EmperorExit> {
    return this.wait("the end of the Emperor", () => this.#exit, deadlineMs);
  }

  /**
   * Proves that the Emperor has looked at its directories and handled what was there before: a
   * new config that is put now has started. For tests that something did *not* happen.
   */
  async fence(): Promise<void> {
    const name = `fence-${process.hrtime.bigint()}.ini`;
    this.put(name, "[uwsgi]\nbehaviour = loyal\n");
    this.signal("SIGWINCH");
    await this.vassalWith(name, { loyal: 1 });
    this.remove(name);
    await this.forgotten(name);
  }

  /** SIGTERM, and once more for those that are deaf; a second one at once would count as the same. */
  async #hurryToEnd(): Promise<void> {
    this.signal("SIGTERM");
    const hurryAt = performance.now() + 400;
    let hurried = false;
    await this.wait("the end of the Emperor after SIGTERM", () => {
      if (this.#exit === undefined && !hurried && performance.now() >= hurryAt) {
        hurried = true;
        this.signal("SIGTERM");
      }
      return this.#exit;
    });
  }

  /** Ends the Emperor and asserts that nothing is left of it. */
  async close(): Promise<void> {
    const ranUntilNow = this.#exit === undefined;
    try {
      if (ranUntilNow) {
        await this.#hurryToEnd();
        expect(this.#exit, `the Emperor's end\n${this.account()}`).toEqual({
          code: 0,
          signal: null,
        });
      }
      await this.wait(
        "all processes of this run to be gone",
        () => this.run.processes().length === 0 && true,
      );
      expect(readdirSync(this.run.temporary), "temporary files left behind").toEqual([]);
      const log = this.log();
      expect(log, "an internal error in the log").not.toMatch(
        /unhandled|internal error|^\s+at .+:\d+:\d+\)?$/im,
      );
    } finally {
      for (const { pid } of this.run.processes()) endProcess(pid);
      await this.#ended;
    }
  }
}

function endProcess(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It was faster.
  }
}

/** A folder for this test, removed when the test is over, whatever happened. */
export function newRun(): Run {
  const run = new Run();
  onTestFinished(() => {
    run.reports.close();
    for (const { pid } of run.processes()) endProcess(pid);
    rmSync(run.path, { recursive: true, force: true });
    expect(existsSync(run.path)).toBe(false);
  });
  return run;
}

/** Starts an Emperor; it and all it started is gone when the test is over. */
export async function startEmperor(
  options: StartOptions = {},
  run: Run = newRun(),
): Promise<EmperorUnderTest> {
  for (const [name, text] of Object.entries(options.vassals ?? {})) run.put(name, text);
  options.prepare?.(run);
  const stats = options.stats === undefined ? join(run.path, "stats.sock") : options.stats;
  const frequency = options.frequencySeconds === undefined ? 1 : options.frequencySeconds;
  const wrapper = options.wrapper === undefined ? inject("fixtureVassal") : options.wrapper;
  const argv = [
    ...(options.launcher ?? []),
    options.program ?? EMPEROR,
    ...(options.monitors ?? [run.vassals]).flatMap((monitor) => ["--emperor", monitor]),
    ...(wrapper === null ? [] : ["--emperor-wrapper", wrapper]),
    ...(stats === null ? [] : ["--emperor-stats", stats]),
    ...(frequency === null ? [] : ["--emperor-freq", String(frequency)]),
    ...(options.args ?? []),
  ];
  const emperor = new EmperorUnderTest(
    run,
    run.fill(argv),
    stats === null ? undefined : run.fill([stats])[0],
    options,
  );
  // Registered after the folder's own clean-up, so it runs before it.
  onTestFinished(() => emperor.close());
  if (options.impatient !== true && stats !== null) {
    await emperor.wait("the Emperor to answer", async () => {
      if (emperor.exit !== undefined) return true;
      return (await emperor.stats()) && true;
    });
    if (emperor.exit !== undefined)
      throw new Error(`the Emperor did not start\n${emperor.account()}`);
  }
  return emperor;
}

export interface CommandResult extends EmperorExit {
  readonly output: string;
}

/** Runs `bin/emperor` with exactly these arguments until it ends. */
export async function emperorCommand(
  args: readonly string[],
  options: StartOptions = {},
  run: Run = newRun(),
): Promise<CommandResult> {
  const argv = [...(options.launcher ?? []), EMPEROR, ...args];
  const emperor = new EmperorUnderTest(run, run.fill(argv), undefined, options);
  onTestFinished(() => emperor.close());
  const exit = await emperor.ended();
  return { ...exit, output: emperor.log() };
}
