import { expect, test } from "vitest";
import { IdleWatch } from "./idle-watch.ts";

const CONNECTED = "0000000000000000: 00000003 00000000 00000000 0001 03 2 /run/a.sock\n";

function setUp(idleMs = 1000) {
  const world = { now: 0, text: "", stirred: false, fails: false };
  const gone: number[] = [];
  const warnings: string[] = [];
  const watch = new IdleWatch({
    idleMs,
    now: () => world.now,
    sockets: {
      addresses: () => [{ family: "unix", path: "/run/a.sock" }],
      wasStirred: () => world.stirred,
    },
    read: async () => {
      if (world.fails) throw new Error("EACCES");
      return world.text;
    },
    warn: (message) => void warnings.push(message),
    deserted: (handle) => void gone.push(handle),
  });
  const lookAt = async (now: number): Promise<void> => {
    world.now = now;
    await watch.look();
  };
  return { world, gone, warnings, watch, lookAt };
}

test("deserted is whom nobody was connected to for the whole time, not a moment sooner", async () => {
  const { world, gone, watch, lookAt } = setUp();
  watch.add(7, 1);
  await lookAt(999);
  expect(gone).toEqual([]);
  world.text = CONNECTED;
  await lookAt(5000);
  world.text = "";
  await lookAt(5999);
  expect(gone).toEqual([]);
  await lookAt(6000);
  expect(gone).toEqual([7]);
  watch.close();
});

test("a connection that came and went between two looks counts", async () => {
  const { world, gone, watch, lookAt } = setUp();
  watch.add(7, 1);
  world.stirred = true;
  await lookAt(1000);
  world.stirred = false;
  await lookAt(1999);
  expect(gone).toEqual([]);
  await lookAt(2000);
  expect(gone).toEqual([7]);
  watch.close();
});

test("where connections cannot be seen nobody is put to sleep, and that is said once", async () => {
  const { world, gone, warnings, watch, lookAt } = setUp();
  watch.add(7, 1);
  world.fails = true;
  await lookAt(5000);
  await lookAt(9000);
  expect(gone).toEqual([]);
  expect(warnings).toHaveLength(1);
  watch.close();
});

test("without the option, and after its end, a process is not looked at", async () => {
  const off = setUp(0);
  off.watch.add(7, 1);
  await off.lookAt(1e9);
  expect(off.gone).toEqual([]);
  const over = setUp();
  over.watch.add(7, 1);
  over.watch.delete(7);
  await over.lookAt(1e9);
  expect(over.gone).toEqual([]);
});
