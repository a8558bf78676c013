/**
 * Performs the hooks that run in the Emperor: at its start, around the start of a vassal, after its
 * death. Commands run beside the event loop; everything else that may block is done by a short-lived
 * child that shares the Emperor's namespaces. It must not know the life-cycle.
 */
import type { SetupAction } from "@emperor/linux";
import type { VassalSpec } from "@emperor/monitors";
import { ENVIRONMENT } from "@emperor/protocol";
import type { Logger } from "../log/logger.ts";
import { quoteName } from "../log/quoting.ts";
import { AddressPool, readRange, type Connection, type VethSettings } from "./addresses.ts";
import { Lanes, type RunCommand } from "./command-runner.ts";
import type { Variables } from "./environment.ts";
import type { Within } from "./helper-children.ts";
import { asSetupAction, type ParsedAction } from "./hook-actions.ts";
import type { HookSet, OwnPhase } from "./hook-set.ts";
import type { LifeHook } from "./start-hook.ts";

export interface HookWorld {
  readonly run: RunCommand;
  /** Kills the commands that run now. */
  readonly endRunning: () => void;
  /** Performs one action in a child of the Emperor, in `cwd`. Resolves to what went wrong. */
  readonly perform: (action: SetupAction, cwd: string | undefined) => Promise<string | undefined>;
  /** The same in namespaces of the process behind a pidfd. */
  readonly performWithin: (action: SetupAction, within: Within) => Promise<string | undefined>;
  /** A pidfd of a child that is not reaped; undefined when there is none to be had. */
  readonly openProcess: (pid: number) => number | undefined;
  readonly closeProcess: (pidfd: number) => void;
  readonly environment: () => Variables;
  /** `cd` and `putenv` change the Emperor itself. Throws what the system says. */
  readonly changeDirectory: (path: string) => void;
  readonly setVariable: (name: string, value: string) => void;
  /** `exit`: the administrator asked for the Emperor's end. */
  readonly exit: (code: number) => void;
}

type HookSpec = Pick<VassalSpec, "name" | "cwd" | "uid" | "gid">;

/** One run of a list of actions. */
interface Chain {
  readonly phase: string;
  readonly variables: Variables;
  /** The first failure ends it. */
  readonly fatal: boolean;
  /**
   * Where its commands run: the vassal's directory, where uWSGI's Emperor is at that moment, so that
   * `$UWSGI_VASSAL_CONFIG` names a file. Undefined: where the Emperor is.
   */
  cwd: string | undefined;
}

/** Chains that run at one time: enough to hide a slow command, too few to fill the machine. */
const CONCURRENT_CHAINS = 16;
/** CLONE_NEWNET. */
const NEW_NET = 0x4000_0000;

export class EmperorHooks {
  readonly #hooks: HookSet;
  readonly #world: HookWorld;
  readonly #logger: Logger;
  /** A `putenv` changed the environment that vassals inherit. */
  onEnvironmentChange: () => void = () => undefined;
  readonly #lanes = new Lanes(CONCURRENT_CHAINS);
  readonly #addresses: AddressPool | undefined;
  #abandoned = false;

  constructor(hooks: HookSet, world: HookWorld, logger: Logger) {
    this.#hooks = hooks;
    this.#world = world;
    this.#logger = logger;
    const range = hooks.veth === undefined ? undefined : readRange(hooks.veth.range);
    this.#addresses = range === undefined ? undefined : new AddressPool(range, process.pid);
  }

  get set(): HookSet {
    return this.#hooks;
  }

  get hasBeforeVassal(): boolean {
    return this.#hooks.beforeVassal.length > 0;
  }

  /** Hooks that run or wait for a lane. */
  get pending(): number {
    return this.#lanes.size;
  }

  /** Resolves when no hook runs or waits any more. */
  async idle(): Promise<void> {
    await this.#lanes.untilIdle();
  }

  /**
   * The end must not wait any longer (a second signal, the mercy is over): what runs is killed, what
   * waits is dropped and said so, and nothing new is run. `idle` then resolves at once.
   */
  abandon(): void {
    if (this.#abandoned) return;
    this.#abandoned = true;
    if (this.#lanes.size === 0) return;
    this.#logger.warning(
      `[emperor] ${this.#lanes.size} hooks are not waited for any longer: killed, or never run`,
    );
    this.#world.endRunning();
  }

  /** Hooks of the Emperor's own start, in order, up to the first that fails. Resolves to what went wrong. */
  async ownPhase(phase: OwnPhase): Promise<string | undefined> {
    const actions = this.#hooks.own[phase];
    if (actions.length === 0) return undefined;
    return this.#lanes.run(() =>
      this.#chain(actions, { phase, variables: {}, fatal: true, cwd: undefined }),
    );
  }

  /** `hook-as-emperor-before-vassal`. Resolves to what keeps the vassal from being started. */
  async beforeVassal(spec: HookSpec): Promise<string | undefined> {
    const variables = vassalVariables(spec, undefined);
    const chain = { phase: "as-emperor-before-vassal", variables, fatal: true, cwd: spec.cwd };
    return this.#lanes.run(() => this.#chain(this.#hooks.beforeVassal, chain));
  }

  /** `hook-`, `mount-`, `umount-`, `exec-as-emperor`, after a successful start. Failures are logged. */
  afterSpawn(spec: HookSpec, pid: number): void {
    const { asEmperor, setns, veth } = this.#hooks;
    if (asEmperor.length === 0 && setns.length === 0 && veth === undefined) return;
    const variables = vassalVariables(spec, pid);
    const chain = { phase: "as-emperor", variables, fatal: false, cwd: spec.cwd };
    // Now, while the pid is certainly the vassal's; the hooks may have to wait for their turn.
    const pidfd =
      setns.length === 0 && veth === undefined ? undefined : this.#world.openProcess(pid);
    void this.#lanes.run(async () => {
      if (veth !== undefined) await this.#connect(veth, spec.name, pid, pidfd);
      await this.#chain(asEmperor, chain);
      await this.#setnsHooks(pidfd, variables);
      if (pidfd !== undefined) this.#world.closeProcess(pidfd);
    });
  }

  /** The process is gone, and with it its namespaces. */
  processGone(pid: number): void {
    this.#addresses?.release(pid);
  }

  /**
   * An interface for one vassal. It is made in the vassal's namespace, which is joined by pidfd, and its
   * other end handed to us: so a pid that was given away again never gets a neighbour's interface.
   */
  async #connect(
    veth: VethSettings,
    name: string,
    pid: number,
    pidfd: number | undefined,
  ): Promise<void> {
    const connection = this.#addresses?.take(pid);
    const problem =
      pidfd === undefined
        ? "it is gone"
        : connection === undefined
          ? `all addresses of ${veth.range} are taken`
          : await this.#makeInterface(veth.bridge, connection, pidfd);
    if (problem === undefined) {
      this.#logger.info(
        `[emperor] vassal ${quoteName(name)} has eth0 with ${connection?.address ?? ""} on ${veth.bridge}`,
      );
    } else {
      this.#logger.error(
        `[emperor] vassal ${quoteName(name)} gets no interface (emperor-veth): ${problem}; it runs nevertheless`,
      );
    }
  }

  async #makeInterface(
    bridge: string,
    { interfaceName, address, gateway }: Connection,
    pidfd: number,
  ): Promise<string | undefined> {
    const within = (line: string): Promise<string | undefined> =>
      this.#world.performWithin(
        { kind: "shell", shell: this.#hooks.shell, line, tolerant: false },
        { pidfd, namespaces: NEW_NET, variables: {} },
      );
    // Nothing in these lines is anybody's text.
    const made = await within(
      `ip link add eth0 type veth peer name ${interfaceName} netns ${process.pid} && ip addr add ${address} dev eth0 && ip link set eth0 up`,
    );
    if (made !== undefined) return `making it failed: ${made}`;
    const joined = await this.#world.run({
      file: "ip",
      args: ["link", "set", interfaceName, "master", bridge, "up"],
      env: { ...this.#world.environment() },
      cwd: undefined,
    });
    if (joined.problem !== undefined) return `the bridge ${bridge}: ${joined.problem}`;
    const routed = await within(`ip route replace default via ${gateway}`);
    return routed === undefined ? undefined : `the route by ${gateway}: ${routed}`;
  }

  /** `hook-as-emperor-setns`, after all others. Failures are logged. */
  async #setnsHooks(pidfd: number | undefined, variables: Variables): Promise<void> {
    for (const { namespaces, action } of this.#hooks.setns) {
      if (this.#abandoned) break;
      this.#logger.info(`running "${action.label}" (as-emperor-setns)...`);
      const step = asSetupAction(action, this.#hooks.shell);
      if (step === undefined) {
        if (action.deed.kind === "log") this.#logger.info(action.deed.text);
        continue;
      }
      const problem =
        pidfd === undefined
          ? "the vassal is gone"
          : await this.#world.performWithin(step, { pidfd, namespaces, variables });
      if (problem === undefined) continue;
      this.#logger.error(
        `[emperor] ${action.origin}: "${action.label}" (as-emperor-setns) failed: ${problem}; the vassal runs nevertheless`,
      );
    }
  }

  /**
   * `vassals-stop-hook NAME`, after the death of a vassal's process. uWSGI stands still until it is
   * over; here nobody waits but the end of the Emperor, which lets it finish.
   */
  vassalEnded(spec: Pick<VassalSpec, "name" | "cwd">): void {
    const hook = this.#hooks.stopHook;
    if (hook !== undefined) void this.#lanes.run(() => this.#stopHook(hook, spec));
  }

  async #stopHook(hook: LifeHook, spec: Pick<VassalSpec, "name" | "cwd">): Promise<void> {
    if (this.#abandoned) return;
    const [file = hook.text, ...args] = hook.argv;
    const name = quoteName(spec.name);
    this.#logger.info(`[emperor] running vassal stop-hook: ${hook.text} ${name}`);
    const result = await this.#world.run({
      file,
      args: [...args, spec.name],
      env: { ...this.#world.environment(), [ENVIRONMENT.vassalsDir]: spec.cwd },
      cwd: spec.cwd,
    });
    const level = result.status === 0 ? "info" : "warning";
    const why = result.problem === undefined ? "" : ` (${result.problem})`;
    this.#logger[level](`[emperor] ${name} stop-hook returned ${result.status}${why}`);
  }

  /** Resolves to the failure that ended it. */
  async #chain(actions: readonly ParsedAction[], chain: Chain): Promise<string | undefined> {
    for (const action of actions) {
      if (this.#abandoned) return `${action.origin}: not run, the Emperor ends`;
      this.#logger.info(`running "${action.label}" (${chain.phase})...`);
      const problem = await this.#perform(action, chain);
      if (problem === undefined) continue;
      const text = `${action.origin}: "${action.label}" (${chain.phase}) failed: ${problem}`;
      if (chain.fatal) return text;
      this.#logger.error(`[emperor] ${text}; the vassal runs nevertheless`);
    }
    return undefined;
  }

  async #perform({ deed }: ParsedAction, chain: Chain): Promise<string | undefined> {
    switch (deed.kind) {
      case "log":
        this.#logger.info(deed.text);
        return undefined;
      case "command": {
        const result = await this.#world.run({
          file: this.#hooks.shell,
          args: ["-c", deed.line],
          env: { ...this.#world.environment(), ...chain.variables },
          cwd: chain.cwd,
        });
        return deed.tolerant ? undefined : result.problem;
      }
      case "setup":
        return this.#setup(deed.setup, chain);
    }
  }

  async #setup(action: SetupAction, chain: Chain): Promise<string | undefined> {
    try {
      switch (action.kind) {
        case "chdir":
          this.#world.changeDirectory(action.path);
          chain.cwd = undefined;
          return undefined;
        case "putenv": {
          const [name, value] = splitAssignment(action.assignment);
          this.#world.setVariable(name, value);
          this.onEnvironmentChange();
          return undefined;
        }
        case "exit":
          this.#world.exit(action.code);
          return undefined;
        default:
          return await this.#world.perform(action, chain.cwd);
      }
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  }
}

function splitAssignment(assignment: string): [name: string, value: string] {
  const equals = assignment.indexOf("=");
  return [assignment.slice(0, equals), assignment.slice(equals + 1)];
}

/** What uWSGI's exec-as-emperor tells its commands; ids are those of the config's owner. */
function vassalVariables(spec: HookSpec, pid: number | undefined): Variables {
  return {
    [ENVIRONMENT.vassalConfig]: spec.name,
    ...(pid === undefined ? {} : { [ENVIRONMENT.vassalPid]: String(pid) }),
    [ENVIRONMENT.vassalUid]: String(spec.uid ?? 0),
    [ENVIRONMENT.vassalGid]: String(spec.gid ?? 0),
  };
}
