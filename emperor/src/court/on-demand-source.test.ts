import type { VassalSpec } from "@emperor/monitors";
import { expect, test } from "vitest";
import { OnDemandSource, type AddressAnswer } from "./on-demand-source.ts";

function spec(changes: Partial<VassalSpec> = {}): VassalSpec {
  return {
    name: "a.ini",
    monitor: "dir:/v",
    version: "1",
    modifiedAt: 0,
    cwd: "/v",
    path: "/v/a.ini",
    uid: 1000,
    attributes: {},
    ...changes,
  };
}

function source(
  settings: { readonly attribute?: string; readonly directory?: string } = {},
  asks = false,
) {
  const resolved: VassalSpec[] = [];
  const errors: string[] = [];
  const answers: ((answer: AddressAnswer) => void)[] = [];
  const later: { afterMs: number; act: () => void }[] = [];
  const it = new OnDemandSource({
    settings: { attribute: settings.attribute, directory: settings.directory },
    ask: asks ? () => new Promise((resolve) => answers.push(resolve)) : undefined,
    later: (afterMs, act) => {
      const entry = { afterMs, act };
      later.push(entry);
      return () => void later.splice(later.indexOf(entry), 1);
    },
    logError: (message) => void errors.push(message),
    resolved: (each) => void resolved.push(each),
  });
  const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  return { it, resolved, errors, answers, later, settle };
}

test("the first that yields an address counts: attribute, source, directory", () => {
  const all = { attribute: "wakes", directory: "/run/s" };
  const of = (changes: Partial<VassalSpec>): VassalSpec | undefined => {
    const { it, resolved } = source(all);
    it.resolve(spec(changes));
    return resolved[0];
  };
  expect(of({ attributes: { wakes: [":1", ":2"] }, socket: ":3" })).toMatchObject({
    socket: ":1\n:2",
    socketOwner: 1000,
  });
  expect(of({ socket: ":3", socketOwner: 7 })).toMatchObject({ socket: ":3", socketOwner: 7 });
  const made = of({ socket: " \n", socketOwner: 7 });
  expect(made).toMatchObject({ socket: "/run/s/a.socket" });
  // The administrator's word: it is no tenant's any more.
  expect(made).not.toHaveProperty("socketOwner");
});

test("what is in no file has no place in the directory", () => {
  const { it, resolved } = source({ directory: "/run/s" });
  const { path: _path, ...row } = spec();
  it.resolve(row);
  expect(resolved).toEqual([row]);
});

test("a command answers later; a newer spec takes the place of the older one", async () => {
  const { it, resolved, answers, settle } = source({}, true);
  it.resolve(spec());
  expect([...it.namesOf("dir:/v")]).toEqual(["a.ini"]);
  it.resolve(spec({ version: "2" }));
  answers[0]?.({ ok: true, text: ":1" });
  await settle();
  expect(resolved).toEqual([]);
  answers[1]?.({ ok: true, text: " :2\n" });
  await settle();
  expect(resolved).toMatchObject([{ version: "2", socket: ":2" }]);
  expect([...it.namesOf("dir:/v")]).toEqual([]);
});

test("a command that fails is asked again, later each time, and the vassal is left as it is", async () => {
  const { it, resolved, errors, answers, later, settle } = source({}, true);
  it.resolve(spec());
  for (const [index, afterMs] of [1000, 2000, 4000].entries()) {
    answers[index]?.({ ok: false, problem: "it failed" });
    await settle();
    expect(later.map((entry) => entry.afterMs)).toEqual([afterMs]);
    later.shift()?.act();
  }
  expect(errors).toHaveLength(3);
  answers[3]?.({ ok: true, text: "" });
  await settle();
  expect(resolved).toMatchObject([{ socket: "" }]);
});

test("nobody is resolved who is gone, and nobody at the end", async () => {
  const { it, resolved, answers, later, settle } = source({}, true);
  it.resolve(spec());
  it.drop("dir:/v", "a.ini");
  it.resolve(spec({ name: "b.ini" }));
  answers[1]?.({ ok: false, problem: "it failed" });
  await settle();
  it.close();
  answers[0]?.({ ok: true, text: ":1" });
  await settle();
  expect([resolved, later]).toEqual([[], []]);
});
