/**
 * `make check`: what should be green before every commit, in about a minute. `make test` is the
 * whole; this leaves out real processes and most of the simulation's seeds.
 */
import { Steps } from "./ci-steps.mjs";

const steps = new Steps();
await steps.command("format", "oxfmt", ["--check", "."]);
await steps.command("native addon", "node", ["scripts/build-native.mjs"], { required: true });
await steps.command("compile", "tsc", ["-b"], { required: true });
await steps.command("bundle", "node", ["scripts/bundle.mjs"], { required: true });
// After the compilation: type-aware rules want the packages' declarations.
await steps.command("lint", "oxlint", ["--type-aware"]);
await steps.command("types of the tests", "tsc", ["-p", "test/tsconfig.json"]);
if (!process.argv.includes("--static")) {
  await steps.vitest("unit");
  await steps.vitest("scripts");
  await steps.vitest("simulation", { env: { SIM_SEEDS: process.env["SIM_SEEDS"] ?? "50" } });
}
steps.finish();
