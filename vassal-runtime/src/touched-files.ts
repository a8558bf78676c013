/** The `touch-*` files of a vassal and what each of them asks for. Looks when it is told to. */
import { statSync } from "node:fs";
import { runTolerantly } from "./hooks.ts";
import { log, quote } from "./log.ts";
import type { RunSettings } from "./run-settings.ts";
import { TouchWatch } from "./touch.ts";
import type { SeenFiles } from "./touch.ts";
import type { VassalControls } from "./vassal.ts";

/** What was seen so far, by option; for the watch that comes after a reload. */
export type TouchMemory = Map<string, SeenFiles>;

/** The files as they are now are the start; the result looks for changes, and acts on them. */
export function touchWatches(
  touch: RunSettings["touch"],
  controls: Pick<VassalControls, "reload" | "reloadWorkers" | "chainReload">,
  memory: TouchMemory = new Map(),
): () => void {
  const all = [
    { name: "touch-reload", files: touch.reload, act: () => controls.reload() },
    {
      name: "touch-workers-reload",
      files: touch.workers,
      act: () => controls.reloadWorkers(true),
    },
    { name: "touch-chain-reload", files: touch.chain, act: () => controls.chainReload() },
    ...touch.hooks.map(({ file, hook }, index) => ({
      name: `hook-touch ${index}`,
      files: [file],
      act: () => runTolerantly(hook, "touch"),
    })),
  ].map(({ files, ...rest }) => {
    const seen: SeenFiles = memory.get(rest.name) ?? new Map();
    memory.set(rest.name, seen);
    return { ...rest, watch: new TouchWatch(files, versionOf, seen) };
  });
  return () => {
    for (const { name, watch, act } of all) {
      const [path] = watch.changed();
      if (path === undefined) continue;
      log(`${name}: ${quote(path)} was touched`);
      act();
    }
  };
}

/** A text that changes with the file. */
export function versionOf(path: string): string | undefined {
  try {
    const stat = statSync(path, { bigint: true });
    return `${stat.mtimeNs} ${stat.ino} ${stat.size}`;
  } catch {
    return undefined;
  }
}
