/** One request to the control socket, and the stream of events. Knows no command. */
import { request, type IncomingMessage } from "node:http";

export interface Reply {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
}

/** The Emperor cannot be spoken to, or does not say what it should. */
export class NoEmperor extends Error {
  override readonly name = "NoEmperor";
}

function open(socketPath: string, method: string, path: string): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const call = request({ socketPath, method, path, agent: false });
    call.once("response", resolve);
    call.once("error", (error) => {
      reject(new NoEmperor(`no answer at ${socketPath}: ${error.message}`));
    });
    call.end();
  });
}

/** @throws NoEmperor */
export async function ask(socketPath: string, method: string, path: string): Promise<Reply> {
  const response = await open(socketPath, method, path);
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of response) chunks.push(chunk as Buffer);
  } catch (error) {
    throw new NoEmperor(`the answer broke off: ${String(error)}`);
  }
  const text = Buffer.concat(chunks).toString("utf8");
  try {
    const body: unknown = JSON.parse(text);
    if (typeof body === "object" && body !== null)
      return { status: response.statusCode ?? 0, body: body as Reply["body"] };
  } catch {
    // Said below.
  }
  throw new NoEmperor(`what answers at ${socketPath} is no Emperor: ${text.slice(0, 80)}`);
}

/**
 * Calls `line` for each line of the answer until it ends.
 * @throws NoEmperor
 */
export async function follow(
  socketPath: string,
  path: string,
  line: (text: string) => void,
): Promise<void> {
  const response = await open(socketPath, "GET", path);
  let rest = "";
  response.setEncoding("utf8");
  try {
    for await (const chunk of response) {
      const lines = (rest + String(chunk)).split("\n");
      rest = lines.pop() ?? "";
      for (const text of lines) line(text);
    }
  } catch {
    throw new NoEmperor("the Emperor ended, or the connection to it");
  }
  if (response.statusCode !== 200) throw new NoEmperor(`the Emperor refused: ${rest}`);
}
