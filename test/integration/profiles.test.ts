/** What a vassal under the profile `strict` sees and can do, and that a tenant can only ask for less. */
import { chmodSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, onTestFinished } from "vitest";
import type { EmperorUnderTest } from "../harness/emperor.ts";
import { rootTest } from "../harness/privileges.ts";
import { ANN, BOB, findingsOf, folderOf, plant, plantScript, startScripts } from "./tenants.ts";

const LOOK = `try() { name=$1; shift; if "$@" >/dev/null 2>&1; then echo "$name yes"; else echo "$name no"; fi; }
try write-etc sh -c 'echo > /etc/owned-by-a-test'
try write-tmp sh -c 'echo > /tmp/private-of-a-test && test -e /tmp/private-of-a-test'
try see-bob ls RUN/homes/bob/secret
try see-root-home sh -c 'ls -A /root/. | grep -q .'
try see-tmp ls RUN-outside
try write-run sh -c 'echo > RUN/out/extra'
try mount mount -t tmpfs none /tmp
try raise sh -c 'ulimit -c unlimited'
try other-processes sh -c 'cat /proc/[0-9]*/status 2>/dev/null | grep -q "^Uid:[[:space:]]*0"'
echo "pid $$"
echo "hostname $(uname -n)"
grep -E '^(NoNewPrivs|CapBnd)' /proc/self/status
echo done
exec sleep 1000 >/dev/null
`;

/** Two tenants; Ann's vassal looks around. */
async function around(args: readonly string[], config = "[uwsgi]\n"): Promise<EmperorUnderTest> {
  const emperor = await startScripts({
    args,
    prepare: (run) => {
      // Beside the run's folder, which stays visible because the vassals' program lies there.
      const outside = `${run.path}-outside`;
      writeFileSync(outside, "");
      onTestFinished(() => rmSync(outside));
      mkdirSync(join(run.path, "homes"));
      folderOf(run, "homes/ann", ANN);
      writeFileSync(join(folderOf(run, "homes/bob", BOB), "secret"), "x");
      chmodSync(join(run.path, "homes/bob/secret"), 0o644);
      plantScript(run, "a.ini", LOOK.replaceAll("RUN", run.path), ANN);
      plant(run, "a.ini", config, ANN);
    },
  });
  return emperor;
}

const found = async (emperor: EmperorUnderTest): Promise<Record<string, string>> =>
  Object.fromEntries(
    (await findingsOf(emperor, "a.ini")).map((line) => line.split(/[\s:]+/, 2) as [string, string]),
  );

const STRICT = {
  ...{ "write-etc": "no", "write-tmp": "yes", "see-bob": "no", "see-root-home": "no" },
  ...{ "see-tmp": "no", mount: "no", raise: "no", "other-processes": "no" },
  ...{ NoNewPrivs: "1", hostname: "a", CapBnd: "0000000000000100" },
};

/** Where the sandbox would mount something, as this test sees it. */
function ownMounts(): readonly string[] {
  const touched = /^\S+ (\/|\/proc|\/tmp|\/var\/tmp|\/dev\/shm) /;
  return readFileSync("/proc/self/mounts", "utf8")
    .split("\n")
    .filter((line) => touched.test(line));
}

describe("the profile strict", () => {
  rootTest("shows a vassal its own and lets it write nothing else", async () => {
    const args = [
      "--vassal-profile",
      "strict",
      "--vassal-hide",
      "{dir}/homes",
      "--vassal-write",
      "{dir}/out",
    ];
    const seen = await found(await around(args));
    expect(seen).toMatchObject({ ...STRICT, "write-run": "yes" });
    expect(Number(seen["pid"])).toBe(1);
  });

  rootTest("is what a tenant gets who asks for it, and nothing is looser for that", async () => {
    const config = "[uwsgi]\n[emperor]\nprofile = strict\n";
    const args = [
      "--vassal-profile-attr",
      "profile",
      "--vassal-hide",
      "{dir}/homes",
      "--vassal-write",
      "{dir}/out",
    ];
    expect(await found(await around(args, config))).toMatchObject(STRICT);
    const looser = "[uwsgi]\n[emperor]\nprofile = default\n";
    const still = await found(await around(["--vassal-profile", "strict", ...args], looser));
    expect(still).toMatchObject(STRICT);
  });

  rootTest("leaves the machine's own /proc and mounts as they are", async () => {
    const before = ownMounts();
    const emperor = await around([
      "--vassal-hide-pid",
      "--vassal-read-only",
      "--vassal-private-tmp",
    ]);
    const seen = await found(emperor);
    // Without a pid namespace: the processes of others are there, and not to be seen.
    expect(seen).toMatchObject({ "other-processes": "no", "write-etc": "no", "see-tmp": "no" });
    expect(Number(seen["pid"])).toBeGreaterThan(1);
    expect(ownMounts()).toEqual(before);
  });

  rootTest("that does not exist starts nothing", async () => {
    const emperor = await around(
      ["--vassal-profile-attr", "profile"],
      "[uwsgi]\n[emperor]\nprofile = lax\n",
    );
    await emperor.logged(/a\.ini.*there is no profile "lax"/);
    expect(await emperor.vassal("a.ini")).not.toMatchObject({ loyal: 1 });
    expect(emperor.log()).not.toContain("started vassal a.ini");
  });

  rootTest("that cannot be had starts nothing and says why", async () => {
    const emperor = await around(["--vassal-private-tmp", "--vassal-hide", "{dir}/vassals/a.ini"]);
    await emperor.logged(/emperor-sandbox: cannot|narrowing its file system/);
  });
});
