/** What systemd hears, over a real datagram socket, and how often. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bindDatagram, close, receiveDatagram } from "@emperor/linux";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { memoryLogger } from "../log/logger.ts";
import { linuxSystem } from "./linux-system.ts";
import { SystemdNotifier, type NotifierOptions } from "./sd-notify.ts";

let directory: string;
let fd: number;
let now: number;
let timers: { at: number; callback: () => void; cancelled: boolean }[];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "notify-"));
  fd = bindDatagram(join(directory, "socket"));
  now = 1000;
  timers = [];
});

afterEach(() => {
  close(fd);
  rmSync(directory, { recursive: true });
});

function heard(): string[] {
  const texts: string[] = [];
  for (
    let message = receiveDatagram(fd, 4096);
    message !== undefined;
    message = receiveDatagram(fd, 4096)
  ) {
    texts.push(Buffer.from(message.bytes).toString("utf8"));
  }
  return texts;
}

function notifier(more: Partial<NotifierOptions> = {}): SystemdNotifier {
  return new SystemdNotifier({
    socket: join(directory, "socket"),
    pid: 42,
    system: linuxSystem,
    logger: memoryLogger(),
    now: () => now,
    setTimer: (callback, ms) => {
      const timer = { at: now + ms, callback, cancelled: false };
      timers.push(timer);
      return { cancel: () => void (timer.cancelled = true) };
    },
    ...more,
  });
}

function pass(ms: number): void {
  now += ms;
  for (const timer of timers.splice(0)) {
    if (timer.cancelled) continue;
    if (timer.at <= now) timer.callback();
    else timers.push(timer);
  }
}

describe("systemd", () => {
  it("hears uWSGI's texts from the first to the last", () => {
    const own = notifier();
    own.initializing();
    own.governing(2);
    own.ready(false);
    own.stopping();
    own.buried();
    expect(heard()).toEqual([
      "STATUS=initializing uWSGI\n",
      "STATUS=uWSGI is ready\nREADY=1\n",
      "STATUS=The Emperor is governing 2 vassals\n",
      "STOPPING=1\n",
      "STATUS=The Emperor is buried.\n",
    ]);
  });

  it("hears of changes only, and of the last of many", () => {
    const own = notifier();
    own.ready(false);
    heard();
    for (let count = 1; count <= 1000; count += 1) own.governing(count);
    own.governing(1000);
    expect(heard()).toEqual(["STATUS=The Emperor is governing 1 vassals\n"]);
    pass(100);
    expect(heard()).toEqual(["STATUS=The Emperor is governing 1000 vassals\n"]);
    pass(1000);
    own.governing(1000);
    own.governing(999);
    own.governing(1000);
    pass(1000);
    expect(heard()).toEqual([
      "STATUS=The Emperor is governing 999 vassals\n",
      "STATUS=The Emperor is governing 1000 vassals\n",
    ]);
  });

  it("hears the new main process and the time of a reload", () => {
    const own = notifier();
    own.ready(true);
    own.reloading();
    own.reloaded();
    expect(heard()).toEqual([
      "MAINPID=42\nSTATUS=uWSGI is ready\nREADY=1\n",
      "RELOADING=1\nMONOTONIC_USEC=1000000\n",
      "READY=1\n",
    ]);
  });

  it("hears the watchdog at half of its limit, if it is meant for us", () => {
    notifier({ watchdogUsec: "2000000", watchdogPid: "42" }).ready(false);
    expect(heard().at(-1)).toBe("WATCHDOG=1\n");
    pass(999);
    expect(heard()).toEqual([]);
    pass(1);
    expect(heard()).toEqual(["WATCHDOG=1\n"]);
    pass(1000);
    expect(heard()).toEqual(["WATCHDOG=1\n"]);
    timers = [];
    notifier({ watchdogUsec: "2000000", watchdogPid: "43" }).ready(false);
    expect(timers).toEqual([]);
  });

  it("is not needed, and its absence is said once", () => {
    notifier({ socket: undefined }).ready(false);
    expect(heard()).toEqual([]);
    const logger = memoryLogger();
    const lost = notifier({ socket: join(directory, "no-such"), logger });
    lost.initializing();
    lost.ready(false);
    expect(logger.lines).toHaveLength(1);
    expect(logger.lines[0]?.message).toMatch(/NOTIFY_SOCKET.*ENOENT/);
  });

  it("is found in the abstract name space", () => {
    const name = `emperor-notify-test-${process.pid}`;
    const abstract = bindDatagram(`\0${name}`);
    try {
      notifier({ socket: `@${name}` }).stopping();
      expect(Buffer.from(receiveDatagram(abstract, 100)?.bytes ?? []).toString()).toBe(
        "STOPPING=1\n",
      );
    } finally {
      close(abstract);
    }
  });
});
