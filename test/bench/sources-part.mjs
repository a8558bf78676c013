/** What remote sources cost: a change in a real server until the process starts, beside uWSGI's own monitors. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { compile, findPeers } from "./emperor-part.mjs";
import { databaseRows } from "./remote-databases.mjs";
import { messageRows } from "./remote-messages.mjs";

function renderTable(peers, rows) {
  const names = [0, 1].map((index) => {
    const peer = peers[index];
    return peer === undefined ? "uWSGI (not measured)" : `${peer.name} ${peer.version}`;
  });
  return [
    `| task | goal | ${names.join(" | ")} |`,
    "|---|---|---|---|",
    ...rows.map((row) => `| ${row.join(" | ")} |`),
  ].join("\n");
}

/** Measures; gives the table for the terminal and the section for the page. */
export async function benchSources({ only, say, machine }) {
  if (only === "uwsgi") return undefined;
  const tools = mkdtempSync(join(tmpdir(), "bench-tools-"));
  try {
    const programs = {
      stub: compile(tools, "stub-vassal"),
      exitWatch: compile(tools, "exit-watch"),
    };
    const peers = findPeers().slice(0, only === "ours" ? 1 : 2);
    await machine.look();
    const rows = [
      ...(await databaseRows(peers, programs, say)),
      ...(await messageRows(peers, programs, say)),
    ];
    await machine.look();
    const table = renderTable(peers, rows);
    const section = `## Remote sources

Real servers on unix sockets or the loopback of the same machine; from just before the change is sent until the process
starts.

${machine
  .lines()
  .map((line) => `- ${line}`)
  .join("\n")}

${table}`;
    return { table, section };
  } finally {
    rmSync(tools, { recursive: true, force: true });
  }
}
