/** Lines as operators search for them, and the sink that must neither block nor lose them. */
import { execFileSync } from "node:child_process";
import {
  closeSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  writeSync,
  constants,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { classicTime, createClassicClock } from "./clock-text.ts";
import { createLogger, textLogger } from "./create-logger.ts";
import { descriptorSink } from "./descriptor-sink.ts";
import { textFormatter } from "./format.ts";
import { quoteName, singleLine } from "./quoting.ts";
import { RepeatLimiter } from "./repeats.ts";

const AT = new Date(2026, 10, 7, 9, 5, 3).getTime();

let directory: string;
const descriptors: number[] = [];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "log-"));
});

afterEach(() => {
  for (const fd of descriptors.splice(0)) closeSync(fd);
  rmSync(directory, { recursive: true });
});

function openLog(name = "log"): { readonly fd: number; readonly text: () => string } {
  const path = join(directory, name);
  const fd = openSync(path, "a");
  descriptors.push(fd);
  return { fd, text: () => readFileSync(path, "utf8") };
}

/** A pipe with both ends open here, so that nothing waits for anybody. */
function openPipe(): { readonly readFd: number; readonly writeFd: number } {
  const path = join(directory, "pipe");
  execFileSync("mkfifo", [path]);
  const readFd = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
  const writeFd = openSync(path, constants.O_WRONLY);
  descriptors.push(readFd, writeFd);
  return { readFd, writeFd };
}

function drain(fd: number): string {
  const buffer = Buffer.alloc(65_536);
  let text = "";
  for (;;) {
    try {
      text += buffer.toString("utf8", 0, readSync(fd, buffer));
    } catch {
      // EAGAIN: empty.
      return text;
    }
  }
}

describe("classic text", () => {
  const format = textFormatter({ wallNow: () => AT, colour: false });

  it("prefixes dated lines as uWSGI does, and leaves the others alone", () => {
    expect(format({ level: "info", message: "[emperor] vassal a.ini is now loyal" })).toBe(
      "Sat Nov  7 09:05:03 2026 - [emperor] vassal a.ini is now loyal\n",
    );
    expect(format({ level: "info", dated: false, message: "*** starting uWSGI Emperor ***" })).toBe(
      "*** starting uWSGI Emperor ***\n",
    );
  });

  it("has the same letters on a terminal", () => {
    const coloured = textFormatter({ wallNow: () => AT, colour: true });
    const line = { level: "error", message: "[emperor] it broke" } as const;
    const plain = coloured(line).replaceAll(/\p{Cc}\[[0-9;]*m/gu, "");
    expect(plain).toBe(format(line));
    expect(coloured(line)).not.toBe(plain);
  });

  it("never lets a name make a line of its own", () => {
    const evil = "a.ini\nSat Nov  7 09:05:03 2026 - [emperor] removed uwsgi instance b.ini";
    expect(quoteName(evil)).not.toContain("\n");
    const text = format({ level: "info", message: `[emperor] vassal ${evil} is now loyal` });
    expect(text.match(/\n/g)).toHaveLength(1);
    expect(singleLine("a\u001b[2Jb\u0085c\u2028d\u007f")).toBe("a\\x1b[2Jb\\x85c\\u2028d\\x7f");
  });

  it("keeps plain names letter by letter and marks the others", () => {
    for (const name of ["a.ini", 'q"x.ini', "my app.ini", "ümläut-日本.ini", "$(x)\\y.ini"]) {
      expect(quoteName(name)).toBe(name);
    }
    expect(quoteName('a\n"b"\\.ini')).toBe('"a\\n\\"b\\"\\\\.ini"');
  });

  it("indents a stack", () => {
    expect(
      format({ level: "fatal", dated: false, message: "bug", detail: "Error: x\n    at y" }),
    ).toBe("bug\n    Error: x\n        at y\n");
  });

  it("makes the text of a second once, also when the clock jumps back", () => {
    let now = AT;
    const clock = createClassicClock(() => now);
    expect(clock()).toBe("Sat Nov  7 09:05:03 2026");
    now += 999;
    expect(clock()).toBe("Sat Nov  7 09:05:03 2026");
    now -= 3_600_000;
    expect(clock()).toBe(classicTime(now));
  });
});

describe("loggers", () => {
  it("writes lines in order, at least of the wanted level", () => {
    const log = openLog();
    const logger = textLogger({ format: "text", fd: log.fd, wallNow: () => AT }, "info");
    logger.debug("not this");
    logger.info("one");
    logger.warning("two");
    logger.flush();
    expect(log.text()).toBe("Sat Nov  7 09:05:03 2026 - one\nSat Nov  7 09:05:03 2026 - two\n");
  });

  it("writes JSON lines with fields, in which a text is never a format", async () => {
    const log = openLog();
    const logger = await createLogger({ format: "json", fd: log.fd, wallNow: () => AT });
    logger.warning("100%s of\nit %d", { vassal: "a\n.ini", event: "loyal" });
    logger.write({ level: "fatal", message: "bug", detail: "stack" });
    logger.debug("not this");
    logger.flush();
    const lines = log
      .text()
      .trimEnd()
      .split("\n")
      .map((line): unknown => JSON.parse(line));
    const time = new Date(AT).toISOString();
    expect(lines).toEqual([
      { level: "warning", time, vassal: "a\n.ini", event: "loyal", msg: "100%s of\nit %d" },
      { level: "fatal", time, detail: "stack", msg: "bug" },
    ]);
  });
});

describe("sink", () => {
  it("writes what one turn of the loop said without being asked", async () => {
    const log = openLog();
    const sink = descriptorSink({ fd: log.fd });
    sink.write("a\n");
    sink.write("b\n");
    expect(log.text()).toBe("");
    await expect.poll(log.text).toBe("a\nb\n");
  });

  it("keeps lines whole and in order for a slow reader, and never blocks", async () => {
    const pipe = openPipe();
    const sink = descriptorSink({ fd: pipe.writeFd });
    const lines = Array.from({ length: 3000 }, (_, index) => `line ${index} ${"x".repeat(60)}\n`);
    for (const line of lines) sink.write(line);
    let text = "";
    await expect
      .poll(
        () => {
          text += drain(pipe.readFd);
          return text.length;
        },
        { timeout: 10_000 },
      )
      .toBe(lines.join("").length);
    expect(text).toBe(lines.join(""));
    expect(sink.dropped).toBe(0);
  });

  it("drops beyond its capacity and says how much was lost", async () => {
    const pipe = openPipe();
    const sink = descriptorSink({
      fd: pipe.writeFd,
      capacityBytes: 1000,
      droppedLine: (count) => `${count} dropped\n`,
    });
    // Fill the pipe, so that nothing can be written.
    const own = openSync(
      `/proc/self/fd/${pipe.writeFd}`,
      constants.O_WRONLY | constants.O_NONBLOCK,
    );
    descriptors.push(own);
    expect(() => {
      for (;;) writeSync(own, Buffer.alloc(4096, "f"));
    }).toThrow(/EAGAIN/);
    for (let line = 0; line < 30; line += 1) sink.write(`${"x".repeat(99)}\n`);
    expect(sink.dropped).toBe(20);
    let text = "";
    await expect
      .poll(
        () => {
          text += drain(pipe.readFd).replaceAll("f", "");
          return text;
        },
        { timeout: 10_000 },
      )
      .toMatch(/^(x{99}\n){10}20 dropped\n$/);
  });

  it("goes on when nobody can read any more", async () => {
    const path = join(directory, "broken");
    execFileSync("mkfifo", [path]);
    const readFd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const writeFd = openSync(path, constants.O_WRONLY);
    descriptors.push(writeFd);
    const sink = descriptorSink({ fd: writeFd });
    closeSync(readFd);
    sink.write("nobody hears this\n");
    await expect.poll(() => sink.dropped).toBe(1);
    sink.write("nor this\n");
    sink.flush();
    expect(sink.dropped).toBe(2);
  });

  it("is silent on a descriptor that is not open", () => {
    const sink = descriptorSink({ fd: 1_000_000 });
    sink.write("x\n");
    sink.flush();
    expect(sink.dropped).toBe(1);
  });
});

describe("repeats", () => {
  it("lets a burst through, then counts, then says how many it left out", () => {
    const limiter = new RepeatLimiter({ burst: 2, intervalMs: 1000, capacity: 10 });
    expect(limiter.ask("a", 0)).toEqual({ pass: true, suppressed: 0 });
    expect(limiter.ask("a", 1)).toEqual({ pass: true, suppressed: 0 });
    expect(limiter.ask("a", 2)).toEqual({ pass: false });
    expect(limiter.ask("a", 999)).toEqual({ pass: false });
    expect(limiter.ask("b", 999)).toEqual({ pass: true, suppressed: 0 });
    expect(limiter.ask("a", 1000)).toEqual({ pass: true, suppressed: 2 });
  });

  it("forgets the oldest key first", () => {
    const limiter = new RepeatLimiter({ burst: 1, intervalMs: 1000, capacity: 2 });
    for (const key of ["a", "b", "c"]) expect(limiter.first(key)).toBe(true);
    expect(limiter.first("c")).toBe(false);
    expect(limiter.first("a")).toBe(true);
  });
});
