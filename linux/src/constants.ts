/**
 * The kernel's numbers under their names. Plain tables; knows nothing of what anybody does with them.
 * Values that differ between architectures (errno, signals) come from Node's own tables.
 */
import { constants } from "node:os";

/**
 * In the environment of a child: `LISTEN_PID` with the child's own pid, which nobody knows before it is
 * made. Same text as `LISTEN_PID` in `native/child.c`.
 */
export const LISTEN_PID_OF_CHILD = "LISTEN_PID=0000000000";

/** Kinds of namespaces for `spawn`, `setns` and `unshare`. */
export const CLONE_NEW = {
  time: 0x0000_0080,
  mount: 0x0002_0000,
  cgroup: 0x0200_0000,
  uts: 0x0400_0000,
  ipc: 0x0800_0000,
  user: 0x1000_0000,
  pid: 0x2000_0000,
  net: 0x4000_0000,
} as const;
export type NamespaceName = keyof typeof CLONE_NEW;

/** Resources of `setrlimit`; the numbers of all architectures Node runs on but mips and sparc. */
export const RLIMIT = {
  cpu: 0,
  fsize: 1,
  data: 2,
  stack: 3,
  core: 4,
  rss: 5,
  nproc: 6,
  nofile: 7,
  memlock: 8,
  as: 9,
  locks: 10,
  sigpending: 11,
  msgqueue: 12,
  nice: 13,
  rtprio: 14,
  rttime: 15,
} as const;
export type ResourceName = keyof typeof RLIMIT;

/** Capability names without `CAP_`, in the kernel's order: the index is the number. */
export const CAPABILITY_NAMES = [
  "chown",
  "dac_override",
  "dac_read_search",
  "fowner",
  "fsetid",
  "kill",
  "setgid",
  "setuid",
  "setpcap",
  "linux_immutable",
  "net_bind_service",
  "net_broadcast",
  "net_admin",
  "net_raw",
  "ipc_lock",
  "ipc_owner",
  "sys_module",
  "sys_rawio",
  "sys_chroot",
  "sys_ptrace",
  "sys_pacct",
  "sys_admin",
  "sys_boot",
  "sys_nice",
  "sys_resource",
  "sys_time",
  "sys_tty_config",
  "mknod",
  "lease",
  "audit_write",
  "audit_control",
  "setfcap",
  "mac_override",
  "mac_admin",
  "syslog",
  "wake_alarm",
  "block_suspend",
  "audit_read",
  "perfmon",
  "bpf",
  "checkpoint_restore",
] as const;
export type CapabilityName = (typeof CAPABILITY_NAMES)[number];

/** Number of a capability, with or without `CAP_`, in any case; `undefined` for an unknown name. */
export function capabilityNumber(name: string): number | undefined {
  const plain = name.toLowerCase().replace(/^cap_/, "");
  const index = (CAPABILITY_NAMES as readonly string[]).indexOf(plain);
  return index < 0 ? undefined : index;
}

/** Name of a capability; numbers newer than our table are shown as such. */
export function capabilityName(capability: number): string {
  return CAPABILITY_NAMES[capability] ?? `cap_${capability}`;
}

/** Bits for `SpawnOptions.securebits`. */
export const SECUREBITS = {
  noroot: 1 << 0,
  "noroot-locked": 1 << 1,
  "no-setuid-fixup": 1 << 2,
  "no-setuid-fixup-locked": 1 << 3,
  "keep-caps": 1 << 4,
  "keep-caps-locked": 1 << 5,
  "no-cap-ambient-raise": 1 << 6,
  "no-cap-ambient-raise-locked": 1 << 7,
} as const;

/** Flags of mount(2). */
export const MOUNT = {
  rdonly: 1,
  nosuid: 2,
  nodev: 4,
  noexec: 8,
  sync: 16,
  remount: 32,
  mandlock: 64,
  dirsync: 128,
  nosymfollow: 256,
  noatime: 1024,
  nodiratime: 2048,
  bind: 4096,
  move: 8192,
  rec: 16384,
  silent: 32768,
  private: 1 << 18,
  slave: 1 << 19,
  shared: 1 << 20,
  relatime: 1 << 21,
  strictatime: 1 << 24,
  lazytime: 1 << 25,
} as const;

/** Flags of umount2(2). */
export const UMOUNT = { force: 1, detach: 2, expire: 4, nofollow: 8 } as const;

const errnoNames = new Map<number, string>();
for (const [name, value] of Object.entries(constants.errno)) {
  // EWOULDBLOCK and EOPNOTSUPP are second names of EAGAIN and ENOTSUP: the first one stays.
  if (!errnoNames.has(value)) errnoNames.set(value, name);
}
errnoNames.set(constants.errno.EAGAIN, "EAGAIN");

/** Symbolic name of an errno; `""` for 0, `errno 123` for one that Node's table lacks. */
export function errnoName(errno: number): string {
  if (errno === 0) return "";
  return errnoNames.get(errno) ?? EXTRA_ERRNO_NAMES[errno] ?? `errno ${errno}`;
}

/** What Node's table lacks and set-up steps do answer; asm-generic numbers. */
const EXTRA_ERRNO_NAMES: Readonly<Record<number, string>> = {
  15: "ENOTBLK",
  80: "ELIBBAD",
  87: "EUSERS",
  117: "EUCLEAN",
  123: "ENOMEDIUM",
  126: "ENOKEY",
};

/** Signal names to numbers, as on this machine. */
export const SIGNALS: Readonly<Record<string, number>> = constants.signals;

const signalNames = new Map<number, string>();
for (const [name, value] of Object.entries(constants.signals)) {
  // SIGIOT, SIGPOLL and SIGUNUSED are second names.
  if (!signalNames.has(value) && name !== "SIGIOT" && name !== "SIGPOLL")
    signalNames.set(value, name);
}

/** `SIGTERM` for 15; `signal 34` for the nameless. */
export function signalName(signal: number): string {
  return signalNames.get(signal) ?? `signal ${signal}`;
}
