/**
 * Makes the `VassalSpec` of a settled config file: what the Emperor learns of it, its attributes and,
 * if asked for, its bytes. Reads the file only where that is needed.
 */
import type { FileFacts } from "./file-facts.ts";
import { fileIdOf, versionOf } from "./file-facts.ts";
import type { FileFinder } from "./finder.ts";
import type { MonitorOptions, VassalSpec } from "./monitor.ts";
import { MAX_ATTRIBUTES_BYTES, MAX_PUSHED_BYTES, readConfigFile } from "./read-config.ts";

/** `readIniAttributes` of `@emperor/config`: the collected names of the `[emperor]` section. */
export type ReadAttributes = (
  bytes: Uint8Array,
  names: readonly string[],
) => Record<string, string[]>;

export type SpecOutcome =
  | { readonly kind: "spec"; readonly spec: VassalSpec; readonly warning?: string }
  /** The file is not the one that was seen: look again. */
  | { readonly kind: "moved-on" }
  /** It cannot be used; `why` ends a sentence. */
  | { readonly kind: "refused"; readonly why: string };

const NO_ATTRIBUTES: Readonly<Record<string, readonly string[]>> = Object.freeze({});

/**
 * With `readConfig` an unreadable or too large file is refused: there is nothing to give to the
 * vassal. Without it an unreadable file is still wanted, as in uWSGI; it is the vassal that fails
 * then, with the reason in its log. Attributes that cannot be read are reported and left out.
 */
export function makeSpec(
  finder: FileFinder,
  facts: FileFacts,
  options: MonitorOptions,
  readAttributes: ReadAttributes | undefined,
): SpecOutcome {
  const path = finder.pathOf(facts.name);
  const wantsAttributes = readAttributes !== undefined && facts.name.endsWith(".ini");
  let config: Buffer | undefined;
  let attributes = NO_ATTRIBUTES;
  let warning: string | undefined;
  if (options.readConfig || wantsAttributes) {
    const limitBytes = options.readConfig ? MAX_PUSHED_BYTES : MAX_ATTRIBUTES_BYTES;
    const outcome = readConfigFile(path, facts, options, limitBytes);
    if (outcome.kind === "moved-on") return { kind: "moved-on" };
    if (outcome.kind === "read") {
      if (wantsAttributes) attributes = readAttributes(outcome.bytes, options.collectAttributes);
      if (options.readConfig) config = outcome.bytes;
    } else if (options.readConfig) {
      return { kind: "refused", why: outcome.why };
    } else {
      warning = `its attributes cannot be read: ${outcome.why}`;
    }
  }
  const spec: VassalSpec = {
    name: facts.name,
    monitor: finder.id,
    version: versionOf(facts),
    modifiedAt: facts.mtimeSec,
    cwd: finder.cwd,
    path,
    // Several links to one skeleton are several vassals: the target's inode is no identity of theirs.
    ...(facts.isLink ? {} : { fileId: fileIdOf(facts) }),
    uid: facts.uid,
    gid: facts.gid,
    attributes,
    ...(config === undefined ? {} : { config }),
  };
  return warning === undefined ? { kind: "spec", spec } : { kind: "spec", spec, warning };
}
