/**
 * Names of namespaces and capabilities as options of uWSGI write them. Pure.
 */
import { CAPABILITY_NAMES, capabilityNumber, CLONE_NEW } from "./constants.ts";

/** uWSGI's words; `fs`, `ns`, `mnt` and `mount` are four for one thing. */
const NAMESPACES: Readonly<Record<string, number>> = {
  ipc: CLONE_NEW.ipc,
  pid: CLONE_NEW.pid,
  net: CLONE_NEW.net,
  uts: CLONE_NEW.uts,
  user: CLONE_NEW.user,
  cgroup: CLONE_NEW.cgroup,
  time: CLONE_NEW.time,
  fs: CLONE_NEW.mount,
  ns: CLONE_NEW.mount,
  mnt: CLONE_NEW.mount,
  mount: CLONE_NEW.mount,
};

export type NamesRead<Value> =
  | { readonly ok: true; readonly value: Value }
  | { readonly ok: false; readonly unknown: string; readonly known: readonly string[] };

function wordsOf(text: string): readonly string[] {
  return text.split(/[\s,]+/).filter((word) => word !== "");
}

/** `pid,net,fs` -> CLONE_NEW* flags, OR-ed. */
export function readNamespaces(text: string): NamesRead<number> {
  let flags = 0;
  for (const word of wordsOf(text)) {
    const flag = Object.hasOwn(NAMESPACES, word) ? NAMESPACES[word] : undefined;
    if (flag === undefined) return { ok: false, unknown: word, known: Object.keys(NAMESPACES) };
    flags |= flag;
  }
  return { ok: true, value: flags };
}

/** `setuid,net_bind_service,12` -> capability numbers, without repeats. A leading `cap_` and capitals are tolerated. */
export function readCapabilities(text: string): NamesRead<readonly number[]> {
  const numbers = new Set<number>();
  for (const word of wordsOf(text)) {
    const number = /^\d{1,2}$/.test(word) ? Number(word) : capabilityNumber(word);
    if (number === undefined || number > 63) {
      return { ok: false, unknown: word, known: CAPABILITY_NAMES };
    }
    numbers.add(number);
  }
  return { ok: true, value: [...numbers] };
}
