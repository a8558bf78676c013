/**
 * Limits of cgroups as people write them: `memory.max=512M`, `cpu.max=50%`. Owns their units, their
 * order (which of two is looser) and their names in version 1. Pure.
 */

/** One value of one file, under its name in version 2. */
export interface Limit {
  readonly key: string;
  /** As version 2 takes it. */
  readonly value: string;
  /** What tells looser from stricter, more being looser; undefined where there is no such order. */
  readonly amount: number | undefined;
}

export type LimitReading =
  | { readonly ok: true; readonly limit: Limit }
  | { readonly ok: false; readonly problem: string };

/** What percentages are meant of. */
export interface MachineSize {
  readonly memoryBytes: number;
}

const FACTORS: Readonly<Record<string, number>> = {
  "": 1,
  k: 2 ** 10,
  m: 2 ** 20,
  g: 2 ** 30,
  t: 2 ** 40,
};
const CPU_PERIOD_US = 100_000;
/** What the kernel takes for cpu.max. */
const LEAST_CPU_US = 1000;
const DEFAULT_WEIGHT = 100;

const BYTES = new Set(["memory.max", "memory.high", "memory.swap.max", "memory.low", "memory.min"]);
const WEIGHTS = new Set(["cpu.weight", "io.weight"]);
/** A promise, not a limit: more of it takes from the neighbours, so no vassal may ask for any. */
const PROMISES = new Set(["memory.low", "memory.min"]);

function isUnlimited(text: string): boolean {
  return /^(?:max|infinity|unlimited|-1)$/i.test(text);
}

function readBytes(key: string, text: string, size: MachineSize): LimitReading {
  const amountKnown = !PROMISES.has(key);
  if (isUnlimited(text)) return ok(key, "max", amountKnown ? Infinity : undefined);
  const share = /^(\d{1,3}(?:\.\d+)?)\s*%$/.exec(text);
  const match = /^(\d{1,15}(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?$/i.exec(text);
  const bytes =
    share !== null
      ? (Number(share[1]) / 100) * size.memoryBytes
      : match === null
        ? Number.NaN
        : Number(match[1]) * (FACTORS[(match[2] ?? "").toLowerCase()] ?? Number.NaN);
  const whole = Math.floor(bytes);
  if (!Number.isSafeInteger(whole))
    return wrong(key, "a size such as 512M or 2G, a percentage of the memory, or max", text);
  return ok(key, String(whole), amountKnown ? whole : undefined);
}

function readCpu(text: string): LimitReading {
  const key = "cpu.max";
  const expected =
    'a percentage of one processor such as 50%, microseconds such as "50000 100000", or max';
  if (isUnlimited(text)) return ok(key, "max", Infinity);
  const share = /^(\d{1,6}(?:\.\d+)?)\s*%$/.exec(text);
  const pair = /^(max|\d{1,9})(?:\s+(\d{4,7}))?$/.exec(text);
  const period = Number(pair?.[2] ?? CPU_PERIOD_US);
  if (pair?.[1] === "max") return ok(key, `max ${period}`, Infinity);
  const quota =
    share === null ? Number(pair?.[1]) : Math.round((Number(share[1]) / 100) * CPU_PERIOD_US);
  if (!Number.isSafeInteger(quota)) return wrong(key, expected, text);
  if (quota < LEAST_CPU_US || period < 1000 || period > 1_000_000)
    return wrong(
      key,
      `${expected}; the kernel takes no less than ${LEAST_CPU_US} microseconds`,
      text,
    );
  return ok(key, `${quota} ${period}`, quota / period);
}

function readCount(key: string, text: string): LimitReading {
  if (isUnlimited(text)) return ok(key, "max", Infinity);
  const count = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
  return count >= 1 ? ok(key, String(count), count) : wrong(key, "a number from 1, or max", text);
}

function readWeight(key: string, text: string): LimitReading {
  const weight = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN;
  return weight >= 1 && weight <= 10_000
    ? ok(key, String(weight), weight)
    : wrong(key, "a weight from 1 to 10000", text);
}

function ok(key: string, value: string, amount: number | undefined): LimitReading {
  return { ok: true, limit: { key, value, amount } };
}

function wrong(key: string, expected: string, text: string): LimitReading {
  return { ok: false, problem: `${key} needs ${expected}, not "${text}"` };
}

/**
 * Reads `KEY=VALUE`. KEY is the name of a file of version 2. Files that are not limits (`cgroup.procs`,
 * `cgroup.freeze`) are refused; a key that is not known here is passed on as it is.
 */
export function readLimit(text: string, size: MachineSize): LimitReading {
  const equals = text.indexOf("=");
  const key = text.slice(0, Math.max(0, equals)).trim();
  const value = text.slice(equals + 1).trim();
  if (equals <= 0 || value === "")
    return { ok: false, problem: `needs KEY=VALUE such as memory.max=512M, not "${text}"` };
  if (!/^[a-z][a-z0-9_]*(?:\.[a-zA-Z0-9_]+)+$/.test(key))
    return { ok: false, problem: `"${key}" is no name of a cgroup's file` };
  if (key.startsWith("cgroup.") && !key.startsWith("cgroup.max."))
    return { ok: false, problem: `"${key}" is no limit` };
  if (BYTES.has(key)) return readBytes(key, value, size);
  if (WEIGHTS.has(key)) return readWeight(key, value);
  if (key === "cpu.max") return readCpu(value);
  if (key === "pids.max") return readCount(key, value);
  return /^[ -~]*$/.test(value) ? ok(key, value, undefined) : wrong(key, "printable text", value);
}

export function controllerOf(key: string): string {
  return key.slice(0, key.indexOf("."));
}

/** A value for one file. */
export interface FileValue {
  readonly controller: string;
  readonly file: string;
  readonly value: string;
}

/** The files of version 2: the keys themselves. */
export function filesOfVersion2(limits: readonly Limit[]): readonly FileValue[] {
  return limits.map(({ key, value }) => ({ controller: controllerOf(key), file: key, value }));
}

/**
 * The files of version 1 that mean the same, in the order in which they have to be written; undefined
 * for a limit that version 1 does not have. Unknown keys keep their name: it may be one of version 1.
 */
export function filesOfVersion1(
  limit: Limit,
  all: readonly Limit[],
): readonly FileValue[] | undefined {
  const { key, value, amount } = limit;
  const controller = controllerOf(key);
  const one = (file: string, text: string): readonly FileValue[] => [
    { controller, file, value: text },
  ];
  switch (key) {
    case "memory.max":
      return one("memory.limit_in_bytes", value === "max" ? "-1" : value);
    case "memory.swap.max": {
      // Version 1 limits memory and swap together, and wants to know memory first.
      const memory = all.find((other) => other.key === "memory.max")?.amount ?? Infinity;
      const sum = memory + (amount ?? Infinity);
      return one("memory.memsw.limit_in_bytes", sum === Infinity ? "-1" : String(sum));
    }
    case "cpu.max": {
      const [quota = "max", period = String(CPU_PERIOD_US)] = value.split(" ");
      return [
        // A new cgroup has the usual one.
        ...(Number(period) === CPU_PERIOD_US ? [] : one("cpu.cfs_period_us", period)),
        ...one("cpu.cfs_quota_us", quota === "max" ? "-1" : quota),
      ];
    }
    case "cpu.weight":
      return one(
        "cpu.shares",
        String(Math.max(2, Math.round((Number(value) * 1024) / DEFAULT_WEIGHT))),
      );
    case "memory.high":
    case "memory.low":
    case "memory.min":
    case "memory.oom.group":
    case "io.max":
    case "io.weight":
      return undefined;
    default:
      return key.startsWith("cgroup.") ? undefined : one(key, value);
  }
}

/** Limits in the order in which they have to be written: memory before memory and swap; the last of a key counts. */
export function settle(limits: readonly Limit[]): readonly Limit[] {
  const byKey = new Map<string, Limit>();
  for (const limit of limits) byKey.set(limit.key, limit);
  return [...byKey.values()].toSorted((one, other) => Number(isLate(one)) - Number(isLate(other)));
}

function isLate({ key }: Limit): boolean {
  return key === "memory.swap.max";
}

/** What becomes of a vassal's wish. */
export type WishAnswer =
  | { readonly ok: true; readonly limit: Limit; readonly remark: string | undefined }
  | { readonly ok: false; readonly remark: string };

/**
 * One wish of a vassal: granted up to the ceiling, which is the administrator's `vassal-cgroup-max`,
 * else the administrator's own limit, else (for a weight) what everybody has. So a vassal can be
 * stricter with itself than it has to be, and looser only where the ceiling says so.
 */
export function grantWish(
  wish: Limit,
  limits: readonly Limit[],
  ceilings: readonly Limit[],
): WishAnswer {
  const { key, amount } = wish;
  if (amount === undefined) return { ok: false, remark: `${key} is not for vassals to choose` };
  const ceiling =
    ceilings.find((limit) => limit.key === key) ?? limits.find((limit) => limit.key === key);
  const most = ceiling?.amount ?? (WEIGHTS.has(key) ? DEFAULT_WEIGHT : Infinity);
  if (amount <= most) return { ok: true, limit: wish, remark: undefined };
  const value = ceiling?.value ?? String(DEFAULT_WEIGHT);
  return {
    ok: true,
    limit: { key, value, amount: most },
    remark: `${key}=${wish.value} is above the ceiling: ${value}`,
  };
}
