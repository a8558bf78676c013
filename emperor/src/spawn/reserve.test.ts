import * as linux from "@emperor/linux";
import { expect, test } from "vitest";
import type { Machine } from "./machine.ts";
import { RESERVED_DESCRIPTORS, withReserve } from "./reserve.ts";

/** The real calls, with channels whose numbers the test chooses. */
function machineWith(numbers: readonly [number, number]): { machine: Machine; closed: number[] } {
  const closed: number[] = [];
  const machine: Machine = {
    ...linux,
    socketpair: () => [...numbers],
    close: (fd) => void closed.push(fd),
  };
  return { machine, closed };
}

test("a channel that leaves enough descriptors is given", () => {
  const { machine, closed } = machineWith([40, 41]);
  const limit = 42 + RESERVED_DESCRIPTORS;
  expect(withReserve(machine, limit).socketpair({ type: "stream" })).toEqual([40, 41]);
  expect(closed).toEqual([]);
});

test("one that reaches into the reserve is refused as if there were none, and given back", () => {
  const { machine, closed } = machineWith([41, 42]);
  const limit = 42 + RESERVED_DESCRIPTORS;
  expect(() => withReserve(machine, limit).socketpair({ type: "stream" })).toThrowError(
    expect.objectContaining({ code: "EMFILE" }),
  );
  expect(closed).toEqual([41, 42]);
});
