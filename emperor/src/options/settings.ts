/**
 * The Emperor's settings after options, files and environment were read: the only thing that
 * `court`, `spawn` and `stats` see of the command line. Times in milliseconds, lists in order.
 */

export interface MonitorAddress {
  /** Text as the user wrote it. */
  readonly text: string;
}

/** One action of a hook: `action:argument`, as `spec/vassal.md` §9 lists them. */
export interface HookAction {
  /** `exec`, `write`, `cd`... as written. */
  readonly action: string;
  readonly argument: string;
  /** Option and place it came from, for messages: `hook-as-vassal (emperor.ini:12)`. */
  readonly origin: string;
}

export interface Settings {
  readonly emperor: readonly MonitorAddress[];
  readonly frequencySeconds: number;
  readonly nofollow: boolean;
  readonly extraExtensions: readonly string[];
  readonly magicExec: boolean;
  readonly forceConfigPipe: boolean;
  readonly ignoreHidden: boolean;
  readonly quietMs: number;

  readonly throttleMs: number;
  /** `emperor-throttle` was given: spawns are spaced as documented. */
  readonly throttleExplicit: boolean;
  readonly maxThrottleMs: number;
  readonly blacklist: boolean;
  readonly maxStarting: number;
  readonly requiredHeartbeatMs: number;
  readonly curseToleranceMs: number;
  readonly reloadMercyMs: number;
  readonly gracefulShutdown: boolean;

  readonly tyrant: boolean;
  readonly tyrantNofollow: boolean;
  readonly tyrantInitgroups: boolean;
  /** Capability numbers; undefined: untouched. */
  readonly capabilities: readonly number[] | undefined;
  /** CLONE_NEW* flags, OR-ed. */
  readonly cloneFlags: number;

  /** Program used as vassal binary; default: the vassal runtime of this installation. */
  readonly binaryPath: string;
  readonly wrapper: string | undefined;
  readonly wrapperOverride: readonly string[];
  readonly wrapperFallback: readonly string[];
  readonly wrapperAttribute: string | undefined;
  readonly chdirAttribute: string | undefined;
  readonly collectAttributes: readonly string[];
  readonly safeFds: readonly number[];

  readonly inheritBefore: readonly string[];
  readonly includeBefore: readonly string[];
  readonly set: readonly string[];
  readonly inherit: readonly string[];
  readonly include: readonly string[];

  readonly startHook: string | undefined;
  readonly stopHook: string | undefined;
  readonly hookEmperorStart: readonly HookAction[];
  /** `hook-`, `mount-`, `umount-`, `exec-`, in that order. */
  readonly hookAsEmperor: readonly HookAction[];
  readonly hookAsEmperorBeforeVassal: readonly HookAction[];
  readonly hookAsVassal: readonly HookAction[];
  readonly hookAsVassalBeforeDrop: readonly HookAction[];
  /** First executable one replaces /bin/sh. */
  readonly shells: readonly string[];
  /** Seconds a hook of the Emperor may run. */
  readonly hookTimeoutMs: number;

  readonly statsAddresses: readonly string[];
  readonly statsHttp: boolean;
  readonly statsMinified: boolean;
  readonly chmodSocket: number | undefined;
  readonly abstractSocket: boolean;
  readonly listenBacklog: number;

  readonly procname: string;
  readonly pidfiles: readonly string[];
  readonly daemonize: string | undefined;
  readonly logto: string | undefined;
  readonly logFormat: "text" | "json";
  readonly maxFd: number | undefined;
  readonly uid: string | undefined;
  readonly gid: string | undefined;
  readonly addGids: readonly string[];
  readonly chdir: string | undefined;
  readonly umask: number | undefined;
  /** `env` / `unenv`, in order. */
  readonly environment: readonly { readonly name: string; readonly value: string | undefined }[];
}
