/**
 * Magic variables: `%n`, `%d`... replaced in the raw text of a file while it is read. Lower case is
 * the file being read, upper case the vassal's own file. Knows neither options nor formats.
 */
import { ConfigError } from "./errors.ts";
import type { MachineFacts } from "./host.ts";
import type { ConfigOrigin } from "./origin.ts";

/** What the variables of one file are. */
export interface FileMagic {
  /** `%o`: address as given, without the section. */
  readonly address: string;
  /** `%p`, `""` for what is no file. */
  readonly path: string;
  /** `%x`: section asked for, else `""`. */
  readonly section: string;
  /** `%i`. */
  readonly inode: number | undefined;
}

export const NO_FILE: FileMagic = { address: "", path: "", section: "", inode: undefined };

/**
 * `%j`: djb hash (xor variant) of the path, its four bytes in memory order of a little-endian
 * machine, as eight upper-case hex digits.
 */
export function pathHash(path: string): string {
  let hash = 5381;
  for (const byte of new TextEncoder().encode(path)) hash = (Math.imul(hash, 33) ^ byte) >>> 0;
  const swapped = new DataView(new ArrayBuffer(4));
  swapped.setUint32(0, hash, true);
  return swapped.getUint32(0).toString(16).toUpperCase().padStart(8, "0");
}

/** Everything that follows from a path; letters in lower case. */
function ofFile(letter: string, file: FileMagic): string | undefined {
  const { path } = file;
  const slash = path.lastIndexOf("/");
  const name = path.slice(slash + 1);
  const dot = name.lastIndexOf(".");
  switch (letter) {
    case "o":
      return file.address;
    case "p":
      return path;
    case "s":
      return name;
    case "d":
      return path.slice(0, slash + 1);
    case "e":
      return dot < 0 ? "" : name.slice(dot + 1);
    case "n":
      return dot < 0 ? name : name.slice(0, dot);
    case "c":
      return path.slice(0, Math.max(0, slash)).split("/").at(-1) ?? "";
    case "x":
      return file.section;
    case "i":
      return file.inode === undefined ? "" : String(file.inode);
    case "j":
      return path === "" ? "" : pathHash(path);
    default:
      return undefined;
  }
}

function ofMachine(letter: string, facts: MachineFacts): string | undefined {
  switch (letter) {
    case "v":
      return facts.cwd;
    case "h":
      return facts.hostname;
    case "V":
      return facts.version;
    case "t":
      return String(Math.floor(facts.startedAtMs / 1000));
    case "T":
      return String(Math.floor(facts.startedAtMs * 1000));
    case "k":
      return String(facts.cores());
    case "u":
      return String(facts.uid());
    case "U":
      return facts.userName();
    case "g":
      return String(facts.gid());
    case "G":
      return facts.groupName();
    case "b":
      return facts.binaryPath();
    default:
      return undefined;
  }
}

export interface MagicContext {
  readonly file: FileMagic;
  /** The vassal's own file; known from the start, so templates read before it can use it too. */
  readonly own: FileMagic;
  readonly facts: MachineFacts;
}

/** Value of `%LETTER`, undefined when it has no meaning. */
export function magicValue(letter: string, context: MagicContext): string | undefined {
  if (letter === "%") return "%";
  if (letter === "[") return "\u001b";
  if (letter >= "0" && letter <= "9") {
    return context.file.path.split("/").slice(1, -1)[Number(letter)] ?? "";
  }
  const lower = letter.toLowerCase();
  return (
    ofMachine(letter, context.facts) ?? ofFile(lower, lower === letter ? context.file : context.own)
  );
}

/** What a substituted value must not bring into a file: it could begin another line. */
// eslint-disable-next-line no-control-regex -- these are the characters to be found
const CONTROL = /[\u0000-\u001f\u007f]/;

/**
 * Replaces the variables of a text. `%%` is `%`; `%(` is left for the placeholders; a letter without
 * a meaning is removed together with its `%`, as in uWSGI, but reported. A `%` at the end of a line
 * does not take the newline with it, as it does there.
 * @param origin of the first line of the text
 * @param unknown called with the sequence and the number of lines before it
 */
export function substituteMagic(
  text: string,
  context: MagicContext,
  origin: ConfigOrigin,
  unknown: (sequence: string, lineOffset: number) => void,
): string {
  let percent = text.indexOf("%");
  if (percent < 0) return text;
  let result = "";
  let done = 0;
  let lines = 0;
  let counted = 0;
  for (; percent >= 0; percent = text.indexOf("%", done)) {
    result += text.slice(done, percent);
    const letter = String.fromCodePoint(text.codePointAt(percent + 1) ?? 0x0a);
    done = percent + 1 + letter.length;
    if (letter === "(") {
      result += "%(";
      continue;
    }
    const value = magicValue(letter, context);
    if (value === undefined) {
      if (letter === "\n" || letter === "\r") done = percent + 1;
      for (
        let newline = text.indexOf("\n", counted);
        newline >= 0 && newline < percent;
        newline = text.indexOf("\n", counted)
      ) {
        lines += 1;
        counted = newline + 1;
      }
      unknown(letter.trim() === "" ? "%" : `%${letter}`, lines);
    } else if (letter !== "[" && CONTROL.test(value)) {
      throw new ConfigError(
        "bad-directive",
        `%${letter} is ${JSON.stringify(value)}: control characters cannot be used here`,
        origin,
      );
    } else result += value;
  }
  return result + text.slice(done);
}
