/**
 * Turns an object with `fetch(Request): Response` (the shape of Hono, of Deno and Bun servers, of edge
 * functions) into a Node request listener. Bodies stream both ways. Loaded only for such apps.
 */
import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { reasonOf } from "./errors.ts";
import { log } from "./log.ts";

export type FetchHandler = { fetch(request: Request): Response | Promise<Response> };

/** A listener that answers with what `handler.fetch` returns; if it throws, with 500. */
export function fetchListener(handler: FetchHandler): RequestListener {
  return (incoming, outgoing) => {
    answer(handler, incoming, outgoing).catch((error: unknown) => {
      if (outgoing.headersSent || outgoing.destroyed) {
        // Too late for a status: a cut connection tells the client that the answer is incomplete.
        outgoing.destroy();
      } else {
        outgoing.statusCode = 500;
        outgoing.end("Internal Server Error\n");
      }
      if (!incoming.destroyed || incoming.complete)
        log(`fetch() failed, the request gets 500: ${reasonOf(error)}`);
    });
  };
}

async function answer(
  handler: FetchHandler,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
): Promise<void> {
  const aborted = new AbortController();
  outgoing.once("close", () => {
    if (!outgoing.writableFinished) aborted.abort();
  });
  const response = await handler.fetch(toRequest(incoming, aborted.signal));
  outgoing.statusCode = response.status;
  if (response.statusText !== "") outgoing.statusMessage = response.statusText;
  for (const [name, value] of response.headers)
    if (name !== "set-cookie") outgoing.setHeader(name, value);
  const cookies = response.headers.getSetCookie();
  if (cookies.length > 0) outgoing.setHeader("set-cookie", cookies);
  if (response.body === null) outgoing.end();
  else await pipeline(Readable.fromWeb(response.body), outgoing);
}

function toRequest(incoming: IncomingMessage, signal: AbortSignal): Request {
  const headers = new Headers();
  for (const [name, values] of Object.entries(incoming.headersDistinct)) {
    for (const value of values ?? []) headers.append(name, value);
  }
  const scheme = "encrypted" in incoming.socket ? "https" : "http";
  const target = incoming.url ?? "/";
  const url = target.startsWith("/")
    ? `${scheme}://${incoming.headers.host ?? "localhost"}${target}`
    : target;
  const method = incoming.method ?? "GET";
  if (method === "GET" || method === "HEAD") return new Request(url, { method, headers, signal });
  const body = Readable.toWeb(incoming) as unknown as NonNullable<
    ConstructorParameters<typeof Response>[0]
  >; // the DOM's stream type and Node's differ in name only
  return new Request(url, { method, headers, signal, body, duplex: "half" });
}
