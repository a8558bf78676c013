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

/** In an order in which a later source replaces a less exact earlier one. */
function sourcesOf(hierarchies: readonly Hierarchy[], brief: boolean): readonly Source[] {
  const sources: Source[] = [];
  const second = hierarchies.find(({ version }) => version === 2);
  const has = (controller: string): boolean => second?.controllers.includes(controller) === true;
  const first = (controller: string): Hierarchy | undefined =>
    hierarchies.find((one) => one.version === 1 && one.controllers.includes(controller));
  const memory1 = first("memory");
  const pids1 = first("pids");
  const cpu1 = first("cpuacct");
  if (second !== undefined) {
    // Counted by the core of version 2, whatever controllers there are.
    sources.push(field(second, "cpu.stat", "usage_usec", 0.001, "cpuMs"));
    if (!brief)
      for (const kind of ["cpu", "memory", "io"] as const) sources.push(pressure(second, kind));
  } else if (cpu1 !== undefined) {
    sources.push(
      source(cpu1, "cpuacct.usage", (text, into) => {
        const value = number(text);
        if (value !== undefined) into.cpuMs = Math.round(value / 1e6);
      }),
    );
  }
  if (second !== undefined && has("memory")) {
    if (!brief) sources.push(simple(second, "memory.current", "memory"));
    sources.push(
      simple(second, "memory.peak", "memoryPeak"),
      field(second, "memory.events", "oom_kill", 1, "oomKills"),
    );
  } else if (memory1 !== undefined) {
    if (!brief) sources.push(simple(memory1, "memory.usage_in_bytes", "memory"));
    sources.push(
      simple(memory1, "memory.max_usage_in_bytes", "memoryPeak"),
      field(memory1, "memory.oom_control", "oom_kill", 1, "oomKills"),
    );
  }
  const pids = second !== undefined && has("pids") ? second : pids1;
  if (pids !== undefined) {
    if (!brief) sources.push(simple(pids, "pids.current", "processes"));
    sources.push(simple(pids, "pids.peak", "processesPeak"));
  }
  return sources;
}

export type ReadFiles = (paths: readonly string[]) => readonly string[];

/** Reads the accounts of cgroups by name. */
export class Accountant {
  readonly #full: readonly Source[];
  readonly #brief: readonly Source[];
  readonly #readFiles: ReadFiles;

  constructor(hierarchies: readonly Hierarchy[], readFiles: ReadFiles) {
    this.#full = sourcesOf(hierarchies, false);
    this.#brief = sourcesOf(hierarchies, true);
    this.#readFiles = readFiles;
  }

  /** One for each name, in order. */
  now(names: readonly string[]): readonly CgroupAccount[] {
    return this.#read(this.#full, names);
  }

  /** What a run that ended has used. */
  final(name: string): RunUsage {
    return this.#read(this.#brief, [name])[0] ?? {};
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
