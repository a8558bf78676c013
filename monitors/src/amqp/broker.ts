/**
 * One connection to an AMQP broker, from the handshake to the consumer: exchange, queue, binding. Says
 * what ends it. Knows no vassal and no content of a message.
 */
import { Duplex } from "node:stream";
import type { Channel, ChannelModel, ConsumeMessage } from "amqplib";
import { quoteName } from "../names.ts";
import { reasonOf } from "../reason.ts";
import type { AmqpAddress } from "./address.ts";

/** How long a goodbye may take before the connection is cut. */
const GOODBYE_MS = 1000;

/** How long connecting and the handshake may take without a byte, ms. */
const CONNECT_MS = 15_000;

export interface BrokerListener {
  /** The connection is of no use any more; said once. */
  lost(reason: string): void;
  notice(severity: "info" | "warning", message: string): void;
}

export class Broker {
  readonly #address: AmqpAddress;
  readonly #listener: BrokerListener;
  readonly #model: ChannelModel;
  #channel: Channel | undefined;
  #isOver = false;
  #closing: Promise<void> | undefined;

  private constructor(address: AmqpAddress, listener: BrokerListener, model: ChannelModel) {
    this.#address = address;
    this.#listener = listener;
    this.#model = model;
    // The library says "error" with the reason and then "close"; after a regular end only the latter.
    model.on("error", (error) => this.#lost(reasonOf(error)));
    model.on("close", () => this.#lost("the broker closed the connection"));
    model.on("blocked", (reason) =>
      listener.notice("warning", `the broker takes no messages at present: ${reason}`),
    );
    model.on("unblocked", () => listener.notice("info", "the broker takes messages again"));
  }

  /** @throws Error with the reason when the broker cannot be reached, or refuses the login */
  static async connect(
    address: AmqpAddress,
    node: string,
    listener: BrokerListener,
    signal: AbortSignal,
  ): Promise<Broker> {
    const { connect } = await import("amqplib");
    const { secure, hostname, port, username, password, vhost, heartbeatSeconds, tls } = address;
    const model = await connect(
      {
        protocol: secure ? "amqps" : "amqp",
        hostname,
        port,
        username,
        password,
        vhost,
        heartbeat: heartbeatSeconds,
      },
      {
        ...tls,
        noDelay: true,
        keepAlive: true,
        timeout: CONNECT_MS,
        clientProperties: {
          product: "emperor",
          connection_name: node === "" ? "emperor" : `emperor of ${node}`,
        },
      },
    );
    const broker = new Broker(address, listener, model);
    if (signal.aborted) {
      broker.#cut();
      throw new Error("nobody waits for this connection any more");
    }
    signal.addEventListener("abort", () => void broker.close(), { once: true });
    return broker;
  }

  /** Declares exchange and queue and binds them: from here on the broker keeps messages for us. */
  async declare(): Promise<string> {
    const { queue, exchange, binding, prefetch } = this.#address;
    await this.#declareExchange();
    const channel = await this.#open();
    const declared =
      queue === undefined
        ? await channel.assertQueue("", { exclusive: true, autoDelete: true, durable: false })
        : await channel.assertQueue(queue, { durable: true });
    await channel.bindQueue(declared.queue, exchange, binding);
    await channel.prefetch(prefetch);
    return declared.queue;
  }

  async consume(queue: string, onMessage: (message: ConsumeMessage) => void): Promise<void> {
    const channel = this.#channel;
    if (channel === undefined) throw new Error("its channel is closed");
    await channel.consume(queue, (message) => {
      if (message === null)
        this.#lost(`the broker ended the consumer: queue ${quoteName(queue)} is gone`);
      else if (!this.#isOver) onMessage(message);
    });
  }

  /** The message was dealt with, or can never be: a dead-letter exchange of the queue gets it then. */
  settle(message: ConsumeMessage, isTaken: boolean): void {
    const channel = this.#channel;
    if (this.#isOver || channel === undefined) return;
    try {
      if (isTaken) channel.ack(message);
      else channel.reject(message, false);
    } catch (error) {
      // The channel was closed a moment ago, which is on its way to us; the message comes again.
      this.#lost(reasonOf(error));
    }
  }

  /** Says goodbye if the broker still listens, and cuts the connection if it does not answer. */
  close(): Promise<void> {
    this.#isOver = true;
    this.#closing ??= this.#sayGoodbye();
    return this.#closing;
  }

  async #sayGoodbye(): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const tooLong = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, GOODBYE_MS);
    });
    try {
      await Promise.race([this.#model.close(), tooLong]);
    } catch {
      // It was closed before.
    }
    clearTimeout(timer);
    this.#cut();
  }

  async #open(): Promise<Channel> {
    const channel = await this.#model.createChannel();
    this.#channel = channel;
    // A channel that the broker closes says why as an error; one of an older attempt is of no interest.
    channel.on("error", (error) => {
      if (this.#channel === channel) this.#lost(reasonOf(error));
    });
    channel.on("close", () => {
      if (this.#channel === channel) this.#lost("the broker closed the channel");
    });
    return channel;
  }

  /**
   * As the documentation's clients do: declared if it is not there. One that exists and differs only
   * in being durable is as good; one of another type would not give us every message.
   */
  async #declareExchange(): Promise<void> {
    const { exchange, exchangeType, exchangeDurable } = this.#address;
    let refusal = await this.#tryExchange(exchangeDurable);
    if (refusal !== undefined && /inequivalent arg 'durable'/.test(refusal))
      refusal = await this.#tryExchange(!exchangeDurable);
    if (refusal !== undefined)
      throw new Error(
        `its exchange ${quoteName(exchange)} cannot be declared as ${exchangeType}: ${refusal}`,
      );
  }

  /** In a channel of its own: the broker closes it if it refuses. */
  async #tryExchange(durable: boolean): Promise<string | undefined> {
    const { exchange, exchangeType } = this.#address;
    const channel = await this.#model.createChannel();
    channel.on("error", () => undefined);
    try {
      await channel.assertExchange(exchange, exchangeType, { durable, autoDelete: false });
      await channel.close();
      return undefined;
    } catch (error) {
      if (this.#isOver) throw error;
      return reasonOf(error);
    }
  }

  #lost(reason: string): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#listener.lost(reason);
  }

  /** The library keeps the socket to itself and waits for the peer for ever. */
  #cut(): void {
    const connection: object = this.#model.connection;
    if ("stream" in connection && connection.stream instanceof Duplex) connection.stream.destroy();
  }
}
