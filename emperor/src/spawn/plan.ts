/**
 * Turns a wanted vassal into the one object that the native side executes. Everything that is the
 * same for all vassals is made once, at start. Decides nothing about when; touches no process.
 */
import { LISTEN_PID_OF_CHILD, type SpawnOptions } from "@emperor/linux";
import type { VassalSpec } from "@emperor/monitors";
import { ENVIRONMENT } from "@emperor/protocol";
import type { Settings } from "../options/settings.ts";
import { quoteName } from "../log/quoting.ts";
import { RepeatLimiter } from "../log/repeats.ts";
import { VassalArguments } from "./argv.ts";
import {
  VassalEnvironment,
  withVariable,
  type Variables,
  type VassalDescriptors,
} from "./environment.ts";
import type { HookSet } from "./hook-set.ts";
import { isolationOf, type Isolation } from "./isolation.ts";
import { magicExec, type MagicExec } from "./magic-exec.ts";
import { DEFAULT_PATH } from "./program-path.ts";
import { ProgramChain, type ProgramList } from "./programs.ts";
import { startHookAction } from "./start-hook.ts";
import { tyrantCredentials, type Credentials } from "./tyrant.ts";

const SIGKILL = 9;
/** RLIMIT_NOFILE. A number of its own, so that a plan can be made without the native addon. */
const OPEN_FILES = 7;

/** One start, complete but for the descriptors that are made last. */
export interface Plan {
  readonly programs: ProgramList;
  /** The vassal gets a config pipe. */
  readonly piped: boolean;
  readonly fixed: Omit<SpawnOptions, "fds">;
}

export type PlanAnswer =
  | { readonly ok: true; readonly plan: Plan }
  /** Only another config or owner can change the answer. */
  | { readonly ok: false; readonly detail: string };

export interface PlannerInput {
  readonly settings: Settings;
  readonly hooks: HookSet;
  /** The Emperor's own environment, read anew after `invalidateEnvironment`. */
  readonly environment: () => Variables;
  readonly ids: { readonly uid: number; readonly gid: number; readonly groups: readonly number[] };
  readonly warn: (message: string) => void;
}

/** systemd's protocol: handed over sockets begin here, without a gap. */
const FIRST_LISTENER = 3;

/**
 * The lowest numbers above 2 that `safe-fd` does not claim: one for the channel, one for the pipe;
 * above `listeners` numbers for sockets that are handed over as `LISTEN_FDS`.
 */
export function chooseDescriptors(safeFds: readonly number[], listeners = 0): VassalDescriptors {
  const free: number[] = [];
  for (let fd = FIRST_LISTENER + listeners; free.length < 2; fd += 1)
    if (!safeFds.includes(fd)) free.push(fd);
  const [channel = 3, config = 4] = free;
  return { channel, config };
}

export class Planner {
  readonly #input: PlannerInput;
  readonly #arguments: VassalArguments;
  readonly #environment: VassalEnvironment;
  readonly #programs: ProgramChain;
  readonly #isolation: Isolation;
  readonly #limits: Pick<SpawnOptions, "rlimits">;
  readonly #descriptors: VassalDescriptors;
  readonly #commonFds: SpawnOptions["fds"];
  readonly #said = new RepeatLimiter();

  constructor(input: PlannerInput) {
    const { settings } = input;
    this.#input = input;
    this.#arguments = new VassalArguments(settings);
    this.#descriptors = chooseDescriptors(settings.safeFds);
    this.#environment = new VassalEnvironment(
      input.environment,
      settings.environment,
      this.#descriptors,
      input.warn,
    );
    this.#programs = new ProgramChain(settings);
    this.#isolation = isolationOf(settings, input.ids);
    const openFiles = settings.vassalOpenFiles;
    this.#limits =
      openFiles === undefined ? {} : { rlimits: [{ resource: OPEN_FILES, ...openFiles }] };
    const kept = settings.safeFds.filter((fd) => fd > 2).map((fd) => ({ from: fd, to: fd }));
    this.#commonFds = [{ from: -1, to: 0 }, { from: 1, to: 1 }, { from: 2, to: 2 }, ...kept];
  }

  /** A hook changed the Emperor's environment. */
  invalidateEnvironment(): void {
    this.#environment.invalidate();
  }

  /**
   * The descriptors of one start: `channel` and `config` are the vassal's ends. Of its on-demand
   * `sockets` the first becomes descriptor 0, as in uWSGI; the rest follow from 3 on, as systemd has it.
   */
  fds(
    channel: number,
    config: number | undefined,
    sockets: readonly number[] = [],
  ): SpawnOptions["fds"] {
    const [first, ...rest] = sockets;
    const numbers = this.#descriptorsFor(rest.length);
    const own = { from: channel, to: numbers.channel };
    const fds = first === undefined ? [...this.#commonFds] : this.#commonFdsWith(first);
    fds.push(...rest.map((from, index) => ({ from, to: FIRST_LISTENER + index })), own);
    if (config !== undefined) fds.push({ from: config, to: numbers.config });
    return fds;
  }

  #commonFdsWith(first: number): { from: number; to: number }[] {
    return this.#commonFds.map((fd) => (fd.to === 0 ? { from: first, to: 0 } : fd));
  }

  #descriptorsFor(listeners: number): VassalDescriptors {
    if (listeners === 0) return this.#descriptors;
    return chooseDescriptors(this.#input.settings.safeFds, listeners);
  }

  /** `sockets`: how many on-demand sockets it gets. */
  plan(spec: VassalSpec, zergNumber: number | undefined, sockets = 0): PlanAnswer {
    const { settings, hooks } = this.#input;
    const listeners = Math.max(0, sockets - 1);
    const taken = settings.safeFds.find(
      (fd) => fd >= FIRST_LISTENER && fd < FIRST_LISTENER + listeners,
    );
    if (taken !== undefined) {
      const detail = `safe-fd = ${taken} takes a number that one of its ${sockets} on-demand sockets needs`;
      return { ok: false, detail };
    }
    const tyrant = tyrantCredentials(settings, spec);
    if (!tyrant.ok) return tyrant;
    const magic = settings.magicExec ? this.#magicExec(spec, tyrant.credentials) : undefined;
    const piped = spec.config !== undefined && magic?.kind !== "yes";
    let env = this.#environment.build({ piped, zergNumber });
    if (magic?.kind === "yes" && magic.pathDirectory !== undefined) {
      env = withVariable(
        env,
        "PATH",
        `${this.#environment.path ?? DEFAULT_PATH}:${magic.pathDirectory}`,
      );
    }
    if (listeners > 0) env = this.#withListeners(env, listeners, piped);
    const isZerg = zergNumber !== undefined;
    const args =
      magic?.kind === "yes"
        ? this.#arguments.build(spec, "exec", isZerg, magic.config)
        : this.#arguments.build(spec, piped ? "pipe" : "name", isZerg);
    const programs = this.#programs.of(spec, this.#environment.path);
    const late =
      settings.chdirAttribute === undefined
        ? undefined
        : spec.attributes[settings.chdirAttribute]?.[0];
    const fixed = {
      ...this.#isolation,
      ...(tyrant.credentials === undefined ? {} : { credentials: tyrant.credentials }),
      ...(late === undefined ? {} : { lateCwd: late }),
      programs: programs.candidates,
      args,
      env,
      cwd: spec.cwd,
      session: true,
      parentDeathSignal: SIGKILL,
      ...this.#limits,
      ...this.#steps(spec, env, hooks),
    };
    return { ok: true, plan: { programs, piped, fixed } };
  }

  /** systemd's protocol for the sockets after the first, and the channel's number above theirs. */
  #withListeners(env: readonly string[], listeners: number, piped: boolean): readonly string[] {
    const numbers = this.#descriptorsFor(listeners);
    const own = [
      `LISTEN_FDS=${listeners}`,
      LISTEN_PID_OF_CHILD,
      `${ENVIRONMENT.emperorFd}=${numbers.channel}`,
      ...(piped ? [`${ENVIRONMENT.emperorFdConfig}=${numbers.config}`] : []),
    ];
    const names = new Set(own.map((entry) => entry.slice(0, entry.indexOf("=") + 1)));
    const others = env.filter((entry) => !names.has(entry.slice(0, entry.indexOf("=") + 1)));
    return [...others.filter((entry) => !entry.startsWith("LISTEN_FDNAMES=")), ...own];
  }

  #steps(
    spec: VassalSpec,
    env: readonly string[],
    hooks: HookSet,
  ): Pick<SpawnOptions, "actions" | "beforeDropActions" | "mode"> {
    const start =
      hooks.startHook === undefined
        ? []
        : [startHookAction(hooks.startHook, spec.name, spec.cwd, env)];
    const actions =
      start.length === 0 ? hooks.asVassal.actions : [...start, ...hooks.asVassal.actions];
    const beforeDropActions = hooks.beforeDrop.actions;
    if (
      actions.length === 0 &&
      beforeDropActions.length === 0 &&
      this.#isolation.userMap === undefined
    ) {
      return { mode: "shared" };
    }
    return { actions, beforeDropActions, mode: "copied" };
  }

  #magicExec(spec: VassalSpec, credentials: Credentials | undefined): MagicExec {
    const runner = { ...(credentials ?? this.#input.ids), tyrant: credentials !== undefined };
    const answer = magicExec(spec, runner);
    if (answer.kind === "refused" && this.#said.first(`magic-exec ${spec.path} ${spec.version}`)) {
      this.#input.warn(
        `[emperor] vassal ${quoteName(spec.name)} is executable, but ${answer.reason}: emperor-magic-exec passes it by its plain name`,
      );
    }
    return answer;
  }
}
