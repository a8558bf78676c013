/**
 * What a ZeroMQ message says: its frames become a command, or the reason why they are none. Pure; knows
 * no socket and no vassal.
 */
import { quoteName } from "../names.ts";
import type { RemoteEntry } from "../remote.ts";

export type ZmqCommand =
  | { readonly kind: "touch"; readonly entry: RemoteEntry }
  | { readonly kind: "destroy"; readonly name: string }
  /** `why` is a whole clause, fit for a log: what came from outside is quoted and cut. */
  | { readonly kind: "malformed"; readonly why: string };

/** Most frames of a message: command, name, config, uid, gid, socket. */
const MAX_FRAMES = 6;

/** Largest uid and gid: the last number means "none" to the kernel. */
const MAX_ID = 0xffff_fffe;

/** Longest path of a socket in the file system, without the closing NUL. */
const MAX_SOCKET_BYTES = 107;

const UTF8 = new TextDecoder("utf-8", { ignoreBOM: true });

/**
 * Reads `touch NAME [CONFIG [UID [GID [SOCKET]]]]` and `destroy NAME`. Every frame after the name may
 * be empty, which is as good as left out. uWSGI reads a sixth frame also where five were sent (and so
 * takes the first one of the next message), and its `atoi` makes 0, root, of any uid that is no
 * number; here both are what they look like: five frames are five, and such a message is refused.
 */
export function readZmqFrames(frames: readonly Uint8Array[]): ZmqCommand {
  const [command, name, config, uid, gid, socket] = frames;
  if (command === undefined || name === undefined)
    return malformed("a command and the name of a vassal are required, and it has one frame");
  if (frames.length > MAX_FRAMES)
    return malformed(`it has ${frames.length} frames, at most ${MAX_FRAMES} have a meaning`);
  const word = UTF8.decode(command.subarray(0, 64));
  if (word === "destroy") return { kind: "destroy", name: UTF8.decode(name.subarray(0, 1024)) };
  if (word !== "touch") return malformed(`its command ${quoteName(word)} is unknown`);
  const ids = readIds(uid, gid);
  if (typeof ids === "string") return malformed(ids);
  if (socket !== undefined && socket.length > MAX_SOCKET_BYTES)
    return malformed(`its socket has ${socket.length} bytes, ${MAX_SOCKET_BYTES} are allowed`);
  return {
    kind: "touch",
    entry: {
      // Longer names are refused by their length, for which these are enough.
      name: UTF8.decode(name.subarray(0, 1024)),
      // Copied: the frame is memory of the library, which the vassal would keep for as long as it lives.
      ...(given(config) === undefined ? {} : { config: new Uint8Array(config ?? []) }),
      ...ids,
      ...(given(socket) === undefined ? {} : { socket: UTF8.decode(socket) }),
    },
  };
}

function readIds(
  uid: Uint8Array | undefined,
  gid: Uint8Array | undefined,
): Pick<RemoteEntry, "uid" | "gid"> | string {
  const readUid = readId("uid", uid);
  if (typeof readUid === "string") return readUid;
  const readGid = readId("gid", gid);
  if (typeof readGid === "string") return readGid;
  return {
    ...(readUid === undefined ? {} : { uid: readUid }),
    ...(readGid === undefined ? {} : { gid: readGid }),
  };
}

/** A decimal number, undefined if there is none, a clause if it is something else. */
function readId(what: string, frame: Uint8Array | undefined): number | string | undefined {
  const value = given(frame);
  if (value === undefined) return undefined;
  const text = UTF8.decode(value.subarray(0, 32));
  const id = Number(text);
  return /^\d{1,10}$/.test(text) && id <= MAX_ID
    ? id
    : `its ${what} ${quoteName(text)} is no number from 0 to ${MAX_ID}`;
}

/** The frame, if it is there and not empty. */
function given(frame: Uint8Array | undefined): Uint8Array | undefined {
  return frame === undefined || frame.length === 0 ? undefined : frame;
}

function malformed(why: string): ZmqCommand {
  return { kind: "malformed", why };
}
