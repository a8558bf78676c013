/**
 * What tests with a RabbitMQ begin with: one broker per file of tests, an exchange per test, an Emperor
 * that follows it, a publisher. Knows no case.
 */
import { afterAll, beforeAll } from "vitest";
import { vassalConfig } from "./configs.ts";
import { startEmperor } from "./emperor.ts";
import type { EmperorUnderTest, StartOptions } from "./emperor.ts";
import { publisherTo } from "./publisher.ts";
import type { Publisher } from "./publisher.ts";
import { hasRabbitmq, RabbitmqUnderTest } from "./rabbitmq.ts";

/** The broker of this file of tests, from `useBroker` on. */
export let broker: RabbitmqUnderTest;
let exchanges = 0;

/** Starts one before the tests of this file, and ends it after them. */
export function useBroker(): void {
  beforeAll(async () => {
    if (hasRabbitmq) broker = await RabbitmqUnderTest.start();
  }, 150_000);

  afterAll(async () => {
    if (hasRabbitmq) await broker.close();
  });
}

/** An exchange of this test's own. */
export function newExchange(): string {
  exchanges += 1;
  return `emperor.${exchanges}`;
}

export interface Scene {
  readonly emperor: EmperorUnderTest;
  readonly publisher: Publisher;
  readonly exchange: string;
}

/** An Emperor that follows an exchange of its own, connected, and a publisher. */
export async function scene(query = "", options: StartOptions = {}): Promise<Scene> {
  const exchange = newExchange();
  const publisher = await publisherTo(broker.url, exchange);
  const emperor = await startEmperor({
    monitors: [`${broker.url}?exchange=${exchange}${query}`],
    ...options,
  });
  await connected(emperor);
  return { emperor, publisher, exchange };
}

/** The queue is bound to the exchange: what is published from now on reaches the Emperor. */
export async function connected(emperor: EmperorUnderTest, times = 1): Promise<void> {
  await emperor.wait(
    "the Emperor to be connected",
    async () => {
      const again = emperor.log().match(/is available again/g)?.length ?? 0;
      // The operator's "look again now" cuts the pause between two attempts short.
      if (again < times - 1) emperor.signal("SIGWINCH");
      return again >= times - 1 && (await emperor.stats()).monitors?.[0]?.state === "connected";
    },
    60_000,
  );
}

/** A vassal that asks for its config at each reload. */
export const reads = (note: string): string => vassalConfig("re-reads-config", { note });
/** A plain vassal. */
export const loyal = (note: string): string => vassalConfig("loyal", { note });
