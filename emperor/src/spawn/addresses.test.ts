/** Addresses of vassals: ranges, who has which, names that the kernel takes. */
import { expect, test } from "vitest";
import { AddressPool, readRange } from "./addresses.ts";

test.each([
  "",
  "10.0.0.0",
  "10.0.0.1/24",
  "10.0.0.0/30",
  "10.0.0.0/7",
  "256.0.0.0/8",
  "x/24",
  "10.0.0.0/24 ",
])("%j is no range", (text) => {
  expect(readRange(text)).toBeUndefined();
});

function pool(text: string): AddressPool {
  const range = readRange(text);
  if (range === undefined) throw new Error(text);
  return new AddressPool(range, 4_194_303);
}

test("each process has its own, and none more than there are", () => {
  const addresses = pool("192.168.7.248/29");
  const taken = [1, 2, 3, 4, 5].map((process) => addresses.take(process));
  expect(taken.map((one) => one?.address)).toEqual([
    "192.168.7.250/29",
    "192.168.7.251/29",
    "192.168.7.252/29",
    "192.168.7.253/29",
    "192.168.7.254/29",
  ]);
  expect(taken[0]?.gateway).toBe("192.168.7.249");
  expect(addresses.take(6)).toBeUndefined();
  addresses.release(3);
  addresses.release(3);
  addresses.release(99);
  expect(addresses.take(7)?.address).toBe("192.168.7.252/29");
  expect(addresses.take(8)).toBeUndefined();
});

test("an address that was released is given away last", () => {
  const addresses = pool("10.97.0.0/16");
  expect(addresses.take(1)?.address).toBe("10.97.0.2/16");
  addresses.release(1);
  expect(addresses.take(2)?.address).toBe("10.97.0.3/16");
});

test("names fit the kernel, whatever the numbers", () => {
  const addresses = pool("10.0.0.0/8");
  expect(addresses.take(1)?.interfaceName).toMatch(/^em[0-9a-z]+\.0$/);
  // The largest process number, and the last of as many addresses as there can be.
  expect(`em${(4_194_303).toString(36)}.${(2 ** 24).toString(36)}`.length).toBeLessThanOrEqual(15);
});
