/**
 * Compiles the native addon (and, with `--test`, its C test programs, which it then runs) with the
 * machine's own C compiler. Plain .mjs because Node 20 cannot run TypeScript. It downloads nothing
 * and knows nothing of what the code does; Node's headers come from the package node-api-headers.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { createRequire } from "node:module";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const nativeDirectory = join(root, "linux/native");
const testDirectory = join(nativeDirectory, "test");
const buildDirectory = join(root, "linux/build");
const compiler = process.env.CC || "cc";

const warnings = [
  "-std=gnu11",
  "-D_GNU_SOURCE",
  "-Wall",
  "-Wextra",
  "-Wshadow",
  "-Wvla",
  "-Werror",
];
const addonFlags = [
  ...warnings,
  "-O2",
  "-g1",
  "-fPIC",
  "-shared",
  "-pthread",
  "-fvisibility=hidden",
  "-fstack-protector-strong",
  "-D_FORTIFY_SOURCE=2",
  "-DNAPI_VERSION=8",
  "-Wl,-z,relro,-z,now",
  "-Wl,--as-needed",
];
const programFlags = [
  ...warnings,
  "-O2",
  "-fPIE",
  "-pie",
  "-fstack-protector-strong",
  "-D_FORTIFY_SOURCE=2",
  "-Wl,-z,relro,-z,now",
];
// The sanitizers keep their own state per thread, which a child that shares the parent's memory
// would corrupt: the test programs therefore exercise the `copied` mode only.
const testFlags = (sanitizers) => [
  ...warnings,
  "-O1",
  "-g",
  "-pthread",
  `-fsanitize=${sanitizers}`,
  "-fno-sanitize-recover=all",
  "-fno-omit-frame-pointer",
];

/** Ends the build with one sentence on stderr: what is missing and what to do. */
function fail(message) {
  process.stderr.write(`build-native: ${message}\n`);
  process.exit(1);
}

function filesOf(directory, extension) {
  return readdirSync(directory)
    .filter((name) => name.endsWith(extension))
    .sort()
    .map((name) => join(directory, name));
}

function compilerVersion() {
  try {
    return execFileSync(compiler, ["--version"], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    }).split("\n")[0];
  } catch (error) {
    return fail(
      `no C compiler: cannot run "${compiler}" (${error.code ?? error.message}). ` +
        "Install one (Debian: apt install gcc libc6-dev; Alpine: apk add build-base) or name one in the environment variable CC.",
    );
  }
}

function headerDirectory() {
  try {
    return createRequire(join(root, "package.json"))("node-api-headers").include_dir;
  } catch {
    return fail('the npm package "node-api-headers" is not installed: run "pnpm install" first.');
  }
}

/** Hash of everything the result depends on, so an unchanged tree is not compiled again. */
function contentHash(files, command) {
  const hash = createHash("sha256").update(JSON.stringify([command, process.arch]));
  for (const file of files)
    hash.update(`\0${file.slice(root.length)}\0`).update(readFileSync(file));
  return hash.digest("hex");
}

/**
 * Compiles to a temporary name and renames into place: a running Node that has the old file mapped
 * keeps it, and an interrupted build leaves no half-written addon.
 */
function compile(output, command, inputs) {
  const stamp = `${output}.hash`;
  const wanted = contentHash(inputs, command);
  if (existsSync(output) && existsSync(stamp) && readFileSync(stamp, "utf8") === wanted)
    return false;
  mkdirSync(buildDirectory, { recursive: true });
  const temporary = `${output}.${process.pid}.tmp`;
  const result = spawnSync(compiler, [...command, "-o", temporary], { stdio: "inherit" });
  if (result.status !== 0) {
    rmSync(temporary, { force: true });
    fail(
      `${compiler} failed for ${output} (${result.error?.message ?? `status ${result.status}`}); nothing was replaced.`,
    );
  }
  renameSync(temporary, output);
  writeFileSync(stamp, wanted);
  return true;
}

function buildAddon() {
  const version = compilerVersion();
  const headers = headerDirectory();
  const sources = filesOf(nativeDirectory, ".c");
  const output = join(buildDirectory, "emperor_linux.node");
  const command = [
    ...addonFlags,
    `-DADDON_COMPILER="${version.replaceAll(/[^\w .()+:-]/g, "")}"`,
    "-I",
    headers,
    ...sources,
  ];
  const built = compile(output, command, [...sources, ...filesOf(nativeDirectory, ".h")]);
  process.stdout.write(
    `build-native: linux/build/emperor_linux.node ${built ? `built with ${version}` : "is up to date"}\n`,
  );
}

/** Programs that the addon's users execute: one source each, with the name of the result. */
function buildPrograms() {
  for (const source of filesOf(join(nativeDirectory, "programs"), ".c")) {
    const name = basename(source, ".c");
    const built = compile(join(buildDirectory, name), [...programFlags, source], [source]);
    process.stdout.write(
      `build-native: linux/build/${name} ${built ? "built" : "is up to date"}\n`,
    );
  }
}

/** The test programs: what each is linked with (all of it free of Node-API) and under which sanitizers. */
const testPrograms = {
  "child-test": {
    sources: ["plan.c", "launch.c", "shared.c", "table.c", "child.c", "actions.c", "descriptors.c"],
    sanitizers: "address,undefined",
  },
  "watch-test": { sources: ["watch.c"], sanitizers: "thread" },
  "starts-test": { sources: ["starts.c"], sanitizers: "thread" },
};

/** Builds and runs every C test program; each prints `SKIP name [reason]` for what it cannot try, and its count as the last line. */
function runTests() {
  compilerVersion();
  let passed = 0;
  let failed = 0;
  let skipped = 0;
  for (const [name, { sources, sanitizers }] of Object.entries(testPrograms)) {
    const output = join(buildDirectory, name);
    const inputs = [
      join(testDirectory, `${name}.c`),
      ...sources.map((source) => join(nativeDirectory, source)),
    ];
    compile(
      output,
      [...testFlags(sanitizers), "-I", nativeDirectory, ...inputs],
      [...inputs, ...filesOf(testDirectory, ".h"), ...filesOf(nativeDirectory, ".h")],
    );
    const run = spawnSync(output, [], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "inherit"],
      timeout: 120_000,
      killSignal: "SIGKILL",
    });
    process.stdout.write(`${name} (${sanitizers})\n${run.stdout ?? ""}`);
    const summary = /(\d+) passed, (\d+) failed, (\d+) skipped\s*$/.exec(run.stdout ?? "");
    passed += Number(summary?.[1] ?? 0);
    failed += Number(summary?.[2] ?? 0);
    skipped += Number(summary?.[3] ?? 0);
    // A sanitizer's report or a crash ends the program without a summary or with a status of its own.
    if (summary === null || (run.status !== 0 && Number(summary[2]) === 0)) {
      process.stdout.write(
        `${name}: ended with ${run.signal ?? `status ${run.status}`} outside of its checks\n`,
      );
      failed += 1;
    }
  }
  process.stdout.write(`${passed} passed, ${failed} failed, ${skipped} skipped\n`);
  if (failed > 0 || passed === 0) process.exit(1);
}

buildAddon();
buildPrograms();
if (process.argv.includes("--test")) runTests();
