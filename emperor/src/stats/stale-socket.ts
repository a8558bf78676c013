/** Socket files that a dead process left behind. Knows no server. */
import { lstatSync, unlinkSync } from "node:fs";
import { connect } from "node:net";
import { errnoOf } from "../errors.ts";

/**
 * Removes a socket file that a dead process left behind. Anything that is no socket, or that somebody
 * listens on, stays, while uWSGI unlinks whatever has the name.
 * @returns why it stays
 */
export async function removeStale(path: string): Promise<string | undefined> {
  try {
    // Big numbers: without them Node 20 leaves "a socket" where its `realpathSync` finds it.
    if (!lstatSync(path, { bigint: true }).isSocket())
      return "there is something that is no socket";
  } catch {
    return undefined;
  }
  const dead = await new Promise<boolean>((resolve) => {
    const probe = connect({ path });
    probe.once("connect", () => {
      probe.destroy();
      resolve(false);
    });
    probe.once("error", (error) => resolve(errnoOf(error) === "ECONNREFUSED"));
  });
  if (!dead) return "another process listens there";
  unlinkSync(path);
  return undefined;
}
