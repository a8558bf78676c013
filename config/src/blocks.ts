/** Blocks of the language (`if-...`, `for...`): what is open in a source, and how often a line counts. */
import { evaluateCondition } from "./conditions.ts";
import type { ConditionWorld, Turn } from "./conditions.ts";
import type { ConfigOrigin } from "./origin.ts";

/** A block that is open. Its condition is evaluated anew for every line. */
export interface Block {
  readonly key: string;
  readonly argument: string;
  readonly origin: ConfigOrigin;
  inElse: boolean;
  /** Outcome of the last evaluation: what the lines behind `else` go by. */
  lastHeld: boolean | undefined;
}

/** One source while it is read. */
export interface Scope {
  readonly depth: number;
  /** Files (with their section) that are being read, outermost first. */
  readonly reading: readonly string[];
  block: Block | undefined;
}

export function newScope(): Scope {
  return { depth: 0, reading: [], block: undefined };
}

const ONCE: readonly Turn[] = [{ context: undefined }];
const NEVER: readonly Turn[] = [];

/** How often the next line of the block counts, and with which text for `%(_)`. */
export function turnsOfLine(block: Block, world: ConditionWorld): readonly Turn[] {
  if (!block.inElse || block.lastHeld === undefined) {
    const turns = evaluateCondition(block.key, block.argument, world, block.origin);
    block.lastHeld = turns.length > 0;
    if (!block.inElse) return turns;
  }
  return block.lastHeld ? NEVER : ONCE;
}
