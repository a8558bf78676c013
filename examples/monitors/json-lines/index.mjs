/** `jsonl://HOST:PORT`: a server sends {"name":"a.ini","config":"..."} per line; see docs/monitors.md. */
import { connect } from "node:net";

function readLine(line, listener) {
  let change;
  try {
    change = JSON.parse(line);
  } catch {
    // There is no name in it, either.
  }
  const { name, config } = change ?? {};
  if (typeof name !== "string") listener.notice("warning", "ignoring a line without a name");
  else if (typeof config === "string") listener.wanted({ name, config: Buffer.from(config) });
  else listener.unwanted(name);
}

export const imperialMonitor = {
  scheme: "jsonl",
  source(address) {
    const { hostname: host, port } = new URL(`tcp://${address}`);
    return {
      id: `jsonl:${address}`,
      address: `jsonl://${address}`,
      secrets: [],
      needsSuffix: true,
      connect: (listener, signal) =>
        new Promise((resolve, reject) => {
          const socket = connect({ host, port: Number(port) }).setEncoding("utf8");
          signal.addEventListener("abort", () => socket.destroy());
          socket.once("error", reject).once("close", () => listener.lost("the connection ended"));
          socket.once("connect", () => resolve({ close: () => socket.destroy() }));
          let rest = "";
          socket.on("data", (text) => {
            const lines = (rest + text).split("\n");
            rest = lines.pop();
            for (const line of lines) readLine(line, listener);
            if (rest.length > 100_000) listener.lost("a line is too long");
          });
        }),
    };
  },
};
