/**
 * Which program becomes the vassal: overrides, then the wrapper or the binary, then fallbacks. Owns
 * that order and how it is told; it must not know how programs are executed.
 */
import { accessSync, constants } from "node:fs";
import type { SpawnOptions } from "@emperor/linux";
import type { VassalSpec } from "@emperor/monitors";
import type { Settings } from "../options/settings.ts";
import { quoteName } from "../log/quoting.ts";
import { programCandidates } from "./program-path.ts";

type Role = "override" | "main" | "fallback";

interface Choice {
  readonly name: string;
  readonly role: Role;
  /** Index of its first candidate. */
  readonly start: number;
}

export interface ProgramList {
  /** What is tried, in order: a name found along PATH stands here once per directory. */
  readonly candidates: SpawnOptions["programs"];
  readonly choices: readonly Choice[];
}

type ProgramSettings = Pick<
  Settings,
  "binaryPath" | "wrapper" | "wrapperOverride" | "wrapperFallback" | "wrapperAttribute"
>;

export class ProgramChain {
  readonly #settings: ProgramSettings;
  #usual: { readonly path: string | undefined; readonly list: ProgramList } | undefined;

  constructor(settings: ProgramSettings) {
    this.#settings = settings;
  }

  /** Programs for one vassal; those without an own wrapper share one list. */
  of(spec: Pick<VassalSpec, "attributes">, path: string | undefined): ProgramList {
    const { wrapper, wrapperAttribute, binaryPath } = this.#settings;
    const own = wrapperAttribute === undefined ? undefined : spec.attributes[wrapperAttribute]?.[0];
    if (own !== undefined && own !== "") return this.#list(own, path);
    if (this.#usual === undefined || this.#usual.path !== path) {
      this.#usual = { path, list: this.#list(wrapper ?? binaryPath, path) };
    }
    return this.#usual.list;
  }

  #list(main: string, path: string | undefined): ProgramList {
    const candidates: { path: string; argv0: string }[] = [];
    const choices: Choice[] = [];
    const add = (name: string, role: Role): void => {
      choices.push({ name, role, start: candidates.length });
      for (const candidate of programCandidates(name, path))
        candidates.push({ path: candidate, argv0: name });
    };
    for (const name of this.#settings.wrapperOverride) add(name, "override");
    add(main, "main");
    for (const name of this.#settings.wrapperFallback) add(name, "fallback");
    return { candidates, choices };
  }
}

/** The lines uWSGI logs for overrides and fallbacks, for those tried until candidate `used` ran. */
export function describeChoice(list: ProgramList, used: number): readonly string[] {
  return list.choices
    .filter(({ start }) => start <= used)
    .flatMap(({ name, role }) => {
      if (role === "main") return [];
      return [
        `[emperor] trying to use ${name} as binary ${role === "override" ? "wrapper" : "fallback"} ...`,
      ];
    });
}

/** Asks the file system once more, for a message: why `path` cannot be executed, if it says so. */
function whyNot(path: string): string | undefined {
  try {
    accessSync(path, constants.X_OK);
    return undefined;
  } catch (error) {
    return error instanceof Error && "code" in error ? String(error.code) : undefined;
  }
}

/**
 * Names every program that was tried and why it did not run. `code`: the errno that exec gave, used
 * for programs that look executable (a script without its interpreter, a binary of another machine).
 */
export function describeExecFailure(list: ProgramList, code: string): string {
  const tried = list.choices.map(({ name, start }, index) => {
    const end = list.choices[index + 1]?.start ?? list.candidates.length;
    const reasons = list.candidates.slice(start, end).map(({ path }) => whyNot(path) ?? code);
    const reason = reasons.find((one) => one !== "ENOENT") ?? "ENOENT";
    return `${quoteName(name)} (${reason}${name.includes("/") ? "" : ", searched along PATH"})`;
  });
  return `no program could be executed: ${tried.join(", ")}`;
}
