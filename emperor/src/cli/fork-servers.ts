/**
 * Makes this process one that may adopt: child subreaper, reaper of orphans, client of fork servers.
 * Loaded only where an option asks for it.
 */
import * as linux from "@emperor/linux";
import { EmperorError, reasonOf } from "../errors.ts";
import type { Settings } from "../options/settings.ts";
import { Ears } from "../remote/ears.ts";
import { ForkServerClient } from "../spawn/fork-server.ts";
import type { Machine } from "../spawn/machine.ts";
import { Orphans } from "../spawn/orphans.ts";

export interface ForkServers {
  /** Absent: only orphans are adopted. */
  readonly client: ((machine: Machine) => ForkServerClient) | undefined;
  /** Takes the dead that nobody waits for, until the process ends. */
  reapOrphans(isOurs: (pid: number) => boolean): void;
}

/** @throws EmperorError `limit-failed` when the kernel refuses */
export function prepareForkServers({ forkServer, tyrant }: Settings): ForkServers {
  try {
    linux.setChildSubreaper(true);
  } catch (error) {
    throw new EmperorError(
      "limit-failed",
      `emperor-subreaper: this process cannot become a child subreaper: ${reasonOf(error)}; nothing is started`,
      { cause: error },
    );
  }
  const asks = forkServer.address !== undefined || forkServer.attribute !== undefined;
  return {
    client: asks
      ? (machine) =>
          new ForkServerClient({
            machine: {
              ...bound(machine),
              connect: linux.connect,
              sendDescriptors: linux.sendDescriptors,
              openPidfd: linux.openPidfd,
            },
            settings: forkServer,
            tyrant,
            ears: new Ears(),
          })
      : undefined,
    reapOrphans: (isOurs) => void new Orphans(isOurs),
  };
}

/** The calls that a start needs, out of a machine that may be a proxy. */
function bound(machine: Machine): Machine {
  const { spawn, spawnAsync, createWatcher, socketpair, readChannel } = machine;
  const { writeChannel, close, reap, signalProcess, signalGroup } = machine;
  return {
    spawn,
    spawnAsync,
    createWatcher,
    socketpair,
    readChannel,
    writeChannel,
    close,
    reap,
    signalProcess,
    signalGroup,
  };
}
