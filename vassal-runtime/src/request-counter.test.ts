import { once } from "node:events";
import { createServer, get } from "node:http";
import type { IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, it } from "vitest";
import { RequestCounter } from "./request-counter.ts";
import { observeRequests } from "./request-observer.ts";

it("counts what runs, ends, fails and is sent, whoever listens", async () => {
  const counter = new RequestCounter();
  observeRequests(counter);
  const during: number[] = [];
  const server = createServer((request, response) => {
    during.push(counter.totals.running);
    if (request.url === "/fail") response.statusCode = 500;
    if (request.url === "/cut") response.destroy();
    else response.end("y".repeat(100));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  for (const path of ["/", "/fail", "/cut"]) {
    const asked = get({ host: "127.0.0.1", port, path, agent: false });
    const [answer] = (await Promise.race([once(asked, "response"), once(asked, "close")]).catch(
      () => [],
    )) as [IncomingMessage?];
    answer?.resume();
    if (answer !== undefined) await once(answer, "end");
  }
  server.close();
  await once(server, "close");
  expect(during).toEqual([1, 1, 1]);
  expect(counter.totals).toMatchObject({ requests: 3, running: 0, failures: 1 });
  expect(counter.totals.sentBytes).toBeGreaterThan(200);
  expect(counter.totals.averageUs).toBeLessThanOrEqual(counter.totals.runningTimeUs);
});
