import { defineConfig } from "vitest/config";

// Packages resolve to their TypeScript sources (condition "source"), so no test runs a stale dist.
const resolve = { conditions: ["source"] };
// Vitest's own second is over soon on a machine with other work.
const expect = { poll: { timeout: 30_000, interval: 25 } };
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
          expect,
          include: ["{protocol,config,linux,monitors,emperor,vassal-runtime}/src/**/*.test.ts"],
          // It bounds a failure, also on a machine with other work; nothing is measured by it.
          testTimeout: 60_000,
        },
      },
      {
        resolve,
        ssr,
        test: {
          name: "scripts",
          expect,
          include: ["test/scripts/**/*.test.ts"],
          testTimeout: 60_000,
        },
      },
      {
        resolve,
        ssr,
        test: {
          name: "simulation",
          expect,
          include: ["test/simulation/**/*.test.ts"],
          testTimeout: 300_000,
        },
      },
      {
        resolve,
        ssr,
        test: {
          name: "integration",
          expect,
          include: ["test/integration/**/*.test.ts"],
          globalSetup: ["test/harness/global-setup.ts"],
          testTimeout: 180_000,
          hookTimeout: 120_000,
          fileParallelism: true,
          maxWorkers: 2,
        },
      },
    ],
  },
});
