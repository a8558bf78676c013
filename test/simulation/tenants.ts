/**
 * The simulated vassals: what each process does after its spawn was ordered, drawn from the faults
 * of the run, and a ledger of what it really did, against which the Emperor is judged.
 */
import { VASSAL_MESSAGES, type EmperorMessageName } from "@emperor/protocol";
import type { SpawnFailureReport } from "../../emperor/src/court/hands.ts";
import type { Chance } from "./chance.ts";
import type { FakeMachine, FakeProcess, Program } from "./fake-machine.ts";
import type { Faults } from "./faults.ts";

/** What one process did, as far as the Emperor can know it. Instants of the simulated clock. */
export interface Ledger {
  readonly process: FakeProcess;
  spawnedAt: number | undefined;
  /** First byte with a meaning. */
  spokeAt: number | undefined;
  closedAt: number | undefined;
  saidDone: boolean;
  /** The Emperor was told that nobody is connected to it any more. */
  deserted: boolean;
  loyal: boolean;
  beatAt: number | undefined;
  /** Last byte with a meaning. */
  heardAt: number | undefined;
  reloadedAt: number | undefined;
  endedAt: number | undefined;
  exitCode: number | undefined;
  spawnFailure: "system" | "vassal" | "exile" | undefined;
}

/** How a process of this run stops when it is asked. */
interface Manners {
  readonly deaf: boolean;
  readonly stopMs: number;
}

const MESSAGE_BYTES: ReadonlySet<number> = new Set(Object.values(VASSAL_MESSAGES));

export class Tenants implements Program {
  /** The latest process of each vassal. */
  readonly latest = new Map<string, Ledger>();
  readonly #ledgers = new Map<number, Ledger>();
  readonly #manners = new Map<number, Manners>();
  readonly #chance: Chance;
  readonly #faults: Faults;
  readonly #heartbeatMs: number;
  readonly #toleranceMs: number;
  #machine: FakeMachine | undefined;
  /** Told of every order and outcome, for the checks. */
  onOrdered: (ledger: Ledger) => void = () => undefined;
  onEnded: (ledger: Ledger) => void = () => undefined;
  onHeard: (ledger: Ledger, message: EmperorMessageName) => void = () => undefined;
  onSignalled: (ledger: Ledger, signal: "SIGTERM" | "SIGKILL") => void = () => undefined;

  constructor(
    chance: Chance,
    faults: Faults,
    times: { readonly heartbeatMs: number; readonly toleranceMs: number },
  ) {
    this.#chance = chance;
    this.#faults = faults;
    this.#heartbeatMs = times.heartbeatMs;
    this.#toleranceMs = times.toleranceMs;
  }

  inhabit(machine: FakeMachine): void {
    this.#machine = machine;
  }

  ledgerOf(process: FakeProcess): Ledger {
    const ledger = this.#ledgers.get(process.handle);
    if (ledger === undefined) throw new Error(`no ledger of handle ${process.handle}`);
    return ledger;
  }

  ordered(process: FakeProcess): void {
    const machine = this.#on();
    const ledger: Ledger = {
      process,
      spawnedAt: undefined,
      spokeAt: undefined,
      closedAt: undefined,
      saidDone: false,
      deserted: false,
      loyal: false,
      beatAt: undefined,
      heardAt: undefined,
      reloadedAt: undefined,
      endedAt: undefined,
      exitCode: undefined,
      spawnFailure: undefined,
    };
    this.#ledgers.set(process.handle, ledger);
    this.latest.set(keyOf(process), ledger);
    this.onOrdered(ledger);
    const outcome = this.#outcome();
    const afterMs = this.#faults.strikes("slow-spawn")
      ? this.#chance.duration(10, 4000)
      : this.#chance.integer(0, 3);
    const happen = (): void => {
      if (outcome === "spawned") return this.#spawned(process, ledger);
      this.#fails(process, ledger, outcome);
    };
    // The outcome may come before the order returns.
    if (afterMs === 0) happen();
    else machine.in(afterMs, happen);
  }

  heard(process: FakeProcess, message: EmperorMessageName): void {
    const machine = this.#on();
    const ledger = this.ledgerOf(process);
    this.onHeard(ledger, message);
    const manners = this.#manners.get(process.handle);
    if (message === "reload") {
      ledger.reloadedAt = machine.now();
      return this.#reloads(process);
    }
    if (manners?.deaf === true && !this.#faults.stopped) return;
    this.#ends(process, manners?.stopMs ?? 1, 0);
  }

  configured(): void {
    // The simulated programs believe any config.
  }

  signalled(process: FakeProcess, signal: "SIGTERM" | "SIGKILL"): void {
    this.onSignalled(this.ledgerOf(process), signal);
    if (signal === "SIGTERM") {
      if (this.#manners.get(process.handle)?.deaf !== true)
        this.#ends(process, this.#chance.integer(0, 50), 0);
      return;
    }
    const reapMs = this.#faults.strikes("slow-reaping")
      ? this.#chance.duration(10, 3 * this.#toleranceMs)
      : this.#chance.integer(0, 5);
    this.#on().in(reapMs, () => this.#end(process, undefined));
  }

  #outcome(): "spawned" | "system" | "vassal" | "exile" {
    if (this.#faults.strikes("refused-by-system")) return "system";
    if (this.#faults.strikes("spawn-fails")) return "vassal";
    if (this.#faults.strikes("spawn-exile")) return "exile";
    return "spawned";
  }

  #fails(process: FakeProcess, ledger: Ledger, cause: SpawnFailureReport["cause"]): void {
    if (process.state === "reaped") return;
    const machine = this.#on();
    ledger.spawnFailure = cause;
    ledger.endedAt = machine.now();
    this.onEnded(ledger);
    this.#ledgers.delete(process.handle);
    this.#manners.delete(process.handle);
    machine.spawnFails(process, { cause, detail: "the simulation says so" });
  }

  #spawned(process: FakeProcess, ledger: Ledger): void {
    const machine = this.#on();
    const chance = this.#chance;
    ledger.spawnedAt = machine.now();
    process.channelFull = this.#faults.strikes("never-reads");
    this.#manners.set(process.handle, {
      deaf: this.#faults.strikes("deaf"),
      stopMs: this.#faults.strikes("slow-stop")
        ? chance.duration(10, 2 * this.#toleranceMs)
        : chance.integer(0, 20),
    });
    machine.spawned(process);
    if (this.#faults.strikes("late-spawn-failure")) {
      // A hook that runs before the program does: nobody is there yet who could speak or obey.
      machine.in(chance.duration(1, 4000), () => this.#fails(process, ledger, "vassal"));
      return;
    }
    if (this.#faults.strikes("crashes"))
      this.#ends(process, chance.duration(1, 4000), chance.pick([0, 1, 3, 255]));
    if (this.#faults.strikes("exile")) this.#ends(process, chance.duration(1, 2000), 26);
    if (this.#faults.strikes("closed-channel"))
      machine.in(chance.duration(1, 5000), () => this.#closes(process));
    if (this.#faults.strikes("flood")) this.#floods(process);
    if (process.sockets !== undefined && this.#faults.strikes("deserted"))
      machine.in(chance.duration(1, 20_000), () => this.#isDeserted(process));
    if (this.#faults.strikes("done"))
      machine.in(chance.duration(1, 20_000), () => this.#isDone(process));
    if (this.#faults.strikes("silence")) {
      // A program that does not know the protocol serves nevertheless.
      machine.in(chance.duration(0, 300), () => machine.accepts(process));
      return;
    }
    const readyMs = chance.duration(0, 300);
    machine.in(readyMs, () => this.#says(process, VASSAL_MESSAGES.spawned));
    machine.in(readyMs + chance.integer(-1, 30), () => {
      machine.accepts(process);
      this.#says(process, VASSAL_MESSAGES.accepting);
    });
    machine.in(readyMs + chance.duration(0, 3000), () =>
      this.#says(process, VASSAL_MESSAGES.loyal),
    );
    if (this.#faults.strikes("loyal-crashes"))
      this.#ends(process, readyMs + chance.duration(0, 5000), 1);
    if (this.#faults.exists("hanging")) {
      const beats = this.#faults.strikes("hanging") ? chance.integer(1, 5) : Infinity;
      machine.in(readyMs, () => this.#beats(process, beats));
    }
  }

  #isDeserted(process: FakeProcess): void {
    const machine = this.#on();
    if (this.#faults.stopped || process.state !== "alive" || !process.serves) return;
    this.ledgerOf(process).deserted = true;
    machine.listener?.onDeserted(process.handle);
  }

  #isDone(process: FakeProcess): void {
    if (!this.#faults.stopped) this.#says(process, VASSAL_MESSAGES.done);
  }

  #reloads(process: FakeProcess): void {
    const machine = this.#on();
    if (this.#faults.strikes("bad-reload")) {
      if (this.#chance.happens(0.5)) this.#ends(process, this.#chance.duration(1, 500), 1);
      return;
    }
    const readyMs = this.#chance.duration(0, 300);
    if (process.spec.config !== undefined)
      machine.in(readyMs, () => this.#says(process, VASSAL_MESSAGES["config-wanted"]));
    machine.in(readyMs, () => this.#says(process, VASSAL_MESSAGES.accepting));
  }

  #beats(process: FakeProcess, left: number): void {
    if (process.state !== "alive" || left <= 0) return;
    this.#says(process, VASSAL_MESSAGES.heartbeat);
    this.#on().in(Math.round(this.#heartbeatMs / 3), () => this.#beats(process, left - 1));
  }

  /** Reads of any size with bytes of any value, some of which mean something. */
  #floods(process: FakeProcess): void {
    const machine = this.#on();
    for (let burst = this.#chance.integer(1, 8); burst > 0; burst--) {
      machine.in(this.#chance.duration(0, 6000), () => {
        if (this.#faults.stopped) return;
        const meaningless = this.#chance.happens(0.7);
        const bytes = Array.from({ length: this.#chance.integer(1, 200) }, () =>
          this.#chance.integer(0, 255),
        );
        this.#writes(
          process,
          meaningless ? bytes.filter((byte) => !MESSAGE_BYTES.has(byte)) : bytes,
        );
      });
    }
  }

  #says(process: FakeProcess, byte: number): void {
    // Bytes that were written together are often read together.
    this.#writes(process, this.#chance.happens(0.1) ? [byte, 200, byte] : [byte]);
  }

  #writes(process: FakeProcess, bytes: readonly number[]): void {
    if (process.state !== "alive" || !process.channelOpen) return;
    const ledger = this.ledgerOf(process);
    const now = this.#on().now();
    for (const byte of bytes) {
      if (!MESSAGE_BYTES.has(byte)) continue;
      ledger.spokeAt ??= now;
      ledger.heardAt = now;
      if (byte === VASSAL_MESSAGES.done) ledger.saidDone = true;
      if (byte === VASSAL_MESSAGES.loyal) ledger.loyal = true;
      if (byte === VASSAL_MESSAGES.heartbeat) ledger.beatAt = now;
    }
    this.#on().writes(process, bytes);
  }

  #closes(process: FakeProcess): void {
    if (process.state !== "alive" || !process.channelOpen) return;
    this.ledgerOf(process).closedAt = this.#on().now();
    this.#on().closes(process);
  }

  /** Ends after a while: the end of the channel is seen a moment before the exit, or not at all. */
  #ends(process: FakeProcess, afterMs: number, code: number): void {
    const machine = this.#on();
    if (!this.#chance.happens(0.5)) return machine.in(afterMs, () => this.#end(process, code));
    machine.in(afterMs, () => {
      this.#closes(process);
      machine.in(this.#chance.integer(0, 4), () => this.#end(process, code));
    });
  }

  #end(process: FakeProcess, code: number | undefined): void {
    if (process.state !== "alive") return;
    const machine = this.#on();
    const ledger = this.ledgerOf(process);
    ledger.endedAt = machine.now();
    ledger.exitCode = code;
    this.onEnded(ledger);
    this.#ledgers.delete(process.handle);
    this.#manners.delete(process.handle);
    if (code === undefined) machine.dies(process);
    else machine.exits(process, { code, signal: null });
    if (this.#faults.strikes("late-bytes")) {
      machine.listener?.onBytes(
        process.handle,
        Uint8Array.of(VASSAL_MESSAGES.loyal, VASSAL_MESSAGES.done),
      );
      machine.listener?.onChannelClosed(process.handle);
    }
  }

  #on(): FakeMachine {
    if (this.#machine === undefined) throw new Error("the tenants have no machine yet");
    return this.#machine;
  }
}

export function keyOf(process: {
  readonly spec: { readonly monitor: string; readonly name: string };
}): string {
  return `${process.spec.monitor}\0${process.spec.name}`;
}
