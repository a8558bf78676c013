/**
 * Options by which others give an Emperor orders (commands, trigger, FIFO), lend its channel, or start
 * its vassals (fork server). The table, and what becomes of its values.
 */
import { resolve } from "node:path";
import type { OptionDefinition } from "@emperor/config";
import { OURS, under } from "./define.ts";
import type { EntryReader } from "./entry-reader.ts";
import type { Settings } from "./settings.ts";

/** uWSGI has ten, one for each digit. */
const MOST_FIFOS = 10;

/** Fresh objects at each call, so that nothing of the table stays in memory once the options are read. */
export function remoteOptions(): OptionDefinition[] {
  const commands = under("Commands", "2.1");
  const nesting = under("Nested Emperors");
  const fork = under("Fork server", "2.1");
  return [
    commands.list(
      "emperor-command-socket",
      "ADDRESS",
      "take commands (spawn, respawn, stop, log) as datagrams: a path, @NAME, or HOST:PORT of this machine",
    ),
    commands.flag("emperor-wait-for-command", "new vassals wait until a command starts them"),
    commands.list(
      "emperor-wait-for-command-ignore",
      "NAME",
      "this vassal does not wait for a command",
    ),
    commands.list(
      "emperor-trigger-socket",
      "ADDRESS",
      "a connection to this socket causes a scan of all monitors",
    ),
    under("Commands").list(
      "master-fifo",
      "PATH",
      "take commands of one character from this FIFO: E scan, r reload, q stop, s status, B reinforcements",
    ),
    nesting.value(
      "emperor-proxy-socket",
      "path",
      "PATH",
      "lend the channel to the own Emperor to whoever connects to this socket",
    ),
    under("Nested Emperors", OURS).value(
      "emperor-proxy-timeout",
      "seconds",
      "SECONDS",
      "how long an Emperor that is started with UWSGI_EMPEROR_PROXY waits for its channel",
      { default: "30" },
    ),
    fork.value(
      "emperor-use-fork-server",
      "path",
      "PATH",
      "let the fork server at this unix socket start the vassals",
    ),
    fork.value(
      "emperor-fork-server-attr",
      "string",
      "NAME",
      "attribute of a vassal with the address of its fork server; it wins",
    ),
    fork.list("vassal-fork-base", "NAME", "this vassal is started without the fork server"),
    fork.flag("emperor-subreaper", "adopt the orphans of vassals", {
      default: "on with a fork server",
    }),
    under("Fork server", OURS).value(
      "emperor-fork-server-timeout",
      "seconds",
      "SECONDS",
      "how long a fork server may take for its answer",
      { default: "4" },
    ),
  ];
}

/** @param base directory from which relative paths are meant */
export function buildRemote(reader: EntryReader, base: string): Settings["remote"] {
  const proxy = reader.text("emperor-proxy-socket");
  const fifos = reader.list("master-fifo").map((path) => resolve(base, path));
  const extra = reader.all("master-fifo")[MOST_FIFOS];
  if (extra !== undefined) reader.reject(extra, `may be given ${MOST_FIFOS} times at most`);
  return {
    commandSockets: reader.list("emperor-command-socket"),
    waitForCommand: reader.flag("emperor-wait-for-command"),
    waitForCommandIgnore: reader.list("emperor-wait-for-command-ignore"),
    triggerSockets: reader.list("emperor-trigger-socket"),
    fifos,
    proxySocket: proxy === undefined ? undefined : resolve(base, proxy),
    proxyTimeoutMs: reader.secondsMs("emperor-proxy-timeout", 30_000),
  };
}

/** @param base directory from which a relative path is meant */
export function buildForkServer(reader: EntryReader, base: string): Settings["forkServer"] {
  const address = reader.text("emperor-use-fork-server");
  const attribute = reader.text("emperor-fork-server-attr");
  return {
    address: address === undefined || address.startsWith("@") ? address : resolve(base, address),
    attribute,
    bases: reader.list("vassal-fork-base"),
    subreaper: address !== undefined || attribute !== undefined || reader.flag("emperor-subreaper"),
    timeoutMs: reader.secondsMs("emperor-fork-server-timeout", 4000),
  };
}
