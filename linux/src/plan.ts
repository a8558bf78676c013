/**
 * Packs spawn options for `native/plan.c`: all numbers in one array, all strings in one string, in
 * exactly the order in which `read_plan` takes them out. Changes here and there belong together.
 */
import type { SetupAction, SpawnOptions, SpawnStage } from "./types.ts";

/** Same order as `enum stage` in `native/plan.h`. */
export const SPAWN_STAGES: readonly SpawnStage[] = [
  "prepare",
  "clone",
  "user-namespace",
  "cgroup",
  "namespace",
  "session",
  "signals",
  "rlimit",
  "mount",
  "hostname",
  "loopback",
  "before-drop-action",
  "capability-bound",
  "securebits",
  "groups",
  "gid",
  "uid",
  "capability-ambient",
  "no-new-privs",
  "parent-death-signal",
  "descriptors",
  "umask",
  "cwd",
  "action",
  "late-cwd",
  "exec",
];

/** Same order as `enum action_kind` in `native/plan.h`. */
export const ACTION_KINDS: readonly SetupAction["kind"][] = [
  "shell",
  "argv",
  "chdir",
  "mkdir",
  "unlink",
  "chmod",
  "chown",
  "write",
  "putenv",
  "hostname",
  "mount",
  "umount",
  "setns",
  "exit",
];

/** Far above what a set-up takes (below a millisecond), far below what an operator would call a hang. */
const DEFAULT_SETUP_TIMEOUT_MS = 1000;

export interface PackedPlan {
  readonly numbers: Float64Array;
  readonly text: string;
}

class Packer {
  readonly numbers: number[] = [];
  text = "";
  /** A string with a NUL inside cannot be passed to the kernel. */
  malformed = false;

  number(...values: readonly number[]): void {
    for (const value of values) this.numbers.push(value);
  }

  flag(value: boolean | undefined): void {
    this.numbers.push(value === true ? 1 : 0);
  }

  string(value: string): void {
    if (value.includes("\0")) this.malformed = true;
    this.text += `${value}\0`;
  }

  optionalString(value: string | undefined): void {
    this.flag(value !== undefined);
    if (value !== undefined) this.string(value);
  }

  strings(values: readonly string[]): void {
    this.numbers.push(values.length);
    for (const value of values) this.string(value);
  }

  list(values: readonly number[]): void {
    this.numbers.push(values.length);
    this.number(...values);
  }

  optionalList(values: readonly number[] | undefined): void {
    this.flag(values !== undefined);
    this.list(values ?? []);
  }
}

/** The two numbers and up to four strings of an action that only C gives a meaning to. */
function operands(action: SetupAction): {
  numbers: readonly [number, number];
  texts: readonly string[];
} {
  switch (action.kind) {
    case "shell":
      return { numbers: [0, 0], texts: [action.shell, action.line] };
    case "argv":
      return { numbers: [0, 0], texts: [] };
    case "chdir":
    case "unlink":
      return { numbers: [0, 0], texts: [action.path] };
    case "mkdir":
    case "chmod":
      return { numbers: [action.mode, 0], texts: [action.path] };
    case "chown":
      return { numbers: [action.uid, action.gid], texts: [action.path] };
    case "write":
      return {
        numbers: [(action.append ? 1 : 0) | (action.nonBlocking === true ? 2 : 0), 0],
        texts: [action.path, action.text],
      };
    case "putenv":
      return { numbers: [0, 0], texts: [action.assignment] };
    case "hostname":
      return { numbers: [0, 0], texts: [action.name] };
    case "mount":
      return {
        numbers: [action.flags, 0],
        texts: [action.fstype, action.source, action.target, action.data],
      };
    case "umount":
      return { numbers: [action.flags, 0], texts: [action.target] };
    case "setns":
      return { numbers: [action.fd, action.namespaces], texts: [] };
    case "exit":
      return { numbers: [action.code, 0], texts: [] };
  }
}

function packActions(packer: Packer, actions: readonly SetupAction[]): void {
  packer.number(actions.length);
  for (const action of actions) {
    const { numbers, texts } = operands(action);
    const argv = action.kind === "argv" ? action.argv : [];
    const env = action.kind === "argv" ? action.env : undefined;
    packer.number(ACTION_KINDS.indexOf(action.kind));
    packer.flag("tolerant" in action && action.tolerant);
    packer.number(...numbers, argv.length);
    packer.flag(env !== undefined);
    packer.number(env?.length ?? 0);
    for (let index = 0; index < 4; index += 1) packer.string(texts[index] ?? "");
    for (const word of argv) packer.string(word);
    for (const assignment of env ?? []) packer.string(assignment);
  }
}

function packIdentity(packer: Packer, options: SpawnOptions): void {
  packer.flag(options.credentials !== undefined);
  packer.number(options.credentials?.uid ?? 0, options.credentials?.gid ?? 0);
  packer.list(options.credentials?.groups ?? []);
  packer.optionalList(options.capabilityBound);
  packer.optionalList(options.capabilityAmbient);
  packer.number(options.securebits ?? -1);
  packer.flag(options.noNewPrivs);
}

/** `undefined`: a string contains a NUL. Numbers out of range are found by the addon (EINVAL). */
export function packPlan(options: SpawnOptions): PackedPlan | undefined {
  const packer = new Packer();
  packer.flag(options.mode === "copied");
  packer.number(options.namespaces ?? 0, options.cgroupFd ?? -1);
  packer.strings(options.cgroupFiles ?? []);
  packer.flag(options.session);
  packIdentity(packer, options);
  const limits = options.rlimits ?? [];
  packer.number(limits.length);
  for (const limit of limits) packer.number(limit.resource, limit.soft, limit.hard);
  packer.number(options.parentDeathSignal ?? 0, options.umask ?? -1);
  packer.number(options.setupTimeoutMs ?? DEFAULT_SETUP_TIMEOUT_MS);
  packer.flag(options.userMap !== undefined);
  packer.flag(options.userMap?.denySetgroups);
  packer.string(options.userMap?.uidMap ?? "");
  packer.string(options.userMap?.gidMap ?? "");
  packer.flag(options.makeMountsPrivate);
  packer.flag(options.mountProc);
  packer.optionalString(options.hostName);
  packer.flag(options.loopback);
  packActions(packer, options.beforeDropActions ?? []);
  packActions(packer, options.actions ?? []);
  packer.number(options.programs.length);
  for (const program of options.programs) {
    packer.string(program.path);
    packer.string(program.argv0);
  }
  packer.strings(options.args);
  packer.strings(options.env);
  packer.number(options.fds.length);
  for (const { from, to } of options.fds) packer.number(from, to);
  packer.optionalString(options.cwd);
  packer.optionalString(options.lateCwd);
  return packer.malformed
    ? undefined
    : { numbers: Float64Array.from(packer.numbers), text: packer.text };
}
