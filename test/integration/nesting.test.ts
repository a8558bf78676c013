/** Emperors under Emperors: ours and the real uWSGI's, as deep as one likes. */
import { createServer } from "node:net";
import { mkdirSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { expect, inject, onTestFinished, test } from "vitest";
import { emperorCommand, newRun, startEmperor } from "../harness/emperor.ts";
import type { EmperorUnderTest, Run, StartOptions } from "../harness/emperor.ts";
import { realUwsgi, uwsgiTest } from "../harness/privileges.ts";
import { exchange } from "../harness/sockets.ts";
import type { StatsDocument } from "@emperor/protocol";

const OURS = join(import.meta.dirname, "../../bin/emperor");
const LEAF = "[uwsgi]\nbehaviour = loyal\n";

/** The config of an Emperor that governs the folder `name` of the run with fixture vassals. */
function subEmperor(run: Run, name: string, wrapper: string, more: readonly string[] = []): string {
  const folder = join(run.path, name);
  mkdirSync(folder, { recursive: true });
  const lines = [
    `emperor = ${folder}`,
    `emperor-wrapper = ${wrapper}`,
    `emperor-stats = ${join(run.path, `${name}.sock`)}`,
    "emperor-freq = 1",
    ...more,
  ];
  return `[uwsgi]\n${lines.join("\n")}\n`;
}

async function statsOf(run: Run, name: string): Promise<StatsDocument> {
  return JSON.parse(await exchange(join(run.path, `${name}.sock`))) as StatsDocument;
}

/** outer (ours) -> sub.ini (ours) -> leaf.ini. */
async function twoLevels(options: StartOptions = {}): Promise<EmperorUnderTest> {
  const run = newRun();
  run.put("sub.ini", subEmperor(run, "inner", inject("fixtureVassal")));
  run.put(join(run.path, "inner/leaf.ini"), LEAF);
  return startEmperor({ wrapper: OURS, ...options }, run);
}

test("three Emperors deep: loyal, shown as a tree, reloads and stops go down to the leaves", async () => {
  const run = newRun();
  run.put("middle.ini", subEmperor(run, "middle", OURS));
  run.put(join(run.path, "middle/inner.ini"), subEmperor(run, "inner", inject("fixtureVassal")));
  run.put(join(run.path, "inner/leaf.ini"), LEAF);
  const outer = await startEmperor({ wrapper: OURS }, run);
  const leaf = await outer.started("leaf.ini");
  const middle = await outer.vassalWith("middle.ini", { ready: 1, loyal: 1, accepting: 0 });
  const tree = await outer.wait("the tree in the statistics", async () => {
    const [second, third] = [await statsOf(run, "middle"), await statsOf(run, "inner")];
    if (second.vassals[0]?.loyal !== 1 || third.vassals[0]?.loyal !== 1) return undefined;
    return { second, third };
  });
  expect((await outer.stats()).superior).toBeUndefined();
  expect(tree.second).toMatchObject({ pid: middle.pid, superior: { pid: outer.pid } });
  expect(tree.third.superior).toEqual({ pid: middle.pid });
  expect(tree.second.vassals[0]?.pid).toBe(tree.third.pid);
  expect(tree.third.vassals[0]?.pid).toBe(leaf.pid);

  outer.touch("middle.ini");
  await outer.received("leaf.ini", 1);
  expect(await outer.vassalWith("middle.ini", { ready: 1, respawns: 1 })).toMatchObject({
    pid: middle.pid,
  });

  outer.remove("middle.ini");
  await outer.received("leaf.ini", 0);
  await outer.forgotten("middle.ini");
  for (const pid of [leaf.pid, tree.third.pid, middle.pid]) await outer.gone(pid);
});

test("dies with its vassals when its Emperor is killed", async () => {
  const outer = await twoLevels();
  const leaf = await outer.started("leaf.ini");
  const sub = await outer.vassalWith("sub.ini", { loyal: 1 });
  outer.signal("SIGKILL");
  await outer.ended();
  await outer.gone(sub.pid);
  await outer.gone(leaf.pid);
});

test("whose options have changed starts anew in the same process; wrong ones change nothing", async () => {
  const outer = await twoLevels();
  const leaf = await outer.started("leaf.ini");
  const { pid } = await outer.vassalWith("sub.ini", { loyal: 1 });
  const wrapper = inject("fixtureVassal");
  outer.put("sub.ini", subEmperor(outer.run, "inner", wrapper, ["emperor-max-starting = none"]));
  await outer.logged(/cannot be used now: .*emperor-max-starting.*; nothing is reloaded/);
  expect(outer.run.reports.of("received", "leaf.ini")).toEqual([]);
  outer.put("sub.ini", subEmperor(outer.run, "second", wrapper));
  outer.put(join(outer.run.path, "second/other.ini"), LEAF);
  await outer.started("other.ini");
  await outer.gone(leaf.pid);
  const after = await outer.wait("the new statistics", () => statsOf(outer.run, "second"));
  expect(after).toMatchObject({ pid, superior: { pid: outer.pid } });
  await outer.vassalWith("sub.ini", { pid, ready: 1, loyal: 1 });
});

test("the vassal runtime becomes an Emperor where its config asks for one", async () => {
  const outer = await twoLevels({ wrapper: null });
  const leaf = await outer.started("leaf.ini");
  const sub = await outer.vassalWith("sub.ini", { ready: 1, loyal: 1 });
  expect((await statsOf(outer.run, "inner")).pid).toBe(sub.pid);
  outer.touch("sub.ini");
  await outer.received("leaf.ini", 1);
  outer.remove("sub.ini");
  await outer.received("leaf.ini", 0);
  await outer.gone(sub.pid);
  await outer.gone(leaf.pid);
});

uwsgiTest("ours under the real uWSGI's Emperor", async () => {
  const outer = await twoLevels({ program: realUwsgi ?? "" });
  const leaf = await outer.started("leaf.ini");
  const sub = await outer.vassalWith("sub.ini", { ready: 1, loyal: 1 });
  expect((await statsOf(outer.run, "inner")).superior).toEqual({ pid: outer.pid });
  // uWSGI sees whole seconds only.
  const later = new Date(Date.now() + 10_000);
  utimesSync(outer.run.at("sub.ini"), later, later);
  await outer.received("leaf.ini", 1);
  outer.remove("sub.ini");
  await outer.received("leaf.ini", 0);
  await outer.gone(sub.pid);
  await outer.gone(leaf.pid);
});

uwsgiTest("the real uWSGI's under ours", async () => {
  const outer = await twoLevels({ wrapper: realUwsgi ?? "" });
  const leaf = await outer.started("leaf.ini");
  const sub = await outer.vassalWith("sub.ini", { loyal: 1 });
  outer.remove("sub.ini");
  await outer.forgotten("sub.ini");
  await outer.gone(sub.pid);
  await outer.gone(leaf.pid);
});

test("a variable that names no channel is told of, and nobody is waited for", async () => {
  const emperor = await startEmperor({
    vassals: { "a.ini": LEAF },
    env: { UWSGI_EMPEROR_FD: "987" },
  });
  await emperor.vassalWith("a.ini", { loyal: 1 });
  await emperor.logged(/no Emperor above this one: descriptor 987/);
});

test("a lent channel: the borrower is the vassal from then on", async () => {
  const run = newRun();
  const proxy = join(run.path, "proxy.sock");
  const wrapper = inject("fixtureVassal");
  run.put("lender.ini", subEmperor(run, "lender", wrapper, [`emperor-proxy-socket = ${proxy}`]));
  const outer = await startEmperor(
    { wrapper: OURS, args: ["--emperor-curse-tolerance", "1"] },
    run,
  );
  await outer.logged(`Emperor proxy socket enabled on ${proxy}`);
  const borrower = await startEmperor({
    vassals: { "leaf.ini": LEAF },
    env: { UWSGI_EMPEROR_PROXY: proxy },
  });
  await outer.logged("the channel of the Emperor above is lent");
  const leaf = await borrower.started("leaf.ini");
  await outer.vassalWith("lender.ini", { loyal: 1 });
  expect((await borrower.stats()).superior).toEqual({ pid: outer.pid });
  outer.touch("lender.ini");
  await borrower.received("leaf.ini", 1);
  outer.remove("lender.ini");
  await borrower.received("leaf.ini", 0);
  expect(await borrower.ended()).toEqual({ code: 0, signal: null });
  await borrower.gone(leaf.pid);
  await outer.forgotten("lender.ini");
});

const BAD_PROXIES: readonly (readonly [string, string | undefined, RegExp])[] = [
  ["hangs", undefined, /accepts and says nothing/],
  ["answers garbage", "uwsgi-zerg\u0001\0\0\0", /not that of an Emperor proxy/],
  ["promises and gives nothing", "uwsgi-emperor\u0001\0\0\0", /not that of an Emperor proxy/],
];

test.each(BAD_PROXIES)("a proxy that %s ends the start", async (_what, answer, message) => {
  const run = newRun();
  const path = join(run.path, "bad.sock");
  const server = createServer((socket) => {
    socket.on("error", () => undefined);
    if (answer !== undefined) socket.end(answer);
  }).listen(path);
  onTestFinished(() => void server.close());
  const { code, output } = await emperorCommand(
    ["--emperor", "{vassals}", "--emperor-proxy-timeout", "1"],
    { env: { UWSGI_EMPEROR_PROXY: path } },
    run,
  );
  expect({ code, output }).toEqual({ code: 111, output: expect.stringMatching(message) as string });
});

test("a proxy that is not there ends the start after its time", async () => {
  const { code, output } = await emperorCommand(
    ["--emperor", "{vassals}", "--emperor-proxy-timeout", "1"],
    { env: { UWSGI_EMPEROR_PROXY: "{dir}/nobody.sock" } },
  );
  expect(code).toBe(111);
  expect(output).toMatch(/UWSGI_EMPEROR_PROXY = .*nobody.sock: .*ENOENT.*nothing is started/);
});
