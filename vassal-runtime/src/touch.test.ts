import { expect, it } from "vitest";
import { TouchWatch } from "./touch.ts";

it("tells what was touched, created and replaced, each change once; vanishing is none", () => {
  const files = new Map([["a", "1"]]);
  const watch = new TouchWatch(["a", "b"], (path) => files.get(path));
  expect(watch.changed()).toEqual([]);
  files.set("a", "2").set("b", "1");
  expect(watch.changed()).toEqual(["a", "b"]);
  expect(watch.changed()).toEqual([]);
  files.delete("a");
  expect(watch.changed()).toEqual([]);
  files.set("a", "2"); // the same file is back
  expect(watch.changed()).toEqual([]);
  files.delete("a");
  watch.changed();
  files.set("a", "3");
  expect(watch.changed()).toEqual(["a"]);
});

it("goes on where an earlier watch ended", () => {
  const files = new Map([["a", "1"]]);
  const seen = new Map<string, string | undefined>();
  const look = (path: string): string | undefined => files.get(path);
  expect(new TouchWatch(["a"], look, seen).changed()).toEqual([]);
  files.set("a", "2").set("b", "1");
  expect(new TouchWatch(["a", "b"], look, seen).changed()).toEqual(["a"]);
});
