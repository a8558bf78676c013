/**
 * The `vassal` command: reads the configuration and becomes the kind of vassal that it describes. Loads
 * only the modules of that kind, because every tenant pays for them at each start.
 */
import { connectEmperor } from "./client.ts";
import type { EmperorConnection } from "./client.ts";
import { readConfiguration } from "./configuration.ts";
import type { PushedConfig } from "./configuration.ts";
import { RuntimeError } from "./errors.ts";
import { LAUNCH_VARIABLES, isSameNode, readLaunch } from "./launch.ts";
import type { Launch } from "./launch.ts";
import { labelLog, log } from "./log.ts";
import type { RuntimeSettings } from "./settings.ts";
import type { Subscriber } from "./subscriptions.ts";
import type { Vassal, VassalControls } from "./vassal.ts";

const VERSION = "0.1.0";

async function main(): Promise<void> {
  const launch = readLaunch();
  labelLog(launch.label);
  if (launch.worker !== undefined) {
    (await import("./own-process.ts")).checkNodeVersion();
    const { runWorker } = await import("./worker.ts");
    const orders = JSON.parse(launch.worker) as Parameters<typeof runWorker>[0];
    if (launch.board !== undefined)
      (await import("./worker-board.ts")).joinBoard(launch.board, orders.number);
    return runWorker(orders);
  }
  const emperor = connectEmperor({ defaultActions: false });
  const early = listenEarly(emperor);
  let exitCode = 1;
  const pushed: PushedConfig = { bytes: launch.pushedConfig };
  let fallback: string | undefined;
  const settings = await settingsOrUndefined(launch, emperor, pushed, (code, file) => {
    exitCode = code;
    fallback = file;
  });
  const cameUp =
    fallback === undefined || launch.trial
      ? () => undefined
      : (await import("./fallback.ts")).fallBackTo(fallback, launch);
  if (settings === undefined) return endAfterOutput(exitCode);
  await becomeWantedNode(launch, settings, pushed);
  if (settings.run.umask !== undefined) process.umask(settings.run.umask);
  if (launch.stage !== undefined) process.chdir(launch.stage.directory);
  if (launch.trial) {
    const { runTrial } = await import("./trial.ts");
    return runTrial({ launch, settings });
  }
  if (settings.heartbeatMs !== undefined && !settings.master)
    emperor.heartbeat(settings.heartbeatMs / 1000);
  const { startUp } = await import("./start-up.ts");
  const { hook, pidfile, sockets, ...started } = await startUp({
    launch,
    settings,
    pushed: pushed.bytes,
  });
  const subscriber =
    settings.subscription === undefined
      ? undefined
      : await subscribe(settings, settings.subscription, emperor);
  const vassal: Vassal = {
    launch: started.launch,
    settings,
    sockets,
    emperor,
    readSettings: async () => settingsOrUndefined(launch, emperor, { bytes: undefined }),
    started: () => {
      cameUp();
      subscriber?.accepting();
      pidfile("safe-pidfile", settings.run.pidfiles.safe);
    },
    hook,
  };
  const run = await runner(settings);
  const counted = settings.stats === undefined ? vassal : await withStatistics(vassal);
  hook("pre-app");
  emperor.on("reload", () => hook("emperor-reload"));
  emperor.on("stop", () => hook("emperor-stop"));
  emperor.on("lost", () => hook("emperor-lost"));
  early.end();
  if (settings.zerg !== undefined) await shareSockets(settings);
  const running = run(counted);
  if (subscriber !== undefined) unsubscribeAtSignals(subscriber);
  // The config may have been read before the change that this is about.
  if (early.reloadAsked()) emperor.emit("reload");
  const controls = await running;
  hook("master-start");
  if (settings.fifos.length > 0) await openFifos(vassal, controls, subscriber);
  if (settings.daemons.length > 0) (await import("./daemons.ts")).startDaemons(vassal);
}

/** Zerg server and pools; both before the app, so that zergs need not wait for it. */
async function shareSockets(settings: RuntimeSettings): Promise<void> {
  const { pools, server, serverMode } = settings.zerg ?? { pools: [] };
  if (server !== undefined) {
    const { openSockets } = await import("./sockets.ts");
    await (await import("./zerg-server.ts")).serveZergs(server, serverMode, openSockets);
  }
  for (const pool of pools)
    await (await import("./zerg-pool.ts")).openPool(pool, serverMode, settings);
}

/** Announced as soon as the app accepts; taken back before anything else when the vassal stops. */
async function subscribe(
  settings: RuntimeSettings,
  subscription: NonNullable<RuntimeSettings["subscription"]>,
  emperor: EmperorConnection,
): Promise<Subscriber> {
  const [{ createSubscriber }, { announceable }] = await Promise.all([
    import("./subscriptions.ts"),
    import("./sockets.ts"),
  ]);
  const subscriber = await createSubscriber({
    settings: subscription,
    workers: settings.processes,
    sockets: announceable,
  });
  const end = (): void => subscriber.end();
  emperor.on("stop", end).on("lost", end);
  emperor.on("reload", () => subscriber.reloading());
  return subscriber;
}

/** Only once the vassal itself follows signals: until then they end the process, as they should. */
function unsubscribeAtSignals(subscriber: Subscriber): void {
  const end = (): void => subscriber.end();
  process.on("SIGTERM", end).on("SIGINT", end);
  process.on("SIGHUP", () => subscriber.reloading());
}

/** The vassal whose workers know where to tell their numbers. */
async function withStatistics(vassal: Vassal): Promise<Vassal> {
  const { launch, settings } = vassal;
  if (settings.stats === undefined) return vassal;
  const { startStatistics } = await import("./statistics.ts");
  const board = await startStatistics(vassal, settings.stats, VERSION);
  if (board === undefined) return vassal;
  const environment = { ...launch.environment, [LAUNCH_VARIABLES.board]: board };
  return { ...vassal, launch: { ...launch, environment } };
}

async function openFifos(
  vassal: Vassal,
  controls: VassalControls,
  subscriber: Subscriber | undefined,
): Promise<void> {
  const { launch, emperor, settings } = vassal;
  const { followFifos } = await import("./fifo.ts");
  followFifos(
    settings.fifos.map((path) => (path.startsWith("/") ? path : `${launch.cwd}/${path}`)),
    {
      controls,
      reinforcements: () => void emperor.reinforcements(),
      toggleSubscriptions: () =>
        subscriber === undefined ? log("there are no subscriptions") : subscriber.toggle(),
      reopenLogs: () => void import("./log-file.ts").then(({ reopenLogFiles }) => reopenLogFiles()),
      rotateLogs: () => void import("./log-file.ts").then(({ rotateLogFiles }) => rotateLogFiles()),
      rewritePidfiles: () =>
        void import("./own-process.ts").then(({ rewritePidfiles }) =>
          rewritePidfiles(settings.run.pidfiles),
        ),
      logStatistics: () => {
        import("./statistics.ts")
          .then(async ({ statisticsText }) => log(await statisticsText(vassal, VERSION)))
          .catch((error: unknown) => log(`the statistics could not be made: ${String(error)}`));
      },
    },
  );
}

async function runner({
  app,
  master,
}: RuntimeSettings): Promise<(vassal: Vassal) => Promise<VassalControls>> {
  if (app.kind === "pool") return (await import("./zerg-pool.ts")).runPool;
  if (app.kind === "command") return (await import("./command-vassal.ts")).runCommand;
  if (master) return (await import("./master.ts")).runMaster;
  return (await import("./single.ts")).runSingle;
}

/** With one process `node-binary` and `node-options` are about this very process. */
async function becomeWantedNode(
  launch: Launch,
  settings: RuntimeSettings,
  pushed: PushedConfig,
): Promise<void> {
  const { app, master, run } = settings;
  const own = app.kind === "node" && !master;
  const wanted = {
    binary: own ? run.nodeBinary : undefined,
    options: own ? run.nodeOptions : [],
  };
  if (!isSameNode(launch.node, wanted)) {
    const { executeWithNode } = await import("./other-node.ts");
    executeWithNode(launch, wanted, pushed.bytes);
  }
  if (wanted.binary !== undefined) (await import("./own-process.ts")).checkNodeVersion();
}

/** Orders that come before there is anything to stop or reload. */
function listenEarly(emperor: EmperorConnection): { reloadAsked(): boolean; end(): void } {
  let asked = false;
  const reload = (): void => {
    asked = true;
  };
  const stop = (): never => process.exit(0);
  const lost = (): never => process.exit(1);
  emperor.on("reload", reload).on("stop", stop).on("lost", lost);
  return {
    reloadAsked: () => asked,
    end: () => void emperor.off("reload", reload).off("stop", stop).off("lost", lost),
  };
}

async function settingsOrUndefined(
  launch: Launch,
  emperor: EmperorConnection,
  pushed: PushedConfig,
  onRead?: (exitCode: number, fallback: string | undefined) => void,
): Promise<RuntimeSettings | undefined> {
  const configuration = await readConfiguration(launch, emperor, pushed);
  switch (configuration.kind) {
    case "settings":
      onRead?.(0, configuration.fallback);
      return configuration.settings;
    case "invalid":
      onRead?.(configuration.exitCode, configuration.fallback);
      for (const error of configuration.errors) log(error.message);
      if (launch.argv.length === 0)
        log("usage: vassal --ini FILE; vassal --help lists the options");
      return undefined;
    case "exit":
      for (const line of configuration.output) process.stdout.write(`${line}\n`);
      return endAfterOutput(configuration.code);
    case "emperor":
      // What runs already has sockets and children, which an Emperor would know nothing of.
      if (onRead === undefined) {
        log('the config has the option "emperor" now: remove this vassal and add it again');
        return undefined;
      }
      return (await import("./nested-emperor.ts")).becomeEmperor(launch);
    case "help": {
      const { helpText } = await import("./options.ts");
      process.stdout.write(helpText());
      return endAfterOutput(0);
    }
    case "version":
      process.stdout.write(`vassal ${VERSION}\n`);
      return endAfterOutput(0);
  }
}

/** Ends the process when everything written to a pipe has arrived there. */
async function endAfterOutput(code: number): Promise<never> {
  await new Promise<void>((resolve) => {
    process.stdout.write("", () => resolve());
  });
  process.exit(code);
}

// No top-level await: while an app loads nothing may keep the loop alive, and that is no mistake of ours.
main().catch((error: unknown) => {
  if (error instanceof RuntimeError) log(error.message);
  else
    log(
      `internal error, please report it: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
    );
  process.exit(error instanceof RuntimeError ? error.exitCode : 101);
});
