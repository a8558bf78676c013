/** Programs that accompany the app: their life, and their end with the vassal's. */
import { existsSync, readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { isAlive, signalTo } from "../harness/processes.ts";
import { waitFor } from "../harness/wait.ts";
import { VassalFolder, get } from "./vassal-harness.ts";

const APP = "export default (_request, response) => response.end('ok');";
/** Says that it lives, and that it was told to end. */
const DAEMON = `trap 'echo told > "$1.told"; exit 0' TERM
echo $$ > "$1.pid"; echo "daemon $1 lives"; while :; do sleep 0.05; done`;

it.each(["node-app = app.mjs", "node-app = app.mjs\nmaster = true", "command = sleep 1000"])(
  "starts daemons after the app, again when they end, and ends them gracefully: %s",
  async (app) => {
    await using folder = await VassalFolder.create();
    folder.write("app.mjs", APP);
    folder.write("daemon.sh", DAEMON);
    folder.ini(
      `${app}\nattach-daemon = exec sh daemon.sh one\nattach-daemon = sh daemon.sh two; :`,
    );
    const vassal = folder.start();
    await vassal.accepting();
    await vassal.untilLog(/daemon one lives/);
    await vassal.untilLog(/daemon two lives/);
    const pid = await pidIn(folder.file("one.pid"));
    signalTo(pid, "SIGKILL");
    await vassal.untilLog(
      /daemon "?exec sh daemon.sh one"? was ended by SIGKILL: starting it again in 1000 ms/,
    );
    await vassal.untilLog(/one lives[^]*one lives/);
    vassal.send(2);
    expect(await vassal.ended()).toEqual({ code: 0, signal: null });
    expect(existsSync(folder.file("one.told"))).toBe(true);
    expect(existsSync(folder.file("two.told"))).toBe(true);
    await folder.untilAlone();
  },
);

it("starts them anew with a reload that executes the process anew, and kills them with it", async () => {
  await using folder = await VassalFolder.create();
  folder.write("app.mjs", APP);
  folder.write("daemon.sh", DAEMON);
  folder.ini("node-app = app.mjs\nattach-daemon = exec sh daemon.sh one");
  const vassal = folder.start();
  await vassal.untilLog(/one lives/);
  vassal.send(1);
  await vassal.untilLog(/one lives[^]*one lives/);
  expect(existsSync(folder.file("one.told"))).toBe(true);
  expect((await get(folder.url)).status).toBe(200);
  vassal.child.kill("SIGKILL");
  await vassal.ended();
  await folder.untilAlone();
});

it("stops when a control daemon ends", async () => {
  await using folder = await VassalFolder.create();
  folder.write("app.mjs", APP);
  folder.ini(
    "node-app = app.mjs\nattach-control-daemon = while [ ! -e go ]; do sleep 0.02; done; exit 4",
  );
  const vassal = folder.start();
  await vassal.accepting();
  folder.write("go", "");
  expect(await vassal.ended()).toEqual({ code: 0, signal: null });
  expect(vassal.log).toContain("exited with 4: it is attach-control-daemon, stopping");
});

it("finds a smart daemon by its pidfile, leaves it behind, and starts it when it is gone", async () => {
  await using folder = await VassalFolder.create();
  folder.write("app.mjs", APP);
  folder.write(
    "smart.sh",
    "setsid sh -c 'echo $$ > smart.pid; exec sleep 1000' &\nwhile [ ! -s smart.pid ]; do sleep 0.01; done",
  );
  for (const app of ["node-app = app.mjs", "command = sleep 1000"]) {
    folder.write("smart.pid", "");
    folder.ini(`${app}\nsmart-attach-daemon2 = smart.pid sh smart.sh`);
    const first = folder.start();
    await first.untilLog(/daemon "?sh smart.sh"? runs as process \d+[^]*runs as process/);
    const pid = await pidIn(folder.file("smart.pid"));
    first.send(2);
    expect(await first.ended()).toEqual({ code: 0, signal: null });
    expect(isAlive(pid)).toBe(true);
    const second = folder.start();
    await second.untilLog(new RegExp(`runs already as process ${pid}`));
    folder.write("smart.pid", "");
    signalTo(pid, "SIGKILL");
    await second.untilLog(/ended: starting it again in 1000 ms/);
    const next = await pidIn(folder.file("smart.pid"));
    second.send(0);
    await second.ended();
    signalTo(next, "SIGKILL");
    await folder.untilAlone();
  }
});

/** A shell empties the file before it writes to it. */
async function pidIn(path: string): Promise<number> {
  return waitFor(`a pid in ${path}`, () => {
    const found = Number(readFileSync(path, "utf8"));
    return found > 1 ? found : undefined;
  });
}
