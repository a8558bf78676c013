/**
 * Waits for what `wait-for-...` names. Asks only while it waits; the orders of the Emperor are heard
 * meanwhile. Loaded only where there is something to wait for.
 */
import { readFileSync, statSync } from "node:fs";
import { connect } from "node:net";
import { parseAddress } from "./address.ts";
import { RuntimeError } from "./errors.ts";
import { log, quote } from "./log.ts";
import type { Wait } from "./wait-settings.ts";

const ASK_AGAIN_MS = 100;
const CONNECT_WITHIN_MS = 5000;

/** Resolves when everything is there; rejects with a `RuntimeError` when it took too long. */
export async function waitForAll(waits: readonly Wait[]): Promise<void> {
  for (const wait of waits) await waitFor(wait);
}

async function waitFor(wait: Wait): Promise<void> {
  const { kind, what, origin, timeoutMs } = wait;
  const deadline = timeoutMs === 0 ? Infinity : performance.now() + timeoutMs;
  for (let told = false; !(await isThere(wait)); told = true) {
    if (!told) log(`waiting for ${kind} ${quote(what)}`);
    if (performance.now() >= deadline)
      throw new RuntimeError(
        "VASSAL_WAIT",
        `${origin}: wait-for-${kind}: ${quote(what)} was not there within ${timeoutMs / 1000} s; the vassal ends`,
      );
    await new Promise((resolve) => {
      setTimeout(resolve, ASK_AGAIN_MS);
    });
  }
}

async function isThere({ kind, what }: Wait): Promise<boolean> {
  if (kind === "socket") return accepts(what);
  if (kind === "interface") return hasInterface(what);
  return existsAs(what, kind);
}

/**
 * Whether our net namespace has it. /sys shows the interfaces of the namespace in which it was mounted,
 * which need not be ours (emperor-use-clone = net).
 */
function hasInterface(name: string): boolean {
  return readFileSync("/proc/self/net/dev", "utf8")
    .split("\n")
    .some((line) => line.slice(0, Math.max(0, line.lastIndexOf(":"))).trim() === name);
}

function existsAs(path: string, kind: "fs" | "file" | "dir" | "mountpoint"): boolean {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined) return false;
  if (kind === "file") return found.isFile();
  if (kind === "dir") return found.isDirectory();
  return kind === "fs" || isMountpoint(path);
}

function isMountpoint(path: string): boolean {
  const wanted = path.length > 1 ? path.replace(/\/+$/, "") : path;
  return readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .some((line) => decode(line.split(" ")[4] ?? "") === wanted);
}

/** The kernel writes blanks and backslashes as octal numbers. */
function decode(field: string): string {
  return field.replaceAll(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCodePoint(Number.parseInt(digits, 8)),
  );
}

async function accepts(text: string): Promise<boolean> {
  const parsed = parseAddress(text);
  if (!parsed.ok) return false;
  const { address } = parsed;
  const where =
    address.kind === "unix" ? { path: address.path } : { host: address.host, port: address.port };
  return new Promise((resolve) => {
    const socket = connect({ ...where, timeout: CONNECT_WITHIN_MS });
    const end = (result: boolean): void => {
      socket.destroy();
      resolve(result);
    };
    socket.once("connect", () => end(true));
    socket.once("timeout", () => end(false));
    socket.once("error", () => end(false));
  });
}
