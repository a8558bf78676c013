/**
 * Schemes that npm packages bring: `imperial-monitor = @scope/name`. Finds and loads them; what they
 * say is judged by the same core as any other remote source.
 */
import { createRequire } from "node:module";
import { isAbsolute, join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import type { MonitorOptions } from "./monitor.ts";
import { quoteName } from "./names.ts";
import { reasonOf } from "./reason.ts";
import type { RemoteSource } from "./remote.ts";

/** What such a package exports as `imperialMonitor`. */
export interface MonitorPackage {
  /** The text before `://`. */
  readonly scheme: string;
  /** The source for one address: the text after `SCHEME://`. Throws when it makes no sense. */
  source(address: string, options: MonitorOptions): RemoteSource | Promise<RemoteSource>;
}

export interface LoadedPackages {
  readonly packages: readonly MonitorPackage[];
  /** What could not be loaded, and why. */
  readonly problems: readonly string[];
}

/**
 * Loads packages by name from `node_modules` of `directory` and above, or from beside the Emperor; a
 * text that begins with `.` or `/` is a file. Never rejects.
 */
export async function loadMonitorPackages(
  names: readonly string[],
  directory: string,
): Promise<LoadedPackages> {
  const packages: MonitorPackage[] = [];
  const problems: string[] = [];
  for (const name of names) {
    try {
      packages.push(monitorOf(await import(urlOf(name, directory))));
    } catch (error) {
      problems.push(`cannot use the imperial monitor ${quoteName(name)}: ${reasonOf(error)}`);
    }
  }
  return { packages, problems };
}

function urlOf(name: string, directory: string): string {
  if (isAbsolute(name) || name.startsWith(".")) return pathToFileURL(resolve(directory, name)).href;
  try {
    // The file need not exist: it only says where the search begins.
    return pathToFileURL(createRequire(join(directory, "emperor.cjs")).resolve(name)).href;
  } catch {
    return import.meta.resolve(name);
  }
}

function monitorOf(loaded: unknown): MonitorPackage {
  const found: unknown =
    typeof loaded === "object" && loaded !== null && "imperialMonitor" in loaded
      ? loaded.imperialMonitor
      : undefined;
  if (!isMonitorPackage(found))
    throw new Error(
      "it exports no imperialMonitor with a scheme (a text) and a source (a function)",
    );
  if (!/^[A-Za-z][A-Za-z0-9+.-]*$/.test(found.scheme))
    throw new Error(`its scheme ${quoteName(found.scheme)} is none`);
  return found;
}

function isMonitorPackage(value: unknown): value is MonitorPackage {
  return (
    typeof value === "object" &&
    value !== null &&
    "scheme" in value &&
    typeof value.scheme === "string" &&
    "source" in value &&
    typeof value.source === "function"
  );
}
