/** The Emperor's part of the benchmark: bin/emperor and, beside it, the real uWSGI's if it is installed. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
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

function findPeers(onlyOurs) {
  const emperor = join(root, "bin/emperor");
  const peers = [
    {
      name: "this Emperor",
      command: [emperor],
      version: output(emperor, ["--version"]).split(" ").at(-1),
      samples: 20,
      phaseMs: 400,
    },
  ];
  if (onlyOurs) return peers;
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
export async function benchEmperor({ onlyOurs, say, machine }) {
  const tools = mkdtempSync(join(tmpdir(), "bench-tools-"));
  try {
    const programs = {
      stub: compile(tools, "stub-vassal"),
      exitWatch: compile(tools, "exit-watch"),
    };
    const peers = findPeers(onlyOurs);
    await machine.look();
    for (const peer of peers) {
      peer.results = await runTasks(peer, programs, say);
      await machine.look();
    }
    const lines = machine.lines(`${OPEN_FILES} open files for every supervisor`);
    return { table: renderTable(peers), section: renderEmperor(peers, lines) };
  } finally {
    rmSync(tools, { recursive: true, force: true });
  }
}
