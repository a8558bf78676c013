/**
 * The text of a listening address as uWSGI writes it, parsed. Does not resolve names and opens nothing.
 */

/** Where to listen. `host` may still be a name; `path` starting with NUL is abstract. */
export type ListenAddress =
  | { readonly kind: "tcp"; readonly host: string; readonly port: number }
  | { readonly kind: "unix"; readonly path: string };

export type AddressResult =
  | { readonly ok: true; readonly address: ListenAddress }
  | { readonly ok: false; readonly reason: string };

/** `sun_path` holds 108 bytes, of which a file name leaves one for its end. */
const MAX_PATH_BYTES = 107;

/**
 * `host:port`, `:port` and `*:port` (all IPv4 addresses), `[v6]:port`, a path, or `@name` (abstract).
 * As in uWSGI a text with a colon is TCP and everything else a path; a bare number, which there makes a
 * file of that name, is refused because it is always a mistake.
 */
export function parseAddress(text: string): AddressResult {
  if (text.startsWith("@") || text.startsWith("\\0")) {
    return unixAddress("\0" + text.slice(text.startsWith("@") ? 1 : 2));
  }
  if (text.startsWith("unix:")) return unixAddress(text.slice(5));
  if (text.startsWith("/") || text.startsWith("./") || text.startsWith("../"))
    return unixAddress(text);
  const colon = text.lastIndexOf(":");
  if (colon < 0) {
    if (/^\d+$/.test(text))
      return { ok: false, reason: `a port alone is a file name here; write ":${text}"` };
    return unixAddress(text);
  }
  const portText = text.slice(colon + 1);
  if (!/^\d{1,5}$/.test(portText) || Number(portText) > 65535) {
    return { ok: false, reason: `${JSON.stringify(portText)} is no port (0 to 65535)` };
  }
  const host = text.slice(0, colon);
  const bracketed = /^\[([0-9a-fA-F:.]+(?:%[\w.-]+)?)\]$/.exec(host)?.[1];
  if (bracketed === undefined && /[[\]:]/.test(host)) {
    return { ok: false, reason: `an IPv6 address is written as "[::1]:${portText}"` };
  }
  const plain = bracketed ?? (host === "" || host === "*" ? "0.0.0.0" : host);
  return { ok: true, address: { kind: "tcp", host: plain, port: Number(portText) } };
}

function unixAddress(path: string): AddressResult {
  if (path === "" || path === "\0") return { ok: false, reason: "the name of the socket is empty" };
  const bytes = new TextEncoder().encode(path).length;
  if (bytes > MAX_PATH_BYTES) {
    return {
      ok: false,
      reason: `the path has ${bytes} bytes, the system allows ${MAX_PATH_BYTES}`,
    };
  }
  return { ok: true, address: { kind: "unix", path } };
}
