/** Tenants for the tests of Tyrant mode: users without entries, their configs, and what they try. */
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { startEmperor } from "../harness/emperor.ts";
import type { EmperorUnderTest, Run, StartOptions } from "../harness/emperor.ts";

/** Two users whom no machine knows. */
export const ANN = 61_001;
export const BOB = 61_002;

/** A config that belongs to `owner` from its first moment in place. */
export function plant(
  run: Run,
  name: string,
  text: string,
  owner: number,
  mode = 0o644,
  gid = owner,
): string {
  const aside = join(run.path, `aside-${process.hrtime.bigint()}`);
  writeFileSync(aside, text);
  chownSync(aside, owner, gid);
  chmodSync(aside, mode);
  renameSync(aside, run.at(name));
  return run.at(name);
}

/** A directory of `owner` in the run's folder. */
export function folderOf(run: Run, name: string, owner: number, mode = 0o755): string {
  const path = join(run.path, name);
  mkdirSync(path);
  chmodSync(path, mode);
  chownSync(path, owner, owner);
  return path;
}

/** Fixture vassals in Tyrant mode. The fixture is a wrapper, so it gets the variables of its reports. */
export function startTyrant(options: StartOptions = {}, run?: Run): Promise<EmperorUnderTest> {
  return startEmperor({ ...options, args: ["--emperor-tyrant", ...(options.args ?? [])] }, run);
}

/** What a tenant's program found out, line by line; undefined until it is done. */
export function findings(run: Run, name: string): readonly string[] | undefined {
  const path = join(run.path, "out", name);
  if (!existsSync(path)) return undefined;
  const lines = readFileSync(path, "utf8").trimEnd().split("\n");
  return lines.at(-1) === "done" ? lines.slice(0, -1) : undefined;
}

/**
 * Vassals that run the shell script `scripts/NAME.sh` of the run's folder, with the clean environment of
 * Tyrant mode. What a script prints is in `findings` once it printed "done"; it must live on after that.
 */
export async function startScripts(options: StartOptions = {}): Promise<EmperorUnderTest> {
  return startTyrant({
    wrapper: null,
    ...options,
    // The mark by which the harness finds what is left over.
    args: [
      "--binary-path",
      "{dir}/script-vassal",
      "--vassal-env-keep",
      "EMPEROR_TEST_RUN",
      ...(options.args ?? []),
    ],
    prepare: (run) => {
      mkdirSync(join(run.path, "scripts"));
      folderOf(run, "out", 0, 0o777);
      writeFileSync(
        join(run.path, "script-vassal"),
        `#!/bin/sh\nexec sh "${run.path}/scripts/$2.sh" > "${run.path}/out/$2"\n`,
        { mode: 0o755 },
      );
      chmodSync(join(run.path, "script-vassal"), 0o755);
      options.prepare?.(run);
    },
  });
}

/** Adds a vassal of `owner` that runs `script`. */
export function plantScript(run: Run, name: string, script: string, owner: number): void {
  writeFileSync(join(run.path, "scripts", `${name}.sh`), script);
  plant(run, name, "[uwsgi]\n", owner);
}

/** Waits for what the script of `name` found out. */
export function findingsOf(emperor: EmperorUnderTest, name: string): Promise<readonly string[]> {
  return emperor.wait(`the findings of ${name}`, () => findings(emperor.run, name));
}
