/**
 * The environment of a vassal: the Emperor's own, cleaned, with `UWSGI_VASSAL_X` turned into
 * `UWSGI_X`, plus the names of the vassal's descriptors. Owns those rules; it must not know processes.
 */
import { dirname } from "node:path";
import type { UserEntry } from "@emperor/linux";
import { ENVIRONMENT } from "@emperor/protocol";
import type { Settings } from "../options/settings.ts";

export type Variables = Readonly<Record<string, string | undefined>>;

/** Facts about one start that its environment tells. */
export interface VassalVariables {
  /** The vassal has a config pipe. */
  readonly piped: boolean;
  readonly zergNumber: number | undefined;
  /** Tyrant mode: HOME, USER, LOGNAME and SHELL are this user's. */
  readonly user?: VassalUser;
}

export type VassalUser = Pick<UserEntry, "name" | "home" | "shell">;

/** Handed down also where the environment is not: they say how to write, and no secret. */
const HARMLESS: readonly string[] = ["LANG", "LANGUAGE", "LC_*", "TZ"];

/**
 * PATH of a vassal that does not inherit the Emperor's: the system's, and last the directory of this
 * Node, so that programs written for it run wherever it was installed.
 */
export function cleanPath(node: string): string {
  const system = ["/usr/local/bin", "/usr/bin", "/bin"];
  const own = dirname(node);
  return (system.includes(own) || own.includes(":") ? system : [...system, own]).join(":");
}

/**
 * Which variables of the Emperor's environment a vassal may inherit; undefined: all. In Tyrant mode
 * vassals do not get what was meant for an administrator's daemon. A wrapper is an exception, unless
 * `vassal-env` says otherwise: it is the administrator's own program, told by its environment what to
 * do, and it can clean up itself.
 */
export function keptVariables(
  settings: Pick<Settings, "tyrant" | "wrapper" | "environmentMode" | "environmentKeep">,
): ((name: string) => boolean) | undefined {
  const { tyrant, wrapper, environmentMode, environmentKeep } = settings;
  const isClean =
    environmentMode === "auto" ? tyrant && wrapper === undefined : environmentMode === "clean";
  if (!isClean) return undefined;
  const all = [...HARMLESS, ...environmentKeep];
  const names = new Set(all);
  const prefixes = all.filter((name) => name.endsWith("*")).map((name) => name.slice(0, -1));
  return (name) => names.has(name) || prefixes.some((prefix) => name.startsWith(prefix));
}

/** Numbers that channel and config pipe have in every vassal. */
export interface VassalDescriptors {
  readonly channel: number;
  readonly config: number;
}

const VASSAL_PREFIX = ENVIRONMENT.vassalPrefix;
const OPTION_PREFIX = ENVIRONMENT.optionPrefix;

/** What the Emperor's own Emperor, its own reloads and systemd told the Emperor, and nobody else. */
const OWN: readonly string[] = [
  ENVIRONMENT.reloads,
  ENVIRONMENT.notifySocket,
  ENVIRONMENT.emperorFd,
  ENVIRONMENT.emperorFdConfig,
  ENVIRONMENT.emperorProxy,
  ENVIRONMENT.broodlordNum,
];

/** Names that no `UWSGI_VASSAL_X` may produce: the Emperor itself sets or withholds them. */
const RESERVED: ReadonlySet<string> = new Set([
  ENVIRONMENT.reloads,
  ENVIRONMENT.emperorFd,
  ENVIRONMENT.emperorFdConfig,
  ENVIRONMENT.broodlordNum,
]);

const OF_USER = /^(?:HOME|USER|LOGNAME|SHELL)=/;

export interface CommonEnvironment {
  readonly variables: Map<string, string>;
  /** Things an administrator should know, each a full sentence. */
  readonly warnings: readonly string[];
}

/**
 * What all vassals have in common: `base` (the Emperor's environment), then `env` / `unenv` of the
 * options, minus what was meant for the Emperor alone, with every `UWSGI_VASSAL_X` renamed. Of `base`
 * only what `isKept` names is taken, where that is given.
 *
 * uWSGI changes the table while walking it, so that most of these variables are lost and their
 * neighbours garbled; here a new map is built, and every one of them arrives.
 */
export function commonEnvironment(
  base: Variables,
  changes: Settings["environment"],
  isKept?: (name: string) => boolean,
): CommonEnvironment {
  const inherited = new Map<string, string>();
  for (const [name, value] of Object.entries(base)) {
    if (value === undefined) continue;
    // UWSGI_VASSAL_X is written for vassals and for nobody else.
    if (isKept === undefined || isKept(name) || name.startsWith(VASSAL_PREFIX))
      inherited.set(name, value);
  }
  for (const { name, value } of changes) {
    if (value === undefined) inherited.delete(name);
    else inherited.set(name, value);
  }
  for (const name of OWN) inherited.delete(name);
  const warnings: string[] = [];
  const variables = new Map<string, string>();
  const renamed = new Map<string, string>();
  for (const [name, value] of inherited) {
    if (name.startsWith(VASSAL_PREFIX) && name.length > VASSAL_PREFIX.length) {
      renamed.set(OPTION_PREFIX + name.slice(VASSAL_PREFIX.length), value);
    } else variables.set(name, value);
  }
  for (const [name, value] of renamed) {
    const original = VASSAL_PREFIX + name.slice(OPTION_PREFIX.length);
    if (RESERVED.has(name)) {
      warnings.push(
        `[emperor] the variable ${original} is ignored: ${name} of a vassal is set by the Emperor alone`,
      );
      continue;
    }
    const present = variables.get(name);
    if (present !== undefined && present !== value) {
      warnings.push(
        `[emperor] both ${name} and ${original} are in the environment: vassals get ${name} with the value of ${original}`,
      );
    }
    variables.set(name, value);
  }
  return { variables, warnings };
}

/**
 * Environments of vassals as arrays of `NAME=value`. All vassals with and all without a config pipe
 * share one array each, so a thousand starts build two arrays and not a thousand.
 */
export class VassalEnvironment {
  readonly #read: () => Variables;
  readonly #changes: Settings["environment"];
  readonly #descriptors: VassalDescriptors;
  readonly #warn: (message: string) => void;
  readonly #warned = new Set<string>();
  #common: readonly string[] | undefined;
  #plain: readonly string[] | undefined;
  #piped: readonly string[] | undefined;
  #path: string | undefined;
  #vassalPath: string | undefined;
  readonly #isKept: ((name: string) => boolean) | undefined;

  /** `read` gives the Emperor's environment; it is called again only after `invalidate`. */
  constructor(
    read: () => Variables,
    changes: Settings["environment"],
    descriptors: VassalDescriptors,
    warn: (message: string) => void,
    isKept?: (name: string) => boolean,
  ) {
    this.#isKept = isKept;
    this.#read = read;
    this.#changes = changes;
    this.#descriptors = descriptors;
    this.#warn = warn;
  }

  /** The Emperor's environment changed (a `putenv` hook): the next start reads it anew. */
  invalidate(): void {
    this.#common = this.#plain = this.#piped = undefined;
  }

  /** PATH along which the Emperor looks for the vassals' program: its own. */
  get path(): string | undefined {
    this.#base();
    return this.#path;
  }

  /** PATH as vassals have it. */
  get vassalPath(): string | undefined {
    this.#base();
    return this.#vassalPath;
  }

  /** The complete environment of one start. The array is shared: it must not be changed. */
  build(start: VassalVariables): readonly string[] {
    const { channel, config } = this.#descriptors;
    this.#plain ??= [...this.#base(), `${ENVIRONMENT.emperorFd}=${channel}`];
    if (start.piped) {
      this.#piped ??= [...this.#plain, `${ENVIRONMENT.emperorFdConfig}=${config}`];
    }
    const shared = start.piped ? (this.#piped ?? this.#plain) : this.#plain;
    const zerg =
      start.zergNumber === undefined ? [] : [`${ENVIRONMENT.broodlordNum}=${start.zergNumber}`];
    if (start.user === undefined) return zerg.length === 0 ? shared : [...shared, ...zerg];
    const { name, home, shell } = start.user;
    const own = [`HOME=${home}`, `USER=${name}`, `LOGNAME=${name}`, `SHELL=${shell}`];
    return [...shared.filter((entry) => !OF_USER.test(entry)), ...own, ...zerg];
  }

  #base(): readonly string[] {
    if (this.#common === undefined) {
      const common = commonEnvironment(this.#read(), this.#changes, this.#isKept);
      for (const warning of common.warnings) {
        if (this.#warned.has(warning)) continue;
        this.#warned.add(warning);
        this.#warn(warning);
      }
      if (this.#isKept !== undefined && !common.variables.has("PATH")) {
        this.#path = this.#read()["PATH"];
        common.variables.set("PATH", cleanPath(process.execPath));
      } else {
        this.#path = common.variables.get("PATH");
      }
      this.#vassalPath = common.variables.get("PATH");
      this.#common = Array.from(common.variables, ([name, value]) => `${name}=${value}`);
    }
    return this.#common;
  }
}

/** `env` with one variable replaced or added: for hooks, and for the rare vassal with its own PATH. */
export function withVariable(env: readonly string[], name: string, value: string): string[] {
  return [...env.filter((entry) => !entry.startsWith(`${name}=`)), `${name}=${value}`];
}
