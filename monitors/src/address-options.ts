/**
 * Options that an address of a monitor carries, `?KEY=VALUE&KEY`: reads and checks them. Knows no
 * monitor; the caller says which keys there are.
 */
import { readFileSync } from "node:fs";
import { nearest } from "@emperor/config";
import { errnoName, explainErrno } from "./errno.ts";
import { MonitorError } from "./errors.ts";
import { quoteName } from "./names.ts";
import { maskAddress } from "./secrets.ts";

export class AddressOptions {
  readonly #argument: string;
  readonly #values: URLSearchParams;

  /**
   * @param argument the whole argument of `emperor`, for what is said of it
   * @param text what follows the `?`, percent-encoded as in any URL
   * @throws MonitorError of the code `invalid-option` for a key that is not among `known`, or twice there
   */
  constructor(argument: string, text: string, known: readonly string[]) {
    this.#argument = argument;
    this.#values = new URLSearchParams(text);
    const seen = new Set<string>();
    for (const key of this.#values.keys()) {
      if (!known.includes(key)) {
        const meant = nearest(key, known);
        const hint = meant === undefined ? `known are ${known.join(", ")}` : `is ${meant} meant?`;
        throw this.error(`has an option ${quoteName(key)} that does not exist; ${hint}`);
      }
      if (seen.has(key)) throw this.error(`has the option ${key} twice`);
      seen.add(key);
    }
  }

  /** The value, undefined if the key is not there or has none. */
  text(key: string): string | undefined {
    const value = this.#values.get(key);
    return value === null || value === "" ? undefined : value;
  }

  /** `KEY`, `KEY=1`, `KEY=true` and the like; `fallback` if the key is not there. */
  flag(key: string, fallback = false): boolean {
    const value = this.#values.get(key);
    if (value === null) return fallback;
    if (["", "1", "true", "yes", "on"].includes(value)) return true;
    if (["0", "false", "no", "off"].includes(value)) return false;
    throw this.error(`needs 1 or 0 for its option ${key}, not ${quoteName(value)}`);
  }

  /** A whole number from `minimum` to `maximum`. */
  integer(key: string, fallback: number, minimum: number, maximum: number): number {
    const value = this.text(key);
    if (value === undefined) return fallback;
    const number = Number(value);
    if (/^\d{1,9}$/.test(value) && number >= minimum && number <= maximum) return number;
    throw this.error(
      `needs a number from ${minimum} to ${maximum} for its option ${key}, not ${quoteName(value)}`,
    );
  }

  /** The content of the file that the key names, undefined without the key. */
  file(key: string): string | undefined {
    const path = this.text(key);
    if (path === undefined) return undefined;
    try {
      return readFileSync(path, "utf8");
    } catch (error) {
      throw this.error(
        `names the file ${quoteName(path)} with its option ${key}, which cannot be read: ${explainErrno(errnoName(error))}`,
      );
    }
  }

  /** `what` goes on after the address. */
  error(what: string): MonitorError {
    return invalidOption(this.#argument, what);
  }
}

export function invalidOption(argument: string, what: string): MonitorError {
  return new MonitorError(
    "invalid-option",
    argument,
    `monitor address ${quoteName(maskAddress(argument))} ${what}`,
  );
}
