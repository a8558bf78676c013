/**
 * Names of namespaces and capabilities as options write them, and the kernel's numbers for them.
 * Pure tables.
 */

/** CLONE_NEW* flags. `fs`, `ns`, `mnt` and `mount` are four words for one thing, as in uWSGI. */
const NAMESPACES: Readonly<Record<string, number>> = {
  ipc: 0x0800_0000,
  pid: 0x2000_0000,
  net: 0x4000_0000,
  uts: 0x0400_0000,
  user: 0x1000_0000,
  cgroup: 0x0200_0000,
  fs: 0x0002_0000,
  ns: 0x0002_0000,
  mnt: 0x0002_0000,
  mount: 0x0002_0000,
};

/** Capability names in the order of their numbers, see capabilities(7). */
const CAPABILITIES =
  "chown dac_override dac_read_search fowner fsetid kill setgid setuid setpcap linux_immutable net_bind_service net_broadcast net_admin net_raw ipc_lock ipc_owner sys_module sys_rawio sys_chroot sys_ptrace sys_pacct sys_admin sys_boot sys_nice sys_resource sys_time sys_tty_config mknod lease audit_write audit_control setfcap mac_override mac_admin syslog wake_alarm block_suspend audit_read perfmon bpf checkpoint_restore";

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
  const names = CAPABILITIES.split(" ");
  const numbers = new Set<number>();
  for (const word of wordsOf(text)) {
    const name = word.toLowerCase().replace(/^cap_/, "");
    const number = /^\d{1,2}$/.test(name) ? Number(name) : names.indexOf(name);
    if (number < 0 || number > 63) return { ok: false, unknown: word, known: names };
    numbers.add(number);
  }
  return { ok: true, value: [...numbers] };
}
