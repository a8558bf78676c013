/**
 * How long one start holds up the Emperor's thread, plain and with everything that keeps vassals apart:
 * the same functions of the Emperor, without its loop around them.
 */
import { constants } from "node:os";
import { CLONE_NEW, close, createWatcher, reap, signalProcess, spawnAsync } from "@emperor/linux";
import { openCgroups } from "../../emperor/dist/cgroups/open.js";
import { now } from "./measure.mjs";

const ROUNDS = 200;
const quiet = { info: () => undefined, warning: () => undefined };

const PLAIN = {
  programs: [{ path: "/bin/sleep", argv0: "sleep" }],
  args: ["1000"],
  env: [],
  cwd: "/",
  fds: [{ from: -1, to: 0 }],
  session: true,
  parentDeathSignal: 9,
  mode: "shared",
};

const ISOLATED = {
  ...PLAIN,
  namespaces:
    CLONE_NEW.mount |
    CLONE_NEW.pid |
    CLONE_NEW.ipc |
    CLONE_NEW.uts |
    CLONE_NEW.net |
    CLONE_NEW.user,
  makeMountsPrivate: true,
  mountProc: true,
  hostName: "bench",
  loopback: true,
  userMap: { uidMap: "0 300000 65536\n", gidMap: "0 300000 65536\n", denySetgroups: false },
  credentials: { uid: 1000, gid: 1000, groups: [] },
  capabilityBound: [5, 8],
  noNewPrivs: true,
};

/** Ends a child and waits for that. */
function finished(child) {
  return new Promise((resolve) => {
    const watcher = createWatcher(() => {
      if (reap(child.pidfd) === undefined) return;
      watcher.remove(1);
      close(child.pidfd);
      // Not within its own report.
      setImmediate(() => {
        watcher.close();
        resolve();
      });
    });
    watcher.addProcess(child.pidfd, 1);
    signalProcess(child.pidfd, constants.signals.SIGKILL);
  });
}

/** ms of each start in this thread, and of each end. */
async function rounds(options, cgroups) {
  const starts = [];
  const ends = [];
  for (let n = 0; n < ROUNDS; n++) {
    let seat;
    let entry = {};
    const child = await new Promise((resolve, reject) => {
      const at = now();
      if (cgroups !== undefined) {
        seat = cgroups.make({ name: `bench-${n}.ini`, attributes: {} });
        if (!seat.ok) throw new Error(seat.detail);
        entry = cgroups.entryOf(seat.name);
      }
      spawnAsync({ ...options, ...entry }, (result) => {
        cgroups?.leave(entry);
        if (result.ok) resolve(result);
        else reject(new Error(`${result.stage} ${result.code}`));
      });
      starts.push((now() - at) / 1e6);
    });
    await finished(child);
    if (cgroups === undefined) continue;
    const at = now();
    cgroups.usage(seat.name);
    cgroups.end(seat.name);
    ends.push((now() - at) / 1e6);
  }
  return { starts, ends };
}

/** `directory`: for cgroups; removed by the caller. */
export async function measureSpawns(directory) {
  const plain = await rounds(PLAIN, undefined);
  const settings = {
    cgroupLimits: ["memory.max=512M", "cpu.max=50%", "pids.max=200"],
    cgroupCeilings: [],
    cgroupAttribute: undefined,
  };
  const cgroups = await openCgroups(directory, settings, quiet);
  const isolated = await rounds(ISOLATED, cgroups);
  await cgroups.idle(3000);
  cgroups.close();
  return { plain: plain.starts, isolated: isolated.starts, end: isolated.ends };
}
