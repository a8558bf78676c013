/** Names of processes (`procname` and its family) as a pure function. Sets none. */

export interface TitleSettings {
  /** `procname`: all processes; `procnameMaster` wins for the master. */
  readonly procname: string | undefined;
  readonly procnameMaster: string | undefined;
  /** In front of every name; the spaced form already ends in a space. */
  readonly prefix: string;
  readonly append: string;
  /** `auto-procname`: a name that tells the role where none is given. */
  readonly auto: boolean;
}

/**
 * The title of a process; undefined: as it is. `worker` is its number, undefined for the master or for
 * the only process. The system shows at most as much as the command line was long.
 */
export function processTitle(
  { procname, procnameMaster, prefix, append, auto }: TitleSettings,
  role: "single" | "master" | { readonly worker: number },
  current: string,
): string | undefined {
  const given = (role === "master" ? procnameMaster : undefined) ?? procname;
  if (given === undefined && !auto && prefix === "" && append === "") return undefined;
  const automatic =
    role === "single"
      ? "vassal"
      : role === "master"
        ? "vassal master"
        : `vassal worker ${role.worker}`;
  return `${prefix}${given ?? (auto ? automatic : current)}${append}`;
}
