import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, relative } from "node:path";
import { expect, test } from "vitest";
import { makeMonitor, MONITOR_SCHEMES } from "./registry.ts";
import { World } from "./testing/fake-court.ts";

const root = join(import.meta.dirname, "../..");

/** Everything that a module imports when it is loaded; types and `import()` are not. */
function staticImports(path: string): string[] {
  const text = readFileSync(path, "utf8");
  const found: string[] = [];
  for (const [, clause = "", from = ""] of text.matchAll(
    /^(?:import|export)\s+([^;"]*?)\s*(?:from\s+)?"([^"]+)"/gms,
  ))
    if (!/^type\s/.test(clause)) found.push(from);
  return found;
}

/** Files of ours and names of packages that are loaded with this file. */
function loadedWith(start: string): {
  readonly files: Set<string>;
  readonly packages: Set<string>;
} {
  const files = new Set<string>();
  const packages = new Set<string>();
  const todo = [start];
  for (let path = todo.pop(); path !== undefined; path = todo.pop()) {
    if (files.has(path)) continue;
    files.add(path);
    for (const name of staticImports(path)) {
      const ours = /^@emperor\/(\w[\w-]*)$/.exec(name)?.[1];
      if (/^\.{1,2}\/.*\.ts$/.test(name)) todo.push(join(dirname(path), name));
      else if (ours === undefined && !name.startsWith(".")) packages.add(name);
      else if (ours !== undefined && existsSync(join(root, ours, "src/index.ts")))
        todo.push(join(root, ours, "src/index.ts"));
    }
  }
  return { files, packages };
}

test("an Emperor on directories loads no driver and nothing of remote sources", () => {
  const { files, packages } = loadedWith(join(root, "emperor/src/cli/main.ts"));
  const names = [...files].map((path) => relative(root, path));
  expect(names).toContain("monitors/src/registry.ts");
  expect(names).toContain("emperor/src/cli/govern.ts");
  expect(
    names.filter((name) => /^monitors\/src\/(?:pg|mongodb|amqp|zmq|http)\//.test(name)),
  ).toEqual([]);
  expect(names).not.toContain("monitors/src/remote-monitor.ts");
  expect(names).not.toContain("monitors/src/roll.ts");
  const foreign = [...packages].filter((name) => !name.startsWith("node:"));
  for (const driver of ["pg", "mongodb", "amqplib", "zeromq"]) {
    expect(foreign).not.toContain(driver);
    // It is there for those who use it.
    expect(createRequire(import.meta.url).resolve(driver)).toContain(driver);
  }
});

test("every scheme has a maker, and what cannot be an address is a value", async () => {
  const options = new World().options();
  for (const scheme of MONITOR_SCHEMES.filter((name) => !["dir", "glob"].includes(name))) {
    const made = await makeMonitor(`${scheme}://no such/address=`, options).catch(String);
    expect([scheme, typeof made]).toEqual([scheme, "object"]);
  }
  const pg = await makeMonitor("pg://host=x password=geheim wrong=1", options);
  expect(pg.ok ? "" : pg.error.message).toMatch(
    /password=\*\*\*.*unknown connection option "wrong"/,
  );
  const mongodb = await makeMonitor("mongodb2://jsn={}", options);
  expect(mongodb.ok ? "" : mongodb.error.code).toBe("invalid-address");
});

test("a package's scheme is made by the package, and its errors are values", async () => {
  const source = (address: string) => {
    if (address === "bad") throw new Error("no such place");
    return {
      id: `own:${address}`,
      address: `own://${address}`,
      secrets: [],
      needsSuffix: true,
      connect: () => Promise.reject(new Error("not here")),
    };
  };
  const options = { ...new World().options(), packages: [{ scheme: "own", source }] };
  const good = await makeMonitor("own://place", options);
  expect(good.ok ? good.monitor.id : "").toBe("own:place");
  const bad = await makeMonitor("own://bad", options);
  expect(bad.ok ? "" : bad.error.message).toBe('monitor address "own://bad": no such place');
});
