import { closeSync, openSync } from "node:fs";
import { Socket } from "node:net";
import { socketpair } from "@emperor/linux";
import { afterEach, describe, expect, it, vi } from "vitest";
import { EmperorConnection, connectEmperor } from "./client.ts";

/** The Emperor's end of a channel, and what it heard. */
interface Court {
  readonly emperor: Socket;
  readonly heard: number[];
  readonly vassal: EmperorConnection;
}

const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0)) cleanup();
});

function court(options: { config?: number; defaultActions?: boolean } = {}): Court {
  const [ours, theirs] = socketpair({ type: "stream", nonBlocking: "first" });
  const emperor = new Socket({ fd: ours, readable: true, writable: true });
  const heard: number[] = [];
  emperor.on("data", (bytes: Buffer) => heard.push(...bytes));
  const env: Record<string, string> = { UWSGI_EMPEROR_FD: String(theirs) };
  if (options.config !== undefined) env["UWSGI_EMPEROR_FD_CONFIG"] = String(options.config);
  const vassal = new EmperorConnection({
    env,
    defaultActions: options.defaultActions ?? false,
    keepAlive: true,
  });
  cleanups.push(() => {
    vassal.close();
    emperor.destroy();
  });
  return { emperor, heard, vassal };
}

describe("without an Emperor", () => {
  it.each([
    ["no variable", {}, "is not set"],
    ["an empty variable", { UWSGI_EMPEROR_FD: "" }, "is not set"],
    ["no number", { UWSGI_EMPEROR_FD: "six" }, 'no descriptor number: "six"'],
    ["a closed descriptor", { UWSGI_EMPEROR_FD: "987654" }, "EBADF"],
  ])("every call is a no-op that says so: %s", async (_, env, reason) => {
    const vassal = new EmperorConnection({ env });
    expect(vassal.connected).toBe(false);
    expect(vassal.reason).toContain(reason);
    const results = [
      vassal.spawned(),
      vassal.accepting(),
      vassal.loyal(),
      vassal.bye(),
      vassal.reinforcements(),
      vassal.wantConfig(),
      vassal.heartbeat(1),
    ];
    expect(results).toEqual(results.map(() => false));
    expect(await vassal.readConfig(1)).toBeUndefined();
    vassal.stopHeartbeat();
    vassal.close();
  });

  it("does not take a file for the channel", () => {
    const fd = openSync("/dev/null", "r");
    cleanups.push(() => closeSync(fd));
    expect(new EmperorConnection({ env: { UWSGI_EMPEROR_FD: String(fd) } }).reason).toContain(
      "is no socket",
    );
  });

  it("is one object per process", () => {
    expect(connectEmperor()).toBe(connectEmperor());
    expect(connectEmperor({ env: {} })).not.toBe(connectEmperor());
  });
});

describe("with an Emperor", () => {
  it("says each message with its byte", async () => {
    const { heard, vassal } = court({ config: configPair()[1] });
    expect(vassal.connected).toBe(true);
    expect([
      vassal.spawned(),
      vassal.accepting(),
      vassal.loyal(),
      vassal.wantConfig(),
      vassal.bye(),
      vassal.reinforcements(),
      vassal.beat(),
    ]).toEqual(Array.from({ length: 7 }, () => true));
    await expect.poll(() => heard).toEqual([1, 5, 17, 2, 22, 30, 26]);
  });

  it("beats at once and then regularly, until stopped", async () => {
    vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
    cleanups.push(() => vi.useRealTimers());
    const { heard, vassal } = court();
    expect(vassal.heartbeat(10)).toBe(true);
    vi.advanceTimersByTime(30_000);
    vassal.stopHeartbeat();
    vi.advanceTimersByTime(30_000);
    vassal.loyal();
    await expect.poll(() => heard).toEqual([26, 26, 26, 26, 17]);
    expect(() => vassal.heartbeat(0)).toThrow(RangeError);
  });

  it("hears reload and both stops, counts what it does not know", async () => {
    const { emperor, vassal } = court();
    const events: unknown[] = [];
    vassal.on("reload", () => events.push("reload"));
    vassal.on("stop", (graceful) => events.push(graceful));
    emperor.write(Uint8Array.of(1, 77, 2, 255, 0));
    await expect.poll(() => events).toEqual(["reload", true, false]);
    expect(vassal.unknownBytes).toBe(2);
  });

  it("tells once that the Emperor is lost, and is a no-op from then on", async () => {
    const { emperor, vassal } = court();
    let lost = 0;
    vassal.on("lost", () => (lost += 1));
    emperor.destroy();
    await expect.poll(() => lost).toBe(1);
    expect(vassal.connected).toBe(false);
    expect(vassal.reason).toContain("closed");
    expect(vassal.loyal()).toBe(false);
    vassal.close();
    expect(lost).toBe(1);
  });

  it("exits by default when nobody listens", async () => {
    const exit = vi
      .spyOn(process, "exit")
      .mockImplementation((() => undefined) as unknown as typeof process.exit);
    cleanups.push(() => exit.mockRestore());
    const { emperor } = court({ defaultActions: true });
    emperor.write(Uint8Array.of(1));
    await expect.poll(() => exit.mock.calls).toEqual([[0]]);
    emperor.write(Uint8Array.of(2));
    await expect.poll(() => exit.mock.calls).toEqual([[0], [0]]);
    emperor.destroy();
    await expect.poll(() => exit.mock.calls).toEqual([[0], [0], [1]]);
  });

  it("drops messages when the Emperor never reads, instead of keeping them", () => {
    const { emperor, vassal } = court();
    emperor.pause();
    let accepted = 0;
    while (vassal.beat() && accepted < 1_000_000) accepted += 1;
    expect(accepted).toBeLessThan(1_000_000);
  });
});

/** A config pipe: the Emperor's end as a socket, the vassal's descriptor. */
function configPair(): [Socket, number] {
  const [ours, theirs] = socketpair({ type: "stream", nonBlocking: "first" });
  const socket = new Socket({ fd: ours, readable: true, writable: true });
  cleanups.push(() => socket.destroy());
  return [socket, theirs];
}

const packet = (text: string): Buffer =>
  Buffer.concat([Buffer.from([115, text.length & 255, text.length >> 8, 0]), Buffer.from(text)]);

describe("the config pipe", () => {
  it("gives the last complete packet, and each only once", async () => {
    const [pipe, fd] = configPair();
    const { vassal } = court({ config: fd });
    pipe.write(Buffer.concat([packet("first"), packet("second")]));
    expect((await vassal.readConfig())?.toString()).toBe("second");
    expect(await vassal.readConfig(10)).toBeUndefined();
    pipe.write(packet("third"));
    expect((await vassal.readConfig())?.toString()).toBe("third");
  });

  it("puts a packet together that comes in pieces", async () => {
    const [pipe, fd] = configPair();
    const { vassal } = court({ config: fd });
    const bytes = packet("in pieces");
    const reading = vassal.readConfig();
    for (const byte of bytes) {
      await new Promise((resolve) => pipe.write(Uint8Array.of(byte), resolve));
    }
    expect((await reading)?.toString()).toBe("in pieces");
  });

  it("ends with nothing when the Emperor closes it, or in time", async () => {
    const [pipe, fd] = configPair();
    const { vassal } = court({ config: fd });
    expect(await vassal.readConfig(5)).toBeUndefined();
    pipe.write(packet("whole").subarray(0, 6));
    pipe.end();
    expect(await vassal.readConfig()).toBeUndefined();
  });
});
