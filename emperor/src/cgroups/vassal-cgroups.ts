/**
 * One cgroup for each process of a vassal, in every hierarchy at once: made before the start, killed and
 * removed after the end. Does what the hands ask; it must not know when or why.
 */
import { closeSync, openSync, rmdir } from "node:fs";
import { readFiles } from "@emperor/linux";
import type { VassalSpec } from "@emperor/monitors";
import type { CgroupAccount, RunUsage } from "../court/hands.ts";
import type { Logger } from "../log/logger.ts";
import { quoteName } from "../log/quoting.ts";
import { Accountant } from "./accounts.ts";
import type { Hierarchy } from "./hierarchies.ts";
import { makeGroup, removeGroup, writeValue } from "./kernel.ts";
import { grantWish, readLimit, settle, type Limit, type MachineSize } from "./limits.ts";
import { filesFor, killAll, VASSAL_PREFIX, type Territory } from "./territory.ts";

const NAME_CHARACTERS = 120;
/** A process in the kernel's hands (a dead disk) can stay for long: it is looked after more and more rarely. */
const FIRST_PAUSE_MS = 1;
const LAST_PAUSE_MS = 1000;
/** So long a cgroup may take to empty before somebody is told. */
const PATIENCE_MS = 5000;

/** What a start needs to be born in its cgroup. */
export interface CgroupEntry {
  /** Of version 2: to clone into. */
  readonly cgroupFd?: number;
  /** Of version 1: files into which the child writes itself before anything else. */
  readonly cgroupFiles?: readonly string[];
}

export type Seat =
  | { readonly ok: true; readonly name: string }
  | { readonly ok: false; readonly detail: string };

export interface CgroupPolicy {
  readonly limits: readonly Limit[];
  readonly ceilings: readonly Limit[];
  /** Attribute with a vassal's own wishes; undefined: none are heard. */
  readonly attribute: string | undefined;
  readonly machine: MachineSize;
}

interface Leaving {
  readonly since: number;
  told: boolean;
}

export class VassalCgroups {
  readonly #territory: Territory;
  readonly #policy: CgroupPolicy;
  readonly #logger: Pick<Logger, "warning">;
  readonly #accountant: Accountant;
  /** Names that are to go as soon as they are empty. */
  readonly #leaving = new Map<string, Leaving>();
  readonly #frozen = new Set<string>();
  readonly #said = new Set<string>();
  readonly #idle: (() => void)[] = [];
  /** Directories that are being removed beside the loop. */
  #removing = 0;
  #timer: NodeJS.Timeout | undefined;
  #pauseMs = FIRST_PAUSE_MS;
  #lastNumber = 0;

  constructor(territory: Territory, policy: CgroupPolicy, logger: Pick<Logger, "warning">) {
    this.#territory = territory;
    this.#policy = policy;
    this.#logger = logger;
    this.#accountant = new Accountant(territory.hierarchies, readFiles);
  }

  /** Makes the cgroup of a process to be, with its limits. After a failure nothing of it is left. */
  make(spec: Pick<VassalSpec, "name" | "attributes">): Seat {
    const limits = this.#limitsOf(spec);
    let name = "";
    let refusal: string | undefined = "EEXIST";
    // A name that somebody else's leftover holds is passed over.
    for (let tries = 0; refusal === "EEXIST" && tries < 100; tries += 1) {
      this.#lastNumber += 1;
      name = groupName(spec.name, this.#lastNumber);
      refusal = this.#makeEverywhere(name);
    }
    if (refusal !== undefined)
      return { ok: false, detail: `its cgroup ${name} cannot be made: ${refusal}` };
    for (const { at, file, value } of filesFor(this.#hierarchies, limits).files) {
      const problem = writeValue(`${at.path}/${name}/${file}`, value);
      if (problem === undefined) continue;
      this.#removeEverywhere(name);
      return { ok: false, detail: `its limit ${file} = ${value} cannot be set: ${problem}` };
    }
    return { ok: true, name };
  }

  /** Opens what the start needs; `leave` gives it back. Throws what the system says. */
  entryOf(name: string): CgroupEntry {
    const second = this.#hierarchies.find(({ version }) => version === 2);
    // The child has one thread, for which `tasks` does the same as `cgroup.procs` without stopping every
    // fork of the machine for a moment.
    const cgroupFiles = this.#hierarchies
      .filter(({ version }) => version === 1)
      .map(({ path }) => `${path}/${name}/tasks`);
    return {
      ...(second === undefined ? {} : { cgroupFd: openSync(`${second.path}/${name}`, "r") }),
      ...(cgroupFiles.length === 0 ? {} : { cgroupFiles }),
    };
  }

  leave({ cgroupFd }: CgroupEntry): void {
    if (cgroupFd !== undefined) closeSync(cgroupFd);
  }

  /** SIGKILL for every process in it, wherever it went. */
  kill(name: string): void {
    this.thaw(name);
    for (const { path, version } of this.#killers) killAll(`${path}/${name}`, version);
  }

  /** Stops all its processes until `thaw`. What the kernel refused, or undefined. */
  freeze(name: string): string | undefined {
    this.#frozen.add(name);
    return this.#setFrozen(name, true);
  }

  thaw(name: string): string | undefined {
    return this.#frozen.delete(name) ? this.#setFrozen(name, false) : undefined;
  }

  isFrozen(name: string): boolean {
    return this.#frozen.has(name);
  }

  accounts(names: readonly string[]): readonly CgroupAccount[] {
    return this.#accountant.now(names);
  }

  /** Of a process that was reaped, before `end`. */
  usage(name: string): RunUsage {
    return this.#accountant.final(name);
  }

  /** Kills what is left and removes the cgroup as soon as it is empty. */
  end(name: string): void {
    this.#frozen.delete(name);
    const [best] = this.#killers;
    // The tree that knows all members tells at once whether there are any left.
    if (best === undefined || removeGroup(`${best.path}/${name}`) !== undefined) {
      this.kill(name);
      return this.#leave(name);
    }
    // The others beside the loop, because together they take longer than all else at an end.
    for (const { path } of this.#hierarchies) {
      if (path === best.path) continue;
      this.#removing += 1;
      rmdir(`${path}/${name}`, (error) => {
        this.#removing -= 1;
        if (error !== null && error.code !== "ENOENT") this.#leave(name);
        this.#tellIdle();
      });
    }
  }

  #leave(name: string): void {
    this.#leaving.set(name, { since: performance.now(), told: false });
    this.#pauseMs = FIRST_PAUSE_MS;
    this.#arm();
  }

  get #isIdle(): boolean {
    return this.#leaving.size === 0 && this.#removing === 0;
  }

  #tellIdle(): void {
    if (this.#isIdle) for (const done of this.#idle.splice(0)) done();
  }

  /** Resolves when every cgroup that ended is removed, or after `limitMs`. */
  async idle(limitMs: number): Promise<void> {
    if (this.#isIdle) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, limitMs);
      this.#idle.push(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  /** To be called last: what is still leaving is left to the next Emperor. */
  close(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#territory.release();
  }

  get #hierarchies(): readonly Hierarchy[] {
    return this.#territory.hierarchies;
  }

  /** Version 2 knows all members; without it the freezer's tree does, or any. */
  get #killers(): readonly Hierarchy[] {
    const hierarchies = this.#hierarchies;
    const [best = hierarchies[0]] = [
      ...hierarchies.filter(({ version }) => version === 2),
      ...hierarchies.filter(({ controllers }) => controllers.includes("freezer")),
    ];
    return best === undefined ? [] : [best];
  }

  #limitsOf(spec: Pick<VassalSpec, "name" | "attributes">): readonly Limit[] {
    const { limits, ceilings, attribute, machine } = this.#policy;
    const wishes = attribute === undefined ? [] : (spec.attributes[attribute] ?? []);
    if (wishes.length === 0) return limits;
    const granted = [...limits];
    for (const text of wishes.slice(0, 32)) {
      const reading = readLimit(text, machine);
      if (!reading.ok) {
        this.#say(spec.name, `${reading.problem}, ignored`);
        continue;
      }
      const answer = grantWish(reading.limit, limits, ceilings);
      if (answer.remark !== undefined)
        this.#say(spec.name, `${answer.remark}${answer.ok ? " is what it gets" : ", ignored"}`);
      if (!answer.ok) continue;
      const { missing } = filesFor(this.#hierarchies, [answer.limit]);
      if (missing.length === 0) granted.push(answer.limit);
      else this.#say(spec.name, `${missing.join("; ")}, ignored`);
    }
    return settle(granted);
  }

  /** Once for each vassal and text, however often it starts. */
  #say(vassal: string, text: string): void {
    const key = `${vassal}\0${text}`;
    if (this.#said.has(key)) return;
    if (this.#said.size >= 1000) this.#said.clear();
    this.#said.add(key);
    this.#logger.warning(
      `[emperor] vassal ${quoteName(vassal)} asks for a limit: ${quoteName(text)}`,
    );
  }

  #makeEverywhere(name: string): string | undefined {
    const made: string[] = [];
    for (const { path } of this.#hierarchies) {
      let refusal = makeGroup(`${path}/${name}`);
      // Somebody removed our directory while it was empty.
      if (refusal === "ENOENT") refusal = makeGroup(path) ?? makeGroup(`${path}/${name}`);
      if (refusal === undefined) {
        made.push(path);
        continue;
      }
      for (const one of made) removeGroup(`${one}/${name}`);
      return refusal;
    }
    return undefined;
  }

  /** Whether nothing of it is left. */
  #removeEverywhere(name: string): boolean {
    let gone = true;
    for (const { path } of this.#hierarchies)
      if (removeGroup(`${path}/${name}`) !== undefined) gone = false;
    return gone;
  }

  #setFrozen(name: string, wanted: boolean): string | undefined {
    for (const { path, version } of this.#killers) {
      return version === 2
        ? writeValue(`${path}/${name}/cgroup.freeze`, wanted ? "1" : "0")
        : writeValue(`${path}/${name}/freezer.state`, wanted ? "FROZEN" : "THAWED");
    }
    return "ENOTSUP";
  }

  #arm(): void {
    if (this.#timer !== undefined || this.#leaving.size === 0) return;
    this.#timer = setTimeout(() => this.#sweep(), this.#pauseMs);
  }

  /** There is no timer while there is nothing to remove. */
  #sweep(): void {
    this.#timer = undefined;
    this.#pauseMs = Math.min(LAST_PAUSE_MS, this.#pauseMs * 2);
    const now = performance.now();
    for (const [name, leaving] of this.#leaving) {
      if (this.#removeEverywhere(name)) {
        this.#leaving.delete(name);
        continue;
      }
      // Born while the others were killed, where the kernel does not do it at once.
      this.kill(name);
      if (leaving.told || now - leaving.since < PATIENCE_MS) continue;
      leaving.told = true;
      this.#logger.warning(
        `[emperor] the cgroup ${name} is still not empty ${PATIENCE_MS / 1000} s after SIGKILL: it is removed as soon as it is`,
      );
    }
    this.#tellIdle();
    this.#arm();
  }
}

/** Names of vassals are a tenant's text; directories get what is harmless in it, and a number. */
export function groupName(vassal: string, number: number): string {
  const safe = vassal.replaceAll(/[^A-Za-z0-9._-]/g, "_").slice(0, NAME_CHARACTERS);
  return `${VASSAL_PREFIX}${safe}-${number}`;
}
