/**
 * The system calls that starting an Emperor needs beyond Node's, as the rest of this folder sees
 * them. `linux-system.ts` is the real thing, tests give another. All throw errors with an errno
 * `code`.
 */

export interface UserEntry {
  readonly uid: number;
  readonly gid: number;
  readonly name: string;
}

export interface GroupEntry {
  readonly gid: number;
  readonly name: string;
}

export interface OpenFileLimit {
  readonly soft: number;
  readonly hard: number;
}

export interface System {
  /** dup2: `to` is afterwards the same open file as `fd`, and stays open across exec. */
  redirect(fd: number, to: number): void;
  /** Exclusive flock that does not wait; false when somebody else holds one. */
  lock(fd: number): boolean;
  lookupUser(nameOrId: string | number): UserEntry | undefined;
  lookupGroup(nameOrId: string | number): GroupEntry | undefined;
  /** All groups of a user, `gid` included. */
  groupsOf(user: string, gid: number): readonly number[];
  /** Changes the ids of the whole process, for good; with `keep` these capabilities survive. */
  setCredentials(
    ids: { readonly uid: number; readonly gid: number; readonly groups: readonly number[] },
    keep: readonly number[] | undefined,
  ): void;
  openFileLimit(): OpenFileLimit;
  setOpenFileLimit(limit: OpenFileLimit): void;
  /** One datagram to a unix socket; a `@` in front stands for the abstract name space. Does not wait. */
  sendDatagram(path: string, text: string): void;
}
