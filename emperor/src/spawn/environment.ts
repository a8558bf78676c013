/**
 * The environment of a vassal: the Emperor's own, cleaned, with `UWSGI_VASSAL_X` turned into
 * `UWSGI_X`, plus the names of the vassal's descriptors. Owns those rules; it must not know processes.
 */
import { ENVIRONMENT } from "@emperor/protocol";
import type { Settings } from "../options/settings.ts";

export type Variables = Readonly<Record<string, string | undefined>>;

/** Facts about one start that its environment tells. */
export interface VassalVariables {
  /** The vassal has a config pipe. */
  readonly piped: boolean;
  readonly zergNumber: number | undefined;
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

export interface CommonEnvironment {
  readonly variables: ReadonlyMap<string, string>;
  /** Things an administrator should know, each a full sentence. */
  readonly warnings: readonly string[];
}

/**
 * What all vassals have in common: `base` (the Emperor's environment), then `env` / `unenv` of the
 * options, minus what was meant for the Emperor alone, with every `UWSGI_VASSAL_X` renamed.
 *
 * uWSGI changes the table while walking it, so that most of these variables are lost and their
 * neighbours garbled; here a new map is built, and every one of them arrives.
 */
export function commonEnvironment(
  base: Variables,
  changes: Settings["environment"],
): CommonEnvironment {
  const inherited = new Map<string, string>();
  for (const [name, value] of Object.entries(base)) {
    if (value !== undefined) inherited.set(name, value);
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

  /** `read` gives the Emperor's environment; it is called again only after `invalidate`. */
  constructor(
    read: () => Variables,
    changes: Settings["environment"],
    descriptors: VassalDescriptors,
    warn: (message: string) => void,
  ) {
    this.#read = read;
    this.#changes = changes;
    this.#descriptors = descriptors;
    this.#warn = warn;
  }

  /** The Emperor's environment changed (a `putenv` hook): the next start reads it anew. */
  invalidate(): void {
    this.#common = this.#plain = this.#piped = undefined;
  }

  /** PATH as vassals have it. */
  get path(): string | undefined {
    this.#base();
    return this.#path;
  }

  /** The complete environment of one start. The array is shared: it must not be changed. */
  build(start: VassalVariables): readonly string[] {
    const { channel, config } = this.#descriptors;
    this.#plain ??= [...this.#base(), `${ENVIRONMENT.emperorFd}=${channel}`];
    if (start.piped) {
      this.#piped ??= [...this.#plain, `${ENVIRONMENT.emperorFdConfig}=${config}`];
    }
    const shared = start.piped ? (this.#piped ?? this.#plain) : this.#plain;
    return start.zergNumber === undefined
      ? shared
      : [...shared, `${ENVIRONMENT.broodlordNum}=${start.zergNumber}`];
  }

  #base(): readonly string[] {
    if (this.#common === undefined) {
      const common = commonEnvironment(this.#read(), this.#changes);
      for (const warning of common.warnings) {
        if (this.#warned.has(warning)) continue;
        this.#warned.add(warning);
        this.#warn(warning);
      }
      this.#path = common.variables.get("PATH");
      this.#common = Array.from(common.variables, ([name, value]) => `${name}=${value}`);
    }
    return this.#common;
  }
}

/** `env` with one variable replaced or added: for hooks, and for the rare vassal with its own PATH. */
export function withVariable(env: readonly string[], name: string, value: string): string[] {
  return [...env.filter((entry) => !entry.startsWith(`${name}=`)), `${name}=${value}`];
}
