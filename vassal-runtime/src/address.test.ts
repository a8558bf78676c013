import { describe, expect, it } from "vitest";
import { parseAddress } from "./address.ts";

describe("parseAddress", () => {
  it.each([
    ["127.0.0.1:8080", { kind: "tcp", host: "127.0.0.1", port: 8080 }],
    [":80", { kind: "tcp", host: "0.0.0.0", port: 80 }],
    ["*:0", { kind: "tcp", host: "0.0.0.0", port: 0 }],
    ["[::1]:8080", { kind: "tcp", host: "::1", port: 8080 }],
    ["[fe80::1%eth0]:1", { kind: "tcp", host: "fe80::1%eth0", port: 1 }],
    ["localhost:8080", { kind: "tcp", host: "localhost", port: 8080 }],
    ["/run/app.sock", { kind: "unix", path: "/run/app.sock" }],
    ["./a:b.sock", { kind: "unix", path: "./a:b.sock" }],
    ["app.sock", { kind: "unix", path: "app.sock" }],
    ["unix:/run/a:1", { kind: "unix", path: "/run/a:1" }],
    ["@app", { kind: "unix", path: "\0app" }],
  ])("reads %j", (text, address) => {
    expect(parseAddress(text)).toEqual({ ok: true, address });
  });

  it.each([
    ["8080", 'write ":8080"'],
    ["", "empty"],
    ["@", "empty"],
    ["host:", "no port"],
    ["host:http", "no port"],
    ["host:65536", "no port"],
    ["::1:80", '"[::1]:80"'],
    ["[nothing]:80", "IPv6"],
    [`/${"x".repeat(107)}`, "108 bytes"],
  ])("refuses %j", (text, reason) => {
    expect(parseAddress(text)).toEqual({ ok: false, reason: expect.stringContaining(reason) });
  });
});
