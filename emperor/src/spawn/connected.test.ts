import type { SocketAddress } from "@emperor/linux";
import { expect, test } from "vitest";
import { connectedAddresses, fileOfAddress, isConnected } from "./connected.ts";

const TCP = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0000 100 0 0 10 0
   1: 0100007F:1F91 0100007F:C350 01 00000000:00000000 00:00000000 00000000     0        0 2 1 0000 20 4 30 10 -1
   2: 0100007F:1F92 0100007F:C351 06 00000000:00000000 03:00000000 00000000     0        0 0 3 0000
   3: 0100007F:1F93 0100007F:C352 08 00000000:00000000 00:00000000 00000000     0        0 3 1 0000 20 4 30 10 -1
`;
const TCP6 = `  sl  local_address                         remote_address                        st
   0: 00000000000000000000000001000000:1F90 00000000000000000000000001000000:C350 01 00000000:00000000
   1: 0000000000000000FFFF00000100007F:1F91 0000000000000000FFFF00000100007F:C351 01 00000000:00000000
   2: B80D0120000000000000000001000000:1F92 00000000000000000000000001000000:C352 01 00000000:00000000
`;
const UNIX = `Num       RefCount Protocol Flags    Type St Inode Path
0000000000000000: 00000002 00000000 00010000 0001 01 1 /run/only listening.sock
0000000000000000: 00000003 00000000 00000000 0001 03 2 /run/a b.sock
0000000000000000: 00000003 00000000 00000000 0001 03 3
0000000000000000: 00000002 00000000 00000000 0001 02 4 @queued
`;
const TEXTS = { tcp: TCP, tcp6: TCP6, unix: UNIX };

const v4 = (host: string, port: number): SocketAddress => ({ family: "ipv4", host, port });
const v6 = (host: string, port: number): SocketAddress => ({ family: "ipv6", host, port });
const local = (path: string): SocketAddress => ({ family: "unix", path });

test.each<[string, SocketAddress, boolean]>([
  ["a listener alone", v4("127.0.0.1", 8080), false],
  ["a connection", v4("127.0.0.1", 8081), true],
  ["a connection at another address of the port", v4("127.0.0.2", 8081), false],
  ["a connection, as every address listens", v4("0.0.0.0", 8081), true],
  ["one that is over", v4("127.0.0.1", 8082), false],
  ["one whose client has said all", v4("127.0.0.1", 8083), true],
  ["the port of the other family", v4("0.0.0.0", 8082), false],
  ["IPv6", v6("::1", 8080), true],
  ["IPv6 with another port", v6("::1", 8081), false],
  ["IPv4 through IPv6", v6("::ffff:127.0.0.1", 8081), true],
  ["every address of IPv6", v6("::", 8081), true],
  ["a long address of IPv6", v6("2001:db8::1", 8082), true],
  ["a unix listener alone", local("/run/only listening.sock"), false],
  ["a unix connection, with a blank in its path", local("/run/a b.sock"), true],
  ["an abstract one in the queue", local("\0queued"), true],
  ["nobody", local("/run/c.sock"), false],
])("%s", (_what, address, expected) => {
  const file = fileOfAddress(address);
  expect(isConnected(address, connectedAddresses(file, TEXTS[file]))).toBe(expected);
});

test("nonsense tells of nobody", () => {
  for (const file of ["tcp", "tcp6", "unix"] as const)
    for (const text of ["", "\n\n", "garbage: x", "0: : 01", "a b c d e f g h"])
      expect([...connectedAddresses(file, text)].every((word) => !word.includes("1F90"))).toBe(
        true,
      );
});
