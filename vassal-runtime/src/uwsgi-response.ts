/**
 * Makes Node's response class write what a uwsgi client reads. The changes are properties of the one
 * response, because frameworks replace its prototype. Knows no connection but its socket.
 */
import type { OutgoingHttpHeader, OutgoingHttpHeaders, ServerResponse } from "node:http";
import type { Socket } from "node:net";

type HeaderArgument = OutgoingHttpHeaders | OutgoingHttpHeader[];

/**
 * Connects the response with its socket: no chunked coding (the end of the connection ends the body),
 * no kept-alive connection, no 1xx answers.
 */
export function prepareResponse(response: ServerResponse, socket: Socket): void {
  response.shouldKeepAlive = false;
  // Node then counts a body that it has as a whole, and else lets the connection's end be the body's.
  response.removeHeader("transfer-encoding");
  response.writeHead = writeHeadUncoded;
  response.writeContinue = informNobody;
  response.writeProcessing = informNobody;
  response.writeEarlyHints = (_hints, callback) => callback?.();
  // Node's server keeps this as a flag that it clears itself; here the socket knows.
  Object.defineProperty(response, "writableNeedDrain", {
    configurable: true,
    get: () => !response.destroyed && !response.writableEnded && socket.writableNeedDrain,
  });
  response.assignSocket(socket);
}

function informNobody(callback?: () => void): void {
  callback?.();
}

/** An app that asks for chunked coding gets an uncoded body: this is how the client reads it. */
function writeHeadUncoded(
  this: ServerResponse,
  status: number,
  ...rest: readonly unknown[]
): ServerResponse {
  if (!this.headersSent) this.removeHeader("transfer-encoding");
  const plain = rest.map((argument) =>
    typeof argument === "object" && argument !== null
      ? withoutCoding(argument as HeaderArgument)
      : argument,
  );
  const prototype = Object.getPrototypeOf(this) as ServerResponse;
  return (prototype.writeHead as (...all: unknown[]) => ServerResponse).call(
    this,
    status,
    ...plain,
  );
}

function isCoding(name: unknown): boolean {
  return typeof name === "string" && name.toLowerCase() === "transfer-encoding";
}

function withoutCoding(headers: HeaderArgument): HeaderArgument {
  if (!Array.isArray(headers)) {
    if (!Object.keys(headers).some(isCoding)) return headers;
    return Object.fromEntries(Object.entries(headers).filter(([name]) => !isCoding(name)));
  }
  // Pairs, or names and values in turn.
  if (Array.isArray(headers[0]))
    return headers.filter((pair) => !isCoding(Array.isArray(pair) ? pair[0] : pair));
  return headers.filter((_, index) => !isCoding(headers[index - (index % 2)]));
}
