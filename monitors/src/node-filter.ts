/** Which Emperors of a fleet a message or an entry is for. Pure. */

/** Whether a `node` filter, a name or a list of names, lets this Emperor take part. None: everybody. */
export function namesNode(filter: unknown, node: string): boolean {
  if (filter === undefined || filter === null || filter === "") return true;
  return Array.isArray(filter) ? filter.includes(node) : filter === node;
}
