import { defineConfig } from "vitest/config";

// Packages resolve to their TypeScript sources (condition "source"), so no test runs a stale dist.
const resolve = { conditions: ["source"] };
const ssr = { resolve: { conditions: ["source"] } };

export default defineConfig({
  resolve,
  ssr,
  test: {
    projects: [
      {
        resolve,
        ssr,
        test: {
          name: "unit",
          include: ["{protocol,config,linux,monitors,emperor,vassal-runtime}/src/**/*.test.ts"],
        },
      },
      { resolve, ssr, test: { name: "scripts", include: ["test/scripts/**/*.test.ts"] } },
      {
        resolve,
        ssr,
        test: {
          name: "simulation",
          include: ["test/simulation/**/*.test.ts"],
          testTimeout: 300_000,
        },
      },
      {
        resolve,
        ssr,
        test: {
          name: "integration",
          include: ["test/integration/**/*.test.ts"],
          globalSetup: ["test/harness/global-setup.ts"],
          testTimeout: 60_000,
          hookTimeout: 60_000,
          fileParallelism: true,
          maxWorkers: 2,
        },
      },
    ],
  },
});
