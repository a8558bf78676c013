/** What the signals to a running Emperor mean. Handlers run in the loop, never in the midst of anything. */
import type { RunningEmperor } from "../court/running-emperor.ts";
import type { SystemdNotifier } from "./sd-notify.ts";

/** `process`, or an emitter in tests. */
export interface SignalSource {
  on(signal: NodeJS.Signals, handler: () => void): unknown;
  off(signal: NodeJS.Signals, handler: () => void): unknown;
}

/**
 * Connects the signals. INT, TERM, QUIT: Ragnarok, a second one hurries. HUP: reload all. USR1: status
 * lines. WINCH: scan. URG: clear the blacklist. PIPE is ignored by Node itself.
 * @returns a function that disconnects them
 */
export function connectSignals(
  emperor: RunningEmperor,
  notifier: Pick<SystemdNotifier, "stopping" | "reloading" | "reloaded">,
  source: SignalSource = process,
): () => void {
  let stopping = false;
  const stop = (): void => {
    if (!stopping) notifier.stopping();
    stopping = true;
    emperor.shutdown();
  };
  const reload = (): void => {
    if (stopping) return;
    notifier.reloading();
    emperor.reloadAll();
    // The order is given to every vassal: that is all that the Emperor itself has to do.
    notifier.reloaded();
  };
  const handlers: readonly (readonly [NodeJS.Signals, () => void])[] = [
    ["SIGINT", stop],
    ["SIGTERM", stop],
    ["SIGQUIT", stop],
    ["SIGHUP", reload],
    ["SIGUSR1", () => emperor.logStatus()],
    ["SIGWINCH", () => emperor.rescan()],
    ["SIGURG", () => emperor.clearBlacklist()],
  ];
  for (const [signal, handler] of handlers) source.on(signal, handler);
  return () => {
    for (const [signal, handler] of handlers) source.off(signal, handler);
  };
}
