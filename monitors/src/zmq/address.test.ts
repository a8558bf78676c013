import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { MonitorError } from "../errors.ts";
import { allowedKeys, curveKey, decodeZ85 } from "./keys.ts";
import { readZmqAddress } from "./source.ts";

const SECRET = "JTKVSB%%)wK0E.X)V>+}o?pNmC{O&4W4b!Ni{Lh6";
const PUBLIC = "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7";

function file(text: string): string {
  const folder = mkdtempSync(join(tmpdir(), "em-keys-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const path = join(folder, "key");
  writeFileSync(path, text);
  return path;
}

describe("an address", () => {
  test("is an endpoint to bind, as in uWSGI", () => {
    expect(readZmqAddress("tcp://127.0.0.1:5252")).toMatchObject({
      endpoint: "tcp://127.0.0.1:5252",
      connects: false,
    });
    expect(readZmqAddress("ipc:///run/emperor?chmod=660")).toMatchObject({
      endpoint: "ipc:///run/emperor",
      mode: 0o660,
    });
  });

  test("may name keys", () => {
    const secret = encodeURIComponent(file(`${SECRET}\n`));
    const clients = encodeURIComponent(file(`# deployers\n${PUBLIC}\n`));
    const read = readZmqAddress(`tcp://*:5252?curve-secret=${secret}&curve-clients=${clients}`);
    expect(read.curveSecret).toBe(SECRET);
    expect([...(read.curveClients ?? [])]).toEqual([PUBLIC]);
    const both = encodeURIComponent(
      file(`metadata\ncurve\n    public-key = "${PUBLIC}"\n    secret-key = "${SECRET}"\n`),
    );
    const server = encodeURIComponent(PUBLIC);
    expect(
      readZmqAddress(`tcp://hub:5252?connect&curve-secret=${both}&curve-server=${server}`),
    ).toMatchObject({
      connects: true,
      curveSecret: SECRET,
      curvePublic: PUBLIC,
      curveServer: PUBLIC,
    });
  });

  test.each([
    ["127.0.0.1:5252", "no endpoint"],
    ["udp://127.0.0.1:5252", "no endpoint"],
    ["tcp://127.0.0.1:1?conect", "is connect meant?"],
    ["tcp://127.0.0.1:1?connect=maybe", "1 or 0"],
    ["tcp://127.0.0.1:1?connect&connect", "twice"],
    ["tcp://127.0.0.1:1?chmod=660", "not for an ipc"],
    ["ipc:///run/e?chmod=rw", "no octal mode"],
    ["tcp://127.0.0.1:1?curve-secret=/nowhere/key", "cannot be read: it does not exist"],
    ["tcp://127.0.0.1:1?connect&curve-server=x", "curve-secret of its own"],
  ])("that cannot be is refused with the reason: %s", (address, reason) => {
    expect(() => readZmqAddress(address)).toThrow(MonitorError);
    expect(() => readZmqAddress(address)).toThrow(reason);
  });
});

describe("keys", () => {
  test("are found bare and in certificates, and nothing else is", () => {
    expect(curveKey(` ${PUBLIC}\n`, "public")).toBe(PUBLIC);
    expect(curveKey(`    public-key = "${PUBLIC}"`, "public")).toBe(PUBLIC);
    expect(curveKey(`    public-key = "${PUBLIC}"`, "secret")).toBeUndefined();
    expect(curveKey("too short", "secret")).toBeUndefined();
    expect([...allowedKeys(`#${PUBLIC}\nnonsense\n${PUBLIC}`)]).toEqual([PUBLIC]);
  });

  test("are compared as bytes: the example of RFC 32", () => {
    expect(decodeZ85("HelloWorld").toString("hex")).toBe("864fd26fb559f75b");
  });
});
