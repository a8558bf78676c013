import { encodeDictionary } from "@emperor/protocol";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { readVariables } from "./uwsgi-variables.ts";
import type { UwsgiHead } from "./uwsgi-variables.ts";

type Pairs = readonly (readonly [string, string])[];
const MINIMUM: Pairs = [
  ["REQUEST_METHOD", "GET"],
  ["REQUEST_URI", "/"],
];

function encoded(pairs: Pairs): Uint8Array {
  const body = encodeDictionary(pairs);
  if (!body.ok) throw new Error(body.reason);
  return body.bytes;
}

function headOf(pairs: Pairs): UwsgiHead {
  const result = readVariables(encoded([...MINIMUM, ...pairs]));
  if (!result.ok) throw new Error(result.reason);
  return result.head;
}

function refusal(pairs: Pairs): string | undefined {
  const result = readVariables(encoded(pairs));
  return result.ok ? undefined : result.reason;
}

describe("readVariables", () => {
  it("reads what nginx sends", () => {
    const head = headOf([
      ["QUERY_STRING", "a=1"],
      ["CONTENT_TYPE", "text/plain"],
      ["CONTENT_LENGTH", "5"],
      ["REQUEST_URI", "/x%20y?a=1"],
      ["PATH_INFO", "/x y"],
      ["SERVER_PROTOCOL", "HTTP/1.1"],
      ["REQUEST_SCHEME", "https"],
      ["HTTPS", "on"],
      ["REMOTE_ADDR", "192.0.2.1"],
      ["REMOTE_PORT", "4711"],
      ["HTTP_HOST", "shop.example"],
      ["HTTP_X_FORWARDED_FOR", "192.0.2.9"],
      ["HTTP_CONTENT_LENGTH", "5"],
      ["HTTP_CONTENT_TYPE", "text/plain"],
      ["HTTP_TRANSFER_ENCODING", "chunked"],
    ]);
    expect(head).toMatchObject({
      method: "GET",
      url: "/x%20y?a=1",
      contentLength: 5,
      secure: true,
      remoteAddress: "192.0.2.1",
      remotePort: 4711,
      upgrade: false,
    });
    expect(head.headers).toEqual({
      host: "shop.example",
      "x-forwarded-for": "192.0.2.9",
      "content-type": "text/plain",
      "content-length": "5",
    });
    expect(head.variables["PATH_INFO"]).toBe("/x y");
  });

  it("joins repeated headers as Node does", () => {
    const head = headOf([
      ["HTTP_HOST", "one"],
      ["HTTP_HOST", "two"],
      ["HTTP_COOKIE", "a=1"],
      ["HTTP_COOKIE", "b=2"],
      ["HTTP_ACCEPT", "x"],
      ["HTTP_ACCEPT", "y"],
    ]);
    expect(head.headers).toEqual({ host: "one", cookie: "a=1; b=2", accept: "x, y" });
    expect({ ...head.headersDistinct }).toEqual({
      host: ["one", "two"],
      cookie: ["a=1", "b=2"],
      accept: ["x", "y"],
    });
    expect(head.rawHeaders).toHaveLength(12);
  });

  it("makes target and host from other variables when they are missing", () => {
    const result = readVariables(
      encoded([
        ["REQUEST_METHOD", "GET"],
        ["PATH_INFO", "/a"],
        ["QUERY_STRING", "b=1"],
        ["SERVER_NAME", "localhost"],
        ["SERVER_PORT", "8080"],
      ]),
    );
    expect(result).toMatchObject({
      ok: true,
      head: { url: "/a?b=1", headers: { host: "localhost:8080" } },
    });
  });

  it("is not led astray by names of JavaScript", () => {
    expect(headOf([["HTTP_CONSTRUCTOR", "x"]]).headers).toMatchObject({ constructor: "x" });
  });

  it("keeps bytes over 127 as Node does, and sees an upgrade", () => {
    const head = headOf([
      ["HTTP_X_NAME", "é"],
      ["HTTP_UPGRADE", "websocket"],
      ["HTTP_CONNECTION", "keep-alive, Upgrade"],
    ]);
    expect(head.headers["x-name"]).toBe(Buffer.from("é").toString("latin1"));
    expect(head.upgrade).toBe(true);
  });

  it.each([
    ["no method", [["REQUEST_URI", "/"]]],
    ["a method that is no word", [["REQUEST_METHOD", "GET /"], MINIMUM[1]]],
    ["CONNECT", [["REQUEST_METHOD", "CONNECT"], MINIMUM[1]]],
    ["no target", [["REQUEST_METHOD", "GET"]]],
    ["a target with a line break", [MINIMUM[0], ["REQUEST_URI", "/\r\nX: y"]]],
    ["a header with a line break", [...MINIMUM, ["HTTP_X", "a\r\nY: z"]]],
    ["a header name that is none", [...MINIMUM, ["HTTP_X Y", "a"]]],
    ["an empty header name", [...MINIMUM, ["HTTP_", "a"]]],
    ["a negative length", [...MINIMUM, ["CONTENT_LENGTH", "-1"]]],
    ["a length that is no number", [...MINIMUM, ["CONTENT_LENGTH", "5, 5"]]],
    ["a type with a line break", [...MINIMUM, ["CONTENT_TYPE", "a\nb"]]],
  ] as [string, Pairs][])("refuses %s", (_, pairs) => {
    expect(refusal(pairs)).toEqual(expect.any(String));
  });

  it("refuses a dictionary that is cut, or whose lengths lie", () => {
    const bytes = encoded(MINIMUM);
    for (let end = 1; end < bytes.length; end++) {
      const ok = readVariables(bytes.subarray(0, end)).ok;
      expect(ok).toBe(false);
    }
    const lying = bytes.slice();
    lying[0] = 0xff;
    expect(readVariables(lying).ok).toBe(false);
  });

  it("cannot be made to throw, and lets no control character through", () => {
    const text = fc.string({ unit: "binary", maxLength: 20 });
    const key = fc.oneof(
      text,
      text.map((name) => `HTTP_${name}`),
      fc.constantFrom("REQUEST_METHOD", "REQUEST_URI", "CONTENT_LENGTH", "HTTP___PROTO__"),
    );
    const pairs = fc.array(fc.tuple(key, text), { maxLength: 10 });
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      pairs.map((some) => encoded([...MINIMUM, ...some.filter(([name]) => name !== "")])),
    );
    fc.assert(
      fc.property(bytes, (body) => {
        const result = readVariables(body);
        if (!result.ok) return;
        // oxlint-disable-next-line no-control-regex
        for (const part of [result.head.url, ...result.head.rawHeaders])
          expect(part).not.toMatch(/[\0\r\n]/);
        expect(Object.getPrototypeOf(result.head.headers)).toBe(Object.prototype);
      }),
    );
  });
});
