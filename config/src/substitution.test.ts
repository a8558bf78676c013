/** Magic variables, `$(...)`, `@(...)`, `%(...)` and expressions. */
import { describe, expect, it } from "vitest";
import { evaluate } from "./expression.ts";
import { pathHash } from "./magic-variables.ts";
import { environmentValue, substitute } from "./substitution.ts";
import { iniList, listOf, load } from "./testing/fake-host.ts";

describe("magic variables", () => {
  it("are the file's, in lower case", async () => {
    const text = "[uwsgi]\nall = %o|%p|%s|%d|%e|%n|%c|%x|%i|%0|%1|%2|%9\n";
    expect(await iniList(text)).toEqual([
      "all = app.ini|/etc/vassals/app.ini|app.ini|/etc/vassals/|ini|app|vassals||4711|etc|vassals||",
    ]);
    expect(
      await iniList("", {
        argv: ["--ini", "a.b.ini:zerg"],
        files: { "a.b.ini": "[zerg]\nall = %o %n %e %x\n" },
      }),
    ).toEqual(["all = a.b.ini a.b ini zerg"]);
  });

  it("are the machine's", async () => {
    expect(await iniList("[uwsgi]\nall = %v|%h|%V|%t|%T|%k|%u|%U|%g|%G|%b|%%|%[x\n")).toEqual([
      "all = /etc/vassals|box|2.0.21|1795000000|1795000000123456|2|33|www-data|34|web|/usr/bin/emperor|%|\u001bx",
    ]);
  });

  it("hash the path as uWSGI 2.0.21 does", () => {
    expect(pathHash("/tmp/tmp.XhwjyhlEVq/real/dir/b.x.ini")).toBe("274CDCA7");
    expect(pathHash("/tmp/tmp.XhwjyhlEVq/l.ini")).toBe("DAA1949B");
  });

  it("are the vassal's own file in upper case, in templates read before it too", async () => {
    const files = { "app.ini": "[uwsgi]\nown = %N\n", "base.ini": "[uwsgi]\nbase = %n %N %S\n" };
    expect(
      await iniList(files["app.ini"], {
        files,
        argv: ["--include", "base.ini", "--ini", "app.ini"],
      }),
    ).toEqual(["include = base.ini", "base = base app app.ini", "own = app"]);
    expect(
      await iniList(files["app.ini"], { files, argv: ["app.ini", "--include", "base.ini"] }),
    ).toEqual(["include = base.ini", "base = base app app.ini", "own = app"]);
  });

  it("have a name for a pushed config", async () => {
    const result = await load({
      argv: ["--ini", "emperor://shop.ini"],
      schemes: { emperor: () => new TextEncoder().encode("[uwsgi]\na = %n %s %d %o\n") },
    });
    expect(listOf(result)).toEqual(["a = shop shop.ini /etc/vassals/ emperor://shop.ini"]);
  });

  it("are empty for standard input", async () => {
    expect(
      await iniList("", { argv: ["--ini", "-"], stdin: "[uwsgi]\na = [%o][%n][%p][%d]\n" }),
    ).toEqual(["a = [-][][][]"]);
  });

  it("without a meaning are removed and reported with their line", async () => {
    const result = await load({
      files: { "app.ini": "[uwsgi]\na = 100%, %zx\nb = 100%\nc = 1\n; %q\n" },
    });
    expect(listOf(result)).toEqual(["a = 100 x", "b = 100", "c = 1"]);
    expect(
      result.warnings
        .filter(({ code }) => code === "unknown-magic")
        .map(({ origin, message }) => [origin?.line, message.includes('"%z"')]),
    ).toEqual([
      [2, false],
      [2, true],
      [3, false],
    ]);
  });

  it("are reported with their line in yaml, where the whole text is replaced at once", async () => {
    const result = await load({
      argv: ["--yaml", "a.yaml"],
      files: { "a.yaml": "uwsgi:\n  a: 1\n  b: x%z\n  c: y%z\n" },
    });
    expect(
      result.warnings
        .filter(({ code }) => code === "unknown-magic")
        .map(({ origin }) => origin?.line),
    ).toEqual([3, 4]);
  });

  it("are replaced in keys and section headers, but not in values of the environment or the command line", async () => {
    expect(
      await iniList("[%n]\n", {
        argv: ["--ini", "uwsgi.ini", "--set", "a=%n"],
        files: { "uwsgi.ini": "[%n]\nk%e=1\n" },
        environment: { UWSGI_B: "%n" },
      }),
    ).toEqual(["b = %n", "kini = 1", "set = a=%n", "a = %n"]);
  });

  it("cannot bring another line into a file", async () => {
    const result = await load({
      argv: ["--ini", "a\nmaster.ini"],
      files: { "a\nmaster.ini": "[uwsgi]\nx = 1\ny = %n\n" },
    });
    expect(result.errors).toMatchObject([{ code: "bad-directive", line: 3 }]);
  });
});

describe("placeholders", () => {
  it("do not depend on the order, and the first definition counts", async () => {
    expect(await iniList("[uwsgi]\na = %(b)/%(c)\nb = %(c)\nc = 1\nc = 2\n")).toEqual([
      "a = 1/1",
      "b = 1",
      "c = 1",
      "c = 2",
    ]);
  });

  it("resolve a value that begins with one, which uWSGI leaves when it is defined later", async () => {
    expect(await iniList("[uwsgi]\nz = %(y)\ny = %(x)\nx = 1\n")).toEqual([
      "z = 1",
      "y = 1",
      "x = 1",
    ]);
  });

  it("nest", async () => {
    expect(
      await iniList("[uwsgi]\na_x = found\nb = x\nc = %(a_%(b))\nd = 1%(a_%(nope))\n"),
    ).toEqual(["a_x = found", "b = x", "c = found", "d = 1%(a_%(nope))"]);
  });

  it("stay as written when nothing defines them, with a warning for options that count here", async () => {
    const result = await load({
      files: {
        "app.ini":
          "[uwsgi]\nemperor = /x/%(nope)/$(NOPE_X)\nlog-format = %(addr)\nfree = %(nope)\n",
      },
    });
    expect(listOf(result)).toEqual([
      "emperor = /x/%(nope)/$(NOPE_X)",
      "log-format = %(addr)",
      "free = %(nope)",
    ]);
    expect(
      result.warnings
        .filter(({ code }) => code === "unresolved-placeholder")
        .map(({ message }) => message),
    ).toEqual([
      '/etc/vassals/app.ini:2: $(NOPE_X) in "emperor" is not defined and stays as it is',
      '/etc/vassals/app.ini:2: %(nope) in "emperor" is not defined and stays as it is',
    ]);
  });

  it("in a circle are an error that names it, where uWSGI never ends", async () => {
    const result = await load({ files: { "app.ini": "[uwsgi]\na = y%(b)\nb = %(c)\nc = %(a)\n" } });
    expect(result.errors).toMatchObject([{ code: "placeholder-cycle", line: 2 }]);
    expect(result.errors[0]?.message).toContain(
      '"a" (/etc/vassals/app.ini:2) needs "b" (/etc/vassals/app.ini:3) needs "c" (/etc/vassals/app.ini:4)',
    );
  });

  it("may use an earlier value of their own key", async () => {
    expect(await iniList("[uwsgi]\nhome = /base\nhome = %(home)/x\n")).toEqual([
      "home = /base",
      "home = /base/x",
    ]);
  });

  it("may not grow without bound", async () => {
    const text = Array.from(
      { length: 60 },
      (_, level) => `a${level + 1} = %(a${level})%(a${level})`,
    ).join("\n");
    expect(await iniList(`[uwsgi]\na0 = xxxxxxxx\n${text}\n`)).toEqual([
      expect.stringMatching(/^too-large: .*app.ini:\d+/),
    ]);
  });

  it("are not protected by %%", async () => {
    expect(await iniList("[uwsgi]\nx = 1\na = %%(x)\n")).toEqual(["x = 1", "a = 1"]);
  });

  it("find flags of the command line with a value only", async () => {
    expect(
      await iniList("[uwsgi]\na = %(processes) %(master)\n", {
        argv: ["-M", "-p", "4", "--ini", "app.ini"],
      }),
    ).toEqual(["master = <none>", "processes = 4", "a = 4 %(master)"]);
  });
});

describe("expressions", () => {
  const values: Readonly<Record<string, string>> = {
    six: "6",
    text: "ab",
    px: "12px",
    "7": "seven",
    "a(b)": "par",
  };
  const run = (expression: string): string | undefined =>
    evaluate(expression, (key) => (Object.hasOwn(values, key) ? values[key] : undefined));

  it.each([
    ["six + 1 * 2", "14"],
    ["six six", "66"],
    ["six ++", "7"],
    ["six --", "5"],
    ["six / 4", "1"],
    ["six - 10", "-4"],
    ["six - 10 text", "-4ab"],
    ["six + text", "6"],
    ["nope + 1", "1"],
    ["nope nope", ""],
    ["six +", "6"],
    ["+ 3", "3"],
    ["++ six", "6"],
    ["six / 0", "0"],
    ["  six   +  2 ", "8"],
    [" six ", "6"],
    ["px + 1", "13"],
    ["9223372036854775807 + 1", "-9223372036854775808"],
    ["7", "seven"],
    ["7 + 1", "8"],
    ["six -1", "6"],
    ["a(b)", "par"],
    ["six+1", undefined],
    ["8", undefined],
    ["+", undefined],
    ["", undefined],
    ["six\t+\t1", undefined],
  ])("%j is %j", (expression, expected) => {
    expect(run(expression)).toBe(expected);
  });
});

describe("the environment", () => {
  it("is used in files, and a variable that is not set stays", async () => {
    expect(
      await iniList("[uwsgi]\na = $(HOME)/$(NOPE)\n", { environment: { HOME: "/root" } }),
    ).toEqual(["a = /root/$(NOPE)"]);
  });

  it("can have defaults", () => {
    const environment = { SET: "x", EMPTY: "" };
    expect(environmentValue("SET:-d", environment)).toBe("x");
    expect(environmentValue("EMPTY:-d", environment)).toBe("d");
    expect(environmentValue("NOPE:-d-e", environment)).toBe("d-e");
    expect(environmentValue("EMPTY-d", environment)).toBe("");
    expect(environmentValue("NOPE-d", environment)).toBe("d");
    expect(environmentValue("NOPE", environment)).toBeUndefined();
    expect(environmentValue("toString", environment)).toBeUndefined();
  });

  it("may hold placeholders and contents", async () => {
    expect(
      await iniList("[uwsgi]\na = $(X)\nb = 1\n", {
        environment: { X: "%(b)@(f)" },
        files: { f: "2\n" },
      }),
    ).toEqual(["a = 12", "b = 1"]);
  });

  it("counts parentheses, and leaves an open one as text", () => {
    const replace = (inside: string): string => `<${inside}>`;
    expect(substitute("a$(b(c)d)e", "$", replace)).toBe("a<b(c)d>e");
    expect(substitute("$(a) $(b", "$", replace)).toBe("<a> $(b");
    expect(substitute("($(a)", "$", replace)).toBe("(<a>");
    expect(substitute("$(a(b)", "$", replace)).toBe("$(a(b)");
  });
});

describe("contents", () => {
  it("lose one final newline; their own @() and %() count, $() does not", async () => {
    const files = { f: "one %(b) @(g) $(HOME)\n\n", g: "two" };
    expect(
      await iniList("[uwsgi]\na = <@(f)>\nb = 1\n", { files, environment: { HOME: "/root" } }),
    ).toEqual(["a = <one 1 two $(HOME)\n>", "b = 1"]);
  });

  it("must exist, and must not hold themselves", async () => {
    expect(await iniList("[uwsgi]\n\na = @(nope)\n")).toEqual([
      expect.stringMatching(/^unreadable: .*app.ini:3: cannot read "nope": it does not exist/),
    ]);
    expect(await iniList("[uwsgi]\na = @(f)\n", { files: { f: "@(f)" } })).toEqual([
      expect.stringMatching(/^too-deep: .*app.ini:2/),
    ]);
    expect(await iniList("[uwsgi]\na = @(/etc)\n")).toEqual([
      expect.stringMatching(/it is a directory/),
    ]);
  });

  it.each(["call://ls", "ftp://host/x", "sym://x"])("cannot be %s, and say so", async (address) => {
    const [error] = await iniList(`[uwsgi]\na = @(${address})\n`);
    expect(error).toMatch(/^scheme-unavailable: .*app.ini:2: /);
    expect(error).toContain(address);
  });

  it("read descriptors", async () => {
    expect(await iniList("[uwsgi]\na = @(fd://7)\n", { stdin: "in\n" })).toEqual(["a = in"]);
    expect(await iniList("[uwsgi]\na = @(fd://9)\n")).toEqual([
      expect.stringContaining("not open"),
    ]);
    expect(await iniList("[uwsgi]\na = @(fd://x)\n")).toEqual([
      expect.stringContaining("bad-directive"),
    ]);
  });
});
