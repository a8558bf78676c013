/**
 * The schemes `http://` and `https://`. Loaded when one is used. No redirects, as in uWSGI; unlike
 * there the answer has a deadline and a size limit, and TLS with a verified certificate exists.
 */
import type { IncomingMessage } from "node:http";
import { SourceTimeout } from "./deadline.ts";
import type { SourceBounds } from "./deadline.ts";

/** The server answered, but not with 2xx. */
export class HttpStatusError extends Error {
  override readonly name = "HttpStatusError";
  readonly status: number;
  constructor({ statusCode = 0, headers }: IncomingMessage) {
    const { location } = headers;
    const elsewhere =
      location === undefined
        ? ""
        : `, which points to ${JSON.stringify(location.slice(0, 200))}; redirects are not followed`;
    super(`the server answered with ${statusCode}${elsewhere}`);
    this.status = statusCode;
  }
}

/**
 * Body of a GET with any 2xx. `maxBytes` holds for the body as sent, `timeoutMs` for everything from
 * the look-up of the name to the last byte. Rejects with HttpStatusError, RangeError (too long),
 * SourceTimeout, or the error of the connection; a body that ends early is an error.
 */
export async function readHttp(
  address: string,
  { maxBytes, timeoutMs }: SourceBounds,
): Promise<Uint8Array> {
  const url = new URL(address);
  const { get } =
    url.protocol === "https:" ? await import("node:https") : await import("node:http");
  return new Promise((resolve, reject) => {
    const request = get(url, { agent: false, headers: { accept: "*/*" } });
    const giveUp = (error: Error): void => {
      clearTimeout(timer);
      request.destroy();
      reject(error);
    };
    const timer = setTimeout(() => giveUp(new SourceTimeout(timeoutMs)), timeoutMs);
    request.on("error", giveUp);
    request.once("response", (response) => {
      const { statusCode = 0 } = response;
      response.on("error", giveUp);
      if (statusCode < 200 || statusCode > 299) {
        giveUp(new HttpStatusError(response));
        return;
      }
      const chunks: Buffer[] = [];
      let total = 0;
      response.on("data", (chunk: Buffer) => {
        total += chunk.length;
        if (total > maxBytes) giveUp(new RangeError(`more than ${maxBytes} bytes`));
        else chunks.push(chunk);
      });
      response.once("end", () => {
        clearTimeout(timer);
        resolve(Buffer.concat(chunks, total));
      });
    });
  });
}
