/**
 * What every kind of vassal (one process, master, command) starts from: how it was launched, what is
 * configured, which sockets are open, and who its Emperor is.
 */
import type { EmperorConnection } from "./client.ts";
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
