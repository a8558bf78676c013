/**
 * `make bench`: measures bin/emperor and, beside it, the real uWSGI's Emperor if it is installed,
 * and writes docs/performance.md. Takes some minutes and is no test: nothing fails by being slow.
 *
 *   node test/bench/bench.mjs [--only-ours] [--print]     --print: write no file
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { cpus, release, tmpdir, totalmem } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { busyShare } from "./measure.mjs";
import { databaseRows } from "./remote-databases.mjs";
import { messageRows } from "./remote-messages.mjs";
import { renderPage, renderRemote, renderTable } from "./report.mjs";
import { OPEN_FILES } from "./session.mjs";
import { runTasks } from "./tasks.mjs";

const here = dirname(fileURLToPath(import.meta.url));
const root = dirname(dirname(here));

function output(command, args) {
  try {
    return execFileSync(command, args, {
      cwd: root,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    }).trim();
  } catch {
    return "";
  }
}

function compile(folder, name) {
  const program = join(folder, name);
  execFileSync(process.env["CC"] ?? "cc", ["-O2", "-o", program, join(here, `${name}.c`)], {
    stdio: "inherit",
  });
  return program;
}

function findPeers() {
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
  if (process.argv.includes("--only-ours")) return peers;
  for (const program of ["uwsgi-core", "uwsgi"]) {
    const version = output(program, ["--version"]);
    if (version === "") continue;
    // It polls every three seconds: fewer samples, over the whole period.
    peers.push({ name: "uWSGI", command: [program], version, samples: 10, phaseMs: 3000 });
    break;
  }
  return peers;
}

const tools = mkdtempSync(join(tmpdir(), "bench-tools-"));
try {
  const programs = { stub: compile(tools, "stub-vassal"), exitWatch: compile(tools, "exit-watch") };
  const peers = findPeers();
  // A busy machine shows in every figure, so it is told beside them.
  const busy = [await busyShare(3000)];
  for (const peer of peers) {
    peer.results = await runTasks(peer, programs, (line) => console.log(line));
    busy.push(await busyShare(3000));
  }
  const say = (line) => console.log(line);
  const remote = [
    ...(await databaseRows(peers, programs, say)),
    ...(await messageRows(peers, programs, say)),
  ];
  const changed = output("git", [
    "status",
    "--porcelain",
    "--",
    "emperor",
    "linux",
    "monitors",
    "protocol",
    "config",
  ]);
  const commit = output("git", ["rev-parse", "--short", "HEAD"]) || "unknown";
  const machine = [
    `${cpus().length} cores (${cpus()[0]?.model.trim()}), ${Math.round(totalmem() / 2 ** 20)} MB memory, Linux ${release()}, ${OPEN_FILES} open files for every supervisor`,
    `busy with other things before, between and after: ${busy.map((share) => `${Math.round(share * 100)} %`).join(", ")}`,
    `Node ${process.versions.node}; ${new Date().toISOString().slice(0, 10)}; commit ${commit}${changed === "" ? "" : " with changes"}`,
  ];
  console.log(`\n${machine.join("\n")}\n\n${renderTable(peers)}\n\n${renderRemote(peers, remote)}`);
  if (!process.argv.includes("--print")) {
    writeFileSync(join(root, "docs/performance.md"), renderPage(peers, machine, remote));
    console.log("\nwritten to docs/performance.md");
  }
} finally {
  rmSync(tools, { recursive: true, force: true });
}
