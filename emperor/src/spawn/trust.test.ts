/** Which configs are trusted, on real files of several users. */
import {
  chmodSync,
  chownSync,
  lchownSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect } from "vitest";
import { rootTest } from "../../../linux/test/privileges.ts";
import { inspectConfig, type Trust, type TrustRules } from "./trust.ts";

const ANN = 61_001;
const BOB = 61_002;
const RULES: TrustRules = { ownerOfLink: false, allowWritable: false, ownUid: 0 };
let root: string;

beforeEach(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), "trust-")));
  chmodSync(root, 0o755);
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function folder(name: string, owner: number, mode = 0o755): string {
  const path = join(root, name);
  mkdirSync(path);
  chmodSync(path, mode);
  chownSync(path, owner, owner);
  return path;
}

function file(path: string, owner: number, mode = 0o644): string {
  writeFileSync(path, "[uwsgi]\n");
  chmodSync(path, mode);
  chownSync(path, owner, owner);
  return path;
}

function link(target: string, path: string, owner: number): string {
  symlinkSync(target, path);
  lchownSync(path, owner, owner);
  return path;
}

function inspect(path: string, rules: Partial<TrustRules> = {}): Trust {
  return inspectConfig(path, { ...RULES, ...rules }, (text) => text);
}

function whyNot(path: string, rules: Partial<TrustRules> = {}): string {
  const trust = inspect(path, rules);
  return trust.ok ? `trusted as ${trust.uid}` : trust.why;
}

rootTest("a file of a user in a directory of root or of that user speaks for its owner", () => {
  expect(inspect(file(join(folder("etc", 0), "a.ini"), ANN))).toEqual({
    ...{ ok: true, uid: ANN, gid: ANN, looseDirectories: [] },
  });
  expect(inspect(file(join(folder("ann", ANN), "a.ini"), ANN))).toMatchObject({ uid: ANN });
});

rootTest("one that others may write does not", () => {
  const etc = folder("etc", 0);
  for (const mode of [0o664, 0o646, 0o622]) {
    const path = file(join(etc, `${mode}.ini`), ANN, mode);
    expect(whyNot(path)).toContain("may write it");
    expect(inspect(path, { allowWritable: true })).toMatchObject({ uid: ANN });
  }
});

rootTest("one in a directory of somebody else, or that others may write, does not", () => {
  const bobs = folder("bob", BOB);
  const path = file(join(bobs, "a.ini"), ANN);
  expect(whyNot(path)).toContain(`${bobs} belongs to user ${BOB}`);
  // That is not what the option is for.
  expect(whyNot(path, { allowWritable: true })).toContain(`belongs to user ${BOB}`);
  expect(inspect(path, { ownUid: BOB })).toMatchObject({ uid: ANN });
  for (const mode of [0o775, 0o757, 0o1777]) {
    const open = folder(`open-${mode}`, 0, mode);
    expect(whyNot(file(join(open, "a.ini"), ANN))).toContain("may put files there");
    expect(inspect(join(open, "a.ini"), { allowWritable: true })).toMatchObject({ uid: ANN });
  }
});

rootTest("what lies above counts too: owned by another it is refused, loose it is told", () => {
  mkdirSync(join(folder("bob", BOB), "ann"));
  chownSync(join(root, "bob/ann"), ANN, ANN);
  expect(whyNot(file(join(root, "bob/ann/a.ini"), ANN))).toContain(`belongs to user ${BOB}`);
  const loose = folder("loose", 0, 0o777);
  mkdirSync(join(loose, "inner"));
  expect(inspect(file(join(loose, "inner/a.ini"), ANN))).toMatchObject({
    ...{ ok: true, looseDirectories: [loose] },
  });
});

rootTest("a hard link to a file of somebody else gives nothing", () => {
  const etc = folder("etc", 0);
  linkSync(file(join(folder("ann", ANN), "a.ini"), ANN), join(etc, "b.ini"));
  expect(whyNot(join(etc, "b.ini"))).toContain("2 names");
  expect(whyNot(join(etc, "b.ini"), { allowWritable: true })).toContain("2 names");
});

rootTest("a link of one user to the file of another gives nothing, whoever's owner counts", () => {
  const etc = folder("etc", 0);
  const ann = file(join(folder("ann", ANN), "a.ini"), ANN);
  const path = link(ann, join(etc, "l.ini"), BOB);
  expect(whyNot(path)).toContain(`symbolic link ${path} belongs to user ${BOB}`);
  expect(whyNot(path, { ownerOfLink: true })).toContain(`file ${ann} belongs to user ${ANN}`);
});

rootTest("links of root, or to a file of root, are the administrator's way", () => {
  const etc = folder("etc", 0);
  const ann = file(join(folder("ann", ANN), "a.ini"), ANN);
  expect(inspect(link(ann, join(etc, "roots.ini"), 0))).toMatchObject({ uid: ANN });
  const skeleton = file(join(etc, "app.skel"), 0);
  const anns = link(skeleton, join(etc, "anns.ini"), ANN);
  expect(inspect(anns, { ownerOfLink: true })).toMatchObject({ uid: ANN });
  // Its target's owner is root, whom Tyrant mode refuses: but the link may not choose that either.
  expect(whyNot(anns)).toContain(`belongs to user ${ANN}`);
});

rootTest("a directory that is a link to another's is found out, also through ..", () => {
  const anns = folder("ann", ANN);
  file(join(anns, "a.ini"), ANN);
  const bobs = folder("bob", BOB);
  link(anns, join(bobs, "vassals"), BOB);
  expect(whyNot(join(bobs, "vassals/a.ini"))).toContain(`belongs to user ${BOB}`);
  const etc = folder("etc", 0);
  link("../bob/vassals/../ann/a.ini", join(etc, "dots.ini"), 0);
  expect(whyNot(join(etc, "dots.ini"))).toContain(`belongs to user ${BOB}`);
});

rootTest("a file that was swapped for a link after it was seen is no longer what it was", () => {
  const bobs = folder("bob", BOB);
  const path = file(join(bobs, "b.ini"), BOB);
  expect(inspect(path)).toMatchObject({ uid: BOB });
  renameSync(path, join(bobs, "away"));
  link(file(join(folder("ann", ANN), "a.ini"), ANN), path, BOB);
  expect(whyNot(path)).toContain("symbolic link");
});

rootTest("a circle of links and a config that is gone are errors of the system", () => {
  const etc = folder("etc", 0);
  link(join(etc, "b.ini"), join(etc, "a.ini"), 0);
  link(join(etc, "a.ini"), join(etc, "b.ini"), 0);
  expect(() => inspect(join(etc, "a.ini"))).toThrow("ELOOP");
  expect(() => inspect(join(etc, "none.ini"))).toThrow("ENOENT");
  mkdirSync(join(etc, "folder.ini"));
  expect(whyNot(join(etc, "folder.ini"))).toContain("is not a regular file");
});
