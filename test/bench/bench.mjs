/**
 * `make bench`: measures bin/emperor and bin/vassal beside what people use instead, and writes
 * docs/performance.md. Takes some minutes and is no test: nothing fails by being slow.
 *
 *   node test/bench/bench.mjs [--emperor | --vassal] [--only-ours | --only-uwsgi] [--quick] [--print]
 *
 *   --emperor, --vassal   only this part; the other one's section of the page stays
 *   --only-ours, --only-uwsgi   the Emperor's part with this supervisor only; what the same commit has measured
 *                               of the other one in an earlier call is shown beside it
 *   --quick               the vassal's part with few samples
 *   --print               write no file
 */
import { join } from "node:path";
import { parseArgs } from "node:util";
import { benchEmperor } from "./emperor-part.mjs";
import { describeMachine, root } from "./machine.mjs";
import { writePage } from "./page.mjs";
import { benchVassal } from "./vassal-part.mjs";

const { values: options } = parseArgs({
  options: {
    emperor: { type: "boolean", default: false },
    vassal: { type: "boolean", default: false },
    "only-ours": { type: "boolean", default: false },
    "only-uwsgi": { type: "boolean", default: false },
    quick: { type: "boolean", default: false },
    print: { type: "boolean", default: false },
  },
});
const both = options.emperor === options.vassal;
const say = (line) => console.log(line);
const COMMON = ["linux", "protocol", "config"];
const measured = {};

async function measure(name, bench, parts) {
  const machine = describeMachine([...COMMON, ...parts]);
  const result = await bench({
    say,
    machine,
    only: options["only-ours"] ? "ours" : options["only-uwsgi"] ? "uwsgi" : undefined,
    quick: options.quick,
  });
  if (result === undefined) return;
  measured[name] = result.section;
  say(`\n${result.table}\n`);
}

if (both || options.vassal) await measure("vassal", benchVassal, ["vassal-runtime"]);
if (both || options.emperor) await measure("emperor", benchEmperor, ["emperor", "monitors"]);
if (!options.print) {
  writePage(join(root, "docs/performance.md"), measured);
  say("written to docs/performance.md");
}
