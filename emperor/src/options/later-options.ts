/**
 * Options of uWSGI that would silently mean something else if they were ignored, and that this
 * version does not have: giving one is an error that says what to do. Only the table.
 */
import type { OptionDefinition } from "@emperor/config";
import { under } from "./define.ts";

interface Refusal {
  readonly group: string;
  readonly reason: string;
  readonly since?: string;
  /** Names with a value, then names without, each with the help. */
  readonly values?: Readonly<Record<string, string>>;
  readonly flags?: Readonly<Record<string, string>>;
  readonly aliases?: Readonly<Record<string, readonly string[]>>;
}

const PLANNED = "it is planned for a later version";
const JAIL =
  "the Emperor does not jail itself; let systemd or a container do it, or use emperor-use-clone for the vassals";
const SYMBOL =
  "it calls a C function inside of uWSGI; use the exec- or hook- option of the same place";

function planned(): readonly Refusal[] {
  return [
    {
      group: "Planned: hooks in namespaces",
      reason: PLANNED,
      since: "2.1",
      values: {
        "hook-as-emperor-setns": "the Emperor does this inside of the vassal's namespaces",
      },
    },
    {
      group: "Planned: the Emperor's own process",
      reason: PLANNED,
      values: {
        envdir: "take environment variables from the files of a directory, after env",
      },
    },
  ];
}

function jails(): readonly Refusal[] {
  return [
    {
      group: "Not available: jails of the Emperor itself",
      reason: JAIL,
      values: {
        chroot: "change the root directory",
        pivot_root: "change the root mount",
        namespace: "run in a jail of namespaces",
        "namespace-net": "run in a jail with its own network",
        "namespace-keep-mount": "keep this mount in the jail",
        unshare: "leave namespaces before privileges are dropped",
        unshare2: "leave namespaces after the change of the root directory",
        setns: "join the namespaces served on this socket",
        "setns-socket": "serve the own namespaces on this socket",
        "setns-socket-skip": "do not serve this namespace",
        cgroup: "enter this control group",
        "cgroup-opt": "set a value of the control group",
        "cgroup-dir-mode": "mode of the control group's directory",
        "hook-post-jail": "do this after the jail was made",
        "mount-post-jail": "mount after the jail was made",
        "umount-post-jail": "unmount after the jail was made",
        "exec-post-jail": "run this shell command after the jail was made",
        "privileged-binary-patch": "become another program before privileges are dropped",
        "unprivileged-binary-patch": "become another program after privileges were dropped",
        "privileged-binary-patch-arg": "the same with arguments",
        "unprivileged-binary-patch-arg": "the same with arguments",
      },
      flags: {
        "setns-preopen": "open the namespaces before they are served",
        jailed: "take the process as jailed",
        refork: "fork once more after privileges were dropped",
        "refork-as-root": "fork once more before privileges are dropped",
        "refork-post-jail": "fork once more after the jail was made",
      },
      aliases: {
        pivot_root: ["pivot-root"],
        namespace: ["ns"],
        "namespace-net": ["ns-net"],
        "setns-socket-skip": ["setns-skip"],
        refork: ["re-fork"],
        "refork-as-root": ["re-fork-as-root"],
        "refork-post-jail": ["re-fork-post-jail"],
      },
    },
  ];
}

function others(): readonly Refusal[] {
  return [
    {
      group: "Not available: C functions of uWSGI",
      reason: SYMBOL,
      values: Object.fromEntries(
        "asap pre-jail post-jail in-jail as-root as-user as-vassal as-vassal1 as-vassal3 as-emperor as-emperor1 as-emperor2 as-emperor4"
          .split(" ")
          .map((phase) => [`call-${phase}`, "call a C function at this place"]),
      ),
    },
    {
      group: "Not available: commands to a running instance",
      reason: "send the signal yourself: SIGTERM ends the Emperor, SIGHUP reloads its vassals",
      values: {
        stop: "stop the instance whose pid is in FILE",
        reload: "reload the instance whose pid is in FILE",
        pause: "pause the instance whose pid is in FILE",
        suspend: "suspend the instance whose pid is in FILE",
        resume: "resume the instance whose pid is in FILE",
        "connect-and-read": "print what a socket sends",
        extract: "print the content of an address",
      },
    },
    {
      group: "Not available: limits of the Emperor itself",
      reason:
        "vassals would inherit it; set it where the Emperor is started, for example in its systemd unit",
      values: {
        "limit-as": "limit of the address space",
        "limit-nproc": "limit of processes",
      },
    },
    {
      group: "Not available: unfinished in uWSGI",
      reason: "uWSGI never finished it: there it starts no vassal",
      since: "2.1",
      values: { zeus: "address of another Emperor" },
    },
  ];
}

/** Fresh objects at each call, so that nothing of the table stays in memory once the options are read. */
export function laterOptions(): OptionDefinition[] {
  const definitions: OptionDefinition[] = [];
  const all = [...planned(), ...jails(), ...others()];
  for (const { group, reason, since = "2.0", values = {}, flags = {}, aliases = {} } of all) {
    const { flag, list } = under(group, since);
    const extra = (name: string) => ({
      status: "later" as const,
      reason,
      ...(aliases[name] === undefined ? {} : { aliases: aliases[name] }),
    });
    for (const [name, help] of Object.entries(values)) {
      definitions.push(list(name, "VALUE", help, extra(name)));
    }
    for (const [name, help] of Object.entries(flags)) {
      definitions.push(flag(name, help, extra(name)));
    }
  }
  return definitions;
}
