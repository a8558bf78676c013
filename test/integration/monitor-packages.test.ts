/** Schemes that packages bring: the example of docs/monitors.md, as a file and as an installed package. */
import { cpSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { vassalConfig } from "../harness/configs.ts";
import { startEmperor } from "../harness/emperor.ts";
import { waitFor } from "../harness/wait.ts";

const EXAMPLE = join(import.meta.dirname, "../../examples/monitors/json-lines/index.mjs");

/** A server that sends lines to whoever is connected. */
class LineServer {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  constructor() {
    this.#server = createServer((socket) => {
      this.#sockets.add(socket);
      socket.on("error", () => undefined);
      socket.on("close", () => this.#sockets.delete(socket));
    });
    onTestFinished(() => this.close());
  }

  async listen(port = 0): Promise<number> {
    await new Promise<void>((resolve) => this.#server.listen(port, "127.0.0.1", resolve));
    return (this.#server.address() as AddressInfo).port;
  }

  async send(...lines: readonly unknown[]): Promise<void> {
    await waitFor("somebody to be connected", () => this.#sockets.size > 0);
    for (const socket of this.#sockets)
      for (const line of lines)
        socket.write(`${typeof line === "string" ? line : JSON.stringify(line)}\n`);
  }

  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async close(): Promise<void> {
    this.cut();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

const config = vassalConfig("loyal");

describe("a monitor from a package", () => {
  it("is shown in the docs as it is", () => {
    const page = readFileSync(join(import.meta.dirname, "../../docs/monitors.md"), "utf8");
    expect(page).toContain(readFileSync(EXAMPLE, "utf8"));
  });

  it("starts and stops vassals, survives what it is sent, and connects again", async () => {
    const server = new LineServer();
    const port = await server.listen();
    const emperor = await startEmperor({
      monitors: [`jsonl://127.0.0.1:${port}`],
      args: ["--imperial-monitor", EXAMPLE],
    });
    await server.send(
      { name: "a.ini", config },
      "no json",
      [1],
      { name: "../b.ini", config },
      null,
    );
    const { pid } = await emperor.vassalWith("a.ini", { loyal: 1 });
    await emperor.logged("ignoring a line without a name");
    await emperor.logged('"../b.ini" is refused, no vassal: its name leads to another directory');
    server.cut();
    await emperor.logged("the connection ended");
    await emperor.logged("is available again");
    await server.send({ name: "c.ini", config });
    await emperor.vassalWith("c.ini", { loyal: 1 });
    expect((await emperor.vassalWith("a.ini")).pid).toBe(pid);
    await server.send({ name: "a.ini" });
    await emperor.forgotten("a.ini");
  });

  it("is found by its name in node_modules", async () => {
    const server = new LineServer();
    const port = await server.listen();
    const emperor = await startEmperor({
      monitors: [`jsonl://127.0.0.1:${port}`],
      args: ["--imperial-monitor", "@scope/json-lines"],
      prepare: (run) => {
        const folder = join(run.path, "node_modules/@scope/json-lines");
        mkdirSync(folder, { recursive: true });
        cpSync(EXAMPLE, join(folder, "index.mjs"));
        const manifest = { name: "@scope/json-lines", type: "module", exports: "./index.mjs" };
        writeFileSync(join(folder, "package.json"), JSON.stringify(manifest));
      },
    });
    await server.send({ name: "a.ini", config });
    await emperor.vassalWith("a.ini", { loyal: 1 });
  });

  it("that cannot be used is an error at the start", async () => {
    const emperor = await startEmperor({
      monitors: ["jsonl://127.0.0.1:1"],
      args: ["--imperial-monitor", "no-such-package", "--imperial-monitor", "./empty.mjs"],
      prepare: (run) => writeFileSync(join(run.path, "empty.mjs"), ""),
      impatient: true,
    });
    expect((await emperor.ended()).code).not.toBe(0);
    expect(emperor.log()).toContain('cannot use the imperial monitor "no-such-package"');
    expect(emperor.log()).toContain("it exports no imperialMonitor");
    expect(emperor.log()).toContain("nothing is started");
  });
});
