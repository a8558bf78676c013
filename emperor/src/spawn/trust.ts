/**
 * Whether a config file may say, by its owner, as whom a vassal runs. Owns the rules of files, links
 * and directories on the way to them; reads nothing of the content, and must not know who asks.
 *
 * A vassal opens its config itself, by name and as its own user, as uWSGI's do: so it can read nothing
 * that its user could not. What is left to prevent is that somebody else decides what it reads, between
 * the look at the owner and that open or later at a reload. Nobody can, when every directory, link and
 * file on the way belongs to root or to that very user and is written by nobody else. That holds for
 * all time, where a comparison at one instant would hold for that instant.
 */
import { lstatSync, readlinkSync, type Stats } from "node:fs";
import { basename, dirname, join } from "node:path";

export interface TrustRules {
  /** The owner is that of a symbolic link itself, not of what it points to. */
  readonly ownerOfLink: boolean;
  /** Permission bits that let group or others write are accepted. */
  readonly allowWritable: boolean;
  /** The Emperor's own user, who is trusted as root is. */
  readonly ownUid: number;
}

export type Trust =
  | {
      readonly ok: true;
      readonly uid: number;
      readonly gid: number;
      /** Directories further up that others may write: the administrator should know. */
      readonly looseDirectories: readonly string[];
    }
  | Refusal;

export interface Refusal {
  readonly ok: false;
  /** Whole sentence without full stop; paths as they are, for the caller to quote. */
  readonly why: string;
  /** What mends it, as an order. */
  readonly mend: string;
}

/** The kernel gives up after 40 links, too. */
const MAX_LINKS = 40;
const OTHERS_WRITE = 0o022;
const STICKY = 0o1000;

interface Place {
  readonly path: string;
  readonly stats: Stats;
}

interface Way {
  /** Directories that are passed, each once, without the one that holds the last entry. */
  readonly above: readonly Place[];
  /** Directories that hold the file, or a link that is the last part of the path. */
  readonly holding: readonly Place[];
  readonly links: readonly Place[];
  /** What the path names itself: the file, or a link. */
  readonly entry: Place;
  readonly file: Place;
}

const isPart = (part: string): boolean => part !== "" && part !== ".";

/** What was passed on the way to `at`. */
interface Passage {
  readonly at: Place;
  readonly passed: ReadonlyMap<string, Place>;
  readonly links: readonly Place[];
}

/**
 * The directories that were followed already: many configs lie in one. To be kept for one turn of the
 * event loop at most, in which a thousand vassals may start.
 */
export type KnownWays = Map<string, Passage>;

/**
 * Follows the absolute `path` as the kernel does and notes everything on the way. Throws errno errors.
 */
function follow(path: string, known: KnownWays): Way {
  const directory = dirname(path);
  let way = known.get(directory);
  if (way === undefined) known.set(directory, (way = walk(directory)));
  const entry = look(join(way.at.path, basename(path)));
  const holding = new Map([[way.at.path, way.at]]);
  const above = new Map(way.passed);
  const links = [...way.links];
  let file = entry;
  while (file.stats.isSymbolicLink()) {
    links.push(file);
    if (links.length > MAX_LINKS) throw tooManyLinks();
    const target = resolveFrom(dirname(file.path), readlinkSync(file.path));
    const further = walk(dirname(target));
    for (const [name, place] of further.passed) above.set(name, place);
    links.push(...further.links);
    holding.set(further.at.path, further.at);
    file = look(join(further.at.path, basename(target)));
  }
  for (const name of holding.keys()) above.delete(name);
  return { above: [...above.values()], holding: [...holding.values()], links, entry, file };
}

/** Not `path.resolve`, which takes `a/..` for nothing also where `a` is a link. */
function resolveFrom(directory: string, target: string): string {
  return target.startsWith("/") ? target : `${directory}/${target}`;
}

function tooManyLinks(): Error {
  return Object.assign(new Error("ELOOP"), { code: "ELOOP" });
}

function walk(path: string): Passage {
  const passed = new Map<string, Place>();
  const links: Place[] = [];
  let rest = path.split("/").filter(isPart);
  let at = look("/");
  for (let part = rest.shift(); part !== undefined; part = rest.shift()) {
    if (part === "..") {
      at = look(dirname(at.path));
      continue;
    }
    passed.set(at.path, at);
    const next = look(join(at.path, part));
    if (!next.stats.isSymbolicLink()) {
      at = next;
      continue;
    }
    links.push(next);
    if (links.length > MAX_LINKS) throw tooManyLinks();
    const target = readlinkSync(next.path);
    rest = [...target.split("/").filter(isPart), ...rest];
    if (target.startsWith("/")) at = look("/");
  }
  return { at, passed, links };
}

function look(path: string): Place {
  return { path, stats: lstatSync(path) };
}

/**
 * The owner that the config at `path` (absolute) speaks for, or why it speaks for nobody. `quote` makes
 * a path fit for a message. Throws errno errors (ENOENT when it is gone).
 */
export function inspectConfig(
  path: string,
  rules: TrustRules,
  quote: (path: string) => string,
  known: KnownWays = new Map(),
): Trust {
  const way = follow(path, known);
  const { entry, file } = way;
  if (!file.stats.isFile())
    return refuse(`${quote(file.path)} is not a regular file`, "put a file in its place");
  const owner = entry.stats.isSymbolicLink() && rules.ownerOfLink ? entry.stats : file.stats;
  const trusted = new Set([0, rules.ownUid, owner.uid]);
  const foreign = [...way.links, file].find(({ stats }) => !trusted.has(stats.uid));
  if (foreign !== undefined) {
    const what = foreign.stats.isSymbolicLink() ? "symbolic link" : "file";
    return refuse(
      `on the way to it the ${what} ${quote(foreign.path)} belongs to user ${foreign.stats.uid}, not to root or to user ${owner.uid}`,
      `replace it by a ${what} of user ${owner.uid}, or chown it`,
    );
  }
  return (
    checkFile(file, owner.uid, rules, quote) ??
    checkDirectories(way, owner.uid, trusted, rules, quote) ?? {
      ok: true,
      uid: owner.uid,
      gid: owner.gid,
      looseDirectories: way.above
        .filter(({ stats }) => (stats.mode & OTHERS_WRITE) !== 0 && (stats.mode & STICKY) === 0)
        .map((place) => place.path),
    }
  );
}

function checkFile(
  { path, stats }: Place,
  owner: number,
  rules: TrustRules,
  quote: (path: string) => string,
): Refusal | undefined {
  if (!rules.allowWritable && (stats.mode & OTHERS_WRITE) !== 0) {
    return refuse(
      `${quote(path)} has mode ${octal(stats)}, so others than its owner may write it`,
      `chmod go-w ${quote(path)}`,
    );
  }
  // Whoever may create a link chooses a file, and so its owner: it must be the only name.
  if (stats.nlink > 1 && stats.uid === owner) {
    return refuse(
      `${quote(path)} has ${stats.nlink} names (hard links), so it is not known who put it here`,
      `replace it by a copy that belongs to user ${owner}`,
    );
  }
  return undefined;
}

function checkDirectories(
  way: Way,
  owner: number,
  trusted: ReadonlySet<number>,
  rules: TrustRules,
  quote: (path: string) => string,
): Refusal | undefined {
  for (const { path, stats } of [...way.holding, ...way.above]) {
    if (trusted.has(stats.uid)) continue;
    return refuse(
      `its directory ${quote(path)} belongs to user ${stats.uid}, who could put anything in its place; the config belongs to user ${owner}`,
      `keep configs of user ${owner} in directories of root or of that user`,
    );
  }
  if (rules.allowWritable) return undefined;
  const loose = way.holding.find(({ stats }) => (stats.mode & OTHERS_WRITE) !== 0);
  if (loose === undefined) return undefined;
  return refuse(
    `its directory ${quote(loose.path)} has mode ${octal(loose.stats)}, so others than its owner may put files there`,
    `chmod go-w ${quote(loose.path)}`,
  );
}

function refuse(why: string, mend: string): Refusal {
  return { ok: false, why, mend };
}

function octal(stats: Stats): string {
  return (stats.mode & 0o7777).toString(8).padStart(4, "0");
}
