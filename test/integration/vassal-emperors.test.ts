/**
 * `vassal` as the vassal of our Emperor and of the real uWSGI's, by the same tests: whoever moves from one
 * to the other finds that nothing changes.
 */
import { renameSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { startEmperor } from "../harness/emperor.ts";
import type { EmperorUnderTest, StartOptions } from "../harness/emperor.ts";
import { realUwsgi, uwsgiPluginTest, uwsgiTest } from "../harness/privileges.ts";
import { childrenOf, isAlive } from "../harness/processes.ts";
import { TinyPostgres } from "./tiny-postgres.ts";
import { get, load, freePort } from "./vassal-harness.ts";
import type { Answer } from "./vassal-harness.ts";

const VASSAL = join(import.meta.dirname, "../../bin/vassal");

/** Tells which process and which version answers; `/hang` blocks the event loop for good. */
const APP = `
export default (request, response) => {
  if (request.url === "/hang") for (;;);
  response.end(process.pid + " " + process.ppid + " " + process.env.VERSION);
};
`;

interface Governed {
  readonly emperor: EmperorUnderTest;
  readonly url: string;
  /** Writes the config anew. */
  readonly config: (version: string) => void;
  readonly ask: (path?: string) => Promise<Answer>;
  /** What answers: process, its parent, version. */
  readonly asked: () => Promise<AnswerOfApp>;
}

interface AnswerOfApp {
  readonly pid: number;
  readonly ppid: number;
  readonly version: string;
}

async function govern(lines: string, options: StartOptions): Promise<Governed> {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}/`;
  const text = (version: string, folder: string): string =>
    `[uwsgi]\nhttp-socket = 127.0.0.1:${port}\nnode-app = ${folder}/app.mjs\nenv = VERSION=${version}\n${lines}\n`;
  const emperor = await startEmperor({
    wrapper: null,
    ...options,
    args: ["--binary-path", VASSAL, ...(options.args ?? [])],
    prepare: (run) => {
      writeFileSync(join(run.path, "app.mjs"), APP);
      run.put("app.ini", text("one", run.path));
    },
  });
  const ask = (path = ""): Promise<Answer> => get(`${url}${path}`);
  return {
    emperor,
    url,
    ask,
    config: (version) => {
      const aside = join(emperor.run.path, "aside.ini");
      writeFileSync(aside, text(version, emperor.run.path));
      // uWSGI compares whole seconds, and only with what it saw before.
      const later = Date.now() / 1000 + 5;
      utimesSync(aside, later, later);
      renameSync(aside, join(emperor.run.vassals, "app.ini"));
    },
    asked: () => askApp(url),
  };
}

async function askApp(url: string): Promise<AnswerOfApp> {
  const { body } = await get(url);
  const [pid = "", ppid = "", version = ""] = body.split(" ");
  return { pid: Number(pid), ppid: Number(ppid), version };
}

function childPids(pid: number): number[] {
  return childrenOf(pid).map((child) => child.pid);
}

const EMPERORS = [
  { name: "this Emperor", define: test, program: {} },
  {
    name: "the real uWSGI's Emperor",
    define: uwsgiTest,
    program: { program: realUwsgi ?? "uwsgi" },
  },
] as const;
const KINDS = [
  ["one process", ""],
  ["a master with workers", "processes = 2"],
] as const;

describe.each(EMPERORS)("vassal under $name", ({ define, program }) => {
  for (const [kind, lines] of KINDS) {
    define(`${kind}: is ready, accepts, and is loyal with the first request`, async () => {
      const { emperor, asked } = await govern(lines, program);
      const up = await emperor.vassalWith("app.ini", { ready: 1, accepting: 1 });
      expect(up.loyal).toBe(0);
      const { pid, ppid } = await asked();
      expect(lines === "" ? pid : ppid).toBe(up.pid);
      await emperor.vassalWith("app.ini", { loyal: 1, pid: up.pid });
    });

    define(`${kind}: is reloaded in the same process, and no request is lost`, async () => {
      const { emperor, url, config, asked } = await govern(lines, program);
      const { pid } = await emperor.vassalWith("app.ini", { accepting: 1 });
      const before = await asked();
      const clients = load(url, 4);
      config("two");
      await emperor.wait(
        "an answer of the new version",
        async () => (await asked()).version === "two",
      );
      const { answers, failures } = await clients.stop();
      expect(failures).toEqual([]);
      expect(answers).toBeGreaterThan(0);
      const after = await emperor.vassalWith("app.ini", { accepting: 1, loyal: 1 });
      expect(after.pid).toBe(pid);
      if (lines !== "") await emperor.gone(before.pid);
    });

    define(`${kind}: is stopped with all its processes when its config goes`, async () => {
      const { emperor, asked } = await govern(lines, program);
      const { pid } = await emperor.vassalWith("app.ini", { accepting: 1 });
      await asked();
      const all = [pid, ...childPids(pid)];
      expect(all).toHaveLength(lines === "" ? 1 : 3);
      emperor.remove("app.ini");
      for (const gone of all) await emperor.gone(gone);
      await emperor.forgotten("app.ini");
    });

    define(`${kind}: is respawned when it is killed`, async () => {
      const { emperor, asked } = await govern(lines, program);
      const { pid } = await emperor.vassalWith("app.ini", { accepting: 1 });
      await asked();
      await emperor.vassalWith("app.ini", { loyal: 1, pid });
      process.kill(pid, "SIGKILL");
      const next = await emperor.wait(
        "another process",
        async () => {
          const vassal = await emperor.vassal("app.ini");
          return vassal?.accepting === 1 && vassal.pid !== pid && vassal;
        },
        30_000,
      );
      const answer = await asked();
      expect(lines === "" ? answer.pid : answer.ppid).toBe(next.pid);
    });

    define(`${kind}: beats, and is replaced when its event loop hangs`, async () => {
      const { emperor, ask } = await govern(`heartbeat = 1\n${lines}`, {
        ...program,
        args: ["--emperor-required-heartbeat", "3", "--emperor-curse-tolerance", "1"],
      });
      const { last_heartbeat: first } = await emperor.wait("a heartbeat", async () => {
        const vassal = await emperor.vassal("app.ini");
        return (vassal?.last_heartbeat ?? 0) > 0 && vassal;
      });
      const { pid } = await emperor.wait("a later heartbeat", async () => {
        const vassal = await emperor.vassal("app.ini");
        return (vassal?.last_heartbeat ?? 0) > (first ?? 0) && vassal;
      });
      const hung = ask("hang").catch(() => undefined);
      await emperor.wait("the end of the one that hangs", () => !isAlive(pid) && true, 40_000);
      await hung;
      await emperor.wait(
        "another one that accepts",
        async () => {
          const vassal = await emperor.vassal("app.ini");
          return vassal?.accepting === 1 && vassal.pid !== pid;
        },
        40_000,
      );
    });

    define(`${kind}: is stopped when it says that nobody needs it`, async () => {
      const { emperor } = await govern(`idle = 0.5\ndie-on-idle = true\n${lines}`, program);
      const { pid } = await emperor.wait("its process", async () => {
        const vassal = await emperor.vassal("app.ini");
        return (vassal?.pid ?? 0) > 1 && vassal;
      });
      await emperor.gone(pid);
      expect(emperor.log()).toMatch(/told the Emperor that this vassal is not needed/);
      expect(emperor.log()).toContain("stop the uwsgi instance app.ini");
    });
  }

  define("ends with the Emperor, however that one ends", async () => {
    const { emperor } = await govern("processes = 2", program);
    const { pid } = await emperor.vassalWith("app.ini", { accepting: 1 });
    const all = [pid, ...childPids(pid)];
    expect(all).toHaveLength(3);
    emperor.signal("SIGKILL");
    expect(await emperor.ended()).toEqual({ code: null, signal: "SIGKILL" });
    for (const gone of all) await emperor.gone(gone);
  });

  define(
    "with a config that cannot be used is tried again, and runs when it is mended",
    async () => {
      const { emperor, config, asked } = await govern("processes = 2", program);
      await emperor.vassalWith("app.ini", { accepting: 1 });
      emperor.put("broken.ini", "[uwsgi]\nhttp-socket = 127.0.0.1:http\nnode-app = nowhere.mjs\n");
      await emperor.wait("its message", () => emperor.log().includes('"http" is no port'));
      emperor.remove("broken.ini");
      config("two");
      await emperor.wait("its neighbour", async () => (await asked()).version === "two");
    },
  );
});

const pgTest = uwsgiPluginTest("emperor_pg", "uwsgi-plugin-emperor-pg");

describe("the config pipe", () => {
  const pushed = (version: string, port: number): string =>
    `[uwsgi]\nhttp-socket = 127.0.0.1:${port}\nnode-app = {dir}/app.mjs\nenv = VERSION=${version}\n`;

  for (const [kind, lines] of KINDS) {
    test(`${kind}: brings the config of this Emperor, and each new version`, async () => {
      const port = await freePort();
      const emperor = await startEmperor({
        wrapper: null,
        args: ["--binary-path", VASSAL, "--emperor-force-config-pipe"],
        prepare: (run) => {
          writeFileSync(join(run.path, "app.mjs"), APP);
          run.put("app.ini", pushed("one", port).replace("{dir}", run.path) + lines);
        },
      });
      let last = "one";
      await followVersions(emperor, port, (version) => {
        if (version === last) return;
        last = version;
        emperor.put("app.ini", pushed(version, port).replace("{dir}", emperor.run.path) + lines);
      });
    });

    pgTest(
      `${kind}: brings the config of the real uWSGI's Emperor, and each new version`,
      async () => {
        const port = await freePort();
        await using database = await TinyPostgres.create();
        const where = `host=127.0.0.1 port=${database.port} user=emperor dbname=vassals`;
        const emperor = await startEmperor({
          wrapper: null,
          program: realUwsgi ?? "uwsgi",
          monitors: [`pg://${where};SELECT name, config, ts FROM vassals`],
          args: ["--plugin", "emperor_pg", "--binary-path", VASSAL],
          prepare: (run) => writeFileSync(join(run.path, "app.mjs"), APP),
        });
        let last = "";
        let changedAt = Math.floor(Date.now() / 1000);
        await followVersions(emperor, port, (version) => {
          if (version === last) return;
          last = version;
          changedAt += 10;
          const config = pushed(version, port).replace("{dir}", emperor.run.path) + lines;
          database.rows = [["app.ini", config, String(changedAt)]];
        });
        database.rows = [];
        await emperor.forgotten("app.ini");
      },
    );
  }
});

/** `push` is told each version until it is there; all of them are served by one process. */
async function followVersions(
  emperor: EmperorUnderTest,
  port: number,
  push: (version: string) => void,
): Promise<void> {
  const pids = new Set<number | undefined>();
  for (const version of ["one", "two", "three"]) {
    await emperor.wait(
      `version ${version}`,
      async () => {
        push(version);
        return (await askApp(`http://127.0.0.1:${port}/`)).version === version;
      },
      60_000,
    );
    pids.add((await emperor.vassalWith("app.ini", { accepting: 1 })).pid);
  }
  expect(pids.size).toBe(1);
}
