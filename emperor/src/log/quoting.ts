/**
 * Makes text that a tenant may have chosen safe to stand in a log line. Knows nothing of levels,
 * formats or destinations.
 */

/** C0, DEL, C1 and the two Unicode line breaks: everything that can start a fake line or steer a terminal. */
const CONTROL = /[\p{Cc}\u2028\u2029]/u;
const CONTROL_ALL = /[\p{Cc}\u2028\u2029]/gu;

const SHORT: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

function escapeOne(character: string): string {
  const short = SHORT[character];
  if (short !== undefined) return short;
  const code = character.charCodeAt(0);
  return code <= 0xff
    ? `\\x${code.toString(16).padStart(2, "0")}`
    : `\\u${code.toString(16).padStart(4, "0")}`;
}

/**
 * A vassal's name, path or other tenant string as it stands in a line. Plain names stay letter by
 * letter, because operators' filters match them; one with control characters becomes a quoted,
 * escaped string (`"a\nb.ini"`), so it can neither forge a line nor be mistaken for a plain name.
 */
export function quoteName(name: string): string {
  if (!CONTROL.test(name)) return name;
  return `"${name.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replace(CONTROL_ALL, escapeOne)}"`;
}

/** The last guard: whatever control characters are left in a finished line are escaped. */
export function singleLine(text: string): string {
  return CONTROL.test(text) ? text.replace(CONTROL_ALL, escapeOne) : text;
}
