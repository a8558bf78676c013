/** Processes that are released, killed or left alone while they are being started, with the real native package. */
import { readdirSync, rmSync } from "node:fs";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { compileVassal, privateDirectory, RealHands } from "./real-hands.fixture.ts";
import { testSpec } from "./spawn.fixture.ts";

let shared: string;
let program: string;
let directory: string;
let real: RealHands;

beforeAll(() => {
  shared = privateDirectory(0o755);
  program = compileVassal(shared);
});
afterAll(() => rmSync(shared, { recursive: true }));
beforeEach(() => void (directory = privateDirectory(0o777)));
afterEach(async () => {
  expect(await real.close()).toBe(0);
  rmSync(directory, { recursive: true });
});

describe("processes that are being started", () => {
  test("and released leave nothing, and nobody hears of them", async () => {
    real = new RealHands(program, directory, {});
    for (let handle = 1001; handle <= 1030; handle += 1) {
      real.hands.spawn(handle, testSpec({ cwd: directory }), {});
      real.hands.release(handle);
    }
    const wanted = real.start();
    await real.heard(wanted, 1);
    await real.until(() => (real.hands.processesAlive === 1 ? true : undefined), "their ends");
    expect(real.listener.told.filter((one) => "handle" in one && one.handle !== wanted)).toEqual(
      [],
    );
  });

  test("and killed are told to have started, and to have ended", async () => {
    real = new RealHands(program, directory, {});
    const handles = Array.from({ length: 20 }, () => real.start());
    for (const handle of handles) real.hands.kill(handle, "SIGKILL", "tree");
    for (const handle of handles) {
      expect(await real.ended(handle)).toMatchObject({ kind: "exited", status: { signal: 9 } });
      expect(real.listener.told.filter((one) => "handle" in one && one.handle === handle)).toEqual(
        expect.arrayContaining([expect.objectContaining({ kind: "spawned" })]),
      );
    }
  });

  test("end with their hands", async () => {
    real = new RealHands(program, directory, {});
    const before = readdirSync("/proc/self/fd").length;
    const other = new RealHands(program, directory, {});
    for (let handle = 1; handle <= 30; handle += 1)
      other.hands.spawn(handle, testSpec({ cwd: directory }), {});
    await other.hands.close();
    expect(other.hands.processesAlive).toBe(0);
    expect(other.listener.told).toEqual([]);
    expect(readdirSync("/proc/self/fd")).toHaveLength(before);
  });
});
