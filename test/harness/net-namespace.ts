/**
 * Networks of their own on one machine: a namespace for a server and one per host, each joined to the
 * server's by a cable that can be pulled. Needs root and `ip`. All is gone when the test is over.
 */
import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import { readlinkSync } from "node:fs";
import { onTestFinished } from "vitest";
import { needing } from "../../linux/test/privileges.ts";
import { findProgram, isRoot } from "./privileges.ts";
import { waitFor } from "./wait.ts";

const missing = ["ip", "nsenter", "unshare", "setpriv"].filter(
  (program) => findProgram(program) === undefined,
);
export const hasNetworks = isRoot && missing.length === 0;
export const networkNeeds = `root and ${["ip", "nsenter", "unshare", "setpriv"].join(", ")}`;
export const networkTest = needing(hasNetworks, `needs ${networkNeeds}`);

/** A namespace, kept by a process that only sleeps. */
export class NetNamespace {
  readonly #keeper: ChildProcess;

  constructor() {
    this.#keeper = spawn("unshare", ["--net", "sleep", "infinity"], { stdio: "ignore" });
    onTestFinished(async () => {
      const ended = new Promise((resolve) => this.#keeper.once("exit", resolve));
      this.#keeper.kill("SIGKILL");
      await ended;
    });
  }

  get pid(): number {
    return this.#keeper.pid ?? -1;
  }

  /** The words before a command that runs in here. */
  get launcher(): readonly string[] {
    return ["nsenter", "-t", String(this.pid), "-n"];
  }

  async open(): Promise<this> {
    const ours = readlinkSync("/proc/self/ns/net");
    await waitFor(
      "the namespace to be there",
      () => readlinkSync(`/proc/${this.pid}/ns/net`) !== ours,
    );
    this.ip("link", "set", "lo", "up");
    return this;
  }

  ip(...args: string[]): void {
    const [program = "", ...launch] = this.launcher;
    execFileSync(program, [...launch, "ip", ...args], { stdio: ["ignore", "ignore", "pipe"] });
  }
}

/** A host with a cable to the server: it is 10.77.N.2, the server 10.77.N.1 for it. */
export class Host {
  readonly network: NetNamespace;
  readonly serverAddress: string;
  readonly #server: NetNamespace;
  readonly #cable: string;

  constructor(server: NetNamespace, network: NetNamespace, number: number) {
    this.#server = server;
    this.network = network;
    this.#cable = `host${number}`;
    this.serverAddress = `10.77.${number}.1`;
    server.ip(
      "link",
      "add",
      this.#cable,
      "type",
      "veth",
      "peer",
      "name",
      "uplink",
      "netns",
      String(network.pid),
    );
    server.ip("addr", "add", `${this.serverAddress}/24`, "dev", this.#cable);
    network.ip("addr", "add", `10.77.${number}.2/24`, "dev", "uplink");
    network.ip("link", "set", "uplink", "up");
    this.plug();
  }

  /** Nothing comes through any more, and nobody is told. */
  unplug(): void {
    this.#server.ip("link", "set", this.#cable, "down");
  }

  plug(): void {
    this.#server.ip("link", "set", this.#cable, "up");
  }
}

/** A network for a server, and as many hosts. */
export async function makeFleet(
  hosts: number,
): Promise<{ readonly server: NetNamespace; readonly hosts: readonly Host[] }> {
  const server = await new NetNamespace().open();
  const all: Host[] = [];
  for (let number = 1; number <= hosts; number += 1)
    all.push(new Host(server, await new NetNamespace().open(), number));
  return { server, hosts: all };
}
