/** Vassals as they are needed: asleep until somebody comes, more under load, reloaded under load. This Emperor only. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { broodlord, rollingReload, rollingReloadUnderLoad, sleepers } from "./demand-tasks.mjs";
import { compile, findPeers } from "./emperor-part.mjs";
import { megabytes, time, times } from "./report.mjs";
import { OPEN_FILES } from "./session.mjs";

/** `0 of 1234`, with the reasons where there are some. */
function failed(failures, answers, reasons) {
  const why = reasons.length > 0 ? ` (${[...new Set(reasons)].join(", ")})` : "";
  return `${failures} of ${failures + answers}${why}`;
}

function renderTable(version, { T12, T13, T14 }) {
  const problems = T14.flatMap((round) => round.problems);
  const answers = T14.reduce((sum, round) => sum + round.answers, 0);
  const { stub, sites } = T13;
  const of = (field) => times(T14.map((round) => round[field]));
  const instances = [...new Set(T14.map(({ most }) => most))].toSorted((a, b) => a - b);
  const rows = [
    ["T12 boot of 5000 on-demand vassals", "<= 5 s", time(T12.bootMs)],
    ["T12 PSS with 5000 asleep", "<= 120 MB", megabytes(T12.memory.pss)],
    ["T12 CPU in 20 idle seconds with 5000 asleep", "<= 10 ms", time(T12.idleMs)],
    ["T12 first connection to one asleep, until the first byte", "<= 15 ms", times(T12.first)],
    ["T13 `emperorctl reload --wait --all` of 200, four at a time", "", time(stub)],
    ["T13 the same of 20 Node vassals under load", "", time(sites.tookMs)],
    ["T13 ... requests that failed", "0", failed(sites.failures, sites.answers, sites.reasons)],
    ["T14 load of 3 workers on a site of one, until a zerg is started", "", of("startedMs")],
    ["T14 ... until the first zerg has answered", "<= 1 s", of("servedMs")],
    ["T14 ... requests that failed", "0", failed(problems.length, answers, problems)],
    ["T14 ... instances at the end of the load", "", instances.join(", ")],
    ["T14 the load is over, until there is one instance again", "", of("backMs")],
  ];
  return [
    `| task | goal | this Emperor ${version} |`,
    "|---|---|---|",
    ...rows.map((row) => `| ${row.join(" | ")} |`),
  ].join("\n");
}

/** Measures; gives the table for the terminal and the section for the page. */
export async function benchDemand({ only, say, machine, quick }) {
  if (only === "uwsgi") return undefined;
  const tools = mkdtempSync(join(tmpdir(), "bench-tools-"));
  try {
    const programs = { stub: compile(tools, "stub-vassal") };
    const [peer] = findPeers();
    await machine.look();
    const results = { T13: {} };
    say("a site that grows under load (T14)");
    results.T14 = await broodlord(peer, quick ? 2 : 5);
    say("rolling reloads (T13)");
    results.T13.stub = await rollingReload(peer, programs, 200);
    results.T13.sites = await rollingReloadUnderLoad(peer, 20);
    await machine.look();
    say("five thousand sleepers (T12)");
    results.T12 = await sleepers(peer, programs, 5000);
    await machine.look();
    const table = renderTable(peer.version, results);
    const lines = machine.lines(`${OPEN_FILES} open files for every supervisor`);
    const section = `## Demand

T12: the vassals are tiny C programs that start within a millisecond or two, so what is seen is the Emperor's part; its
work while all sleep is a full look at the folder each 12 s, of which 20 s hold one or two. T13: first these programs,
which reload at once; then Node vassals of one process, all of them asked all the time. T14: each request holds its
process up for 20 ms without using a processor; the site has \`vassal-sos-backlog = 10\`, its zergs \`idle = 2\`. Requests
come at a rate of three times what one process can answer, each on a connection of its own. Times are
from the first of them.

${lines.map((line) => `- ${line}`).join("\n")}

${table}`;
    return { table, section };
  } finally {
    rmSync(tools, { recursive: true, force: true });
  }
}
