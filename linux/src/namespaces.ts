/**
 * Namespaces and mounts of the calling thread (and the children it starts); `spawn` gives children
 * namespaces of their own. The kernel refuses a user namespace to a process with several threads, as
 * Node always is (EINVAL), and joining a mount namespace to a thread that still shares its working
 * directory with others: `unshare(CLONE_NEW.mount)` first.
 */
import { native, withoutNul } from "./native.ts";

/** Joins the namespace behind a descriptor of /proc/PID/ns/...; `kind` from `CLONE_NEW`, 0 for any. */
export function setns(fd: number, kind: number): void {
  native.setns(fd, kind);
}

/** `flags` from `CLONE_NEW`. */
export function unshare(flags: number): void {
  native.unshare(flags);
}

export interface MountOptions {
  readonly source: string;
  readonly target: string;
  readonly fstype: string;
  /** From `MOUNT`, OR-ed. */
  readonly flags: number;
  readonly data?: string;
}

export function mount(options: MountOptions): void {
  const { source, target, fstype, flags, data = "" } = options;
  native.mount(
    withoutNul(source, "mount"),
    withoutNul(target, "mount"),
    withoutNul(fstype, "mount"),
    flags,
    withoutNul(data, "mount"),
  );
}

/** `flags` from `UMOUNT`. */
export function umount(target: string, flags = 0): void {
  native.umount(withoutNul(target, "umount"), flags);
}

/** Of the UTS namespace this process is in. */
export function setHostName(name: string): void {
  native.setHostName(withoutNul(name, "sethostname"));
}

/** The root directory of this whole process; its working directory stays where it is. */
export function changeRoot(directory: string): void {
  native.changeRoot(withoutNul(directory, "chroot"));
}

/**
 * The root mount of this mount namespace, and the root of all processes in it. `newRoot` has to be a mount
 * point, `putOld` lies below it; both mounts have to be private.
 */
export function pivotRoot(newRoot: string, putOld: string): void {
  native.pivotRoot(withoutNul(newRoot, "pivot_root"), withoutNul(putOld, "pivot_root"));
}
