import { expect, it } from "vitest";
import { HarakiriBoard } from "./harakiri-board.ts";

it("names the oldest request that is overdue, as a second thread sees it", () => {
  const writer = new HarakiriBoard();
  const reader = new HarakiriBoard(writer.memory);
  expect(reader.inspect(1000, 5000)).toEqual({ lookAgainInMs: 5000 });
  const first = writer.begin(1000, "GET", "/first");
  writer.begin(2000, "POST", "/second");
  expect(reader.inspect(3000, 5000)).toEqual({ lookAgainInMs: 3000 });
  expect(reader.inspect(6500, 5000)).toEqual({ text: "GET /first", ageMs: 5500 });
  writer.end(first);
  expect(reader.inspect(6500, 5000)).toEqual({ lookAgainInMs: 500 });
  expect(reader.inspect(7000, 5000)).toEqual({ text: "POST /second", ageMs: 5000 });
});

it("cuts long paths and leaves requests unwatched when it is full", () => {
  const board = new HarakiriBoard();
  const long = board.begin(1, "GET", `/${"x".repeat(5000)}`);
  const found = board.inspect(100, 10);
  expect("text" in found ? found.text.length : 0).toBe(246);
  board.end(long);
  const slots = Array.from({ length: 1100 }, (_, i) => board.begin(10 + i, "GET", `/${i}`));
  expect(slots.filter((slot) => slot === -1)).toHaveLength(76);
  expect(board.inspect(5000, 1000)).toMatchObject({ text: "GET /0" });
  for (const slot of slots) board.end(slot);
  expect(board.inspect(5000, 1000)).toEqual({ lookAgainInMs: 1000 });
});
