/** Names of namespaces and capabilities as options write them; they are `linux`'s. */
export { readCapabilities, readNamespaces } from "@emperor/linux";
export type { NamesRead } from "@emperor/linux";
