/**
 * Which names make a vassal, and how a name is shown to people. Pure; knows nothing of files.
 */

/** Suffixes that uWSGI takes for a vassal's config, case-sensitive. */
export const CONFIG_SUFFIXES: readonly string[] = [".xml", ".ini", ".yml", ".yaml", ".js", ".json"];

/** Longest name in bytes; uWSGI keeps names in 255 bytes with a closing NUL. */
export const MAX_NAME_BYTES = 254;

/**
 * All valid suffixes. An extra extension counts literally, as in uWSGI: `.conf` is a suffix with its
 * dot, `conf` matches `appconf` as well. Empty ones would make every file a vassal and are dropped.
 */
export function validSuffixes(extraExtensions: readonly string[]): readonly string[] {
  const extra = extraExtensions.filter((extension) => extension !== "");
  return extra.length === 0 ? CONFIG_SUFFIXES : [...new Set([...CONFIG_SUFFIXES, ...extra])];
}

/** `.ini` alone is a name, too: uWSGI counts it, so does this. */
export function hasValidSuffix(name: string, suffixes: readonly string[]): boolean {
  for (const suffix of suffixes) if (name.endsWith(suffix)) return true;
  return false;
}

export function isHidden(name: string): boolean {
  return name.startsWith(".", name.lastIndexOf("/") + 1);
}

// C0, DEL, C1 and the two Unicode line ends: each can break a log line or a terminal.
// oxlint-disable-next-line no-control-regex -- control characters are what it looks for
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/;

/** The name in double quotes, everything unprintable escaped: names are written by tenants. */
export function quoteName(name: string): string {
  return JSON.stringify(name).replace(
    /[\u007f-\u009f\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/**
 * Why a name with a valid suffix cannot be a vassal's, as the rest of a sentence, or undefined if it
 * can. uWSGI skips long names silently and takes control characters, which then forge log lines.
 * A `:` is an ordinary character: only the broodlord makes zergs.
 */
export function objectionToName(name: string): string | undefined {
  // No UTF-16 unit takes more than three bytes, so short names need not be measured.
  if (name.length * 3 > MAX_NAME_BYTES) {
    const bytes = Buffer.byteLength(name);
    if (bytes > MAX_NAME_BYTES) return `its name has ${bytes} bytes, ${MAX_NAME_BYTES} are allowed`;
  }
  if (CONTROL.test(name)) return "its name has control characters, which could forge log lines";
  return undefined;
}
