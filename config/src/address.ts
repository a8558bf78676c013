/** `[ADDRESS][:SECTION]` as every file option takes it. Opens nothing. */

export type Address =
  /** `:SECTION`: another section of the ini file that was read last. */
  | { readonly kind: "last"; readonly section: string }
  | { readonly kind: "standard-input"; readonly section: string | undefined }
  | { readonly kind: "file"; readonly path: string; readonly section: string | undefined }
  | {
      readonly kind: "scheme";
      readonly scheme: string;
      /** Text behind `://`, without the section. */
      readonly rest: string;
      readonly section: string | undefined;
    };

const SCHEME = /^([A-Za-z][A-Za-z0-9+.-]*):\/\//;

/**
 * The section is the text after the last `:`; for an address with a scheme only a `:` after the last
 * `/` counts, and the port of a server without a path (`http://host:80`) is none, though uWSGI takes
 * it for one. A plain file name can therefore not contain `:`, as in uWSGI.
 */
export function parseAddress(text: string): Address {
  const scheme = SCHEME.exec(text);
  const colon = text.lastIndexOf(":");
  const isPort = /^https?:\/\/[^/]*:\d+$/i.test(text);
  const split = colon >= 0 && !isPort && (scheme === null || colon > text.lastIndexOf("/"));
  const location = split ? text.slice(0, colon) : text;
  const section = split ? text.slice(colon + 1) : undefined;
  if (scheme !== null) {
    return {
      kind: "scheme",
      scheme: (scheme[1] ?? "").toLowerCase(),
      rest: location.slice(scheme[0].length),
      section,
    };
  }
  if (location === "" && section !== undefined) return { kind: "last", section };
  if (location === "-") return { kind: "standard-input", section };
  return { kind: "file", path: location, section };
}

/** The address without its section: what `%o` is. */
export function locationOf(address: Address): string {
  switch (address.kind) {
    case "last":
      return "";
    case "standard-input":
      return "-";
    case "file":
      return address.path;
    case "scheme":
      return `${address.scheme}://${address.rest}`;
  }
}
