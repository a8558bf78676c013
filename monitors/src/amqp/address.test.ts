import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { MonitorError } from "../errors.ts";
import { displayAmqpAddress, readAmqpAddress } from "./address.ts";

function file(text: string): string {
  const folder = mkdtempSync(join(tmpdir(), "em-amqp-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const path = join(folder, "secret");
  writeFileSync(path, text);
  return path;
}

describe("an address", () => {
  test("of host and port means guest and the default names, as in uWSGI", () => {
    expect(readAmqpAddress("amqp", "192.168.0.1:5672", "")).toMatchObject({
      secure: false,
      hostname: "192.168.0.1",
      port: 5672,
      username: "guest",
      password: "guest",
      vhost: "/",
      exchange: "uwsgi.emperor",
      exchangeType: "fanout",
      exchangeDurable: false,
      queue: undefined,
      binding: "",
    });
    expect(readAmqpAddress("amqp", "[::1]", "")).toMatchObject({ hostname: "::1", port: 5672 });
    expect(readAmqpAddress("amqps", "host", "")).toMatchObject({ secure: true, port: 5671 });
    // A port that http hides as its own.
    expect(readAmqpAddress("amqp", "host:80/v", "")).toMatchObject({ port: 80, vhost: "v" });
  });

  test("may name login, virtual host and everything that is declared", () => {
    const rest =
      "deploy:s%40cret@host/a%2Fb?exchange=x.${node}&type=topic&durable&queue=q.${node}&binding=web.%23&prefetch=5&heartbeat=30&push";
    expect(readAmqpAddress("amqp", rest, "web1")).toMatchObject({
      username: "deploy",
      password: "s@cret",
      vhost: "a/b",
      exchange: "x.web1",
      exchangeType: "topic",
      exchangeDurable: true,
      queue: "q.web1",
      binding: "web.#",
      prefetch: 5,
      heartbeatSeconds: 30,
      push: true,
    });
    expect(readAmqpAddress("amqp", "host?type=topic", "").binding).toBe("#");
  });

  test("may take its password from a file", () => {
    const path = encodeURIComponent(file("hunter2\n"));
    const read = readAmqpAddress("amqp", `deploy@host?password-file=${path}`, "");
    expect(read).toMatchObject({ username: "deploy", password: "hunter2" });
  });

  test("is shown without its password", () => {
    const shown = displayAmqpAddress(
      readAmqpAddress("amqps", "deploy:hunter2@[::1]:5673/shop?queue=q1", ""),
    );
    expect(shown).toBe("amqps://deploy@[::1]:5673/shop?queue=q1");
    const bound = displayAmqpAddress(readAmqpAddress("amqp", "h?type=topic&binding=web.%23", ""));
    expect(bound).toBe("amqp://h:5672?binding=web.%23");
    expect(displayAmqpAddress(readAmqpAddress("amqp", "h", ""))).toBe("amqp://h:5672");
  });

  test.each([
    ["amqp", "", "is not of the form"],
    ["amqp", "host:notaport", "is not of the form"],
    ["amqp", "host?exchagne=x", "is exchange meant?"],
    ["amqp", "host?prefetch=0", "from 1 to 65535"],
    ["amqp", "host?type=fan%20out", "type of exchange"],
    ["amqp", "host?ca=/etc/hostname", "only amqps:// speaks"],
    ["amqps", "host?ca=/nowhere", "cannot be read"],
    ["amqp", "host#x", "write %23"],
  ] as const)("%s://%s is refused with the reason", (scheme, rest, reason) => {
    expect(() => readAmqpAddress(scheme, rest, "")).toThrow(MonitorError);
    expect(() => readAmqpAddress(scheme, rest, "")).toThrow(reason);
  });

  test("that is refused does not tell its password", () => {
    expect(() => readAmqpAddress("amqp", "deploy:hunter2@host?x=1", "")).toThrow(/^(?!.*hunter2)/);
  });
});
