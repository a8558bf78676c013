/**
 * docs/performance.md: sections that are written separately, each by the part of the benchmark that it is
 * about. A section that was not measured in this run stays as it is. Knows nothing of what is in them.
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";

const HEAD = `# Performance

Written by \`make bench\`; do not edit. Each part says on which machine, at which commit, and how busy the machine was
with other things: \`make bench\` writes all of them, \`node test/bench/bench.mjs --emperor\`, for example, one.
`;
const SECTIONS = ["emperor", "demand", "isolation", "sources", "vassal"];

function marks(name) {
  return { begin: `<!-- ${name}: begin -->\n`, end: `<!-- ${name}: end -->\n` };
}

function sectionOf(text, name) {
  const { begin, end } = marks(name);
  const from = text.indexOf(begin);
  const to = text.indexOf(end);
  return from === -1 || to === -1 ? undefined : text.slice(from + begin.length, to);
}

/** `measured`: name of a section -> its text. */
export function writePage(path, measured) {
  const before = existsSync(path) ? readFileSync(path, "utf8") : "";
  let page = HEAD;
  for (const name of SECTIONS) {
    const text = measured[name] === undefined ? sectionOf(before, name) : `${measured[name]}\n`;
    const { begin, end } = marks(name);
    if (text !== undefined) page += `\n${begin}${text.endsWith("\n") ? text : `${text}\n`}${end}`;
  }
  writeFileSync(path, page);
}
