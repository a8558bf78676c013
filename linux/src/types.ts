/**
 * The one typed face of the native addon: every shape that crosses into C. Descriptors are plain
 * numbers owned by the caller unless a docstring says otherwise; all of them are close-on-exec from
 * birth. Nothing here decides anything: the addon does what it is told and reports step and errno.
 */

/** A step of the child's set-up, in the order in which `child.c` performs them. */
export type SpawnStage =
  | "prepare"
  | "clone"
  | "user-namespace"
  | "cgroup"
  | "namespace"
  | "session"
  | "signals"
  | "rlimit"
  | "mount"
  | "hostname"
  | "loopback"
  | "before-drop-action"
  | "capability-bound"
  | "securebits"
  | "groups"
  | "gid"
  | "uid"
  | "capability-ambient"
  | "no-new-privs"
  | "parent-death-signal"
  | "descriptors"
  | "umask"
  | "cwd"
  | "action"
  | "late-cwd"
  | "exec";

/** One thing the child does before it becomes the program. `shell` and `argv` are waited for. */
export type SetupAction =
  | {
      readonly kind: "shell";
      readonly shell: string;
      readonly line: string;
      readonly tolerant: boolean;
    }
  | {
      readonly kind: "argv";
      readonly argv: readonly string[];
      readonly env?: readonly string[];
      readonly tolerant: boolean;
    }
  | { readonly kind: "chdir"; readonly path: string }
  | { readonly kind: "mkdir"; readonly path: string; readonly mode: number }
  | { readonly kind: "unlink"; readonly path: string }
  | { readonly kind: "chmod"; readonly path: string; readonly mode: number }
  | { readonly kind: "chown"; readonly path: string; readonly uid: number; readonly gid: number }
  | {
      readonly kind: "write";
      readonly path: string;
      readonly text: string;
      readonly append: boolean;
      readonly nonBlocking?: boolean;
    }
  | { readonly kind: "putenv"; readonly assignment: string }
  | { readonly kind: "hostname"; readonly name: string }
  | {
      readonly kind: "mount";
      readonly fstype: string;
      readonly source: string;
      readonly target: string;
      readonly flags: number;
      readonly data: string;
    }
  | { readonly kind: "umount"; readonly target: string; readonly flags: number }
  /** Joins namespaces of the process behind a pidfd that is open in the child. */
  | { readonly kind: "setns"; readonly fd: number; readonly namespaces: number }
  | { readonly kind: "exit"; readonly code: number };

export interface ResourceLimit {
  /** The kernel's number, see `RLIMIT` in `constants.ts`. */
  readonly resource: number;
  /** `Infinity` stands for RLIM_INFINITY. */
  readonly soft: number;
  readonly hard: number;
}

export interface SpawnOptions {
  /**
   * Programs tried in order with execve. A name without a slash must already have been expanded
   * along PATH by the caller. ENOENT, EACCES, ENOTDIR, ENOEXEC, ETXTBSY... go on to the next;
   * ENOEXEC is first tried through /bin/sh as execvp does. When all fail, the failure reported is the
   * last one that is more telling than "not there" (ENOENT, ENOTDIR).
   */
  readonly programs: readonly { readonly path: string; readonly argv0: string }[];
  /** Arguments after argv[0]. */
  readonly args: readonly string[];
  /** Complete environment, `NAME=value`. */
  readonly env: readonly string[];
  /** Working directory, entered after the credentials changed. */
  readonly cwd?: string;
  /** Entered after the actions, just before exec (`emperor-chdir-attr`); its failure is stage `late-cwd`. */
  readonly lateCwd?: string;
  /**
   * The child's descriptors: `to` <- `from`; `from: -1` is /dev/null opened read-write. Every other
   * descriptor is closed, 0 to 2 too when they are not listed. Overlaps between `from` and `to`
   * numbers are handled.
   */
  readonly fds: readonly { readonly from: number; readonly to: number }[];
  /** CLONE_NEW* flags, OR-ed. */
  readonly namespaces?: number;
  /** cgroup v2 directory descriptor for CLONE_INTO_CGROUP. */
  readonly cgroupFd?: number;
  /** cgroup v1 (or v2 without CLONE_INTO_CGROUP): files into which the child writes `0`. */
  readonly cgroupFiles?: readonly string[];
  /** setsid() in the child. */
  readonly session: boolean;
  readonly credentials?: {
    readonly uid: number;
    readonly gid: number;
    readonly groups: readonly number[];
  };
  /** Capability numbers left in the bounding set; absent: untouched. */
  readonly capabilityBound?: readonly number[];
  /** Capability numbers kept as inheritable and ambient through the change of uid. */
  readonly capabilityAmbient?: readonly number[];
  readonly securebits?: number;
  readonly noNewPrivs?: boolean;
  readonly rlimits?: readonly ResourceLimit[];
  /** Signal number; set after the credential change, which clears it. */
  readonly parentDeathSignal?: number;
  readonly umask?: number;
  /** In a user namespace: maps that a thread of the parent writes before the child goes on. */
  readonly userMap?: {
    readonly uidMap: string;
    readonly gidMap: string;
    readonly denySetgroups: boolean;
  };
  /** A pid namespace gets its own /proc, a mount namespace is made private first. */
  readonly makeMountsPrivate?: boolean;
  readonly mountProc?: boolean;
  /** Set in the (new) uts namespace. */
  readonly hostName?: string;
  /** Brings `lo` up in the (new) net namespace. */
  readonly loopback?: boolean;
  /** Run with full privileges, before capabilities and credentials are dropped. */
  readonly beforeDropActions?: readonly SetupAction[];
  /** Run as the vassal, in its environment and directory, just before exec. */
  readonly actions?: readonly SetupAction[];
  /**
   * `shared`: CLONE_VM, the result is there when exec succeeded or a step failed: `spawn` waits for it,
   * `spawnAsync` does not; forbidden together with actions. `copied`: the call returns at once and the outcome arrives
   * on `statusFd` (watch it with `Watcher.addStatus`), so a hook may take its time. Watch the pidfd
   * only after the status came: then an end of the set-up is never taken for the program's.
   */
  readonly mode: "shared" | "copied";
  /**
   * `shared` only: how long the child may take until exec, default 1000. A vassal's user may stop
   * a process that runs as that user (SIGSTOP) or own the file system of its directory, so a set-up
   * can get stuck between the change of user and exec. Then the child is killed and the failure is
   * ETIMEDOUT at the stage where it was. `copied` never makes the caller wait.
   */
  readonly setupTimeoutMs?: number;
}

export interface SpawnFailure {
  readonly ok: false;
  readonly stage: SpawnStage;
  /** errno; 0 for an action that ran a command, and for a child killed in the middle of its set-up. */
  readonly errno: number;
  /** Symbolic name (`ENOENT`), or `""` when errno is 0. */
  readonly code: string;
  /**
   * Index of the program, action, cgroup file or limit that failed, number of the capability; for
   * `namespace` the bit of its kind; for `mount` 0 = making private, 1 = /proc; for `user-namespace` 0 = setgroups, 1 = uid map, 2 = gid
   * map. -1 where it does not apply.
   */
  readonly index: number;
  /** Wait status of a failed command action or of a child killed during its set-up, else 0. */
  readonly waitStatus: number;
}

export type SpawnResult =
  | {
      readonly ok: true;
      readonly pid: number;
      readonly pidfd: number;
      /** Only in `copied` mode. */
      readonly statusFd?: number;
      /** `shared` mode: index of the program that was executed. */
      readonly program: number;
    }
  | SpawnFailure;

/** How a reaped child ended. `signal` is a number; exactly one of both is set. */
export interface ExitStatus {
  readonly code: number | null;
  readonly signal: number | null;
  readonly coreDumped: boolean;
  readonly userMs: number;
  readonly systemMs: number;
  readonly maxRssKb: number;
}

/** One report of the watcher's thread. `token` is the number given at `add...`. */
export type WatchEvent =
  /** The process ended; it is a zombie until `reap(pidfd)`. Reported once. */
  | { readonly kind: "exit"; readonly token: number }
  /** At most `maxBytes` bytes read from a channel; `eof` when the peer closed or the socket failed. */
  | {
      readonly kind: "channel";
      readonly token: number;
      readonly bytes: Uint8Array;
      readonly eof: boolean;
    }
  /** A listening socket has a connection waiting. One shot: `rearm(token)` to hear of the next. */
  | { readonly kind: "listen"; readonly token: number }
  /** Outcome of a `copied` spawn: exec done, or the step that failed. Reported once. */
  | {
      readonly kind: "status";
      readonly token: number;
      /** Index of the executed program; -1: none (a failure, or an `exit` action ended the process). */
      readonly program: number;
      readonly failure?: SpawnFailure;
      /** Tolerant actions that failed on the way. */
      readonly tolerated?: readonly SpawnFailure[];
    }
  /**
   * A plain descriptor became readable (one shot). With token -1 it is a place holder for an event
   * whose token was removed while its batch was being delivered: ignore it.
   */
  | { readonly kind: "readable"; readonly token: number };

/**
 * One epoll set, one thread. JavaScript is woken once per batch. The watcher never closes or owns a
 * descriptor: remove the token first, then close the descriptor. Tokens are the caller's, whole
 * numbers from 0, one per descriptor. A batch holds at most one event per token.
 */
export interface Watcher {
  addProcess(pidfd: number, token: number): void;
  /** Channels are one-shot as well: after each report call `rearm`, so a flood is taken at the caller's pace. */
  addChannel(fd: number, token: number): void;
  addListener(fd: number, token: number): void;
  addStatus(fd: number, token: number): void;
  addReadable(fd: number, token: number): void;
  rearm(token: number): void;
  /**
   * After it returns no further event of this token is delivered. What was read from a channel and not
   * delivered yet is returned, for it is in the kernel no more. Unknown tokens are ignored.
   */
  remove(token: number): Uint8Array | undefined;
  /** Number of descriptors watched. */
  readonly size: number;
  /** Let the process exit although the watcher lives / keep it alive. */
  unref(): void;
  ref(): void;
  /** Joins the thread. */
  close(): void;
}

export interface ListenOptions {
  readonly backlog: number;
  /** Unix sockets: mode of the path (after bind), owner. */
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly reusePort?: boolean;
}

export type SocketAddress =
  | { readonly family: "ipv4" | "ipv6"; readonly host: string; readonly port: number }
  /** `path` starting with NUL is abstract. */
  | { readonly family: "unix"; readonly path: string };

/** One directory entry of interest: what a scan needs to tell "changed" from "the same". */
export interface ScanEntry {
  readonly name: string;
  readonly dev: number;
  readonly ino: number;
  readonly size: number;
  /** Nanoseconds since the epoch split to stay exact: whole seconds and the rest. */
  readonly mtimeSec: number;
  readonly mtimeNsec: number;
  readonly ctimeSec: number;
  readonly ctimeNsec: number;
  readonly uid: number;
  readonly gid: number;
  readonly mode: number;
  readonly nlink: number;
  /** The entry itself is a symbolic link (its target's metadata is given unless `nofollow`). */
  readonly isLink: boolean;
  /** Owner of the link itself; only where `isLink`. */
  readonly linkUid?: number;
  readonly linkGid?: number;
}

export type ScanResult =
  /** Digest equals `previousDigest`: nothing changed, no entry is built. */
  | { readonly changed: false; readonly digest: string }
  | {
      readonly changed: true;
      readonly digest: string;
      /** Regular files (with `nofollow`: or links) whose name ends in one of the suffixes. */
      readonly entries: readonly ScanEntry[];
      /** Names with a right suffix that are no regular file: directory, fifo, socket, dangling link. */
      readonly skipped: readonly {
        readonly name: string;
        readonly kind: "directory" | "fifo" | "socket" | "device" | "dangling" | "unreadable";
      }[];
      /** Right suffix, but the name is no valid UTF-8 (given with U+FFFD). */
      readonly invalidNames: readonly string[];
    };

export interface ScanOptions {
  readonly directory: string;
  readonly suffixes: readonly string[];
  readonly nofollow: boolean;
  readonly previousDigest?: string;
}
