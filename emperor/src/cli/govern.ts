/**
 * From a prepared process to a governing Emperor, and to its end. It puts the parts together; what
 * they do is theirs.
 */
import * as linux from "@emperor/linux";
import {
  loadMonitorPackages,
  makeMonitor,
  systemClock,
  type ImperialMonitor,
} from "@emperor/monitors";
import { createEmperor } from "../court/emperor.ts";
import type { RunningEmperor } from "../court/running-emperor.ts";
import { EmperorError, EXIT } from "../errors.ts";
import type { Logger } from "../log/logger.ts";
import type { Remark } from "../options/read-settings.ts";
import type { Settings } from "../options/settings.ts";
import type { VassalCgroups } from "../cgroups/vassal-cgroups.ts";
import {
  createEmperorHooks,
  createHands,
  createIsolators,
  type Isolators,
} from "../spawn/create-hands.ts";
import type { EmperorHooks } from "../spawn/emperor-hooks.ts";
import { parseStatsAddress } from "../stats/address.ts";
import type { StatsServer } from "../stats/stats-server.ts";
import type { DaemonReport } from "./daemon.ts";
import { linuxSystem } from "./linux-system.ts";
import { checkPrivileges } from "./needed-privileges.ts";
import { Pidfiles } from "./pidfile.ts";
import { prepareProcess, runPhase, type OwnLog } from "./prepare.ts";
import { SystemdNotifier } from "./sd-notify.ts";
import { connectSignals } from "./signals.ts";
import { ownTidier } from "./tidy.ts";

/** At the end: how long killed processes may take to leave their cgroups. */
const LAST_CGROUPS_MS = 3000;

export interface GovernRequest {
  readonly settings: Settings;
  readonly remarks: readonly Remark[];
  readonly shownConfig: readonly string[] | undefined;
  readonly log: OwnLog;
  readonly version: string;
  readonly launchedOpenFiles: string | undefined;
  readonly report: DaemonReport;
  /** The Emperor runs under another one. */
  readonly isVassal: boolean;
}

/**
 * Governs until a signal ends it.
 * @returns the exit code
 * @throws EmperorError when the start is refused
 */
export async function govern(request: GovernRequest): Promise<number> {
  const { log, report, version } = request;
  const { logger } = log;
  for (const line of request.shownConfig ?? []) {
    logger.write({ level: "info", dated: false, message: line });
  }
  for (const { level, message } of request.remarks) logger.write({ level, message });
  const notifier = systemdNotifier(logger);
  notifier.initializing();
  const hooks = createEmperorHooks(request.settings, linux, logger);
  const pidfiles = new Pidfiles(linuxSystem);
  // Also on the way out of a failure; both are harmless when there is nothing to do.
  process.on("exit", () => {
    pidfiles.remove();
    logger.flush();
  });
  // As root, if that is what we are: it must be able to end whatever vassals become.
  const signature = await guard(logger);
  const settings = await prepareProcess({
    ...request,
    hooks,
    pidfiles,
    system: linuxSystem,
  });
  const { effective } = linux.getCapabilities();
  checkPrivileges(settings, { uid: process.geteuid?.() ?? 0, effective });
  const monitors = await makeMonitors(settings);
  const title = request.isVassal ? "sub-Emperor" : "Emperor";
  logger.write({ level: "info", dated: false, message: `*** starting uWSGI ${title} ***` });
  logger.write({
    level: "info",
    dated: false,
    message: `[emperor] version ${version}, Node ${process.version}, pid ${process.pid}`,
  });
  const { cgroup } = settings.isolation;
  // Loaded for those who want it. Before the first vassal, which is to be born in one.
  const cgroups =
    cgroup === undefined
      ? undefined
      : await (await import("../cgroups/open.ts")).openCgroups(cgroup, settings.isolation, logger);
  const emperor = assemble(settings, monitors, hooks, logger, version, {
    signature,
    cgroups,
    isolators: await createIsolators(settings, logger),
  });
  const servers = await startStatistics(settings, emperor, logger);
  await runPhase(hooks, "emperor-start");
  const disconnect = connectSignals(emperor, notifier);
  emperor.onGovernedChange((governed) => notifier.governing(governed));
  // A signal may end it before every monitor has looked for the first time.
  await Promise.race([emperor.start(), emperor.finished]);
  notifier.governing(emperor.governed);
  notifier.ready(report.isDaemon);
  report.ready();
  await emperor.finished;
  // What still has to be tidied up may take a moment: one more signal must not make an orderly end look like a death.
  for (const signal of ["SIGINT", "SIGTERM", "SIGQUIT", "SIGHUP"] as const) {
    process.on(signal, () => undefined);
  }
  disconnect();
  for (const server of servers) await server.close();
  await cgroups?.idle(LAST_CGROUPS_MS);
  cgroups?.close();
  notifier.buried();
  return EXIT.done;
}

function systemdNotifier(logger: Logger): SystemdNotifier {
  const environment = process.env;
  return new SystemdNotifier({
    socket: environment["NOTIFY_SOCKET"],
    watchdogUsec: environment["WATCHDOG_USEC"],
    watchdogPid: environment["WATCHDOG_PID"],
    pid: process.pid,
    system: linuxSystem,
    logger,
  });
}

/** All of them, or what is wrong with each that cannot be made. */
async function makeMonitors(settings: Settings): Promise<readonly ImperialMonitor[]> {
  const monitors: ImperialMonitor[] = [];
  const problems: string[] = [];
  const loaded = await loadMonitorPackages(settings.monitorPackages, settings.workingDirectory);
  problems.push(...loaded.problems);
  const environment = { ...process.env };
  for (const { text } of settings.emperor) {
    const made = await makeMonitor(text, {
      startDirectory: settings.workingDirectory,
      frequencySeconds: settings.frequencySeconds,
      nofollow: settings.nofollow,
      ownerOfLink: settings.tyrant && settings.tyrantNofollow,
      guarded: settings.tyrant,
      extraExtensions: settings.extraExtensions,
      collectAttributes: settings.collectAttributes,
      readConfig: settings.forceConfigPipe,
      quietMs: settings.quietMs,
      ignoreHidden: settings.ignoreHidden,
      clock: systemClock,
      remote: { ...settings.remote, environment, random: Math.random },
      packages: loaded.packages,
    });
    if (made.ok) monitors.push(made.monitor);
    else problems.push(made.error.message);
  }
  // Whoever may read the table may write nobody's config: no tenant inherits that password.
  if (settings.emperor.some(({ text }) => text.startsWith("pg:"))) delete process.env["PGPASSWORD"];
  if (problems.length > 0)
    throw new EmperorError("bad-monitor", `${problems.join("; ")}; nothing is started`);
  return monitors;
}

/** What holds all of a vassal together. */
interface Keepers {
  readonly signature: number | undefined;
  readonly cgroups: VassalCgroups | undefined;
  readonly isolators: Isolators;
}

/**
 * Sees to it that no vassal outlives the Emperor. As the first process of a container there is nothing
 * to do: the kernel ends everything with it.
 * @returns the mark of the vassals; undefined: there is no guardian
 */
async function guard(logger: Logger): Promise<number | undefined> {
  if (process.pid === 1) return undefined;
  const { makeSignature, SIGNATURE_RESOURCE, startGuardian } = await import("../spawn/guardian.ts");
  const signature = makeSignature(linux.getrlimit(SIGNATURE_RESOURCE).hard);
  const problem =
    signature === undefined
      ? "the limit of realtime (RLIMIT_RTTIME) is set and cannot serve as a mark"
      : startGuardian(linux, linux.GUARDIAN_PROGRAM, process.pid, signature);
  if (problem === undefined) return signature;
  logger.warning(
    `[emperor] there is no guardian: if the Emperor is killed its vassals are too, but not all that they started: ${problem}`,
  );
  return undefined;
}

function assemble(
  settings: Settings,
  monitors: readonly ImperialMonitor[],
  hooks: EmperorHooks,
  logger: Logger,
  version: string,
  { signature, cgroups, isolators }: Keepers,
): RunningEmperor {
  const tidier = ownTidier();
  return createEmperor({
    settings,
    logger,
    monitors,
    createHands: (listener) =>
      createHands(settings, linux, listener, logger, hooks, {
        ...isolators,
        ...(signature === undefined ? {} : { signature }),
        ...(cgroups === undefined ? {} : { cgroups }),
      }),
    hooks,
    refusalOf: (spec) => isolators.tyrant?.refusal(spec),
    version,
    observers: tidier === undefined ? [] : [() => tidier.note()],
    identity: {
      pid: process.pid,
      uid: process.getuid?.() ?? 0,
      gid: process.getgid?.() ?? 0,
      cwd: process.cwd(),
    },
  });
}

async function startStatistics(
  settings: Settings,
  emperor: RunningEmperor,
  logger: Logger,
): Promise<readonly StatsServer[]> {
  const servers: StatsServer[] = [];
  if (settings.statsAddresses.length === 0) return servers;
  // Loaded for those who want it: the server brings Node's network stack with it.
  const { startStatsServer } = await import("../stats/stats-server.ts");
  for (const text of settings.statsAddresses) {
    servers.push(
      await startStatsServer({
        address: parseStatsAddress(text, settings),
        document: () => emperor.stats(),
        logger,
        http: settings.statsHttp,
        minified: settings.statsMinified,
        mode: settings.chmodSocket,
        backlog: settings.listenBacklog,
      }),
    );
  }
  return servers;
}
