/**
 * Runs the steps of `make check` and `make test` one after another and keeps the count. It knows how
 * to read the outcome of vitest and of programs that end with `N passed, N failed, N skipped`; which
 * steps there are is for the callers to say.
 */
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** Programs of the workspace are found without a package manager in between. */
process.env["PATH"] =
  `${root}/node_modules/.bin:${root}/.tools/node_modules/.bin:${process.env["PATH"] ?? ""}`;

/** What a program that counts for itself did not try, and why. */
const SKIP_LINE = /^SKIP (.+)$/gm;

const COUNT_LINE = /^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$/gm;

/**
 * Runs a program with our output and no input; gives its exit code (128 + n for a signal). With
 * `capture`, what it wrote to stdout is shown and given back, too.
 */
function run(command, args, { env = {}, capture = false } = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      cwd: root,
      env: { ...process.env, ...env },
      stdio: ["ignore", capture ? "pipe" : "inherit", "inherit"],
    });
    let output = "";
    child.stdout?.on("data", (chunk) => {
      output += chunk;
      process.stdout.write(chunk);
    });
    child.on("error", (error) => {
      console.error(`${command}: ${error.message}`);
      resolve({ code: 127, output });
    });
    child.on("close", (code, signal) => resolve({ code: code ?? (signal ? 255 : 1), output }));
  });
}

/** A list of steps with their outcome; `finish` prints the summary and sets the exit code. */
export class Steps {
  #results = [];
  #skips = [];
  #startedAt = performance.now();

  /** A step that passes or fails as a whole. A failed `required` step ends the run. */
  async command(name, command, args = [], { required = false, env = {} } = {}) {
    const startedAt = this.#announce(name);
    const { code, output } = await run(command, args, { env, capture: true });
    // A program that counts for itself is believed, as long as its exit code agrees.
    const counted = [...output.matchAll(COUNT_LINE)].at(-1);
    const ok = code === 0;
    const counts = counted
      ? { passed: Number(counted[1]), failed: Number(counted[2]), skipped: Number(counted[3] ?? 0) }
      : { passed: ok ? 1 : 0, failed: 0, skipped: 0 };
    const silent = counts.passed + counts.failed + counts.skipped === 0;
    // Nothing tested is nothing proved.
    if (counts.failed === 0 && (!ok || silent)) counts.failed = 1;
    for (const [, skip] of output.matchAll(SKIP_LINE)) this.#skips.push(`${name}: ${skip}`);
    this.#add(name, startedAt, counts);
    if (!ok && required) this.finish(`${name} failed, so the steps after it were not run.`);
    return ok;
  }

  /** One project of vitest.config.ts, counted test by test. */
  async vitest(project, { env = {}, args = [] } = {}) {
    const startedAt = this.#announce(project);
    const folder = mkdtempSync(join(tmpdir(), "vitest-report-"));
    const report = join(folder, "report.json");
    const { code } = await run(
      process.execPath,
      [
        "node_modules/vitest/vitest.mjs",
        "run",
        "--project",
        project,
        "--reporter=default",
        "--reporter=json",
        `--outputFile.json=${report}`,
        ...args,
      ],
      { env },
    );
    const counts = this.#readReport(report, project);
    rmSync(folder, { recursive: true, force: true });
    // An error outside of any test (a file that does not load, an unhandled rejection) fails, too.
    if (code !== 0 && counts.failed === 0) counts.failed = 1;
    this.#add(project, startedAt, counts);
  }

  #readReport(file, project) {
    const counts = { passed: 0, failed: 0, skipped: 0 };
    let report;
    try {
      report = JSON.parse(readFileSync(file, "utf8"));
    } catch {
      return { ...counts, failed: 1 };
    }
    for (const suite of report.testResults) {
      for (const test of suite.assertionResults) {
        if (test.status === "passed") counts.passed += 1;
        else if (test.status === "failed") counts.failed += 1;
        else {
          counts.skipped += 1;
          this.#skips.push(`${project}: ${test.fullName}`);
        }
      }
    }
    return counts;
  }

  #announce(name) {
    console.log(`\n=== ${name} ===`);
    return performance.now();
  }

  #add(name, startedAt, counts) {
    this.#results.push({ name, seconds: (performance.now() - startedAt) / 1000, ...counts });
  }

  /** Prints the summary and ends the process: 0 when nothing failed. */
  finish(remark) {
    // In CI every privilege is there, so a skip there is a hole in the net.
    const skipsFail = process.env["REQUIRE_PRIVILEGED"] === "1";
    const sum = { passed: 0, failed: 0, skipped: 0 };
    console.log(
      `\n=== summary, ${((performance.now() - this.#startedAt) / 1000).toFixed(0)} s ===`,
    );
    for (const result of this.#results) {
      for (const key of Object.keys(sum)) sum[key] += result[key];
      const mark = result.failed > 0 ? "FAIL" : "ok  ";
      const counts = `${result.passed} passed, ${result.failed} failed, ${result.skipped} skipped`;
      console.log(`${mark} ${result.name.padEnd(28)} ${counts} in ${result.seconds.toFixed(1)} s`);
    }
    if (this.#skips.length > 0) {
      console.log(`\nSKIPPED (${this.#skips.length}), each name says what is missing here:`);
      for (const skip of this.#skips) console.log(`  ${skip}`);
      if (skipsFail) {
        console.log("REQUIRE_PRIVILEGED=1: a skipped test is a failed one.");
        sum.failed += this.#skips.length;
        sum.skipped -= this.#skips.length;
      }
    }
    if (remark) console.log(`\n${remark}`);
    console.log(`\n${sum.passed} passed, ${sum.failed} failed, ${sum.skipped} skipped`);
    process.exit(sum.failed > 0 ? 1 : 0);
  }
}
