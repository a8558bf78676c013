/**
 * Runs once before the integration tests: compiles the fixtures, checks that there is a built
 * Emperor to test, and renews the files that it runs. Knows no test.
 */
import { execFileSync } from "node:child_process";
import { chmodSync, existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestProject } from "vitest/node";

declare module "vitest" {
  interface ProvidedContext {
    /** Absolute path of the compiled fixture vassal, executable by every user. */
    fixtureVassal: string;
    /** Writes the datagrams of a unix socket to stdout, see its source. */
    datagramSink: string;
    /** A library to preload that shifts the wall clock, see its source. */
    clockJump: string;
  }
}

const root = join(import.meta.dirname, "../..");

export default function setup(project: TestProject): () => void {
  const ours = process.env["EMPEROR_UNDER_TEST"] === undefined;
  for (const needed of ours ? ["bin/emperor", "emperor/dist", "linux/build"] : []) {
    if (!existsSync(join(root, needed))) {
      throw new Error(
        `${needed} is missing: the integration tests run what is built. Run "make build" first.`,
      );
    }
  }
  // Costs a second when nothing has changed, and no test runs a program older than its sources.
  if (ours) {
    execFileSync(process.execPath, [join(root, "scripts/bundle.mjs")], {
      stdio: ["ignore", "ignore", "inherit"],
    });
  }
  // Outside of the checkout: vassals of other users must be able to execute it.
  const folder = mkdtempSync(join(tmpdir(), "fixture-vassal-"));
  chmodSync(folder, 0o755);
  const compile = (name: string, ...flags: string[]): string => {
    const program = join(folder, name);
    const source = join(root, `test/fixtures/${name}.c`);
    execFileSync(
      process.env["CC"] ?? "cc",
      ["-O1", "-Wall", "-Wextra", "-o", program, source, ...flags],
      {
        stdio: ["ignore", "inherit", "inherit"],
      },
    );
    chmodSync(program, 0o755);
    return program;
  };
  project.provide("fixtureVassal", compile("fixture-vassal"));
  project.provide("datagramSink", compile("datagram-sink"));
  project.provide("clockJump", compile("clock-jump", "-shared", "-fPIC", "-ldl"));
  return () => {
    rmSync(folder, { recursive: true, force: true });
  };
}
