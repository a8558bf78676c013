/**
 * glob(3) for `for-glob`: `*`, `?`, `[...]` and `\` within one path component, sorted by bytes, a
 * slash behind directories, no hidden names unless asked for, no braces, no `**`.
 */
import type { ConfigHost } from "./host.ts";

function hasMagic(part: string): boolean {
  return /[*?[\\]/.test(part);
}

/** One component of a pattern as a regular expression; `undefined` if it is malformed. */
function compile(part: string): RegExp | undefined {
  let source = "";
  for (let index = 0; index < part.length; index += 1) {
    const character = part.charAt(index);
    if (character === "*") source += source.endsWith(".*") ? "" : ".*";
    else if (character === "?") source += ".";
    else if (character === "[") {
      const end = part.indexOf(
        "]",
        part[index + 1] === "!" || part[index + 1] === "^" ? index + 3 : index + 2,
      );
      if (end < 0) source += String.raw`\[`;
      else {
        const body = part.slice(index + 1, end);
        const negated = body.startsWith("!") || body.startsWith("^");
        source += `[${negated ? "^" : ""}${(negated ? body.slice(1) : body).replaceAll(/[\\\]^[]/g, String.raw`\$&`)}]`;
        index = end;
      }
    } else {
      const literal = character === "\\" ? part.charAt((index += 1)) : character;
      source += literal.replaceAll(/[\\^$.*+?()[\]{}|/]/g, String.raw`\$&`);
    }
  }
  try {
    return new RegExp(`^${source}$`, "su");
  } catch {
    return undefined;
  }
}

/** Paths that match, at most `limit + 1`; none: an empty list. Relative patterns give relative paths. */
export function glob(pattern: string, host: ConfigHost, limit: number): readonly string[] {
  const absolute = pattern.startsWith("/");
  let paths: string[] = [absolute ? "/" : ""];
  for (const part of pattern.split("/").filter((each) => each !== "")) {
    const next: string[] = [];
    const expression = hasMagic(part) ? compile(part) : undefined;
    for (const path of paths) {
      const prefix = path === "" || path.endsWith("/") ? path : `${path}/`;
      if (!hasMagic(part)) {
        if (host.kindOf(prefix + part) !== undefined) next.push(prefix + part);
      } else if (expression !== undefined) {
        for (const name of host.list(prefix === "" ? "." : prefix)) {
          if (name.startsWith(".") && !part.startsWith(".")) continue;
          if (expression.test(name)) next.push(prefix + name);
          if (next.length > limit) return next;
        }
      }
    }
    paths = next;
  }
  const found = paths
    .filter((path) => path !== "")
    .map((path) => (host.kindOf(path) === "directory" && !path.endsWith("/") ? `${path}/` : path));
  return found.toSorted((left, right) => Buffer.compare(Buffer.from(left), Buffer.from(right)));
}
