/**
 * What every kind of vassal (one process, master, command) starts from: how it was launched, what is
 * configured, which sockets are open, and who its Emperor is.
 */
import type { EmperorConnection } from "./client.ts";
import type { HookPhase } from "./hook-settings.ts";
import type { Launch } from "./launch.ts";
import type { RuntimeSettings } from "./settings.ts";
import type { BoundSocket } from "./sockets.ts";

export interface Vassal {
  readonly launch: Launch;
  readonly settings: RuntimeSettings;
  readonly sockets: readonly BoundSocket[];
  readonly emperor: EmperorConnection;
  /** Reads the configuration anew; undefined when it is not usable, which is in the log then. */
  readonly readSettings: () => Promise<RuntimeSettings | undefined>;
  /** To be called when the app accepts; also again after a reload. */
  readonly started?: () => void;
  /** Runs the hooks of a phase; throws a `RuntimeError` when one fails whose failure counts. */
  readonly hook: (phase: HookPhase) => void;
}

/** What can be asked of a vassal that runs, by signals, files and commands. */
export interface VassalControls {
  /** Reads configuration and app anew; running requests are finished. */
  reload(): void;
  /** The same, but running requests are cut. */
  brutalReload(): void;
  stop(graceful: boolean): void;
  /** Only under a master: new workers with the same configuration, all together. */
  reloadWorkers(graceful: boolean): void;
  /** Only under a master: the same, one worker after the other. */
  chainReload(): void;
  /** Only under a master: one worker more or less, within `cheaper` and `processes`. */
  changeWorkers(by: 1 | -1): void;
  /** Only under a master: no workers until the next connection. */
  goCheap(): void;
  /** Not for one process: halts the workers where they are, or lets them go on. */
  pause(): void;
}

/** What a reload starts from. */
export type RenewedConfig =
  /** `pushed` is undefined for a configuration in files, which are read anew anyway. */
  | { readonly ok: true; readonly pushed: Buffer | undefined }
  | { readonly ok: false; readonly reason: string };

/**
 * Asks the Emperor for a pushed configuration once more. It is read here, not by the next life of this
 * process: bytes that Node has taken from the pipe would be lost by the exec.
 */
export async function renewConfig({ launch, emperor }: Vassal): Promise<RenewedConfig> {
  if (!launch.argv.some((argument) => argument.includes("emperor://")))
    return { ok: true, pushed: undefined };
  emperor.wantConfig();
  const pushed = await emperor.readConfig();
  return pushed === undefined
    ? { ok: false, reason: "the Emperor sent no configuration" }
    : { ok: true, pushed };
}
