/**
 * Names of the environment variables and the exit codes by which Emperor and vassal understand each
 * other. Names only: who sets and reads them is the matter of the spawner and of the runtime.
 */

export const ENVIRONMENT = {
  /** Descriptor number of the emperor channel; its absence means: not a vassal. */
  emperorFd: "UWSGI_EMPEROR_FD",
  /** Descriptor number of the config pipe, for vassals whose config is pushed. */
  emperorFdConfig: "UWSGI_EMPEROR_FD_CONFIG",
  /** Path of a proxy socket from which the channel's descriptors are fetched. */
  emperorProxy: "UWSGI_EMPEROR_PROXY",
  /** Number (1..) of a broodlord's zerg. */
  broodlordNum: "UWSGI_BROODLORD_NUM",
  /** The Emperor's directory of vassals, for the programs it starts. */
  vassalsDir: "UWSGI_VASSALS_DIR",
  /** Number of reloads; present only after a re-execution. */
  reloads: "UWSGI_RELOADS",
  /** uWSGI 2.1: name of the vassal that a hook runs for. */
  hookContext: "UWSGI_HOOK_CONTEXT",
  /** Set for the hooks of the Emperor: the vassal's name, process and ids. */
  vassalConfig: "UWSGI_VASSAL_CONFIG",
  vassalPid: "UWSGI_VASSAL_PID",
  vassalUid: "UWSGI_VASSAL_UID",
  vassalGid: "UWSGI_VASSAL_GID",
  /** `UWSGI_VASSAL_X` of the Emperor becomes `UWSGI_X` of every vassal. */
  vassalPrefix: "UWSGI_VASSAL_",
  /** Every other `UWSGI_NAME` is the option `name`. */
  optionPrefix: "UWSGI_",
  /** Pid of the jailed master, for post-jail hooks. */
  jailPid: "UWSGI_JAIL_PID",
  /** argv[0] of the first start. */
  originalProcName: "UWSGI_ORIGINAL_PROC_NAME",
  /** systemd's datagram socket. */
  notifySocket: "NOTIFY_SOCKET",
} as const;

export type EnvironmentName = (typeof ENVIRONMENT)[keyof typeof ENVIRONMENT];

/** Exit codes with a meaning between a vassal, its workers and its Emperor. */
export const EXIT_CODE = {
  stopped: 0,
  /** Configuration, bind, hook or exec failed, or the Emperor was lost. */
  failure: 1,
  /** A worker that wants to be cheap: not restarted by its master. Not exile, as is sometimes said. */
  cheap: 15,
  /** No application could be loaded and one is needed. */
  noApplication: 22,
  /** The vassal cannot be brought up with this config: not respawned until the config changes. */
  exile: 26,
} as const;
