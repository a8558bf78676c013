import { readdirSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { CourtScript } from "./court-script.ts";
import { replay } from "./transcript.ts";

const FOLDER = new URL(".", import.meta.url).pathname;

describe("transcripts (UPDATE_SCRIPTS=1 writes them anew)", () => {
  const files = readdirSync(FOLDER).filter((name) => name.endsWith(".txt"));

  test("there are some", () => {
    expect(files.length).toBeGreaterThanOrEqual(12);
  });

  test.each(files)("%s", (name) => {
    const script = new CourtScript();
    const { written, played } = replay(`${FOLDER}${name}`, (command) => script.execute(command));
    expect(played).toBe(written);
  });
});
