/** Order of the sources, files, control options. */
import { describe, expect, it } from "vitest";
import { iniList, listOf, load } from "./testing/fake-host.ts";

describe("the order of sources", () => {
  it("is environment, command line from left to right with files in place, bare files last", async () => {
    const result = await load({
      argv: ["bare.ini", "--set", "a=1", "--ini", "app.ini", "-p", "4", "--emperor=/x"],
      environment: { UWSGI_THREADS: "2", HOME: "/root" },
      files: { "app.ini": "[uwsgi]\nb = 2\n", "bare.ini": "[uwsgi]\nlast = 3\n" },
    });
    expect(listOf(result)).toEqual([
      "threads = 2",
      "set = a=1",
      "a = 1",
      "b = 2",
      "processes = 4",
      "emperor = /x",
      "last = 3",
    ]);
  });

  it("puts inherited files at the end and expands them, which uWSGI does not", async () => {
    const files = {
      "base.ini": "[uwsgi]\ninherit = root.ini\nb = %(mine) %n %N\n",
      "root.ini": "[uwsgi]\nr = 9\n",
    };
    expect(
      await iniList("[uwsgi]\nmine = 1\ninherit = %(where).ini\nlate = %(r)\nwhere = base\n", {
        files,
      }),
    ).toEqual([
      "mine = 1",
      "inherit = base.ini",
      "late = 9",
      "where = base",
      "inherit = root.ini",
      "b = 1 base app",
      "r = 9",
    ]);
  });

  it("knows for every value where it came from", async () => {
    const result = await load({
      argv: ["--ini", "app.ini", "--emperor", "/x"],
      environment: { UWSGI_THREADS: "2" },
      files: {
        "app.ini": "[uwsgi]\n\ninclude = inc.ini\n",
        "inc.ini": "\n[uwsgi]\nprocesses = 3\n",
      },
    });
    expect(
      result.entries.map(({ key, origin }) => [
        key,
        origin.kind,
        origin.source,
        origin.line,
        origin.section,
      ]),
    ).toEqual([
      ["threads", "environment", "UWSGI_THREADS", 0, ""],
      ["ini", "command-line", "command line", 1, ""],
      ["include", "file", "/etc/vassals/app.ini", 3, "uwsgi"],
      ["processes", "file", "/etc/vassals/inc.ini", 3, "uwsgi"],
      ["emperor", "command-line", "command line", 3, ""],
    ]);
    expect(result.entries[3]?.origin.via).toMatchObject({
      source: "/etc/vassals/app.ini",
      line: 3,
    });
  });

  it("gives the canonical option to aliases and short forms", async () => {
    const result = await load({
      argv: ["--workers", "2", "-p3", "--ini", "app.ini"],
      files: { "app.ini": "[uwsgi]\nworkers = 4\nEmperor-Freq = 1\n" },
    });
    expect(result.entries.map(({ key, option }) => [key, option?.name])).toEqual([
      ["workers", "processes"],
      ["processes", "processes"],
      ["ini", "ini"],
      ["workers", "processes"],
      ["Emperor-Freq", undefined],
    ]);
  });
});

describe("files", () => {
  it.each(["ini", "xml", "yaml", "yml", "json", "js"])(
    "are read by their suffix .%s when they stand alone",
    async (suffix) => {
      const texts: Readonly<Record<string, string>> = {
        ini: "[uwsgi]\na=1\n",
        xml: "<uwsgi><a>1</a></uwsgi>",
        y: "uwsgi:\n  a: 1\n",
        j: '{"uwsgi":{"a":1}}',
      };
      const text = texts[suffix] ?? texts[suffix.slice(0, 1)] ?? "";
      const files = { [`x.${suffix}`]: text };
      for (const argv of [
        [`x.${suffix}`],
        ["--config", `x.${suffix}`],
        ["--include", `x.${suffix}`],
        [`--${suffix}`, `x.${suffix}`],
      ]) {
        const result = await load({ argv, files });
        expect([result.errors, result.entries.at(-1)?.key]).toEqual([[], "a"]);
      }
    },
  );

  it("can be named with their section, bare and included too", async () => {
    const files = { "x.ini": "[one]\na=1\n[two]\nb=2\n" };
    expect(listOf(await load({ argv: ["x.ini:two"], files }))).toEqual(["b = 2"]);
    expect(listOf(await load({ argv: ["--include", "x.ini:one"], files }))).toEqual([
      "include = x.ini:one",
      "a = 1",
    ]);
    expect(listOf(await load({ argv: ["X.INI:one"], files: { "X.INI": files["x.ini"] } }))).toEqual(
      ["a = 1"],
    );
  });

  it("without a known suffix are read by their content, but not when they stand alone", async () => {
    const texts = {
      "a.conf": "; c\n\n[uwsgi]\na = 1\n",
      "b.conf": "# c\nuwsgi:\n  a: 1\n",
      "c.conf": ' {"uwsgi":{"a":1}}',
      "d.conf": "<!-- c --><uwsgi><a>1</a></uwsgi>",
      "e.conf": "---\nuwsgi:\n  a: 1\n",
    };
    for (const name of Object.keys(texts)) {
      for (const option of ["--config", "--include", "--inherit"]) {
        const result = await load({ argv: [option, name], files: texts });
        expect([name, result.errors, result.entries.at(-1)?.key]).toEqual([name, [], "a"]);
      }
    }
    expect((await load({ argv: ["a.conf"], files: texts })).errors).toMatchObject([
      { code: "unknown-format" },
    ]);
  });

  it("can be another section of the ini file read last", async () => {
    const files = { "app.ini": "[uwsgi]\nini = :two\n[two]\nb = %x %n [%o]\n" };
    expect(await iniList(files["app.ini"])).toEqual(["b = two app []"]);
    expect(await iniList("[uwsgi]\n", { argv: ["--ini", ":x"] })).toEqual([
      expect.stringMatching(/^bad-directive: argument 1/),
    ]);
  });

  it("can be standard input or a descriptor, with a section", async () => {
    const stdin = "[uwsgi]\na=1\n[s]\nb=2\n";
    expect(listOf(await load({ argv: ["--ini", "-"], stdin }))).toEqual(["a = 1"]);
    expect(listOf(await load({ argv: ["--ini", "-:s"], stdin }))).toEqual(["b = 2"]);
    expect(listOf(await load({ argv: ["--ini", "fd://7:s"], stdin }))).toEqual(["b = 2"]);
  });

  it.each([
    [["--ini", "nope.ini"], "unreadable", "it does not exist"],
    [["--ini", "/etc"], "unreadable", "it is a directory"],
    [["--ini", "fd://9"], "unreadable", "not open"],
    [["--ini", ""], "bad-directive", "a file name is needed"],
    [["--ini", "ftp://h/x.ini"], "scheme-unavailable", "ftp://h/x.ini"],
    [["--ini", "emperor://x.ini"], "scheme-unavailable", "emperor://x.ini"],
    [["--config", "x.conf"], "unreadable", "it does not exist"],
    [["something"], "unknown-format", "unable to load configuration from"],
    [["--sqlite", "x.db"], "not-available", "sqlite"],
  ])("%j is an error: %s", async (argv, code, text) => {
    const result = await load({ argv, files: { "app.ini": "" } });
    expect(result.errors).toMatchObject([{ code, origin: { kind: "command-line", line: 1 } }]);
    expect(result.errors[0]?.message).toContain(text);
  });

  it("are not found under a name with a placeholder, and the message says why", async () => {
    expect(await iniList("[uwsgi]\ndir = x\ninclude = %(dir)/x.ini\n")).toEqual([
      expect.stringMatching(/app.ini:3: .*placeholders are not replaced/),
    ]);
  });

  it("may not include, inherit or name themselves in a circle", async () => {
    expect(await iniList("[uwsgi]\ninclude = app.ini\n")).toEqual([
      expect.stringMatching(/^include-cycle: .*app.ini:2: /),
    ]);
    expect(await iniList("[uwsgi]\ninherit = app.ini\n")).toEqual([
      expect.stringMatching(/^include-cycle: /),
    ]);
    expect(await iniList("[uwsgi]\nini = :own\n[own]\nini = :own\n")).toEqual([
      expect.stringMatching(/^include-cycle: .*app.ini:4/),
    ]);
    expect(
      await iniList("[uwsgi]\ninclude = b.ini\n", {
        files: { "b.ini": "[uwsgi]\ninclude = app.ini\n" },
      }),
    ).toEqual([expect.stringMatching(/^include-cycle: .*b.ini:2, by .*app.ini:2/)]);
  });

  it("may be read twice one after the other, and include another section of themselves", async () => {
    const files = { "inc.ini": "[uwsgi]\ninclude = inc.ini:two\n[two]\nx = 1\n" };
    expect(
      await iniList("[uwsgi]\ninclude = inc.ini\ninclude = inc.ini\n", { files }),
    ).toHaveLength(6);
  });

  it("are bounded in depth, size, number of pairs and all together", async () => {
    const chain = Object.fromEntries(
      Array.from({ length: 40 }, (_, level) => [
        `f${level}.ini`,
        `[uwsgi]\ninclude = f${level + 1}.ini\n`,
      ]),
    );
    expect((await load({ argv: ["f0.ini"], files: chain })).errors).toMatchObject([
      { code: "too-deep" },
    ]);
    const large = `[uwsgi]\n${"a=b\n".repeat(2_600_000)}`;
    expect(await iniList(large)).toEqual([
      expect.stringMatching(/^too-large: argument 1 .*"app.ini" has more than 1048576 bytes/),
    ]);
    expect(await iniList("[uwsgi]\na=1\nb=2\nc=3\n", { limits: { entries: 2 } })).toEqual([
      expect.stringMatching(/^too-large: .*app.ini:4/),
    ]);
    const files = { "b.ini": `[uwsgi]\na = ${"x".repeat(60)}\n` };
    expect(
      await iniList(`[uwsgi]\n${"include = b.ini\n".repeat(3)}`, {
        files,
        limits: { totalBytes: 200 },
      }),
    ).toEqual([expect.stringContaining("too-large")]);
  });

  it("take injected text around them, and lines keep their file", async () => {
    const files = {
      "head.txt": "[uwsgi]\nh = 1\n",
      "tail.txt": "\n[uwsgi]\nt = 1\n",
      "b.ini": "[x]\ny=1\n[uwsgi]\nb = 2",
    };
    const result = await load({
      argv: ["--inject-before", "head.txt", "--inject-after", "tail.txt", "--ini", "b.ini"],
      files,
    });
    expect(
      result.entries.slice(3).map(({ key, origin }) => [key, origin.source, origin.line]),
    ).toEqual([
      ["h", "head.txt", 2],
      ["b", "/etc/vassals/b.ini", 4],
      ["t", "tail.txt", 3],
    ]);
  });
});

describe("set and its kin", () => {
  it("add a pair in place, untrimmed", async () => {
    expect(await iniList("[uwsgi]\nset = a = b\nset = processes=3\nset=e=\n")).toEqual([
      "set = a = b",
      "a  =  b",
      "set = processes=3",
      "processes = 3",
      "set = e=",
      "e = ",
    ]);
    expect(await iniList("[uwsgi]\n\nset = x\n")).toEqual([
      expect.stringMatching(/^bad-directive: .*app.ini:3: invalid placeholder\/--set value "x"/),
    ]);
  });

  it("set-placeholder never sets an option", async () => {
    const result = await load({
      files: { "app.ini": "[uwsgi]\nstrict = true\nset-ph = x=1\nemperor = %(x)\n" },
    });
    expect(listOf(result)).toEqual(["strict = true", "set-ph = x=1", "x = 1", "emperor = 1"]);
    expect(result.errors).toEqual([]);
    expect(await iniList("[uwsgi]\nset-placeholder = workers=1\n")).toEqual([
      expect.stringMatching(/^bad-directive: .*"workers" is an option/),
    ]);
  });

  it("declare-option expands to pairs", async () => {
    expect(
      await iniList("[uwsgi]\ndeclare-option = app=set=k=$1;processes=$2\napp = x  4\nz = %(k)\n"),
    ).toEqual([
      "declare-option = app=set=k=$1;processes=$2",
      "app = x  4",
      "set = k=x",
      "k = x",
      "processes = 4",
      "z = x",
    ]);
    expect(await iniList("[uwsgi]\ndeclare-option = f=f=$1\nf = x\n")).toEqual([
      expect.stringMatching(/^too-deep: /),
    ]);
    expect(await iniList("[uwsgi]\ndeclare-option = f\n")).toEqual([
      expect.stringMatching(/^bad-directive: /),
    ]);
    expect(await iniList("[uwsgi]\ndeclare-option = master=set=a=1\n")).toEqual([
      expect.stringMatching(/^bad-directive: /),
    ]);
  });

  it("lists of names forbid options until their end", async () => {
    const forbidden = [
      expect.stringMatching(
        /^forbidden-option: .*app.ini:3: forbidden option "processes" \(by blacklist\)/,
      ),
    ];
    expect(
      await iniList("[uwsgi]\nblacklist = foo workers\nprocesses = 1\nend-blacklist =\n"),
    ).toEqual(forbidden);
    expect(await iniList("[uwsgi]\nwhitelist = threads\nmaster = 1\n")).toEqual([
      expect.stringMatching(/\(by whitelist\)/),
    ]);
    expect(
      await iniList("[uwsgi]\nwhitelist = threads\nthreads = 1\nend-whitelist\nmaster = 1\n"),
    ).toHaveLength(4);
  });
});

describe("output and exit", () => {
  it("print speaks when options are applied, iprint at once", async () => {
    const result = await load({
      files: { "app.ini": "[uwsgi]\nprint = p %(x)\niprint = i %(x)\nx = 1\n" },
    });
    expect(result.output).toEqual(["i %(x)", "p 1"]);
  });

  it("get prints the first value and ends", async () => {
    const files = { "app.ini": "[uwsgi]\nx = %(y)\nx = 2\ny = 1\n" };
    expect(await load({ argv: ["--get", "x", "--ini", "app.ini"], files })).toMatchObject({
      output: ["1"],
      exit: { code: 0 },
    });
    expect(await load({ argv: ["--get", "nope", "--ini", "app.ini"], files })).toMatchObject({
      output: [],
      exit: { code: 0 },
    });
  });

  it.each([
    [["--exit"], "", 1],
    [["--exit=4"], "", 4],
    [["app.ini"], "[uwsgi]\nexit\n", 0],
    [["app.ini"], "[uwsgi]\nexit = 7\n", 7],
  ])("exit: %j with %j ends with %d", async (argv, text, code) => {
    expect(await load({ argv, files: { "app.ini": text } })).toMatchObject({
      exit: { code },
      errors: [],
    });
  });

  it("exit needs a number", async () => {
    expect(await iniList("[uwsgi]\nexit = soon\n")).toEqual([
      expect.stringMatching(/^bad-directive: .*app.ini:2/),
    ]);
  });
});

describe("unknown keys", () => {
  it("are reported with what was probably meant, unless something uses them", async () => {
    const result = await load({
      files: {
        "app.ini":
          "[uwsgi]\nemperor_freq = 3\nEmperor-Tyrant = 1\nbase = /x\nemperor = %(base)\nseen = 1\nif-opt = seen\nthreads = 1\nendif =\nzzz = 1\n",
      },
    });
    expect(
      result.warnings.map(({ code, key, suggestion, origin }) => [
        code,
        key,
        suggestion,
        origin?.line,
      ]),
    ).toEqual([
      ["unknown-key", "emperor_freq", "emperor-freq", 2],
      ["unknown-key", "Emperor-Tyrant", "emperor-tyrant", 3],
      ["unknown-key", "zzz", undefined, 10],
    ]);
  });

  it("of the environment and of --set are nobody's business", async () => {
    expect(
      (await load({ argv: ["--set", "a=1"], environment: { UWSGI_FOO: "1" } })).warnings,
    ).toEqual([]);
  });

  it("are errors in strict mode, those before it too", async () => {
    const result = await load({
      files: { "app.ini": "[uwsgi]\nzzz = 1\nstrict = 1\nprocessess = 2\nprocesses = 1\n" },
    });
    expect(
      result.errors.map(({ code, line, message }) => [
        code,
        line,
        message.slice(message.indexOf("[")),
      ]),
    ).toEqual([
      ["strict", 2, "[strict-mode] unknown config directive: zzz"],
      [
        "strict",
        4,
        '[strict-mode] unknown config directive: processess; did you mean "processes"?',
      ],
    ]);
    expect(
      (
        await load({
          argv: ["--strict", "--ini", "app.ini"],
          files: { "app.ini": "[uwsgi]\nfoo = 1\n" },
        })
      ).errors,
    ).toHaveLength(1);
    expect(
      (await load({ files: { "app.ini": "[uwsgi]\nfoo = 1\nstrict = false\n" } })).errors,
    ).toEqual([]);
  });
});
