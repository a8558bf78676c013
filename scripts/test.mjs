/**
 * `make test`: every test there is, in under ten minutes on two cores. `--node-only` runs the part
 * that depends on the version of Node (unit and integration) and expects everything to be built.
 */
import { Steps } from "./ci-steps.mjs";

const steps = new Steps();
if (process.argv.includes("--node-only")) {
  await steps.vitest("unit");
  await steps.vitest("integration");
} else {
  await steps.command("native addon", "node", ["scripts/build-native.mjs"], { required: true });
  await steps.command("compile", "tsc", ["-b"], { required: true });
  await steps.command("bundle", "node", ["scripts/bundle.mjs"], { required: true });
  await steps.vitest("unit");
  await steps.vitest("scripts");
  await steps.command("native, under sanitizers", "node", ["scripts/build-native.mjs", "--test"]);
  await steps.vitest("simulation", { env: { SIM_SEEDS: process.env["SIM_SEEDS"] ?? "500" } });
  await steps.vitest("integration");
}
steps.finish();
