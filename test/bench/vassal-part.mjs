/** The vassal runtime's part of the benchmark. */
import { output } from "./machine.mjs";
import { renderVassal, renderVassalTable } from "./vassal-report.mjs";
import { missingPrograms, runVassalTasks } from "./vassal-tasks.mjs";

/** Samples of each task; about four minutes, most of it for PM2's reloads. */
const FULL = { seconds: 2, throughput: 9, proxied: 7, starts: 21, memories: 5, reloads: 50 };
/** To see that it works. */
const QUICK = { seconds: 1, throughput: 3, proxied: 3, starts: 5, memories: 2, reloads: 5 };

/** Measures; gives the table for the terminal and the section for the page. */
export async function benchVassal({ quick, say, machine }) {
  const missing = missingPrograms();
  if (missing.length > 0) {
    say(`the vassal runtime is not measured: ${missing.join(", ")} missing (apt-get install them)`);
    return undefined;
  }
  await machine.look();
  const results = await runVassalTasks(say, quick ? QUICK : FULL);
  await machine.look();
  const wrk = output("dpkg-query", ["-W", "-f", "wrk ${Version}", "wrk"]) || "wrk";
  const nginx = output("dpkg-query", ["-W", "-f", "nginx ${Version}", "nginx"]) || "nginx";
  const lines = machine.lines(`${wrk}, ${nginx}`);
  return { table: renderVassalTable(results), section: renderVassal(results, lines) };
}
