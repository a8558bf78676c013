/**
 * Options of the Emperor's own process: identity, directories, pidfiles, log, statistics. Only the
 * table; `read-settings.ts` gives the values their meaning.
 */
import type { OptionDefinition } from "@emperor/config";
import { OURS, under } from "./define.ts";

function identityOptions(): OptionDefinition[] {
  const { flag, list, value } = under("The Emperor's own process");
  return [
    value(
      "uid",
      "user",
      "USER",
      "run the Emperor, and so its vassals, as this user (name or number)",
    ),
    value("gid", "group", "GROUP", "run the Emperor as this group (name or number)"),
    list("add-gid", "GROUP", "a supplementary group; replaces those of the user"),
    flag("no-initgroups", "do not take over the supplementary groups of the user"),
    value("immediate-uid", "user", "USER", "become this user before anything else; never root"),
    value(
      "immediate-gid",
      "group",
      "GROUP",
      "become this group before anything else; never root's",
    ),
    value(
      "cap",
      "capabilities",
      "NAMES",
      "keep these capabilities when privileges are dropped: a comma list",
    ),
    value(
      "chdir",
      "path",
      "DIRECTORY",
      "go there; relative addresses of monitors are meant from there",
    ),
    value("chdir2", "path", "DIRECTORY", "go there after chdir"),
    value("force-cwd", "path", "DIRECTORY", "go there before anything else"),
    value("umask", "octal", "MODE", "file mode creation mask of the Emperor and its vassals"),
    value("max-fd", "integer", "N", "limit of open descriptors", {
      default: "the hard limit",
    }),
    list("env", "NAME=VALUE", "set an environment variable"),
    list("unenv", "NAME", "remove an environment variable"),
    value("pidfile", "path", "FILE", "write the pid here and keep the file locked", {
      aliases: ["safe-pidfile"],
      repeatable: true,
    }),
    value("pidfile2", "path", "FILE", "as pidfile, after privileges were dropped", {
      aliases: ["safe-pidfile2"],
      repeatable: true,
    }),
    value("emperor-pidfile", "path", "FILE", "as pidfile2", { repeatable: true }),
    value(
      "daemonize",
      "path",
      "FILE",
      "go to the background, log to FILE; returns when the Emperor is ready",
      {
        aliases: ["daemonize2"],
        short: "d",
      },
    ),
    value("emperor-procname", "string", "TEXT", "title of the process", {
      default: "uWSGI Emperor",
    }),
    value("procname", "string", "TEXT", "title of the process, unless emperor-procname is given"),
    value("procname-prefix", "string", "TEXT", "text before the title"),
    value("procname-prefix-spaced", "string", "TEXT", "text and a blank before the title"),
    value("procname-append", "string", "TEXT", "text after the title"),
    flag("auto-procname", "accepted: the title is always set"),
  ];
}

function logOptions(): OptionDefinition[] {
  const { value } = under("Log");
  return [
    value("logto", "path", "FILE", "append the log, and what vassals print, to FILE"),
    value("logto2", "path", "FILE", "as logto, opened after privileges were dropped"),
    value("log-format", "string", "text|json", "classic lines or one JSON object per line", {
      default: "text",
      aliases: ["logformat"],
      since: OURS,
    }),
    value("log-level", "string", "debug|info|warning|error", "least level that is written", {
      default: "info",
      since: OURS,
    }),
  ];
}

function statsOptions(): OptionDefinition[] {
  const { flag, list, value } = under("Statistics");
  return [
    list(
      "emperor-stats",
      "ADDRESS",
      "serve statistics as JSON: HOST:PORT, :PORT, a unix socket's path, or @NAME",
      {
        aliases: ["emperor-stats-server"],
      },
    ),
    flag("stats-http", "answer with an HTTP header before the JSON"),
    flag("stats-minified", "JSON without newlines and tabs", { aliases: ["stats-min"] }),
    value("chmod-socket", "octal", "MODE", "mode of unix sockets; without a value 666", {
      aliases: ["chmod"],
      short: "C",
      argument: "optional",
    }),
    flag("abstract-socket", "unix sockets in the abstract name space", { short: "a" }),
    value("listen", "integer", "N", "backlog of listening sockets", { default: "100", short: "l" }),
  ];
}

function informationOptions(): OptionDefinition[] {
  const { flag } = under("Information");
  return [
    flag("help", "print this and exit", { aliases: ["usage"], short: "h" }),
    flag("version", "print the version and exit"),
  ];
}

/** Fresh objects at each call, so that nothing of the table stays in memory once the options are read. */
export function processOptions(): OptionDefinition[] {
  return [...identityOptions(), ...logOptions(), ...statsOptions(), ...informationOptions()];
}
