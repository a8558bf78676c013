import { expect, test } from "vitest";
import { readAddresses } from "./on-demand-address.ts";

test.each([
  ["127.0.0.1:80", { family: "ipv4", host: "127.0.0.1", port: 80 }],
  [":8080", { family: "ipv4", host: "0.0.0.0", port: 8080 }],
  ["*:8080", { family: "ipv4", host: "0.0.0.0", port: 8080 }],
  ["[::1]:8080", { family: "ipv6", host: "::1", port: 8080 }],
  ["[::]:8080", { family: "ipv6", host: "::", port: 8080 }],
  ["/run/a.sock", { family: "unix", path: "/run/a.sock" }],
  ["a.sock", { family: "unix", path: "/etc/vassals/a.sock" }],
  ["/run/a:80", { family: "unix", path: "/run/a:80" }],
  ["@name:1", { family: "unix", path: "\0name:1" }],
])("%s", (text, address) => {
  expect(readAddresses(`${text}\r\n`, "/etc/vassals")).toEqual({
    ok: true,
    addresses: [{ text, address }],
  });
});

test("several, one a line, none twice", () => {
  const reading = readAddresses("/run/a\n\n :1 \n/run/a\n", "/");
  expect(reading.ok && reading.addresses.map(({ text }) => text)).toEqual(["/run/a", ":1"]);
});

test.each([
  ["localhost:80", /no IP address; names are not looked up/],
  ["127.0.0.1:http", /no port number/],
  ["127.0.0.1:0", /no port number/],
  ["127.0.0.1:65536", /no port number/],
  ["127.0.0.1:", /no port number/],
  ["::1:80", /without brackets/],
  ["@", /no name/],
  [`/run/${"x".repeat(200)}`, /too long.*at most 107 bytes, this one 205/],
  [`@${"x".repeat(200)}`, /too long/],
  ["/run/a\u0000b", /control character/],
  ["/run/\u001b[31m", /control character/],
  [Array.from({ length: 65 }, (_, n) => `:${n + 1}`).join("\n"), /at most 64/],
])("%j is refused with the reason", (text, why) => {
  const reading = readAddresses(text, "/");
  expect(reading.ok ? "accepted" : reading.problem).toMatch(why);
});
