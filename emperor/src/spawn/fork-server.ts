/**
 * Asks a fork server (uWSGI 2.1) for a vassal's process: request and descriptors out, a pid back. That
 * pid is a claim: it becomes a vassal only if it is our child and holds the channel that was sent with
 * the request. Owns one connection per start; it must not know what is heard from the process later.
 */
import { fstatSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import type * as linux from "@emperor/linux";
import type { VassalSpec } from "@emperor/monitors";
import { decodeForkAnswer, encodeForkRequest, PacketDecoder } from "@emperor/protocol";
import type { SpawnFailureReport } from "../court/hands.ts";
import type { ForkServerSettings } from "../options/settings.ts";
import { quoteName } from "../log/quoting.ts";
import type { Ears } from "../remote/ears.ts";
import { errorCode, type Machine } from "./machine.ts";
import { closePairs, makePair, noDescriptors, type LaunchOutcome, type Pair } from "./launch.ts";
import type { Plan } from "./plan.ts";
import { NONE, type ProcessRecord } from "./process-table.ts";

/** An answer is `pid` and a number; more is no answer. */
const ANSWER_BYTES = 256;
/** Between the answer and the moment in which the process has become our child there is rarely more. */
const ADOPTION_STEP_MS = 5;

export type ForkMachine = Machine & Pick<typeof linux, "connect" | "sendDescriptors" | "openPidfd">;

export interface ForkServerParts {
  readonly machine: ForkMachine;
  readonly settings: ForkServerSettings;
  /** Vassals run as their owners: so must those that a fork server starts. */
  readonly tyrant: boolean;
  readonly ears: Ears;
}

/** A start that failed. `system`: not held against the vassal, tried again with growing pauses. */
class Refusal extends Error {
  readonly blame: SpawnFailureReport["cause"];

  constructor(blame: SpawnFailureReport["cause"], message: string) {
    super(message);
    this.blame = blame;
  }
}

export class ForkServerClient {
  readonly #parts: ForkServerParts;

  constructor(parts: ForkServerParts) {
    this.#parts = parts;
  }

  /** Address of the fork server for this vassal; undefined: it is started the usual way. */
  addressFor(spec: VassalSpec): string | undefined {
    const { address, attribute, bases } = this.#parts.settings;
    if (bases.includes(spec.name)) return undefined;
    const own = attribute === undefined ? undefined : spec.attributes[attribute]?.[0];
    return own === undefined || own === "" ? address : own;
  }

  /**
   * The counterpart of `launch` with the same promise: pid and descriptors are in `record`, or nothing
   * is left over; `done` is called once, never before this returns.
   */
  start(
    address: string,
    plan: Plan,
    record: ProcessRecord,
    done: (outcome: LaunchOutcome) => void,
  ): void {
    record.stage = "launching";
    void this.#startAndTell(address, plan, record, done);
  }

  async #startAndTell(
    address: string,
    plan: Plan,
    record: ProcessRecord,
    done: (outcome: LaunchOutcome) => void,
  ): Promise<void> {
    done(await this.#start(address, plan, record));
  }

  async #start(address: string, plan: Plan, record: ProcessRecord): Promise<LaunchOutcome> {
    const { machine } = this.#parts;
    const pairs: Pair[] = [];
    try {
      for (let wanted = plan.piped ? 2 : 1; wanted > 0; wanted -= 1) pairs.push(makePair(machine));
    } catch (error) {
      closePairs(machine, pairs);
      return noDescriptors("the channel to the vassal", error);
    }
    const end = performance.now() + this.#parts.settings.timeoutMs;
    try {
      const channel = pairs[0]?.theirs ?? NONE;
      const pid = await this.#ask(address, plan, record, pairs, end);
      const pidfd = await this.#adopt(pid, channel, record.spec, end);
      for (const { theirs } of pairs) machine.close(theirs);
      record.pid = pid;
      record.pidfd = pidfd;
      record.channelFd = pairs[0]?.own ?? NONE;
      record.configFd = pairs[1]?.own ?? NONE;
      record.adopted = true;
      record.stage = "alive";
      return NONE;
    } catch (error) {
      // With our ends of the pairs a process that comes too late loses its Emperor, and ends.
      closePairs(machine, pairs);
      const detail = `the fork server ${quoteName(address)} ${error instanceof Error ? error.message : String(error)}`;
      return { cause: error instanceof Refusal ? error.blame : "vassal", detail };
    }
  }

  async #ask(
    address: string,
    plan: Plan,
    record: ProcessRecord,
    pairs: readonly Pair[],
    end: number,
  ): Promise<number> {
    const { machine } = this.#parts;
    const request = encodeForkRequest({
      argv: [plan.programs.candidates[0]?.argv0 ?? "", ...plan.fixed.args],
      configPipe: plan.piped,
      onDemandSocket: record.sockets.length > 0,
    });
    if (!request.ok)
      throw new Refusal("exile", "cannot be asked: the arguments are too long for one packet");
    const fds = [...pairs.map(({ theirs }) => theirs), ...record.sockets.slice(0, 1)];
    const fd = this.#connect(address);
    try {
      const sent = machine.sendDescriptors(fd, request.bytes, fds);
      if (sent < request.bytes.length) throw new Refusal("system", "does not take the request");
      return await this.#answer(fd, end);
    } catch (error) {
      if (error instanceof Refusal) throw error;
      throw new Refusal("system", `broke off: ${errorCode(error)}`);
    } finally {
      machine.close(fd);
    }
  }

  /** A server that is not there yet, or no longer, is not the vassal's fault: its base may be starting. */
  #connect(address: string): number {
    const path = address.startsWith("@") ? `\0${address.slice(1)}` : address;
    try {
      return this.#parts.machine.connect({ family: "unix", path }).fd;
    } catch (error) {
      throw new Refusal("system", `cannot be reached: ${errorCode(error)}`);
    }
  }

  async #answer(fd: number, end: number): Promise<number> {
    const decoder = new PacketDecoder(ANSWER_BYTES);
    for (;;) {
      if (!(await this.#readable(fd, end)))
        throw new Refusal(
          "system",
          `gave no answer within ${this.#parts.settings.timeoutMs} ms (emperor-fork-server-timeout)`,
        );
      const bytes = this.#parts.machine.readChannel(fd, ANSWER_BYTES);
      if (bytes === undefined) continue;
      if (bytes.length === 0)
        throw new Refusal("vassal", "closed the connection without an answer");
      const [packet] = decoder.push(bytes);
      if (packet === undefined && decoder.overflow === undefined) continue;
      const pid = packet === undefined ? undefined : decodeForkAnswer(packet);
      if (pid === undefined) throw new Refusal("vassal", "answered with something that is no pid");
      return pid;
    }
  }

  #readable(fd: number, end: number): Promise<boolean> {
    return new Promise((resolve) => {
      const finish = (heard: boolean): void => {
        clearTimeout(timer);
        deafen();
        resolve(heard);
      };
      const timer = setTimeout(() => finish(false), Math.max(0, end - performance.now()));
      const deafen = this.#parts.ears.hear(fd, () => finish(true));
    });
  }

  /**
   * A pidfd of the process, once it is proved to be the one that was asked for. uWSGI believes the
   * answer and sends its signals to whatever process it names.
   */
  async #adopt(pid: number, channel: number, spec: VassalSpec, end: number): Promise<number> {
    const { machine, tyrant } = this.#parts;
    let pidfd: number;
    try {
      pidfd = machine.openPidfd(pid);
    } catch (error) {
      throw new Refusal("vassal", `names process ${pid}, which is not there: ${errorCode(error)}`);
    }
    try {
      if (!holdsSocket(pid, channel))
        throw new Refusal(
          "vassal",
          `names process ${pid}, which does not hold the channel of this vassal: it is left alone`,
        );
      if (tyrant && !runsAs(pid, spec.uid))
        throw new Refusal(
          "exile",
          `started it as another user than its owner ${spec.uid} (emperor-tyrant): it loses its channel`,
        );
      while (!this.#isOurs(pidfd, pid)) {
        if (performance.now() > end)
          throw new Refusal("vassal", `keeps process ${pid} for itself: it is no child of ours`);
        await new Promise((resolve) => {
          setTimeout(resolve, ADOPTION_STEP_MS);
        });
      }
      return pidfd;
    } catch (error) {
      machine.close(pidfd);
      throw error;
    }
  }

  /** Only the parent may ask for the end of a process; for anybody else it is ECHILD. */
  #isOurs(pidfd: number, pid: number): boolean {
    try {
      if (this.#parts.machine.reap(pidfd) === undefined) return true;
    } catch {
      return false;
    }
    throw new Refusal("vassal", `started process ${pid}, which ended at once`);
  }
}

/** Whether the process has the open socket `fd` of ours among its descriptors. */
function holdsSocket(pid: number, fd: number): boolean {
  const wanted = `socket:[${fstatSync(fd).ino}]`;
  try {
    return readdirSync(`/proc/${pid}/fd`).some((name) => {
      try {
        return readlinkSync(`/proc/${pid}/fd/${name}`) === wanted;
      } catch {
        return false; // closed meanwhile
      }
    });
  } catch {
    return false; // gone, or of a user whose processes are no business of ours
  }
}

function runsAs(pid: number, uid: number | undefined): boolean {
  try {
    const ids = /^Uid:\s+(\d+)\s+(\d+)\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"));
    return ids?.slice(1).every((id) => Number(id) === uid) === true;
  } catch {
    return false;
  }
}
