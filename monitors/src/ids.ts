/** User and group ids as remote sources write them. Pure. */

/** Largest id: 2^32-1 is "no change" to the kernel. */
const MAX_ID = 4_294_967_294;

/** A whole number that can be an id, else undefined: in tyrant mode the vassal is refused then. */
export function readId(value: unknown): number | undefined {
  const text = typeof value === "string" ? value.trim() : value;
  if (typeof text === "string" && !/^\d{1,10}$/.test(text)) return undefined;
  const id = typeof text === "string" ? Number(text) : text;
  return typeof id === "number" && Number.isInteger(id) && id >= 0 && id <= MAX_ID ? id : undefined;
}
