/** The example of hosting, as `make demo-hosting` runs it: three tenants who see only themselves. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { expect } from "vitest";
import { otherUserTest } from "../harness/privileges.ts";

const DEMO = join(import.meta.dirname, "../../scripts/demo-hosting.mjs");

/** What the demo printed of one tenant, by its labels. */
function answersOf(output: string, tenant: string): Record<string, string> {
  const [, part = ""] = output.split(`── ${tenant},`);
  const lines = (part.split("\n\n")[0] ?? "").split("\n").slice(1);
  return Object.fromEntries(lines.map((line) => line.trim().split(/ {2,}/, 2) as [string, string]));
}

otherUserTest(
  "make demo-hosting: each tenant has its own home, processes and /tmp, and nothing else",
  async () => {
    const demo = spawn(process.execPath, [DEMO, "--once"], {
      cwd: "/",
      stdio: ["ignore", "pipe", "pipe"],
    });
    let output = "";
    for (const stream of [demo.stdout, demo.stderr])
      stream.on("data", (text: Buffer) => (output += text.toString()));
    const [code] = (await once(demo, "close")) as [number | null];
    expect(code, output).toBe(0);
    expect(output).toContain("all stopped, no process is left");
    const [ann, bob, mallory] = ["ann", "bob", "mallory"].map((name) => answersOf(output, name));
    const alike = {
      ...{ processes: "1", "writes its home": "done", "writes /tmp": "done" },
      ...{ "writes /etc": "EROFS", "becomes root": "EPERM" },
    };
    expect(ann, output).toMatchObject({ ...alike, homes: "ann", "reads ann's secret": "ann's" });
    expect(bob).toMatchObject({ ...alike, homes: "bob", "reads ann's secret": "ENOENT" });
    expect(mallory).toMatchObject({ ...alike, homes: "mallory", "reads ann's secret": "ENOENT" });
    expect(new Set([ann, bob, mallory].map((answers) => answers?.["uid"])).size).toBe(3);
  },
);
