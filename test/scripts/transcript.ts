/**
 * Transcripts: a file of blocks, each a few commands, a line `----`, and everything that came of
 * them, up to an empty line. `UPDATE_SCRIPTS=1` writes what comes now; the change is read in review.
 * Text before the first command of a block that starts with `#` is kept as it is.
 */
import { readFileSync, writeFileSync } from "node:fs";

interface Block {
  readonly comments: readonly string[];
  readonly commands: readonly string[];
  readonly expected: readonly string[];
}

const SEPARATOR = "----";

/** Runs every command of the file in order; returns the file as it stands and as it should be. */
export function replay(
  path: string,
  execute: (command: string) => readonly string[],
): { readonly written: string; readonly played: string } {
  const written = readFileSync(path, "utf8");
  const played = blocks(written, path)
    .map((block) => {
      const output = block.commands.flatMap((command) => execute(command));
      return [
        ...block.comments,
        ...block.commands,
        SEPARATOR,
        ...(output.length === 0 ? ["(nothing)"] : output),
        "",
      ].join("\n");
    })
    .join("\n");
  if (process.env["UPDATE_SCRIPTS"] === "1" && played !== written) {
    writeFileSync(path, played);
    return { written: played, played };
  }
  return { written, played };
}

function blocks(text: string, path: string): readonly Block[] {
  const found: Block[] = [];
  let comments: string[] = [];
  let commands: string[] = [];
  let expected: string[] | undefined;
  const close = (): void => {
    if (commands.length > 0) found.push({ comments, commands, expected: expected ?? [] });
    else if (comments.length > 0)
      throw new Error(`${path}: comments without a command: ${comments.join(" ")}`);
    [comments, commands, expected] = [[], [], undefined];
  };
  for (const line of text.split("\n")) {
    if (line === "") close();
    else if (expected !== undefined) expected.push(line);
    else if (line === SEPARATOR) expected = [];
    else if (line.startsWith("#") && commands.length === 0) comments.push(line);
    else commands.push(line);
  }
  close();
  if (found.length === 0) throw new Error(`${path}: no commands`);
  return found;
}
