/** The words of `mount` and `umount` actions and the kernel's numbers for them. Pure tables. */

/** `MS_*`, by uWSGI's words and by those of mount(8). */
const MOUNT_FLAGS: Readonly<Record<string, number>> = {
  defaults: 0,
  ro: 0x1,
  rdonly: 0x1,
  readonly: 0x1,
  nosuid: 0x2,
  nodev: 0x4,
  noexec: 0x8,
  sync: 0x10,
  remount: 0x20,
  mandlock: 0x40,
  dirsync: 0x80,
  noatime: 0x400,
  nodiratime: 0x800,
  bind: 0x1000,
  move: 0x2000,
  rec: 0x4000,
  recursive: 0x4000,
  unbindable: 0x2_0000,
  private: 0x4_0000,
  slave: 0x8_0000,
  shared: 0x10_0000,
  relatime: 0x20_0000,
  strictatime: 0x100_0000,
};

/**
 * `MNT_*`. uWSGI's `rec` walks the mount table and unmounts everything below first; a lazy unmount
 * takes everything below along in one step, so it stands for both words.
 */
const UMOUNT_FLAGS: Readonly<Record<string, number>> = {
  force: 0x1,
  detach: 0x2,
  rec: 0x2,
  recursive: 0x2,
};

export type Flags =
  | { readonly ok: true; readonly flags: number }
  | { readonly ok: false; readonly unknown: string };

function parseFlags(text: string, table: Readonly<Record<string, number>>): Flags {
  let flags = 0;
  for (const word of text.split(",")) {
    if (word === "") continue;
    if (!Object.hasOwn(table, word)) return { ok: false, unknown: word };
    flags |= table[word] ?? 0;
  }
  return { ok: true, flags };
}

/** `bind,ro` -> number for mount(2). An unknown word is an error, as in uWSGI. */
export function parseMountFlags(text: string): Flags {
  return parseFlags(text, MOUNT_FLAGS);
}

/** `detach` -> number for umount2(2). */
export function parseUmountFlags(text: string): Flags {
  return parseFlags(text, UMOUNT_FLAGS);
}
