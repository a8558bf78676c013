/** Writes configurations for fixture vassals in the four formats. See fixtures/fixture-vassal.c. */

export type Behaviour =
  | "loyal"
  | "never-loyal"
  | "mute"
  | "crashes-at-once"
  | "crashes-loyal"
  | "exiles-itself"
  | "ignores-stop"
  | "slow-to-stop"
  | "ignores-reload"
  | "closes-channel"
  | "never-reads"
  | "floods-channel"
  | "stops-itself"
  | "forks-children"
  | "heartbeat-then-silent"
  | "heartbeat"
  | "done"
  | "asks-config"
  | "re-reads-config"
  | "serves"
  | "serves-silently"
  | "odd-bytes";

export interface BehaviourSettings {
  readonly ms?: number;
  readonly count?: number;
  readonly code?: number;
  /** Comes back in the report `configured`: tells one version of a file from the next. */
  readonly note?: string;
}

export type ConfigFormat = "ini" | "xml" | "yaml" | "json";

/** Text of a vassal's config that makes the fixture behave so. `more`: further lines (ini only). */
export function vassalConfig(
  behaviour: Behaviour,
  settings: BehaviourSettings = {},
  more: readonly string[] = [],
  format: ConfigFormat = "ini",
): string {
  const entries = Object.entries({ behaviour, ...settings }).map(
    ([key, value]) => [key, String(value)] as const,
  );
  switch (format) {
    case "ini":
      return ["[uwsgi]", ...entries.map(([key, value]) => `${key} = ${value}`), ...more, ""].join(
        "\n",
      );
    case "xml":
      return `<uwsgi>\n${entries.map(([key, value]) => `  <${key}>${value}</${key}>\n`).join("")}</uwsgi>\n`;
    case "yaml":
      return `uwsgi:\n${entries.map(([key, value]) => `  ${key}: ${value}\n`).join("")}`;
    case "json":
      return `${JSON.stringify({ uwsgi: Object.fromEntries(entries) }, undefined, 1)}\n`;
  }
}
