/**
 * This process as a vassal of another Emperor, and as one that takes orders from outside: what each of
 * them does to the process. How orders arrive is the matter of `remote/`.
 */
import { EXIT_CODE } from "@emperor/protocol";
import type { RunningEmperor } from "../court/running-emperor.ts";
import { EXIT } from "../errors.ts";
import type { Logger } from "../log/logger.ts";
import type { SettingsReading } from "../options/read-settings.ts";
import type { Settings } from "../options/settings.ts";
import { RemoteOffice, type RemoteOrders } from "../remote/index.ts";
import type { GovernOutcome } from "./govern.ts";
import type { SignalActions } from "./signals.ts";

export interface NestingParts {
  /** As they are carried out. */
  readonly settings: Settings;
  /** As they were read. */
  readonly read: Settings;
  readonly rereadSettings: () => Promise<SettingsReading>;
  readonly emperor: RunningEmperor;
  readonly signals: SignalActions;
  readonly logger: Logger;
}

export class Nesting implements RemoteOrders {
  readonly #parts: NestingParts;
  readonly #remote: RemoteOffice;
  #ending: "no" | "stop" | "lost" | "again" = "no";
  #rereading = false;

  constructor(parts: NestingParts) {
    this.#parts = parts;
    this.#remote = new RemoteOffice(parts.settings, parts.logger);
  }

  /** What the process shall do after Ragnarok. */
  get outcome(): GovernOutcome {
    switch (this.#ending) {
      case "again":
        return { kind: "again", channel: this.#remote.channel };
      case "lost":
        return { kind: "exit", code: EXIT_CODE.failure };
      case "no":
      case "stop":
        return { kind: "exit", code: EXIT.done };
    }
  }

  /** @throws EmperorError when a socket cannot be had */
  async open(environment: NodeJS.ProcessEnv): Promise<void> {
    await this.#remote.findSuperior(environment);
    await this.#remote.open(this.#parts.emperor, this);
    const pid = this.#remote.superiorPid;
    if (pid === undefined) return;
    this.#parts.emperor.superiorPid = pid;
    this.#parts.logger.write({
      level: "info",
      dated: false,
      message: `*** has_emperor mode detected (fd: ${this.#remote.channel}, pid of the Emperor: ${pid}) ***`,
    });
  }

  announce(): void {
    if (this.#ending === "no") this.#remote.announce();
  }

  async close(): Promise<void> {
    await this.#remote.close();
  }

  stop(): void {
    if (this.#ending !== "lost") this.#ending = "stop";
    this.#parts.signals.stop();
  }

  lost(): void {
    this.#ending = "lost";
    this.#parts.signals.stop();
  }

  rescan(): void {
    this.#parts.signals.rescan();
  }

  logStatus(): void {
    this.#parts.signals.logStatus();
  }

  /**
   * Byte 1. With other options than before this Emperor ends its tree and starts anew in the same process, as
   * uWSGI does at every reload; with the same ones only the order is passed on, and no vassal is lost.
   * Options that are wrong change nothing.
   */
  reload(): void {
    if (this.#rereading || this.#ending !== "no") return;
    this.#rereading = true;
    void this.#reload().finally(() => {
      this.#rereading = false;
    });
  }

  async #reload(): Promise<void> {
    const { logger, read, signals } = this.#parts;
    const reading = await this.#parts.rereadSettings();
    // A stop may have come meanwhile, and wins.
    if (this.#ending !== "no") return;
    if (reading.ok !== true) {
      const why = reading.ok === false ? reading.problems.join("; ") : "it only wants to exit";
      return logger.error(
        `[emperor] the configuration of this Emperor cannot be used now: ${why}; nothing is reloaded`,
      );
    }
    if (JSON.stringify(reading.settings) === JSON.stringify(read)) {
      signals.reload();
      return this.#remote.announce();
    }
    logger.info(
      "[emperor] the configuration of this Emperor has changed: stopping its vassals and starting anew",
    );
    this.#ending = "again";
    signals.stop();
  }
}
