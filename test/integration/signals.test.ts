/** What an operator tells a running Emperor by signals. */
import { expect, test } from "vitest";
import { vassalConfig } from "../harness/configs.ts";
import { startEmperor } from "../harness/emperor.ts";

const loyal = vassalConfig("loyal");

test("SIGHUP reloads every vassal in its process", async () => {
  const emperor = await startEmperor({ vassals: { "a.ini": loyal, "b.ini": loyal } });
  const a = await emperor.vassalWith("a.ini", { loyal: 1 });
  const b = await emperor.vassalWith("b.ini", { loyal: 1 });
  emperor.signal("SIGHUP");
  await emperor.received("a.ini", 1);
  await emperor.received("b.ini", 1);
  await emperor.vassalWith("a.ini", { pid: a.pid, respawns: 1 });
  await emperor.vassalWith("b.ini", { pid: b.pid, respawns: 1 });
});

test("after SIGHUP a touched config is still noticed", async () => {
  const emperor = await startEmperor({ vassals: { "a.ini": loyal } });
  await emperor.vassalWith("a.ini", { loyal: 1 });
  emperor.signal("SIGHUP");
  await emperor.received("a.ini", 1);
  emperor.touch("a.ini");
  await emperor.received("a.ini", 1, 2);
});

test("SIGUSR1 logs one line per vassal", async () => {
  const emperor = await startEmperor({
    vassals: { "a.ini": loyal, "shy.ini": vassalConfig("never-loyal") },
  });
  await emperor.vassalWith("a.ini", { loyal: 1 });
  await emperor.vassalWith("shy.ini", { accepting: 1 });
  emperor.signal("SIGUSR1");
  await emperor.logged(/vassal instance a\.ini \(last modified \d+\) status 0 loyal 1 zerg 0/);
  await emperor.logged(/vassal instance shy\.ini \(last modified \d+\) status 0 loyal 0 zerg 0/);
});

test("SIGWINCH looks again at once", async () => {
  // A glob over two levels: whatever the hints cover, the signal has to find it.
  const emperor = await startEmperor({ frequencySeconds: 600 });
  emperor.put("a.ini", loyal);
  emperor.signal("SIGWINCH");
  await emperor.vassalWith("a.ini", { loyal: 1 });
});

test("signals during the life of a vassal do no harm, SIGPIPE and SIGCHLD neither", async () => {
  const emperor = await startEmperor({ vassals: { "a.ini": loyal } });
  const { pid } = await emperor.vassalWith("a.ini", { loyal: 1 });
  for (const signal of ["SIGPIPE", "SIGCHLD", "SIGURG", "SIGUSR1", "SIGWINCH"] as const)
    emperor.signal(signal);
  await emperor.fence();
  expect((await emperor.vassal("a.ini"))?.pid).toBe(pid);
  expect(emperor.run.reports.of("received", "a.ini")).toEqual([]);
});
