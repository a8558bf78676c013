/**
 * Ends what a vassal leaves behind. Every vassal leads its own session, so its process group has the
 * leader's pid as its number; this file owns the only place that signals a group. It must not know
 * who decides that something ends.
 */

import { constants } from "node:os";
import type { Machine, Signal } from "./machine.ts";

/** The set of processes that one vassal's main process started. */
export interface ProcessTree {
  /**
   * Signals every member that is left. To be called only while the main process is not reaped: until
   * then its pid, and so the group's number, cannot belong to anybody else.
   */
  signal(pid: number, signal: Signal): void;
}

/**
 * The process group as the tree: what fits every system without privileges. A descendant that made a
 * session of its own escapes it; a cgroup will hold those too.
 */
export class ProcessGroupTree implements ProcessTree {
  readonly #machine: Machine;

  constructor(machine: Machine) {
    this.#machine = machine;
  }

  signal(pid: number, signal: Signal): void {
    // kill(-1) would reach every process of the machine and kill(0) ourselves: never, whatever comes in.
    if (!Number.isSafeInteger(pid) || pid <= 1) return;
    try {
      this.#machine.signalGroup(pid, constants.signals[signal]);
    } catch {
      // EPERM: members under other users, whom an unprivileged Emperor cannot reach in any way. The main
      // process gets its own signal through its pidfd.
    }
  }
}
