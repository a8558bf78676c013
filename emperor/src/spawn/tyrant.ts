/**
 * Tyrant mode: every vassal runs as the user that its source reports, never as root. Owns that rule;
 * it must not know how ids are changed.
 */
import type { UserEntry } from "@emperor/linux";
import type { VassalSpec } from "@emperor/monitors";
import { EmperorError } from "../errors.ts";
import { quoteName } from "../log/quoting.ts";
import type { Settings } from "../options/settings.ts";
import type { Accounts } from "./accounts.ts";
import { errorCode } from "./machine.ts";
import { inspectConfig, type KnownWays, type Trust } from "./trust.ts";

export interface Credentials {
  readonly uid: number;
  readonly gid: number;
  readonly groups: readonly number[];
}

export type TyrantAnswer =
  /** `credentials` undefined: not in Tyrant mode, ids stay as they are. */
  | {
      readonly ok: true;
      readonly credentials: Credentials | undefined;
      /** The user's entry; undefined where there is none, or outside of Tyrant mode. */
      readonly user: UserEntry | undefined;
    }
  | { readonly ok: false; readonly detail: string };

export type TyrantSettings = Pick<
  Settings,
  "tyrant" | "tyrantInitgroups" | "tyrantNofollow" | "nofollow" | "tyrantRules"
>;

type Owned = Pick<VassalSpec, "name" | "uid" | "gid" | "path">;

export interface TyrantParts {
  readonly settings: TyrantSettings;
  readonly accounts: Accounts;
  /** The Emperor's own user. */
  readonly ownUid: number;
  readonly warn: (message: string) => void;
}

const NOT_TYRANT: TyrantAnswer = { ok: true, credentials: undefined, user: undefined };

export class Tyrant {
  readonly #parts: TyrantParts;
  readonly #allowed: ReadonlySet<number> | undefined;
  readonly #denied: ReadonlySet<number>;
  readonly #loose = new Set<string>();
  readonly #known: KnownWays = new Map();

  /** @throws EmperorError `unknown-user` for a name in a list that is nobody's */
  constructor(parts: TyrantParts) {
    this.#parts = parts;
    const { allowUsers, denyUsers } = parts.settings.tyrantRules;
    this.#allowed =
      allowUsers.length === 0 ? undefined : this.#uids(allowUsers, "emperor-tyrant-allow-user");
    this.#denied = this.#uids(denyUsers, "emperor-tyrant-deny-user");
  }

  /**
   * The ids a vassal gets. Refuses root's uid and gid, and a source that names no owner, as uWSGI does;
   * beyond that users that the administrator excluded, and configs of which it is not certain that
   * nobody but their owner and root can change what the vassal will read. Asked when a source reports
   * and again at each start, because the file may have been replaced in between.
   */
  answer(spec: Owned): TyrantAnswer {
    return this.#judge(spec, true);
  }

  #judge(spec: Owned, needsUser: boolean): TyrantAnswer {
    if (!this.#parts.settings.tyrant) return NOT_TYRANT;
    const { uid, gid } = spec;
    if (uid === undefined || gid === undefined) {
      return this.#refuse(spec, "its source names no owner, and no vassal runs as root");
    }
    const refusal = this.#ofIds(spec, uid, gid) ?? this.#ofFile(spec, uid, gid);
    if (refusal !== undefined) return this.#refuse(spec, refusal);
    return needsUser ? this.#withGroups(spec, uid, gid) : NOT_TYRANT;
  }

  /** Why this vassal may not run, or undefined: for those who ask before any start. */
  refusal(spec: Owned): string | undefined {
    const { settings } = this.#parts;
    // Without groups the user's entry decides nothing, and asking for it may take its time.
    const needsUser = settings.tyrantRules.groups || settings.tyrantInitgroups;
    const answer = this.#judge(spec, needsUser);
    return answer.ok ? undefined : answer.detail;
  }

  #ofIds(spec: Owned, uid: number, gid: number): string | undefined {
    const { uidMin, uidMax } = this.#parts.settings.tyrantRules;
    const what = spec.path === undefined ? "it" : quoteName(spec.path);
    const whose = `${what} belongs to ${this.#nameOf(uid)} and group ${gid} (owner ${uid}:${gid})`;
    const mend = `: give it to the user it shall run as, chown USER:GROUP ${spec.path === undefined ? "" : quoteName(spec.path)}`;
    if (uid === 0 || gid === 0) return `${whose}, and no vassal runs as root${mend.trimEnd()}`;
    if (uid < uidMin || uid > uidMax) {
      return `${whose}, and only the users ${uidMin} to ${uidMax} may have vassals (emperor-tyrant-uid-min, emperor-tyrant-uid-max)`;
    }
    if (this.#denied.has(uid))
      return `${whose}, a user that may have no vassals (emperor-tyrant-deny-user)`;
    if (this.#allowed?.has(uid) === false)
      return `${whose}, a user that is not among those who may have vassals (emperor-tyrant-allow-user)`;
    return undefined;
  }

  #ofFile(spec: Owned, uid: number, gid: number): string | undefined {
    if (spec.path === undefined) return undefined;
    const { settings, ownUid } = this.#parts;
    let trust: Trust;
    try {
      trust = inspectConfig(
        spec.path,
        {
          ownerOfLink: settings.tyrantNofollow || settings.nofollow,
          allowWritable: settings.tyrantRules.allowWritable,
          ownUid,
        },
        quoteName,
        this.#waysOfThisTurn(),
      );
    } catch (error) {
      return `${quoteName(spec.path)} cannot be examined (${errorCode(error)})`;
    }
    if (!trust.ok) return `${trust.why}: ${trust.mend}`;
    if (trust.uid !== uid || trust.gid !== gid) {
      return `${quoteName(spec.path)} belonged to ${uid}:${gid} when it was looked at and belongs to ${trust.uid}:${trust.gid} now; the next look decides`;
    }
    for (const directory of trust.looseDirectories) this.#sayLoose(directory);
    return undefined;
  }

  #waysOfThisTurn(): KnownWays {
    if (this.#known.size === 0) setImmediate(() => this.#known.clear());
    return this.#known;
  }

  /** Not refused, because it is the administrator's own doing and not a tenant's. */
  #sayLoose(directory: string): void {
    if (this.#loose.has(directory)) return;
    this.#loose.add(directory);
    this.#parts.warn(
      `[emperor-tyrant] everybody or a group may write the directory ${quoteName(directory)} and so replace what is below it, configs of others too: chmod go-w ${quoteName(directory)}, or chmod +t`,
    );
  }

  #withGroups(spec: Owned, uid: number, gid: number): TyrantAnswer {
    const { settings, accounts } = this.#parts;
    const user = accounts.user(uid);
    const option = settings.tyrantRules.groups
      ? "emperor-tyrant-groups"
      : settings.tyrantInitgroups
        ? "emperor-tyrant-initgroups"
        : undefined;
    if (option === undefined) return { ok: true, credentials: { uid, gid, groups: [] }, user };
    if (user === undefined) {
      return this.#refuse(spec, `the owner ${uid} is no known user, so ${option} finds no groups`);
    }
    // As uWSGI 2.1 does: the groups of the user's own entry, although the process has the file's.
    const groups = accounts.groups(user.name, user.gid);
    if (settings.tyrantRules.groups && !groups.includes(gid)) {
      return this.#refuse(
        spec,
        `its group ${gid} is none of user ${quoteName(user.name)}'s, as emperor-tyrant-groups demands: chgrp ${user.gid} ${spec.path === undefined ? "it" : quoteName(spec.path)}`,
      );
    }
    return { ok: true, credentials: { uid, gid, groups }, user };
  }

  #refuse(spec: Owned, why: string): TyrantAnswer {
    return {
      ok: false,
      detail: `[emperor-tyrant] invalid permissions for vassal ${quoteName(spec.name)}: ${why}`,
    };
  }

  #nameOf(uid: number): string {
    const user = this.#parts.accounts.user(uid);
    return user === undefined
      ? `user ${uid}, who is not known here,`
      : `user ${quoteName(user.name)}`;
  }

  #uids(texts: readonly string[], option: string): ReadonlySet<number> {
    return new Set(
      texts.map((text) => {
        // A number needs no entry: it may be the user of a container or of a name service that is down.
        if (/^\d{1,10}$/.test(text)) return Number(text);
        const user = this.#parts.accounts.user(text);
        if (user !== undefined) return user.uid;
        throw new EmperorError(
          "unknown-user",
          `${option} = ${quoteName(text)}: there is no such user; nothing is started`,
        );
      }),
    );
  }
}
