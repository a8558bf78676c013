import { describe, expect, it } from "vitest";
import { reasonOf } from "./reason.ts";
import { maskAddress, withoutSecrets } from "./secrets.ts";

describe("secrets", () => {
  it.each([
    ["pg://host=db password=geheim user=u;SELECT 1", "pg://host=db password=*** user=u;SELECT 1"],
    ["pg://host=db password='ge heim\\'x' user=u", "pg://host=db password=*** user=u"],
    ["pg://postgresql://u:ge@heim@db/e", "pg://postgresql://u:***@db/e"],
    ["amqps://u:geheim@broker:5671/v?heartbeat=5", "amqps://u:***@broker:5671/v?heartbeat=5"],
    [
      "mongodb2://addr=db,username=u,password=geheim,database=d",
      "mongodb2://addr=db,username=u,password=***,database=d",
    ],
    ["zmq://tcp://*:5252?curve-secret=geheim&x=1", "zmq://tcp://*:5252?curve-secret=***&x=1"],
    ["/etc/vassals", "/etc/vassals"],
  ])("masks %j", (text, masked) => {
    expect(maskAddress(text)).toBe(masked);
  });

  it("leave a text wherever they stand in it, also encoded", () => {
    expect(withoutSecrets("x ab/c y ab%2Fc z ab", ["ab", "ab/c", ""])).toBe("x *** y *** z ***");
  });
});

describe("the reason of a failure", () => {
  it("is one line, whatever a server wrote", () => {
    expect(reasonOf(new Error("a\n  b\u001b[31m\u2028 c"))).toBe("a b\\u001b[31m c");
    expect(reasonOf(new AggregateError([new Error("first"), new Error("second")]))).toBe("first");
    expect(reasonOf(new Error("x".repeat(5000)))).toHaveLength(500);
    expect(reasonOf("text")).toBe("text");
  });
});
