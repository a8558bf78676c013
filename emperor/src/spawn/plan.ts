/**
 * Turns a wanted vassal into the one object that the native side executes. Everything that is the
 * same for all vassals is made once, at start. Decides nothing about when; touches no process.
 */
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import type { SetupAction, SpawnOptions } from "@emperor/linux";
import type { VassalSpec } from "@emperor/monitors";
import type { Settings } from "../options/settings.ts";
import { quoteName } from "../log/quoting.ts";
import { RepeatLimiter } from "../log/repeats.ts";
import type { Profile } from "../options/profile-options.ts";
import { VassalArguments } from "./argv.ts";
import {
  keptVariables,
  VassalEnvironment,
  withVariable,
  type Variables,
  type VassalDescriptors,
  type VassalUser,
} from "./environment.ts";
import { SIGNATURE_RESOURCE } from "./guardian.ts";
import type { HookSet } from "./hook-set.ts";
import { Isolation, type IsolationFields } from "./isolation.ts";
import { magicExec, type MagicExec } from "./magic-exec.ts";
import { DEFAULT_PATH } from "./program-path.ts";
import type { Profiles } from "./profiles.ts";
import { ProgramChain, type ProgramList } from "./programs.ts";
import { startHookAction } from "./start-hook.ts";
import type { UserRanges } from "./user-ranges.ts";
import type { Credentials, Tyrant, TyrantAnswer } from "./tyrant.ts";

const SIGKILL = 9;
/** uWSGI always leaves it in the bounding set. */
const CAP_SETPCAP = 8;
/** Where this product lies, seen from src/spawn and from dist/spawn. */
const INSTALLATION = fileURLToPath(new URL("../../..", import.meta.url));
const DEFAULT_SHELL = "/bin/sh";
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
  /** Only another config or owner can change the answer, but where it is the system's fault. */
  | { readonly ok: false; readonly detail: string; readonly cause?: "system" };

export interface PlannerInput {
  readonly settings: Settings;
  readonly hooks: HookSet;
  /** The Emperor's own environment, read anew after `invalidateEnvironment`. */
  readonly environment: () => Variables;
  readonly ids: { readonly uid: number; readonly gid: number; readonly groups: readonly number[] };
  readonly warn: (message: string) => void;
  /** For user namespaces; undefined: there are none. */
  readonly ranges?: UserRanges | undefined;
  /** Who decides as whom vassals run. Undefined: outside of Tyrant mode, ids stay as they are. */
  readonly tyrant?: Tyrant;
  /** Undefined: no vassal has any. */
  readonly profiles?: Profiles;
  /** By what the guardian knows vassals, see `guardian.ts`. */
  readonly signature?: number;
}

/** The lowest numbers above 2 that `safe-fd` does not claim: one for the channel, one for the pipe. */
export function chooseDescriptors(safeFds: readonly number[]): VassalDescriptors {
  const free: number[] = [];
  for (let fd = 3; free.length < 2; fd += 1) if (!safeFds.includes(fd)) free.push(fd);
  const [channel = 3, config = 4] = free;
  return { channel, config };
}

/** What a profile that a vassal asked for takes beside namespaces; the administrator's is in `fields`. */
function privilegesOf(
  profile: Profile,
  fields: IsolationFields,
): Pick<SpawnOptions, "noNewPrivs" | "capabilityBound" | "capabilityAmbient"> {
  const { capabilities, noNewPrivileges } = profile;
  const privileges = noNewPrivileges ? { noNewPrivs: true } : {};
  if (capabilities === undefined) return privileges;
  const left = (set: readonly number[]): readonly number[] =>
    set.filter((one) => one === CAP_SETPCAP || capabilities.includes(one));
  const { capabilityBound, capabilityAmbient } = fields;
  return {
    ...privileges,
    capabilityBound:
      capabilityBound === undefined ? [...capabilities, CAP_SETPCAP] : left(capabilityBound),
    ...(capabilityAmbient === undefined ? {} : { capabilityAmbient: left(capabilityAmbient) }),
  };
}

function limitsOf(
  openFiles: Settings["vassalOpenFiles"],
  signature: number | undefined,
  more: Profile["rlimits"],
): Pick<SpawnOptions, "rlimits"> {
  const rlimits: NonNullable<SpawnOptions["rlimits"]>[number][] = [];
  if (openFiles !== undefined) rlimits.push({ resource: OPEN_FILES, ...openFiles });
  if (signature !== undefined)
    rlimits.push({ resource: SIGNATURE_RESOURCE, soft: signature, hard: signature });
  for (const { resource, limit } of more) rlimits.push({ resource, soft: limit, hard: limit });
  return rlimits.length === 0 ? {} : { rlimits };
}

/** A number without an entry is a user as well, without a home. */
function userOf(uid: number, entry: VassalUser | undefined): VassalUser {
  if (entry === undefined) return { name: String(uid), home: "/", shell: DEFAULT_SHELL };
  const { name, home, shell } = entry;
  return { name, home: home === "" ? "/" : home, shell: shell === "" ? DEFAULT_SHELL : shell };
}

const NOBODY_ELSE: TyrantAnswer = { ok: true, credentials: undefined, user: undefined };

export class Planner {
  readonly #input: PlannerInput;
  readonly #arguments: VassalArguments;
  readonly #environment: VassalEnvironment;
  readonly #programs: ProgramChain;
  readonly #isolation: Isolation;
  readonly #descriptors: VassalDescriptors;
  readonly #commonFds: SpawnOptions["fds"];
  readonly #said = new RepeatLimiter();

  constructor(input: PlannerInput) {
    const { settings } = input;
    // Without one every vassal would run as the Emperor's user.
    if (settings.tyrant && input.tyrant === undefined)
      throw new Error("Tyrant mode without somebody who decides: this is a bug");
    this.#input = input;
    this.#arguments = new VassalArguments(settings);
    this.#descriptors = chooseDescriptors(settings.safeFds);
    this.#environment = new VassalEnvironment(
      input.environment,
      settings.environment,
      this.#descriptors,
      input.warn,
      keptVariables(settings),
    );
    this.#programs = new ProgramChain(settings);
    this.#isolation = new Isolation(settings, input.ids, input.ranges, input.warn);
    const kept = settings.safeFds.filter((fd) => fd > 2).map((fd) => ({ from: fd, to: fd }));
    this.#commonFds = [{ from: -1, to: 0 }, { from: 1, to: 1 }, { from: 2, to: 2 }, ...kept];
  }

  /** A hook changed the Emperor's environment. */
  invalidateEnvironment(): void {
    this.#environment.invalidate();
  }

  /** The descriptors of one start: `channel` and `config` are the vassal's ends. */
  fds(channel: number, config: number | undefined): SpawnOptions["fds"] {
    const own = { from: channel, to: this.#descriptors.channel };
    return config === undefined
      ? [...this.#commonFds, own]
      : [...this.#commonFds, own, { from: config, to: this.#descriptors.config }];
  }

  plan(spec: VassalSpec, zergNumber: number | undefined): PlanAnswer {
    const { settings, hooks } = this.#input;
    const tyrant = this.#input.tyrant?.answer(spec) ?? NOBODY_ELSE;
    if (!tyrant.ok) return tyrant;
    const magic = settings.magicExec ? this.#magicExec(spec, tyrant.credentials) : undefined;
    const piped = spec.config !== undefined && magic?.kind !== "yes";
    const user =
      tyrant.credentials === undefined ? undefined : userOf(tyrant.credentials.uid, tyrant.user);
    let env = this.#environment.build({
      piped,
      zergNumber,
      ...(user === undefined ? {} : { user }),
    });
    if (magic?.kind === "yes" && magic.pathDirectory !== undefined) {
      env = withVariable(
        env,
        "PATH",
        `${this.#environment.vassalPath ?? DEFAULT_PATH}:${magic.pathDirectory}`,
      );
    }
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
    const asked = this.#input.profiles?.of(spec.attributes);
    if (asked?.ok === false) return { ok: false, detail: asked.problem };
    const profile = asked?.profile;
    const isolation = this.#isolation.of(spec, tyrant.credentials, profile?.cloneFlags);
    if (!isolation.ok) return isolation;
    const fixed = {
      ...(tyrant.credentials === undefined ? {} : { credentials: tyrant.credentials }),
      ...isolation.fields,
      ...(late === undefined ? {} : { lateCwd: late }),
      programs: programs.candidates,
      args,
      env,
      cwd: spec.cwd,
      session: true,
      parentDeathSignal: SIGKILL,
      ...(asked?.hasAsked === true ? privilegesOf(asked.profile, isolation.fields) : {}),
      ...limitsOf(settings.vassalOpenFiles, this.#input.signature, profile?.rlimits ?? []),
      ...this.#steps(spec, env, hooks, this.#sandbox(spec, profile, user)),
    };
    return { ok: true, plan: { programs, piped, fixed } };
  }

  #steps(
    spec: VassalSpec,
    env: readonly string[],
    hooks: HookSet,
    sandbox: SetupAction | undefined,
  ): Pick<SpawnOptions, "actions" | "beforeDropActions" | "mode"> {
    const start =
      hooks.startHook === undefined
        ? []
        : [startHookAction(hooks.startHook, spec.name, spec.cwd, env)];
    const actions =
      start.length === 0 ? hooks.asVassal.actions : [...start, ...hooks.asVassal.actions];
    // Last, so that hooks see the machine as it is, and nothing that they mount is left out.
    const beforeDropActions =
      sandbox === undefined ? hooks.beforeDrop.actions : [...hooks.beforeDrop.actions, sandbox];
    if (actions.length === 0 && beforeDropActions.length === 0) return { mode: "shared" };
    return { actions, beforeDropActions, mode: "copied" };
  }

  #sandbox(
    spec: VassalSpec,
    profile: Profile | undefined,
    user: VassalUser | undefined,
  ): SetupAction | undefined {
    const { profiles, settings } = this.#input;
    if (profiles === undefined || profile === undefined) return undefined;
    const { binaryPath, wrapper } = settings;
    const programs = [INSTALLATION, dirname(dirname(process.execPath))];
    for (const program of [binaryPath, wrapper])
      if (program?.startsWith("/") === true) programs.push(dirname(program));
    return profiles.step(profile, { home: user?.home, cwd: spec.cwd, path: spec.path, programs });
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
