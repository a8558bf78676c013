/**
 * Everything beside signals and the control socket through which a running Emperor is given orders:
 * the Emperor above, command and trigger sockets, the FIFO. Loaded only where there is one of them.
 */
import { ENVIRONMENT } from "@emperor/protocol";
import type { RunningEmperor } from "../court/running-emperor.ts";
import type { Logger } from "../log/logger.ts";
import type { Settings } from "../options/settings.ts";
import { parseStatsAddress } from "../stats/address.ts";
import { CommandDesk } from "./commands.ts";
import { openCommandSocket } from "./command-socket.ts";
import { Ears } from "./ears.ts";
import { MasterFifo } from "./master-fifo.ts";
import { borrowChannel, openLender } from "./proxy.ts";
import { channelOf, privateCopy, Superior, type SuperiorOrders } from "./superior.ts";
import { openTriggerSocket } from "./trigger-socket.ts";

/** Mode of a command socket without `chmod-socket`: who is the Emperor's user, or root, may command. */
const COMMAND_MODE = 0o600;

/** Is there anything for this folder to do? */
export function isWanted(settings: Settings, isVassal: boolean): boolean {
  const { commandSockets, triggerSockets, fifos, proxySocket } = settings.remote;
  const any = commandSockets.length + triggerSockets.length + fifos.length > 0;
  return isVassal || any || proxySocket !== undefined;
}

/** What the outside may want of the whole Emperor; the process around it decides how. */
export interface RemoteOrders extends SuperiorOrders {
  rescan(): void;
  logStatus(): void;
}

export class RemoteOffice {
  readonly #settings: Settings;
  readonly #logger: Logger;
  readonly #ears = new Ears();
  readonly #closers: (() => void | Promise<void>)[] = [];
  #channel: number | undefined;
  #configPipe: number | undefined;
  #superior: Superior | undefined;
  #lent = false;

  constructor(settings: Settings, logger: Logger) {
    this.#settings = settings;
    this.#logger = logger;
  }

  /** Pid of the Emperor above; undefined without one. */
  get superiorPid(): number | undefined {
    return this.#superior?.pid;
  }

  /** Descriptor of the channel to the Emperor above, for a later self of this process. */
  get channel(): number | undefined {
    return this.#channel;
  }

  /**
   * Takes the channel out of the environment, or fetches it from a proxy. A variable that names no
   * channel is told of and forgotten: it outlives its descriptor in children of vassals.
   * @throws EmperorError `proxy-failed`
   */
  async findSuperior(environment: NodeJS.ProcessEnv): Promise<void> {
    const proxy = environment[ENVIRONMENT.emperorProxy];
    if (proxy !== undefined && proxy !== "") {
      const { proxyTimeoutMs } = this.#settings.remote;
      const borrowed = await borrowChannel(proxy, proxyTimeoutMs, this.#ears);
      this.#channel = borrowed.channel;
      this.#configPipe = borrowed.configPipe;
      return;
    }
    const text = environment[ENVIRONMENT.emperorFd];
    if (text === undefined) return;
    const found = channelOf(text);
    if (typeof found === "number") this.#channel = privateCopy(found);
    else this.#logger.warning(`[emperor] there is no Emperor above this one: ${found}, going on`);
  }

  /**
   * Opens every socket and obeys from now on.
   * @throws EmperorError when an address is wrong or refused
   */
  async open(emperor: RunningEmperor, orders: RemoteOrders): Promise<void> {
    if (this.#channel !== undefined)
      this.#superior = new Superior(this.#channel, this.#ears, this.#logger, orders);
    await this.#openCommands(emperor);
    await this.#openTriggers(orders);
    await this.#openLender();
    const { fifos } = this.#settings.remote;
    if (fifos.length === 0) return;
    const fifo = new MasterFifo(fifos, this.#ears, this.#logger, {
      rescan: () => orders.rescan(),
      stop: () => orders.stop(false),
      reload: () => orders.reload(),
      logStatus: () => orders.logStatus(),
      askReinforcements: () => this.#superior?.askReinforcements(),
    });
    this.#closers.push(() => fifo.close());
  }

  /** Tells the Emperor above that this one governs. Whoever has borrowed the channel speaks for itself. */
  announce(): void {
    if (!this.#lent) this.#superior?.announce();
  }

  async close(): Promise<void> {
    this.#superior?.deafen();
    for (const close of this.#closers) await close();
    this.#ears.close();
  }

  async #openCommands(emperor: RunningEmperor): Promise<void> {
    const { commandSockets } = this.#settings.remote;
    if (commandSockets.length === 0) return;
    const desk = new CommandDesk({
      operator: emperor.operator,
      logger: this.#logger,
      now: () => performance.now(),
    });
    for (const text of commandSockets) {
      const socket = await openCommandSocket({
        address: parseStatsAddress(text, this.#settings, "emperor-command-socket"),
        mode: this.#settings.chmodSocket ?? COMMAND_MODE,
        ears: this.#ears,
        onDatagram: (datagram, sender) => desk.take(datagram, sender),
      });
      this.#closers.push(() => socket.close());
      this.#bound("command", text);
    }
  }

  async #openTriggers(orders: RemoteOrders): Promise<void> {
    for (const text of this.#settings.remote.triggerSockets) {
      const close = await openTriggerSocket({
        address: parseStatsAddress(text, this.#settings, "emperor-trigger-socket"),
        mode: this.#settings.chmodSocket,
        backlog: this.#settings.listenBacklog,
        ears: this.#ears,
        onTrigger: () => orders.rescan(),
      });
      this.#closers.push(close);
      this.#bound("trigger", text);
    }
  }

  async #openLender(): Promise<void> {
    const path = this.#settings.remote.proxySocket;
    if (path === undefined) return;
    if (this.#channel === undefined) {
      this.#logger.warning(
        "[emperor] emperor-proxy-socket has no effect: there is no Emperor above whose channel could be lent",
      );
      return;
    }
    const pipe = this.#configPipe === undefined ? [] : [this.#configPipe];
    const close = await openLender({
      path,
      descriptors: [this.#channel, ...pipe],
      ears: this.#ears,
      logger: this.#logger,
      // Two readers of one channel would each get some of the orders.
      onLent: () => {
        this.#lent = true;
        this.#superior?.deafen();
      },
    });
    this.#closers.push(close);
    this.#bound("proxy", path);
  }

  #bound(what: string, address: string): void {
    this.#logger.write({
      level: "info",
      dated: false,
      message: `*** Emperor ${what} socket enabled on ${address} ***`,
    });
  }
}
