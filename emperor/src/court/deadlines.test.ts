import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Deadlines, type Timed } from "./deadlines.ts";

interface Member extends Timed {
  readonly id: number;
}

function members(count: number): Member[] {
  return Array.from({ length: count }, (_, id) => ({ id, deadlineAt: 0, heapIndex: -1 }));
}

describe("Deadlines", () => {
  test("behaves as a sorted map from member to deadline, whatever is set, moved and dropped", () => {
    const operation = fc.tuple(fc.nat(9), fc.option(fc.nat(100), { nil: undefined }));
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 60 }), fc.nat(100), (operations, now) => {
        const heap = new Deadlines<Member>();
        const all = members(10);
        const model = new Map<number, number>();
        for (const [index, at] of operations) {
          const member = all[index];
          if (member === undefined) throw new Error("model out of range");
          heap.set(member, at);
          if (at === undefined) model.delete(index);
          else model.set(index, at);
          expect(heap.size).toBe(model.size);
          expect(heap.next).toBe(model.size === 0 ? undefined : Math.min(...model.values()));
        }
        const due = heap.takeDue(now);
        const expected = [...model.entries()].filter(([, at]) => at <= now).map(([id]) => id);
        expect(due.map((member) => member.id).toSorted()).toEqual(expected.toSorted());
        expect(due.map((member) => member.deadlineAt)).toEqual(
          due.map((member) => member.deadlineAt).toSorted((a, b) => a - b),
        );
        expect(due.every((member) => member.heapIndex === -1)).toBe(true);
        expect(heap.size).toBe(model.size - expected.length);
      }),
    );
  });
});
