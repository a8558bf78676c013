/**
 * `make bench`: measures bin/emperor and bin/vassal beside what people use instead, and writes
 * docs/performance.md. Takes some minutes and is no test: nothing fails by being slow.
 *
 *   node test/bench/bench.mjs [--emperor] [--demand] [--isolation] [--sources] [--vassal] [--only-ours | --only-uwsgi] [--quick] [--print]
 *
 *   --emperor, ...        only these parts; the sections of the others stay as they are
 *   --only-ours, --only-uwsgi   the Emperor's part with this supervisor only; what the same commit has measured
 *                               of the other one in an earlier call is shown beside it
 *   --quick               the vassal's part with few samples
 *   --print               write no file
 */
import { join } from "node:path";
import { parseArgs } from "node:util";
import { benchDemand } from "./demand-part.mjs";
import { benchEmperor } from "./emperor-part.mjs";
import { benchIsolation } from "./isolation-part.mjs";
import { describeMachine, root } from "./machine.mjs";
import { writePage } from "./page.mjs";
import { benchSources } from "./sources-part.mjs";
import { benchVassal } from "./vassal-part.mjs";

/** Per part: what measures it, and the folders whose uncommitted changes would make the commit a lie. */
const PARTS = {
  vassal: { bench: benchVassal, folders: ["vassal-runtime"] },
  emperor: { bench: benchEmperor, folders: ["emperor", "monitors"] },
  demand: { bench: benchDemand, folders: ["emperor", "monitors", "vassal-runtime"] },
  isolation: { bench: benchIsolation, folders: ["emperor", "monitors"] },
  sources: { bench: benchSources, folders: ["emperor", "monitors"] },
};
const flag = { type: "boolean", default: false };
const FLAGS = ["only-ours", "only-uwsgi", "quick", "print"];
const { values: options } = parseArgs({
  options: Object.fromEntries([...Object.keys(PARTS), ...FLAGS].map((name) => [name, flag])),
});
const named = Object.keys(PARTS).filter((name) => options[name]);
const say = (line) => console.log(line);
const COMMON = ["linux", "protocol", "config"];
const measured = {};

for (const name of named.length > 0 ? named : Object.keys(PARTS)) {
  const { bench, folders } = PARTS[name];
  const machine = describeMachine([...COMMON, ...folders]);
  const result = await bench({
    say,
    machine,
    only: options["only-ours"] ? "ours" : options["only-uwsgi"] ? "uwsgi" : undefined,
    quick: options.quick,
  });
  if (result === undefined) continue;
  measured[name] = result.section;
  say(`\n${result.table}\n`);
}
if (!options.print) {
  writePage(join(root, "docs/performance.md"), measured);
  say("written to docs/performance.md");
}
