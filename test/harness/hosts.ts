/**
 * Network namespaces that stand for the hosts of a fleet: one in the middle, and each other one wired to
 * it alone. Their cables can be pulled. Gone when the test is over. Knows no Emperor and no server.
 */
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { readlinkSync } from "node:fs";
import { onTestFinished } from "vitest";
import { waitFor } from "./wait.ts";

/** One host. */
export class Host {
  /** Its address on its cable; of the hub, none. */
  readonly address: string;
  /** The hub's address on the same cable. */
  readonly hub: string;
  readonly pid: number;

  constructor(pid: number, address: string, hub: string) {
    this.pid = pid;
    this.address = address;
    this.hub = hub;
  }

  /** Executes its arguments on this host. */
  get launcher(): readonly string[] {
    return ["nsenter", `--net=/proc/${this.pid}/ns/net`, "--"];
  }

  run(...command: readonly string[]): string {
    const [program = "", ...args] = [...this.launcher, ...command];
    return execFileSync(program, args, { encoding: "utf8" });
  }

  /** The cable is pulled: nobody is told, packets just stop. */
  pull(): void {
    this.run("ip", "link", "set", "cable", "down");
  }

  plug(): void {
    this.run("ip", "link", "set", "cable", "up");
  }
}

/** A process that does nothing but keep a namespace. */
async function keeper(): Promise<number> {
  const child = spawn("unshare", ["--net", "sleep", "infinity"], { stdio: "ignore" });
  const { pid = -1 } = child;
  onTestFinished(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill("SIGKILL");
    await once(child, "exit");
  });
  const own = readlinkSync("/proc/self/ns/net");
  await waitFor("a network namespace", () => readlinkSync(`/proc/${pid}/ns/net`) !== own);
  return pid;
}

/** A hub and `count` hosts around it. Needs root. */
export async function hostsAround(count: number): Promise<{ hub: Host; hosts: readonly Host[] }> {
  const hub = new Host(await keeper(), "127.0.0.1", "127.0.0.1");
  hub.run("ip", "link", "set", "lo", "up");
  const hosts: Host[] = [];
  for (let number = 1; number <= count; number += 1) {
    const network = `10.77.${number}`;
    const host = new Host(await keeper(), `${network}.2`, `${network}.1`);
    const port = `port${number}`;
    hub.run("ip", "link", "add", port, "type", "veth", "peer", "cable", "netns", `${host.pid}`);
    hub.run("ip", "addr", "add", `${host.hub}/24`, "dev", port);
    hub.run("ip", "link", "set", port, "up");
    host.run("ip", "addr", "add", `${host.address}/24`, "dev", "cable");
    host.run("ip", "link", "set", "cable", "up");
    host.run("ip", "link", "set", "lo", "up");
    hosts.push(host);
  }
  return { hub, hosts };
}
