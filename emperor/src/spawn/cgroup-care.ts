/**
 * The hands' dealings with the cgroups of their processes, if there are any. Without cgroups every
 * function does nothing; it must not know what a cgroup is made of.
 */
import type { VassalCgroups } from "../cgroups/vassal-cgroups.ts";
import type { CgroupAccount, RunUsage } from "../court/hands.ts";
import type { Logger } from "../log/logger.ts";
import { quoteName } from "../log/quoting.ts";
import type { ProcessRecord } from "./process-table.ts";

export class CgroupCare {
  readonly cgroups: VassalCgroups | undefined;
  readonly #logger: Pick<Logger, "warning">;

  constructor(cgroups: VassalCgroups | undefined, logger: Pick<Logger, "warning">) {
    this.cgroups = cgroups;
    this.#logger = logger;
  }

  /** SIGKILL for all of it, those that left the process group too. */
  kill(record: ProcessRecord): void {
    if (record.cgroup !== "") this.cgroups?.kill(record.cgroup);
  }

  /** A frozen process hears nothing: before anything is asked of it, it is thawed. */
  wake(record: ProcessRecord): void {
    if (record.cgroup !== "") this.cgroups?.thaw(record.cgroup);
  }

  freeze(record: ProcessRecord | undefined): string | undefined {
    if (record === undefined || record.stage !== "alive") return "it has no process";
    return this.cgroups === undefined || record.cgroup === ""
      ? "it has no cgroup (emperor-cgroup)"
      : this.cgroups.freeze(record.cgroup);
  }

  thaw(record: ProcessRecord | undefined): string | undefined {
    return record === undefined || record.cgroup === ""
      ? undefined
      : this.cgroups?.thaw(record.cgroup);
  }

  /** Its main process is reaped: what the run has used, said so if memory ran out; then the cgroup goes. */
  end(record: ProcessRecord): RunUsage | undefined {
    const { cgroups } = this;
    if (cgroups === undefined || record.cgroup === "") return undefined;
    const usage = cgroups.usage(record.cgroup);
    const kills = usage.oomKills ?? 0;
    if (kills > 0) {
      const who = `${kills} ${kills === 1 ? "process" : "processes"}`;
      this.#logger.warning(
        `[emperor] vassal ${quoteName(record.spec.name)} (pid: ${record.pid}) ran out of memory: the kernel killed ${who} of it at the limit of its cgroup${
          usage.memoryPeak === undefined ? "" : ` (most used: ${usage.memoryPeak} bytes)`
        }`,
      );
    }
    this.forget(record);
    return usage;
  }

  /** Kills what is left of it and gives the cgroup back. */
  forget(record: ProcessRecord): void {
    if (record.cgroup === "") return;
    this.cgroups?.end(record.cgroup);
    record.cgroup = "";
  }

  accounts(
    records: readonly (ProcessRecord | undefined)[],
  ): readonly (CgroupAccount | undefined)[] {
    const { cgroups } = this;
    if (cgroups === undefined) return [];
    const seated = records.flatMap((one) =>
      one === undefined || one.cgroup === "" ? [] : one.cgroup,
    );
    const accounts = cgroups.accounts(seated);
    let next = 0;
    return records.map((one) => {
      if (one === undefined || one.cgroup === "") return undefined;
      next += 1;
      return accounts[next - 1];
    });
  }
}
