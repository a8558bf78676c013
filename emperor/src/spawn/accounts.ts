/**
 * The users and groups of this machine, remembered for a moment: starting a thousand vassals asks for
 * a thousand users, and each question reads files or waits for a name service. Knows no vassal.
 */
import { lookupUser, userGroups, type UserEntry } from "@emperor/linux";

export interface Accounts {
  /** Undefined: there is no such user. Throws when the name service fails. */
  user(nameOrId: string | number): UserEntry | undefined;
  /** All groups of the user, `gid` among them. */
  groups(user: string, gid: number): readonly number[];
}

/** How long an answer is believed, ms: a new user or group is known this much later at most. */
const REMEMBERED_MS = 5000;
/** More users than this are not remembered at once. */
const MOST_REMEMBERED = 10_000;

export class SystemAccounts implements Accounts {
  readonly #now: () => number;
  readonly #users = new Map<number, UserEntry | undefined>();
  #forgetAt = 0;

  constructor(now: () => number) {
    this.#now = now;
  }

  user(nameOrId: string | number): UserEntry | undefined {
    if (typeof nameOrId === "string") return lookupUser(nameOrId);
    const now = this.#now();
    if (now >= this.#forgetAt || this.#users.size >= MOST_REMEMBERED) {
      this.#users.clear();
      this.#forgetAt = now + REMEMBERED_MS;
    }
    if (this.#users.has(nameOrId)) return this.#users.get(nameOrId);
    const entry = lookupUser(nameOrId);
    this.#users.set(nameOrId, entry);
    return entry;
  }

  groups(user: string, gid: number): readonly number[] {
    return userGroups(user, gid);
  }
}
