/** Single looks: turns a list of names into what is seen under each. Decides nothing. */
import type { FileEyes } from "./eyes.ts";
import type { Sight } from "./finder.ts";

/**
 * What is at `pathOf(name)`, for each name in order. If the system cannot even look (out of memory),
 * every name is "unreadable": nothing is concluded.
 */
export function lookAtNames(
  eyes: FileEyes,
  names: readonly string[],
  pathOf: (name: string) => string,
  nofollow: boolean,
): readonly Sight[] {
  const seen = new Map<string, Sight>();
  const paths = names.map(pathOf);
  try {
    const result = eyes.stat(paths, nofollow);
    if (result.changed) {
      for (const entry of result.entries) seen.set(entry.name, { kind: "file", facts: entry });
      for (const { name, kind } of result.skipped) seen.set(name, { kind: "skipped", what: kind });
    }
  } catch {
    return names.map(() => ({ kind: "skipped", what: "unreadable" }));
  }
  return names.map((name, index): Sight => {
    const sight = seen.get(paths[index] ?? "");
    if (sight === undefined) return { kind: "missing" };
    return sight.kind === "file" ? { kind: "file", facts: { ...sight.facts, name } } : sight;
  });
}
