/** What keeping vassals apart costs: the same tasks, by this Emperor, without and with all of it. Needs root. */
import { chmodSync, mkdtempSync, readFileSync, rmdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { compile } from "./emperor-part.mjs";
import { root } from "./machine.mjs";
import { median } from "./measure.mjs";
import { times } from "./report.mjs";
import { OPEN_FILES } from "./session.mjs";
import { measureSpawns } from "./spawn-cost.mjs";
import { runIsolatedTasks } from "./tasks.mjs";

/** Where the benchmark's cgroups are. */
const CGROUP = `emperor-bench-${process.pid}`;
const ISOLATION = ["--emperor-tyrant", "--emperor-use-clone", "fs,pid,ipc,uts"];
const LIMITS = ["memory.max=512M", "pids.max=200", "cpu.max=50%"];

const ROWS = [
  ["T1 a config is renamed into place, until its process starts", (r) => r.T1.renamed],
  ["T2 boot of 1000 vassals", (r) => r.T2],
  ["T10 stop of 10 vassals, until no process is left", (r) => r.T10.ten],
  ["T10 stop of 1000 vassals, until no process is left", (r) => r.T10.thousand],
];

function peers() {
  const emperor = join(root, "bin/emperor");
  const limits = LIMITS.flatMap((limit) => ["--vassal-cgroup", limit]);
  const common = { samples: 20, phaseMs: 400 };
  return [
    { ...common, name: "plain", command: [emperor] },
    {
      ...common,
      name: "isolated",
      command: [emperor, ...ISOLATION, "--emperor-cgroup", CGROUP, ...limits],
      owner: 4321,
    },
  ];
}

function removeCgroups() {
  for (const line of readFileSync("/proc/self/mountinfo", "utf8").split("\n")) {
    const [left = "", right = ""] = line.split(" - ");
    if (!right.startsWith("cgroup")) continue;
    try {
      rmdirSync(`${left.split(" ")[4]}/${CGROUP}`);
    } catch {
      // None was made in this tree.
    }
  }
}

function renderTable(plain, isolated, spawn) {
  const middle = (samples) => median(samples.filter((value) => value !== undefined));
  const rows = ROWS.map(([name, read]) => {
    const ratio = middle(read(isolated)) / middle(read(plain));
    return `| ${name} | <= 2x | ${times(read(plain))} | ${times(read(isolated))} | ${ratio.toFixed(2)}x |`;
  });
  return `| task | goal | plain | isolated | ratio |
|---|---|---|---|---|
${rows.join("\n")}
| the Emperor's thread at a start: its cgroup made and limited, the child cloned | <= 2 ms | ${times(spawn.plain)} | ${times(spawn.isolated)} | |
| the Emperor's thread at an end: the cgroup's accounts read, killed, removed | | | ${times(spawn.end)} | |
| statistics of 1000 vassals, read by a client | <= 50 ms | ${times(plain.stats)} | ${times(isolated.stats)} | |`;
}

/** Measures; gives the table for the terminal and the section for the page. */
export async function benchIsolation({ only, say, machine }) {
  if (only === "uwsgi") return undefined;
  if (process.getuid() !== 0) {
    say("isolation is not measured: it takes root");
    return undefined;
  }
  const tools = mkdtempSync(join(tmpdir(), "bench-tools-"));
  // Vassals of other users execute what is in it.
  chmodSync(tools, 0o755);
  try {
    const programs = {
      stub: compile(tools, "stub-vassal"),
      exitWatch: compile(tools, "exit-watch"),
    };
    await machine.look();
    const results = [];
    for (const peer of peers()) {
      results.push(await runIsolatedTasks(peer, programs, say));
      await machine.look();
    }
    const table = renderTable(results[0], results[1], await measureSpawns(CGROUP));
    const lines = machine.lines(`${OPEN_FILES} open files for every supervisor`);
    const section = `## Vassals kept apart

Without and with \`emperor-tyrant\`, \`emperor-use-clone = fs,pid,ipc,uts\` and a cgroup with three limits (${LIMITS.join(", ")})
for each vassal:

${lines.map((line) => `- ${line}`).join("\n")}

${table}`;
    return { table, section };
  } finally {
    rmSync(tools, { recursive: true, force: true });
    removeCgroups();
  }
}
