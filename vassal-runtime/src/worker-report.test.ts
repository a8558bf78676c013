import { expect, it } from "vitest";
import { WorkerMessageReader, encodeWorkerMessage } from "./worker-report.ts";
import type { WorkerMessage } from "./worker-report.ts";

const MESSAGES: readonly WorkerMessage[] = [
  { type: "report", requests: 3, running: 1, load: 0.25 },
  { type: "retire", reason: "it is old" },
];

it("is read back, cut at every byte", () => {
  const text = MESSAGES.map(encodeWorkerMessage).join("");
  for (let cut = 0; cut <= text.length; cut++) {
    const reader = new WorkerMessageReader();
    expect([...reader.read(text.slice(0, cut)), ...reader.read(text.slice(cut))]).toEqual(MESSAGES);
  }
});

it.each([
  "rubbish\n",
  "null\n",
  "{}\n",
  '{"type":"report","requests":"1"}\n',
  '{"type":"retire"}\n',
])("ignores %j", (text) => {
  const reader = new WorkerMessageReader();
  expect(reader.read(text)).toEqual([]);
  expect(reader.read("x".repeat(100_000))).toEqual([]);
});
