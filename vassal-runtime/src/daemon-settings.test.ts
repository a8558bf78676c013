import type { ConfigEntry } from "@emperor/config";
import { describe, expect, it } from "vitest";
import { DAEMON_OPTIONS, readDaemons } from "./daemon-settings.ts";
import type { DaemonSetting } from "./daemon-settings.ts";
import { parseKeyValues } from "./key-values.ts";
import { SettingsReader } from "./settings-reader.ts";

function read(key: string, value: string): DaemonSetting | string {
  const option = DAEMON_OPTIONS.find(({ name }) => name === key);
  if (option === undefined) throw new Error(key);
  const origin = { kind: "file", source: "a.ini", line: 2, section: "uwsgi" } as const;
  const entry: ConfigEntry = { key, value, origin, option };
  const reader = new SettingsReader([entry]);
  const [daemon] = readDaemons(reader);
  return daemon ?? reader.errors[0]?.message ?? "neither daemon nor error";
}

describe("readDaemons", () => {
  it("reads all forms", () => {
    expect(read("attach-daemon", " redis-server a b ")).toMatchObject({
      line: "redis-server a b",
      control: false,
      stopSignal: 15,
      origin: "a.ini:2",
    });
    expect(read("attach-control-daemon", "x")).toMatchObject({ control: true });
    expect(read("smart-attach-daemon", "/run/a.pid  memcached -d -P /run/a.pid")).toMatchObject({
      pidfile: "/run/a.pid",
      line: "memcached -d -P /run/a.pid",
    });
    expect(
      read("attach-daemon2", 'cmd="a, b",pidfile=/p,stopsignal=9,reload_signal=HUP,freq=2,control'),
    ).toMatchObject({
      line: "a, b",
      pidfile: "/p",
      stopSignal: 9,
      reloadSignal: 1,
      lookAgainMs: 2000,
      control: true,
    });
  });

  it.each([
    ["attach-daemon", "", /no program/],
    ["smart-attach-daemon", "/run/a.pid", /PIDFILE COMMAND/],
    ["attach-daemon2", "pidfile=/a", /cmd is missing/],
    ["attach-daemon2", "cmd=a,legion=b", /"legion" is not served/],
    ["attach-daemon2", "cmd=a,stopsignal=NO", /no signal/],
    ["attach-daemon2", "cmd=a,freq=often", /no number of seconds/],
    ["attach-daemon2", 'cmd="a', /never closed/],
  ])("refuses %s = %s", (key, value, message) => {
    expect(read(key, value)).toMatch(message);
  });
});

it("splits keys and values", () => {
  const parsed = parseKeyValues('a=1\\,2,b,"c=3,4",');
  expect(parsed.ok && [...parsed.values]).toEqual([
    ["a", "1,2"],
    ["b", "1"],
    ["c", "3,4"],
  ]);
  expect(parseKeyValues("=1")).toMatchObject({ ok: false });
});
