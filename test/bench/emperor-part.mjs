/** The Emperor's part of the benchmark: bin/emperor and, beside it, the real uWSGI's if it is installed. */
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { output, root } from "./machine.mjs";
import { OPEN_FILES } from "./session.mjs";
import { renderEmperor, renderTable } from "./report.mjs";
import { runTasks } from "./tasks.mjs";

const here = dirname(fileURLToPath(import.meta.url));

function compile(folder, name) {
  const program = join(folder, name);
  execFileSync(process.env["CC"] ?? "cc", ["-O2", "-o", program, join(here, `${name}.c`)], {
    stdio: "inherit",
  });
  return program;
}

const KEPT = join(root, "test/.tmp");

function keptFile(peer) {
  return join(KEPT, `bench-${peer.command[0].split("/").at(-1)}.json`);
}

/** So that one peer can be measured after the other, in calls of their own, and both be in the table. */
function keep(peer, commit) {
  mkdirSync(KEPT, { recursive: true });
  writeFileSync(keptFile(peer), JSON.stringify({ commit, results: peer.results }));
}

/** What an earlier call has measured at this commit, or undefined. */
function keptResults(peer, commit) {
  try {
    const kept = JSON.parse(readFileSync(keptFile(peer), "utf8"));
    return kept.commit === commit ? kept.results : undefined;
  } catch {
    return undefined;
  }
}

function findPeers() {
  const emperor = join(root, "bin/emperor");
  const peers = [
    {
      name: "this Emperor",
      command: [emperor],
      ctl: join(root, "bin/emperorctl"),
      version: output(emperor, ["--version"]).split(" ").at(-1),
      samples: 20,
      phaseMs: 400,
    },
  ];
  for (const program of ["uwsgi-core", "uwsgi"]) {
    const version = output(program, ["--version"]);
    if (version === "") continue;
    // It polls every three seconds: fewer samples, over the whole period.
    peers.push({ name: "uWSGI", command: [program], version, samples: 10, phaseMs: 3000 });
    break;
  }
  return peers;
}

/** Measures; gives the table for the terminal and the section for the page. */
export async function benchEmperor({ only, say, machine }) {
  const tools = mkdtempSync(join(tmpdir(), "bench-tools-"));
  try {
    const programs = {
      stub: compile(tools, "stub-vassal"),
      exitWatch: compile(tools, "exit-watch"),
    };
    const commit = output("git", ["rev-parse", "HEAD"]);
    await machine.look();
    const peers = [];
    for (const peer of findPeers()) {
      const wanted = only === undefined || (only === "ours") === (peer.name === "this Emperor");
      peer.results = wanted ? await runTasks(peer, programs, say) : keptResults(peer, commit);
      if (peer.results === undefined) continue;
      peers.push(peer);
      if (wanted) keep(peer, commit);
      if (wanted) await machine.look();
      else say(`${peer.name}: as measured before at this commit`);
    }
    const lines = machine.lines(`${OPEN_FILES} open files for every supervisor`);
    return { table: renderTable(peers), section: renderEmperor(peers, lines) };
  } finally {
    rmSync(tools, { recursive: true, force: true });
  }
}
