/** Takes namespaces from the `setns-socket` of a uWSGI instance. Loaded only where there is one to ask. */
import { close, connect, receiveDescriptors } from "@emperor/linux";
import { reasonOf } from "./errors.ts";
import { log, quote } from "./log.ts";

const ASK_AGAIN_MS = 100;
const WITHIN_MS = 60_000;
/** What uWSGI sends in front of the number of descriptors. */
const WORD = "uwsgi-setns";
const MOST = 64;

/**
 * Descriptors of its namespaces. Waits for the instance, which may come later, at most a minute (uWSGI: for ever);
 * rejects after that.
 */
export async function receiveNamespaces(path: string): Promise<readonly number[]> {
  const deadline = performance.now() + WITHIN_MS;
  for (let told = false; ; told = true) {
    try {
      return await ask(path, deadline);
    } catch (error) {
      if (performance.now() >= deadline) throw error;
      if (!told) log(`waiting for the setns-socket ${quote(path)}: ${reasonOf(error)}`);
    }
    await pause();
  }
}

async function ask(path: string, deadline: number): Promise<readonly number[]> {
  const { fd } = connect({ family: "unix", path: path.replace(/^@/, "\0") });
  try {
    for (;;) {
      const message = receiveDescriptors(fd, 256, MOST);
      if (message !== undefined) {
        const text = Buffer.from(message.bytes).toString("latin1");
        if (text.startsWith(WORD) && message.fds.length > 0) return message.fds;
        for (const stray of message.fds) close(stray);
        throw new Error("it sent no namespaces");
      }
      if (performance.now() >= deadline) throw new Error("it did not answer");
      await pause();
    }
  } finally {
    close(fd);
  }
}

async function pause(): Promise<void> {
  await new Promise((resolve) => {
    setTimeout(resolve, ASK_AGAIN_MS);
  });
}
