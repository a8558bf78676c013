/**
 * `zergpool`: sockets that are bound here and served by others, who may come and go while the connections
 * wait. With nothing else to run the vassal is only that. Knows no app.
 */
import { RuntimeError } from "./errors.ts";
import { log } from "./log.ts";
import { THE_EMPEROR, followOrders } from "./orders.ts";
import { parseAddress } from "./address.ts";
import { bindPool } from "./sockets.ts";
import type { SocketSettings } from "./socket-settings.ts";
import type { Vassal, VassalControls } from "./vassal.ts";
import { serveZergs } from "./zerg-server.ts";
import type { ZergPool } from "./zerg-settings.ts";

/** Binds the sockets of a pool and hands them out from now on. */
export async function openPool(
  { addresses, server }: ZergPool,
  mode: number | undefined,
  settings: SocketSettings,
): Promise<void> {
  const sockets = addresses.map((text) => {
    const parsed = parseAddress(text);
    if (!parsed.ok)
      throw new RuntimeError(
        "VASSAL_CONFIG",
        `${server.origin}: zergpool has no address in ${JSON.stringify(text)}: ${parsed.reason}`,
      );
    return { text, address: parsed.address, origin: server.origin, protocol: "none" as const };
  });
  const bound = await bindPool(sockets, settings);
  await serveZergs(server, mode, () => bound);
}

/** A vassal that only owns sockets: there until it is stopped. */
export async function runPool({ emperor, launch, started }: Vassal): Promise<VassalControls> {
  const stop = (): never => process.exit(0);
  const reload = (): void =>
    log("a pool has nothing to reload: its sockets stay; new addresses need a new start");
  const controls: VassalControls = {
    reload,
    brutalReload: reload,
    stop,
    reloadWorkers: reload,
    chainReload: reload,
    changeWorkers: reload,
    goCheap: reload,
    pause: reload,
  };
  followOrders(emperor, THE_EMPEROR, { reload, stop, lost: () => process.exit(1) });
  // The channel alone does not keep a process without an Emperor.
  setInterval(() => undefined, 0x7fffffff);
  if (!launch.isReload) emperor.spawned();
  emperor.accepting();
  started?.();
  return controls;
}
