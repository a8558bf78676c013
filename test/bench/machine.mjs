/** What a reader has to know of the machine and the moment beside the figures. */
import { execFileSync } from "node:child_process";
import { cpus, release, totalmem } from "node:os";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { busyShare } from "./measure.mjs";

export const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** Standard output of a program; empty when it cannot be run. */
export function output(command, args) {
  try {
    return execFileSync(command, args, {
      cwd: root,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    }).trim();
  } catch {
    return "";
  }
}

/** `parts`: the folders whose uncommitted changes would make the commit a lie. */
export function describeMachine(parts) {
  const busy = [];
  return {
    /** Looks how busy the machine is while nothing of ours runs: that shows in every figure. */
    look: async () => {
      busy.push(await busyShare(3000));
    },
    lines: (more) => {
      const commit = output("git", ["rev-parse", "--short", "HEAD"]) || "unknown";
      const changed = output("git", ["status", "--porcelain", "--", ...parts]);
      const shares = busy.map((share) => `${Math.round(share * 100)} %`).join(", ");
      return [
        `${cpus().length} cores (${cpus()[0]?.model.trim()}), ${Math.round(totalmem() / 2 ** 20)} MB memory, Linux ${release()}${more === undefined ? "" : `, ${more}`}`,
        `busy with other things before, between and after: ${shares}`,
        `Node ${process.versions.node}; ${new Date().toISOString().slice(0, 10)}; commit ${commit}${changed === "" ? "" : " with changes"}`,
      ];
    },
  };
}
