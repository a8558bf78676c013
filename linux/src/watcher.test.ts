import { closeSync, openSync, readFileSync } from "node:fs";
import { Worker } from "node:worker_threads";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  addonProgram,
  deadline,
  ended,
  eventually,
  killed,
  openDescriptors,
  PLAIN,
  recorder,
  shell,
  start,
} from "../test/harness.ts";
import {
  accept,
  close,
  connect,
  createWatcher,
  listen,
  localAddress,
  reap,
  signalProcess,
  socketpair,
  spawn,
  writeChannel,
} from "./index.ts";
import type { WatchEvent } from "./index.ts";

let descriptors: string[] = [];
beforeEach(() => {
  descriptors = openDescriptors();
});
afterEach(() => {
  expect(openDescriptors()).toEqual(descriptors);
});

function text(event: WatchEvent | undefined): string {
  return event?.kind === "channel"
    ? Buffer.from(event.bytes).toString("latin1")
    : `no channel event: ${JSON.stringify(event)}`;
}

/** Settles after everything the thread may have had under way: one more event makes the full round. */
async function fullRound(watcher: ReturnType<typeof recorder>): Promise<void> {
  const [ours, theirs] = socketpair({ type: "stream" });
  writeChannel(theirs, Buffer.from("!"));
  watcher.watcher.addReadable(ours, 999_999);
  await watcher.until((events) => events.some(({ token }) => token === 999_999));
  watcher.watcher.remove(999_999);
  close(ours);
  close(theirs);
}

describe("the watcher", () => {
  test("reports the end of a process once, and not its stop", async () => {
    const record = recorder();
    const child = start(shell("kill -STOP $$; exit 3"));
    record.watcher.addProcess(child.pidfd, 5);
    await eventually(
      () => / T /.test(readFileSync(`/proc/${child.pid}/stat`, "utf8")),
      "the stop of the child",
    );
    await fullRound(record);
    expect(record.events.filter(({ kind }) => kind === "exit")).toEqual([]);
    expect(reap(child.pidfd)).toBeUndefined();
    signalProcess(child.pidfd, 18);
    await record.until((events) => events.some(({ kind }) => kind === "exit"));
    expect(record.events.at(-1)).toEqual({ kind: "exit", token: 5 });
    expect(reap(child.pidfd)?.code).toBe(3);
    await fullRound(record);
    expect(record.events.filter(({ kind }) => kind === "exit")).toHaveLength(1);
    record.watcher.close();
    close(child.pidfd);
  });

  test("gives a channel's bytes, and the end together with the last of them", async () => {
    const record = recorder();
    const [ours, theirs] = socketpair({ type: "stream" });
    record.watcher.addChannel(ours, 7);
    writeChannel(theirs, Buffer.from("\x01\x05"));
    await record.until((events) => events.length === 1);
    expect(text(record.events[0])).toBe("\x01\x05");
    expect(record.events[0]).toMatchObject({ token: 7, eof: false });
    writeChannel(theirs, Buffer.from("\x11"));
    close(theirs);
    record.watcher.rearm(7);
    await record.until((events) => events.length === 2);
    expect(text(record.events[1])).toBe("\x11");
    expect(record.events[1]).toMatchObject({ eof: true });
    record.watcher.close();
    close(ours);
  });

  test("takes a flood in pieces, at the pace of rearm", async () => {
    const record = recorder();
    const [ours, theirs] = socketpair({ type: "stream", nonBlocking: "both" });
    let sent = 0;
    for (let wrote = -1; wrote !== 0; sent += wrote)
      wrote = writeChannel(theirs, Buffer.alloc(4096, "x"));
    record.watcher.addChannel(ours, 1);
    await record.until((events) => events.length === 1);
    await fullRound(record);
    // Without rearm nothing more of it, whatever waits.
    expect(record.events.filter(({ kind }) => kind === "channel")).toHaveLength(1);
    let seen = 0;
    for (let count = 1; seen < sent; count += 1) {
      await record.until(
        (events) => events.filter(({ kind }) => kind === "channel").length === count,
      );
      const event = record.events.filter(({ kind }) => kind === "channel")[count - 1];
      expect(text(event).length).toBeLessThanOrEqual(256);
      expect(text(event).length).toBeGreaterThan(0);
      seen += text(event).length;
      record.watcher.rearm(1);
    }
    expect(seen).toBe(sent);
    record.watcher.close();
    close(ours);
    close(theirs);
  });

  test("reports more than a batch holds, each once", async () => {
    const many = 300;
    const record = recorder();
    const pairs = Array.from({ length: many }, () => socketpair({ type: "stream" }));
    pairs.forEach(([ours, theirs], token) => {
      writeChannel(theirs, Buffer.from(`number ${token}`));
      record.watcher.addChannel(ours, token);
    });
    expect(record.watcher.size).toBe(many);
    await record.until((events) => events.length === many);
    const seen = new Map(record.events.map((event) => [event.token, text(event)]));
    pairs.forEach((_, token) => expect(seen.get(token)).toBe(`number ${token}`));
    record.watcher.close();
    for (const fd of pairs.flat()) close(fd);
  });

  test("delivers nothing of a removed token, not even from the batch in hand, nor under a number used again", async () => {
    const seen: WatchEvent[] = [];
    let check = (): void => {};
    const pairs = Array.from({ length: 20 }, () => socketpair({ type: "stream" }));
    const watcher = createWatcher((events) => {
      for (const event of events) {
        seen.push(event);
        if (event.token < 0) continue;
        // The first event that comes removes all the others.
        for (let token = 0; token < 20; token += 1)
          if (token !== event.token) watcher.remove(token);
      }
      check();
    });
    pairs.forEach(([ours, theirs], token) => {
      writeChannel(theirs, Buffer.from("old"));
      watcher.addChannel(ours, token);
    });
    await deadline(
      new Promise<void>((resolve) => {
        check = () => {
          if (seen.some(({ kind }) => kind === "channel")) resolve();
        };
        check();
      }),
      "the first event",
      () => seen,
    );
    expect(seen.filter(({ token }) => token >= 0)).toHaveLength(1);
    expect(seen.filter(({ token }) => token < 0).every(({ kind }) => kind === "readable")).toBe(
      true,
    );
    expect(watcher.size).toBe(1);
    watcher.close();
    for (const fd of pairs.flat()) close(fd);

    const record = recorder();
    for (let round = 0; round < 200; round += 1) {
      const [ours, theirs] = socketpair({ type: "stream" });
      record.watcher.addChannel(ours, 2 * round);
      writeChannel(theirs, Buffer.from("old"));
      record.watcher.remove(2 * round);
      close(ours);
      close(theirs);
      const [again, peer] = socketpair({ type: "stream" });
      expect(again).toBe(ours);
      record.watcher.addChannel(again, 2 * round + 1);
      writeChannel(peer, Buffer.from("new"));
      await record.until((events) => events.length === round + 1);
      expect(record.events[round]).toMatchObject({ token: 2 * round + 1 });
      expect(text(record.events[round])).toBe("new");
      record.watcher.remove(2 * round + 1);
      close(again);
      close(peer);
    }
    record.watcher.close();
  });

  test("reports a waiting connection once, until rearmed", async () => {
    const record = recorder();
    const listener = listen({ family: "ipv4", host: "127.0.0.1", port: 0 }, { backlog: 5 });
    const address = localAddress(listener);
    if (address === undefined) throw new Error("no address");
    record.watcher.addListener(listener, 3);
    const first = connect(address);
    await record.until((events) => events.length === 1);
    expect(record.events[0]).toEqual({ kind: "listen", token: 3 });
    await fullRound(record);
    expect(record.events.filter(({ kind }) => kind === "listen")).toHaveLength(1);
    record.watcher.rearm(3);
    await record.until((events) => events.filter(({ kind }) => kind === "listen").length === 2);
    record.watcher.close();
    for (const fd of [first.fd, accept(listener) ?? -1, listener]) close(fd);
  });

  test("refuses what it cannot watch, and keeps no trace of it", () => {
    const watcher = createWatcher(() => {});
    const file = openSync("/etc/passwd", "r");
    const [ours, theirs] = socketpair({ type: "stream" });
    expect(() => watcher.addReadable(file, 1)).toThrow(expect.objectContaining({ code: "EPERM" }));
    expect(() => watcher.addReadable(999_999, 1)).toThrow(
      expect.objectContaining({ code: "EBADF" }),
    );
    expect(() => watcher.addReadable(ours, -1)).toThrow(/no whole number/);
    watcher.addReadable(ours, 1);
    expect(() => watcher.addReadable(theirs, 1)).toThrow(/in use/);
    expect(() => watcher.addReadable(ours, 2)).toThrow(expect.objectContaining({ code: "EEXIST" }));
    expect(watcher.size).toBe(1);
    watcher.remove(77);
    watcher.rearm(77);
    watcher.close();
    watcher.close();
    expect(() => watcher.addReadable(ours, 3)).toThrow(/closed/);
    for (const fd of [ours, theirs]) close(fd);
    closeSync(file);
  });

  test("works in a worker that is terminated with a watcher open", async () => {
    const path = new URL("../build/emperor_linux.node", import.meta.url).pathname;
    const worker = new Worker(
      `const { parentPort, workerData } = require("node:worker_threads");
       const native = require(workerData);
       native.install((step, errno) => new Error(step + " " + errno));
       const handle = native.watchCreate(() => {});
       const pair = native.socketpair(0, true, true);
       native.watchAdd(handle, pair[0], 1, 1);
       parentPort.postMessage([...pair]);`,
      { eval: true, workerData: path },
    );
    const pair = await deadline(
      new Promise<number[]>((resolve, reject) =>
        worker.once("message", resolve).once("error", reject),
      ),
      "the worker",
    );
    await worker.terminate();
    for (const fd of pair) close(fd);
  });

  test("keeps the process alive until it is unreferenced", async () => {
    const script = `const handle = native.watchCreate(() => {}); native.watchRef(handle, process.argv[1] === "ref");`;
    const node = (mode: string) => {
      const program = addonProgram(script);
      return start({ ...program, args: [...program.args, mode] });
    };
    expect((await ended(node("unref"))).code).toBe(0);
    const kept = node("ref");
    expect((await killed(kept)).signal).toBe(9);
  });
});

test("five hundred processes that end at once are all reported and reaped", async () => {
  const record = recorder();
  const children = Array.from({ length: 500 }, () => spawn(PLAIN));
  children.forEach((child, token) => child.ok && record.watcher.addProcess(child.pidfd, token));
  await record.until((events) => events.length === 500);
  expect(new Set(record.events.map(({ token }) => token)).size).toBe(500);
  for (const child of children) {
    if (!child.ok) continue;
    expect(reap(child.pidfd)?.code).toBe(0);
    close(child.pidfd);
  }
  record.watcher.close();
});
