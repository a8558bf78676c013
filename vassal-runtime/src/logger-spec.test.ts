import { expect, it } from "vitest";
import { parseLogger } from "./logger-spec.ts";

it.each([
  ["file:/a b", { kind: "file", path: "/a b" }],
  ["main file:/a:b", { kind: "file", path: "/a:b" }],
  ["fd:17", { kind: "fd", fd: 17 }],
  ["x stdio", { kind: "stdio" }],
  ["syslog", { kind: "syslog", identity: "vassal", facility: 3 }],
  ["syslog:shop,local6", { kind: "syslog", identity: "shop", facility: 22 }],
  [
    "rsyslog:10.0.0.1:514,shop",
    { kind: "rsyslog", host: "10.0.0.1", port: 514, identity: "shop", facility: 3 },
  ],
  ["socket:127.0.0.1:9", { kind: "socket", host: "127.0.0.1", port: 9 }],
  ["socket:/run/log", { kind: "unix", path: "/run/log" }],
])("%s", (text, spec) => {
  expect(parseLogger(text)).toEqual({ ok: true, spec });
});

it.each([
  "",
  "/a",
  "file:",
  "fd:-1",
  "fd:x",
  "syslog:a,b",
  "rsyslog:/a",
  "socket:1:2:3",
  "redislog:1",
])("refuses %j", (text) => {
  expect(parseLogger(text)).toMatchObject({ ok: false });
});
