/** The real uWSGI, as Debian packages it, as the vassal of our Emperor. */
import { request } from "node:http";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect } from "vitest";
import { startEmperor } from "../harness/emperor.ts";
import type { EmperorUnderTest, Run, StartOptions } from "../harness/emperor.ts";
import { realUwsgi, uwsgiTest } from "../harness/privileges.ts";
import { childrenOf, isAlive, signalTo } from "../harness/processes.ts";

const APPLICATION = `
import json, os, time
born = time.monotonic_ns()
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps({"born": born, "pid": os.getpid(), "ppid": os.getppid(), "note": os.environ.get("NOTE", "")}).encode()]
`;

interface Answer {
  readonly born: number;
  readonly pid: number;
  readonly ppid: number;
  readonly note: string;
}

function config(run: Run, note = "first", more: readonly string[] = []): string {
  const lines = [
    ...[
      "[uwsgi]",
      "plugin = python3",
      "master = true",
      "processes = 1",
      "no-orphans = true",
      "disable-logging = true",
    ],
    ...[
      `http-socket = ${join(run.path, "app.sock")}`,
      `wsgi-file = ${join(run.path, "app.py")}`,
      `env = NOTE=${note}`,
    ],
    ...more,
  ];
  return `${lines.join("\n")}\n`;
}

/** An Emperor of real uWSGI instances; `app.ini` is there. */
function governUwsgi(options: StartOptions = {}): Promise<EmperorUnderTest> {
  return startEmperor({
    wrapper: null,
    ...options,
    args: ["--binary-path", realUwsgi ?? "", ...(options.args ?? [])],
    prepare: (run) => {
      writeFileSync(join(run.path, "app.py"), APPLICATION);
      run.put("app.ini", config(run));
      options.prepare?.(run);
    },
  });
}

function ask(emperor: EmperorUnderTest): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const call = request(
      { socketPath: join(emperor.run.path, "app.sock"), path: "/", timeout: 30_000 },
      (response) => {
        let body = "";
        response.setEncoding("utf8");
        response.on("data", (chunk: string) => (body += chunk));
        response.on("end", () => {
          if (response.statusCode === 200) resolve(JSON.parse(body) as Answer);
          else reject(new Error(`status ${response.statusCode}: ${body}`));
        });
      },
    );
    call.on("timeout", () => call.destroy(new Error("no answer")));
    call.on("error", reject);
    call.end();
  });
}

describe("a real uWSGI", () => {
  uwsgiTest("is ready and accepting when it is up, loyal with the first request", async () => {
    const emperor = await governUwsgi();
    const up = await emperor.vassalWith("app.ini", { ready: 1, accepting: 1 });
    expect(up.loyal).toBe(0);
    expect((await ask(emperor)).ppid).toBe(up.pid);
    await emperor.vassalWith("app.ini", { loyal: 1, pid: up.pid });
  });

  uwsgiTest(
    "is reloaded by a touch in the same master and refuses no request meanwhile",
    async () => {
      const emperor = await governUwsgi();
      const { pid } = await emperor.vassalWith("app.ini", { accepting: 1 });
      const { born } = await ask(emperor);
      emperor.touch("app.ini");
      // Every single request of the reload must be answered.
      const answers: Answer[] = [];
      const refused: unknown[] = [];
      await emperor.wait(
        "an answer of the new workers",
        async () => {
          await ask(emperor).then(
            (answer) => answers.push(answer),
            (error: unknown) => refused.push(error),
          );
          return refused.length > 0 || answers.at(-1)?.born !== born;
        },
        30_000,
      );
      expect(refused).toEqual([]);
      expect(answers.map((answer) => answer.ppid)).toEqual(answers.map(() => pid));
      await emperor.vassalWith("app.ini", { accepting: 1, respawns: 1, pid });
    },
  );

  uwsgiTest("is stopped with its workers when its config goes", async () => {
    const emperor = await governUwsgi();
    const { pid } = await emperor.vassalWith("app.ini", { accepting: 1 });
    const workers = childrenOf(pid).map((info) => info.pid);
    expect(workers).toHaveLength(1);
    emperor.remove("app.ini");
    for (const gone of [pid, ...workers]) await emperor.gone(gone);
    await emperor.forgotten("app.ini");
  });

  uwsgiTest("gets a changed config through the config pipe, each version once", async () => {
    const emperor = await governUwsgi({ args: ["--emperor-force-config-pipe"] });
    const { pid } = await emperor.vassalWith("app.ini", { accepting: 1 });
    expect((await ask(emperor)).note).toBe("first");
    for (const note of ["second", "third"]) {
      emperor.put("app.ini", config(emperor.run, note));
      await emperor.wait(
        `an answer with ${note}`,
        async () => (await ask(emperor)).note === note,
        30_000,
      );
    }
    expect((await emperor.vassal("app.ini"))?.pid).toBe(pid);
  });

  uwsgiTest("whose master is killed serves again soon, with a new one", async () => {
    const emperor = await governUwsgi();
    await emperor.vassalWith("app.ini", { accepting: 1 });
    await ask(emperor);
    const { pid } = await emperor.vassalWith("app.ini", { loyal: 1 });
    signalTo(pid, "SIGKILL");
    const { ppid } = await emperor.wait(
      "an answer of the new one",
      async () => {
        const answer = await ask(emperor);
        return answer.ppid !== pid && answer.ppid !== 1 && answer;
      },
      30_000,
    );
    expect(isAlive(ppid)).toBe(true);
    expect((await emperor.vassalWith("app.ini", { accepting: 1 })).pid).toBe(ppid);
  });

  uwsgiTest("takes what --vassal-set says", async () => {
    const emperor = await governUwsgi({
      args: ["--vassal-set", "processes=3"],
      prepare: (run) => {
        run.put("app.ini", config(run).replace("processes = 1\n", ""));
      },
    });
    const { pid } = await emperor.vassalWith("app.ini", { accepting: 1 });
    await emperor.wait("three workers", () => childrenOf(pid).length === 3);
  });

  uwsgiTest("with a broken config is blacklisted, and up again when it is mended", async () => {
    const emperor = await governUwsgi({
      prepare: (run) => {
        run.put("app.ini", "[uwsgi]\nplugin = no-such-plugin\nmaster = true\nuid = no-such-user\n");
      },
    });
    await emperor.wait("a blacklist entry", () => emperor.blacklisted("app.ini"));
    emperor.put("app.ini", config(emperor.run));
    await emperor.vassalWith("app.ini", { accepting: 1 });
    expect((await ask(emperor)).note).toBe("first");
  });

  uwsgiTest("ends with the Emperor, politely and not", async () => {
    for (const signal of ["SIGTERM", "SIGKILL"] as const) {
      const emperor = await governUwsgi();
      const { pid } = await emperor.vassalWith("app.ini", { accepting: 1 });
      const workers = childrenOf(pid).map((info) => info.pid);
      emperor.signal(signal);
      await emperor.ended(45_000);
      for (const gone of [pid, ...workers]) await emperor.gone(gone);
    }
  });
});

describe("Debian's own emperor.ini", () => {
  uwsgiTest(
    "governs real instances, with the directory changed and the program named",
    async () => {
      const emperor = await governUwsgi({
        monitors: [],
        frequencySeconds: null,
        args: ["--ini", "{dir}/emperor.ini"],
        prepare: (run) => {
          const lines = [
            ...[
              "[uwsgi]",
              "autoload = true",
              "master = true",
              "workers = 2",
              "no-orphans = true",
              "log-date = true",
            ],
            ...["uid = root", "gid = root", `emperor = ${run.vassals}`].slice(
              process.getuid?.() === 0 ? 0 : 2,
            ),
          ];
          writeFileSync(join(run.path, "emperor.ini"), `${lines.join("\n")}\n`);
        },
      });
      const { pid } = await emperor.vassalWith("app.ini", { accepting: 1 });
      expect((await ask(emperor)).ppid).toBe(pid);
    },
  );
});
