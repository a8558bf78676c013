/** What vassals use of the machine, as the court keeps it and the statistics show it. Pure. */
import type { StatsCgroup } from "@emperor/protocol";
import type { CgroupAccount, RunUsage } from "./hands.ts";
import type { PastUsage } from "./record.ts";

/** `past` and one more run. */
export function addUsage(past: PastUsage | undefined, run: RunUsage): PastUsage {
  return {
    runs: (past?.runs ?? 0) + 1,
    cpuMs: (past?.cpuMs ?? 0) + (run.cpuMs ?? 0),
    oomKills: (past?.oomKills ?? 0) + (run.oomKills ?? 0),
    memoryPeak: Math.max(past?.memoryPeak ?? 0, run.memoryPeak ?? 0),
    last: run,
  };
}

/** The statistics' fields of a vassal: `account` of the run that goes on, `past` of those that ended. */
export function statsCgroup(
  account: CgroupAccount | undefined,
  past: PastUsage | undefined,
): StatsCgroup | undefined {
  if (account === undefined && past === undefined) return undefined;
  return {
    ...(account === undefined ? {} : statsAccount(account)),
    ...(past === undefined
      ? {}
      : {
          past: {
            runs: past.runs,
            cpu_ms: past.cpuMs,
            memory_peak: past.memoryPeak,
            oom_kills: past.oomKills,
          },
        }),
  };
}

function statsAccount(account: CgroupAccount): StatsCgroup {
  const { memory, memoryPeak, cpuMs, processes, processesPeak, oomKills, pressure } = account;
  return {
    ...(memory === undefined ? {} : { memory }),
    ...(memoryPeak === undefined ? {} : { memory_peak: memoryPeak }),
    ...(cpuMs === undefined ? {} : { cpu_ms: cpuMs }),
    ...(processes === undefined ? {} : { processes }),
    ...(processesPeak === undefined ? {} : { processes_peak: processesPeak }),
    ...(oomKills === undefined ? {} : { oom_kills: oomKills }),
    ...(pressure === undefined ? {} : { pressure }),
  };
}
