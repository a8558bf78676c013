/** `ienv`, `early-envdir`, `resolve`, `strict-placeholders`. */
import { describe, expect, it } from "vitest";
import { iniList, load } from "./testing/fake-host.ts";

const DIRECTORY = {
  "vars/FOO": "hello  \nworld \n",
  "vars/NUL": "a\0b\n",
  "vars/GONE": "",
  "vars/LINE": "\n",
  "vars/.HIDDEN": "x",
  "vars/below/DEEP": "x",
};

describe("early-envdir", () => {
  it("counts for what comes after it and for all placeholders of variables", async () => {
    const text =
      "[uwsgi]\nbefore = [$(NUL)]\nearly-envdir = vars\nall = $(FOO)|$(LINE)|$(.HIDDEN)|$(below)|$(GONE)\nif-env = NUL\ngot = %(_)\nendif =\n";
    expect(await iniList(text, { files: DIRECTORY, environment: { GONE: "old" } })).toEqual([
      "before = [a]",
      "early-envdir = vars",
      "all = hello  \nworld||$(.HIDDEN)|$(below)|$(GONE)",
      "if-env = NUL",
      "got = a",
      "endif = ",
    ]);
  });

  it("is told to the program, in order, with what is removed", async () => {
    const text = "[uwsgi]\nienv = A=1=2\nearly-envdir = vars\n";
    const files = { "app.ini": text, ...DIRECTORY };
    const { environmentChanges, errors } = await load({ files });
    expect(errors).toEqual([]);
    expect(environmentChanges).toEqual([
      { name: "A", value: "1=2" },
      { name: "FOO", value: "hello  \nworld" },
      { name: "GONE", value: undefined },
      { name: "LINE", value: "" },
      { name: "NUL", value: "a" },
    ]);
  });

  it.each([
    ["early-envdir = none", /app\.ini:2: .*"none": it does not exist/],
    ["early-envdir = app.ini", /app\.ini:2: .*it is no directory/],
    ["early-envdir = bad", /app\.ini:2: .*"A=B" is no variable's name/],
    ["early-envdir = big", /app\.ini:2: .*"big\/X" has over 100 bytes/],
  ])("%s is an error with its line", async (line, message) => {
    const files = { "bad/A=B": "x", "big/X": "x".repeat(101) };
    const [error] = await iniList(`[uwsgi]\n${line}\n`, { files, limits: { fileBytes: 100 } });
    expect(error).toMatch(message);
  });
});

describe("ienv", () => {
  it("is seen by conditions and variables, whatever its name", async () => {
    const text =
      "[uwsgi]\nienv = __proto__=odd\nienv = EMPTY=\nif-env = __proto__=odd\na = $(__proto__)[$(EMPTY)]\nendif =\n";
    expect((await iniList(text)).filter((line) => line.startsWith("a "))).toEqual(["a = odd[]"]);
  });

  it.each(["ienv = A", "ienv = =x", "ienv ="])("%s is an error", async (line) => {
    expect(await iniList(`[uwsgi]\n${line}\n`)).toMatchObject([
      expect.stringMatching(/^bad-directive: .*app\.ini:2: ienv needs NAME=VALUE/),
    ]);
  });
});

describe("resolve", () => {
  const resolveName = async (name: string): Promise<string> => {
    if (name !== "db.example") throw new Error("no such host");
    return "192.0.2.7";
  };

  it("lists the address as a pair behind it", async () => {
    expect(
      await iniList("[uwsgi]\nresolve = ip=db.example\na = %(ip):80\n", { resolveName }),
    ).toEqual(["resolve = ip=db.example", "ip = 192.0.2.7", "a = 192.0.2.7:80"]);
  });

  it.each([
    [
      "resolve = ip=nowhere",
      /^unreadable: .*app\.ini:2: unable to resolve the name "nowhere": no such host/,
    ],
    ["resolve = nowhere", /^bad-directive: .*app\.ini:2: /],
  ])("%s is an error", async (line, message) => {
    expect(await iniList(`[uwsgi]\n${line}\n`, { resolveName })).toMatchObject([
      expect.stringMatching(message),
    ]);
  });
});

describe("strict-placeholders", () => {
  it("makes every unresolved placeholder and variable an error, before it too", async () => {
    const text =
      "[uwsgi]\na = %(none)\nprocesses = $(NONE)\nb = %(a_%(x))\nx = 1\nlog-format = %(addr)\nstrict-placeholders\n";
    expect(await iniList(text)).toEqual([
      'unresolved-placeholder: /etc/vassals/app.ini:3: [strict-placeholders] $(NONE) in "processes": there is no such environment variable',
      'unresolved-placeholder: /etc/vassals/app.ini:2: [strict-placeholders] %(none) in "a": there is no such placeholder',
      'unresolved-placeholder: /etc/vassals/app.ini:4: [strict-placeholders] %(a_1) in "b": there is no such placeholder',
    ]);
  });

  it("lets through what is resolved, and can be off", async () => {
    const good = "[uwsgi]\nstrict-placeholders\nx = 1\na = %(x) $(A)\n";
    expect(await iniList(good, { environment: { A: "2" } })).toContain("a = 1 2");
    expect(await iniList("[uwsgi]\nstrict-placeholders = false\na = %(none)\n")).toContain(
      "a = %(none)",
    );
  });
});
