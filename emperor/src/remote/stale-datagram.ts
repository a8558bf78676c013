/** Files of datagram sockets that a dead process left behind. Knows no server. */
import { lstatSync, unlinkSync } from "node:fs";
import * as linux from "@emperor/linux";
import { errnoOf } from "../errors.ts";

/**
 * Removes a socket file that nobody is bound to any more. Anything that is no socket, or that somebody
 * receives at, stays, while uWSGI unlinks whatever has the name.
 * @returns why it stays
 */
export function removeStaleDatagram(path: string): string | undefined {
  try {
    // Big numbers: without them Node 20 leaves "a socket" where its `realpathSync` finds it.
    if (!lstatSync(path, { bigint: true }).isSocket())
      return "there is something that is no socket";
  } catch {
    return undefined;
  }
  try {
    // Nothing in it that could be a command.
    linux.sendDatagram(path, Uint8Array.of(0));
  } catch (error) {
    if (errnoOf(error) === "ECONNREFUSED") {
      unlinkSync(path);
      return undefined;
    }
    if (errnoOf(error) === "ENOENT") return undefined;
  }
  return "another process receives there";
}
