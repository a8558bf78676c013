/**
 * Options of what the Emperor governs and at what pace: monitors, timing, blacklist, tyrant mode.
 * Only the table; `read-settings.ts` gives the values their meaning.
 */
import type { OptionDefinition } from "@emperor/config";
import { OURS, under } from "./define.ts";

function monitorOptions(): OptionDefinition[] {
  const { flag, list, value } = under("What is governed");
  return [
    list(
      "emperor",
      "ADDRESS",
      "govern the vassals found here: a directory, a pattern, or SCHEME://ADDRESS; repeat it for several",
    ),
    value("emperor-freq", "seconds", "SECONDS", "longest time between two full scans", {
      default: "3",
    }),
    flag("emperor-nofollow", "look at symbolic links themselves, not at what they point to"),
    list(
      "emperor-extra-extension",
      "SUFFIX",
      "a further suffix of configs, given to the vassal with --config",
      {
        aliases: ["emperor-extra-ext"],
      },
    ),
    flag("emperor-magic-exec", "a config that is executable is given as exec://NAME"),
    flag(
      "emperor-force-config-pipe",
      "read each config once and push it through the config pipe, also for files",
      { since: OURS },
    ),
    list(
      "emperor-collect-attribute",
      "NAME",
      "read this attribute from the [emperor] section of configs",
      {
        aliases: ["emperor-collect-attr"],
        since: "2.1",
      },
    ),
    flag("emperor-ignore-hidden", "leave out hidden files and what editors leave behind", {
      since: OURS,
    }),
    value(
      "emperor-quiet-ms",
      "integer",
      "MS",
      "a file that is written in place is taken when it was quiet for so long",
      {
        default: "40",
        since: OURS,
      },
    ),
    flag("imperial-monitor-list", "print the schemes that --emperor knows", {
      aliases: ["imperial-monitors-list"],
    }),
  ];
}

function paceOptions(): OptionDefinition[] {
  const { flag, value } = under("Pace, blacklist, time limits");
  return [
    value(
      "emperor-throttle",
      "integer",
      "MS",
      "step by which the blacklist delays a bad vassal; given explicitly, also the spacing between spawns",
      {
        default: "1000",
      },
    ),
    value("emperor-max-throttle", "integer", "MS", "longest delay of a blacklisted vassal", {
      default: "180000",
    }),
    flag("emperor-no-blacklist", "restart vassals that die at once, without growing delays"),
    value(
      "emperor-max-starting",
      "integer",
      "N",
      "most vassals between their spawn and their first sign of life",
      {
        default: "8 per processor, at least 16",
        since: OURS,
      },
    ),
    value(
      "emperor-healthy-after",
      "seconds",
      "SECONDS",
      "a vassal that is up for so long is healthy even without a request",
      {
        default: "30",
        since: OURS,
      },
    ),
    value(
      "emperor-required-heartbeat",
      "seconds",
      "SECONDS",
      "silence allowed after the first heartbeat",
      {
        default: "30",
      },
    ),
    value(
      "emperor-curse-tolerance",
      "seconds",
      "SECONDS",
      "time between the wish to stop and SIGKILL",
      {
        default: "30",
      },
    ),
    value(
      "reload-mercy",
      "seconds",
      "SECONDS",
      "at the Emperor's end: time before the remaining vassals are killed",
      {
        default: "30",
      },
    ),
    flag(
      "emperor-graceful-shutdown",
      "ask vassals to stop gracefully (byte 2), not at once (byte 0)",
    ),
  ];
}

function tyrantOptions(): OptionDefinition[] {
  const { flag, value } = under("Tyrant mode and isolation");
  return [
    flag("emperor-tyrant", "run each vassal as the user and group that its monitor reports"),
    flag("emperor-tyrant-nofollow", "in tyrant mode take the owner of a symbolic link itself"),
    flag(
      "emperor-tyrant-initgroups",
      "in tyrant mode give vassals the supplementary groups of their user",
      {
        since: "2.1",
      },
    ),
    value(
      "emperor-cap",
      "capabilities",
      "NAMES",
      "limit vassals to these capabilities: a comma list of names or numbers",
      {
        aliases: ["vassal-cap", "vassals-cap"],
      },
    ),
    value(
      "emperor-use-clone",
      "namespaces",
      "NAMES",
      "start vassals in new namespaces: a comma list of ipc, pid, net, uts, user, fs (also ns, mnt, mount), cgroup, time",
      {
        repeatable: true,
      },
    ),
  ];
}

/** Fresh objects at each call, so that nothing of the table stays in memory once the options are read. */
export function governingOptions(): OptionDefinition[] {
  return [...monitorOptions(), ...paceOptions(), ...tyrantOptions()];
}
