import { sendDatagram } from "@emperor/linux";
import { once } from "node:events";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { expect, it } from "vitest";
import { Children } from "./children.ts";
import { NotifySocket, readNotice, untilAnswered } from "./readiness.ts";
import type { Notice } from "./readiness.ts";

it("reads what sd_notify sends", () => {
  expect(readNotice("READY=1\nSTATUS=a=b\nnonsense\n")).toEqual({
    ready: true,
    stopping: false,
    reloading: false,
    status: "a=b",
  });
  expect(readNotice("RELOADING=1\nSTOPPING=1\nREADY=0")).toMatchObject({
    ready: false,
    stopping: true,
    reloading: true,
  });
});

it("hears datagrams on a socket of its own until it is closed", async () => {
  let hear: (notice: Notice) => void = () => undefined;
  const heard = new Promise<Notice>((resolve) => {
    hear = resolve;
  });
  const socket = new NotifySocket(new Children(), hear);
  const path = socket.name.replace("@", "\0");
  sendDatagram(path, Buffer.from("READY=1"));
  expect((await heard).ready).toBe(true);
  socket.close();
  expect(() => sendDatagram(path, Buffer.from("READY=1"))).toThrow(/ECONNREFUSED/);
});

it("asks an address until it accepts, or until nobody wants to know any more", async () => {
  const server = createServer((socket) => socket.destroy());
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const text = `127.0.0.1:${port}`;
  const ready = {
    kind: "address",
    text,
    address: { kind: "tcp", host: "127.0.0.1", port },
  } as const;
  expect(await untilAnswered(ready, new AbortController().signal)).toBe(true);
  // It accepts, but what comes is no answer of HTTP.
  const patience = new AbortController();
  const answer = untilAnswered({ kind: "http", text: `http://${text}/` }, patience.signal);
  patience.abort();
  expect(await answer).toBe(false);
  server.close();
});
