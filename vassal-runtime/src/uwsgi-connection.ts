/**
 * One connection of a uwsgi client, with its one request: packet, body, response, end. The request and
 * response are Node's own classes on the real socket, so that back-pressure, aborts and everything that
 * an app or framework does with them work as over HTTP. Does not know who else is connected.
 *
 * The response is what uWSGI sends: a head that begins with `HTTP/1.1 200 OK`, then the body until the
 * connection ends. nginx and uWSGI's routers read no chunked coding and no 1xx answers here, so there are
 * none. A client that closes its half is taken as gone, as Node's HTTP server takes it.
 */
import { IncomingMessage, ServerResponse } from "node:http";
import type { Server as HttpServer } from "node:http";
import type { Server as HttpsServer } from "node:https";
import { isIPv6 } from "node:net";
import type { Socket } from "node:net";
import { RequestPacketReader } from "@emperor/protocol";
import type { RequestPacket } from "@emperor/protocol";
import { prepareResponse } from "./uwsgi-response.ts";
import { readVariables } from "./uwsgi-variables.ts";
import type { UwsgiHead } from "./uwsgi-variables.ts";

export type AppServer = HttpServer | HttpsServer;

/** A request that came over the uwsgi protocol, as the app sees it. */
export interface UwsgiRequest extends IncomingMessage {
  /** All variables of the request that are no headers, such as what nginx's `uwsgi_param` added. */
  uwsgi?: Readonly<Record<string, string>>;
}

/** The protocol's number for "a request in CGI variables"; others address plugins of uWSGI. */
const REQUEST_MODIFIER = 0;
/**
 * After the response to a request whose body nobody read: closing at once would make the kernel reset
 * the connection, and the client could lose the response.
 */
const LINGER_MS = 5000;

type Fault = (fault: "malformed" | "shorter" | "longer", reason: string) => void;

export class UwsgiConnection {
  readonly #server: AppServer;
  readonly #socket: Socket;
  readonly #fault: Fault;
  /** Undefined once the packet is complete. */
  #reader: RequestPacketReader | undefined = new RequestPacketReader();
  #request: IncomingMessage | undefined;
  #response: ServerResponse | undefined;
  /** Bytes of the body that have not come yet. */
  #missingBytes = 0;
  #longer = false;
  #responded = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(server: AppServer, socket: Socket, fault: Fault) {
    this.#server = server;
    this.#socket = socket;
    this.#fault = fault;
    socket.on("error", ignore); // its close says all
    socket.on("close", this.#onClose);
    socket.on("end", this.#onEnd);
    socket.on("drain", this.#onDrain);
    socket.on("data", this.#onData);
    this.#arm(server.headersTimeout, () => this.#refuse("no whole packet came in time"));
  }

  readonly #onData = (chunk: Buffer): void => {
    if (this.#reader === undefined) return this.#onBody(chunk);
    const progress = this.#reader.push(chunk);
    if (progress.kind === "complete") this.#begin(progress.packet);
    else if (progress.kind === "too-large")
      this.#refuse(`its packet would have ${progress.sizeBytes} bytes`);
  };

  #begin({ modifier1, modifier2, variables, rest }: RequestPacket): void {
    this.#reader = undefined;
    clearTimeout(this.#timer);
    if (modifier1 !== REQUEST_MODIFIER)
      return this.#refuse(`modifiers ${modifier1} and ${modifier2} are no request of HTTP`);
    const result = readVariables(variables);
    if (!result.ok) return this.#refuse(result.reason);
    const { head } = result;
    describeClient(this.#socket, head);
    const request = this.#makeRequest(head);
    const body = Buffer.from(rest.buffer, rest.byteOffset, rest.length);
    if (head.upgrade && this.#server.listenerCount("upgrade") > 0)
      return this.#handOver(request, body);
    const response = new ServerResponse(request);
    this.#response = response;
    prepareResponse(response, this.#socket);
    response.once("finish", this.#onFinish);
    if (this.#missingBytes === 0) this.#complete(request);
    else this.#arm(this.#server.requestTimeout, () => this.#socket.destroy());
    if (body.length > 0) this.#onBody(body);
    if (!this.#server.emit("request", request, response)) response.writeHead(501).end();
  }

  #makeRequest(head: UwsgiHead): IncomingMessage {
    const request: UwsgiRequest = new IncomingMessage(this.#socket);
    request.httpVersion = "1.1";
    request.httpVersionMajor = 1;
    request.httpVersionMinor = 1;
    request.method = head.method;
    request.url = head.url;
    request.rawHeaders = head.rawHeaders;
    request.headers = head.headers;
    request.headersDistinct = head.headersDistinct;
    request.uwsgi = head.variables;
    this.#request = request;
    this.#missingBytes = head.contentLength;
    return request;
  }

  /** An upgrade (WebSocket): the connection belongs to the app from now on. */
  #handOver(request: IncomingMessage, head: Buffer): void {
    const socket = this.#socket;
    socket.off("data", this.#onData);
    socket.off("end", this.#onEnd);
    socket.off("drain", this.#onDrain);
    socket.off("close", this.#onClose);
    socket.off("error", ignore);
    // As Node hands a socket over: it flows when the app begins to listen.
    (socket as { readableFlowing: boolean | null }).readableFlowing = null;
    request.complete = true;
    request.push(null);
    this.#server.emit("upgrade", request, socket, head);
  }

  #onBody(chunk: Buffer): void {
    const request = this.#request;
    if (request === undefined) return;
    const part = chunk.length > this.#missingBytes ? chunk.subarray(0, this.#missingBytes) : chunk;
    this.#missingBytes -= part.length;
    if (part.length < chunk.length && !this.#longer) {
      this.#longer = true;
      this.#fault("longer", `${request.method} ${quoteUrl(request)}`);
    }
    if (part.length === 0) return;
    if (this.#missingBytes > 0) {
      if (!this.#responded && !request.push(part)) this.#socket.pause();
      return;
    }
    if (!this.#responded) request.push(part);
    this.#complete(request);
    if (this.#responded) this.#close();
    // The end of the connection is to be seen, however slowly the app reads what has come.
    else this.#socket.resume();
  }

  #complete(request: IncomingMessage): void {
    clearTimeout(this.#timer);
    request.complete = true;
    request.push(null);
  }

  readonly #onFinish = (): void => {
    this.#responded = true;
    const request = this.#request;
    if (request !== undefined && !request.readableEnded) request.resume(); // nobody will read it
    if (request?.complete === true && !this.#longer) return this.#close();
    this.#socket.end();
    this.#socket.resume();
    this.#arm(LINGER_MS, () => this.#socket.destroy());
  };

  #close(): void {
    this.#socket.destroySoon();
  }

  readonly #onDrain = (): void => {
    const response = this.#response;
    if (response !== undefined && !response.destroyed && !response.writableEnded)
      response.emit("drain");
  };

  readonly #onEnd = (): void => {
    const pending = this.#reader?.pendingBytes ?? 0;
    if (pending > 0) return this.#refuse(`its packet ends after ${pending} bytes`);
    if (this.#request !== undefined && !this.#request.complete && !this.#responded)
      this.#fault(
        "shorter",
        `${this.#request.method} ${quoteUrl(this.#request)} lacks ${this.#missingBytes} bytes`,
      );
    // What was answered is on its way: only then is there anything to wait for.
    if (this.#responded) this.#close();
    else this.#socket.destroy();
  };

  readonly #onClose = (): void => {
    clearTimeout(this.#timer);
    if (this.#responded || this.#request === undefined) return;
    this.#request.destroy(Object.assign(new Error("aborted"), { code: "ECONNRESET" }));
  };

  #refuse(reason: string): void {
    this.#reader = undefined;
    this.#fault("malformed", reason);
    this.#socket.destroy();
  }

  /** 0 is no limit, as for Node's own servers. */
  #arm(delayMs: number, late: () => void): void {
    clearTimeout(this.#timer);
    if (delayMs > 0) this.#timer = setTimeout(late, delayMs);
  }
}

function ignore(): void {}

function quoteUrl(request: IncomingMessage): string {
  return JSON.stringify((request.url ?? "").slice(0, 200));
}

/**
 * The proxy says who the client is and whether it came over TLS; the connection itself is the proxy's.
 * Frameworks look at exactly these properties (Express: `req.ip`, `req.secure`).
 */
function describeClient(socket: Socket, { remoteAddress, remotePort, secure }: UwsgiHead): void {
  const define = (name: string, value: unknown): void => {
    Object.defineProperty(socket, name, { value, configurable: true });
  };
  if (remoteAddress !== undefined) {
    define("remoteAddress", remoteAddress);
    define("remoteFamily", isIPv6(remoteAddress) ? "IPv6" : "IPv4");
    define("remotePort", remotePort);
  }
  if (secure) define("encrypted", true);
}
