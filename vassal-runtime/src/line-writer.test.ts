import {
  closeSync,
  constants,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
} from "node:fs";
import { execFileSync } from "node:child_process";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { LineWriter } from "./line-writer.ts";

const folder = mkdtempSync(join(tmpdir(), "line-writer-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

it("writes everything to a file, in order, at the end as well", async () => {
  const path = join(folder, "file");
  const fd = openSync(path, "a");
  const writer = new LineWriter(() => fd);
  for (let line = 0; line < 1000; line++) writer.write(`${line}\n`);
  await writer.flushed();
  writer.write("end\n");
  writer.flushNow();
  closeSync(fd);
  const lines = readFileSync(path, "utf8").split("\n");
  expect(lines).toEqual([...Array.from({ length: 1000 }, (_, line) => String(line)), "end", ""]);
});

it("never waits for a pipe that nobody reads, and says how many lines that cost", () => {
  const path = join(folder, "pipe");
  execFileSync("mkfifo", [path]);
  const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const fd = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK);
  const writer = new LineWriter(() => fd);
  const line = `${"x".repeat(99)}\n`;
  const buffer = Buffer.alloc(65_536);
  const read = (): string => {
    try {
      return buffer.toString("latin1", 0, readSync(reader, buffer));
    } catch {
      return ""; // empty
    }
  };
  for (let count = 0; count < 20_000; count++) writer.write(line);
  let text = "";
  for (let empty = 0; empty < 3;) {
    writer.flushNow();
    const part = read();
    empty = part === "" ? empty + 1 : 0;
    text += part;
  }
  closeSync(fd);
  closeSync(reader);
  const lines = text.split("\n");
  const whole = lines.filter((item) => item === line.slice(0, -1)).length;
  const lost = Number(/(\d+) log line\(s\) lost/.exec(text)?.[1]);
  expect(whole + lost).toBe(20_000);
  expect(lost).toBeGreaterThan(1000);
  // Whole lines only: nothing but them, the news of the loss, and the end.
  expect(lines).toHaveLength(whole + 2);
});
