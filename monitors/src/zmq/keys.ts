/**
 * CURVE keys of `zmq://`: reads them from files, and answers the library's question whether a peer's
 * key is among those that may command (ZAP, RFC 27). Knows no message and no vassal.
 */
import type * as ZeroMq from "zeromq";

/** Text of the domain that the socket names in its questions; any but the empty one will do. */
export const ZAP_DOMAIN = "emperor";

const ZAP_ENDPOINT = "inproc://zeromq.zap.01";

/** 32 bytes in Z85, the form in which every ZeroMQ tool writes keys. */
const KEY = /^[0-9a-zA-Z.\-:+=^!/*?&<>()[\]{}@%$#]{40}$/;

/**
 * The key in a text that is a key, or in a certificate as `zmq.auth.create_certificates` writes it:
 * the line `secret-key = "..."` or `public-key = "..."`.
 */
export function curveKey(text: string, kind: "secret" | "public"): string | undefined {
  const bare = text.trim();
  if (bare.length === 40 && KEY.test(bare)) return bare;
  for (const line of text.split("\n")) {
    const match = new RegExp(`^\\s*${kind}-key\\s*=\\s*"([^"]{40})"\\s*$`).exec(line);
    if (match?.[1] !== undefined && KEY.test(match[1])) return match[1];
  }
  return undefined;
}

/**
 * Public keys of those who may command: one per line, or certificates one after the other. Lines that
 * begin with `#` are comments.
 */
export function allowedKeys(text: string): ReadonlySet<string> {
  const keys = new Set<string>();
  for (const line of text.split("\n")) {
    if (line.trimStart().startsWith("#")) continue;
    const key = curveKey(line, "public");
    if (key !== undefined) keys.add(key);
  }
  return keys;
}

/** Bytes of a Z85 text of 40 characters, for the comparison with what a peer sent. */
export function decodeZ85(text: string): Buffer {
  const alphabet =
    "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#";
  const bytes = Buffer.alloc((text.length / 5) * 4);
  for (let group = 0; group * 5 < text.length; group += 1) {
    let value = 0;
    for (let digit = 0; digit < 5; digit += 1)
      value = value * 85 + alphabet.indexOf(text.charAt(group * 5 + digit));
    bytes.writeUInt32BE(value % 2 ** 32, group * 4);
  }
  return bytes;
}

/**
 * Answers for all sockets of `context`, until the returned function is called. Must run before the
 * socket is bound. `refused` is told of each key that does not get in.
 */
export async function serveZap(
  zmq: typeof ZeroMq,
  context: ZeroMq.Context,
  allowed: ReadonlySet<string>,
  refused: (why: string) => void,
): Promise<() => void> {
  const keys = new Set([...allowed].map((key) => decodeZ85(key).toString("hex")));
  const socket = new zmq.Reply({ context, linger: 0 });
  await socket.bind(ZAP_ENDPOINT);
  void (async () => {
    while (!socket.closed) {
      const [version, id, , peer, , mechanism, key] = await socket.receive();
      if (version === undefined || id === undefined) continue;
      const isAllowed =
        mechanism?.toString() === "CURVE" && key !== undefined && keys.has(key.toString("hex"));
      if (!isAllowed)
        refused(
          `a peer at ${JSON.stringify(peer?.toString() ?? "")} has a key that is not among curve-clients; it is kept out`,
        );
      const answer = isAllowed ? ["200", "OK"] : ["400", "unknown key"];
      await socket.send([version, id, ...answer, "", ""]);
    }
  })().catch(() => {
    // The socket was closed while it waited. Peers get no answer then, which is a refusal.
  });
  return () => {
    if (!socket.closed) socket.close();
  };
}
