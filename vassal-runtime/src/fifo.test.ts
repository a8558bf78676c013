import { expect, it } from "vitest";
import { FIFO_COMMANDS } from "./fifo.ts";

it("knows all of uWSGI's commands, and what each asks for", () => {
  const asked: string[] = [];
  const note =
    (name: string) =>
    (argument?: unknown): void =>
      void asked.push(argument === undefined ? name : `${name} ${JSON.stringify(argument)}`);
  const target = {
    controls: {
      reload: note("reload"),
      brutalReload: note("brutalReload"),
      stop: note("stop"),
      reloadWorkers: note("reloadWorkers"),
      chainReload: note("chainReload"),
      changeWorkers: note("changeWorkers"),
      goCheap: note("goCheap"),
      pause: note("pause"),
    },
    reinforcements: note("reinforcements"),
    toggleSubscriptions: note("toggleSubscriptions"),
    logStatistics: note("logStatistics"),
    reopenLogs: note("reopenLogs"),
    rotateLogs: note("rotateLogs"),
    rewritePidfiles: note("rewritePidfiles"),
  };
  const refused: string[] = [];
  for (const [character, order] of FIFO_COMMANDS) {
    if (typeof order === "string") refused.push(character);
    else order(target);
  }
  expect(asked).toEqual([
    "changeWorkers 1",
    "changeWorkers -1",
    "reinforcements",
    "chainReload",
    "goCheap",
    "stop true",
    "stop false",
    "reload",
    "brutalReload",
    "logStatistics",
    "reloadWorkers true",
    "reloadWorkers false",
    "reopenLogs",
    "rotateLogs",
    "pause",
    "rewritePidfiles",
    "toggleSubscriptions",
  ]);
  expect(refused).toEqual(["E", "f"]);
});
