import { expect, it } from "vitest";
import { processTitle } from "./titles.ts";

const NONE = {
  procname: undefined,
  procnameMaster: undefined,
  prefix: "",
  append: "",
  auto: false,
};

it("leaves processes alone unless it is asked", () => {
  expect(processTitle(NONE, "master", "node")).toBeUndefined();
});

it("names by role", () => {
  const auto = { ...NONE, auto: true, prefix: "shop " };
  expect(processTitle(auto, "single", "node")).toBe("shop vassal");
  expect(processTitle(auto, "master", "node")).toBe("shop vassal master");
  expect(processTitle(auto, { worker: 2 }, "node")).toBe("shop vassal worker 2");
  const named = { ...NONE, procname: "shop", procnameMaster: "boss", append: " (x)" };
  expect(processTitle(named, "master", "node")).toBe("boss (x)");
  expect(processTitle(named, { worker: 1 }, "node")).toBe("shop (x)");
  expect(processTitle({ ...NONE, append: "!" }, "single", "node")).toBe("node!");
});
