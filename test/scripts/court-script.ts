/**
 * The language of the transcripts: a court with the real dispatch loop and gate, on a machine whose
 * processes do only what the script says. Every notice and every order becomes a line.
 *
 *   policy NAME=VALUE...        before anything else; `max-starting=N`, `spacing=MS` are the gate's
 *   first-scan-done             from now on starts are spaced (with spacing)
 *   want NAME VERSION [WORD...] `owner=X`, `pushed`, `on-demand`
 *   unwant NAME
 *   spawns held | at-once       whether spawns succeed by themselves; held ones wait for `NAME spawned`
 *   NAME spawned
 *   NAME spawn-fails system|vassal|exile
 *   NAME says MESSAGE...        in one read; `?` is a byte without a meaning
 *   NAME closes                 its channel
 *   NAME exits CODE | NAME dies SIGNAL
 *   wait MS                     lets time pass, with everything that is due
 *   sighup | sigurg | shutdown | mercy-over
 *   stop NAME | start NAME | demand NAME
 *   show                        one line per vassal
 */
import type { VassalSpec } from "@emperor/monitors";
import {
  VASSAL_MESSAGES,
  type EmperorMessageName,
  type VassalMessageName,
} from "@emperor/protocol";
import { Court } from "../../emperor/src/court/court.ts";
import type { CourtRecord, Publication } from "../../emperor/src/court/record.ts";
import {
  describe,
  Gate,
  type Notice,
  type Policy,
  type VassalEvent,
} from "../../emperor/src/lifecycle/index.ts";
import { FakeMachine, type FakeProcess, type Program } from "../simulation/fake-machine.ts";

const DEFAULTS: Policy = {
  throttleMs: 1000,
  maxThrottleMs: 180_000,
  blacklist: true,
  healthyAfterMs: 30_000,
  quickDeathMs: 3000,
  quickDeathsFree: 8,
  heartbeatMs: 30_000,
  curseToleranceMs: 30_000,
  heartbeatGraceMs: 2000,
  startGraceMs: 1000,
  startTimeoutMs: 0,
  gracefulStop: false,
  waitForCommand: false,
  systemRetryMs: 100,
  systemRetryMaxMs: 10_000,
};

/** A byte that means nothing. */
const UNKNOWN_BYTE = 99;
const MONITOR = "script";

export class CourtScript implements Program {
  #policy: Policy = DEFAULTS;
  #gateOptions = { maxStarting: 16, spacingMs: 0 };
  #court: Court | undefined;
  #gate: Gate<CourtRecord> | undefined;
  readonly #machine = new FakeMachine(this);
  #held = false;
  /** `taken` or `bad`: what becomes of attempts to bind a socket. */
  #socketFailure: string | undefined;
  #lines: string[] = [];

  /** One command; returns what came of it. */
  execute(command: string): readonly string[] {
    const words = command.split(" ").filter((word) => word !== "");
    this.#lines = [];
    this.#run(words[0] ?? "", words.slice(1), command);
    return this.#lines;
  }

  ordered(process: FakeProcess): void {
    this.#order(process.spec.name, `spawn`);
    if (!this.#held) this.#machine.in(0, () => this.#machine.spawned(process));
  }

  heard(process: FakeProcess, message: EmperorMessageName): void {
    this.#order(process.spec.name, `send ${message}`);
  }

  configured(process: FakeProcess, config: Uint8Array): void {
    this.#order(process.spec.name, `send config (${config.byteLength} bytes)`);
  }

  signalled(process: FakeProcess, signal: "SIGTERM" | "SIGKILL", scope: "process" | "tree"): void {
    this.#order(process.spec.name, `${signal} to the ${scope}`);
  }

  #run(verb: string, words: readonly string[], command: string): void {
    switch (verb) {
      case "policy":
        return this.#configure(words);
      case "first-scan-done":
        this.#opened();
        return this.#gate?.firstScanDone();
      case "want":
        return this.#want(words);
      case "unwant":
        return this.#then(() => this.#opened().unwant(MONITOR, words[0] ?? ""));
      case "spawns":
        this.#held = words[0] === "held";
        return;
      case "wait": {
        const until = this.#machine.now() + Number(words[0]);
        while (this.#machine.advance(until));
        return;
      }
      case "sighup":
        return this.#toAll({ type: "reload-requested" });
      case "sigurg":
        return this.#toAll({ type: "forgiven" });
      case "shutdown":
      case "mercy-over":
        return this.#toAll({ type: verb });
      case "stop":
        return this.#to(words[0], { type: "stop-requested" });
      case "start":
        return this.#to(words[0], { type: "start-requested" });
      case "demand":
        return this.#to(words[0], { type: "connection-waiting" });
      case "connects":
        return this.#connects(words[0] ?? "");
      case "sockets":
        this.#socketFailure = words[0] === "fine" ? undefined : words[0];
        return;
      case "deserted": {
        const record = this.#opened().find(MONITOR, words[0] ?? "");
        return this.#then(() => this.#opened().onDeserted(record?.handle ?? 0));
      }
      case "show":
        return this.#show();
      default:
        return this.#then(() => this.#act(verb, words, command));
    }
  }

  /** A client at the on-demand socket of a vassal. */
  #connects(name: string): void {
    this.#then(() => {
      const heard = this.#machine.connects(`${MONITOR}\0${name}`);
      this.#line(name, heard ? "<- a client connects" : "<- a client is refused");
    });
    while (this.#machine.advance(this.#machine.now() + 1));
  }

  #configure(words: readonly string[]): void {
    for (const word of words) {
      const [name = "", value = ""] = word.split("=");
      if (name === "max-starting")
        this.#gateOptions = { ...this.#gateOptions, maxStarting: Number(value) };
      else if (name === "spacing")
        this.#gateOptions = { ...this.#gateOptions, spacingMs: Number(value) };
      else if (name in DEFAULTS) {
        const typed = value === "true" || value === "false" ? value === "true" : Number(value);
        this.#policy = { ...this.#policy, [name]: typed };
      } else throw new Error(`no such policy: ${name}`);
    }
  }

  #want(words: readonly string[]): void {
    const [name = "", version = "", ...rest] = words;
    const attributes = Object.fromEntries(
      rest.map((word) => [word.split("=")[0] ?? "", [word.split("=")[1] ?? "yes"]]),
    );
    const spec: VassalSpec = {
      name,
      monitor: MONITOR,
      version,
      modifiedAt: 0,
      cwd: "/",
      attributes,
      ...("on-demand" in attributes ? { socket: attributes["on-demand"]?.[0] ?? "" } : {}),
      ...("pushed" in attributes ? { config: new TextEncoder().encode(version) } : {}),
    };
    this.#then(() => this.#opened().want(spec));
  }

  #act(name: string, words: readonly string[], command: string): void {
    const process = [...this.#machine.processes.values()].find(
      (candidate) => candidate.spec.name === name,
    );
    if (process === undefined) throw new Error(`${command}: ${name} has no process`);
    const argument = words[1] ?? "";
    switch (words[0]) {
      case "spawned":
        return this.#machine.spawned(process);
      case "spawn-fails":
        if (argument !== "system" && argument !== "vassal" && argument !== "exile")
          throw new Error(command);
        return this.#machine.spawnFails(process, { cause: argument, detail: "as the script says" });
      case "says":
        return this.#machine.writes(process, words.slice(1).map(byteOf));
      case "closes":
        return this.#machine.closes(process);
      case "exits":
        return this.#machine.exits(process, { code: Number(argument), signal: null });
      case "dies":
        return this.#machine.dies(process, Number(argument));
      case "accepts":
        return this.#machine.accepts(process);
      default:
        throw new Error(`unknown command: ${command}`);
    }
  }

  #show(): void {
    for (const record of this.#opened().records()) {
      const seen = describe(record.vassal, this.#machine.now(), this.#policy);
      const { starts, reloads, crashes } = record.vassal.history;
      const listed = seen.listing === undefined ? "" : `, blacklisted ${seen.listing.delayMs} ms`;
      const next = seen.nextStartAt === undefined ? "" : `, next start at ${seen.nextStartAt}`;
      this.#lines.push(
        `${record.spec.name}: ${seen.state} (${seen.reason})${next}${listed}, ${starts} starts, ${reloads} reloads, ${crashes} crashes`,
      );
    }
    this.#lines.push(
      `${this.#gate?.starting} starting, ${this.#gate?.waiting} waiting, ${this.#machine.processes.size} processes`,
    );
  }

  #to(name: string | undefined, event: VassalEvent): void {
    const record = this.#opened().find(MONITOR, name ?? "");
    if (record === undefined) throw new Error(`no vassal ${name}`);
    this.#then(() => this.#opened().post(record, event));
  }

  #toAll(event: VassalEvent): void {
    this.#then(() => this.#opened().postToAll(event));
  }

  /** Does it, and lets happen what follows at the same instant. */
  #then(act: () => void): void {
    act();
    const { now } = { now: this.#machine.now() };
    while (this.#machine.advance(now));
  }

  #opened(): Court {
    if (this.#court !== undefined) return this.#court;
    this.#gate = new Gate<CourtRecord>(this.#gateOptions);
    const court = new Court({
      hands: this.#machine,
      policy: this.#policy,
      gate: this.#gate,
      wantedOf: (spec) => ({
        version: spec.version,
        identity: `${spec.attributes["owner"]?.[0] ?? ""} ${spec.socket ?? ""}`.trim(),
        pushed: spec.config !== undefined,
        onDemand: "on-demand" in spec.attributes,
      }),
      observer: (publication) => this.#observe(publication),
      onForgotten: () => undefined,
      onBrokenInvariant: (record, event, error) => {
        throw new Error(`${record.spec.name} broke at ${event.type}`, { cause: error });
      },
    });
    this.#machine.listener = court;
    this.#machine.sockets.fails = () => {
      if (this.#socketFailure === undefined) return undefined;
      return { lasting: this.#socketFailure === "bad", detail: this.#socketFailure };
    };
    this.#court = court;
    return court;
  }

  #observe({ record, notice }: Publication): void {
    this.#line(record.spec.name, noticeText(notice));
  }

  #order(name: string, text: string): void {
    this.#line(name, `-> ${text}`);
  }

  #line(name: string, text: string): void {
    this.#lines.push(`${String(this.#machine.now()).padStart(8)} ${name} ${text}`);
  }
}

function byteOf(word: string): number {
  if (word === "?") return UNKNOWN_BYTE;
  if (!(word in VASSAL_MESSAGES)) throw new Error(`no such message: ${word}`);
  return VASSAL_MESSAGES[word as VassalMessageName];
}

/** `blacklisted failures=2 delayMs=1000 atMaximum=false` */
function noticeText(notice: Notice): string {
  const facts = Object.entries(notice).flatMap(([name, value]) => {
    if (name === "kind" || name === "generation" || name === "detail") return [];
    return [
      `${name}=${typeof value === "object" ? Object.values(value as object).join(" ") : String(value)}`,
    ];
  });
  return [notice.kind, ...facts].join(" ");
}
