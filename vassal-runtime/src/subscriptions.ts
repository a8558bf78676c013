/**
 * Announces the vassal to routers, again and again, while it accepts, and takes that back before it goes. Datagrams
 * only: a router that is not there costs nothing and is found when it comes back. What routers answer is logged,
 * within limits, and never believed.
 */
import { createSign } from "node:crypto";
import { createSocket } from "node:dgram";
import type { Socket } from "node:dgram";
import { lookup } from "node:dns/promises";
import { existsSync, readFileSync } from "node:fs";
import { isIP } from "node:net";
import { encodeSubscription } from "@emperor/protocol";
import * as linux from "@emperor/linux";
import { RuntimeError, reasonOf } from "./errors.ts";
import { atLeaving } from "./leaving.ts";
import { log, quote } from "./log.ts";
import { makeRoom } from "./sockets.ts";
import type { SubscriptionSetting, SubscriptionSettings } from "./subscription-settings.ts";

/** A socket that can be announced. */
export interface Announced {
  readonly text: string;
  readonly protocol: string;
}

export interface SubscriberParts {
  readonly settings: SubscriptionSettings;
  readonly workers: number;
  /** The vassal's sockets now, with the address that others reach them by. */
  readonly sockets: () => readonly Announced[];
}

type Action = "subscribe" | "unsubscribe";

const ANSWER_BYTES = 512;
const ANSWERS_AT_ONCE = 16;
const ANSWER_LINES = 10;
const ANSWER_WINDOW_MS = 60_000;
const MOST_KEYS = 10_000;
const NOTIFY_MODE = 0o660;

/** Follows the settings from now on. Rejects with a `RuntimeError` when the notify socket cannot be bound. */
export async function createSubscriber(parts: SubscriberParts): Promise<Subscriber> {
  const { notifySocket, subscriptions } = parts.settings;
  if (notifySocket !== undefined)
    await hearAnswers(notifySocket, subscriptions[0]?.origin ?? notifySocket);
  return new Subscriber(parts);
}

export class Subscriber {
  readonly #parts: SubscriberParts;
  readonly #routes: readonly Route[];
  #state: "new" | "announced" | "silent" | "ended" = "new";
  #timer: NodeJS.Timeout | undefined;

  constructor(parts: SubscriberParts) {
    this.#parts = parts;
    this.#routes = parts.settings.subscriptions.map((setting) => new Route(setting, parts));
    if (parts.settings.startUnsubscribed) this.#state = "silent";
    // Whatever ends the process: a router must not send requests to nobody.
    atLeaving((why) => {
      if (why === "exit") this.end();
      else this.reloading();
    });
  }

  /** The app accepts; also again after a reload. */
  accepting(): void {
    if (this.#state !== "new" && this.#state !== "announced") return;
    this.#state = "announced";
    this.#announce();
    this.#timer ??= setInterval(() => this.#announce(), this.#parts.settings.everyMs).unref();
  }

  /** A graceful reload begins; announced again when the new app accepts, or the reload failed. */
  reloading(): void {
    if (this.#parts.settings.unsubscribeOnReload && this.#state === "announced")
      this.#send("unsubscribe");
  }

  /** The vassal stops: taken back at once, while running requests end. */
  end(): void {
    const was = this.#state;
    this.#state = "ended";
    clearInterval(this.#timer);
    if (was === "announced") this.#send("unsubscribe");
  }

  /** `S` of the master FIFO. */
  toggle(): void {
    if (this.#state === "ended") return;
    if (this.#state === "announced") {
      this.#state = "silent";
      clearInterval(this.#timer);
      this.#timer = undefined;
      this.#send("unsubscribe");
      return log("subscriptions are blocked");
    }
    this.#state = "new";
    this.accepting();
    log("subscriptions are sent again");
  }

  #announce(): void {
    if (this.#state === "announced") this.#send("subscribe");
  }

  #send(action: Action): void {
    for (const route of this.#routes) route.send(action);
  }
}

/** One subscription and the way to its router. */
class Route {
  readonly #setting: SubscriptionSetting;
  readonly #parts: SubscriberParts;
  readonly #post: Post;
  #problem: string | undefined;
  #announced = false;
  /** A router believes a signed packet only with a later time than the one before. */
  #lastTime = 0;

  constructor(setting: SubscriptionSetting, parts: SubscriberParts) {
    this.#setting = setting;
    this.#parts = parts;
    this.#post = createPost(setting, (reason) => this.#failed(reason));
  }

  send(action: Action): void {
    const { check } = this.#setting;
    if (action === "subscribe" && check !== undefined && !existsSync(check)) {
      if (this.#announced) this.#sendAll("unsubscribe");
      this.#announced = false;
      return;
    }
    this.#announced = action === "subscribe";
    this.#sendAll(action);
  }

  #sendAll(action: Action): void {
    try {
      for (const [key, modifier1] of this.#keys()) this.#post(this.#packet(action, key, modifier1));
      this.#problem = undefined;
    } catch (error) {
      this.#failed(reasonOf(error));
    }
  }

  /** Once for each new reason. */
  #failed(reason: string): void {
    if (reason === this.#problem) return;
    this.#problem = reason;
    const { key, origin, serverText } = this.#setting;
    log(
      `${origin}: subscription of ${quote(key)} to ${quote(serverText)}: ${reason}; trying again at the next announcement`,
    );
  }

  /** One key, or those of a file, which is read each time. */
  #keys(): readonly (readonly [key: string, modifier1: number | undefined])[] {
    const { key, modifier1 } = this.#setting;
    if (!key.startsWith("@")) return [[key, modifier1]];
    const lines = readFileSync(key.slice(1), "utf8").split("\n");
    return lines.slice(0, MOST_KEYS).flatMap((line) => {
      const [name = "", modifier = ""] = line.trim().split(",");
      if (name === "" || name.startsWith("#")) return [];
      return [[name, /^\d{1,3}$/.test(modifier) ? Number(modifier) : modifier1] as const];
    });
  }

  #packet(action: Action, key: string, modifier1: number | undefined): Uint8Array {
    const { more, modifier2, sign, weight } = this.#setting;
    const { settings, workers } = this.#parts;
    const { notifySocket } = settings;
    // A second later for the end of a subscription, as uWSGI has it.
    const now = Math.floor(Date.now() / 1000) + (action === "subscribe" ? 0 : 1);
    this.#lastTime = Math.max(this.#lastTime + 1, now);
    const encoded = encodeSubscription(
      {
        action,
        key,
        address: this.#address(),
        modifier1: modifier1 ?? 0,
        modifier2,
        fields: [
          ["cores", String(workers)],
          ["load", "0"],
          ["weight", String(weight ?? settings.weight)],
          ...more,
          ...(notifySocket === undefined ? [] : [["notify", notifySocket] as const]),
          ...(sign === undefined ? [] : [["unix", String(this.#lastTime)] as const]),
        ],
      },
      sign === undefined
        ? undefined
        : (body) => createSign(sign.digest).update(body).sign(readFileSync(sign.keyFile)),
    );
    if (!encoded.ok) throw new Error(`it does not fit into a packet (${encoded.reason})`);
    return encoded.bytes;
  }

  #address(): string {
    const { address } = this.#setting;
    const sockets = this.#parts.sockets();
    if (address !== undefined && !address.startsWith("=")) return address;
    const wanted =
      address === undefined
        ? // Routers speak the uwsgi protocol with those behind them.
          (sockets.find(({ protocol }) => protocol === "uwsgi") ?? sockets[0])
        : sockets[Number(address.slice(1))];
    if (wanted === undefined)
      throw new Error("the vassal has no such socket that could be announced; set addr");
    return wanted.text;
  }
}

type Post = (bytes: Uint8Array) => void;

/** Sends at once, so that a last word is out before the process ends. */
function createPost({ server }: SubscriptionSetting, failed: (reason: string) => void): Post {
  if (server.kind === "unix") return (bytes) => linux.sendDatagram(server.path, bytes);
  const { host, port } = server;
  let ready: Socket | undefined;
  /** What is to be said as soon as the address is known: only the latest of a kind counts. */
  let waiting: Uint8Array[] = [];
  const open = async (): Promise<void> => {
    const address = isIP(host) === 0 ? (await lookup(host)).address : host;
    const socket = createSocket(isIP(address) === 6 ? "udp6" : "udp4");
    socket.unref();
    // Nobody there, told by the kernel: the next announcement may find somebody.
    socket.on("error", (error) => failed(reasonOf(error)));
    socket.connect(port, address, () => {
      ready = socket;
      for (const bytes of waiting.splice(0)) socket.send(bytes);
    });
  };
  let opening: Promise<void> | undefined;
  return (bytes) => {
    if (ready !== undefined) return ready.send(bytes);
    waiting = [...waiting.slice(-MOST_KEYS), bytes];
    opening ??= open().catch((error: unknown) => {
      opening = undefined;
      failed(reasonOf(error));
    });
  };
}

/** Whatever comes is shown, a few lines a minute; nothing that is in it is obeyed. */
async function hearAnswers(path: string, origin: string): Promise<void> {
  await makeRoom(path, { text: path, origin });
  let fd: number;
  try {
    fd = linux.bindDatagram(path, NOTIFY_MODE);
  } catch (error) {
    const reason = `subscription-notify-socket ${JSON.stringify(path)}: ${reasonOf(error)}`;
    throw new RuntimeError("VASSAL_BIND", reason, {}, { cause: error });
  }
  let since = -Infinity;
  let lines = 0;
  const watcher = linux.createWatcher(() => {
    for (let count = 0; count < ANSWERS_AT_ONCE; count++) {
      const message = linux.receiveDatagram(fd, ANSWER_BYTES);
      if (message === undefined) break;
      const now = performance.now();
      if (now - since > ANSWER_WINDOW_MS) {
        since = now;
        lines = 0;
      }
      lines += 1;
      if (lines > ANSWER_LINES) continue;
      const text = quote(Buffer.from(message.bytes).toString("latin1").trim());
      log(
        `a router says: ${text}${lines === ANSWER_LINES ? "; more of this minute is left out" : ""}`,
      );
    }
    watcher.rearm(0);
  });
  watcher.addReadable(fd, 0);
  watcher.unref();
  atLeaving(() => linux.close(fd));
}
