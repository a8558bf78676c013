/**
 * Turns this process into the program of a binary patch: same pid, so the Emperor governs the program from then
 * on, which may speak the protocol itself. Loaded only where it is asked for.
 */
import { ENVIRONMENT } from "@emperor/protocol";
import { RuntimeError, reasonOf } from "./errors.ts";
import type { Launch } from "./launch.ts";
import { log, quote } from "./log.ts";
import { closeDescriptor, duplicate, execute, makeBlocking, placeDescriptor } from "./platform.ts";
import type { PatchSetting } from "./patch-settings.ts";
import { findProgram } from "./programs.ts";
import type { BoundSocket } from "./sockets.ts";

const SHELL = "/bin/sh";
/** First descriptor of systemd's socket activation. */
const FIRST_SOCKET_FD = 3;

/**
 * Does not return. The program gets the runtime's own arguments, as in uWSGI, and its sockets (the shared ones and
 * those that were handed over) as systemd and inetd hand them over. Throws a `RuntimeError` when there is no such
 * program.
 */
export function becomePatched(
  patch: PatchSetting,
  launch: Launch,
  sockets: readonly BoundSocket[],
): never {
  const refusal = (reason: string): string =>
    `${patch.origin}: ${patch.option} = ${quote(patch.text)} cannot be executed: ${reason}; the vassal ends`;
  const found =
    patch.kind === "line"
      ? ({ ok: true, path: SHELL } as const)
      : findProgram(patch.text, launch.environment["PATH"], process.cwd());
  if (!found.ok) throw new RuntimeError("VASSAL_COMMAND", refusal(found.reason));
  const argv = patch.kind === "line" ? [SHELL, "-c", patch.text] : [patch.text, ...launch.argv];
  const environment: Record<string, string> = { ...launch.environment, [ENVIRONMENT.reloads]: "0" };
  log(`becoming ${quote(patch.text)} (${patch.option})`);
  const placed = place(sockets, launch);
  if (sockets.length > 0) {
    environment["LISTEN_FDS"] = String(sockets.length);
    environment["LISTEN_PID"] = String(process.pid);
    environment["LISTEN_FDNAMES"] = sockets.map(({ text }) => text.replaceAll(":", "_")).join(":");
  }
  Object.assign(environment, placed.channels);
  try {
    return execute({ path: found.path, argv, environment, keep: [0, 1, 2, ...placed.keep] });
  } catch (error) {
    log(refusal(reasonOf(error)));
    // Node has lost descriptors that it needs for an orderly end.
    return execute({ path: SHELL, argv: [SHELL, "-c", "exit 1"], environment: {}, keep: [] });
  }
}

/**
 * Puts the sockets where the program looks for them: 3 and the following, the first one also 0. The channels of the
 * Emperor move behind them. Descriptors of Node in their way are lost, which matters to nobody after this.
 */
function place(
  sockets: readonly BoundSocket[],
  { environment }: Launch,
): { readonly keep: readonly number[]; readonly channels: Readonly<Record<string, string>> } {
  const names = [ENVIRONMENT.emperorFd, ENVIRONMENT.emperorFdConfig].filter((name) =>
    /^\d+$/.test(environment[name] ?? ""),
  );
  const own = names.map((name) => Number(environment[name]));
  const sources = [...sockets.map(({ fd }) => fd), ...own];
  // Node has made them non-blocking, which a program does not expect.
  for (const fd of sources) makeBlocking(fd);
  if (sockets.length === 0) return { keep: own, channels: {} };
  const end = FIRST_SOCKET_FD + sources.length;
  const copies = sources.map((fd) => beyond(fd, end));
  const keep = copies.map((copy, index) => placeDescriptor(copy, FIRST_SOCKET_FD + index));
  if (copies[0] !== undefined) placeDescriptor(copies[0], 0);
  const channels = Object.fromEntries(
    names.map((name, index) => [name, String(FIRST_SOCKET_FD + sockets.length + index)]),
  );
  return { keep, channels };
}

/** A copy of the descriptor with a number from `end` on. */
function beyond(fd: number, end: number): number {
  const low: number[] = [];
  let copy = duplicate(fd);
  while (copy < end) {
    low.push(copy);
    copy = duplicate(fd);
  }
  for (const one of low) closeDescriptor(one);
  return copy;
}
