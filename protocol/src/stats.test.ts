import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { renderStats } from "./stats.ts";
import type { StatsDocument, StatsVassal } from "./stats.ts";

const vassal: StatsVassal = {
  path: "/etc/vassals/a.ini",
  attrs: { tier: ["gold", "fast"] },
  respawns: 0,
  monitor: "/etc/vassals",
  id: "a.ini",
  pid: 54,
  born: 1,
  last_mod: 1,
  last_heartbeat: 0,
  loyal: 1,
  ready: 1,
  accepting: 1,
  last_loyal: 3,
  last_ready: 2,
  last_accepting: 2,
  first_run: 2,
  last_run: 2,
  cursed: 0,
  zerg: 0,
  on_demand: "",
  uid: 0,
  gid: 0,
};

const document: StatsDocument = {
  queued: 0,
  version: "2.0.21",
  pid: 8,
  uid: 0,
  gid: 0,
  cwd: "/etc/vassals",
  emperor: ["/etc/vassals"],
  emperor_tyrant: 0,
  throttle_level: 0,
  vassals: [vassal],
  blacklist: [{ attempt: 4, id: "x.ini", throttle_level: 4001, first_attempt: 5, last_attempt: 6 }],
};

/** Keys in the order in which a text has them. */
function keysOf(json: string): readonly string[] {
  const keys: string[] = [];
  JSON.parse(json, function reviver(key, value: unknown) {
    if (key !== "" && !Array.isArray(this)) keys.push(key);
    return value;
  });
  return keys;
}

describe("the stats document", () => {
  it("has uWSGI's fields in uWSGI's order, ours behind them", () => {
    const json = renderStats(document, { minified: true });
    expect(Object.keys(JSON.parse(json) as object)).toEqual(
      "version pid uid gid cwd emperor emperor_tyrant throttle_level vassals blacklist queued".split(
        " ",
      ),
    );
    const [first] = (JSON.parse(json) as { vassals: object[] }).vassals;
    expect(Object.keys(first ?? {})).toEqual(
      (
        "id pid born last_mod last_heartbeat loyal ready accepting last_loyal last_ready last_accepting first_run " +
        "last_run cursed zerg on_demand uid gid monitor attrs respawns path"
      ).split(" "),
    );
    expect(keysOf(json).slice(-7)).toEqual([
      "id",
      "throttle_level",
      "attempt",
      "first_attempt",
      "last_attempt",
      "blacklist",
      "queued",
    ]);
  });

  it("is the same document in both forms", () => {
    const plain = renderStats(document, { minified: false });
    expect(plain.startsWith('{\n\t"version": "2.0.21",\n\t"pid": 8,')).toBe(true);
    expect(JSON.parse(plain)).toEqual(JSON.parse(renderStats(document, { minified: true })));
    expect(JSON.parse(plain)).toEqual(document);
    expect(renderStats(document, { minified: true })).not.toMatch(/[\n\t]/);
  });

  it("is JSON whatever a vassal is called", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), fc.string({ unit: "binary" }), (id, attribute) => {
        const odd = { ...document, vassals: [{ ...vassal, id, attrs: { [attribute]: [id] } }] };
        expect(JSON.parse(renderStats(odd, { minified: false }))).toEqual(odd);
      }),
    );
  });

  it("has our monitors in their order", () => {
    const monitors = [
      {
        vassals: 1,
        since: 2,
        reason: "",
        state: "connected" as const,
        last_change: 3,
        address: "/v",
        id: "dir:/v",
      },
    ];
    const json = renderStats({ ...document, monitors }, { minified: true });
    expect(json).toContain(
      '"monitors":[{"id":"dir:/v","address":"/v","state":"connected","reason":"","since":2,"last_change":3,"vassals":1}]',
    );
  });
});
