/** Orders of an Emperor above, over a real socketpair: any bytes in any order, and its end. */
import * as linux from "@emperor/linux";
import { afterEach, describe, expect, test } from "vitest";
import { memoryLogger } from "../log/logger.ts";
import { Ears } from "./ears.ts";
import { channelOf, privateCopy, Superior } from "./superior.ts";

const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const clean of cleanups.splice(0)) clean();
});

/** The Emperor above is the end `above`; `told` has what it led to, and `next` waits for more of it. */
function superior() {
  const [above, own] = linux.socketpair({ type: "stream" });
  const ears = new Ears();
  const logger = memoryLogger();
  const told: string[] = [];
  let wake = (): void => undefined;
  const tell = (text: string): void => {
    told.push(text);
    wake();
  };
  const channel = new Superior(own, ears, logger, {
    stop: (graceful) => tell(graceful ? "graceful stop" : "stop"),
    reload: () => tell("reload"),
    lost: () => tell("lost"),
  });
  let isOpen = true;
  const hangUp = (): void => {
    if (isOpen) linux.close(above);
    isOpen = false;
  };
  cleanups.push(() => {
    ears.close();
    hangUp();
    linux.close(own);
  });
  const next = async (count: number): Promise<void> => {
    while (told.length < count)
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
  };
  return { above, channel, told, next, hangUp, logger };
}

describe("the Emperor above", () => {
  test("is told that this one is ready and loyal, and who asks for help", () => {
    const { above, channel } = superior();
    expect(channel.pid).toBe(process.pid);
    channel.announce();
    channel.askReinforcements();
    expect(linux.readChannel(above, 16)).toEqual(Uint8Array.of(1, 17, 30));
  });

  test("reloads; bytes without a meaning are no orders", async () => {
    const { above, told, next } = superior();
    linux.writeChannel(above, Uint8Array.of(3, 99, 255, 1));
    await next(1);
    linux.writeChannel(above, Uint8Array.of(1));
    await next(2);
    expect(told).toEqual(["reload", "reload"]);
  });

  test.each([
    [0, "stop"],
    [2, "graceful stop"],
  ])("byte %i is a %s, and nothing after it counts", async (byte, order) => {
    const { above, told, next, hangUp, channel, logger } = superior();
    linux.writeChannel(above, Uint8Array.of(byte, 1, 0));
    hangUp();
    await next(1);
    channel.announce();
    await new Promise(setImmediate);
    expect(told).toEqual([order]);
    expect(logger.lines.map(({ message }) => message).join()).not.toContain("lost");
  });

  test("that is gone is told once", async () => {
    const { told, next, hangUp, channel } = superior();
    hangUp();
    await next(1);
    channel.announce();
    expect(told).toEqual(["lost"]);
  });

  test("that does not read is no reason to wait", () => {
    const { channel, logger } = superior();
    for (let count = 0; count < 5000 && logger.lines.length === 0; count += 1) channel.announce();
    expect(logger.lines[0]?.message).toContain("does not read its channel");
  });
});

describe("the channel's descriptor", () => {
  test.each([
    [undefined, "is not set"],
    ["", "is no descriptor number"],
    ["-1", "is no descriptor number"],
    ["99999999999", "is no descriptor number"],
    ["987654", "descriptor 987654"],
  ])("%j is none", (text, why) => {
    expect(channelOf(text)).toContain(why);
  });

  test("is a unix socket, and its copy another number of the same", () => {
    const [one, other] = linux.socketpair({ type: "stream" });
    expect(channelOf(String(one))).toBe(one);
    const copy = privateCopy(one);
    linux.writeChannel(other, Uint8Array.of(7));
    expect(copy).not.toBe(one);
    expect(linux.readChannel(copy, 4)).toEqual(Uint8Array.of(7));
    for (const fd of [one, other, copy]) linux.close(fd);
  });
});
