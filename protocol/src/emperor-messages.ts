/**
 * The bytes of the emperor channel (the socketpair in `UWSGI_EMPEROR_FD`), one table per direction.
 * This is the only file in which they are numbers. It knows names and values, nothing about when a
 * message is sent or what follows from it.
 */

/** Messages of the Emperor to a vassal. Every message is one byte, without framing or answer. */
export const EMPEROR_MESSAGES = {
  /** Stop at once. */
  stop: 0,
  /** Reload the whole instance gracefully. */
  reload: 1,
  /** As `stop`, but requests that run may finish. */
  "graceful-stop": 2,
} as const;

/** Messages of a vassal to its Emperor. They may arrive in any order and glued together. */
export const VASSAL_MESSAGES = {
  /** The master is ready; sent at the first start only, not after a reload. */
  spawned: 1,
  /** About to re-execute itself: the config is wanted once more through the config pipe. */
  "config-wanted": 2,
  /** The first worker accepts requests; sent at every start of that worker. */
  accepting: 5,
  /** The first request of a process is done: the vassal is healthy. */
  loyal: 17,
  /** No longer needed (idle): stop it, or go back to on-demand. */
  done: 22,
  /** I am alive; the first one arms the watchdog. */
  heartbeat: 26,
  /** Help wanted: zergs, if the broodlord allows them. */
  reinforcements: 30,
} as const;

export type EmperorMessageName = keyof typeof EMPEROR_MESSAGES;
export type VassalMessageName = keyof typeof VASSAL_MESSAGES;

function namesByByte<Name extends string>(
  table: Readonly<Record<Name, number>>,
): readonly (Name | undefined)[] {
  const names = Array.from({ length: 256 }, (): Name | undefined => undefined);
  for (const name of Object.keys(table) as Name[]) names[table[name]] = name;
  return names;
}

const EMPEROR_NAMES = namesByByte<EmperorMessageName>(EMPEROR_MESSAGES);
const VASSAL_NAMES = namesByByte<VassalMessageName>(VASSAL_MESSAGES);

/** The byte (0..255) that tells a vassal `name`. */
export function encodeEmperorMessage(name: EmperorMessageName): number {
  return EMPEROR_MESSAGES[name];
}

/** The name of a byte that an Emperor sent; undefined for one without a meaning: count it, ignore it. */
export function decodeEmperorMessage(byte: number): EmperorMessageName | undefined {
  return EMPEROR_NAMES[byte];
}

/** The byte (0..255) that tells the Emperor `name`. */
export function encodeVassalMessage(name: VassalMessageName): number {
  return VASSAL_MESSAGES[name];
}

/** The name of a byte that a vassal sent; undefined for one without a meaning: count it, ignore it. */
export function decodeVassalMessage(byte: number): VassalMessageName | undefined {
  return VASSAL_NAMES[byte];
}
