import { connect } from "node:net";
import { once } from "node:events";
import { expect, it } from "vitest";
import { WorkerBoard } from "./worker-board.ts";

const HELLO = '{"number":1,"pid":77}\n';
const GOOD = JSON.stringify({
  requests: 3,
  running: 1,
  failures: 0,
  runningTimeUs: 5,
  averageUs: 2,
  sentBytes: 9,
});

it("seats workers, believes only numbers, and keeps the seat for the next one", async () => {
  const board = new WorkerBoard(2);
  await board.open();
  expect(await board.ask()).toMatchObject([
    { id: 1, pid: 0, accepting: false, respawns: 0 },
    { id: 2, pid: 0 },
  ]);
  const worker = connect({ path: `\0${board.name}` });
  await once(worker, "connect");
  worker.write(`nonsense\n{"number":-1,"pid":1}\n{"number":1e9,"pid":1}\n${HELLO}`);
  worker.on("data", () => worker.write(`{"requests":"many"}\n${GOOD}\n`));
  await expect
    .poll(async () => board.ask())
    .toMatchObject([
      { id: 1, pid: 77, accepting: true, silent: false, totals: { requests: 3, running: 1 } },
      { id: 2, pid: 0 },
    ]);
  const successor = connect({ path: `\0${board.name}` });
  successor.write('{"number":1,"pid":78}\n');
  await expect
    .poll(async () => board.ask())
    .toMatchObject([{ pid: 78, respawns: 1, accepting: true }, { id: 2 }]);
  worker.destroy();
  successor.destroy();
  await expect
    .poll(async () => board.ask())
    .toMatchObject([{ pid: 0, accepting: false }, { id: 2 }]);
  const next = connect({ path: `\0${board.name}` });
  next.write(HELLO);
  await expect
    .poll(async () => board.ask())
    .toMatchObject([{ id: 1, respawns: 2, silent: true, totals: undefined }, { id: 2 }]);
  next.destroy();
});
