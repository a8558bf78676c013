/** No text of any format does anything but give pairs or ConfigErrors. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ConfigError } from "./errors.ts";
import { readIniAttributes, readIniSection } from "./ini.ts";
import { load } from "./testing/fake-host.ts";

/** Pieces that have a meaning somewhere, and rubbish. */
const piece = fc.oneof(
  fc.constantFrom(
    "[uwsgi]\n",
    "uwsgi:\n  ",
    '{"uwsgi":{',
    "<uwsgi>",
    "</uwsgi>",
    "<a>",
    "</a>",
    "include = app.ini\n",
    "inherit = b.ini\n",
    "ini = :b\n",
    "set = ",
    "a = ",
    "a: ",
    '"a": ',
    "%(a)",
    "%(",
    "$(A)",
    "$(",
    "@(f)",
    "@(",
    ")",
    "%n",
    "%",
    "if-env = A\n",
    "for = a b\n",
    "endif =\n",
    "else =\n",
    "strict\n",
    "declare-option = x=a=$1\n",
    "x = 1\n",
    "}",
    "]",
    "[",
    "{",
    ",",
    ":",
    "&x ",
    "*x",
    "- ",
    "|\n",
    "\n",
    " ",
    "  ",
    "\t",
    "\0",
    "=",
    "<!--",
    "-->",
    "<![CDATA[",
    "]]>",
    "&amp;",
    "//",
    "/*",
    "\\u0041",
    '"',
  ),
  fc.string({ unit: "binary", maxLength: 6 }),
);
const text = fc.array(piece, { maxLength: 25 }).map((pieces) => pieces.join(""));

describe("any text", () => {
  it.each(["ini", "xml", "yaml", "json"])(
    "as %s gives pairs or errors with a code",
    async (format) => {
      await fc.assert(
        fc.asyncProperty(text, text, async (main, other) => {
          const name = `app.${format}`;
          const result = await load({
            argv: [`--${format}`, name],
            files: { [name]: main, "b.ini": other, f: other },
            environment: { A: "%(a)" },
            limits: { entries: 500, valueLength: 10_000, totalBytes: 100_000 },
          });
          for (const error of result.errors) expect(error).toBeInstanceOf(ConfigError);
          for (const { key, value, origin } of result.entries)
            expect([typeof key, typeof value, origin.line >= 0]).toEqual([
              "string",
              value === undefined ? "undefined" : "string",
              true,
            ]);
        }),
        { numRuns: 400 },
      );
    },
  );

  it("as an argument gives pairs or errors", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.oneof(
            fc.constantFrom(
              "--",
              "-",
              "-p",
              "--set",
              "--emp",
              "=",
              "app.ini",
              "--ini",
              "-MM",
              "--exit=x",
              "--if-env",
            ),
            fc.string({ unit: "binary", maxLength: 8 }),
          ),
          { maxLength: 6 },
        ),
        async (argv) => {
          const result = await load({ argv, files: { "app.ini": "[uwsgi]\na=1\n" } });
          for (const error of result.errors) expect(error).toBeInstanceOf(ConfigError);
        },
      ),
      { numRuns: 400 },
    );
  });

  it("as bytes has attributes or none", () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array({ maxLength: 60 }),
          text.map((each) => new TextEncoder().encode(`[emperor]\n${each}`)),
        ),
        (bytes) => {
          readIniAttributes(bytes, ["a", "x"]);
        },
      ),
    );
  });

  it("has the same pairs in the cheap reader as in the full one", async () => {
    const plain = fc
      .array(
        fc.constantFrom(
          "[uwsgi]\n",
          "[b]\n",
          "a=1\n",
          " b = 2 \r\n",
          "; c\n",
          "flag\n",
          "x",
          "=",
          "\n",
          "\t",
          "[",
          "\0",
        ),
        { maxLength: 20 },
      )
      .map((pieces) => `[uwsgi]\n${pieces.join("")}`);
    await fc.assert(
      fc.asyncProperty(plain, async (main) => {
        const result = await load({ files: { "app.ini": main } });
        fc.pre(result.errors.length === 0);
        expect(readIniSection(main, "uwsgi")).toEqual(
          result.entries
            .slice(1)
            .map(({ key, value, origin }) => ({ key, value, line: origin.line })),
        );
      }),
    );
  });

  it("nested beyond reason is refused or left as text", async () => {
    const deep = 200_000;
    for (const [format, main] of [
      ["ini", `[uwsgi]\na=${"%(".repeat(deep)}x${")".repeat(deep)}\n`],
      ["ini", `[uwsgi]\na=${"$(".repeat(deep)}x${")".repeat(deep)}\n`],
      ["ini", `[uwsgi]\na=${"@(".repeat(deep)}x${")".repeat(deep)}\n`],
      ["json", `{"uwsgi":${"[".repeat(deep)}`],
      ["xml", "<a>".repeat(deep)],
      ["yaml", `uwsgi: ${"[".repeat(20_000)}`],
    ] as const) {
      const result = await load({
        argv: [`--${format}`, `app.${format}`],
        files: { [`app.${format}`]: main },
      });
      expect(result.errors.length + result.entries.length).toBeGreaterThan(0);
    }
  });
});
