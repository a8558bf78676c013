/** A machine in memory for the tests of this package: files by absolute path, relative ones below /etc. */
import { posix } from "node:path";
import type { ConfigHost, MachineFacts, PathKind } from "../host.ts";
import { loadConfiguration } from "../load.ts";
import type { ConfigResult, LoadRequest } from "../load-types.ts";
import { createOptionTable } from "../options.ts";
import type { OptionDefinition } from "../options.ts";

export const CWD = "/etc/vassals";

function errno(code: string): Error {
  return Object.assign(new Error(code), { code });
}

export function fakeHost(
  files: Readonly<Record<string, string | Uint8Array>>,
  stdin = "",
): ConfigHost {
  const absolute = (path: string): string => posix.resolve(CWD, path);
  const contents = new Map(Object.entries(files).map(([path, text]) => [absolute(path), text]));
  const below = (directory: string): string[] => {
    const prefix = directory === "/" ? "/" : `${directory}/`;
    return [...contents.keys()].flatMap((path) =>
      path.startsWith(prefix) ? [path.slice(prefix.length).split("/")[0] ?? ""] : [],
    );
  };
  const kindOf = (path: string): PathKind | undefined => {
    if (contents.has(absolute(path))) return "file";
    return below(absolute(path)).length > 0 ? "directory" : undefined;
  };
  const limited = (content: string | Uint8Array, maxBytes: number): Uint8Array => {
    const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
    if (bytes.length > maxBytes) throw new RangeError("too long");
    return bytes;
  };
  return {
    readFile(path, maxBytes) {
      const content = contents.get(absolute(path));
      if (content === undefined) throw errno(kindOf(path) === "directory" ? "EISDIR" : "ENOENT");
      return limited(content, maxBytes);
    },
    readDescriptor(fd, maxBytes) {
      if (fd !== 0 && fd !== 7) throw errno("EBADF");
      return limited(stdin, maxBytes);
    },
    kindOf,
    isReadable: (path) => kindOf(path) !== undefined,
    list: (directory) => [...new Set(below(absolute(directory)))],
    realPath: absolute,
    inode: (path) => (contents.has(absolute(path)) ? 4711 : undefined),
  };
}

export const FACTS: MachineFacts = {
  cwd: CWD,
  hostname: "box",
  version: "2.0.21",
  startedAtMs: 1_795_000_000_123.456,
  cores: () => 2,
  uid: () => 33,
  userName: () => "www-data",
  gid: () => 34,
  groupName: () => "web",
  binaryPath: () => "/usr/bin/emperor",
};

function option(name: string, more: Partial<OptionDefinition> = {}): OptionDefinition {
  return {
    name,
    argument: "required",
    kind: "string",
    help: "",
    since: "2.0",
    group: "Test",
    status: "supported",
    ...more,
  };
}

export const OPTIONS = createOptionTable([
  option("processes", { aliases: ["workers"], short: "p", kind: "integer" }),
  option("master", { argument: "none", kind: "flag", short: "M" }),
  option("threads", { kind: "integer" }),
  option("emperor", { kind: "list" }),
  option("emperor-freq", { kind: "integer" }),
  option("emperor-tyrant", { argument: "none", kind: "flag" }),
  option("cache", { argument: "optional", short: "k" }),
  option("env", { kind: "list" }),
  option("log-format", { status: "ignored" }),
]);

export interface LoadInput extends Partial<LoadRequest> {
  readonly files?: Readonly<Record<string, string | Uint8Array>>;
  readonly stdin?: string;
}

/** Loads with the fake machine; by default the file `app.ini`, given with `--ini`. */
export async function load(input: LoadInput): Promise<ConfigResult> {
  const {
    files = {},
    stdin,
    argv = ["--ini", "app.ini"],
    environment = {},
    options = OPTIONS,
    ...rest
  } = input;
  return loadConfiguration({
    argv,
    environment,
    options,
    host: fakeHost(files, stdin),
    facts: FACTS,
    ...rest,
  });
}

/** `key = value` of every pair but those of file options, as `show-config` would list them. */
export function listOf(result: ConfigResult): readonly string[] {
  return result.entries
    .filter(({ key }) => !["ini", "xml", "yaml", "json"].includes(key))
    .map(({ key, value }) => `${key} = ${value ?? "<none>"}`);
}

/** Loads one ini text and lists its pairs; errors come as `code: message`. */
export async function iniList(text: string, input: LoadInput = {}): Promise<readonly string[]> {
  const result = await load({ ...input, files: { "app.ini": text, ...input.files } });
  return result.errors.length > 0
    ? result.errors.map(({ code, message }) => `${code}: ${message}`)
    : listOf(result);
}
