/** `USER:GROUP` of options that say whose a socket shall be. */
import * as linux from "@emperor/linux";
import { EmperorError } from "../errors.ts";

/**
 * Ids of a text `USER:GROUP` in which either may be missing, by name or number.
 * @throws EmperorError for a name that this machine does not know
 */
export function ownerOf(
  option: string,
  text: string | undefined,
): { readonly uid: number | undefined; readonly gid: number | undefined } {
  const [user = "", group = ""] = (text ?? "").split(":");
  const uid = user === "" ? undefined : (number(user) ?? linux.lookupUser(user)?.uid);
  const gid = group === "" ? undefined : (number(group) ?? linux.lookupGroup(group)?.gid);
  const unknown = (what: string, name: string): string =>
    `${option} = ${text}: this machine has no ${what} "${name}"; nothing is started`;
  if (user !== "" && uid === undefined)
    throw new EmperorError("unknown-user", unknown("user", user));
  if (group !== "" && gid === undefined)
    throw new EmperorError("unknown-group", unknown("group", group));
  return { uid, gid };
}

function number(name: string): number | undefined {
  return /^\d+$/.test(name) ? Number(name) : undefined;
}
