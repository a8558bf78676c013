/**
 * Ends what a vassal leaves behind. Every vassal leads its own session, so its process group has the
 * leader's pid as its number; this file owns the only place that signals a group. It must not know
 * who decides that something ends.
 */

/** The set of processes that one vassal's main process started. */
export interface ProcessTree {
  /**
   * Signals every member that is left. To be called only while the main process is not reaped: until
   * then its pid, and so the group's number, cannot belong to anybody else.
   */
  signal(pid: number, signal: "SIGTERM" | "SIGKILL"): void;
}

/**
 * The process group as the tree: what fits every system without privileges. A descendant that made a
 * session of its own escapes it; a cgroup will hold those too.
 */
export const processGroupTree: ProcessTree = {
  signal(pid, signal) {
    // kill(-1) would reach every process of the machine and kill(0) ourselves: never, whatever comes in.
    if (!Number.isSafeInteger(pid) || pid <= 1) return;
    try {
      process.kill(-pid, signal);
    } catch {
      // ESRCH: the child has no session yet, or nobody is left. EPERM: members under other users, which
      // an unprivileged Emperor cannot reach in any way.
    }
  },
};
