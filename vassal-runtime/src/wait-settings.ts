/** The options `wait-for-...`: what has to be there before the vassal starts. Table and meaning; pure. */
import { allEntries, formatOrigin, parseSeconds } from "@emperor/config";
import type { OptionDefinition } from "@emperor/config";
import { parseAddress } from "./address.ts";
import { serve } from "./option-definitions.ts";
import type { SettingsReader } from "./settings-reader.ts";

const KINDS = ["interface", "fs", "file", "dir", "mountpoint", "socket"] as const;
type Kind = (typeof KINDS)[number];

export interface Wait {
  readonly kind: Kind;
  readonly what: string;
  readonly origin: string;
  /** 0: for ever. */
  readonly timeoutMs: number;
}

const GROUP = "Hooks";
const TIMEOUT_MS = 60_000;

const HELP: Readonly<Record<Kind, string>> = {
  interface: "a network interface",
  fs: "anything at a path",
  file: "a regular file",
  dir: "a directory",
  mountpoint: "something mounted on a directory",
  socket: "something that accepts connections at an address",
};

/** Files, directories and mounts share one limit, as in uWSGI. */
const limitOf = (kind: Kind): "interface" | "fs" | "socket" =>
  kind === "interface" || kind === "socket" ? kind : "fs";

/** Their part of the option table. */
export const WAIT_OPTIONS: readonly OptionDefinition[] = [
  ...KINDS.map((kind) =>
    serve(GROUP, `wait-for-${kind}`, `do not start before there is ${HELP[kind]}`, {
      kind: "list",
      repeatable: true,
      placeholder: kind === "interface" ? "NAME" : kind === "socket" ? "ADDRESS" : "PATH",
    }),
  ),
  ...(["interface", "fs", "socket"] as const).map((kind) =>
    serve(GROUP, `wait-for-${kind}-timeout`, "seconds after which that has failed; 0: no limit", {
      kind: "seconds",
      default: "60",
    }),
  ),
];

/** Reads them; mistakes are noted in the reader. */
export function readWaits(reader: SettingsReader): readonly Wait[] {
  const limits = new Map<string, number>();
  for (const kind of ["interface", "fs", "socket"])
    limits.set(kind, reader.take(`wait-for-${kind}-timeout`, parseSeconds) ?? TIMEOUT_MS);
  return KINDS.flatMap((kind) =>
    allEntries(reader.entries, `wait-for-${kind}`).flatMap((entry): Wait[] => {
      const what = (entry.value ?? "").trim();
      const reason = checkWhat(kind, what);
      if (reason !== undefined) {
        reader.fail("VASSAL_CONFIG", entry, `option "${entry.key}": ${reason}`);
        return [];
      }
      const timeoutMs = limits.get(limitOf(kind)) ?? TIMEOUT_MS;
      return [{ kind, what, origin: formatOrigin(entry.origin), timeoutMs }];
    }),
  );
}

function checkWhat(kind: Kind, what: string): string | undefined {
  if (what === "" || what.includes("\0")) return "it names nothing";
  if (kind === "interface" && !/^[^/\s]{1,15}$/.test(what))
    return `${JSON.stringify(what)} cannot be an interface`;
  if (kind !== "socket") return undefined;
  const parsed = parseAddress(what);
  return parsed.ok ? undefined : parsed.reason;
}
