/**
 * The options of the `vassal` command: what it serves now, what uWSGI has that is accepted without
 * effect, and what is refused until it exists because a vassal without it would be wrong or unsafe.
 * Only the table; `settings.ts` gives the values their meaning.
 */
import { createOptionTable } from "@emperor/config";
import type { OptionDefinition, OptionTable } from "@emperor/config";
import { COMMAND_OPTIONS } from "./command-settings.ts";
import { DAEMON_OPTIONS } from "./daemon-settings.ts";
import { FIFO_OPTIONS } from "./fifo-settings.ts";
import { ABSENT_HOOKS, HOOK_OPTIONS } from "./hook-settings.ts";
import { JAIL_OPTIONS } from "./jail-settings.ts";
import { LOG_OPTIONS } from "./log-settings.ts";
import { flag, serve } from "./option-definitions.ts";
import { PATCH_OPTIONS } from "./patch-settings.ts";
import { RUN_OPTIONS } from "./run-options.ts";
import { SOCKET_OPTIONS } from "./socket-settings.ts";
import { STATS_OPTIONS } from "./stats-settings.ts";
import { SUBSCRIPTION_OPTIONS } from "./subscription-settings.ts";
import { WAIT_OPTIONS } from "./wait-settings.ts";
import { ZERG_OPTIONS } from "./zerg-settings.ts";

const APP = "Application";
const PROCESSES = "Processes";

const SUPPORTED: readonly OptionDefinition[] = [
  serve(APP, "node-app", "the Node module or script that serves the requests", {
    kind: "path",
    placeholder: "FILE",
    since: "0.1",
  }),
  serve(APP, "command", "any other program, with its arguments; no shell reads them", {
    placeholder: "PROGRAM ARGUMENTS",
    since: "0.1",
  }),
  flag(APP, "need-app", "exit with 22 when node-app offers nothing to serve (always so here)"),
  serve(APP, "env", "set an environment variable for the app", {
    kind: "list",
    repeatable: true,
    placeholder: "NAME=VALUE",
  }),
  serve(APP, "unenv", "remove an environment variable", {
    kind: "list",
    repeatable: true,
    placeholder: "NAME",
  }),
  ...PATCH_OPTIONS,
  ...SOCKET_OPTIONS,
  ...ZERG_OPTIONS,
  ...SUBSCRIPTION_OPTIONS,
  serve(PROCESSES, "processes", "number of workers", {
    aliases: ["workers"],
    kind: "integer",
    short: "p",
    default: "1",
  }),
  flag(PROCESSES, "master", "keep a master process even for a single worker", { short: "M" }),
  serve(PROCESSES, "chdir", "working directory of the app", {
    kind: "path",
    placeholder: "DIRECTORY",
  }),
  serve(PROCESSES, "uid", "run as this user (only when started as root)", { kind: "user" }),
  serve(PROCESSES, "gid", "run with this group (only when started as root)", { kind: "group" }),
  serve(PROCESSES, "heartbeat", "tell the Emperor every so many seconds that the vassal is alive", {
    kind: "seconds",
  }),
  serve(PROCESSES, "reload-mercy", "seconds that running requests, or the command, get to end", {
    kind: "seconds",
    default: "10",
  }),
  serve(PROCESSES, "worker-reload-mercy", "the same for each worker under a master", {
    kind: "seconds",
    default: "60",
  }),
  ...COMMAND_OPTIONS,
  ...DAEMON_OPTIONS,
  ...RUN_OPTIONS,
  ...STATS_OPTIONS,
  ...FIFO_OPTIONS,
  ...HOOK_OPTIONS,
  ...WAIT_OPTIONS,
  ...JAIL_OPTIONS,
  ...LOG_OPTIONS,
  serve("Control", "fallback-config", "the configuration for a start that failed with 1", {
    kind: "path",
    placeholder: "FILE",
  }),
  serve("Information", "help", "show this help", { argument: "none", kind: "flag", short: "h" }),
  serve("Information", "version", "show the version", { argument: "none", kind: "flag" }),
];

/** Options whose absence would leave a vassal without its socket, its app or its walls. */
const LATER: Readonly<Record<string, string>> = {
  http: "the HTTP router is no part of this program; use http-socket",
  https: "the HTTPS router is no part of this program; use http-socket behind a proxy",
  "fastcgi-socket": "this program does not speak FastCGI; use http-socket",
  "scgi-socket": "this program does not speak SCGI; use http-socket",
  namespace: "it is uWSGI's old way; use unshare, pivot-root and mount-post-jail",
  ns: "it is uWSGI's old way; use unshare, pivot-root and mount-post-jail",
  "namespace-keep-mount": "it belongs to namespace, which is not served",
  "keep-mount": "it belongs to namespace, which is not served",
  "namespace-net": "it belongs to namespace, which is not served; use unshare = net",
  "ns-net": "it belongs to namespace, which is not served; use unshare = net",
  "immediate-uid": "the configuration is read as the user who starts the vassal; use uid",
  "immediate-gid": "the configuration is read as the user who starts the vassal; use gid",
  "setns-socket":
    "this program does not give its namespaces away; name a file of /proc/PID/ns in setns",
  "setns-socket-skip": "it belongs to setns-socket, which is not served",
  "setns-skip": "it belongs to setns-socket, which is not served",
  "setns-preopen": "it belongs to setns-socket, which is not served",
  daemonize:
    "a vassal stays in the foreground, because its supervisor has to see its end; without an Emperor let systemd, or an Emperor, keep it",
  ...ABSENT_HOOKS,
  emperor: "the vassal becomes an Emperor at its start, never at a reload",
};

/** Options of real configs that say what is so anyway, or what has no counterpart here. */
const IGNORED: Readonly<Record<string, string>> = {
  plugin: "there are no plugins",
  plugins: "there are no plugins",
  "die-on-term": "SIGTERM always stops",
  "enable-threads": "Node has no such threads",
  threads: "a worker serves many requests at a time; use processes",
  "no-orphans": "workers always end with their master",
  "lazy-apps": "every worker loads the app itself",
  lazy: "every worker loads the app itself",
  "cheaper-algo": "workers are counted as busy by their event loops, see cheaper",
  "single-interpreter": "it belongs to Python",
  "threaded-logger": "the log never waits for its readers anyway",
  "log-master-bufsize": "lines have no limit of their own",
  "log-master-stream": "lines come through a pipe",
  "log-master-req-stream": "lines come through a pipe",
  "log-sendfile": "there is no sendfile",
  "memory-report": "the statistics always have the memory",
  "thunder-lock": "the kernel distributes the connections",
  refork: "a pid namespace is entered with a child by itself",
  "re-fork": "a pid namespace is entered with a child by itself",
  "refork-as-root": "a pid namespace is entered with a child by itself",
  "re-fork-as-root": "a pid namespace is entered with a child by itself",
  "refork-post-jail": "a pid namespace is entered with a child by itself",
  "re-fork-post-jail": "a pid namespace is entered with a child by itself",
  "drop-after-init": "there is one moment at which uid is changed, before sockets are bound",
  "drop-after-apps": "there is one moment at which uid is changed, before sockets are bound",
  "master-as-root":
    "there is one moment at which uid is changed, before sockets are bound; shared-socket is bound before",
  "buffer-size": "headers over HTTP are limited by Node, packets of uwsgi to 65535 bytes",
};

function table(
  names: Readonly<Record<string, string>>,
  status: "later" | "ignored",
): OptionDefinition[] {
  return Object.entries(names).map(([name, reason]) => ({
    name,
    argument: "optional",
    kind: "string",
    repeatable: true,
    help: reason,
    since: "2.0",
    group: status === "later" ? "Not yet" : "Accepted without effect",
    status,
    reason,
  }));
}

/** The table for `loadConfiguration`. */
export function vassalOptions(): OptionTable {
  return createOptionTable([...SUPPORTED, ...table(LATER, "later"), ...table(IGNORED, "ignored")]);
}

/** The text of `vassal --help`. */
export function helpText(): string {
  const lines = [
    "Usage: vassal --ini FILE   (or --xml, --yaml, --json, --config, any option below)",
    "",
  ];
  let group = "";
  // The parts of the table add to the same groups.
  const order = [...new Set(SUPPORTED.map((option) => option.group))];
  const sorted = [...SUPPORTED].toSorted((a, b) => order.indexOf(a.group) - order.indexOf(b.group));
  for (const option of sorted) {
    if (option.group !== group) lines.push(`${(group = option.group)}:`);
    const names = [option.name, ...(option.aliases ?? [])].map((name) => `--${name}`).join(", ");
    const short = option.short === undefined ? "" : `-${option.short}, `;
    const preset = option.default === undefined ? "" : ` [${option.default}]`;
    lines.push(
      `  ${`${short}${names} ${option.placeholder ?? ""}`.trimEnd().padEnd(34)} ${option.help}${preset}`,
    );
  }
  return `${lines.join("\n")}\n`;
}
