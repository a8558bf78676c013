/**
 * From an address to the pairs of its section: fetches the text, puts injected text around it,
 * decodes it, replaces magic variables and lets the format's reader take it apart. Executes nothing.
 */
import { parseAddress } from "./address.ts";
import type { Address } from "./address.ts";
import { ConfigError } from "./errors.ts";
import type { ConfigWarningCode } from "./errors.ts";
import type { MachineFacts } from "./host.ts";
import { InjectedText } from "./injected-text.ts";
import type { TextPart } from "./injected-text.ts";
import type { ConfigLimits } from "./load-types.ts";
import { NO_FILE, substituteMagic } from "./magic-variables.ts";
import type { FileMagic } from "./magic-variables.ts";
import type { ConfigOrigin } from "./origin.ts";
import { DEFAULT_SECTION, formatOfContent, formatOfName, readPairs } from "./reader.ts";
import type { ConfigFormat, RawPair } from "./reader.ts";
import type { SourceReader } from "./sources.ts";

export interface DocumentPair {
  readonly key: string;
  readonly value: string;
  readonly origin: ConfigOrigin;
}

export interface DocumentRequest {
  /** `[ADDRESS][:SECTION]`. */
  readonly address: string;
  /** `by-suffix` refuses a name without a known one, `by-content` looks into the file then. */
  readonly format: ConfigFormat | "by-suffix" | "by-content";
  /** Place that named it. */
  readonly origin: ConfigOrigin;
  /** Documents that are being read, to find a circle. */
  readonly reading: readonly string[];
  /** May be the vassal's own file: it was given by a file option. */
  readonly canBeOwn: boolean;
}

export interface OpenedDocument {
  readonly pairs: readonly DocumentPair[];
  /** What stands for it in `reading`. */
  readonly reading: string;
}

interface Text {
  readonly injected: InjectedText;
  readonly magic: FileMagic;
  readonly identity: string;
  /** Not all of it was UTF-8. */
  readonly lossy: boolean;
}

interface Decoded {
  readonly text: string;
  readonly lossy: boolean;
}

/** What a decoder puts in the place of bytes that mean nothing. */
const LOST = "\ufffd";

export interface DocumentWorld {
  readonly sources: SourceReader;
  readonly facts: MachineFacts;
  readonly limits: ConfigLimits;
  warn(code: ConfigWarningCode, message: string, origin: ConfigOrigin): void;
}

export class Documents {
  /** The vassal's own file, for upper-case magic variables. */
  own: FileMagic = NO_FILE;
  readonly #world: DocumentWorld;
  readonly #before: TextPart[] = [];
  readonly #after: TextPart[] = [];
  #isInjectedLossy = false;
  #lastIni: Text | undefined;

  constructor(world: DocumentWorld) {
    this.#world = world;
  }

  /** Text that every document read later has around it. */
  async inject(where: "before" | "after", text: string, origin: ConfigOrigin): Promise<void> {
    const { bytes, name } = await this.#world.sources.read(fileAddress(text, origin), origin);
    const { text: injected, lossy } = this.#decode(bytes, name, origin);
    this.#isInjectedLossy ||= lossy;
    (where === "before" ? this.#before : this.#after).push({ name, text: injected });
  }

  /** Throws ConfigError for everything that can be wrong with it. */
  async open(request: DocumentRequest): Promise<OpenedDocument> {
    const { address: text, origin } = request;
    const parsed = parseAddress(text);
    if (parsed.kind === "last" && parsed.section !== "") {
      const last = this.#lastIni;
      if (last === undefined)
        throw new ConfigError(
          "bad-directive",
          `${JSON.stringify(text)} is a section of the ini file read before, and none was`,
          origin,
        );
      const magic = { ...last.magic, address: "", section: parsed.section };
      return this.#take({ ...last, magic }, "ini", parsed.section, request);
    }
    const address = fileAddress(text, origin);
    const bySuffix = request.format === "by-suffix" || request.format === "by-content";
    const known = bySuffix ? formatOf(address) : request.format;
    if (known === undefined && request.format === "by-suffix") {
      throw new ConfigError(
        "unknown-format",
        `unable to load configuration from ${JSON.stringify(text)}: its name tells no format (.ini, .xml, .yaml, .yml, .json, .js)`,
        origin,
      );
    }
    const { sources } = this.#world;
    const source = await sources.read(address, origin);
    const magic = sources.magicOf(address);
    if (this.own === NO_FILE && request.canBeOwn) this.own = magic;
    const name = magic.path === "" ? source.name : magic.path;
    const decoded = this.#decode(source.bytes, name, origin);
    const own = { name, text: decoded.text };
    const format = known ?? formatOfContent(own.text);
    const opened: Text = {
      injected: new InjectedText(this.#before, own, this.#after),
      magic,
      identity: source.identity,
      lossy: decoded.lossy || this.#isInjectedLossy,
    };
    if (format === "ini") this.#lastIni = opened;
    return this.#take(opened, format, address.section, request);
  }

  async #take(
    text: Text,
    format: ConfigFormat,
    section: string | undefined,
    request: DocumentRequest,
  ): Promise<OpenedDocument> {
    const { origin } = request;
    const { injected, magic, identity } = text;
    const wanted = section ?? DEFAULT_SECTION;
    const reading = `${identity}\0${wanted}`;
    if (request.reading.includes(reading)) {
      throw new ConfigError(
        "include-cycle",
        `${JSON.stringify(identity)} (section ${JSON.stringify(wanted)}) includes itself`,
        origin,
      );
    }
    const at = (line: number): ConfigOrigin => {
      const place = injected.locate(line);
      const via = origin.kind === "file" ? { via: origin } : {};
      return { kind: "file", source: place.name, line: place.line, section: wanted, ...via };
    };
    const { facts, limits } = this.#world;
    const context = { file: magic, own: this.own, facts };
    const pairs = await readPairs(format, injected.text, {
      section: wanted,
      sectionGiven: section !== undefined,
      maxPairs: limits.entries,
      at,
      warn: (code, line, message) => this.#world.warn(code, message, at(line)),
      expand: (part, line) =>
        substituteMagic(part, context, at(line), (sequence, offset) => {
          this.#world.warn(
            "unknown-magic",
            `${JSON.stringify(sequence)} has no meaning and is removed; write "%%" for a percent sign`,
            at(line + offset),
          );
        }),
    });
    if (text.lossy) checkEncoding(pairs, at);
    return {
      pairs: pairs.map(({ key, value, line }) => ({ key, value, origin: at(line) })),
      reading,
    };
  }

  /** Bytes that are no UTF-8 become U+FFFD; whether that matters is seen when the pairs are there. */
  #decode(bytes: Uint8Array, name: string, origin: ConfigOrigin): Decoded {
    try {
      return { text: new TextDecoder("utf-8", { fatal: true }).decode(bytes), lossy: false };
    } catch {
      const text = new TextDecoder("utf-8").decode(bytes);
      const line = text.slice(0, text.indexOf(LOST)).split("\n").length;
      const via = origin.kind === "file" ? { via: origin } : {};
      const place = { kind: "file", source: name, line, section: "", ...via } as const;
      this.#world.warn("bad-encoding", "this is not valid UTF-8: the bytes are lost", place);
      return { text, lossy: true };
    }
  }
}

/** A comment in another encoding does no harm, a value would silently be another one. */
function checkEncoding(pairs: readonly RawPair[], at: (line: number) => ConfigOrigin): void {
  for (const { key, value, line } of pairs) {
    if (!key.includes(LOST) && !value.includes(LOST)) continue;
    const what = `${JSON.stringify(key)} or its value is not valid UTF-8`;
    throw new ConfigError("bad-encoding", `${what}: save the file in that encoding`, at(line));
  }
}

function formatOf(address: Exclude<Address, { kind: "last" }>): ConfigFormat | undefined {
  return formatOfName(
    address.kind === "file" ? address.path : address.kind === "scheme" ? address.rest : "",
  );
}

function fileAddress(text: string, origin: ConfigOrigin): Exclude<Address, { kind: "last" }> {
  const address = parseAddress(text);
  if (address.kind === "last" || (address.kind === "file" && address.path === "")) {
    throw new ConfigError(
      "bad-directive",
      `a file name is needed, not ${JSON.stringify(text)}`,
      origin,
    );
  }
  return address;
}
