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

/** The configuration is pushed by the Emperor: each packet can be read only once. */
export function isPushed(launch: Launch): boolean {
  return launch.argv.some((argument) => argument.includes("emperor://"));
}
