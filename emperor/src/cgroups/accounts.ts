/**
 * What cgroups say of their members: which files hold it in either version, and what their texts mean.
 * Pure but for one call that reads many files; it must not know when anybody asks.
 */
import type { CgroupAccount, RunUsage } from "../court/hands.ts";
import type { Hierarchy } from "./hierarchies.ts";

/** A figure, the file that holds it, and how it is read. */
interface Source {
  readonly path: (name: string) => string;
  readonly take: (text: string, into: Figures) => void;
}

interface Figures {
  memory?: number;
  memoryPeak?: number;
  cpuMs?: number;
  processes?: number;
  processesPeak?: number;
  oomKills?: number;
  pressure?: { cpu?: number; memory?: number; io?: number };
}

function number(text: string): number | undefined {
  const value = Number(text);
  return text.trim() === "" || !Number.isFinite(value) ? undefined : value;
}

/** The value after a word at the beginning of a line. */
export function fieldOf(text: string, name: string): number | undefined {
  const at = text.startsWith(`${name} `) ? 0 : text.indexOf(`\n${name} `) + 1;
  if (at === 0 && !text.startsWith(`${name} `)) return undefined;
  const start = at + name.length + 1;
  const end = text.indexOf("\n", start);
  return number(text.slice(start, end < 0 ? undefined : end));
}

/** Percent of the last ten seconds in which some task waited: `some avg10=1.50 ...`. */
export function pressureOf(text: string): number | undefined {
  const match = /^some avg10=(\d+\.?\d*)/.exec(text);
  return match === null ? undefined : Number(match[1]);
}

/** Reads `file` of `hierarchy` for a vassal's cgroup. */
function source(
  { path }: Hierarchy,
  file: string,
  take: (text: string, into: Figures) => void,
): Source {
  return { path: (name) => `${path}/${name}/${file}`, take };
}

function pressure(hierarchy: Hierarchy, kind: "cpu" | "memory" | "io"): Source {
  return source(hierarchy, `${kind}.pressure`, (text, into) => {
    const value = pressureOf(text);
    if (value !== undefined) into.pressure = { ...into.pressure, [kind]: value };
  });
}

function simple(
  hierarchy: Hierarchy,
  file: string,
  field: "memory" | "memoryPeak" | "processes" | "processesPeak",
): Source {
  return source(hierarchy, file, (text, into) => {
    const value = number(text);
    if (value !== undefined) into[field] = value;
  });
}

function field(
  hierarchy: Hierarchy,
  file: string,
  name: string,
  factor: number,
  to: "cpuMs" | "oomKills",
): Source {
  return source(hierarchy, file, (text, into) => {
    const value = fieldOf(text, name);
    if (value !== undefined) into[to] = Math.round(value * factor);
  });
}

/** What is read when: each file costs some microseconds, those of pressure several times that. */
interface Sources {
  /** Of a run that goes on. */
  readonly now: readonly Source[];
  /** Of one that ended. */
  readonly final: readonly Source[];
  readonly pressure: readonly Source[];
}

function sourcesOf(hierarchies: readonly Hierarchy[]): Sources {
  const second = hierarchies.find(({ version }) => version === 2);
  const holderOf = (controller: string): Hierarchy | undefined =>
    second?.controllers.includes(controller) === true
      ? second
      : hierarchies.find((one) => one.version === 1 && one.controllers.includes(controller));
  const cpu = cpuSource(second, holderOf("cpuacct"));
  const now = [...cpu];
  const final = [...cpu];
  const memory = holderOf("memory");
  if (memory !== undefined) {
    const is2 = memory.version === 2;
    const peak = is2 ? "memory.peak" : "memory.max_usage_in_bytes";
    const both = [
      simple(memory, peak, "memoryPeak"),
      field(memory, is2 ? "memory.events" : "memory.oom_control", "oom_kill", 1, "oomKills"),
    ];
    now.push(simple(memory, is2 ? "memory.current" : "memory.usage_in_bytes", "memory"), ...both);
    final.push(...both);
  }
  const pids = holderOf("pids");
  if (pids !== undefined) {
    now.push(simple(pids, "pids.current", "processes"));
    final.push(simple(pids, "pids.peak", "processesPeak"));
  }
  const kinds = ["cpu", "memory", "io"] as const;
  return {
    now,
    final,
    pressure: second === undefined ? [] : kinds.map((kind) => pressure(second, kind)),
  };
}

/** Version 1 has it for less where it is mounted; the core of version 2 counts without any controller. */
function cpuSource(second: Hierarchy | undefined, first: Hierarchy | undefined): readonly Source[] {
  if (first?.version === 1) {
    const take = (text: string, into: Figures): void => {
      const value = number(text);
      if (value !== undefined) into.cpuMs = Math.round(value / 1e6);
    };
    return [source(first, "cpuacct.usage", take)];
  }
  return second === undefined ? [] : [field(second, "cpu.stat", "usage_usec", 0.001, "cpuMs")];
}

export type ReadFiles = (paths: readonly string[]) => readonly string[];

/** Vassals whose pressure is read anew in one call; those of the others are of an earlier call. */
const PRESSURES_AT_ONCE = 100;

/** Reads the accounts of cgroups by name. */
export class Accountant {
  readonly #sources: Sources;
  readonly #readFiles: ReadFiles;
  /** What was last read, in the order in which it was read: the oldest first. */
  readonly #pressures = new Map<string, Figures["pressure"]>();

  constructor(hierarchies: readonly Hierarchy[], readFiles: ReadFiles) {
    this.#sources = sourcesOf(hierarchies);
    this.#readFiles = readFiles;
  }

  /**
   * One for each name, in order. Up to a hundred vassals' pressures are new; of more, each call renews
   * those that are oldest, so that a thousand vassals do not hold up whoever asks.
   */
  now(names: readonly string[]): readonly CgroupAccount[] {
    const accounts = this.#read(this.#sources.now, names);
    if (this.#sources.pressure.length === 0) return accounts;
    this.#renewPressures(names);
    return accounts.map((account, index) => {
      const known = this.#pressures.get(names[index] ?? "");
      return known === undefined ? account : { ...account, pressure: known };
    });
  }

  /** What a run that ended has used. */
  final(name: string): RunUsage {
    this.#pressures.delete(name);
    return this.#read(this.#sources.final, [name])[0] ?? {};
  }

  #renewPressures(names: readonly string[]): void {
    const unknown = names.filter((name) => !this.#pressures.has(name));
    const here = new Set(names);
    const oldest = [...this.#pressures.keys()].filter((name) => here.has(name));
    const renewed = [...unknown, ...oldest].slice(0, PRESSURES_AT_ONCE);
    for (const [index, { pressure: known }] of this.#read(
      this.#sources.pressure,
      renewed,
    ).entries()) {
      const name = renewed[index] ?? "";
      this.#pressures.delete(name);
      this.#pressures.set(name, known);
    }
  }

  #read(sources: readonly Source[], names: readonly string[]): readonly Figures[] {
    const paths: string[] = [];
    for (const name of names) for (const { path } of sources) paths.push(path(name));
    const texts = this.#readFiles(paths);
    return names.map((_name, index) => {
      const figures: Figures = {};
      for (const [offset, { take }] of sources.entries()) {
        const text = texts[index * sources.length + offset] ?? "";
        if (text !== "") take(text, figures);
      }
      return figures;
    });
  }
}
