import { expect, test } from "vitest";
import { Life } from "./life.fixture.ts";

const ZERG = { zerg: true } as const;

test("a zerg goes to the end of the queue", () => {
  expect(new Life().wanted(ZERG).orders).toContainEqual({
    type: "request-permit",
    nuisance: 1_000_000_000,
  });
});

test("a zerg that says that it is done is stopped and gone", () => {
  const life = new Life().running(ZERG).says("done");
  expect(life.vassal.phase).toMatchObject({ name: "stopping", reason: "done" });
  expect(life.exits(0).vassal.phase.name).toBe("gone");
});

test.each([0, 1, 26])(
  "a zerg that ends by itself with %i is gone and not started again",
  (code) => {
    expect(new Life().running(ZERG).exits(code).vassal.phase.name).toBe("gone");
    expect(new Life().loyal(ZERG).exits(code).vassal.phase.name).toBe("gone");
    expect(new Life().started(ZERG).exits(code).vassal.phase.name).toBe("gone");
  },
);

test.each(["system", "vassal", "exile"] as const)(
  "a zerg that cannot be started (%s) is gone",
  (cause) => {
    const life = new Life().wanted(ZERG).on({ type: "permitted" }).spawnFailed(cause);
    expect(life.vassal.phase.name).toBe("gone");
    expect(life.orders.map(({ type }) => type)).toContain("forget");
  },
);

test.each(["wanted", "reload-requested"] as const)(
  "a reload (%s) lets a zerg finish and puts another in its place",
  (why) => {
    const life = new Life().loyal(ZERG);
    if (why === "wanted") life.wanted({ ...ZERG, version: "v2" });
    else life.on({ type: "reload-requested" });
    expect(life.vassal.phase).toMatchObject({ name: "stopping", reason: "replaced" });
    expect(life.orders).toContainEqual({ type: "send", generation: 1, message: "graceful-stop" });
    expect(life.exits(1).vassal.phase).toMatchObject({ name: "queued", reason: "respawn" });
  },
);

test("a reload that comes before the spawn is answered by a replacement too", () => {
  const life = new Life()
    .wanted(ZERG)
    .on({ type: "permitted" })
    .wanted({ ...ZERG, version: "v2" });
  expect(life.spawned().vassal.phase).toMatchObject({ name: "stopping", reason: "replaced" });
});

test("an operator's stop ends a zerg for good", () => {
  const life = new Life().running(ZERG).on({ type: "stop-requested" });
  expect(life.exits(0).vassal.phase.name).toBe("gone");
});

test("a zerg does not wait for a command", () => {
  expect(new Life({ waitForCommand: true }).wanted(ZERG).vassal.phase.name).toBe("queued");
});
