/** The address of a host, for `resolve`. Loaded with the language, asks nobody until it is used. */
import type { ConfigLimits } from "./load-types.ts";

/** The system's answer, IPv4 first, as uWSGI knows nothing else. */
export async function resolveName(
  name: string,
  { sourceTimeoutMs }: ConfigLimits,
): Promise<string> {
  const { lookup } = await import("node:dns/promises");
  const { within } = await import("./deadline.ts");
  const found = await within(sourceTimeoutMs, lookup(name, { all: true }));
  const address = (found.find(({ family }) => family === 4) ?? found[0])?.address;
  if (address === undefined) throw new Error("it has no address");
  return address;
}
