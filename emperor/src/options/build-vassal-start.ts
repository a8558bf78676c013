/**
 * Settings of how a vassal is started, from option values. Owns defaults and units of these options;
 * reads nothing itself.
 */
import { resolve } from "node:path";
import type { EntryReader } from "./entry-reader.ts";
import type { HookAction, Settings } from "./settings.ts";

/** What the settings need to know beside the options. */
export interface SettingsSurroundings {
  /** Absolute; relative paths are meant from there. */
  readonly startDirectory: string;
  /** The vassal runtime of this installation. */
  readonly defaultBinaryPath: string;
}

/** A program: with a slash it is a path, without one it is looked up along PATH when it is started. */
function program(base: string, value: string): string {
  return value.includes("/") ? resolve(base, value) : value;
}

/** `hook-`, `mount-`, `umount-` and `exec-` of one place, in uWSGI's order. */
export function hooksAt(reader: EntryReader, place: string): readonly HookAction[] {
  return [
    ...reader.hooks(`hook-${place}`),
    ...reader.actions(`mount-${place}`, "mount"),
    ...reader.actions(`umount-${place}`, "umount"),
    ...reader.actions(`exec-${place}`, "exec"),
  ];
}

export type VassalStart = Pick<
  Settings,
  | "binaryPath"
  | "wrapper"
  | "wrapperOverride"
  | "wrapperFallback"
  | "wrapperAttribute"
  | "chdirAttribute"
  | "safeFds"
  | "inheritBefore"
  | "includeBefore"
  | "set"
  | "inherit"
  | "include"
  | "startHook"
  | "stopHook"
  | "hookAsEmperor"
  | "hookAsEmperorBeforeVassal"
  | "hookAsOnDemandVassal"
  | "hookAsOnConfigVassal"
  | "hookAsVassal"
  | "hookAsVassalBeforeDrop"
  | "shells"
  | "hookTimeoutMs"
>;

/**
 * Program, arguments and hooks.
 * @param base directory from which relative wrappers are meant (that of the running Emperor)
 */
export function buildVassalStart(
  reader: EntryReader,
  base: string,
  surroundings: SettingsSurroundings,
): VassalStart {
  const binaryPath = reader.text("binary-path");
  const wrapper = reader.text("emperor-wrapper");
  return {
    binaryPath:
      binaryPath === undefined
        ? surroundings.defaultBinaryPath
        : program(surroundings.startDirectory, binaryPath),
    wrapper: wrapper === undefined ? undefined : program(base, wrapper),
    wrapperOverride: reader.list("emperor-wrapper-override").map((value) => program(base, value)),
    wrapperFallback: reader.list("emperor-wrapper-fallback").map((value) => program(base, value)),
    wrapperAttribute: reader.text("emperor-wrapper-attr"),
    chdirAttribute: reader.text("emperor-chdir-attr"),
    safeFds: descriptors(reader),
    inheritBefore: reader.list("vassals-inherit-before"),
    includeBefore: reader.list("vassals-include-before"),
    set: reader.list("vassals-set"),
    inherit: reader.list("vassals-inherit"),
    include: reader.list("vassals-include"),
    startHook: reader.text("vassals-start-hook"),
    stopHook: reader.text("vassals-stop-hook"),
    hookAsEmperor: hooksAt(reader, "as-emperor"),
    hookAsEmperorBeforeVassal: reader.hooks("hook-as-emperor-before-vassal"),
    hookAsOnDemandVassal: reader.hooks("hook-as-on-demand-vassal"),
    hookAsOnConfigVassal: reader.hooks("hook-as-on-config-vassal"),
    hookAsVassal: hooksAt(reader, "as-vassal"),
    hookAsVassalBeforeDrop: reader.hooks("hook-as-vassal-before-drop"),
    shells: reader.list("binsh"),
    hookTimeoutMs: reader.secondsMs("hook-timeout", 30_000),
  };
}

function descriptors(reader: EntryReader): readonly number[] {
  const numbers: number[] = [];
  for (const entry of reader.all("safe-fd")) {
    const text = entry.value?.trim() ?? "";
    if (/^\d{1,7}$/.test(text)) numbers.push(Number(text));
    else reader.reject(entry, `needs the number of a descriptor, not "${text}"`);
  }
  return numbers;
}
