/**
 * Loads the `node-app`: a module or script of the tenant. Tells what it offers; serving it is the matter
 * of `app-process.ts`. Nothing here is cached or retried: a load that failed ends the process.
 */
import { readFileSync, statSync } from "node:fs";
import type { RequestListener } from "node:http";
import Module, { createRequire } from "node:module";
import { Server } from "node:net";
import { dirname, extname, join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { RuntimeError, reasonOf } from "./errors.ts";

/** What a loaded app offers. `nothing`: no usable export; it may have called `listen()`, or still will. */
export type AppExport =
  | { readonly kind: "listener"; readonly listener: RequestListener }
  | {
      readonly kind: "fetch";
      readonly handler: { fetch(request: Request): Response | Promise<Response> };
    }
  /** A server that was made but does not listen yet: one of Node, or that of a Fastify instance. */
  | { readonly kind: "server"; readonly server: Server }
  | { readonly kind: "nothing"; readonly description: string };

/** Absolute path of the app's file; a directory means its `index.js`, as for `node DIRECTORY`. */
export function resolveApp(file: string, origin: string): string {
  const path = resolve(file);
  const where = `${origin}: node-app ${JSON.stringify(file)}`;
  try {
    if (!statSync(path).isDirectory()) return path;
    return createRequire(join(path, "/")).resolve(path);
  } catch (error) {
    const hint =
      path === file ? "" : `, looked for at ${path}: relative paths start at the working directory`;
    throw new RuntimeError(
      "VASSAL_APP_FAILED",
      `${where} cannot be loaded (${reasonOf(error)})${hint}`,
      {},
      { cause: error },
    );
  }
}

/**
 * Runs the module and looks at its default export. CommonJS is run as the main module, so that
 * `require.main === module` holds as under `node FILE`; `process.argv` is the same as there, too.
 */
export async function loadNodeApp(path: string, origin: string): Promise<AppExport> {
  process.argv = [process.argv[0] ?? process.execPath, path];
  let exported: unknown;
  try {
    exported = isCommonJs(path) ? await loadAsMain(path) : await importDefault(path);
    // A compiler's CommonJS output of `export default`.
    if (isObject(exported) && "default" in exported && "__esModule" in exported)
      exported = exported["default"];
    // An app that is built asynchronously, by a module without top-level await.
    exported = await exported;
    // Fastify has to load its plugins before it can serve.
    if (isFastify(exported)) await exported.ready();
  } catch (error) {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    throw new RuntimeError(
      "VASSAL_APP_FAILED",
      `${origin}: node-app ${path} threw while it was loaded: ${await syntaxErrorPlace(error, path)}${text}${typeScriptHint(path)}`,
      {},
      { cause: error },
    );
  }
  return classify(exported);
}

/** Node 20 knows nothing of TypeScript; what it says then (a syntax error) helps nobody. */
function typeScriptHint(path: string): string {
  const { typescript } = process.features as { readonly typescript?: string | false };
  if (!/\.[cm]?ts$/.test(path) || (typescript !== undefined && typescript !== false)) return "";
  return `\nnode-app is TypeScript, which Node ${process.versions.node} does not run by itself. Set "node-binary" to Node 22.18 or newer, load a compiler with "node-options = --import tsx", or compile it`;
}

/**
 * Node keeps the line of a syntax error in an ES module to itself, unless it ends the process. So another
 * Node is asked, which only reads the file; it says nothing about files that this one imports.
 */
async function syntaxErrorPlace(error: unknown, path: string): Promise<string> {
  if (!(error instanceof SyntaxError) || error.stack?.includes(`${path}:`) === true) return "";
  const { spawnSync } = await import("node:child_process");
  const { stderr } = spawnSync(process.execPath, ["--check", path], {
    encoding: "utf8",
    timeout: 5000,
    stdio: ["ignore", "ignore", "pipe"],
  });
  // `FILE:LINE`, the line, a mark below the place; then the stack of that other Node.
  const [place = "", line = "", mark = ""] = stderr.split("\n");
  return /:\d+$/.test(place) ? `\n${place}\n${line}\n${mark}\n` : "";
}

async function importDefault(path: string): Promise<unknown> {
  const namespace = (await import(pathToFileURL(path).href)) as { default?: unknown };
  return namespace.default;
}

/** The loader behind `require`, with the flag that makes a module the main one; there since Node 0.x. */
type MainLoader = { _load?: (path: string, parent: null, isMain: boolean) => unknown };

async function loadAsMain(path: string): Promise<unknown> {
  const { _load: load } = Module as unknown as MainLoader; // not in the public types
  if (load === undefined) return importDefault(path);
  try {
    return load(path, null, true);
  } catch (error) {
    // A file without a declared type may turn out to be an ES module.
    const { code } = error as { code?: unknown };
    if (code === "ERR_REQUIRE_ESM" || code === "ERR_REQUIRE_ASYNC_MODULE")
      return importDefault(path);
    throw error;
  }
}

/** As Node decides it: by suffix, else by the `type` of the nearest package.json. */
function isCommonJs(path: string): boolean {
  const suffix = extname(path);
  if (suffix === ".mjs" || suffix === ".mts") return false;
  if (suffix === ".cjs" || suffix === ".cts") return true;
  for (let folder = dirname(path); ; folder = dirname(folder)) {
    let text: string;
    try {
      text = readFileSync(join(folder, "package.json"), "utf8");
    } catch {
      if (dirname(folder) === folder) return true;
      continue;
    }
    try {
      return (JSON.parse(text) as { type?: unknown } | null)?.type !== "module";
    } catch {
      return true; // Node itself will complain about this package.json, better than we could.
    }
  }
}

/** The order matters: a framework's instance may have several of these faces, its own is the richest. */
function classify(value: unknown): AppExport {
  // An Express application, and a Connect one, is a function.
  if (typeof value === "function" && !/^class\b/.test(Function.prototype.toString.call(value))) {
    return { kind: "listener", listener: value as RequestListener };
  }
  if (isFastify(value)) return { kind: "server", server: value.server };
  if (value instanceof Server) return { kind: "server", server: value };
  if (isObject(value)) {
    const { callback, fetch, handle, server } = value;
    if (typeof fetch === "function") {
      return { kind: "fetch", handler: value as { fetch(request: Request): Response } };
    }
    if (typeof callback === "function") {
      const listener: unknown = callback.call(value); // Koa
      if (typeof listener === "function")
        return { kind: "listener", listener: listener as RequestListener };
    }
    if (typeof handle === "function") {
      return {
        kind: "listener",
        listener: (request, response) => void handle.call(value, request, response),
      };
    }
    if (server instanceof Server) return { kind: "server", server };
  }
  if (value === undefined || (isObject(value) && Object.keys(value).length === 0)) {
    return { kind: "nothing", description: "it has no default export" };
  }
  const kind = typeof value === "function" ? "class" : value === null ? "null" : typeof value;
  return {
    kind: "nothing",
    description: `its default export is no function, no server, and has no fetch(), callback(), handle() or server: it is a ${kind}`,
  };
}

/** Its instances have the server from the start; `ready()` loads the plugins. */
function isFastify(value: unknown): value is { server: Server; ready: () => Promise<unknown> } {
  return (
    isObject(value) &&
    value["server"] instanceof Server &&
    typeof value["ready"] === "function" &&
    typeof value["inject"] === "function"
  );
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
