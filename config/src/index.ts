/** The configuration language: readers, substitution, logic, option table. Knows no program's options. */
export { readEnvironmentDirectory } from "./environment-changes.ts";
export type { EnvironmentChange } from "./environment-changes.ts";
export * from "./errors.ts";
export * from "./host.ts";
export { readIniAttributes, readIniSection } from "./ini.ts";
export { LANGUAGE_OPTIONS } from "./language-options.ts";
export * from "./load-types.ts";
export * from "./load.ts";
export * from "./nearest.ts";
export * from "./options.ts";
export * from "./origin.ts";
export { createNodeHost } from "./node-host.ts";
export * from "./render.ts";
export { formatOfName } from "./reader.ts";
export type { ConfigFormat, RawPair } from "./reader.ts";
export * from "./values.ts";
