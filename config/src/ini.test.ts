import { describe, expect, it } from "vitest";
import { readIniAttributes, readIniSection } from "./ini.ts";
import { iniList, listOf, load } from "./testing/fake-host.ts";

describe("ini", () => {
  it("takes off blanks, tabs and carriage returns around lines, keys and values", async () => {
    expect(await iniList(" \t[uwsgi] \r\n \tkey \t= \t value\t\r\n")).toEqual(["key = value"]);
    expect(await iniList("[uwsgi]\nk = v\u000b\n")).toEqual(["k = v\u000b"]);
  });

  it("splits at the first equals sign", async () => {
    expect(await iniList("[uwsgi]\na=b=c\n= x\n")).toEqual(["a = b=c", " = x"]);
  });

  it("gives an empty value to a key alone and to a key with an equals sign", async () => {
    expect(await iniList("[uwsgi]\nmaster\nother =\n")).toEqual(["master = ", "other = "]);
  });

  it("knows comments as whole lines only, and no quotes", async () => {
    expect(await iniList('[uwsgi]\n ; one\n\t# two\na = b ; c # d\nq = "x"\n')).toEqual([
      "a = b ; c # d",
      'q = "x"',
    ]);
  });

  it("knows no continuation lines and reads a last line without newline", async () => {
    expect(await iniList("[uwsgi]\na = b\\\nc = d")).toEqual(["a = b\\", "c = d"]);
  });

  it("uses all sections of the wanted name and no other", async () => {
    expect(await iniList("[uwsgi]\na=1\n[other]\nb=2\n[uwsgi]\nc=3\n")).toEqual(["a = 1", "c = 3"]);
  });

  it("takes the name of a section without looking at the last character", async () => {
    const result = await load({ files: { "app.ini": "[uwsgix\na=1\n" } });
    expect(listOf(result)).toEqual(["a = 1"]);
  });

  it("ends a line at a NUL", async () => {
    expect(await iniList("[uwsgi]\na = b\0c\nd = e\n")).toEqual(["a = b", "d = e"]);
  });

  it("skips a byte order mark, which uWSGI takes for a part of the first line", async () => {
    expect(await iniList("\ufeff[uwsgi]\na = b\n")).toEqual(["a = b"]);
  });

  it("warns of lines before the first section", async () => {
    const result = await load({ files: { "app.ini": "\nlost = 1\n[uwsgi]\na = 1\n" } });
    expect(listOf(result)).toEqual(["a = 1"]);
    expect(result.warnings).toMatchObject([
      { code: "outside-section", origin: { line: 2 } },
      { code: "unknown-key" },
    ]);
  });

  it("counts a file without the default section as empty, with a warning", async () => {
    const result = await load({ files: { "app.ini": "[uwgsi]\na = 1\n" } });
    expect(result.errors).toEqual([]);
    expect(result.warnings).toMatchObject([{ code: "missing-section" }]);
    expect(result.warnings[0]?.message).toBe(
      '/etc/vassals/app.ini: Can\'t find section "uwsgi" in configuration file /etc/vassals/app.ini; did you mean [uwgsi]?; it counts as empty',
    );
  });

  it("refuses a section that was asked for and is not there", async () => {
    const result = await load({
      argv: ["--ini", "app.ini:zerg"],
      files: { "app.ini": "[uwsgi]\na = 1\n" },
    });
    expect(result.errors).toMatchObject([
      { code: "missing-section", file: "/etc/vassals/app.ini" },
    ]);
  });

  it.each(["[ uwsgi ]", "[uwsgi];x", "[uwsgi] # main"])(
    "refuses the header %j, which is not the one that is meant",
    async (header) => {
      const result = await load({ files: { "app.ini": `\n${header}\na = 1\n` } });
      expect(result.errors).toMatchObject([
        { code: "missing-section", file: "/etc/vassals/app.ini", line: 2 },
      ]);
      expect(result.errors[0]?.message).toContain(JSON.stringify(header));
    },
  );

  it("refuses a value of bytes that are no text, with its line", async () => {
    const result = await load({
      files: { "app.ini": Buffer.from("[uwsgi]\nok = 1\na = b\xff\n", "latin1") },
    });
    expect(result.errors).toMatchObject([
      { code: "bad-encoding", file: "/etc/vassals/app.ini", line: 3 },
    ]);
  });

  it("only warns of them in a comment or another section", async () => {
    const text = "[other]\nx = \xff\n[uwsgi]\n; gr\xfc\xdfe\na = 1\n";
    const result = await load({ files: { "app.ini": Buffer.from(text, "latin1") } });
    expect(listOf(result)).toEqual(["a = 1"]);
    expect(result.warnings[0]).toMatchObject({
      code: "bad-encoding",
      message: expect.stringMatching(/^\/etc\/vassals\/app\.ini:2: this is not valid UTF-8/),
    });
  });
});

describe("the [emperor] section of a vassal", () => {
  const text =
    "[uwsgi]\nwrapper = no\n[emperor]\nwrapper = /bin/w\n; wrapper = c\ntag=a\n tag = b\nother = 1\n[x]\ntag = no\n";

  it("gives the collected names, every value in order", () => {
    expect(readIniAttributes(text, ["wrapper", "tag", "absent"])).toEqual({
      wrapper: ["/bin/w"],
      tag: ["a", "b"],
    });
  });

  it("reads bytes as well", () => {
    expect(readIniAttributes(new TextEncoder().encode(text), ["tag"])).toEqual({ tag: ["a", "b"] });
    expect(readIniAttributes(new TextEncoder().encode("[uwsgi]\ntag = 1\n"), ["tag"])).toEqual({});
  });

  it("collects nothing without names", () => {
    expect(readIniAttributes(text, [])).toEqual({});
  });

  it("does not replace magic variables and takes any name", () => {
    expect(readIniAttributes("[emperor]\n__proto__ = %n\n", ["__proto__"])).toEqual(
      Object.fromEntries([["__proto__", ["%n"]]]),
    );
  });

  it("has the line rules of the full reader, with line numbers", () => {
    expect(readIniSection(" [emperor] \r\n\n a = b=c \r\nflag\n", "emperor")).toEqual([
      { key: "a", value: "b=c", line: 3 },
      { key: "flag", value: "", line: 4 },
    ]);
    expect(readIniSection("[ emperor ]\na=1\n", "emperor")).toEqual([]);
    expect(readIniSection("x = [emperor]\na=1\n", "emperor")).toEqual([]);
  });
});
