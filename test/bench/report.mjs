/** Turns the Emperor's results into their section of docs/performance.md. Pure. */
import { median } from "./measure.mjs";

export function time(ms) {
  if (ms === undefined || ms === null) return "too long";
  if (ms >= 1000) return `${(ms / 1000).toFixed(2)} s`;
  return ms >= 100 ? `${ms.toFixed(0)} ms` : `${ms.toFixed(1)} ms`;
}

/** `3.1 ms (max 4.0 ms, n=20)`; what took too long is said. */
export function times(samples) {
  const known = samples.filter((value) => value !== undefined && value !== null);
  const lost = samples.length - known.length;
  if (known.length === 0) return `none of ${samples.length}`;
  const missing = lost > 0 ? `, ${lost} took too long` : "";
  return `${time(median(known))} (max ${time(Math.max(...known))}, n=${samples.length}${missing})`;
}

export function megabytes(value) {
  return `${value.toFixed(1)} MB`;
}

/** One row per figure: name, goal, and how to read it from the results of a peer. */
const ROWS = [
  [
    "T1 a config is renamed into place, until its process starts",
    "<= 10 ms",
    (r) => times(r.T1.renamed),
  ],
  ["T1 a config is copied, until its process starts", "<= 60 ms", (r) => times(r.T1.copied)],
  ["T2 boot of 1000 vassals", "<= 0.8 s", (r) => times(r.T2)],
  ["T3 burst of 50 configs", "<= 0.15 s", (r) => times(r.T3)],
  [
    "T4 a loyal vassal is killed, until its replacement starts",
    "<= 4 ms, worst 30 ms",
    (r) => times(r.T4),
  ],
  ["T5 a config is touched, until the reload byte is seen", "<= 15 ms", (r) => times(r.T5)],
  ["T6 a config is deleted, until the process is gone", "<= 10 ms", (r) => times(r.T6)],
  ["T7 anonymous memory with 1000 vassals", "<= 20 MB", (r) => megabytes(r.T7.thousand.anonymous)],
  ["T7 PSS with 1000 vassals", "<= 58 MB", (r) => megabytes(r.T7.thousand.pss)],
  [
    "T7 more per vassal, between 100 and 1000",
    "<= 3 KB",
    (r) => `${(((r.T7.thousand.anonymous - r.T7.hundred.anonymous) * 1024) / 900).toFixed(2)} KB`,
  ],
  ["T8 CPU in 20 idle seconds with 1000 vassals", "<= 10 ms", (r) => time(r.T8)],
  [
    "T9 ten crash-loopers, never loyal: a healthy one starts after",
    "as T1",
    (r) => times(r.T9.disloyal.healthy),
  ],
  [
    "T9 ... their starts and the supervisor's CPU in 30 s",
    "",
    (r) => `${r.T9.disloyal.starts} starts, ${time(r.T9.disloyal.cpuMs)}`,
  ],
  [
    "T9 ten crash-loopers, loyal first: a healthy one starts after",
    "as T1",
    (r) => times(r.T9.loyal.healthy),
  ],
  [
    "T9 ... their starts and the supervisor's CPU in 30 s",
    "damped",
    (r) => `${r.T9.loyal.starts} starts, ${time(r.T9.loyal.cpuMs)}`,
  ],
  ["T10 stop of 10 vassals, until no process is left", "<= 50 ms", (r) => times(r.T10.ten)],
  ["T10 stop of 1000 vassals, until no process is left", "<= 0.2 s", (r) => times(r.T10.thousand)],
  ["T11 as T1 (renamed) with 1000 others", "as T1", (r) => times(r.T11.renamed)],
  ["T11 as T1 (copied) with 1000 others", "as T1", (r) => times(r.T11.copied)],
];

/** `peers`: [{ name, version, results }]; `machine`: lines of text. */
export function renderTable(peers) {
  const lines = [
    `| task | goal | ${peers.map((peer) => `${peer.name} ${peer.version}`).join(" | ")} |`,
    `|---|---|${peers.map(() => "---|").join("")}`,
  ];
  for (const [name, goal, read] of ROWS) {
    lines.push(`| ${name} | ${goal} | ${peers.map((peer) => read(peer.results)).join(" | ")} |`);
  }
  return lines.join("\n");
}

/** The section's text. */
export function renderEmperor(peers, machine) {
  return `## The Emperor

The supervised process is a tiny C program, so the supervisor is measured and not the application. Configs are dropped
at random moments. Times are medians; the stub itself writes when it started, ends of processes come from pidfds, so the
benchmark's own polling is in no figure.

${machine.map((line) => `- ${line}`).join("\n")}

${renderTable(peers)}`;
}
