/** When the Emperor dies, in any way, its vassals and all that they started die with it. */
import { join } from "node:path";
import { writeFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { startEmperor } from "../harness/emperor.ts";
import type { EmperorUnderTest } from "../harness/emperor.ts";
import { otherUserTest, realUwsgi, rootTest, uwsgiTest } from "../harness/privileges.ts";
import { childrenOf, isAlive, processInfo, signalTo } from "../harness/processes.ts";
import { ANN, findingsOf, plant, plantScript, startScripts, startTyrant } from "./tenants.ts";

/**
 * Deaf to everything, without a channel, with a child in a session of its own and an orphan in another:
 * nothing that a signal to a process, a group or a session could reach.
 */
const FUGITIVES = `trap '' TERM INT HUP QUIT
exec 3>&-
setsid sh -c 'echo $$; exec sleep 1000 >/dev/null' &
setsid sh -c '(sh -c "echo \\$\\$; exec sleep 1000 >/dev/null" &)'
echo $$
while ! [ "$(wc -l < "$OUT")" = 3 ]; do sleep 0.05; done
echo done
while :; do sleep 1000 >/dev/null; done
`;

async function fugitives(emperor: EmperorUnderTest): Promise<readonly number[]> {
  const pids = (await findingsOf(emperor, "a.ini")).map(Number);
  expect(pids).toHaveLength(3);
  for (const pid of pids) expect(isAlive(pid), `${pid}`).toBe(true);
  return pids;
}

async function killed(emperor: EmperorUnderTest, pids: readonly number[]): Promise<void> {
  emperor.signal("SIGKILL");
  await emperor.ended();
  for (const pid of pids) await emperor.gone(pid);
}

function start(args: readonly string[]): Promise<EmperorUnderTest> {
  return startScripts({
    args,
    stats: "{dir}/out/stats.sock",
    prepare: (run) => {
      plantScript(run, "a.ini", `OUT=${run.path}/out/a.ini\n${FUGITIVES}`, ANN);
    },
  });
}

describe("kill -9 of the Emperor ends everything", () => {
  rootTest("in Tyrant mode", async () => {
    const emperor = await start([]);
    await killed(emperor, await fugitives(emperor));
  });

  rootTest("with pid namespaces", async () => {
    const emperor = await start(["--emperor-use-clone", "pid,fs,ipc,uts"]);
    const { pid } = await emperor.wait("the vassal", () => emperor.vassal("a.ini"));
    await findingsOf(emperor, "a.ini");
    const inside = emperor.run.processes().filter((info) => info.pid !== emperor.pid);
    expect(inside.length).toBeGreaterThan(2);
    await killed(emperor, [pid, ...inside.map((info) => info.pid)]);
  });

  otherUserTest(
    "of one that left root and kept setuid and setgid, which may not signal them",
    async () => {
      const emperor = await start(["--uid", "61003", "--gid", "61003", "--cap", "setgid,setuid"]);
      expect(processInfo(emperor.pid)).toBeDefined();
      expect((await emperor.stats()).uid).toBe(61_003);
      await killed(emperor, await fugitives(emperor));
    },
  );

  test("without any privilege or mode", async () => {
    const emperor = await startTyrantless();
    await killed(emperor, await fugitives(emperor));
  });

  uwsgiTest("with a real uWSGI and its workers", async () => {
    const emperor = await startTyrant({
      wrapper: null,
      args: ["--binary-path", realUwsgi ?? "", "--vassal-env-keep", "EMPEROR_TEST_RUN"],
      prepare: (run) => {
        writeFileSync(
          join(run.path, "app.py"),
          "def application(e, s):\n    s('200 OK', [])\n    return [b'x']\n",
        );
        plant(
          run,
          "app.ini",
          `[uwsgi]\nplugin = python3\nmaster = true\nprocesses = 2\nwsgi-file = ${run.path}/app.py\nsocket = 127.0.0.1:0\nattach-daemon = setsid sleep 1000\n`,
          ANN,
        );
      },
    });
    const { pid } = await emperor.vassalWith("app.ini", { accepting: 1 });
    const workers = childrenOf(pid).map((info) => info.pid);
    expect(workers.length).toBeGreaterThan(2);
    await killed(emperor, [pid, ...workers]);
  });
});

/** The same with no mode at all, as whoever runs the tests. */
function startTyrantless(): Promise<EmperorUnderTest> {
  return startEmperor({
    wrapper: "{dir}/fugitives",
    prepare: (run) => {
      const out = join(run.path, "out");
      writeFileSync(
        join(run.path, "fugitives"),
        `#!/bin/sh\nmkdir -p ${out}\nOUT=${out}/a.ini\nexec > $OUT\n${FUGITIVES}`,
        { mode: 0o755 },
      );
      run.put("a.ini", "[uwsgi]\n");
    },
  });
}

otherUserTest(
  "an Emperor that may not signal its vassals stops a deaf one nevertheless",
  async () => {
    const emperor = await start([
      ...["--uid", "61003", "--gid", "61003", "--cap", "setgid,setuid"],
      ...["--emperor-curse-tolerance", "1"],
    ]);
    await fugitives(emperor);
    const { pid } = await emperor.wait("the vassal", () => emperor.vassal("a.ini"));
    emperor.remove("a.ini");
    await emperor.gone(pid);
    await emperor.forgotten("a.ini");
    expect(emperor.log()).not.toContain("EPERM");
  },
);

rootTest(
  "as the first process of a container it buries orphans, hears signals and ends with its status",
  async () => {
    const emperor = await startScripts({
      launcher: ["unshare", "--pid", "--fork", "--mount-proc"],
      args: ["--reload-mercy", "1"],
      prepare: (run) => {
        const orphan = `while ! [ -e ${run.path}/out/go ]; do sleep 0.05; done # orphan`;
        plantScript(
          run,
          "a.ini",
          `(sh -c '${orphan}' >/dev/null &)\necho done\nexec sleep 1000 >/dev/null\n`,
          ANN,
        );
      },
    });
    await findingsOf(emperor, "a.ini");
    const [init] = childrenOf(emperor.pid);
    const first = init?.pid ?? -1;
    const orphan = await emperor.wait("the orphan at the first process", () =>
      childrenOf(first).find(({ command }) => command.includes("# orphan")),
    );
    writeFileSync(join(emperor.run.path, "out/go"), "");
    // Not a zombie: no process at all.
    await emperor.wait("its burial", () => processInfo(orphan.pid) === undefined);
    signalTo(first, "SIGTERM");
    expect(await emperor.ended()).toEqual({ code: 0, signal: null });
  },
);
