/**
 * Fetches the text behind an address within the limits, and knows what file it was. Parses nothing.
 */
import { locationOf, parseAddress } from "./address.ts";
import type { Address } from "./address.ts";
import { ConfigError } from "./errors.ts";
import type { ConfigWarningCode } from "./errors.ts";
import type { ConfigHost } from "./host.ts";
import type { SourceBounds } from "./deadline.ts";
import type { ConfigLimits, LoadRequest } from "./load-types.ts";
import type { FileMagic } from "./magic-variables.ts";
import type { ConfigOrigin } from "./origin.ts";
import { findOccurrence } from "./substitution.ts";

export interface Source {
  readonly bytes: Uint8Array;
  /** Equal for two addresses of one file: what a circle of includes is found by. */
  readonly identity: string;
  /** How messages call it. */
  readonly name: string;
}

/** Schemes of uWSGI that have no meaning outside of a C program. */
const FOREIGN_SCHEMES: readonly string[] = ["sym", "data", "section", "call", "callint"];

export interface SourceWorld {
  readonly host: ConfigHost;
  readonly limits: ConfigLimits;
  readonly schemes: NonNullable<LoadRequest["schemes"]>;
  /** For commands of `exec://`. */
  readonly cwd: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  warn(code: ConfigWarningCode, message: string, origin: ConfigOrigin): void;
}

export class SourceReader {
  readonly #world: SourceWorld;
  readonly #host: ConfigHost;
  readonly #limits: ConfigLimits;
  readonly #schemes: NonNullable<LoadRequest["schemes"]>;
  #totalBytes = 0;

  constructor(world: SourceWorld) {
    this.#world = world;
    this.#host = world.host;
    this.#limits = world.limits;
    this.#schemes = world.schemes;
  }

  /** Reads an address other than `:SECTION`. Throws ConfigError with `origin`, the place that named it. */
  async read(address: Exclude<Address, { kind: "last" }>, origin: ConfigOrigin): Promise<Source> {
    const name = locationOf(address);
    const bytes = await this.#bytes(address, name, origin);
    this.#totalBytes += bytes.length;
    if (bytes.length > this.#limits.fileBytes) this.#tooLarge(name, this.#limits.fileBytes, origin);
    if (this.#totalBytes > this.#limits.totalBytes)
      this.#tooLarge("the whole configuration", this.#limits.totalBytes, origin);
    const identity = address.kind === "file" ? this.#host.realPath(address.path) : name;
    return { bytes, identity, name: address.kind === "standard-input" ? "standard input" : name };
  }

  #tooLarge(name: string, limitBytes: number, origin: ConfigOrigin): never {
    throw new ConfigError(
      "too-large",
      `${JSON.stringify(name)} has more than ${limitBytes} bytes, which no configuration needs`,
      origin,
    );
  }

  async #bytes(
    address: Exclude<Address, { kind: "last" }>,
    name: string,
    origin: ConfigOrigin,
  ): Promise<Uint8Array> {
    try {
      switch (address.kind) {
        case "file":
          return this.#host.readFile(address.path, this.#limits.fileBytes);
        case "standard-input":
          return this.#host.readDescriptor(0, this.#limits.fileBytes);
        case "scheme":
          return await this.#scheme(address.scheme, address.rest, origin);
      }
    } catch (error) {
      if (error instanceof ConfigError) throw error;
      if (error instanceof RangeError) this.#tooLarge(name, this.#limits.fileBytes, origin);
      throw new ConfigError(
        codeOf(error),
        `cannot read ${JSON.stringify(name)}: ${reasonOf(error)}${hintFor(name)}`,
        origin,
        { cause: error },
      );
    }
  }

  async #scheme(scheme: string, rest: string, origin: ConfigOrigin): Promise<Uint8Array> {
    const reader = Object.hasOwn(this.#schemes, scheme) ? this.#schemes[scheme] : undefined;
    if (reader !== undefined) return await reader(rest);
    if (scheme === "file") return this.#host.readFile(rest, this.#limits.fileBytes);
    if (scheme === "fd") {
      if (!/^\d{1,7}$/.test(rest))
        throw new ConfigError(
          "bad-directive",
          `fd://${rest}: a descriptor number is needed`,
          origin,
        );
      return this.#host.readDescriptor(Number(rest), this.#limits.fileBytes);
    }
    if (scheme === "exec") return this.#command(rest, origin);
    if (scheme === "http" || scheme === "https") {
      const { readHttp } = await import("./http-source.ts");
      return await readHttp(`${scheme}://${rest}`, this.#bounds());
    }
    const why = FOREIGN_SCHEMES.includes(scheme)
      ? "it names a part of a C program"
      : "this program does not read it";
    throw new ConfigError(
      "scheme-unavailable",
      `the address ${JSON.stringify(`${scheme}://${rest}`)} cannot be used: ${why}; use a file`,
      origin,
    );
  }

  #bounds(): SourceBounds {
    const { fileBytes, sourceTimeoutMs } = this.#limits;
    return { maxBytes: fileBytes, timeoutMs: sourceTimeoutMs };
  }

  async #command(line: string, origin: ConfigOrigin): Promise<Uint8Array> {
    const { readCommandOutput } = await import("./command-source.ts");
    const { cwd, environment } = this.#world;
    const surroundings = { ...this.#bounds(), cwd, environment };
    const { bytes, failure } = await readCommandOutput(line, surroundings);
    if (failure !== undefined) {
      const shown = JSON.stringify(`exec://${line}`);
      const message = `${shown}: ${failure}; its output is used all the same`;
      this.#world.warn("command-failed", message, origin);
    }
    return bytes;
  }

  /** What the magic variables of a file are. */
  magicOf(address: Exclude<Address, { kind: "last" }>): FileMagic {
    const section = address.section ?? "";
    const location = locationOf(address);
    // A pushed config has no file, but its vassal has a name: uWSGI leaves %n empty there, we do not.
    const path =
      address.kind === "file"
        ? address.path
        : address.kind === "scheme" && address.scheme === "emperor"
          ? address.rest
          : undefined;
    if (path === undefined || path === "")
      return { address: location, path: "", section, inode: undefined };
    return {
      address: location,
      path: this.#host.realPath(path),
      section,
      inode: this.#host.inode(path),
    };
  }

  /**
   * Replaces every `@(ADDRESS)` by the content there, without one final newline; `@(...)` in the
   * content counts as well. Throws ConfigError when something cannot be read or has no end.
   */
  async contents(text: string, origin: ConfigOrigin, depth = 0): Promise<string> {
    let result = "";
    let done = 0;
    for (
      let found = findOccurrence(text, "@", 0);
      found !== undefined;
      found = findOccurrence(text, "@", done)
    ) {
      if (depth >= this.#limits.depth)
        throw new ConfigError(
          "too-deep",
          `@(...) is nested deeper than ${this.#limits.depth} levels`,
          origin,
        );
      const address = await this.contents(found.inside, origin, depth + 1);
      const parsed = parseAddress(address);
      // Only files with a section have a section: here the whole text is the address.
      const whole =
        parsed.kind === "scheme"
          ? { ...parsed, rest: address.slice(address.indexOf("://") + 3) }
          : address === "-"
            ? parsed
            : { kind: "file" as const, path: address, section: undefined };
      if (whole.kind === "last")
        throw new ConfigError("bad-directive", "@(...) needs an address", origin);
      const { bytes } = await this.read(whole, origin);
      const content = await this.contents(
        Buffer.from(bytes).toString("utf8").replace(/\n$/, ""),
        origin,
        depth + 1,
      );
      result += text.slice(done, found.start) + content;
      done = found.end;
      if (result.length > this.#limits.valueLength)
        throw new ConfigError(
          "too-large",
          `a value grows over ${this.#limits.valueLength} characters`,
          origin,
        );
    }
    return done === 0 ? text : result + text.slice(done);
  }
}

function codeOf(error: unknown): "unreadable" | "timeout" | "http-status" {
  switch (error instanceof Error ? error.name : "") {
    case "SourceTimeout":
      return "timeout";
    case "HttpStatusError":
      return "http-status";
    default:
      return "unreadable";
  }
}

/** What an errno means, in words. */
function reasonOf(error: unknown): string {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  switch (code) {
    case "ENOENT":
      return "it does not exist";
    case "EACCES":
    case "EPERM":
      return "permission denied";
    case "EISDIR":
      return "it is a directory";
    case "EBADF":
      return "this descriptor is not open";
    default:
      return error instanceof Error ? error.message : String(error);
  }
}

/** The usual cause of a file that does not exist: options executed while reading see no placeholders. */
function hintFor(name: string): string {
  return /[$%@]\(/.test(name)
    ? "; placeholders are not replaced in options that are executed while reading, magic variables such as %d are"
    : "";
}
