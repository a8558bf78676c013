/**
 * Ranges of ids for vassals with a user namespace: which there are, and which vassal has which. A vassal
 * keeps its range as long as possible, also over a restart of the Emperor, because files in it belong to
 * these ids; two that live at one time never share one.
 */

export interface UserRange {
  readonly uidBase: number;
  readonly gidBase: number;
  readonly size: number;
}

/** Where the ranges come from. */
export interface RangeSource {
  readonly uidBase: number;
  readonly gidBase: number;
  /** How many vassals have room. */
  readonly count: number;
  readonly size: number;
}

const LAST_ID = 0xffff_fffe;

/** The first line for `user` or `uid` of /etc/subuid or /etc/subgid that has room for a vassal. */
function lineOf(
  text: string,
  user: string,
  uid: number,
  size: number,
): { readonly base: number; readonly count: number } | undefined {
  for (const line of text.split("\n")) {
    const [name = "", start = "", length = ""] = line.split(":");
    if ((name !== user && name !== String(uid)) || !/^\d+$/.test(start) || !/^\d+$/.test(length))
      continue;
    const count = Math.floor(Number(length) / size);
    if (count >= 1 && Number(start) > 0) return { base: Number(start), count };
  }
  return undefined;
}

/** `emperor-userns-base`: everything from there on. */
export function rangesFrom(base: number, size: number): RangeSource | undefined {
  const count = Math.floor((LAST_ID + 1 - base) / size);
  return count < 1 ? undefined : { uidBase: base, gidBase: base, count, size };
}

/** What /etc/subuid and /etc/subgid give to the Emperor's own user. */
export function rangesOfUser(
  files: { readonly subuid: string; readonly subgid: string },
  user: { readonly name: string; readonly uid: number },
  size: number,
): RangeSource | undefined {
  const uids = lineOf(files.subuid, user.name, user.uid, size);
  const gids = lineOf(files.subgid, user.name, user.uid, size);
  if (uids === undefined || gids === undefined) return undefined;
  const count = Math.min(uids.count, gids.count);
  return { uidBase: uids.base, gidBase: gids.base, count, size };
}

/** FNV-1a: where the search for a vassal's range begins, the same after each start of the Emperor. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let at = 0; at < text.length; at += 1)
    value = Math.imul(value ^ text.charCodeAt(at), 0x01000193) >>> 0;
  return value;
}

export class UserRanges {
  readonly #source: RangeSource;
  readonly #living: () => ReadonlySet<string>;
  readonly #slots = new Map<string, number>();
  readonly #taken = new Set<number>();

  /** `living`: keys of those that have a process; asked only when all ranges are taken. */
  constructor(source: RangeSource, living: () => ReadonlySet<string>) {
    this.#source = source;
    this.#living = living;
  }

  /** The vassal's range; undefined when as many vassals live as there are ranges. */
  of(key: string): UserRange | undefined {
    const { count, size, uidBase, gidBase } = this.#source;
    const slot = this.#slots.get(key) ?? this.#take(key, count);
    if (slot === undefined) return undefined;
    return { uidBase: uidBase + slot * size, gidBase: gidBase + slot * size, size };
  }

  #take(key: string, count: number): number | undefined {
    if (this.#taken.size >= count) this.#forgetTheDead();
    if (this.#taken.size >= count) return undefined;
    let slot = hash(key) % count;
    while (this.#taken.has(slot)) slot = (slot + 1) % count;
    this.#taken.add(slot);
    this.#slots.set(key, slot);
    return slot;
  }

  #forgetTheDead(): void {
    const living = this.#living();
    for (const [key, slot] of this.#slots) {
      if (living.has(key)) continue;
      this.#slots.delete(key);
      this.#taken.delete(slot);
    }
  }
}

/**
 * One line of a uid_map or gid_map per piece: `inside outside count`. With `own` that id is the same
 * inside and outside (the vassal's user in Tyrant mode, whose files it is to read); the rest is the range.
 */
export function mapText(base: number, size: number, own: number | undefined): string {
  if (own === undefined || own === 0) return `0 ${base} ${size}\n`;
  if (own >= size) return `0 ${base} ${size}\n${own} ${own} 1\n`;
  const after = size - own - 1;
  const rest = after === 0 ? "" : `${own + 1} ${base + own + 1} ${after}\n`;
  return `0 ${base} ${own}\n${own} ${own} 1\n${rest}`;
}
