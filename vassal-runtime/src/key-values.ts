/** The `key=value,key=value` texts of uWSGI's options. Pure. */

export type KeyValues =
  | { readonly ok: true; readonly values: ReadonlyMap<string, string> }
  | { readonly ok: false; readonly reason: string };

/** A backslash takes the next character as it is, `"..."` keeps commas; a key alone has the value `1`. */
export function parseKeyValues(text: string): KeyValues {
  const parts: string[] = [""];
  let quoted = false;
  for (let i = 0; i < text.length; i++) {
    const char = text.charAt(i);
    const last = parts.length - 1;
    if (char === "\\" && i + 1 < text.length) parts[last] += text.charAt((i += 1));
    else if (char === '"') quoted = !quoted;
    else if (char === "," && !quoted) parts.push("");
    else parts[last] += char;
  }
  if (quoted) return { ok: false, reason: 'a " is never closed' };
  const values = new Map<string, string>();
  for (const part of parts) {
    if (part.trim() === "") continue;
    const equals = part.indexOf("=");
    const key = (equals < 0 ? part : part.slice(0, equals)).trim();
    if (key === "") return { ok: false, reason: `${JSON.stringify(part)} has no key` };
    values.set(key, equals < 0 ? "1" : part.slice(equals + 1));
  }
  return { ok: true, values };
}
