/**
 * The control socket of a running Emperor: puts event log, rights and server together. Loaded only where
 * there is one.
 */
import type { OrderOutcome } from "../court/operator.ts";
import type { CourtRecord, Observer } from "../court/record.ts";
import type { RunningEmperor } from "../court/running-emperor.ts";
import type { Logger } from "../log/logger.ts";
import type { Settings } from "../options/settings.ts";
import { ownerOf } from "../spawn/socket-owner.ts";
import { startControlServer, type ControlServer } from "./control-server.ts";
import { EventLog } from "./event-log.ts";

export interface ControlOffice {
  /** To be told of every transition, from the first on. */
  readonly observer: Observer;
  /**
   * Binds the socket.
   * @throws EmperorError when that is refused
   */
  serve(
    settings: Settings,
    emperor: RunningEmperor,
    logger: Logger,
    version: string,
  ): Promise<ControlServer>;
}

export function openOffice(): ControlOffice {
  const events = new EventLog();
  return {
    observer: ({ record, notice, at }) => {
      const { kind, ...facts } = notice;
      const { spec, vassal } = record;
      const { monitor, name } = spec;
      events.add(
        { ...facts, at, monitor, vassal: name, event: kind, state: vassal.phase.name },
        spec.uid,
      );
    },
    serve: (settings, emperor, logger, version) => {
      const { control, tyrant } = settings;
      if (control === undefined) throw new Error("there is no control socket to serve");
      return startControlServer({
        path: control.path,
        mode: control.mode,
        ...ownerOf("emperor-control-owner", control.owner),
        logger,
        operator: emperor.operator,
        events,
        policy: { tyrant, ownUid: process.geteuid?.() ?? 0 },
        version,
        stats: () => emperor.stats(),
        monitorAddress: (id) => emperor.monitorAddress(id),
        rescan: () => emperor.rescan(),
        pardonAll: () => emperor.clearBlacklist(),
        ...(settings.isolation.cgroup === undefined
          ? {}
          : { freeze: (record, frozen) => freeze(emperor, record, frozen) }),
      });
    },
  };
}

function freeze(emperor: RunningEmperor, record: CourtRecord, frozen: boolean): OrderOutcome {
  const problem = emperor.freeze(record, frozen);
  const order = frozen ? "freeze" : "thaw";
  return problem === undefined
    ? { ok: true, result: "done", detail: `${order}: done` }
    : { ok: false, result: "failed", detail: `${order}: ${problem}` };
}
