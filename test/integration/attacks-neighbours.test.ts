/** What a tenant's program tries on its neighbours, its Emperor and itself in Tyrant mode. */
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect } from "vitest";
import { vassalConfig } from "../harness/configs.ts";
import { emperorCommand, startEmperor } from "../harness/emperor.ts";
import {
  otherUserTest,
  programTest,
  realUwsgi,
  rootTest,
  uwsgiTest,
} from "../harness/privileges.ts";
import { childrenOf, descriptorsOf, isAlive, processInfo } from "../harness/processes.ts";
import {
  ANN,
  BOB,
  findingsOf,
  folderOf,
  plant,
  plantScript,
  startScripts,
  startTyrant,
} from "./tenants.ts";

const WAIT = "echo done\nexec sleep 1000 >/dev/null\n";
/** Says whether a command succeeded. */
const TRY = `try() { name=$1; shift; if "$@" >/dev/null 2>&1; then echo "$name yes"; else echo "$name no"; fi; }\n`;

const PTRACE = `import ctypes, sys
libc = ctypes.CDLL(None, use_errno=True)
sys.exit(0 if libc.ptrace(16, int(sys.argv[1]), 0, 0) == 0 else 1)
`;
const CONNECT = `import socket, sys
socket.socket(socket.AF_UNIX).connect(sys.argv[1])
`;
const LISTEN = `import os, socket, sys, time
os.umask(0o077)
s = socket.socket(socket.AF_UNIX)
s.bind(sys.argv[1])
s.listen()
print("listening\\ndone", flush=True)
time.sleep(1000)
`;

const neighbourTest = programTest(["python3"], true);

describe("a neighbour", () => {
  neighbourTest("is neither signalled, traced, read nor connected to", async () => {
    const emperor = await startScripts({
      prepare: (run) => {
        for (const [name, text] of [
          ["ptrace", PTRACE],
          ["connect", CONNECT],
          ["listen", LISTEN],
        ] as const)
          writeFileSync(join(run.path, `${name}.py`), text);
        folderOf(run, "sockets", ANN);
        plantScript(
          run,
          "ann.ini",
          `SECRET_OF_ANN=x exec python3 ${run.path}/listen.py ${run.path}/sockets/ann.sock\n`,
          ANN,
        );
      },
    });
    const { path } = emperor.run;
    await findingsOf(emperor, "ann.ini");
    const pid = (await emperor.vassal("ann.ini"))?.pid ?? -1;
    const looks = (of: string, victim: number | string): string =>
      [
        `try ${of}-signal kill -0 ${victim}`,
        `try ${of}-ptrace python3 ${path}/ptrace.py ${victim}`,
        `try ${of}-environ grep -q . /proc/${victim}/environ`,
        `try ${of}-memory head -c 1 /proc/${victim}/maps`,
        `try ${of}-descriptors ls /proc/${victim}/fd`,
      ].join("\n");
    plantScript(
      emperor.run,
      "bob.ini",
      [
        TRY,
        // On a process of its own first: what is denied below is possible as such.
        "sleep 1000 >/dev/null & own=$!",
        looks("own", "$own"),
        looks("ann", pid),
        `try ann-kill kill -TERM ${pid}`,
        `try ann-connect python3 ${path}/connect.py ${path}/sockets/ann.sock`,
        looks("emperor", emperor.pid),
        `try emperor-kill kill -TERM ${emperor.pid}`,
        WAIT,
      ].join("\n"),
      BOB,
    );
    const found = new Map(
      (await findingsOf(emperor, "bob.ini")).map((line) => line.split(" ") as [string, string]),
    );
    expect([...found].filter(([name]) => name.startsWith("own"))).toEqual(
      ["signal", "ptrace", "environ", "memory", "descriptors"].map((what) => [
        `own-${what}`,
        "yes",
      ]),
    );
    const others = [...found].filter(([name]) => !name.startsWith("own"));
    expect(others).toHaveLength(13);
    expect(others.filter(([, answer]) => answer === "yes")).toEqual([]);
    expect(isAlive(pid)).toBe(true);
    expect((await emperor.vassal("ann.ini"))?.pid).toBe(pid);
  });
});

describe("a tenant's program", () => {
  rootTest("gets no descriptor, group, capability and variable but its own", async () => {
    const emperor = await startScripts({
      env: { SECRET_OF_ROOT: "x", NODE_OPTIONS: "", UWSGI_VASSAL_GIVEN: "yes" },
      prepare: (run) => {
        plantScript(
          run,
          "bob.ini",
          `grep -E '^(Groups|Cap[EPA].*|NoNewPrivs)' /proc/$$/status
tr '\\0' '\\n' < /proc/$$/environ | sed 's/^/env /'
${WAIT}`,
          BOB,
        );
      },
    });
    const found = await findingsOf(emperor, "bob.ini");
    const pid = (await emperor.vassal("bob.ini"))?.pid ?? -1;
    // By now it is a program that opens nothing itself, other than the shell before.
    await emperor.wait("the program behind the shell", () =>
      processInfo(pid)?.command.startsWith("sleep"),
    );
    const descriptors = descriptorsOf(pid);
    expect([...descriptors.keys()].toSorted((a, b) => a - b)).toEqual([0, 1, 2, 3]);
    expect(descriptors.get(0)).toBe("/dev/null");
    expect(descriptors.get(3)).toContain("socket:");
    expect(found.find((line) => line.startsWith("Groups"))?.trim()).toBe("Groups:");
    for (const set of ["CapPrm", "CapEff", "CapAmb"])
      expect(found).toContain(`${set}:\t0000000000000000`);
    const names = found
      .filter((line) => line.startsWith("env "))
      .map((line) => /^env ([^=]*)/.exec(line)?.[1]);
    // PWD comes from the shell.
    const allowed =
      /^(HOME|USER|LOGNAME|SHELL|PATH|LANG|LANGUAGE|LC_.*|TZ|PWD|UWSGI_GIVEN|UWSGI_EMPEROR_FD|EMPEROR_TEST_RUN)$/;
    expect(names.filter((name) => name === undefined || !allowed.test(name))).toEqual([]);
    expect(found).toEqual(
      expect.arrayContaining(["env UWSGI_GIVEN=yes", `env USER=${BOB}`, "env HOME=/"]),
    );
  });

  rootTest("neither mounts, raises its limits, becomes another nor leaves its root", async () => {
    const emperor = await startScripts({
      prepare: (run) => {
        plantScript(
          run,
          "bob.ini",
          `${TRY}try mount mount -t tmpfs none ${run.path}/out
try chroot chroot / true
try setuid setpriv --reuid=0 true
try setuid-ann setpriv --reuid=${ANN} true
try setgid setpriv --regid=0 true
try groups setpriv --groups=0 true
try hostname hostname owned
try nice nice -n -5 true
try raise sh -c 'ulimit -Hn 64 && ulimit -Hn 128'
try write-config sh -c 'echo >> ${run.vassals}/bob.ini && echo >> ${run.vassals}/new.ini'
${WAIT}`,
          BOB,
        );
      },
    });
    const found = await findingsOf(emperor, "bob.ini");
    expect(found.filter((line) => !line.startsWith("nice ") && line.endsWith("yes"))).toEqual([]);
    expect(found).toHaveLength(10);
  });
});

/** Lines of a config that ask for more than a tenant has; `%d` is replaced by the run's folder. */
const GREEDY: readonly (readonly [name: string, lines: readonly string[]])[] = [
  ["uid", ["uid = 0", "gid = 0"]],
  ["uid-name", ["uid = root", "gid = root"]],
  ["cap", ["cap = sys_admin,setuid"]],
  [
    "hook",
    [
      "hook-as-root = exec:id -u > %/out/hook-as-root",
      "exec-as-root = id -u > %/out/exec-as-root",
      "hook-asap = exec:id -u > %/out/hook-asap",
    ],
  ],
  [
    "jail",
    [
      "hook-pre-jail = exec:id -u > %/out/hook-pre-jail",
      "exec-in-jail = id -u > %/out/exec-in-jail",
    ],
  ],
  ["chroot", ["chroot = %/out"]],
  ["unshare", ["unshare = pid,fs"]],
  ["cgroup", ["cgroup = %/out/cgroup"]],
  [
    "patch",
    [
      "unprivileged-binary-patch-arg = /bin/sh -c id",
      "privileged-binary-patch-arg = /bin/sh -c id",
    ],
  ],
  ["attributes", ["[emperor]", "uid = 0", "gid = 0", "wrapper = /bin/sh"]],
];

function greedyConfig(
  folder: string,
  name: string,
  lines: readonly string[],
  body: readonly string[],
): string {
  return ["[uwsgi]", ...body, ...lines]
    .join("\n")
    .replaceAll("%/", `${folder}/`)
    .replaceAll("%n", name)
    .concat("\n");
}

async function expectNoRoot(body: readonly string[], args: readonly string[]): Promise<void> {
  const emperor = await startTyrant({
    wrapper: null,
    args: ["--vassal-env-keep", "EMPEROR_TEST_RUN", "--emperor-throttle", "100", ...args],
    prepare: (run) => {
      folderOf(run, "out", 0, 0o777);
      for (const [name, lines] of GREEDY)
        plant(run, `${name}.ini`, greedyConfig(run.path, name, lines, body), BOB);
    },
  });
  for (const [name] of GREEDY) await emperor.logged(`started vassal ${name}.ini`);
  // This one asks for nothing and starts: so many others had their time to do harm.
  plant(emperor.run, "modest.ini", greedyConfig(emperor.run.path, "modest", [], body), BOB);
  await emperor.vassalWith("modest.ini", { ready: 1 });
  for (const { pid } of emperor.run.processes()) {
    if (pid === emperor.pid) continue;
    let owner: number | undefined;
    try {
      owner = statSync(`/proc/${pid}`).uid;
    } catch {
      // It has ended meanwhile.
    }
    expect([undefined, BOB], emperor.account()).toContain(owner);
  }
  const written = readdirSync(join(emperor.run.path, "out")).map((name) =>
    join(emperor.run.path, "out", name),
  );
  for (const path of written) {
    expect(statSync(path).uid, path).toBe(BOB);
    if (statSync(path).isFile() && !path.endsWith(".sock"))
      expect(readFileSync(path, "utf8").trim(), path).not.toBe("0");
  }
}

describe("a tenant's config that asks for root's rights gets none", () => {
  rootTest("from this product's runtime", () => expectNoRoot(["command = /bin/sleep 1000"], []));

  uwsgiTest("from a real uWSGI", () =>
    expectNoRoot(
      [
        "plugin = python3",
        "master = true",
        "no-orphans = true",
        "disable-logging = true",
        "http-socket = %/out/%n.sock",
      ],
      ["--binary-path", realUwsgi ?? ""],
    ),
  );
});

describe("without privileges", () => {
  otherUserTest("Tyrant mode is refused at the start with the reason", async () => {
    const { code, output } = await emperorCommand(["--emperor", "{vassals}", "--emperor-tyrant"], {
      launcher: ["setpriv", `--reuid=${BOB}`, `--regid=${BOB}`, "--clear-groups"],
    });
    expect(code).toBe(111);
    expect(output).toContain("without the capabilities setgid and setuid");
  });

  otherUserTest("namespaces and profiles are, too; what needs nothing works", async () => {
    const launcher = ["setpriv", `--reuid=${BOB}`, `--regid=${BOB}`, "--clear-groups"];
    const args = ["--emperor", "{vassals}", "--vassal-profile", "strict"];
    const { code, output } = await emperorCommand(args, { launcher });
    expect(code).toBe(111);
    for (const what of ["run vassals as other users", "make namespaces", "limit the capabilities"])
      expect(output).toContain(what);
    const plain = await startEmperor({
      launcher,
      stats: "{dir}/tmp/stats.sock",
      vassals: { "a.ini": vassalConfig("loyal") },
      args: ["--emperor-no-new-privs", "--vassal-rlimit", "nproc=100"],
    });
    expect(await plain.vassalWith("a.ini", { loyal: 1 })).toBeDefined();
    expect(await plain.started("a.ini")).toMatchObject({ uid: BOB });
  });
});

describe("a real uWSGI under the profile strict", () => {
  uwsgiTest("serves as its tenant, workers included", async () => {
    const emperor = await startTyrant({
      wrapper: null,
      args: [
        ...["--binary-path", realUwsgi ?? "", "--vassal-env-keep", "EMPEROR_TEST_RUN"],
        ...["--vassal-profile", "strict", "--vassal-write", "{dir}/out"],
      ],
      prepare: (run) => {
        folderOf(run, "out", 0, 0o777);
        const lines = ["plugin = python3", "master = true", "processes = 2", "no-orphans = true"];
        const socket = `http-socket = ${run.path}/out/app.sock`;
        plant(run, "app.ini", ["[uwsgi]", ...lines, socket, ""].join("\n"), ANN);
      },
    });
    const { pid } = await emperor.vassalWith("app.ini", { accepting: 1 });
    const workers = await emperor.wait("two workers", () => {
      const children = childrenOf(pid);
      return children.length === 2 && children;
    });
    for (const one of [pid, ...workers.map((info) => info.pid)]) {
      const status = readFileSync(`/proc/${one}/status`, "utf8");
      expect(status).toMatch(new RegExp(`Uid:\\t${ANN}\\t${ANN}\\t${ANN}\\t${ANN}`));
      expect(status).toMatch(/NoNewPrivs:\t1/);
      expect(status).toMatch(/CapEff:\t0{16}/);
    }
  });
});
