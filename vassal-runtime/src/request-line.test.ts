import { describe, expect, it } from "vitest";
import { compileLogFormat, usualLine } from "./request-line.ts";
import type { ServedRequest } from "./request-line.ts";

const HEAD = "HTTP/1.1 404 Not Found\r\nContent-Type: text/plain\r\nX: y\r\n\r\n";
const served: ServedRequest = {
  request: {
    method: "GET",
    url: "/a?b=c",
    httpVersion: "1.1",
    headers: {
      host: "shop",
      authorization: "Basic YW5uOnNlY3JldA==",
      "x-forwarded-for": "9.9.9.9, 1.1.1.1",
    },
    rawHeaders: ["Host", "shop"],
  },
  address: "127.0.0.1",
  status: 404,
  head: () => HEAD,
  sentBytes: HEAD.length + 5,
  startedAt: Date.UTC(2026, 0, 2, 3, 4, 5, 678),
  tookUs: 1_234_567,
  worker: 2,
  pid: 77,
  requests: 9,
  cut: false,
};

function line(format: string, other: Partial<ServedRequest> = {}): string {
  return String(compileLogFormat(format).render({ ...served, ...other }, {}));
}

describe("log-format", () => {
  it("has the variables that mean something here", () => {
    expect(
      line("%(method) %(uri) %(proto) %(status) %(addr) %(host) %(referer) %(user) %(pid) %(wid)"),
    ).toBe("GET /a?b=c HTTP/1.1 404 127.0.0.1 shop - ann 77 2");
    expect(line("%(micros) %(msecs) %(secs) %(time) %(tmsecs) %(epoch)")).toBe(
      "1234567 1234 1.234567 1767323045 1767323045678 1767323046",
    );
    expect(line("%(size) %(hsize) %(rsize) %(headers) %(cl) %(vars) %(pktsize)")).toBe(
      `${HEAD.length + 5} ${HEAD.length} 5 2 0 1 12`,
    );
    expect(
      line("%(var.HTTP_HOST) %(var.QUERY_STRING) %(var.PATH_INFO) %(var.REMOTE_ADDR) %(var.NO)"),
    ).toBe("shop b=c /a 127.0.0.1 -");
  });

  it("takes the proxy's word, keeps what is no variable, and tells of unknown ones", () => {
    const request = { ...served.request, uwsgi: { REMOTE_USER: "bob", SHOP: "7" } };
    expect(line("%(user) %(var.SHOP)", { request })).toBe("bob 7");
    expect(line("100%% % %() %x (%(core))")).toBe("100% % %() %x (0)");
    const { unknown } = compileLogFormat("%(a) %(uri) %(toString) %(b)");
    expect(unknown).toEqual(["a", "toString", "b"]);
    expect(line("%(a) %(toString)")).toBe("- -");
  });

  it("lets no client forge a line, a field or a full disk", () => {
    const request = { ...served.request, url: `/"\\\n\r\u001b[2J\u0085\u2028${"x".repeat(5000)}` };
    const text = line('{"uri": "%(uri)"}', { request });
    for (const character of "\n\r\u001b\u0085\u2028") expect(text).not.toContain(character);
    expect(text.length).toBeLessThan(2200);
    expect((JSON.parse(text) as { uri: string }).uri).toBe(`${request.url.slice(0, 2048)}...`);
  });

  it("can be one of strftime, too", () => {
    const { render } = compileLogFormat("%Y %(uri)");
    expect(render(served, { strftime: true })).toBe("2026 /a?b=c");
  });
});

it("has uWSGI's own form", () => {
  expect(usualLine(served, { micros: true, forwardedFor: true })).toMatch(
    /^\[pid: 77\|app: 0\|req: 9\/9\] 9\.9\.9\.9 \(ann\) \{1 vars in 12 bytes\} \[\w{3} Jan  \d [\d:]{8} 2026\] GET \/a\?b=c => generated 5 bytes in 1234567 micros \(HTTP\/1\.1 404\) 2 headers in 58 bytes \(1 switches on core 0\)$/,
  );
});
