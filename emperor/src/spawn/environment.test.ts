import { describe, expect, test } from "vitest";
import {
  commonEnvironment,
  VassalEnvironment,
  withVariable,
  type Variables,
} from "./environment.ts";

function common(base: Variables, changes: Parameters<typeof commonEnvironment>[1] = []) {
  const { variables, warnings } = commonEnvironment(base, changes);
  return { variables: Object.fromEntries(variables), warnings };
}

describe("the common environment", () => {
  test("leaves out what was meant for the Emperor alone", () => {
    const own = {
      UWSGI_RELOADS: "1",
      NOTIFY_SOCKET: "/run/n",
      UWSGI_EMPEROR_FD: "5",
      UWSGI_EMPEROR_FD_CONFIG: "6",
      UWSGI_EMPEROR_PROXY: "/p",
      UWSGI_BROODLORD_NUM: "2",
      UWSGI_ORIGINAL_PROC_NAME: "uwsgi",
      HOME: "/root",
    };
    expect(common(own).variables).toEqual({ UWSGI_ORIGINAL_PROC_NAME: "uwsgi", HOME: "/root" });
  });

  test("renames every UWSGI_VASSAL_X, neighbours or not, and touches nothing else", () => {
    const { variables, warnings } = common({
      UWSGI_VASSAL_SOCKET: "/tmp/%n.sock",
      UWSGI_VASSAL_FOO: "1",
      PROBE_FOO: "keep",
      PROBE_VASSAL_BAR: "keep2",
      UWSGI_VASSALS_DIR: "/etc",
      UWSGI_VASSAL_: "odd",
    });
    expect(variables).toEqual({
      UWSGI_SOCKET: "/tmp/%n.sock",
      UWSGI_FOO: "1",
      PROBE_FOO: "keep",
      PROBE_VASSAL_BAR: "keep2",
      UWSGI_VASSALS_DIR: "/etc",
      UWSGI_VASSAL_: "odd",
    });
    expect(warnings).toEqual([]);
  });

  test("tells a conflict, and the vassals' value wins", () => {
    const { variables, warnings } = common({ UWSGI_HTTP: ":1", UWSGI_VASSAL_HTTP: ":2" });
    expect(variables).toEqual({ UWSGI_HTTP: ":2" });
    expect(warnings).toEqual([expect.stringContaining("both UWSGI_HTTP and UWSGI_VASSAL_HTTP")]);
  });

  test("the same value twice is no conflict", () => {
    expect(common({ UWSGI_HTTP: ":1", UWSGI_VASSAL_HTTP: ":1" }).warnings).toEqual([]);
  });

  test.each(["EMPEROR_FD", "EMPEROR_FD_CONFIG", "RELOADS", "BROODLORD_NUM"])(
    "UWSGI_VASSAL_%s cannot speak for the Emperor",
    (name) => {
      const { variables, warnings } = common({ [`UWSGI_VASSAL_${name}`]: "99" });
      expect(variables).toEqual({});
      expect(warnings).toEqual([expect.stringContaining(`UWSGI_VASSAL_${name} is ignored`)]);
    },
  );

  test("env and unenv of the options come after what was inherited, in order", () => {
    const changes = [
      { name: "A", value: "2" },
      { name: "B", value: undefined },
      { name: "UWSGI_VASSAL_C", value: "3" },
    ];
    expect(common({ A: "1", B: "1" }, changes).variables).toEqual({ A: "2", UWSGI_C: "3" });
  });
});

describe("environments of vassals", () => {
  function environmentOf(base: Variables) {
    const warnings: string[] = [];
    let reads = 0;
    const environment = new VassalEnvironment(
      () => {
        reads += 1;
        return base;
      },
      [],
      { channel: 3, config: 4 },
      (message) => warnings.push(message),
    );
    return { environment, warnings, reads: () => reads };
  }

  test("name the descriptors, and are made once", () => {
    const { environment, reads } = environmentOf({ A: "1" });
    const plain = environment.build({ piped: false, zergNumber: undefined });
    const piped = environment.build({ piped: true, zergNumber: undefined });
    expect(plain).toEqual(["A=1", "UWSGI_EMPEROR_FD=3"]);
    expect(piped).toEqual(["A=1", "UWSGI_EMPEROR_FD=3", "UWSGI_EMPEROR_FD_CONFIG=4"]);
    expect(environment.build({ piped: false, zergNumber: undefined })).toBe(plain);
    expect(environment.build({ piped: true, zergNumber: undefined })).toBe(piped);
    expect(reads()).toBe(1);
  });

  test("a zerg has its number, and others do not get it", () => {
    const { environment } = environmentOf({});
    expect(environment.build({ piped: false, zergNumber: 7 })).toContain("UWSGI_BROODLORD_NUM=7");
    expect(environment.build({ piped: false, zergNumber: undefined })).toEqual([
      "UWSGI_EMPEROR_FD=3",
    ]);
  });

  test("a change of the Emperor's environment is seen after invalidate, and warned of once", () => {
    const base: Record<string, string> = { UWSGI_VASSAL_EMPEROR_FD: "1" };
    const { environment, warnings } = environmentOf(base);
    environment.build({ piped: false, zergNumber: undefined });
    base["NEW"] = "x";
    environment.invalidate();
    expect(environment.build({ piped: false, zergNumber: undefined })).toContain("NEW=x");
    expect(warnings).toHaveLength(1);
  });

  test("withVariable replaces by name, not by prefix", () => {
    expect(withVariable(["A=1", "AB=2"], "A", "3")).toEqual(["AB=2", "A=3"]);
  });
});
