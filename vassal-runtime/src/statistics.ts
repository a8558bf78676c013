/**
 * What the stats server tells of this vassal. Whoever runs workers says how to ask for them; this file
 * adds what the kernel knows: memory and listen queues. Changes nothing.
 */
import { readFileSync } from "node:fs";
import { listenQueueLength } from "@emperor/linux";
import { renderInstanceStats } from "@emperor/protocol";
import type { InstanceStats, StatsSocket, StatsWorker } from "@emperor/protocol";
import { harakirisOf } from "./harakiri-count.ts";
import { RequestCounter } from "./request-counter.ts";
import type { RequestTotals } from "./request-counter.ts";
import { observeRequests } from "./request-observer.ts";
import { serveStats } from "./stats-server.ts";
import type { StatsSettings } from "./stats-settings.ts";
import type { Vassal } from "./vassal.ts";
import { WorkerBoard } from "./worker-board.ts";
import { askWorkers, tellWorkers } from "./worker-states.ts";
import type { WorkerState } from "./worker-states.ts";

const PAGE_BYTES = 4096;
const NO_TOTALS: RequestTotals = {
  requests: 0,
  running: 0,
  failures: 0,
  runningTimeUs: 0,
  averageUs: 0,
  sentBytes: 0,
};

/**
 * Begins to count and to serve. Call it before the app is loaded and before workers are started, which
 * need the variable that is returned.
 */
export async function startStatistics(
  vassal: Vassal,
  settings: StatsSettings,
  version: string,
): Promise<string | undefined> {
  await serveStats(settings, async () => describeVassal(vassal, await askWorkers(), version));
  if (vassal.settings.app.kind === "command") return undefined;
  if (!vassal.settings.master) {
    countOwnRequests();
    return undefined;
  }
  const board = new WorkerBoard(vassal.settings.processes);
  await board.open();
  tellWorkers(async () => board.ask());
  return board.name;
}

/** The document on one line, for the log. */
export async function statisticsText(vassal: Vassal, version: string): Promise<string> {
  const text = describeVassal(vassal, await askWorkers(), version);
  return JSON.stringify(JSON.parse(text));
}

function countOwnRequests(): void {
  const counter = new RequestCounter();
  observeRequests(counter);
  const startedAt = Math.floor(Date.now() / 1000);
  tellWorkers(() => [
    {
      id: 1,
      pid: process.pid,
      accepting: true,
      startedAt,
      respawns: 0,
      silent: false,
      totals: counter.totals,
    },
  ]);
}

/** The document's text at this moment. */
function describeVassal(
  { settings, sockets }: Vassal,
  workers: readonly WorkerState[],
  version: string,
): string {
  const described = sockets.map(({ fd, text, protocol }) => describeSocket(fd, text, protocol));
  const longest = Math.max(0, ...described.map(({ queue }) => queue));
  const document: InstanceStats = {
    version,
    listen_queue: longest,
    listen_queue_errors: 0,
    signal_queue: 0,
    load: longest,
    pid: process.pid,
    uid: process.getuid?.() ?? 0,
    gid: process.getgid?.() ?? 0,
    cwd: process.cwd(),
    locks: [],
    sockets: described,
    workers: workers.map((worker) => describeWorker(worker, settings.app.kind === "node")),
  };
  return renderInstanceStats(document, { minified: settings.stats?.minified ?? false });
}

function describeSocket(fd: number, name: string, proto: string): StatsSocket {
  let queue = { length: 0, backlog: 0 };
  try {
    queue = listenQueueLength(fd);
  } catch {
    // A kernel without socket diagnosis; 0 is what uWSGI says there.
  }
  return {
    name,
    proto,
    queue: queue.length,
    max_queue: queue.backlog,
    shared: 0,
    can_offload: 0,
  };
}

function describeWorker(worker: WorkerState, hasApp: boolean): StatsWorker {
  const { id, pid, totals = NO_TOTALS } = worker;
  const { rss, vsz } = memoryOf(pid);
  const busy = totals.running > 0 || worker.silent;
  return {
    id,
    pid,
    accepting: worker.accepting ? 1 : 0,
    requests: totals.requests,
    delta_requests: totals.requests,
    exceptions: totals.failures,
    harakiri_count: harakirisOf(id),
    signals: 0,
    signal_queue: 0,
    status: pid === 0 ? "cheap" : busy ? "busy" : "idle",
    rss,
    vsz,
    running_time: totals.runningTimeUs,
    last_spawn: worker.startedAt,
    respawn_count: worker.respawns,
    tx: totals.sentBytes,
    avg_rt: totals.averageUs,
    apps: hasApp
      ? [
          {
            id: 0,
            modifier1: 0,
            mountpoint: "",
            startup_time: 0,
            requests: totals.requests,
            exceptions: totals.failures,
            chdir: "",
          },
        ]
      : [],
    cores: [
      {
        id: 0,
        requests: totals.requests,
        static_requests: 0,
        routed_requests: 0,
        offloaded_requests: 0,
        write_errors: 0,
        read_errors: 0,
        in_request: busy ? 1 : 0,
        vars: [],
      },
    ],
  };
}

/** Bytes, as uWSGI gives them with `memory-report`. */
function memoryOf(pid: number): { readonly rss: number; readonly vsz: number } {
  try {
    const [size = "0", resident = "0"] = readFileSync(`/proc/${pid}/statm`, "latin1").split(" ");
    return { rss: Number(resident) * PAGE_BYTES, vsz: Number(size) * PAGE_BYTES };
  } catch {
    return { rss: 0, vsz: 0 }; // it has ended
  }
}
