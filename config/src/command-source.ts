/**
 * The scheme `exec://`: what a shell command writes to its standard output. Loaded when one is used.
 * The shell is part of the scheme's meaning; what runs has the rights of whoever reads the config.
 */
import { spawn } from "node:child_process";
import { SourceTimeout } from "./deadline.ts";
import type { SourceBounds } from "./deadline.ts";

export interface CommandSurroundings extends SourceBounds {
  readonly cwd: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

export interface CommandOutput {
  readonly bytes: Uint8Array;
  /** How it ended if not with 0; uWSGI does not look, so it is worth a warning only. */
  readonly failure: string | undefined;
}

/**
 * Runs `/bin/sh -c LINE` in a session of its own, with nothing to read and our standard error, up to
 * the end of its output. Rejects with RangeError beyond `maxBytes` and with SourceTimeout; the
 * command and its process group are killed then.
 */
export async function readCommandOutput(
  line: string,
  { cwd, environment, maxBytes, timeoutMs }: CommandSurroundings,
): Promise<CommandOutput> {
  return new Promise((resolve, reject) => {
    const child = spawn("/bin/sh", ["-c", line], {
      cwd,
      env: { ...environment },
      detached: true,
      stdio: ["ignore", "pipe", "inherit"],
    });
    const chunks: Buffer[] = [];
    let total = 0;
    const end = (): void => {
      clearTimeout(timer);
      child.removeAllListeners();
      child.stdout.removeAllListeners();
    };
    const giveUp = (error: Error): void => {
      end();
      // Errors of a pipe that nobody reads any more, and of a kill that came too late, tell nothing.
      child.on("error", () => undefined);
      child.stdout.on("error", () => undefined).destroy();
      // Before its exit is reported it was not reaped, so the number still is this group's.
      if (child.pid !== undefined && child.exitCode === null && child.signalCode === null)
        process.kill(-child.pid, "SIGKILL");
      child.unref();
      reject(error);
    };
    const timer = setTimeout(() => giveUp(new SourceTimeout(timeoutMs)), timeoutMs);
    child.once("error", giveUp);
    child.stdout.on("data", (chunk: Buffer) => {
      total += chunk.length;
      if (total > maxBytes) giveUp(new RangeError(`more than ${maxBytes} bytes`));
      else chunks.push(chunk);
    });
    child.once("close", (code, signal) => {
      end();
      const failure =
        code === 0
          ? undefined
          : signal === null
            ? `it exited with ${code}`
            : `it was ended by ${signal}`;
      resolve({ bytes: Buffer.concat(chunks, total), failure });
    });
  });
}
