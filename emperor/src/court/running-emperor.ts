/** What the command line, signals and the stats server may ask of a running Emperor. */
import type { StatsDocument } from "@emperor/protocol";
import type { Operator } from "./operator.ts";
import type { CourtRecord } from "./record.ts";

export interface RunningEmperor {
  /** Starts the monitors; resolves when each has looked once (or reported itself unavailable). */
  start(): Promise<void>;
  stats(): StatsDocument;
  /** Number of vassals that have a process now: the figure of the systemd status. */
  readonly governed: number;
  /** Called whenever `governed` may have changed; at most once per turn of the loop. */
  onGovernedChange(listener: (governed: number) => void): void;
  /** Ragnarok: stops every vassal, waits for the mercy, then kills. A second call hurries. */
  shutdown(): void;
  /** SIGHUP: every running vassal is told to reload. Asleep, suspended and waiting ones are left alone. */
  reloadAll(): void;
  /** SIGWINCH: every monitor looks again. */
  rescan(): void;
  /** SIGURG: forgets every failure; what waited for its punishment starts now. */
  clearBlacklist(): void;
  /** What the control socket gives orders through. */
  readonly operator: Operator;
  /**
   * Stops all processes of a vassal where they are, or lets them go on. What keeps it from that, or
   * undefined. Only with cgroups.
   */
  freeze(record: CourtRecord, frozen: boolean): string | undefined;
  /** Address of a monitor, as the statistics show it. */
  monitorAddress(id: string): string;
  /** Pid of the Emperor above this one, for the statistics; undefined: there is none. */
  superiorPid: number | undefined;
  /** SIGUSR1: one line per vassal into the log. */
  logStatus(): void;
  /** Resolves when the last vassal is gone after `shutdown`. */
  readonly finished: Promise<void>;
}
