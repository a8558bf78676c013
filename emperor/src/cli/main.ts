/**
 * The `emperor` command: reads what it was told, answers questions, goes to the background, or
 * governs. It ends the process; nothing else does.
 */
import { fileURLToPath } from "node:url";
import { execve } from "@emperor/linux";
import { ENVIRONMENT } from "@emperor/protocol";
import { EmperorError, EXIT } from "../errors.ts";
import { descriptorSink } from "../log/descriptor-sink.ts";
import { readSettings, type SettingsRequest } from "../options/read-settings.ts";
import { DAEMON_VARIABLE, DaemonReport, startDaemon } from "./daemon.ts";
import { govern } from "./govern.ts";
import { linuxSystem } from "./linux-system.ts";
import { logToFile } from "./log-file.ts";
import { OPEN_FILES_VARIABLE } from "./open-files.ts";
import { applyEnvironment, openLog, type OwnLog } from "./prepare.ts";
import { productVersion } from "./version.ts";

/** bin/vassal of this installation, seen from src/cli and from dist/cli. */
const DEFAULT_BINARY = fileURLToPath(new URL("../../../bin/vassal", import.meta.url));

/** Whole and in order, also into a pipe that takes it slowly, and without complaint when nobody reads. */
function print(fd: 1 | 2, text: string): void {
  const sink = descriptorSink({ fd });
  sink.write(text);
  sink.close();
}

/** A variable that is meant for this process alone. */
function takeVariable(name: string): string | undefined {
  const value = process.env[name];
  delete process.env[name];
  return value;
}

interface Launch {
  readonly argv: readonly string[];
  readonly report: DaemonReport;
  readonly launchedOpenFiles: string | undefined;
  /** Set as soon as there is one: where the last words go. */
  log: OwnLog | undefined;
}

async function run(launch: Launch): Promise<number> {
  const version = productVersion();
  const request: SettingsRequest = {
    argv: launch.argv,
    // As it is now: options change it.
    environment: { ...process.env },
    startDirectory: process.cwd(),
    defaultBinaryPath: DEFAULT_BINARY,
    version,
  };
  const reading = await readSettings(request);
  if (reading.output.length > 0) print(1, `${reading.output.join("\n")}\n`);
  if (reading.ok === "exit") return reading.code;
  if (reading.ok === false) {
    const one = reading.problems.length === 1;
    throw new EmperorError(
      "wrong-use",
      `${reading.problems.join(one ? "" : "\nemperor: ")}${one ? "; " : "\nemperor: "}nothing is started`,
    );
  }
  const { settings, questions } = reading;
  const answer = await answerTo(questions, version, settings.emperor.length > 0);
  if (answer !== undefined) return answer;
  if (settings.emperor.length === 0) {
    throw new EmperorError(
      "no-monitor",
      "there is nothing to govern: give --emperor DIRECTORY, --emperor PATTERN, or a file with such an option; --help lists all options",
    );
  }
  const isVassal = [ENVIRONMENT.emperorFd, ENVIRONMENT.emperorProxy].some(
    (name) => process.env[name] !== undefined,
  );
  // Under another Emperor only the log moves, as in uWSGI: whoever started us waits for us.
  if (settings.daemonize !== undefined && !launch.report.isDaemon && !isVassal) {
    return await goToBackground(launch, settings.daemonize);
  }
  const logFile = settings.daemonize ?? settings.logto;
  if (logFile !== undefined && !launch.report.isDaemon) logToFile(logFile, linuxSystem);
  applyEnvironment(settings.environment, process.env);
  launch.log = await openLog(settings);
  const outcome = await govern({
    settings,
    rereadSettings: () => readSettings(request),
    remarks: reading.remarks,
    shownConfig: questions.shownConfig,
    log: launch.log,
    version,
    launchedOpenFiles: launch.launchedOpenFiles,
    report: launch.report,
    isVassal,
  });
  if (outcome.kind === "exit") return outcome.code;
  launch.log.logger.flush();
  return startAgain(launch, request, outcome.channel);
}

/** The same process with the same arguments, directory and environment, and nothing of its past. */
function startAgain(launch: Launch, request: SettingsRequest, channel: number | undefined): never {
  const script = process.argv[1] ?? fileURLToPath(import.meta.url);
  const { execPath, execArgv } = process;
  const env: Record<string, string | undefined> = {
    ...request.environment,
    [OPEN_FILES_VARIABLE]: launch.launchedOpenFiles,
  };
  if (channel !== undefined) {
    // Borrowed from a proxy or not: it is here now.
    delete env[ENVIRONMENT.emperorProxy];
    env[ENVIRONMENT.emperorFd] = String(channel);
  }
  process.chdir(request.startDirectory);
  return execve({
    path: execPath,
    argv: [execPath, ...execArgv, script, ...launch.argv],
    env: Object.entries(env).flatMap(([name, value]) =>
      value === undefined ? [] : [`${name}=${value}`],
    ),
    keepFds: channel === undefined ? [] : [channel],
  });
}

/** @returns an exit code when there is nothing else to do */
async function answerTo(
  questions: { readonly help: boolean; readonly version: boolean; readonly monitorList: boolean },
  version: string,
  governs: boolean,
): Promise<number | undefined> {
  if (questions.help) {
    const { helpText } = await import("../options/help.ts");
    const { emperorOptions } = await import("../options/option-table.ts");
    const { LANGUAGE_OPTIONS } = await import("@emperor/config");
    print(1, helpText(emperorOptions(), LANGUAGE_OPTIONS));
    return EXIT.done;
  }
  if (questions.version) {
    print(1, `emperor ${version}\n`);
    return EXIT.done;
  }
  if (questions.monitorList) {
    const { MONITOR_SCHEMES } = await import("@emperor/monitors");
    print(1, `*** imperial monitors ***\n${MONITOR_SCHEMES.map((name) => `${name}\n`).join("")}`);
    return governs ? undefined : EXIT.done;
  }
  return undefined;
}

async function goToBackground(launch: Launch, logFile: string): Promise<number> {
  const script = process.argv[1] ?? fileURLToPath(import.meta.url);
  const openFiles = launch.launchedOpenFiles;
  const { exitCode, message } = await startDaemon({
    command: [process.execPath, ...process.execArgv, script, ...launch.argv],
    environment: {
      ...process.env,
      ...(openFiles === undefined ? {} : { [OPEN_FILES_VARIABLE]: openFiles }),
    },
    logFile,
  });
  if (message !== "") print(2, `emperor: ${message}\n`);
  return exitCode;
}

/** Says why it ends, where the administrator will look. */
function sayLastWords(launch: Launch, error: unknown): number {
  const expected = error instanceof EmperorError;
  const text = error instanceof Error ? error.message : String(error);
  const message = expected
    ? text
    : `this is a bug, please report it: ${text}; the Emperor ends, and its vassals with it`;
  const exitCode = expected ? error.exitCode : EXIT.bug;
  const stack = expected || !(error instanceof Error) ? undefined : error.stack;
  const { log, report } = launch;
  if (log !== undefined) {
    log.logger.write({
      level: "fatal",
      message: `[emperor] ${message}`,
      ...(expected ? { fields: { code: error.code } } : {}),
      ...(stack === undefined ? {} : { detail: stack }),
    });
    log.logger.flush();
  } else {
    print(2, `emperor: ${message}\n${stack === undefined ? "" : `${stack}\n`}`);
  }
  report.failed(exitCode, message);
  return exitCode;
}

async function main(): Promise<never> {
  const launch: Launch = {
    argv: process.argv.slice(2),
    report: new DaemonReport(takeVariable(DAEMON_VARIABLE)),
    launchedOpenFiles: takeVariable(OPEN_FILES_VARIABLE),
    log: undefined,
  };
  // A broken invariant of the whole ends the Emperor; its vassals end with it (parent-death signal)
  // and whatever started it starts it again with a clean state.
  const die = (error: unknown): never => process.exit(sayLastWords(launch, error));
  process.on("uncaughtException", die);
  process.on("unhandledRejection", die);
  try {
    return process.exit(await run(launch));
  } catch (error) {
    return die(error);
  }
}

await main();
