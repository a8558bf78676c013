// Prints what an Emperor's stats socket says as a table: node scripts/demo-stats.mjs SOCKET
// (the address of a TCP stats server works, too: 127.0.0.1:9191). `--json` prints the document.
import { connect } from "node:net";
import { pathToFileURL } from "node:url";

/** The stats document of the Emperor at `address`: it sends it and closes. */
export function readStats(address, timeoutMs = 3000) {
  const tcp = /^(.*):(\d+)$/.exec(address);
  const target =
    tcp === null ? { path: address } : { host: tcp[1] || "127.0.0.1", port: Number(tcp[2]) };
  return new Promise((resolve, reject) => {
    const chunks = [];
    const socket = connect(target);
    socket.setTimeout(timeoutMs, () =>
      socket.destroy(new Error(`${address} says nothing for ${timeoutMs} ms`)),
    );
    socket.on("data", (chunk) => chunks.push(chunk));
    socket.on("error", reject);
    socket.on("end", () => {
      try {
        resolve(JSON.parse(Buffer.concat(chunks).toString()));
      } catch (error) {
        reject(error);
      }
    });
  });
}

function describe(vassal) {
  if (vassal.state !== undefined) return vassal.state;
  if (vassal.pid <= 0) return vassal.on_demand === "" ? "no process" : "on demand";
  return vassal.cursed > 0 ? "stopping" : "running";
}

/** Lines of a table. */
export function formatStats(stats) {
  const yes = (flag) => (flag === 1 ? "yes" : "-");
  const rows = [["vassal", "pid", "state", "ready", "accepting", "loyal", "respawns"]];
  for (const vassal of stats.vassals) {
    const { id, pid, ready, accepting, loyal, respawns } = vassal;
    rows.push([
      id,
      pid > 0 ? pid : "-",
      describe(vassal),
      yes(ready),
      yes(accepting),
      yes(loyal),
      respawns,
    ]);
  }
  const widths = rows[0].map((_, column) =>
    Math.max(...rows.map((row) => String(row[column]).length)),
  );
  const lines = rows.map((row) =>
    row
      .map((cell, column) => String(cell).padEnd(widths[column]))
      .join("  ")
      .trimEnd(),
  );
  for (const { id, throttle_level, attempt } of stats.blacklist ?? []) {
    lines.push(
      `blacklisted: ${id}, died ${attempt + 1} time(s), is started again ${(throttle_level / 1000).toFixed(1)} s after each death`,
    );
  }
  return lines;
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const [address, ...flags] = process.argv.slice(2);
  if (address === undefined) {
    console.error("usage: node scripts/demo-stats.mjs SOCKET [--json]");
    process.exit(2);
  }
  try {
    const stats = await readStats(address);
    console.log(
      flags.includes("--json") ? JSON.stringify(stats, null, 2) : formatStats(stats).join("\n"),
    );
  } catch (error) {
    console.error(`no statistics from ${address}: ${error.message}`);
    process.exit(1);
  }
}
