/**
 * Tells of every request of this process, over whatever protocol it came, by looking at the servers'
 * own events. Installed only where somebody wants to know; the requests do not notice.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import { Server } from "node:net";

/** `end` comes once for each `begin`, when the response is complete or was cut. */
export interface RequestObserver {
  begin(request: IncomingMessage, response: ServerResponse): void;
  end(response: ServerResponse): void;
}

/** Adds an observer, for the life of the process. */
export function observeRequests(observer: RequestObserver): void {
  // oxlint-disable-next-line typescript/unbound-method -- it is called with its server below
  const { emit } = Server.prototype;
  Server.prototype.emit = function (this: Server, event: string | symbol, ...args: unknown[]) {
    if (event === "request" && args.length > 1) {
      const [request, response] = args as [IncomingMessage, ServerResponse];
      observer.begin(request, response);
      response.once("close", () => observer.end(response));
    }
    return Reflect.apply(emit, this, [event, ...args]) as boolean;
  };
}
