/** Orders from outside: command socket, trigger socket, FIFO; what is sent to them may be anything. */
import { createSocket } from "node:dgram";
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { LinuxError, sendDatagram } from "@emperor/linux";
import { encodeCommand, encodeDictionary, encodePacket } from "@emperor/protocol";
import { emperorCommand, newRun, startEmperor } from "../harness/emperor.ts";
import type { EmperorUnderTest, StartOptions } from "../harness/emperor.ts";
import { connectTo } from "../harness/sockets.ts";

const LOYAL = "[uwsgi]\nbehaviour = loyal\n";

function packet(command: string, vassal?: string, message?: string): Uint8Array {
  const encoded = encodeCommand({
    command,
    ...(vassal === undefined ? {} : { vassal }),
    ...(message === undefined ? {} : { message }),
  });
  if (!encoded.ok) throw new Error("does not fit");
  return encoded.bytes;
}

/** An Emperor with a command socket, and what sends to it. */
async function commanded(options: StartOptions = {}): Promise<{
  emperor: EmperorUnderTest;
  send: (bytes: Uint8Array) => Promise<unknown>;
  path: string;
}> {
  const run = newRun();
  const path = join(run.path, "cmd.sock");
  const args = ["--emperor-command-socket", path, ...(options.args ?? [])];
  const emperor = await startEmperor({ ...options, args }, run);
  const send = (bytes: Uint8Array): Promise<unknown> =>
    emperor.wait("room in the queue of the socket", () => {
      try {
        sendDatagram(path, bytes);
        return true;
      } catch (error) {
        if (error instanceof LinuxError && error.code === "EAGAIN") return false;
        throw error;
      }
    });
  return { emperor, path, send };
}

describe("command socket", () => {
  test("spawns who waits for a command, reloads, stops, and says so", async () => {
    const { emperor, send } = await commanded({
      vassals: { "a.ini": LOYAL, "b.ini": LOYAL },
      args: ["--emperor-wait-for-command", "--emperor-wait-for-command-ignore", "b.ini"],
    });
    await emperor.vassalWith("b.ini", { loyal: 1, suspended: 0 });
    await emperor.vassalWith("a.ini", { pid: -1, suspended: 1, reason: "wait-for-command" });
    await send(packet("respawn", "a.ini"));
    await emperor.logged(/WARNING: no respawn of vassal "a.ini": it does not run/);
    expect(emperor.starts("a.ini")).toBe(0);
    await send(packet("spawn", "a.ini"));
    await emperor.logged('[uwsgi-emperor] INFO: requested the spawn of vassal "a.ini"');
    const { pid } = await emperor.vassalWith("a.ini", { loyal: 1 });
    await send(packet("spawn", "a.ini"));
    await emperor.logged('WARNING: the vassal "a.ini" is already active');
    await send(packet("respawn", "a.ini"));
    await emperor.received("a.ini", 1);
    await send(packet("stop", "a.ini"));
    await emperor.received("a.ini", 0);
    await emperor.gone(pid);
    // An operator's word outlives changes and scans.
    emperor.touch("a.ini");
    emperor.signal("SIGWINCH");
    await emperor.vassalWith("a.ini", { pid: -1, reason: "stopped-by-command" });
    await send(packet("spawn", "a.ini"));
    await emperor.started("a.ini", 2);
  });

  test("prints the message of a log command as one line", async () => {
    const { emperor, send } = await commanded();
    await send(packet("log", undefined, "hello\n[emperor] forged"));
    expect(await emperor.logged("hello")).toBe("hello\\n[emperor] forged");
  });

  test("survives whatever is sent to it", async () => {
    const { emperor, send } = await commanded({ vassals: { "a.ini": LOYAL } });
    const { pid } = await emperor.vassalWith("a.ini", { loyal: 1 });
    const whole = packet("stop", "a.ini");
    for (let length = 0; length < whole.length; length += 1) await send(whole.subarray(0, length));
    const large = encodeDictionary([
      ["cmd", "stop"],
      ["vassal", "a.ini"],
      ["filler", "x".repeat(5000)],
    ]);
    const oversized = large.ok ? encodePacket(0, 0, large.bytes) : large;
    if (oversized.ok) await send(oversized.bytes);
    await send(packet("dance", "a.ini"));
    await send(packet("constructor", "a.ini"));
    await send(packet("stop", "unknown\n.ini"));
    await send(packet("stop"));
    await send(Uint8Array.from({ length: 4000 }, (_, index) => index % 251));
    await send(packet("log", undefined, "the last one"));
    await emperor.logged("the last one");
    await emperor.logged(/ignoring a packet of pid \d+, uid \d+: it is shorter than a header/);
    await emperor.logged(/ignoring a packet of .*: its dictionary is cut off/);
    await emperor.logged('there is no command "dance"');
    await emperor.logged('ERROR: unable to find vassal "unknown\\n.ini"');
    await emperor.logged('ERROR: the "stop" command requires a vassal name');
    expect(await emperor.vassal("a.ini")).toMatchObject({ pid, loyal: 1 });
    expect(emperor.run.reports.of("received", "a.ini")).toEqual([]);
  });

  test("a flood of nonsense fills no log, and commands after it are carried out", async () => {
    const { emperor, send } = await commanded({ vassals: { "a.ini": LOYAL } });
    await emperor.vassalWith("a.ini", { loyal: 1 });
    for (let sent = 0; sent < 2000; sent += 1) await send(Uint8Array.of(1));
    await send(packet("stop", "a.ini"));
    await emperor.received("a.ini", 0);
    expect(emperor.log().split("ignoring a packet").length).toBeLessThan(30);
  });

  test("is for the Emperor's user, and gone with it; a stale one is replaced, another is not", async () => {
    const { emperor, path } = await commanded();
    expect(statSync(path).mode & 0o777).toBe(0o600);
    const second = await emperorCommand([
      "--emperor",
      "{vassals}",
      "--emperor-command-socket",
      path,
    ]);
    expect(second).toMatchObject({ code: 111 });
    expect(second.output).toContain("another process receives there; nothing is started");
    emperor.signal("SIGKILL");
    await emperor.ended();
    const heir = await startEmperor({ args: ["--emperor-command-socket", path] });
    await heir.close();
    expect(existsSync(path)).toBe(false);
    writeFileSync(path, "mine");
    const third = await emperorCommand([
      "--emperor",
      "{vassals}",
      "--emperor-command-socket",
      path,
    ]);
    expect(third.output).toContain("there is something that is no socket");
    expect(readFileSync(path, "utf8")).toBe("mine");
  });

  test("takes UDP on the loopback, and from nowhere else", async () => {
    const run = newRun();
    const probe = createSocket("udp4");
    onTestFinished(() => void probe.close());
    const port = await new Promise<number>((resolve) => {
      probe.bind(0, "127.0.0.1", () => resolve(probe.address().port));
    });
    const busy = await emperorCommand(
      ["--emperor", "{vassals}", "--emperor-command-socket", `127.0.0.1:${port}`],
      {},
      run,
    );
    expect(busy.output).toMatch(/emperor-command-socket = .*EADDRINUSE/);
    for (const address of ["0.0.0.0:7000", "10.1.2.3:7000"]) {
      const refused = await emperorCommand(
        ["--emperor", "{vassals}", "--emperor-command-socket", address],
        {},
        run,
      );
      expect(refused).toMatchObject({ code: 100 });
      expect(refused.output).toMatch(/for 127\.0\.0\.0\/8 and ::1 only/);
    }
  });

  test("obeys what comes by UDP", async () => {
    const run = newRun();
    run.put("a.ini", LOYAL);
    // An address of the loopback that no other test has, so any port of it is free.
    const { pid } = process;
    const host = `127.${64 + ((pid >> 16) & 63)}.${(pid >> 8) & 255}.${pid & 255}`;
    const args = ["--emperor-command-socket", `${host}:7001`];
    const emperor = await startEmperor({ args }, run);
    await emperor.vassalWith("a.ini", { loyal: 1 });
    const socket = createSocket("udp4");
    onTestFinished(() => void socket.close());
    socket.send(packet("stop", "a.ini"), 7001, host);
    await emperor.received("a.ini", 0);
  });

  test("without one nobody waits for a command, and that is said", async () => {
    const emperor = await startEmperor({
      vassals: { "a.ini": LOYAL },
      args: ["--emperor-wait-for-command"],
    });
    await emperor.vassalWith("a.ini", { loyal: 1 });
    await emperor.logged("emperor-wait-for-command is ignored");
  });
});

test("every connection to the trigger socket causes a scan, not only the first", async () => {
  // Within an hour nothing but the trigger makes it look there (or a watch does, which is as well).
  const run = newRun();
  const path = join(run.path, "trigger.sock");
  const far = join(run.path, "far");
  mkdirSync(far);
  const emperor = await startEmperor(
    {
      monitors: [join(run.path, "f*/*.ini")],
      frequencySeconds: 3600,
      args: ["--emperor-trigger-socket", path],
    },
    run,
  );
  for (const name of ["one.ini", "two.ini"]) {
    run.put(join(far, name), LOYAL);
    await new Promise<void>((resolve, reject) => {
      connectTo(path)
        .once("error", reject)
        .once("close", () => resolve())
        .resume();
    });
    await emperor.started(join(far, name));
  }
});

test("the FIFO scans, reloads, tells the status and stops", async () => {
  const run = newRun();
  const fifo = join(run.path, "fifo");
  const emperor = await startEmperor(
    { vassals: { "a.ini": LOYAL }, args: ["--master-fifo", fifo] },
    run,
  );
  await emperor.vassalWith("a.ini", { loyal: 1 });
  writeFileSync(fifo, "EBx7\n");
  await emperor.logged("master FIFO: command E");
  await emperor.logged("master FIFO: there is no slot 7");
  writeFileSync(fifo, "s");
  await emperor.logged("vassal instance a.ini");
  writeFileSync(fifo, "r");
  await emperor.received("a.ini", 1);
  writeFileSync(fifo, "q");
  expect(await emperor.ended()).toEqual({ code: 0, signal: null });
  expect(existsSync(fifo)).toBe(false);
});

test("what is at the place of the FIFO stays there", async () => {
  const run = newRun();
  const path = join(run.path, "mine");
  writeFileSync(path, "mine");
  const { code, output } = await emperorCommand(
    ["--emperor", "{vassals}", "--master-fifo", path],
    {},
    run,
  );
  expect(code).toBe(111);
  expect(output).toContain("no FIFO; it is left alone; nothing is started");
  expect(readFileSync(path, "utf8")).toBe("mine");
});
