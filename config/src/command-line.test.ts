/** Keys of the environment and of the command line. */
import { describe, expect, it } from "vitest";
import { OPTIONS, listOf, load } from "./testing/fake-host.ts";

describe("the environment", () => {
  it("gives every UWSGI_NAME as a key", async () => {
    const environment = {
      UWSGI_EMPEROR_FREQ: "5",
      UWSGI_Ab_C: "x",
      uwsgi_no: "1",
      UWSGI_: "y",
      UWSGI_SET: "k=v",
      PATH: "/bin",
    };
    expect(listOf(await load({ argv: [], environment }))).toEqual([
      "emperor-freq = 5",
      "ab-c = x",
      "set = k=v",
      "k = v",
    ]);
  });

  it("keeps uWSGI's own variables out", async () => {
    const own = [
      "RELOADS",
      "VASSALS_DIR",
      "EMPEROR_FD",
      "EMPEROR_FD_CONFIG",
      "EMPEROR_PROXY",
      "BROODLORD_NUM",
      "JAIL_PID",
      "ORIGINAL_PROC_NAME",
    ];
    const environment = Object.fromEntries(own.map((name) => [`UWSGI_${name}`, "1"]));
    expect(listOf(await load({ argv: [], environment }))).toEqual([]);
  });

  it("can name a file", async () => {
    expect(
      listOf(
        await load({
          argv: [],
          environment: { UWSGI_INI: "app.ini" },
          files: { "app.ini": "[uwsgi]\na = %N\n" },
        }),
      ),
    ).toEqual(["a = app"]);
  });
});

describe("the command line", () => {
  const list = async (...argv: readonly string[]): Promise<readonly string[]> => {
    const result = await load({ argv });
    return result.errors.length > 0
      ? result.errors.map(({ code, message }) => `${code}: ${message}`)
      : listOf(result);
  };

  it("takes long, short, joined and bundled options, and abbreviations", async () => {
    expect(
      await list(
        "--processes",
        "2",
        "--processes=3",
        "-p",
        "4",
        "-p5",
        "-Mp",
        "6",
        "--proc=7",
        "--emperor-t",
      ),
    ).toEqual([
      "processes = 2",
      "processes = 3",
      "processes = 4",
      "processes = 5",
      "master = <none>",
      "processes = 6",
      "processes = 7",
      "emperor-tyrant = <none>",
    ]);
  });

  it("takes optional values only joined", async () => {
    expect(await list("--cache", "--cache=x", "-k", "-ky")).toEqual([
      "cache = <none>",
      "cache = x",
      "cache = <none>",
      "cache = y",
    ]);
  });

  it("takes an exact name although it begins another, and any value", async () => {
    expect(await list("--emperor", "--x", "--emperor=", "--", "[ignored]")).toEqual([
      "emperor = --x",
      "emperor = ",
    ]);
  });

  it("names all that is wrong at once", async () => {
    expect(
      await list(
        "--emperor_freq",
        "--emperor-",
        "--master=1",
        "-Z",
        "--nothing-like-it",
        "--processes",
      ),
    ).toEqual([
      'unknown-option: argument 1 of the command line: unrecognized option "--emperor_freq"; did you mean "--emperor-freq"?',
      'ambiguous-option: argument 2 of the command line: option "--emperor-" is ambiguous: --emperor-freq, --emperor-tyrant',
      'bad-argument: argument 3 of the command line: option "--master" takes no value on the command line',
      'unknown-option: argument 4 of the command line: unrecognized option "-Z"',
      'unknown-option: argument 5 of the command line: unrecognized option "--nothing-like-it"',
      'bad-argument: argument 6 of the command line: option "--processes" needs a value',
    ]);
  });

  it("calls an abbreviation unique when it can only mean one option with its aliases", async () => {
    expect(await list("--set-p", "a=1")).toEqual(["set-placeholder = a=1", "a = 1"]);
  });

  it("ignores arguments that begin with a bracket", async () => {
    expect(await list("[sleeping]")).toEqual([]);
  });
});

describe("the option table", () => {
  it("always has the language's options", () => {
    expect(OPTIONS.find("include")?.name).toBe("include");
    expect(OPTIONS.find("yml")?.name).toBe("yaml");
    expect(OPTIONS.findShort("S")?.name).toBe("set");
    expect(OPTIONS.find("Include")).toBeUndefined();
  });
});
