/**
 * Options of how the app runs: its Node, its workers, their limits, reloads by touch, names and pidfiles.
 * Only the table; `run-settings.ts` gives the values their meaning.
 */
import type { OptionDefinition } from "@emperor/config";
import { flag, serve } from "./option-definitions.ts";

const APP = "Application";
const PROCESSES = "Processes";
const LIMITS = "Limits of a worker (they need a master, and bring one)";
const DEMAND = "Demand";
const TOUCH = "Reload by touching a file";

const seconds = { kind: "seconds" } as const;
const number = { kind: "integer" } as const;
const files = { kind: "list", repeatable: true, placeholder: "FILE" } as const;

export const RUN_OPTIONS: readonly OptionDefinition[] = [
  serve(APP, "node-binary", "the Node that runs the app, 20.19 or newer", {
    kind: "path",
    placeholder: "FILE",
    since: "0.1",
  }),
  serve(APP, "node-options", "flags for that Node, as on its command line", {
    kind: "list",
    repeatable: true,
    placeholder: "FLAGS",
    since: "0.1",
  }),
  serve(APP, "envdir", "set variables from the files of a directory, after env", {
    kind: "list",
    repeatable: true,
    placeholder: "DIRECTORY",
  }),
  serve(PROCESSES, "umask", "the umask, octal", { kind: "octal" }),
  serve(PROCESSES, "forkbomb-delay", "seconds until a worker that died too quickly is replaced", {
    ...seconds,
    default: "2",
  }),
  serve(PROCESSES, "procname", "name of the processes in ps"),
  serve(PROCESSES, "procname-master", "name of the master"),
  serve(PROCESSES, "procname-prefix", "text in front of the names"),
  serve(PROCESSES, "procname-prefix-spaced", "text and a space in front of the names"),
  serve(PROCESSES, "procname-append", "text behind the names"),
  flag(PROCESSES, "auto-procname", "names that tell what each process is"),
  serve(PROCESSES, "pidfile", "write the pid here, before uid is changed", { kind: "path" }),
  serve(PROCESSES, "pidfile2", "the same, after uid was changed", { kind: "path" }),
  serve(PROCESSES, "safe-pidfile", "the same, once the app runs", { kind: "path" }),
  serve(PROCESSES, "cheaper", "fewest workers; more are started while they are busy", number),
  serve(PROCESSES, "cheaper-initial", "workers at the start", number),
  serve(PROCESSES, "cheaper-step", "workers started at once", { ...number, default: "1" }),
  serve(PROCESSES, "cheaper-overload", "seconds of quiet before a worker is stopped", {
    ...seconds,
    default: "3",
  }),
  serve(PROCESSES, "reload-timeout", "seconds for new workers to accept; then the old ones go on", {
    ...seconds,
    default: "300",
    since: "0.1",
  }),
  serve(LIMITS, "harakiri", "seconds a request may take; then its worker is killed", seconds),
  serve(LIMITS, "max-requests", "replace a worker after so many requests", {
    ...number,
    short: "R",
  }),
  serve(LIMITS, "max-requests-delta", "so many more for each further worker", number),
  serve(LIMITS, "max-worker-lifetime", "replace a worker after so many seconds", seconds),
  serve(LIMITS, "max-worker-lifetime-delta", "so many more for each further worker", seconds),
  serve(LIMITS, "min-worker-lifetime", "seconds a worker lives before requests and memory count", {
    ...seconds,
    default: "60",
  }),
  serve(LIMITS, "reload-on-rss", "replace a worker that uses so many MB of memory", number),
  serve(DEMAND, "idle", "seconds without a request after which the workers are stopped", seconds),
  flag(DEMAND, "die-on-idle", "tell the Emperor instead that this vassal is not needed"),
  flag(DEMAND, "cheap", "start without workers, until a connection comes"),
  serve(DEMAND, "vassal-sos", "ask for reinforcements after so many busy seconds", seconds),
  serve(
    DEMAND,
    "vassal-sos-backlog",
    "the same, for so many connections in a listen queue",
    number,
  ),
  serve(TOUCH, "touch-reload", "reload everything", files),
  serve(TOUCH, "touch-workers-reload", "replace the workers, all at a time", files),
  serve(TOUCH, "touch-chain-reload", "replace the workers, one at a time", files),
];
