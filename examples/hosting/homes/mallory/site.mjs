// Tells what this tenant is and sees. All three tenants have the same file.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const home = dirname(fileURLToPath(import.meta.url));
writeFileSync(join(home, "secret.txt"), `${process.env.TENANT}'s\n`, { mode: 0o644 });

function attempt(what) {
  try {
    return what() ?? "done";
  } catch (error) {
    return error.code ?? error.message;
  }
}

function look() {
  return {
    tenant: process.env.TENANT,
    uid: process.getuid(),
    hostname: hostname(),
    homes: attempt(() => readdirSync(dirname(home))),
    processes: readdirSync("/proc").filter((name) => /^\d+$/.test(name)).length,
    variables: Object.keys(process.env).toSorted(),
    "writes its home": attempt(() => writeFileSync(join(home, "visits.txt"), "1\n")),
    "writes /tmp": attempt(() => writeFileSync("/tmp/mine", "")),
    "sees in /tmp": attempt(() => readdirSync("/tmp")),
    "reads ann's secret": attempt(() =>
      readFileSync(join(home, "../ann/secret.txt"), "utf8").trim(),
    ),
    "writes /etc": attempt(() => writeFileSync("/etc/owned", "")),
    "becomes root": attempt(() => process.setuid(0)),
  };
}

export default function site(_request, response) {
  response.setHeader("content-type", "application/json");
  response.end(`${JSON.stringify(look(), undefined, 2)}\n`);
}
