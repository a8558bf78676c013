/** What the signals to a running Emperor mean. Handlers run in the loop, never in the midst of anything. */
import type { RunningEmperor } from "../court/running-emperor.ts";
import type { SystemdNotifier } from "./sd-notify.ts";

/** `process`, or an emitter in tests. */
export interface SignalSource {
  on(signal: NodeJS.Signals, handler: () => void): unknown;
  off(signal: NodeJS.Signals, handler: () => void): unknown;
}

/** What signals, and others who may give the same orders, lead to. */
export interface SignalActions {
  /** Ragnarok; a second call hurries. */
  stop(): void;
  reload(): void;
  rescan(): void;
  clearBlacklist(): void;
  logStatus(): void;
}

export function signalActions(
  emperor: RunningEmperor,
  notifier: Pick<SystemdNotifier, "stopping" | "reloading" | "reloaded">,
): SignalActions {
  let stopping = false;
  return {
    stop: () => {
      if (!stopping) notifier.stopping();
      stopping = true;
      emperor.shutdown();
    },
    reload: () => {
      if (stopping) return;
      notifier.reloading();
      emperor.reloadAll();
      // The order is given to every vassal: that is all that the Emperor itself has to do.
      notifier.reloaded();
    },
    rescan: () => emperor.rescan(),
    clearBlacklist: () => emperor.clearBlacklist(),
    logStatus: () => emperor.logStatus(),
  };
}

/**
 * Connects the signals. INT, TERM, QUIT: Ragnarok, a second one hurries. HUP: reload all. USR1: status
 * lines. WINCH: scan. URG: clear the blacklist. PIPE is ignored by Node itself.
 * @returns a function that disconnects them
 */
export function connectSignals(actions: SignalActions, source: SignalSource = process): () => void {
  const handlers: readonly (readonly [NodeJS.Signals, () => void])[] = [
    ["SIGINT", () => actions.stop()],
    ["SIGTERM", () => actions.stop()],
    ["SIGQUIT", () => actions.stop()],
    ["SIGHUP", () => actions.reload()],
    ["SIGUSR1", () => actions.logStatus()],
    ["SIGWINCH", () => actions.rescan()],
    ["SIGURG", () => actions.clearBlacklist()],
  ];
  for (const [signal, handler] of handlers) source.on(signal, handler);
  return () => {
    for (const [signal, handler] of handlers) source.off(signal, handler);
  };
}
