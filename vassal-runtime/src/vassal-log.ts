/**
 * Brings the log of a vassal together in the process that governs it: files, loggers, request lines, and
 * the times at which files are opened anew. Loaded only where an option of the log is set.
 */
import { writeSync } from "node:fs";
import type { RequestWatch } from "./connections.ts";
import { atLeaving } from "./leaving.ts";
import { LineWriter } from "./line-writer.ts";
import { LogFile, checkLogFiles, reopenLogFiles, rotateLogFiles } from "./log-file.ts";
import { sendOutputsTo, sendRequestLinesTo } from "./log-outputs.ts";
import { renewsFiles } from "./log-settings.ts";
import type { LogSettings } from "./log-settings.ts";
import { descriptorSink, joinSinks, openSink } from "./log-sinks.ts";
import type { LogSink } from "./log-sinks.ts";
import { decorateLog, log, quote, sendLogTo } from "./log.ts";
import { requestLog } from "./request-log.ts";
import type { RuntimeSettings } from "./settings.ts";
import { strftime } from "./strftime.ts";
import { TouchWatch } from "./touch.ts";
import { versionOf } from "./touched-files.ts";

const LOOK_EVERY_MS = 1000;
const LOG_FD = 2;
/** Request lines wait so long for others: one write for each would cost the app more than the line. */
const GATHER_MS = 50;

/** What the own process writes of its requests. */
let ownRequests: LogSink | undefined;

/** Descriptors 1 and 2 become the file. Throws a `RuntimeError`. */
export function logTo(
  option: "logto" | "logto2",
  path: string,
  settings: Pick<RuntimeSettings, "log" | "uid">,
  isOpen: boolean,
): void {
  new LogFile({
    ...settings.log.files,
    option,
    path,
    user: option === "logto" ? settings.uid : undefined,
    isOutput: true,
    isOpen,
  });
}

/** `log-date` and `log-prefix`, for this process. */
export function decorate({ date, prefix }: Pick<LogSettings, "date" | "prefix">): void {
  if (date === undefined && prefix === "") return;
  decorateLog(() => (date === undefined ? "" : `${strftime(date, new Date())} - `) + prefix);
}

/** Begins; to be called when the user has changed and before anything of the app is started. */
export function startLogging(settings: RuntimeSettings): void {
  const { app, fifos, log: own, master } = settings;
  const hasChildren = master || app.kind === "command";
  const hasFile = (own.early ?? own.late) !== undefined;
  const open = (option: string, specs: LogSettings["loggers"], delayMs = 0): LogSink =>
    joinSinks(specs.map((spec) => openSink(option, spec, own.files, delayMs)));
  if (own.loggers.length > 0) {
    const sink = open("logger", own.loggers);
    sendLogTo((text) => sink.write(text));
    flushAtEnd(sink);
    if (hasChildren) drainAtEnd(sendOutputsTo(sink));
  } else if (hasChildren && hasFile && (renewsFiles(own) || fifos.length > 0)) {
    // Only this process can open the file anew, so everything has to pass through it.
    drainAtEnd(sendOutputsTo(new LineWriter(() => LOG_FD, checkLogFiles)));
  }
  if (own.requestLoggers.length > 0 && app.kind === "node") {
    // Under a master the workers gather their lines.
    const delayMs = master ? 0 : GATHER_MS;
    const sink = open("req-logger", own.requestLoggers, delayMs);
    if (master) drainAtEnd(sendRequestLinesTo(sink));
    else ownRequests = sink;
    flushAtEnd(sink);
  }
  if (renewsFiles(own)) look(own);
}

/** Tells of the requests of this process; `fd`: a descriptor for their lines, given by a master. */
export function watchRequests(
  settings: NonNullable<LogSettings["requests"]>,
  worker: number,
  fd: number | undefined,
): RequestWatch {
  const sink = (ownRequests ??= descriptorSink(fd ?? LOG_FD, GATHER_MS));
  flushAtEnd(sink);
  return requestLog(settings, worker, (line) => sink.write(line));
}

/** The request lines so far are written; to be awaited before the process executes itself anew. */
export async function requestLinesWritten(): Promise<void> {
  await ownRequests?.flushed();
}

function flushAtEnd(sink: LogSink): void {
  atLeaving(() => sink.flushNow());
}

function drainAtEnd(pipe: { drain(): void }): void {
  atLeaving(() => {
    pipe.drain();
    // What is told from now on finds nobody who would write it later.
    sendLogTo((text) => void writeSync(LOG_FD, text));
  });
}

function look({ touchReopen, touchRotate }: LogSettings): void {
  const watches = [
    { name: "touch-logreopen", watch: new TouchWatch(touchReopen, versionOf), act: reopenLogFiles },
    { name: "touch-logrotate", watch: new TouchWatch(touchRotate, versionOf), act: rotateLogFiles },
  ];
  setInterval(() => {
    checkLogFiles();
    for (const { name, watch, act } of watches) {
      const [path] = watch.changed();
      if (path === undefined) continue;
      log(`${name}: ${quote(path)} was touched`);
      act();
    }
  }, LOOK_EVERY_MS).unref();
}
