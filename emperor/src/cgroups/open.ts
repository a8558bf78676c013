/**
 * From settings to working cgroups. Loaded only by an Emperor that is told to use them.
 */
import { readFileSync } from "node:fs";
import { totalmem } from "node:os";
import type { Logger } from "../log/logger.ts";
import type { IsolationSettings } from "../options/isolation-options.ts";
import { readLimit, settle, type Limit } from "./limits.ts";
import { takeTerritory } from "./territory.ts";
import { VassalCgroups } from "./vassal-cgroups.ts";

export type CgroupSettings = Pick<
  IsolationSettings,
  "cgroupLimits" | "cgroupCeilings" | "cgroupAttribute"
>;

/**
 * Takes the directory of `emperor-cgroup`.
 * @throws EmperorError `cgroup-failed`
 */
export async function openCgroups(
  directory: string,
  settings: CgroupSettings,
  logger: Logger,
): Promise<VassalCgroups> {
  const machine = { memoryBytes: totalmem() };
  const read = (texts: readonly string[]): readonly Limit[] =>
    // Checked when the options were read.
    settle(
      texts.flatMap((text) => {
        const reading = readLimit(text, machine);
        return reading.ok ? [reading.limit] : [];
      }),
    );
  const limits = read(settings.cgroupLimits);
  const ceilings = read(settings.cgroupCeilings);
  const territory = await takeTerritory({
    directory,
    limits: [...limits, ...ceilings],
    forAll: limits,
    mountinfo: readFileSync("/proc/self/mountinfo", "utf8"),
    pid: process.pid,
    logger,
  });
  const { cgroupAttribute: attribute } = settings;
  return new VassalCgroups(territory, { limits, ceilings, attribute, machine }, logger);
}
