/**
 * What the language changes in the environment: `ienv` and `early-envdir`, and the reader of a
 * directory, which a program's `envdir` needs as well. Who applies the changes, and to which
 * process, is the program's matter.
 */
import { ConfigError } from "./errors.ts";
import type { ConfigHost } from "./host.ts";
import type { ConfigOrigin } from "./origin.ts";

/** `value` undefined removes the variable. */
export interface EnvironmentChange {
  readonly name: string;
  readonly value: string | undefined;
}

/** `NAME=VALUE` of `ienv`; the value may be empty and hold `=`. */
export function parseAssignment(text: string, origin: ConfigOrigin): EnvironmentChange {
  const equals = text.indexOf("=");
  if (equals <= 0 || text.includes("\0"))
    throw new ConfigError(
      "bad-directive",
      `ienv needs NAME=VALUE, not ${JSON.stringify(text)}`,
      origin,
    );
  return { name: text.slice(0, equals), value: text.slice(equals + 1) };
}

/**
 * One change per regular file of the directory, by name: the content up to a NUL, without white space
 * at its end, but (as in uWSGI, unlike daemontools) with all its lines; an empty file removes the
 * variable. Names that begin with a dot do not count. Throws ConfigError.
 */
export function readEnvironmentDirectory(
  directory: string,
  host: ConfigHost,
  limits: { readonly fileBytes: number; readonly entries: number },
  origin: ConfigOrigin,
): readonly EnvironmentChange[] {
  const shown = JSON.stringify(directory);
  const fail = (code: "unreadable" | "too-large" | "bad-directive", why: string): never => {
    throw new ConfigError(code, `cannot read the environment directory ${shown}: ${why}`, origin);
  };
  const kind = host.kindOf(directory);
  if (kind === undefined) fail("unreadable", "it does not exist");
  if (kind !== "directory") fail("unreadable", "it is no directory");
  if (!host.isReadable(directory)) fail("unreadable", "permission denied");
  const changes: EnvironmentChange[] = [];
  for (const name of host.list(directory).toSorted()) {
    const path = `${directory.replace(/\/+$/, "")}/${name}`;
    if (name.startsWith(".") || host.kindOf(path) !== "file") continue;
    if (name.includes("=")) fail("bad-directive", `${JSON.stringify(name)} is no variable's name`);
    if (changes.length >= limits.entries) fail("too-large", `more than ${limits.entries} files`);
    changes.push({ name, value: valueOf(path, host, limits.fileBytes, fail) });
  }
  return changes;
}

function valueOf(
  path: string,
  host: ConfigHost,
  maxBytes: number,
  fail: (code: "unreadable" | "too-large", why: string) => never,
): string | undefined {
  try {
    const bytes = host.readFile(path, maxBytes);
    if (bytes.length === 0) return undefined;
    return (Buffer.from(bytes).toString("utf8").split("\0", 1)[0] ?? "").trimEnd();
  } catch (error) {
    const shown = JSON.stringify(path);
    if (error instanceof RangeError)
      return fail("too-large", `${shown} has over ${maxBytes} bytes`);
    return fail(
      "unreadable",
      `${shown}: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
}
