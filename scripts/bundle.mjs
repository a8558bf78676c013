/**
 * Makes the files that bin/emperor and bin/vassal run: each program in one file, so that a start does
 * not read a hundred small ones, and what it loads only when it is needed in files beside it. Takes
 * the TypeScript sources, so it needs nothing built before; what the compiler writes to dist/ stays
 * for those who import a package. Checks no types.
 *
 * A file is replaced as a whole and only if it has changed: a program may start meanwhile.
 */
import { mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { isBuiltin } from "node:module";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { rolldown } from "rolldown";

const root = fileURLToPath(new URL("..", import.meta.url));

/**
 * `always`: modules that are imported lazily in the sources, but at nearly every start. They go into
 * the one file; the modules that they import come with them.
 */
const PROGRAMS = [
  {
    package: "emperor",
    name: "main",
    entry: "emperor/src/cli/main.ts",
    always: ["monitors/src/file-monitors.ts", "monitors/src/system-eyes.ts"],
    // It awaits at its top level, which CommonJS cannot.
    format: "esm",
  },
  {
    package: "vassal-runtime",
    name: "cli",
    entry: "vassal-runtime/src/cli.ts",
    always: [
      "config/src/ini.ts",
      "vassal-runtime/src/start-up.ts",
      "vassal-runtime/src/single.ts",
      "vassal-runtime/src/app-process.ts",
    ],
    // Without the loader of ES modules a start is some milliseconds shorter.
    format: "cjs",
  },
];

/**
 * Packages of others that are put into the bundle. All that are not listed are loaded from
 * node_modules as they are, and have to be dependencies of the program's own package, because that
 * is where Node looks for them.
 */
const BUNDLED = new Set(["chokidar", "readdirp", "saxes", "xmlchars", "yaml"]);

class BundleError extends Error {}

/** `@scope/name` or `name` of an import, undefined for a path and for what is ours alone. */
function packageOf(specifier) {
  if (/^[./\0]|^virtual:/.test(specifier)) return undefined;
  return /^(?:@[^/]+\/)?[^/]+/.exec(specifier)?.[0];
}

/** Stands in front of a program: imports what is always needed, then the program itself, which runs. */
function frontOf({ entry, always }) {
  const id = "virtual:front";
  const code = [...always, entry].map((file) => `import ${JSON.stringify(join(root, file))};\n`);
  return {
    name: "front",
    resolveId: (specifier) => (specifier === id ? id : undefined),
    load: (asked) => (asked === id ? { code: code.join(""), moduleSideEffects: true } : undefined),
  };
}

/**
 * Collects the modules of the one file: those that the front imports at once, and theirs. The bundler by
 * itself makes a file of each module that something loaded later needs, too. The program's own module
 * is not among them: it runs until the program ends, and what it loads meanwhile must not wait for it.
 */
function oneFileOf({ entry }, collected) {
  return {
    name: "one-file",
    buildEnd() {
      collected.add("virtual:front");
      // A set may grow while it is gone through.
      for (const id of collected)
        for (const imported of this.getModuleInfo(id)?.importedIds ?? []) collected.add(imported);
      collected.delete("virtual:front");
      collected.delete(join(root, entry));
    },
  };
}

/**
 * A module goes on seeing the place of its compiled file, from which it finds other files. Packages that
 * it looks for by name (`import.meta.resolve`) are those beside the program.
 */
function placesIn(folder, format) {
  return {
    name: "places",
    transform(code, id, { magicString }) {
      // Neither other packages nor what the bundler adds.
      const isOurs = id.startsWith(root) && !id.includes("/node_modules/");
      if (!isOurs || !code.includes("import.meta")) return undefined;
      const unknown =
        format === "esm" ? /import\.meta(?!\.(?:url|resolve)\b)/ : /import\.meta(?!\.url\b)/;
      if (unknown.test(code))
        throw new BundleError(`${id} asks of import.meta what is not there in a bundle`);
      const compiled = id.replace("/src/", "/dist/").replace(/\.ts$/, ".js");
      const place = JSON.stringify(relative(folder, compiled));
      magicString.replaceAll("import.meta.url", `new URL(${place}, import.meta.url).href`);
      return { code: magicString };
    },
  };
}

/** Gives the files as `Map` of name and text. */
async function make(program) {
  const folder = join(root, program.package, "build");
  const declared = JSON.parse(readFileSync(join(root, program.package, "package.json"), "utf8"));
  const together = new Set();
  const bundle = await rolldown({
    input: { [program.name]: "virtual:front" },
    cwd: root,
    platform: "node",
    resolve: { conditionNames: ["source", "node", "import", "default"] },
    external(specifier) {
      const name = packageOf(specifier);
      if (isBuiltin(specifier)) return true;
      if (name === undefined || name.startsWith("@emperor/") || BUNDLED.has(name)) return false;
      if (declared.dependencies[name] !== undefined) return true;
      throw new BundleError(
        `${name} is neither a dependency in ${program.package}/package.json nor among BUNDLED in scripts/bundle.mjs`,
      );
    },
    plugins: [frontOf(program), placesIn(folder, program.format), oneFileOf(program, together)],
    onLog(level, log) {
      // Said of what is in the one file on purpose.
      if (log.code === "INEFFECTIVE_DYNAMIC_IMPORT") return;
      throw new BundleError(`${level}: ${log.message}`);
    },
  });
  const suffix = program.format === "cjs" ? "cjs" : "js";
  const { output } = await bundle.generate({
    format: program.format,
    entryFileNames: `[name].${suffix}`,
    chunkFileNames: `[name].${suffix}`,
    codeSplitting: { groups: [{ name: "program", test: (id) => together.has(id) }] },
    // Names as in the sources: a stack trace has to be understood, and a program that was started
    // before an update may load a newer file beside it.
    minify: false,
    minifyInternalExports: false,
    // For `node --enable-source-maps`; nothing reads it otherwise.
    sourcemap: true,
    comments: { annotation: true, jsdoc: false, legal: true },
  });
  await bundle.close();
  return new Map(output.map((file) => [file.fileName, file.code ?? file.source]));
}

/** @returns how many files are different from before */
function write(folder, files) {
  mkdirSync(folder, { recursive: true });
  let changed = 0;
  for (const [name, text] of files) {
    const path = join(folder, name);
    if (textOf(path) === text) continue;
    const temporary = `${path}.${process.pid}.tmp`;
    writeFileSync(temporary, text);
    renameSync(temporary, path);
    changed += 1;
  }
  for (const name of readdirSync(folder)) {
    if (!files.has(name) && !name.endsWith(".tmp")) rmSync(join(folder, name));
  }
  return changed;
}

function textOf(path) {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}

try {
  for (const program of PROGRAMS) {
    const folder = join(root, program.package, "build");
    const changed = write(folder, await make(program));
    const what = changed === 0 ? "is up to date" : `written (${changed} files changed)`;
    process.stdout.write(`bundle: ${relative(root, folder)} ${what}\n`);
  }
} catch (error) {
  // What a hook throws comes back inside of the bundler's own error.
  process.stderr.write(`bundle: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
