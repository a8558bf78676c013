/**
 * Reads `amqp://` and `amqps://` addresses: server, login, virtual host and what the Emperor declares
 * there. Knows the form only; connects to nothing.
 */
import { AddressOptions, invalidOption } from "../address-options.ts";

export interface AmqpAddress {
  readonly secure: boolean;
  readonly hostname: string;
  readonly port: number;
  readonly username: string;
  readonly password: string;
  readonly vhost: string;
  readonly heartbeatSeconds: number;
  readonly prefetch: number;
  readonly exchange: string;
  readonly exchangeType: string;
  readonly exchangeDurable: boolean;
  /** Name of a durable queue; undefined: an exclusive one that goes with the connection. */
  readonly queue: string | undefined;
  /** Routing keys that the queue gets, where the type of the exchange looks at them. */
  readonly binding: string;
  /** An `emperor` address whose vassals are wanted before any message is read. */
  readonly snapshot: string | undefined;
  /** Configs at `http://` addresses go through the config pipe, too, instead of their address. */
  readonly push: boolean;
  readonly tls: AmqpTls;
}

export interface AmqpTls {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly servername?: string;
}

const OPTIONS = [
  "exchange",
  "type",
  "durable",
  "queue",
  "binding",
  "prefetch",
  "heartbeat",
  "snapshot",
  "push",
  "password-file",
  "ca",
  "cert",
  "key",
  "servername",
];

/** The types that every broker has; others are plugins', which may be named all the same. */
const TYPE = /^[A-Za-z0-9_-]{1,64}$/;

/** A broker that says nothing for two of these is gone. */
const HEARTBEAT_SECONDS = 10;

/**
 * `HOST[:PORT]` as in uWSGI, with guest, guest and `/` as there; and the form that RabbitMQ documents,
 * `USER:PASSWORD@HOST:PORT/VHOST`, each part percent-encoded where need be. `${node}` in the names of
 * exchange, queue and binding stands for `node`.
 * @param rest what follows `SCHEME://`
 * @throws MonitorError
 */
export function readAmqpAddress(scheme: "amqp" | "amqps", rest: string, node: string): AmqpAddress {
  const argument = `${scheme}://${rest}`;
  // http, because URLs of unknown schemes do not check their host.
  const form = `http://${rest}`;
  if (!URL.canParse(form))
    throw invalidOption(argument, "is not of the form USER:PASSWORD@HOST:PORT/VHOST?OPTIONS");
  const url = new URL(form);
  const options = new AddressOptions(argument, url.search.slice(1), OPTIONS);
  if (url.hash !== "") throw options.error("has a # in it; write %23");
  const port = /^[^/?]*:(\d+)(?:[/?]|$)/.exec(rest)?.[1];
  const type = options.text("type") ?? "fanout";
  if (!TYPE.test(type)) throw options.error("has a type of exchange that cannot be one");
  const named = (key: string): string | undefined => options.text(key)?.replaceAll("${node}", node);
  const secret = options.file("password-file");
  const hasLogin = url.username !== "" || url.password !== "";
  const tls: Record<keyof AmqpTls, string | undefined> = {
    ca: options.file("ca"),
    cert: options.file("cert"),
    key: options.file("key"),
    servername: options.text("servername"),
  };
  const given = Object.fromEntries(Object.entries(tls).filter(([, value]) => value !== undefined));
  if (scheme === "amqp" && Object.keys(given).length > 0)
    throw options.error("has options for TLS, which only amqps:// speaks");
  return {
    secure: scheme === "amqps",
    hostname: url.hostname.replace(/^\[|\]$/g, ""),
    port: port === undefined ? (scheme === "amqps" ? 5671 : 5672) : Number(port),
    username: hasLogin ? decodeURIComponent(url.username) : "guest",
    password:
      secret?.replace(/\r?\n$/, "") ?? (hasLogin ? decodeURIComponent(url.password) : "guest"),
    vhost: decodeURIComponent(url.pathname.slice(1)) || "/",
    heartbeatSeconds: options.integer("heartbeat", HEARTBEAT_SECONDS, 1, 3600),
    prefetch: options.integer("prefetch", 100, 1, 65_535),
    exchange: named("exchange") ?? "uwsgi.emperor",
    exchangeType: type,
    exchangeDurable: options.flag("durable"),
    queue: named("queue"),
    binding: named("binding") ?? (type === "topic" ? "#" : ""),
    snapshot: named("snapshot"),
    push: options.flag("push"),
    tls: given,
  };
}

/**
 * The address without its password, fit for the log and the statistics; with all that makes it another
 * source than the next one.
 */
export function displayAmqpAddress(address: AmqpAddress): string {
  const { secure, hostname, port, username, vhost, exchange, queue, binding } = address;
  const host = hostname.includes(":") ? `[${hostname}]` : hostname;
  const login = username === "guest" ? "" : `${encodeURIComponent(username)}@`;
  const path = vhost === "/" ? "" : `/${encodeURIComponent(vhost)}`;
  const names = new URLSearchParams({
    ...(exchange === "uwsgi.emperor" ? {} : { exchange }),
    ...(queue === undefined ? {} : { queue }),
    ...(binding === "" || binding === "#" ? {} : { binding }),
  }).toString();
  return `${secure ? "amqps" : "amqp"}://${login}${host}:${port}${path}${names === "" ? "" : `?${names}`}`;
}
