/**
 * Reads a monitor's argument: which scheme is meant, and for file monitors the address in its final
 * form. Looks at the file system once, as uWSGI does, where the text alone does not say.
 */
import { isAbsolute, normalize, resolve } from "node:path";
import { nearest } from "@emperor/config";
import { MonitorError } from "./errors.ts";
import type { FileEyes } from "./eyes.ts";
import { GlobTree, below } from "./glob-tree.ts";
import { parsePattern } from "./glob-pattern.ts";
import { hasValidSuffix, quoteName } from "./names.ts";
import { maskAddress } from "./secrets.ts";

export type MonitorAddress =
  | { readonly ok: true; readonly scheme: string; readonly address: string }
  | { readonly ok: false; readonly error: MonitorError };

export interface AddressRules {
  readonly startDirectory: string;
  readonly suffixes: readonly string[];
  readonly schemes: readonly string[];
}

/** Schemes with a default for everything, as in uWSGI. */
const MAY_BE_EMPTY = new Set(["pg", "mongodb"]);

const SCHEME = /^([A-Za-z][A-Za-z0-9+.-]*):\/\//;

/**
 * The monitor that an `emperor` argument means. With `SCHEME://`: that one; an unknown scheme is an
 * error (uWSGI takes it for a pattern that never matches). Without: an existing directory is `dir`,
 * so is a pattern that matches exactly one directory and nothing else, and a path without wildcards
 * that does not exist and does not look like a config: it is waited for. Everything else is `glob`.
 */
export function readAddress(argument: string, rules: AddressRules, eyes: FileEyes): MonitorAddress {
  if (argument.includes("\0")) {
    return fail("invalid-address", argument, "holds a NUL character, which no path can have");
  }
  const match = SCHEME.exec(argument);
  if (match?.[1] === undefined) return readPlainAddress(argument, rules, eyes);
  const scheme = match[1];
  const rest = argument.slice(match[0].length);
  if (!rules.schemes.includes(scheme)) return unknownScheme(argument, scheme, rules.schemes);
  if (rest === "" && !MAY_BE_EMPTY.has(scheme))
    return fail("empty-address", argument, `has nothing after ${scheme}://`);
  return { ok: true, scheme, address: scheme === "dir" ? directoryPath(rest, rules) : rest };
}

function readPlainAddress(argument: string, rules: AddressRules, eyes: FileEyes): MonitorAddress {
  if (argument === "") return fail("empty-address", argument, "is empty");
  const asDirectory: MonitorAddress = {
    ok: true,
    scheme: "dir",
    address: directoryPath(argument, rules),
  };
  const asGlob: MonitorAddress = { ok: true, scheme: "glob", address: argument };
  if (isDirectory(argument, rules, eyes)) return asDirectory;
  const pattern = parsePattern(argument);
  if (pattern.parts.every((part) => part.kind === "literal")) {
    const mayBeConfig = !pattern.wantsDirectory && hasValidSuffix(argument, rules.suffixes);
    return mayBeConfig || isThere(argument, rules, eyes) ? asGlob : asDirectory;
  }
  const only = onlyDirectoryMatched(argument, rules, eyes);
  return only === undefined
    ? asGlob
    : { ok: true, scheme: "dir", address: directoryPath(only, rules) };
}

/** The one directory that a pattern matches, if it matches that and nothing else. */
function onlyDirectoryMatched(
  argument: string,
  rules: AddressRules,
  eyes: FileEyes,
): string | undefined {
  const pattern = parsePattern(argument);
  const last = pattern.parts.at(-1);
  if (last === undefined) return undefined;
  const root = pattern.isAbsolute
    ? { path: "/", spelling: "/" }
    : { path: rules.startDirectory, spelling: "" };
  // One more part makes the tree follow the last one, too.
  const walk = new GlobTree(eyes).walk(root, [...pattern.parts, { kind: "literal", text: "" }], 0);
  const directories = walk.places.filter(({ path }) => isDirectory(path, rules, eyes));
  if (directories.length !== 1 || directories[0] === undefined) return undefined;
  if (pattern.wantsDirectory) return directories[0].path;
  const parents = new GlobTree(eyes).walk(root, pattern.parts, 0).places;
  for (const parent of parents) {
    if (last.kind === "literal") continue;
    const result = tryScan(parent.path, rules, eyes);
    const isFile = result.some(
      (name) => last.matches(name) && below(parent, name).path !== directories[0]?.path,
    );
    if (isFile) return undefined;
  }
  return directories[0].path;
}

function tryScan(directory: string, rules: AddressRules, eyes: FileEyes): readonly string[] {
  try {
    const result = eyes.scan({ directory, suffixes: rules.suffixes, nofollow: false });
    return result.changed ? result.entries.map(({ name }) => name) : [];
  } catch {
    return [];
  }
}

/** Absolute, without `.`, `..`, doubled or trailing slashes. */
function directoryPath(text: string, rules: AddressRules): string {
  return resolve(rules.startDirectory, isAbsolute(text) ? normalize(text) : text);
}

function isDirectory(text: string, rules: AddressRules, eyes: FileEyes): boolean {
  try {
    return eyes.identify(resolve(rules.startDirectory, text))?.isDirectory === true;
  } catch {
    return false;
  }
}

function isThere(text: string, rules: AddressRules, eyes: FileEyes): boolean {
  try {
    return eyes.identify(resolve(rules.startDirectory, text)) !== undefined;
  } catch {
    // It cannot be looked at: a directory monitor says why, and once it can be, goes on.
    return false;
  }
}

function unknownScheme(
  argument: string,
  scheme: string,
  schemes: readonly string[],
): MonitorAddress {
  const guess = nearest(scheme, schemes);
  const advice = guess === undefined ? "" : `, did you mean ${guess}://?`;
  const known = schemes.map((name) => `${name}://`).join(", ");
  return fail(
    "unknown-scheme",
    argument,
    `has the unknown scheme ${scheme}://${advice} (known: ${known})`,
  );
}

function fail(code: MonitorError["code"], argument: string, what: string): MonitorAddress {
  return {
    ok: false,
    error: new MonitorError(
      code,
      argument,
      `monitor address ${quoteName(maskAddress(argument))} ${what}`,
    ),
  };
}
