/** Hooks of a vassal: their phases, their order, and what a failure of one does. */
import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { VassalFolder, get } from "./vassal-harness.ts";

const APP = "export default (_request, response) => response.end(process.env.FROM_HOOK ?? '-');";
const lines = (phases: readonly string[]): string =>
  phases.map((phase) => `hook-${phase} = appendn:%dtrace ${phase}`).join("\n");

it("runs the phases in order, again after a reload, and at the end", async () => {
  await using folder = await VassalFolder.create();
  folder.write("app.mjs", APP);
  folder.write("trace", "");
  folder.ini(
    `node-app = app.mjs\nexec-asap = echo exec >> %dtrace\nhook-pre-app = putenv:FROM_HOOK=a b\n${lines(
      [
        "as-user-atexit",
        "pre-app",
        "as-user",
        "in-jail",
        "pre-jail",
        "asap",
        "emperor-reload",
        "emperor-stop",
      ],
    )}\nhook-asap = !print:secret`,
  );
  const vassal = folder.start();
  await vassal.accepting();
  const trace = (): string =>
    readFileSync(folder.file("trace"), "utf8").trim().replaceAll("\n", " ");
  expect(trace()).toBe("asap exec pre-jail in-jail as-user pre-app");
  expect((await get(folder.url)).body).toBe("a b");
  expect(vassal.log).toContain("running --- PRIVATE HOOK --- (asap)...");
  folder.write("trace", "");
  vassal.send(1);
  await vassal.accepting(2);
  expect(trace()).toContain("emperor-reload as-user-atexit asap exec in-jail");
  expect(trace()).not.toContain("pre-jail");
  folder.write("trace", "");
  vassal.send(2);
  expect(await vassal.ended()).toEqual({ code: 0, signal: null });
  expect(trace()).toBe("emperor-stop as-user-atexit");
});

it("gives variables to workers and commands, and tells of the lost Emperor", async () => {
  await using folder = await VassalFolder.create();
  folder.write("app.mjs", APP);
  folder.write("trace", "");
  folder.ini(
    `node-app = app.mjs\nmaster = true\nhook-asap = putenv:FROM_HOOK=x\n${lines(["emperor-lost"])}`,
  );
  const vassal = folder.start();
  await vassal.accepting();
  expect((await get(folder.url)).body).toBe("x");
  vassal.channel.destroy();
  expect(await vassal.ended()).toEqual({ code: 1, signal: null });
  expect(readFileSync(folder.file("trace"), "utf8")).toBe("emperor-lost\n");
});

it.each([
  [
    "hook-asap = exec:exit 3",
    /app\.ini:3: exec:exit 3|"exec:exit 3" \(asap\) failed: it exited with 3; the vassal ends/,
  ],
  ["hook-as-user = mkdir:/", /failed: EEXIST/],
  ["hook-asap = dance:now", /the action "dance" is not served/],
  ["hook-asap = print", /needs ACTION:ARGUMENT/],
  ["call-as-root = symbol", /"call-as-root" is not served: there are no C symbols/],
  ["hook-as-mule = print:x", /there are no mules/],
  ["hook-asap = rpc:function", /"rpc" is not served: there are no RPC functions/],
  ["hook-touch = /tmp/x", /needs FILE ACTION:ARGUMENT/],
  ["hook-post-fork = exec:exit 4", /\(post-fork\) failed: it exited with 4; the vassal ends/],
  ["hook-post-app = mkdir:/", /\(post-app\) failed: EEXIST/],
  ["hook-accepting1-once = unlink:/no/such", /\(accepting1-once\) failed: ENOENT/],
])("ends the start with 1: %s", async (line, message) => {
  await using folder = await VassalFolder.create();
  folder.write("app.mjs", APP);
  folder.ini(`node-app = app.mjs\n${line}`);
  const vassal = folder.start();
  expect(await vassal.ended()).toEqual({ code: 1, signal: null });
  expect(vassal.log).toMatch(message);
  expect(vassal.bytes).not.toContain(5);
});
