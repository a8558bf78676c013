/** The examples that are folders, as their README runs them: started, asked, reloaded under load, stopped. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, readFileSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import { needing } from "../../linux/test/privileges.ts";
import type { DefineTest } from "../../linux/test/privileges.ts";
import { programTest } from "../harness/privileges.ts";
import { waitFor } from "../harness/wait.ts";
import { VassalFolder, freePort, get, load } from "./vassal-harness.ts";
import type { RunningVassal } from "./vassal-harness.ts";

const EXAMPLES = join(import.meta.dirname, "../../examples");
const MODULES = join(import.meta.dirname, "../node_modules");

/** Copies an example; each of its ports becomes one that is free. Gives the new number of a port. */
async function copyExample(folder: VassalFolder, name: string): Promise<(port: number) => number> {
  const target = folder.file(name);
  cpSync(join(EXAMPLES, name), target, { recursive: true });
  const ports = new Map<string, number>();
  for (const file of readdirSync(target)) {
    if (!/\.(?:ini|conf)$/.test(file)) continue;
    let text = readFileSync(join(target, file), "utf8");
    for (const port of new Set(text.match(/\b180\d\d\b/g))) {
      if (!ports.has(port)) ports.set(port, await freePort());
      text = text.replaceAll(port, String(ports.get(port)));
    }
    writeFileSync(join(target, file), text);
  }
  return (port) => ports.get(String(port)) ?? -1;
}

/** How often the app has begun to accept. */
type Starts = (vassal: RunningVassal) => number;

const accepted: Starts = ({ bytes }) => bytes.filter((byte) => byte === 5).length;
/** Gunicorn reloads by itself: two workers each time. */
const booted: Starts = ({ log }) => Math.floor((log.match(/Booting worker/g) ?? []).length / 2);
const always = needing(true, "");

const EXAMPLES_OF_ONE_PORT: readonly (readonly [string, number, RegExp, Starts, DefineTest])[] = [
  ["express", 18083, /^Express says hello to 127\.0\.0\.1 from process \d+/, accepted, always],
  ["fastify", 18084, /^\{"hello":"from Fastify","process":\d+\}$/, accepted, always],
  [
    "gunicorn",
    18085,
    /^gunicorn, process \d+, asked for \//,
    booted,
    programTest(["gunicorn", "python3"]),
  ],
];

for (const [name, port, answer, starts, define] of EXAMPLES_OF_ONE_PORT) {
  define(`${name}: serves, is reloaded without losing a request, and ends`, async () => {
    await using folder = await VassalFolder.create();
    const portOf = await copyExample(folder, name);
    symlinkSync(MODULES, join(folder.file(name), "node_modules"));
    const vassal = folder.start({ argv: ["--ini", folder.file(`${name}/app.ini`)] });
    await vassal.accepting();
    const url = `http://127.0.0.1:${portOf(port)}/`;
    expect((await get(url)).body).toMatch(answer);
    await expectQuietReload(vassal, url, starts);
    expect((await get(url)).body).toMatch(answer);
    vassal.send(2);
    expect(await vassal.ended()).toEqual({ code: 0, signal: null });
    await folder.untilAlone();
  });
}

/** The app starts anew, and every request meanwhile is answered. */
async function expectQuietReload(
  vassal: RunningVassal,
  url: string,
  starts: Starts,
): Promise<void> {
  const clients = load(url, 4);
  const before = starts(vassal);
  vassal.send(1);
  await waitFor("the new start", () => starts(vassal) > before, { witness: vassal });
  const { answers, failures } = await clients.stop();
  expect(failures).toEqual([]);
  expect(answers).toBeGreaterThan(0);
}

programTest(["nginx"])("nginx: reaches the vassal by uwsgi_pass and by proxy_pass", async () => {
  await using folder = await VassalFolder.create();
  const portOf = await copyExample(folder, "nginx");
  const home = folder.file("nginx");
  const vassal = folder.start({ argv: ["--ini", join(home, "app.ini")] });
  await vassal.accepting();
  const nginx = spawn("nginx", ["-p", home, "-c", "nginx.conf", "-e", "error.log"], {
    cwd: home,
    stdio: "ignore",
  });
  const exited = once(nginx, "exit");
  try {
    const url = `http://127.0.0.1:${portOf(18088)}/`;
    await waitFor("nginx to answer", async () => (await get(url)).status === 200, {
      witness: {
        onChange: () => () => undefined,
        account: () => `${readFileSync(join(home, "error.log"), "utf8")}\n${vassal.account()}`,
      },
    });
    expect((await get(`${url}a?b=c`)).body).toMatch(
      /^uwsgi_pass: GET \/a\?b=c for 127\.0\.0\.1\S* from 127\.0\.0\.1\n$/,
    );
    expect((await get(`${url}http/a?b=c`)).body).toMatch(
      /^proxy_pass: GET \/a\?b=c for 127\.0\.0\.1\S* from 127\.0\.0\.1\n$/,
    );
    await expectQuietReload(vassal, `${url}http/`, accepted);
    await expectQuietReload(vassal, url, accepted);
  } finally {
    nginx.kill("SIGTERM");
    await exited;
  }
});
