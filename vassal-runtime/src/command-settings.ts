/**
 * The options of a `command`: when it is ready, how it is told to stop and to reload. Table and meaning;
 * pure.
 */
import { parseSeconds } from "@emperor/config";
import type { OptionDefinition } from "@emperor/config";
import { parseAddress } from "./address.ts";
import type { ListenAddress } from "./address.ts";
import { serve } from "./option-definitions.ts";
import type { SettingsReader } from "./settings-reader.ts";
import { signalNumber } from "./signal-number.ts";

/** What tells that a command accepts. */
export type ReadySetting =
  | { readonly kind: "start" }
  /** It says so itself, as a service of systemd does. */
  | { readonly kind: "notify" }
  /** Something accepts connections there. */
  | { readonly kind: "address"; readonly text: string; readonly address: ListenAddress }
  /** An HTTP answer below 500 comes from there. */
  | { readonly kind: "http"; readonly text: string };

export interface CommandSettings {
  readonly ready: ReadySetting;
  /** 0: no limit. */
  readonly readyTimeoutMs: number;
  readonly stopSignal: number;
  /** Sent to each copy for a reload; undefined: they are started again. */
  readonly reloadSignal: number | undefined;
}

const GROUP = "Commands";
const SINCE = "0.1";

/** Their part of the option table. */
export const COMMAND_OPTIONS: readonly OptionDefinition[] = [
  serve(
    GROUP,
    "command-ready",
    "when a command accepts: start, notify (sd_notify), an address that accepts, a URL that answers",
    { since: SINCE, placeholder: "start | notify | ADDRESS | URL", default: "start" },
  ),
  serve(
    GROUP,
    "command-ready-timeout",
    "seconds after which a command that is not ready has failed; 0: no limit",
    { since: SINCE, kind: "seconds", default: "60" },
  ),
  serve(GROUP, "command-stop-signal", "signal that tells the command to stop", {
    since: SINCE,
    placeholder: "NAME | NUMBER",
    default: "TERM",
  }),
  serve(
    GROUP,
    "command-reload-signal",
    "signal by which the command reloads itself; without it a reload starts it again",
    { since: SINCE, placeholder: "NAME | NUMBER" },
  ),
];

const READY_TIMEOUT_MS = 60_000;
const SIGTERM = 15;

/** Reads them; mistakes are noted in the reader. */
export function readCommandSettings(reader: SettingsReader): CommandSettings {
  return {
    ready: readReady(reader),
    readyTimeoutMs: reader.take("command-ready-timeout", parseSeconds) ?? READY_TIMEOUT_MS,
    stopSignal: readSignal(reader, "command-stop-signal") ?? SIGTERM,
    reloadSignal: readSignal(reader, "command-reload-signal"),
  };
}

function readReady(reader: SettingsReader): ReadySetting {
  const entry = reader.last("command-ready");
  const text = entry?.value?.trim() ?? "start";
  if (entry === undefined || text === "start") return { kind: "start" };
  if (text === "notify") return { kind: "notify" };
  if (text.startsWith("http://")) {
    if (URL.canParse(text)) return { kind: "http", text };
    reader.fail(
      "VASSAL_CONFIG",
      entry,
      `option "command-ready": ${JSON.stringify(text)} is no URL`,
    );
    return { kind: "start" };
  }
  const parsed = parseAddress(text);
  if (parsed.ok) return { kind: "address", text, address: parsed.address };
  reader.fail(
    "VASSAL_CONFIG",
    entry,
    `option "command-ready" is start, notify, a URL or an address, not ${JSON.stringify(text)}: ${parsed.reason}`,
  );
  return { kind: "start" };
}

function readSignal(reader: SettingsReader, name: string): number | undefined {
  const entry = reader.last(name);
  if (entry === undefined) return undefined;
  const signal = signalNumber(entry.value ?? "");
  if (signal === undefined)
    reader.fail(
      "VASSAL_CONFIG",
      entry,
      `option "${name}": ${JSON.stringify(entry.value ?? "")} is no signal; write a name such as QUIT or a number`,
    );
  return signal;
}
