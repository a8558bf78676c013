/**
 * Programs in Python with Debian's modules: peers in another language than ours. Knows no Emperor.
 */
import { execFile, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { promisify } from "node:util";
import { onTestFinished } from "vitest";
import { needing } from "../../linux/test/privileges.ts";

/** Debian's own first: its modules are for that one. */
const INTERPRETERS = ["/usr/bin/python3", "python3"];

function interpreterWith(module: string): string | undefined {
  return INTERPRETERS.find((program) => {
    try {
      execFileSync(program, ["-c", `import ${module}`], { stdio: "ignore" });
      return true;
    } catch {
      return false;
    }
  });
}

const withZmq = interpreterWith("zmq");
/** The interpreter that has the module. */
export const withPika = interpreterWith("pika");

export const hasPika = withPika !== undefined;
export const hasZmq = withZmq !== undefined;

/** A test whose peer is Debian's python3-zmq. */
export const zmqTest = needing(hasZmq, "needs Debian's python3-zmq");

/** Runs `code`, or a script by its path, with python3-zmq or python3-pika; rejects if it fails. */
export async function python(script: string, ...args: readonly string[]): Promise<string> {
  const program = (/pika|amqp/.test(script) ? withPika : withZmq) ?? "python3";
  const how = script.endsWith(".py") ? [script] : ["-c", script];
  const { stdout } = await promisify(execFile)(program, [...how, ...args], { timeout: 50_000 });
  return stdout;
}

/** One that runs until the test is over; `line` resolves with the first line that it prints. */
export function pythonServer(code: string, ...args: readonly string[]): { line: Promise<string> } {
  const child = spawn(withZmq ?? "python3", ["-c", code, ...args], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  onTestFinished(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill("SIGKILL");
    await once(child, "exit");
  });
  return {
    line: once(child.stdout, "data").then(([chunk]: unknown[]) => String(chunk)),
  };
}
