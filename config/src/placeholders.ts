/**
 * The pass that replaces `%(...)` over the whole list. Every pair is resolved once, its placeholders
 * before it, so the order of definitions does not matter and a circle is found instead of followed.
 */
import { ConfigError } from "./errors.ts";
import { evaluate } from "./expression.ts";
import type { ConfigLimits } from "./load-types.ts";
import { formatOrigin } from "./origin.ts";
import type { ConfigEntry } from "./origin.ts";
import { substitute } from "./substitution.ts";

/** Longest chain of placeholders in placeholders. */
const MAX_CHAIN = 500;

interface Slot {
  readonly entry: ConfigEntry;
  /** Value before the pass; replaced by the result. */
  value: string | undefined;
  state: "raw" | "working" | "done";
  readonly substitutable: boolean;
}

export interface PlaceholderResult {
  /** Values in the order of the entries. */
  readonly values: readonly (string | undefined)[];
  /** Keys that were looked for, whether found or not. */
  readonly used: ReadonlySet<string>;
  /** Entries in whose value a placeholder stayed as written, and its name. */
  readonly unresolved: readonly { readonly entry: ConfigEntry; readonly name: string }[];
}

/**
 * @param substitutable false for pairs that were executed while reading: they keep their text, but
 *   can be looked up
 * @param limits of one value, and of all that is put in together
 * Throws ConfigError `placeholder-cycle` or `too-large` with the place of the pair.
 */
export function resolvePlaceholders(
  entries: readonly ConfigEntry[],
  substitutable: (entry: ConfigEntry) => boolean,
  limits: Pick<ConfigLimits, "valueLength" | "totalBytes">,
): PlaceholderResult {
  const slots = entries.map((entry): Slot => {
    const open = entry.value?.includes("%(") === true && substitutable(entry);
    return { entry, value: entry.value, state: open ? "raw" : "done", substitutable: open };
  });
  const first = new Map<string, Slot>();
  for (const slot of slots)
    if (slot.value !== undefined && !first.has(slot.entry.key)) first.set(slot.entry.key, slot);
  const used = new Set<string>();
  const unresolved: { readonly entry: ConfigEntry; readonly name: string }[] = [];
  const chain: Slot[] = [];
  let total = 0;

  function resolve(slot: Slot): string | undefined {
    if (slot.state === "done") return slot.value;
    const { entry } = slot;
    if (chain.length > MAX_CHAIN) {
      throw new ConfigError(
        "too-deep",
        `placeholders refer to each other over more than ${MAX_CHAIN} steps`,
        entry.origin,
      );
    }
    if (slot.state === "working") {
      const circle = chain.slice(Math.max(0, chain.indexOf(slot))).map((each) => each.entry);
      const shown = circle
        .slice(0, 8)
        .map((each) => `${JSON.stringify(each.key)} (${formatOrigin(each.origin)})`);
      throw new ConfigError(
        "placeholder-cycle",
        `the value of ${JSON.stringify(entry.key)} needs itself: ${shown.join(" needs ")}`,
        entry.origin,
      );
    }
    slot.state = "working";
    chain.push(slot);
    let length = 0;
    const value = substitute(slot.value ?? "", "%", (inside) => {
      const result = evaluate(inside, (key) => {
        used.add(key);
        const target = first.get(key);
        return target === undefined ? undefined : resolve(target);
      });
      if (result === undefined) unresolved.push({ entry, name: inside });
      length += result?.length ?? 0;
      total += result?.length ?? 0;
      if (length > limits.valueLength || total > limits.totalBytes)
        throw new ConfigError(
          "too-large",
          `the value of ${JSON.stringify(entry.key)} grows beyond bounds`,
          entry.origin,
        );
      return result;
    });
    chain.pop();
    slot.value = value;
    slot.state = "done";
    return value;
  }

  return { values: slots.map((slot) => resolve(slot)), used, unresolved };
}
