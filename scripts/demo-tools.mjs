// What the demonstrations have in common: ports, processes by their mark, waiting. Starts nothing.
import { readdirSync, readFileSync } from "node:fs";
import { createServer } from "node:net";

/** In the environment of everything that a demo starts, so that nothing can be left unseen. */
export const MARK = "EMPEROR_DEMO";

export const say = (text = "") => process.stdout.write(`${text}\n`);

/** Is a TCP port of 127.0.0.1 free? Port 0: any; resolves with the port, or undefined. */
export function tryPort(port) {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(undefined));
    server.listen(port, "127.0.0.1", () => {
      const { port: found } = server.address();
      server.close(() => resolve(found));
    });
  });
}

/** Pids of living processes that carry the mark of this demo. */
export function marked(folder) {
  const wanted = `${MARK}=${folder}`;
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      if (pid === process.pid) return false;
      try {
        return readFileSync(`/proc/${pid}/environ`, "utf8").split("\0").includes(wanted);
      } catch {
        return false; // gone meanwhile, or not ours
      }
    });
}

/** Polls `check` until it returns something, or the time is over (undefined). */
export async function until(check, deadlineMs) {
  const endsAt = performance.now() + deadlineMs;
  for (;;) {
    const result = await check();
    if (result !== undefined) return result;
    if (performance.now() >= endsAt) return undefined;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** Kills what should have been gone, by pid; returns how many there were. */
export function endRest(folder) {
  const rest = marked(folder);
  for (const pid of rest) {
    const command = readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
    say(
      `demo: process ${pid} was left behind (${command.trim()}): killed. This is a defect, please report it.`,
    );
    process.kill(pid, "SIGKILL");
  }
  return rest.length;
}
