// The demonstration behind `make demo`: an Emperor on a copy of examples/vassals, what to look at and
// what to try. Ctrl-c stops everything and checks that no process is left. Changes nothing in the
// checkout and nothing outside of one fresh temporary folder.
import { spawn } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { formatStats, readStats } from "./demo-stats.mjs";
import { endRest, MARK, marked, say, tryPort, until } from "./demo-tools.mjs";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..");
const START_DEADLINE_MS = 20_000;
const STOP_DEADLINE_MS = 30_000;

/** Copies the examples; a port that is taken on this machine is replaced in the copy. */
async function prepare() {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), "emperor-demo-")));
  for (const part of ["vassals", "apps"])
    cpSync(join(ROOT, "examples", part), join(folder, part), { recursive: true });
  const addresses = new Map();
  const moved = [];
  for (const name of readdirSync(join(folder, "vassals")).toSorted()) {
    const file = join(folder, "vassals", name);
    const text = readFileSync(file, "utf8");
    const port = Number(/^\s*http-socket\s*=\s*127\.0\.0\.1:(\d+)/m.exec(text)?.[1] ?? 0);
    if (port === 0) continue;
    const usable = (await tryPort(port)) ?? (await tryPort(0));
    if (usable !== port) {
      writeFileSync(file, text.replace(`127.0.0.1:${port}`, `127.0.0.1:${usable}`));
      moved.push(`${name}: port ${port} is taken here, ${usable} is used instead`);
    }
    addresses.set(name, `http://127.0.0.1:${usable}/`);
  }
  return { folder, addresses, moved };
}

/** The stats document once every vassal with an address accepts requests and the crashing one has died. */
async function whenUp(socket, addresses) {
  let last;
  const up = await until(async () => {
    last = await readStats(socket).catch(() => undefined);
    if (last === undefined) return undefined;
    const accepting = new Set(
      last.vassals.filter((vassal) => vassal.accepting === 1).map(({ id }) => id),
    );
    const all = [...addresses.keys()].every((name) => accepting.has(name));
    return all && last.blacklist.length > 0 ? last : undefined;
  }, START_DEADLINE_MS);
  return { up, last };
}

function introduce({ folder, addresses, moved }, stats, socket) {
  const vassals = join(folder, "vassals");
  const pid = stats.vassals.find(({ id }) => id === "hello.ini")?.pid ?? "PID";
  const table = `node ${join(ROOT, "scripts/demo-stats.mjs")} ${socket}`;
  say();
  say("──────────────────────────────────────────────────────────────────────────────");
  say("The Emperor governs these vassals (a copy of examples/vassals):");
  say();
  for (const line of formatStats(stats)) say(`  ${line}`);
  say();
  say("Open:");
  for (const [name, address] of addresses) say(`  ${address}   ${name}`);
  for (const line of moved) say(`  (${line})`);
  say();
  say("Try in another terminal, and watch the log here:");
  say(`  reload one           touch ${vassals}/hello.ini`);
  say(`  edit one             sed -i s/GREETING=.*/GREETING=Salve/ ${vassals}/hello.ini`);
  say(
    `  break one            echo 'node-app = /nowhere.mjs' >> ${vassals}/hello.ini   (it goes on as it is)`,
  );
  say(`  kill one             kill -9 ${pid}`);
  say(`  remove one           rm ${vassals}/clock.ini`);
  say(`  add one              cp ${join(ROOT, "examples/vassals/clock.ini")} ${vassals}/`);
  say(`  see all              ${table}`);
  say(`  the blacklist        ${table}   (crashing.ini waits longer after each death)`);
  say();
  say("Ctrl-c here stops everything.");
  say("──────────────────────────────────────────────────────────────────────────────");
  say();
}

async function main() {
  if (!existsSync(join(ROOT, "emperor/dist"))) {
    say("demo: nothing is built yet; run `make demo` (or `make build` first).");
    return 1;
  }
  const demo = await prepare();
  const socket = join(demo.folder, "stats.sock");
  // A session of its own: ctrl-c on the terminal reaches this program only, which then stops the Emperor once.
  const emperor = spawn(
    join(ROOT, "bin/emperor"),
    ["--emperor", join(demo.folder, "vassals"), "--emperor-stats", socket],
    {
      detached: true,
      stdio: ["ignore", "inherit", "inherit"],
      env: { ...process.env, [MARK]: demo.folder },
    },
  );
  const ended = new Promise((resolve) => {
    emperor.once("error", (error) => resolve(`could not be started: ${error.message}`));
    emperor.once("exit", (code, signal) =>
      resolve(signal === null ? `exited with ${code}` : `was ended by ${signal}`),
    );
  });
  let asked = false;
  const stop = () => {
    if (!asked) say("\ndemo: stopping the Emperor and its vassals ...");
    else say("demo: asked again, the Emperor hurries");
    if (emperor.pid === undefined || emperor.exitCode !== null) return;
    emperor.kill("SIGTERM");
    if (!asked) setTimeout(() => emperor.kill("SIGKILL"), STOP_DEADLINE_MS).unref();
    asked = true;
  };
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, stop);
  let failure = 0;
  try {
    const early = await Promise.race([whenUp(socket, demo.addresses), ended.then(() => "ended")]);
    if (early !== "ended" && !asked) {
      if (early.up === undefined) {
        say(`demo: not every vassal came up within ${START_DEADLINE_MS / 1000} s; last seen:`);
        for (const line of early.last === undefined ? ["no statistics"] : formatStats(early.last))
          say(`  ${line}`);
        failure = 1;
        stop();
      } else {
        introduce(demo, early.up, socket);
      }
    }
    const how = await ended;
    if (!asked) {
      say(`demo: the Emperor ${how} by itself`);
      failure = 1;
    }
    const rest = await until(() => (marked(demo.folder).length === 0 ? 0 : undefined), 2000);
    if (rest === undefined && endRest(demo.folder) > 0) failure = 1;
    else if (asked && failure === 0) say("demo: all stopped, no process is left.");
  } finally {
    rmSync(demo.folder, { recursive: true, force: true });
  }
  return failure;
}

process.exitCode = await main();
