/**
 * Options of how a vassal is started: program, arguments, hooks. Only the table; `read-settings.ts`
 * gives the values their meaning.
 */
import type { OptionDefinition } from "@emperor/config";
import { under } from "./define.ts";

function programOptions(): OptionDefinition[] {
  const { list, value } = under("How a vassal is started");
  return [
    value("binary-path", "path", "PROGRAM", "the vassals' program, for example uwsgi", {
      default: "the vassal runtime of this installation",
    }),
    value(
      "emperor-wrapper",
      "path",
      "PROGRAM",
      "start this program instead, with the same arguments",
    ),
    list("emperor-wrapper-override", "PROGRAM", "try this program before the wrapper"),
    list(
      "emperor-wrapper-fallback",
      "PROGRAM",
      "try this program when the wrapper cannot be started",
    ),
    value(
      "emperor-wrapper-attr",
      "string",
      "NAME",
      "attribute of a vassal that names its wrapper",
      {
        since: "2.1",
      },
    ),
    value(
      "emperor-chdir-attr",
      "string",
      "NAME",
      "attribute of a vassal that names the directory it starts in",
      {
        since: "2.1",
      },
    ),
    list("safe-fd", "FD", "vassals inherit this descriptor", { aliases: ["fd-safe"] }),
    list("vassals-inherit-before", "FILE", "--inherit FILE before the vassal's config"),
    list("vassals-include-before", "FILE", "--include FILE before the vassal's config"),
    list("vassals-set", "KEY=VALUE", "--set KEY=VALUE before the vassal's config", {
      aliases: ["vassal-set"],
    }),
    list("vassals-inherit", "FILE", "--inherit FILE after the vassal's config"),
    list("vassals-include", "FILE", "--include FILE after the vassal's config"),
  ];
}

const ACTION = "ACTION:ARGUMENT";

function vassalHooks(): OptionDefinition[] {
  const { hook, list, value } = under("Hooks around a vassal");
  return [
    value(
      "vassals-start-hook",
      "string",
      "PROGRAM",
      "run this program in the new process, with the vassal's name, before the vassal",
    ),
    value(
      "vassals-stop-hook",
      "string",
      "PROGRAM",
      "run this program with the vassal's name when the vassal is gone",
    ),
    hook(
      "hook-as-emperor-before-vassal",
      ACTION,
      "the Emperor does this before a vassal is started; a failure counts as its death",
      {
        since: "2.1",
      },
    ),
    hook("hook-as-emperor", ACTION, "the Emperor does this after a vassal was started"),
    list(
      "hook-as-emperor-setns",
      "NAMES ACTION:ARGUMENT",
      "the Emperor does this after a vassal was started, in these namespaces of the vassal",
      { since: "2.1" },
    ),
    hook("mount-as-emperor", "FSTYPE SOURCE TARGET", "mount after a vassal was started"),
    hook("umount-as-emperor", "TARGET", "unmount after a vassal was started"),
    hook("exec-as-emperor", "COMMAND", "run this shell command after a vassal was started"),
    hook(
      "hook-as-vassal-before-drop",
      ACTION,
      "the new process does this before it drops privileges",
      {
        since: "2.1",
      },
    ),
    hook("hook-as-vassal", ACTION, "the new process does this before it becomes the vassal"),
    hook("mount-as-vassal", "FSTYPE SOURCE TARGET", "mount in the new process"),
    hook("umount-as-vassal", "TARGET", "unmount in the new process"),
    hook("exec-as-vassal", "COMMAND", "run this shell command in the new process"),
    value("hook-timeout", "seconds", "SECONDS", "how long a hook of the Emperor may run", {
      default: "30",
      since: "0.1",
    }),
    list("binsh", "SHELL", "first one that can be executed replaces /bin/sh for hooks"),
  ];
}

function ownHooks(): OptionDefinition[] {
  const { hook } = under("Hooks of the Emperor's own start");
  const phases = [
    ["asap", "as soon as the options are read"],
    ["pre-jail", "before privileges are dropped"],
    ["in-jail", "before privileges are dropped"],
    ["as-root", "before privileges are dropped"],
    ["as-user", "after privileges were dropped"],
  ] as const;
  const definitions: OptionDefinition[] = [];
  for (const [phase, when] of phases) {
    definitions.push(hook(`hook-${phase}`, ACTION, `do this ${when}; a failure ends the start`));
    if (phase !== "as-user") {
      definitions.push(
        hook(`mount-${phase}`, "FSTYPE SOURCE TARGET", `mount ${when}`),
        hook(`umount-${phase}`, "TARGET", `unmount ${when}`),
      );
    }
    definitions.push(hook(`exec-${phase}`, "COMMAND", `run this shell command ${when}`));
  }
  definitions.push(
    hook(
      "hook-emperor-start",
      ACTION,
      "do this after all sockets are bound, before the first vassal",
    ),
  );
  return definitions;
}

/** Fresh objects at each call, so that nothing of the table stays in memory once the options are read. */
export function vassalOptions(): OptionDefinition[] {
  return [...programOptions(), ...vassalHooks(), ...ownHooks()];
}
