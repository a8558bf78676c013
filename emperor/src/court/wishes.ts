/**
 * What a vassal's spec means under the Emperor's settings: what is wanted of it, and how much it may want.
 * Pure; it knows no state.
 */
import type { VassalSpec } from "@emperor/monitors";
import type { Wanted } from "../lifecycle/index.ts";
import type { Settings } from "../options/settings.ts";
import type { CourtOptions } from "./court.ts";

/** A tenant may want fewer zergs than it could have, never more. */
export function mostZergsOf({ broodlord }: Pick<Settings, "broodlord">, spec: VassalSpec): number {
  const { attribute, perVassal } = broodlord;
  const text = attribute === undefined ? undefined : spec.attributes[attribute]?.[0]?.trim();
  return text !== undefined && /^\d{1,6}$/.test(text)
    ? Math.min(perVassal, Number(text))
    : perVassal;
}

/** A change of what makes the `identity` is no reload: another process has to take its place. */
export function wantedOf(settings: Settings, spec: VassalSpec): Wanted {
  const { wrapperAttribute, chdirAttribute, tyrant, isolation, profiles } = settings;
  const attribute = (name: string | undefined): string =>
    name === undefined ? "" : (spec.attributes[name]?.[0] ?? "");
  const owner = tyrant ? `${spec.uid}:${spec.gid}` : "";
  const socket = spec.socket?.trim() ?? "";
  const parts = [
    owner,
    attribute(wrapperAttribute),
    attribute(chdirAttribute),
    attribute(profiles.attribute),
    socket,
    ...[isolation.cloneAttribute, isolation.cgroupAttribute].map((name) =>
      name === undefined ? "" : (spec.attributes[name] ?? []).join("\n"),
    ),
  ];
  return {
    version: spec.version,
    identity: parts.every((part) => part === "") ? "" : parts.join("\0"),
    pushed: spec.config !== undefined,
    onDemand: socket !== "",
  };
}

/** Without anybody who could give a command nobody waits for one, as in uWSGI. */
export function waitingForCommands({
  remote,
  control,
}: Settings): Pick<CourtOptions, "waitsForCommand"> {
  const { waitForCommand, waitForCommandIgnore, commandSockets } = remote;
  if (!waitForCommand || (commandSockets.length === 0 && control === undefined)) return {};
  const excepted = new Set(waitForCommandIgnore);
  return { waitsForCommand: (spec) => !excepted.has(spec.name) };
}
