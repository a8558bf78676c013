/**
 * The Emperor's settings after options, files and environment were read: the only thing that
 * `court`, `spawn` and `stats` see of the command line. Times in milliseconds, lists in order.
 */

export interface MonitorAddress {
  /** Text as the user wrote it. */
  readonly text: string;
}

/** One action of a hook: `action:argument`, as uWSGI's hooks are written. */
export interface HookAction {
  /** `exec`, `write`, `cd`... as written. */
  readonly action: string;
  readonly argument: string;
  /** Option and place it came from, for messages: `hook-as-vassal (emperor.ini:12)`. */
  readonly origin: string;
}

/** Sockets of on-demand vassals. */
export interface OnDemandSettings {
  /** `emperor-on-demand-extension`: what NAME+SUFFIX holds is the address. */
  readonly extension: string | undefined;
  /** `emperor-on-demand-directory`, absolute. */
  readonly directory: string | undefined;
  /** `emperor-on-demand-exec`: program and arguments; the vassal's name is added. */
  readonly exec: string | undefined;
  /** `emperor-on-demand-attr`. */
  readonly attribute: string | undefined;
  /** `emperor-on-demand-idle`, ms; 0: vassals go to sleep only when they say so. */
  readonly idleMs: number;
  readonly mode: number;
  /** `USER:GROUP`, either may be missing. */
  readonly owner: string | undefined;
  readonly backlog: number;
}

/** Reinforcements of vassals under load. */
export interface BroodlordSettings {
  /** `emperor-broodlord`: of all vassals together; 0: none. */
  readonly most: number;
  /** `emperor-broodlord-per-vassal`. */
  readonly perVassal: number;
  /** `emperor-broodlord-attr`. */
  readonly attribute: string | undefined;
  /** `emperor-broodlord-cooldown`, ms. */
  readonly cooldownMs: number;
}

/** Orders by datagram, connection and FIFO, and the channel of the Emperor above. */
export interface RemoteSettings {
  /** Addresses as written. */
  readonly commandSockets: readonly string[];
  readonly waitForCommand: boolean;
  /** Names of vassals. */
  readonly waitForCommandIgnore: readonly string[];
  /** Addresses as written. */
  readonly triggerSockets: readonly string[];
  /** Absolute; slot 0 first. */
  readonly fifos: readonly string[];
  /** Absolute. */
  readonly proxySocket: string | undefined;
  readonly proxyTimeoutMs: number;
}

export interface ForkServerSettings {
  /** Absolute path, or `@NAME`. */
  readonly address: string | undefined;
  /** Attribute of a vassal with the address of its own fork server. */
  readonly attribute: string | undefined;
  /** Names of vassals that are started without one. */
  readonly bases: readonly string[];
  readonly subreaper: boolean;
  readonly timeoutMs: number;
}

export interface Settings {
  readonly broodlord: BroodlordSettings;
  readonly onDemand: OnDemandSettings;
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
  /** Up for so long without being loyal counts as healthy. */
  readonly healthyAfterMs: number;
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
  /** The Emperor's own start: as soon as options are read, before and after it drops privileges. */
  readonly hookAsap: readonly HookAction[];
  readonly hookAsRoot: readonly HookAction[];
  readonly hookAsUser: readonly HookAction[];
  readonly hookEmperorStart: readonly HookAction[];
  /** `hook-`, `mount-`, `umount-`, `exec-`, in that order. */
  readonly hookAsEmperor: readonly HookAction[];
  readonly hookAsEmperorBeforeVassal: readonly HookAction[];
  readonly hookAsOnDemandVassal: readonly HookAction[];
  readonly hookAsOnConfigVassal: readonly HookAction[];
  readonly hookAsVassal: readonly HookAction[];
  readonly hookAsVassalBeforeDrop: readonly HookAction[];
  /** First executable one replaces /bin/sh. */
  readonly shells: readonly string[];
  /** Seconds a hook of the Emperor may run. */
  readonly hookTimeoutMs: number;

  readonly statsAddresses: readonly string[];
  readonly statsHttp: boolean;
  readonly statsMinified: boolean;
  /** `emperor-control`, absolute; undefined: there is no control socket. */
  readonly control:
    | { readonly path: string; readonly mode: number; readonly owner: string | undefined }
    | undefined;
  /** Who may give orders beside signals and the control socket. */
  readonly remote: RemoteSettings;
  readonly forkServer: ForkServerSettings;
  readonly chmodSocket: number | undefined;
  readonly abstractSocket: boolean;
  readonly listenBacklog: number;

  /** Directory the Emperor was started in (after `force-cwd`). */
  readonly startDirectory: string;
  /**
   * Directory after `chdir` and `chdir2`, absolute: relative addresses of monitors and sockets are
   * meant from there, since uWSGI changes directory before it starts the Emperor.
   */
  readonly workingDirectory: string;
  readonly procname: string;
  /** Absolute paths, written before privileges are dropped. */
  readonly pidfiles: readonly string[];
  /** Absolute paths, written afterwards. */
  readonly pidfilesAfterDrop: readonly string[];
  readonly daemonize: string | undefined;
  readonly logto: string | undefined;
  /** As `logto`, opened after privileges were dropped. */
  readonly logtoAfterDrop: string | undefined;
  readonly logLevel: "debug" | "info" | "warning" | "error";
  readonly logFormat: "text" | "json";
  readonly maxFd: number | undefined;
  /**
   * Limit of open descriptors for vassals, filled in at the start: what the Emperor itself was given,
   * before it raised its own. Undefined: they inherit the Emperor's.
   */
  readonly vassalOpenFiles: { readonly soft: number; readonly hard: number } | undefined;
  readonly uid: string | undefined;
  readonly gid: string | undefined;
  readonly addGids: readonly string[];
  /** Take over the supplementary groups of `uid`'s user. */
  readonly initgroups: boolean;
  /** Dropped before anything else happens. */
  readonly immediateUid: string | undefined;
  readonly immediateGid: string | undefined;
  /** `cap`: capability numbers that survive the change of user. */
  readonly ownCapabilities: readonly number[] | undefined;
  /** As written; `workingDirectory` is what follows from it. */
  readonly chdir: string | undefined;
  readonly umask: number | undefined;
  /** `env` / `unenv`, in order. */
  readonly environment: readonly { readonly name: string; readonly value: string | undefined }[];
}
