/** Reinforcements as an operator sees them: real processes, files or pushed configs, ours and the real uWSGI's. */
import { spawn } from "node:child_process";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { startEmperor } from "../harness/emperor.ts";
import type { EmperorUnderTest, Run } from "../harness/emperor.ts";
import { realUwsgi, uwsgiTest } from "../harness/privileges.ts";
import { waitFor } from "../harness/wait.ts";
import { get } from "./vassal-harness.ts";

const DEMO = join(import.meta.dirname, "../../scripts/demo-autoscale.mjs");
const APP = `export default (q, s) => s.end("by " + process.pid);`;

function config(run: Run): string {
  const path = (name: string): string => join(run.path, name);
  return [
    "[uwsgi]",
    `http-socket = ${path("site.sock")}`,
    `node-app = ${path("app.mjs")}`,
    `zerg-server = ${path("zerg.sock")}`,
    `master-fifo = ${path("fifo")}`,
    "[zerg]",
    `zerg = ${path("zerg.sock")}`,
    `node-app = ${path("app.mjs")}`,
    "protocol = http",
    "",
  ].join("\n");
}

async function governed(...args: readonly string[]): Promise<EmperorUnderTest> {
  const emperor = await startEmperor({
    wrapper: null,
    args: ["--emperor-broodlord", "2", ...args],
    prepare: (run) => {
      writeFileSync(join(run.path, "app.mjs"), APP);
      run.put("site.ini", config(run));
    },
  });
  await waitFor("the site", () => existsSync(join(emperor.run.path, "fifo")), {
    witness: { onChange: () => () => undefined, account: () => emperor.log() },
  });
  return emperor;
}

/** An operator asks for help in the site's name. */
function order(emperor: EmperorUnderTest): void {
  writeFileSync(join(emperor.run.path, "fifo"), "B");
}

async function answerOf(emperor: EmperorUnderTest): Promise<string> {
  return (await get({ socketPath: join(emperor.run.path, "site.sock"), path: "/" })).body;
}

async function zergs(emperor: EmperorUnderTest, count: number): Promise<readonly number[]> {
  return waitFor(`${count} zergs that accept`, async () => {
    const all = (await emperor.stats()).vassals.filter(({ zerg }) => zerg === 1);
    if (all.length !== count || all.some(({ accepting }) => accepting !== 1)) return undefined;
    return all.map(({ zerg_number: number = 0 }) => number);
  });
}

describe.each([
  ["in a file", [] as string[], "site.ini:zerg"],
  ["pushed", ["--emperor-force-config-pipe"], "emperor://site.ini:zerg"],
])("a config %s", (_where, args, name) => {
  it("has reinforcements that serve, carry numbers, are renewed and leave with it", async () => {
    const emperor = await governed(...args);
    order(emperor);
    expect(await zergs(emperor, 1)).toEqual([1]);
    await emperor.logged(/going in broodlord mode: launching zergs for site\.ini/);
    await emperor.logged(/vassal site\.ini:zerg is ready to accept requests \(zerg 1\)/);
    const [zerg] = (await emperor.stats()).vassals.filter((vassal) => vassal.zerg === 1);
    expect(zerg).toMatchObject({ id: "site.ini:zerg", on_demand: "" });
    expect(emperor.run.processes().find(({ pid }) => pid === zerg?.pid)?.command).toContain(name);
    await waitFor(
      "an answer of the zerg",
      async () => (await answerOf(emperor)) === `by ${zerg?.pid}`,
    );
    order(emperor);
    expect(await zergs(emperor, 2)).toEqual([1, 2]);
    order(emperor);
    await emperor.logged(/asks for reinforcements and gets none: there are 2 zergs already/);
    emperor.run.put("site.ini", `${config(emperor.run)}; changed\n`);
    await waitFor("new ones in their place", async () => {
      const numbers = await zergs(emperor, 2);
      return numbers.every((number) => number > 2);
    });
    emperor.remove("site.ini");
    await waitFor("an empty list", async () => (await emperor.stats()).vassals.length === 0);
  });
});

uwsgiTest("the real uWSGI reads its zerg section from a pushed config", async () => {
  const emperor = await startEmperor({
    wrapper: null,
    args: [
      "--binary-path",
      realUwsgi ?? "",
      "--emperor-broodlord",
      "1",
      "--emperor-force-config-pipe",
    ],
    prepare: (run) => {
      const path = (name: string): string => join(run.path, name);
      const common = ["plugin = python3", "master = true", `wsgi-file = ${path("app.py")}`];
      writeFileSync(path("app.py"), "def application(e, s):\n  s('200 OK', [])\n  return [b'x']\n");
      run.put(
        "site.ini",
        [
          ...["[uwsgi]", ...common, `socket = ${path("s.sock")}`],
          ...[`zerg-server = ${path("z.sock")}`, `master-fifo = ${path("fifo")}`],
          ...["[zerg]", ...common, `zerg = ${path("z.sock")}`, ""],
        ].join("\n"),
      );
    },
  });
  await waitFor("the site", () => existsSync(join(emperor.run.path, "fifo")));
  order(emperor);
  expect(await zergs(emperor, 1)).toEqual([1]);
});

it("a vassal without a [zerg] section that asks again and again is answered seldom", async () => {
  const emperor = await governed();
  emperor.run.put("site.ini", config(emperor.run).replace(/\[zerg\][^]*/, ""));
  await emperor.logged(/reload the uwsgi instance site\.ini/);
  for (let count = 0; count < 20; count++) {
    order(emperor);
    await emperor.logged(/going in broodlord mode/);
    await new Promise((resolve) => setImmediate(resolve));
  }
  await emperor.logged(
    /vassal site\.ini:zerg ended unexpectedly|curse the uwsgi instance site\.ini:zerg/,
  );
  expect(emperor.log().match(/going in broodlord mode/g)?.length).toBeLessThan(20);
  await waitFor("the site to answer", async () => (await answerOf(emperor)).startsWith("by "));
});

it("make demo-autoscale: a site grows under load and shrinks again, and no request fails", async () => {
  const demo = spawn(process.execPath, [DEMO], { stdio: ["ignore", "pipe", "inherit"] });
  let said = "";
  demo.stdout.on("data", (chunk: Buffer) => (said += chunk.toString()));
  const code = await new Promise((resolve) => demo.once("close", resolve));
  expect(said).toMatch(/grew: yes {3}shrank: yes {3}answers: \d+ {3}failures: 0/);
  expect(code).toBe(0);
}, 400_000);
