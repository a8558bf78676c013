/**
 * From option values to `Settings`: the Emperor's own process, and the parts of the other two files
 * put together. It reads no file and no environment; `read-settings.ts` does.
 */
import { resolve } from "node:path";
import { buildGoverning } from "./build-governing.ts";
import { buildVassalStart, hooksAt, type SettingsSurroundings } from "./build-vassal-start.ts";
import { buildBroodlord } from "./broodlord-options.ts";
import { buildControl } from "./control-options.ts";
import { buildOnDemand } from "./on-demand-options.ts";
import type { EntryReader } from "./entry-reader.ts";
import { readCapabilities } from "./kernel-names.ts";
import { buildForkServer, buildRemote } from "./remote-options.ts";
import type { Settings } from "./settings.ts";

const LOG_FORMATS = ["text", "json"] as const;
const LOG_LEVELS = ["debug", "info", "warning", "error"] as const;
/** `chmod-socket` without a value, as in uWSGI. */
const DEFAULT_SOCKET_MODE = 0o666;

function procname(reader: EntryReader): string {
  const spaced = reader.text("procname-prefix-spaced");
  const prefix = spaced === undefined ? (reader.text("procname-prefix") ?? "") : `${spaced} `;
  const title = reader.text("emperor-procname") ?? reader.text("procname") ?? "uWSGI Emperor";
  return `${prefix}${title}${reader.text("procname-append") ?? ""}`;
}

/** `env = NAME=VALUE` and `unenv = NAME`, in the order in which they stand. */
function environment(reader: EntryReader): Settings["environment"] {
  const changes: { readonly name: string; readonly value: string | undefined }[] = [];
  for (const entry of reader.inOrder("env", "unenv")) {
    const text = entry.value ?? "";
    const equals = text.indexOf("=");
    if (entry.option?.name === "unenv") {
      if (text === "") reader.reject(entry, "needs a name");
      else changes.push({ name: text, value: undefined });
    } else if (equals <= 0) {
      reader.reject(entry, `needs NAME=VALUE, not "${text}"`);
    } else {
      changes.push({ name: text.slice(0, equals), value: text.slice(equals + 1) });
    }
  }
  return changes;
}

function socketMode(reader: EntryReader): number | undefined {
  const entry = reader.last("chmod-socket");
  if (entry === undefined) return undefined;
  return entry.value === undefined || entry.value === ""
    ? DEFAULT_SOCKET_MODE
    : reader.octal("chmod-socket");
}

/** A file to log to; uWSGI also sends to UDP addresses, which this version does not. */
function logFile(reader: EntryReader, name: string, base: string): string | undefined {
  const value = reader.text(name);
  if (value === undefined) return undefined;
  const entry = reader.last(name);
  if (entry !== undefined && /^[^/]*:\d+$/.test(value)) {
    reader.reject(
      entry,
      `cannot send to the network address "${value}" in this version; give a file`,
    );
  }
  return resolve(base, value);
}

/** uWSGI has an option of this name for the format of request lines; such a value is no error. */
function logFormat(reader: EntryReader): "text" | "json" {
  const value = reader.text("log-format");
  return LOG_FORMATS.find((format) => format === value) ?? "text";
}

/**
 * All settings. What is wrong is collected in `reader.errors`; the result counts only when there is
 * nothing.
 */
export function buildSettings(reader: EntryReader, surroundings: SettingsSurroundings): Settings {
  const startDirectory = resolve(surroundings.startDirectory, reader.text("force-cwd") ?? "");
  const workingDirectory = resolve(
    startDirectory,
    reader.text("chdir") ?? "",
    reader.text("chdir2") ?? "",
  );
  const fromStart = (path: string): string => resolve(startDirectory, path);
  const fromThere = (path: string): string => resolve(workingDirectory, path);
  const listenBacklog = reader.integer("listen", 100, { minimum: 1 });
  return {
    ...buildGoverning(reader),
    broodlord: buildBroodlord(reader),
    onDemand: buildOnDemand(reader, workingDirectory, listenBacklog),
    ...buildVassalStart(reader, workingDirectory, { ...surroundings, startDirectory }),
    hookAsap: hooksAt(reader, "asap"),
    hookAsRoot: [
      ...hooksAt(reader, "pre-jail"),
      ...hooksAt(reader, "in-jail"),
      ...hooksAt(reader, "as-root"),
    ],
    hookAsUser: [...reader.hooks("hook-as-user"), ...reader.actions("exec-as-user", "exec")],
    hookEmperorStart: reader.hooks("hook-emperor-start"),
    statsAddresses: reader.list("emperor-stats"),
    control: buildControl(reader, workingDirectory),
    remote: buildRemote(reader, workingDirectory),
    forkServer: buildForkServer(reader, workingDirectory),
    statsHttp: reader.flag("stats-http"),
    statsMinified: reader.flag("stats-minified"),
    chmodSocket: socketMode(reader),
    abstractSocket: reader.flag("abstract-socket"),
    listenBacklog,
    startDirectory,
    workingDirectory,
    procname: procname(reader),
    pidfiles: reader.list("pidfile").map(fromStart),
    // uWSGI changes directory before it writes these two.
    pidfilesAfterDrop: [...reader.list("pidfile2"), ...reader.list("emperor-pidfile")].map(
      fromThere,
    ),
    daemonize: logFile(reader, "daemonize", startDirectory),
    logto: logFile(reader, "logto", startDirectory),
    logtoAfterDrop: logFile(reader, "logto2", startDirectory),
    logFormat: logFormat(reader),
    logLevel: reader.choice("log-level", LOG_LEVELS, "info"),
    vassalOpenFiles: undefined,
    maxFd: reader.optionalInteger("max-fd", { minimum: 16 }),
    uid: reader.text("uid"),
    gid: reader.text("gid"),
    addGids: reader.list("add-gid"),
    initgroups: !reader.flag("no-initgroups"),
    immediateUid: reader.text("immediate-uid"),
    immediateGid: reader.text("immediate-gid"),
    ownCapabilities: reader.names("cap", readCapabilities, (_before, value) => value),
    chdir: reader.text("chdir"),
    umask: reader.octal("umask"),
    environment: environment(reader),
  };
}
