// The demonstration behind `make demo-hosting`: three tenants of examples/hosting under the profile
// strict, and what each of them sees. Needs root. With --once it ends by itself after that. Changes
// nothing outside of one fresh temporary folder.
import { spawn } from "node:child_process";
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { endRest, MARK, marked, say, tryPort, until } from "./demo-tools.mjs";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..");
const START_DEADLINE_MS = 30_000;
const STOP_DEADLINE_MS = 40_000;
/** Users of the tenants. Nobody has these numbers, and no entry is made for them. */
const FIRST_UID = 64_101;

function give(path, uid) {
  chownSync(path, uid, uid);
  if (!lstatSync(path).isDirectory()) return chmodSync(path, 0o644);
  chmodSync(path, 0o755);
  for (const name of readdirSync(path)) give(join(path, name), uid);
}

/** A copy that belongs to the tenants, with ports that are free. */
async function prepare() {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), "emperor-hosting-")));
  chmodSync(folder, 0o755);
  cpSync(join(ROOT, "examples/hosting"), folder, { recursive: true });
  const tenants = [];
  for (const [index, name] of readdirSync(join(folder, "homes")).toSorted().entries()) {
    const file = join(folder, "homes", name, "vassals/site.ini");
    const text = readFileSync(file, "utf8");
    const port = Number(/127\.0\.0\.1:(\d+)/.exec(text)?.[1]);
    const usable = (await tryPort(port)) ?? (await tryPort(0));
    writeFileSync(file, text.replace(`127.0.0.1:${port}`, `127.0.0.1:${usable}`));
    const uid = FIRST_UID + index;
    give(join(folder, "homes", name), uid);
    tenants.push({ name, uid, address: `http://127.0.0.1:${usable}/` });
  }
  return { folder, tenants };
}

async function ask(address) {
  try {
    return await (await fetch(address, { signal: AbortSignal.timeout(3000) })).json();
  } catch {
    return undefined;
  }
}

async function answersOf(tenants) {
  const answers = await until(async () => {
    const all = await Promise.all(tenants.map(({ address }) => ask(address)));
    return all.every((answer) => answer !== undefined) ? all : undefined;
  }, START_DEADLINE_MS);
  return answers;
}

function introduce({ folder, tenants }, answers) {
  say();
  for (const [index, { name, uid, address }] of tenants.entries()) {
    say(`── ${name}, user ${uid}, ${address}`);
    for (const [what, value] of Object.entries(answers[index]))
      say(`   ${what.padEnd(20)} ${Array.isArray(value) ? value.join(" ") : value}`);
    say();
  }
  say(
    `The configs are in ${folder}/homes/*/vassals: edit them as their tenants would, for example`,
  );
  say(
    `  setpriv --reuid=${tenants[0].uid} --regid=${tenants[0].uid} --clear-groups sh -c 'echo "uid = 0" >> ${folder}/homes/${tenants[0].name}/vassals/site.ini'`,
  );
}

async function main() {
  if (process.getuid() !== 0) {
    say("demo-hosting: it needs root, because every tenant gets a user of their own.");
    return 1;
  }
  if (!existsSync(join(ROOT, "emperor/dist"))) {
    say("demo-hosting: nothing is built yet; run `make demo-hosting` or `make build` first.");
    return 1;
  }
  const once = process.argv.includes("--once");
  const demo = await prepare();
  const emperor = spawn(
    join(ROOT, "bin/emperor"),
    ["--ini", join(demo.folder, "emperor.ini"), "--vassal-env-keep", MARK],
    {
      detached: true,
      stdio: ["ignore", "inherit", "inherit"],
      env: { ...process.env, [MARK]: demo.folder },
    },
  );
  const ended = new Promise((resolve) => {
    emperor.once("error", (error) => resolve(`could not be started: ${error.message}`));
    emperor.once("exit", (code, signal) => resolve(`ended with ${signal ?? code}`));
  });
  let asked = false;
  const stop = () => {
    if (emperor.pid === undefined || emperor.exitCode !== null) return;
    emperor.kill("SIGTERM");
    if (!asked) setTimeout(() => emperor.kill("SIGKILL"), STOP_DEADLINE_MS).unref();
    asked = true;
  };
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, stop);
  let failure = 0;
  try {
    const answers = await Promise.race([answersOf(demo.tenants), ended.then(() => undefined)]);
    if (answers === undefined) {
      if (!asked) say("demo-hosting: not every tenant's site came up, see the log above");
      failure = asked ? 0 : 1;
      stop();
    } else {
      introduce(demo, answers);
      if (once) stop();
      else say("\nCtrl-c here stops everything.");
    }
    const how = await ended;
    if (!asked) {
      say(`demo-hosting: the Emperor ${how} by itself`);
      failure = 1;
    }
    const rest = await until(() => (marked(demo.folder).length === 0 ? 0 : undefined), 5000);
    if (rest === undefined && endRest(demo.folder) > 0) failure = 1;
    else if (failure === 0) say("demo-hosting: all stopped, no process is left.");
  } finally {
    rmSync(demo.folder, { recursive: true, force: true });
  }
  return failure;
}

process.exitCode = await main();
