/**
 * The arguments of a vassal, letter by letter as uWSGI's Emperor gives them: templates before the
 * config, the config, templates after it. Owns the order and the type of the config; it must not
 * know how the program is started.
 */
import type { VassalSpec } from "@emperor/monitors";
import type { Settings } from "../options/settings.ts";

export type ArgvSettings = Pick<
  Settings,
  "inheritBefore" | "includeBefore" | "set" | "inherit" | "include" | "extraExtensions"
>;

/** How the vassal gets its config: by name, through the config pipe, or as output of itself. */
export type ConfigSource = "name" | "pipe" | "exec";

const TYPE_OF_SUFFIX: readonly (readonly [suffix: string, type: string])[] = [
  [".xml", "--xml"],
  [".ini", "--ini"],
  [".yml", "--yaml"],
  [".yaml", "--yaml"],
  [".js", "--json"],
  [".json", "--json"],
];

const SCHEME: Readonly<Record<ConfigSource, string>> = {
  name: "",
  pipe: "emperor://",
  exec: "exec://",
};

function flagged(flag: string, values: readonly string[]): readonly string[] {
  return values.flatMap((value) => [flag, value]);
}

/** Builds arguments for one set of settings; everything that is the same for all vassals is made once. */
export class VassalArguments {
  readonly #before: readonly string[];
  readonly #after: readonly string[];
  readonly #extraExtensions: readonly string[];

  constructor(settings: ArgvSettings) {
    this.#before = [
      ...flagged("--inherit", settings.inheritBefore),
      ...flagged("--include", settings.includeBefore),
      ...flagged("--set", settings.set),
    ];
    this.#after = [
      ...flagged("--inherit", settings.inherit),
      ...flagged("--include", settings.include),
    ];
    this.#extraExtensions = settings.extraExtensions.filter((extension) => extension !== "");
  }

  /**
   * The option that names the config: `--ini`, `--xml`... An extra extension gives `--config` and wins
   * over the known ones. A name that ends in nothing known (a key of a message queue) is `--inherit`,
   * as in uWSGI.
   */
  typeOf(name: string): string {
    if (this.#extraExtensions.some((extension) => name.endsWith(extension))) return "--config";
    return TYPE_OF_SUFFIX.find(([suffix]) => name.endsWith(suffix))?.[1] ?? "--inherit";
  }

  /**
   * Arguments after argv[0]. `config` is the text that names the config to the vassal (without
   * scheme); the type comes from the vassal's name, of a zerg (`NAME:zerg`) from the part before the
   * last colon.
   */
  build(spec: VassalSpec, source: ConfigSource, isZerg: boolean, config = spec.name): string[] {
    const colon = isZerg ? spec.name.lastIndexOf(":") : -1;
    const typed = colon < 0 ? spec.name : spec.name.slice(0, colon);
    return [...this.#before, this.typeOf(typed), SCHEME[source] + config, ...this.#after];
  }
}
