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
  /** uWSGI 2.1: which hook of the Emperor a program runs for. */
  hookContext: "UWSGI_HOOK_CONTEXT",
  /** uWSGI 2.1: set in the child that becomes a vassal. */
  vassalConfig: "UWSGI_VASSAL_CONFIG",
  vassalPid: "UWSGI_VASSAL_PID",
  vassalUid: "UWSGI_VASSAL_UID",
  vassalGid: "UWSGI_VASSAL_GID",
  vassalSocket: "UWSGI_VASSAL_SOCKET",
  jailPid: "UWSGI_JAIL_PID",
  originalProcName: "UWSGI_ORIGINAL_PROC_NAME",
  /** systemd's datagram socket. */
  notifySocket: "NOTIFY_SOCKET",
} as const;

export type EnvironmentName = (typeof ENVIRONMENT)[keyof typeof ENVIRONMENT];

/** Exit codes with a meaning between a vassal and its Emperor. */
export const EXIT_CODE = {
  /** The program could not start or lost its Emperor. */
  failure: 1,
  /** The vassal cannot be brought up with this config: do not respawn it until the config changes. */
  exile: 26,
  /** Asked to be started again in brutal reload. */
  brutalReload: 30,
  /** Stop the whole instance. */
  deadly: 22,
  /** Reload the whole instance. */
  reload: 17,
} as const;
