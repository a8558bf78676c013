import { expect, test } from "vitest";
import { COMMANDS, helpText, parseArguments } from "./arguments.ts";
import { completionsFor, SHELLS } from "./completions.ts";

test("names, switches and values in any order", () => {
  expect(
    parseArguments(["-w", "reload", "a.ini", "--timeout=5", "b.ini", "-s", "/c"]),
  ).toMatchObject({
    kind: "run",
    invocation: {
      command: "reload",
      names: ["a.ini", "b.ini"],
      wait: true,
      timeout: "5",
      socket: "/c",
    },
  });
  expect(parseArguments(["show", "--", "-odd.ini"])).toMatchObject({
    invocation: { names: ["-odd.ini"] },
  });
  expect(parseArguments(["--help", "nonsense"])).toEqual({ kind: "help" });
});

test.each([
  [[], /command is missing/],
  [["nonsense"], /no command "nonsense"/],
  [["constructor"], /no command/],
  [["list", "a"], /takes no name/],
  [["show"], /exactly one name/],
  [["show", "a", "b"], /exactly one name/],
  [["stop"], /needs a name, or --all/],
  [["stop", "a", "--all"], /names, or --all/],
  [["list", "--all"], /has no --all/],
  [["list", "--nope"], /no option --nope/],
  [["list", "--json=1"], /no option --json=1/],
  [["list", "--socket"], /--socket needs a value/],
  [["stop", "a", "--timeout", "soon"], /number of seconds/],
  [["stop", "a", "--concurrency", "0"], /1 to 32/],
])("%j is wrong use", (argv, why) => {
  const parsed = parseArguments(argv);
  expect(parsed.kind === "wrong" ? parsed.problem : parsed.kind).toMatch(why);
});

test("help and completions know every command", () => {
  for (const text of [helpText("/run/x"), ...SHELLS.map((shell) => completionsFor(shell) ?? "")])
    for (const command of Object.keys(COMMANDS)) expect(text).toContain(command);
  expect(completionsFor("tcsh")).toBeUndefined();
});
