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
  type VassalSpec,
} from "@emperor/monitors";
import { createEmperor } from "../court/emperor.ts";
import type { Observer } from "../court/record.ts";
import type { RunningEmperor } from "../court/running-emperor.ts";
import { EmperorError, EXIT } from "../errors.ts";
import type { Logger } from "../log/logger.ts";
import type { Remark, SettingsReading } from "../options/read-settings.ts";
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
import type { ForkServers } from "./fork-servers.ts";
import { linuxSystem } from "./linux-system.ts";
import { checkPrivileges } from "./needed-privileges.ts";
import { Pidfiles } from "./pidfile.ts";
import { prepareProcess, runPhase, type OwnLog } from "./prepare.ts";
import { SystemdNotifier } from "./sd-notify.ts";
import type { Nesting } from "./nesting.ts";
import { connectSignals, signalActions, type SignalActions } from "./signals.ts";
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
  /** Reads the options as they are now. */
  readonly rereadSettings: () => Promise<SettingsReading>;
}

/** How it ended. */
export type GovernOutcome =
  | { readonly kind: "exit"; readonly code: number }
  /** The Emperor above wants a reload and the options have changed: to be started anew. */
  | { readonly kind: "again"; readonly channel: number | undefined };

/**
 * Governs until a signal or the Emperor above ends it.
 * @throws EmperorError when the start is refused
 */
export async function govern(request: GovernRequest): Promise<GovernOutcome> {
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
  // Loaded for those who want it: the server brings Node's network stack with it.
  const control = settings.control === undefined ? undefined : await import("../control/index.ts");
  const office = control?.openOffice();
  const observers = office === undefined ? [] : [office.observer];
  const forkServers = settings.forkServer.subreaper
    ? (await import("./fork-servers.ts")).prepareForkServers(settings)
    : undefined;
  const emperor = assemble(settings, monitors, hooks, logger, version, {
    signature,
    cgroups,
    isolators: await createIsolators(settings, logger),
    observers,
    forkServers,
  });
  const signals = signalActions(emperor, notifier);
  const nesting = await openNesting(request, settings, emperor, signals);
  const servers: { close(): Promise<void> }[] = [
    ...(await startStatistics(settings, emperor, logger)),
  ];
  if (office !== undefined) servers.push(await office.serve(settings, emperor, logger, version));
  await runPhase(hooks, "emperor-start");
  // A signal wins over a reload that is under way.
  const stop = (): void => (nesting ?? signals).stop();
  const disconnect = connectSignals({ ...signals, stop });
  emperor.onGovernedChange((governed) => notifier.governing(governed));
  // A signal may end it before every monitor has looked for the first time.
  await Promise.race([emperor.start(), emperor.finished]);
  notifier.governing(emperor.governed);
  notifier.ready(report.isDaemon);
  report.ready();
  nesting?.announce();
  await emperor.finished;
  // What still has to be tidied up may take a moment: one more signal must not make an orderly end look like a death.
  for (const signal of ["SIGINT", "SIGTERM", "SIGQUIT", "SIGHUP"] as const) {
    process.on(signal, () => undefined);
  }
  disconnect();
  for (const server of servers) await server.close();
  await cgroups?.idle(LAST_CGROUPS_MS);
  cgroups?.close();
  await nesting?.close();
  notifier.buried();
  return nesting?.outcome ?? { kind: "exit", code: EXIT.done };
}

/** Loaded for those who want it: most Emperors have nobody above them and take no commands. */
async function openNesting(
  request: GovernRequest,
  settings: Settings,
  emperor: RunningEmperor,
  signals: SignalActions,
): Promise<Nesting | undefined> {
  const { commandSockets, triggerSockets, fifos, proxySocket } = settings.remote;
  const any = commandSockets.length + triggerSockets.length + fifos.length > 0;
  if (!request.isVassal && !any && proxySocket === undefined) return undefined;
  const { Nesting: Office } = await import("./nesting.ts");
  const nesting = new Office({
    settings,
    // What is read again is compared with what was read, not with what became of it.
    read: request.settings,
    rereadSettings: request.rereadSettings,
    emperor,
    signals,
    logger: request.log.logger,
  });
  await nesting.open(process.env);
  return nesting;
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
      ...(settings.onDemand.extension === undefined
        ? {}
        : { companionSuffix: settings.onDemand.extension }),
      clock: systemClock,
      remote: { ...settings.sources, environment, random: Math.random },
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

/** What holds all of a vassal together, and who watches or starts them besides us. */
interface Keepers {
  readonly signature: number | undefined;
  readonly cgroups: VassalCgroups | undefined;
  readonly isolators: Isolators;
  readonly observers: readonly Observer[];
  readonly forkServers: ForkServers | undefined;
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
  { signature, cgroups, isolators, observers, forkServers }: Keepers,
): RunningEmperor {
  const tidier = ownTidier();
  return createEmperor({
    settings,
    logger,
    monitors,
    createHands: (listener) => {
      const hands = createHands(settings, linux, listener, logger, hooks, {
        ...isolators,
        ...(signature === undefined ? {} : { signature }),
        ...(cgroups === undefined ? {} : { cgroups }),
        ...(forkServers?.client === undefined ? {} : { forkServer: forkServers.client }),
      });
      forkServers?.reapOrphans((pid) => hands.hasProcess(pid));
      return hands;
    },
    hooks,
    ...(settings.onDemand.exec === undefined
      ? {}
      : { askAddress: (spec: VassalSpec) => hooks.askAddress(spec) }),
    refusalOf: (spec) => isolators.tyrant?.refusal(spec),
    version,
    observers: tidier === undefined ? observers : [...observers, () => tidier.note()],
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
