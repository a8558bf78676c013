import { expect, test } from "vitest";
import { mayEnter, maySee } from "./rights.ts";

const PLAIN = { tyrant: false, ownUid: 500 };
const TYRANT = { tyrant: true, ownUid: 0 };

test.each([
  [0, PLAIN, true, true],
  [500, PLAIN, true, true],
  [1000, PLAIN, false, false],
  [0, TYRANT, true, true],
  [1000, TYRANT, true, true],
  [1001, TYRANT, true, false],
])("user %i at %j: enter %s, a vassal of user 1000 %s", (uid, policy, enters, sees) => {
  expect(mayEnter({ uid }, policy)).toBe(enters);
  expect(maySee({ uid }, 1000, policy)).toBe(sees);
});

test("a vassal without an owner is for administrators", () => {
  expect(maySee({ uid: 1000 }, undefined, TYRANT)).toBe(false);
  expect(maySee({ uid: 0 }, undefined, TYRANT)).toBe(true);
});
