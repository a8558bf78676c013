/** What goes into `loadConfiguration` and what comes out. */
import type { EnvironmentChange } from "./environment-changes.ts";
import type { ConfigError, ConfigWarning } from "./errors.ts";
import type { ConfigHost, MachineFacts } from "./host.ts";
import type { OptionTable } from "./options.ts";
import type { ConfigEntry } from "./origin.ts";

/** Upper bounds: a configuration beyond them is refused with `too-large` or `too-deep`. */
export interface ConfigLimits {
  readonly fileBytes: number;
  readonly totalBytes: number;
  readonly entries: number;
  readonly depth: number;
  /** Length of one value after substitution, in UTF-16 units. */
  readonly valueLength: number;
  /** Patience with one command, server or name, in milliseconds. */
  readonly sourceTimeoutMs: number;
}

/** Far beyond what configurations need, far below what hurts. */
export const DEFAULT_LIMITS: ConfigLimits = {
  fileBytes: 1024 * 1024,
  totalBytes: 8 * 1024 * 1024,
  entries: 100_000,
  depth: 32,
  valueLength: 1024 * 1024,
  sourceTimeoutMs: 30_000,
};

export interface LoadRequest {
  /** Arguments without program and script: `process.argv.slice(2)`. */
  readonly argv: readonly string[];
  /** The whole environment. Every `UWSGI_NAME` is a key; `$(NAME)` looks here. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly options: OptionTable;
  /** Default: the real machine. */
  readonly host?: ConfigHost;
  readonly facts?: Partial<MachineFacts>;
  /**
   * Schemes beyond files, `-`, `fd://`, `exec://`, `http://` and `https://`, or instead of them; the
   * argument is the text after `://`. `emperor` is the vassal's.
   */
  readonly schemes?: Readonly<Record<string, (rest: string) => Uint8Array | Promise<Uint8Array>>>;
  /** Address of a host for `resolve`; default: as the system resolves it, IPv4 first. */
  readonly resolveName?: (name: string) => Promise<string>;
  /** Is a feature present? For `if-plugin`; default: none is. */
  readonly hasPlugin?: (name: string) => boolean;
  readonly limits?: Partial<ConfigLimits>;
}

export interface ConfigResult {
  /** In the order in which they are applied. Language options stand among them, for `show-config`. */
  readonly entries: readonly ConfigEntry[];
  readonly warnings: readonly ConfigWarning[];
  /** Not empty: nothing may be used. */
  readonly errors: readonly ConfigError[];
  /** Lines for standard output: `print`, `iprint`, `get`. */
  readonly output: readonly string[];
  /** What `ienv` and `early-envdir` changed in the environment, in order; to be applied before `env`. */
  readonly environmentChanges: readonly EnvironmentChange[];
  /** An `exit` or `get` was met: end with this code after the output. */
  readonly exit?: { readonly code: number };
  /** `strict` was given. */
  readonly strict: boolean;
}
