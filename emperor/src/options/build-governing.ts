/**
 * Settings of what is governed and at what pace, from option values. Owns defaults and units of these
 * options; reads nothing itself.
 */
import { availableParallelism } from "node:os";
import type { EntryReader } from "./entry-reader.ts";
import { readCapabilities, readNamespaces } from "./kernel-names.ts";
import type { Settings } from "./settings.ts";

const DEFAULT_MERCY_MS = 30_000;

export type Governing = Pick<
  Settings,
  | "emperor"
  | "frequencySeconds"
  | "nofollow"
  | "extraExtensions"
  | "magicExec"
  | "forceConfigPipe"
  | "ignoreHidden"
  | "quietMs"
  | "collectAttributes"
  | "throttleMs"
  | "throttleExplicit"
  | "maxThrottleMs"
  | "blacklist"
  | "maxStarting"
  | "healthyAfterMs"
  | "requiredHeartbeatMs"
  | "curseToleranceMs"
  | "reloadMercyMs"
  | "gracefulShutdown"
  | "tyrant"
  | "tyrantNofollow"
  | "tyrantInitgroups"
  | "capabilities"
  | "cloneFlags"
>;

/** Monitors, pace, time limits, tyrant mode. */
export function buildGoverning(reader: EntryReader): Governing {
  const frequencyMs = reader.secondsMs("emperor-freq", 3000);
  const frequency = reader.last("emperor-freq");
  // uWSGI scans without a pause at 0; nobody can want that.
  if (frequencyMs === 0 && frequency !== undefined) {
    reader.reject(frequency, `needs a number of seconds greater than 0, not "${frequency.value}"`);
  }
  const wrapperAttribute = reader.text("emperor-wrapper-attr");
  const chdirAttribute = reader.text("emperor-chdir-attr");
  const attributes = [
    ...reader.list("emperor-collect-attribute"),
    wrapperAttribute,
    chdirAttribute,
    reader.text("emperor-on-demand-attr"),
    reader.text("emperor-fork-server-attr"),
    reader.text("emperor-broodlord-attr"),
  ];
  return {
    emperor: reader.list("emperor").map((text) => ({ text })),
    frequencySeconds: frequencyMs / 1000,
    nofollow: reader.flag("emperor-nofollow"),
    extraExtensions: reader.list("emperor-extra-extension"),
    magicExec: reader.flag("emperor-magic-exec"),
    forceConfigPipe: reader.flag("emperor-force-config-pipe"),
    ignoreHidden: reader.flag("emperor-ignore-hidden"),
    quietMs: reader.integer("emperor-quiet-ms", 40, { maximum: 60_000 }),
    collectAttributes: [...new Set(attributes.filter((name) => name !== undefined))],
    throttleMs: reader.integer("emperor-throttle", 1000),
    throttleExplicit: reader.last("emperor-throttle") !== undefined,
    maxThrottleMs: reader.integer("emperor-max-throttle", 180_000),
    blacklist: !reader.flag("emperor-no-blacklist"),
    maxStarting: reader.integer("emperor-max-starting", Math.max(16, 8 * availableParallelism()), {
      minimum: 1,
    }),
    healthyAfterMs: reader.secondsMs("emperor-healthy-after", 30_000),
    requiredHeartbeatMs: reader.secondsMs("emperor-required-heartbeat", 30_000),
    curseToleranceMs: reader.secondsMs("emperor-curse-tolerance", 30_000),
    // uWSGI's default is 0, which its Emperor takes for 30.
    reloadMercyMs: reader.secondsMs("reload-mercy", DEFAULT_MERCY_MS) || DEFAULT_MERCY_MS,
    gracefulShutdown: reader.flag("emperor-graceful-shutdown"),
    tyrant: reader.flag("emperor-tyrant"),
    tyrantNofollow: reader.flag("emperor-tyrant-nofollow"),
    tyrantInitgroups: reader.flag("emperor-tyrant-initgroups"),
    // A repeated option replaces the earlier one, as in uWSGI.
    capabilities: reader.names("emperor-cap", readCapabilities, (_before, value) => value),
    cloneFlags:
      reader.names("emperor-use-clone", readNamespaces, (before = 0, value) => before | value) ?? 0,
  };
}
