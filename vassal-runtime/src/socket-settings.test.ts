import type { ConfigEntry } from "@emperor/config";
import { describe, expect, it } from "vitest";
import { vassalOptions } from "./options.ts";
import { SettingsReader } from "./settings-reader.ts";
import { readSocketSettings } from "./socket-settings.ts";
import type { SocketSettings } from "./socket-settings.ts";

const table = vassalOptions();

interface Read extends SocketSettings {
  readonly notes: readonly string[];
  readonly errors: readonly string[];
}

/** Lines as of an ini file, the first one being number 1. */
function read(lines: readonly string[], isCommand = false): Read {
  const entries = lines.map((line, index): ConfigEntry => {
    const [key = "", value = ""] = line.split(/ = (.*)/s);
    const option = table.find(key);
    const origin = { kind: "file", source: "a.ini", line: index + 1, section: "uwsgi" } as const;
    return { key, value, origin, ...(option === undefined ? {} : { option }) };
  });
  const reader = new SettingsReader(entries);
  const notes: string[] = [];
  const settings = readSocketSettings(reader, notes, isCommand);
  return { ...settings, notes, errors: reader.errors.map(({ message }) => message) };
}

const tcp = (port: number) => ({ kind: "tcp", host: "127.0.0.1", port });

describe("readSocketSettings", () => {
  it("has defaults", () => {
    expect(read([])).toEqual({
      sockets: [],
      backlog: 511,
      socketMode: undefined,
      socketOwner: undefined,
      reusePort: false,
      vacuum: false,
      inheritedProtocol: "http",
      onlyFallback: false,
      notes: [],
      errors: [],
    });
  });

  it("knows every kind of socket, in the order of the configuration", () => {
    const { sockets, errors } = read([
      "uwsgi-socket = 127.0.0.1:1",
      "https-socket = 127.0.0.1:2, cert.pem, key.pem",
      "http-socket = @abstract",
      "socket = /run/a.sock",
    ]);
    expect(errors).toEqual([]);
    expect(sockets).toEqual([
      { text: "127.0.0.1:1", address: tcp(1), origin: "a.ini:1", protocol: "uwsgi" },
      {
        text: "127.0.0.1:2",
        address: tcp(2),
        origin: "a.ini:2",
        protocol: "https",
        tls: { certificate: "cert.pem", key: "key.pem" },
      },
      {
        text: "@abstract",
        address: { kind: "unix", path: "\0abstract" },
        origin: "a.ini:3",
        protocol: "http",
      },
      {
        text: "/run/a.sock",
        address: { kind: "unix", path: "/run/a.sock" },
        origin: "a.ini:4",
        protocol: "uwsgi",
      },
    ]);
  });

  it("resolves references to shared sockets, before or after them", () => {
    const { sockets, notes } = read([
      "http-socket = =1",
      "shared-socket = 127.0.0.1:1",
      "shared-socket = 127.0.0.1:2",
      "https-socket = =0,c,k",
    ]);
    expect(sockets).toEqual([
      { text: "127.0.0.1:2", address: tcp(2), origin: "a.ini:1", protocol: "http", early: true },
      {
        text: "127.0.0.1:1",
        address: tcp(1),
        origin: "a.ini:4",
        protocol: "https",
        early: true,
        tls: { certificate: "c", key: "k" },
      },
    ]);
    expect(notes).toEqual([]);
  });

  it("keeps a shared socket that nothing refers to, and says that a node-app does not serve it", () => {
    const lines = ["shared-socket = 127.0.0.1:1"];
    expect(read(lines)).toMatchObject({
      sockets: [{ protocol: "none", early: true }],
      notes: [expect.stringContaining("no socket refers to shared-socket 0")],
    });
    expect(read(lines, true)).toMatchObject({ sockets: [{ protocol: "none" }], notes: [] });
  });

  it("lets `protocol` say what `socket` speaks", () => {
    expect(read(["protocol = http", "socket = 127.0.0.1:1"])).toMatchObject({
      sockets: [{ protocol: "http" }],
      inheritedProtocol: "http",
      onlyFallback: false,
    });
    expect(read(["socket-protocol = uwsgi"]).inheritedProtocol).toBe("uwsgi");
  });

  it("reads owner, flags and mode", () => {
    expect(
      read([
        "socket = /run/a.sock",
        "http-socket = 127.0.0.1:1",
        "chown-socket = www-data:33",
        "chmod-socket = ",
        "reuse-port = true",
        "so-keepalive = true",
        "vacuum = true",
        "listen = 5",
      ]),
    ).toMatchObject({
      sockets: [{ early: true }, { keepAlive: true }],
      socketOwner: { user: "www-data", group: "33" },
      socketMode: 0o666,
      reusePort: true,
      vacuum: true,
      backlog: 5,
    });
  });

  it.each([
    ["http-socket = =0", "only 0, counted from =0"],
    ["http-socket = =x", "refers to shared socket"],
    ["https-socket = 127.0.0.1:1,cert", "needs ADDRESS,CERTIFICATE,KEY"],
    ["https-socket = 127.0.0.1:1,c,k,ciphers", "needs ADDRESS,CERTIFICATE,KEY"],
    ["socket = 3031", 'option "socket" has no address in "3031"'],
    ["protocol = fastcgi", '"uwsgi" or "http"'],
    ["chown-socket = :", "USER or USER:GROUP"],
    ["chown-socket = a:b:c", "USER or USER:GROUP"],
  ])("refuses %j", (line, message) => {
    expect(read([line]).errors).toEqual([expect.stringContaining(message)]);
  });

  it("refuses two protocols on one address, and forgives a repetition", () => {
    expect(read(["socket = 127.0.0.1:1", "http-socket = 127.0.0.1:1"]).errors).toEqual([
      expect.stringContaining("is a socket for uwsgi already (a.ini:1)"),
    ]);
    const twice = read(["socket = 127.0.0.1:1", "socket = 127.0.0.1:1"]);
    expect([twice.errors.length, twice.sockets.length]).toEqual([0, 1]);
  });

  it("offers a command no TLS and no keep-alive", () => {
    expect(read(["https-socket = 127.0.0.1:1,c,k"], true).errors).toEqual([
      expect.stringContaining("needs a node-app"),
    ]);
    expect(read(["so-keepalive = true"], true).notes).toEqual([
      expect.stringContaining("no effect on a command"),
    ]);
  });
});
