/** Turns the vassal's results into their section of docs/performance.md. Pure. */
import { median } from "./measure.mjs";
import { megabytes, time, times } from "./report.mjs";

function rate(samples) {
  const worst = Math.round(Math.min(...samples));
  return `${Math.round(median(samples)).toLocaleString("en")} /s (min ${worst.toLocaleString("en")}, n=${samples.length})`;
}

function size(samples) {
  return `${megabytes(median(samples))} (n=${samples.length})`;
}

/** Median of the rounds' quotients: both sides of one met the same moment of the machine. */
function share(samples, others) {
  const quotients = samples.map((value, round) => value / others[round]);
  return `${(median(quotients) * 100).toFixed(0)} %`;
}

function difference(samples, others) {
  return median(samples) - median(others);
}

function reloaded({ answers, failures, reasons, times: durations }) {
  const why = [...reasons].map(([reason, count]) => `${count} ${reason}`).join(", ");
  return `**${failures} failed** of ${(answers + failures).toLocaleString("en")}${why === "" ? "" : ` (${why})`}; ${durations.length} reloads, ${time(median(durations))} each`;
}

/** Rows: what, goal, measured, beside it. */
function rows({ throughput: t, proxied: p, starts: s, memories: m, reloads: r, pm2Version }) {
  return [
    [
      "V1 `http-socket`, 2 workers",
      ">= 95 % of node:cluster",
      rate(t.vassal),
      `node:cluster ${rate(t.cluster)}: **${share(t.vassal, t.cluster)}**`,
    ],
    [
      "",
      "more than PM2",
      "",
      `PM2 ${pm2Version}, cluster mode ${rate(t.pm2)}: **${share(t.vassal, t.pm2)}**`,
    ],
    [
      "V2 `socket` behind nginx (`uwsgi_pass`)",
      ">= 90 % of `proxy_pass`",
      rate(p.uwsgi),
      `\`proxy_pass\` to the same vassal ${rate(p.proxy)}: **${share(p.uwsgi, p.proxy)}**`,
    ],
    ["", "", "", `\`proxy_pass\` with \`keepalive\` ${rate(p.alive)}: ${share(p.uwsgi, p.alive)}`],
    [
      "V3 from the start to the first answer, one process",
      "<= 60 ms more",
      times(s.vassal),
      `\`node server.mjs\` ${times(s.node)}: **${time(difference(s.vassal, s.node))} more**`,
    ],
    [
      "V4 PSS after some requests, one process",
      "<= 8 MB more",
      size(m.vassal),
      `\`node server.mjs\` ${size(m.node)}: **${megabytes(difference(m.vassal, m.node))} more**`,
    ],
    ["V5 reloads under load, one process", "none failed", reloaded(r.one), ""],
    [
      "V5 reloads under load, 2 workers",
      "none failed",
      reloaded(r.workers),
      `\`pm2 reload\`: ${reloaded(r.pm2)}`,
    ],
  ];
}

export function renderVassalTable(results) {
  const head = "| task | goal | `vassal` | beside it |\n|---|---|---|---|";
  return [head, ...rows(results).map((cells) => `| ${cells.join(" | ")} |`)].join("\n");
}

/** The section's text. */
export function renderVassal(results, machine) {
  return `## The vassal runtime

The app answers every request with thirteen bytes (\`test/bench/apps\`), so what is around it is measured and not the
app. Everybody runs on the same machine, in turn, round by round; figures are medians, percentages medians of the
rounds' quotients. Speed is measured by \`wrk\` with 64 connections. During reloads 16 clients ask without pause, half of
them on new connections each time; every answer that is no 200 and every connection that fails counts.

${machine.map((line) => `- ${line}`).join("\n")}

${renderVassalTable(results)}`;
}
