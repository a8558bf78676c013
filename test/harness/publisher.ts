/** A publisher of AMQP messages, as an operator's deployment tool is one. Knows no Emperor. */
import { connect } from "amqplib";
import type { Channel, ChannelModel, Options } from "amqplib";
import { onTestFinished } from "vitest";

export interface Publisher {
  readonly model: ChannelModel;
  readonly channel: Channel;
  /** An empty routing key means: the body is a path or a URL. */
  send(routingKey: string, body: string | Buffer, options?: Options.Publish): void;
}

/** Declares the exchange as the documentation's clients do; the connection ends with the test. */
export async function publisherTo(
  url: string,
  exchange = "uwsgi.emperor",
  declare = { type: "fanout", durable: false },
): Promise<Publisher> {
  const model = await connect(url);
  // The broker goes away in some tests; what is lost then, the test sees by what does not happen.
  model.on("error", () => undefined);
  const channel = await model.createChannel();
  channel.on("error", () => undefined);
  onTestFinished(async () => {
    await model.close().catch(() => undefined);
  });
  await channel.assertExchange(exchange, declare.type, { durable: declare.durable });
  return {
    model,
    channel,
    send: (routingKey, body, options) =>
      void channel.publish(exchange, routingKey, Buffer.from(body), options),
  };
}
