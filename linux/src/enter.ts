/**
 * Becomes a program in other namespaces, by way of `native/programs/enter.c`: a program with one thread
 * may do what Node may not. Decides nothing.
 */
import { fileURLToPath } from "node:url";
import { execve } from "./process.ts";

/** The same place seen from src/ and from dist/. */
const ENTER = fileURLToPath(new URL("../build/enter", import.meta.url));

export interface EnterOptions {
  /** In front of a message of failure, which goes to standard error; the exit code is 1 then. */
  readonly prefix: string;
  /** Descriptors of namespaces to be joined. */
  readonly join: readonly number[];
  /**
   * From `CLONE_NEW`, OR-ed. With `user` the process is root in there (standing for itself; root for everybody).
   * With `pid` the program is the first process in there, with a `/proc` of its own (`mount` has to be there too),
   * and a guardian keeps the pid of this process, hands its signals on and ends as the program ends.
   */
  readonly unshare: number;
  /** Capabilities to leave in the bounding set; undefined: all. */
  readonly bound: readonly number[] | undefined;
  readonly path: string;
  readonly argv: readonly string[];
  /** Complete environment, `NAME=value`. */
  readonly env: readonly string[];
  readonly keepFds: readonly number[];
}

/** Returns only by throwing, when that program cannot be executed. */
export function enterNamespaces(options: EnterOptions): never {
  const { argv, bound, env, join, keepFds, path, prefix, unshare } = options;
  let mask = 0n;
  for (const capability of bound ?? []) mask |= 1n << BigInt(capability);
  return execve({
    path: ENTER,
    argv: [
      "enter",
      prefix,
      join.join(","),
      String(unshare),
      bound === undefined ? "-" : mask.toString(16),
      path,
      ...argv,
    ],
    env,
    keepFds: [...keepFds, ...join],
  });
}
