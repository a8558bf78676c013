import {
  chmodSync,
  chownSync,
  constants,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { readSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  ended,
  freshDirectory,
  openDescriptors,
  PLAIN,
  removeDirectory,
  shell,
  start,
} from "../test/harness.ts";
import { ownGid, ownUid, rootTest } from "../test/privileges.ts";
import {
  accept,
  bindDatagram,
  close,
  connect,
  isPeerGone,
  LinuxError,
  listen,
  listenQueueLength,
  localAddress,
  openFile,
  peerCredentials,
  readChannel,
  receiveDatagram,
  receiveDescriptors,
  redirect,
  sendDatagram,
  sendDescriptors,
  setNonBlocking,
  socketError,
  socketpair,
  writeChannel,
} from "./index.ts";

const groupsBefore = process.getgroups?.();
import type { SocketAddress } from "./index.ts";

let directory = "";
let descriptors: string[] = [];
const opened: number[] = [];
beforeEach(() => {
  descriptors = openDescriptors();
  directory = freshDirectory();
});
afterEach(() => {
  for (const fd of opened.splice(0)) close(fd);
  removeDirectory(directory);
  expect(openDescriptors()).toEqual(descriptors);
});

function kept(fd: number): number {
  opened.push(fd);
  return fd;
}

function pair(
  type: "stream" | "dgram" | "seqpacket",
  nonBlocking: "first" | "both" | "none" = "both",
): [number, number] {
  const [first, second] = socketpair({ type, nonBlocking });
  return [kept(first), kept(second)];
}

const bytes = (text: string): Uint8Array => Buffer.from(text);
const text = (data: Uint8Array | undefined): string | undefined =>
  data === undefined ? undefined : Buffer.from(data).toString();

/** The LinuxError that a call throws. */
function errorOf(call: () => unknown): LinuxError {
  try {
    call();
  } catch (error) {
    if (error instanceof LinuxError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}

describe("channels", () => {
  test("carry bytes, say when they are empty, full, and at their end", () => {
    const [ours, theirs] = pair("stream");
    expect(readChannel(ours, 10)).toBeUndefined();
    expect(writeChannel(theirs, bytes("hello"))).toBe(5);
    expect(text(readChannel(ours, 3))).toBe("hel");
    expect(text(readChannel(ours, 100))).toBe("lo");
    let wrote = 1;
    while (wrote > 0) wrote = writeChannel(theirs, new Uint8Array(65_536));
    expect(wrote).toBe(0);
    close(opened.splice(opened.indexOf(theirs), 1)[0] ?? -1);
    let read = readChannel(ours, 1_048_576);
    while (read !== undefined && read.length > 0) read = readChannel(ours, 1_048_576);
    expect(read).toEqual(new Uint8Array(0));
    const error = errorOf(() => writeChannel(ours, bytes("x")));
    expect(error).toMatchObject({ name: "LinuxError", code: "EPIPE", errno: 32, step: "write" });
    expect(error.message).toBe("write failed: Broken pipe (EPIPE)");
    expect(isPeerGone(error.errno)).toBe(true);
  });

  test("keep the borders of packets", () => {
    for (const type of ["dgram", "seqpacket"] as const) {
      const [ours, theirs] = pair(type);
      writeChannel(theirs, bytes("one"));
      writeChannel(theirs, bytes("two"));
      expect(text(readChannel(ours, 100))).toBe("one");
      expect(text(readChannel(ours, 100))).toBe("two");
    }
  });

  test("block or not, as asked, and are close-on-exec", async () => {
    const [ours, theirs] = pair("stream", "first");
    const flags = (fd: number): string =>
      `O_NONBLOCK=${(readFlags(fd) & constants.O_NONBLOCK) !== 0}`;
    expect([flags(ours), flags(theirs)]).toEqual(["O_NONBLOCK=true", "O_NONBLOCK=false"]);
    setNonBlocking(theirs, true);
    setNonBlocking(ours, false);
    expect([flags(ours), flags(theirs)]).toEqual(["O_NONBLOCK=false", "O_NONBLOCK=true"]);
    // 02000000 is O_CLOEXEC.
    expect(readFlags(ours) & 0o2000000).not.toBe(0);
  });

  test("through a pipe and a file work as well", () => {
    const path = join(directory, "file");
    const fd = kept(openFile(path, constants.O_RDWR | constants.O_CREAT, 0o600));
    expect(writeChannel(fd, bytes("file"))).toBe(4);
    const again = kept(openFile(path, constants.O_RDONLY));
    expect(text(readChannel(again, 10))).toBe("file");
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(errorOf(() => openFile(join(directory, "none"), constants.O_RDONLY))).toMatchObject({
      code: "ENOENT",
      step: "open",
    });
    expect(errorOf(() => readChannel(999_999, 1)).code).toBe("EBADF");
    expect(errorOf(() => readChannel(fd, 0)).code).toBe("EINVAL");
    expect(errorOf(() => close(999_999)).code).toBe("EBADF");
  });
});

function readFlags(fd: number): number {
  const info = openFile(`/proc/self/fdinfo/${fd}`, constants.O_RDONLY);
  const buffer = Buffer.alloc(1000);
  const length = readSync(info, buffer);
  close(info);
  return parseInt(/^flags:\s+(\d+)$/m.exec(buffer.toString("utf8", 0, length))?.[1] ?? "", 8);
}

describe("listening", () => {
  const addresses: readonly SocketAddress[] = [
    { family: "ipv4", host: "127.0.0.1", port: 0 },
    { family: "ipv6", host: "::1", port: 0 },
    { family: "unix", path: `\0linux-test-${process.pid}` },
    { family: "unix", path: "" },
  ];

  test.each(addresses)("on %j queues connections that nobody accepts", (given) => {
    const address =
      given.family === "unix" && given.path === ""
        ? { ...given, path: join(directory, "socket") }
        : given;
    const listener = kept(listen(address, { backlog: 4 }));
    const bound = localAddress(listener);
    expect(bound).toMatchObject(
      address.family === "unix" ? address : { family: address.family, host: address.host },
    );
    if (bound === undefined) return;
    expect(listenQueueLength(listener)).toEqual({ length: 0, backlog: 4 });
    const clients = [kept(connect(bound).fd), kept(connect(bound).fd)];
    expect(listenQueueLength(listener)).toEqual({ length: 2, backlog: 4 });
    const [client = -1] = clients;
    expect(socketError(client)).toBeUndefined();
    const server = kept(accept(listener) ?? -1);
    expect(listenQueueLength(listener).length).toBe(1);
    writeChannel(client, bytes("hello"));
    expect(text(readChannel(server, 10))).toBe("hello");
    kept(accept(listener) ?? -1);
    expect(accept(listener)).toBeUndefined();
    if (address.family === "unix")
      expect(peerCredentials(server)).toEqual({ pid: process.pid, uid: ownUid, gid: ownGid });
  });

  test("sets the mode of the bound path itself", () => {
    const path = join(directory, "socket");
    kept(listen({ family: "unix", path }, { backlog: 1, mode: 0o620 }));
    expect(lstatSync(path).mode & 0o7777).toBe(0o620);
  });

  rootTest("sets mode and owner of the bound path itself", () => {
    const path = join(directory, "socket");
    kept(listen({ family: "unix", path }, { backlog: 1, mode: 0o620, uid: 12, gid: 34 }));
    expect(lstatSync(path)).toMatchObject({ uid: 12, gid: 34 });
    expect(lstatSync(path).mode & 0o7777).toBe(0o620);
  });

  rootTest("makes the file with another user's rights to files, and keeps its own", () => {
    const theirs = join(directory, "theirs");
    mkdirSync(theirs);
    chownSync(theirs, 4321, 4321);
    chmodSync(directory, 0o755);
    const as = { uid: 4321, gid: 4321 };
    const path = join(theirs, "socket");
    kept(listen({ family: "unix", path }, { backlog: 1, mode: 0o660, as }));
    expect(lstatSync(path)).toMatchObject({ uid: 4321, gid: 4321 });
    const refused = join(directory, "socket");
    const error = errorOf(() => listen({ family: "unix", path: refused }, { backlog: 1, as }));
    expect(error).toMatchObject({ code: "EACCES", step: "bind" });
    // Root is root again: for files, groups, and whoever may look at it.
    kept(listen({ family: "unix", path: refused }, { backlog: 1 }));
    expect(lstatSync(refused)).toMatchObject({ uid: 0, gid: 0 });
    expect(process.getgroups?.()).toEqual(groupsBefore);
    expect(readFileSync("/proc/self/status", "utf8")).toMatch(/^Uid:\s+0\s+0\s+0\s+0$/m);
  });

  test("never takes away what is there", () => {
    const path = join(directory, "file");
    writeFileSync(path, "precious");
    const error = errorOf(() => listen({ family: "unix", path }, { backlog: 1, mode: 0o666 }));
    expect(error).toMatchObject({ code: "EADDRINUSE", step: "bind" });
    expect(error.message).toContain(JSON.stringify(path));
    expect(statSync(path).size).toBe(8);
    const link = join(directory, "link");
    symlinkSync(join(directory, "elsewhere"), link);
    expect(errorOf(() => listen({ family: "unix", path: link }, { backlog: 1 })).code).toBe(
      "EADDRINUSE",
    );
    expect(existsSync(join(directory, "elsewhere"))).toBe(false);
  });

  test("says what is wrong with an address", () => {
    const long = join(directory, "x".repeat(200));
    const error = errorOf(() => listen({ family: "unix", path: long }, { backlog: 1 }));
    expect(error).toMatchObject({ code: "ENAMETOOLONG", step: "address" });
    expect(error.message).toContain(`of ${long.length} bytes, the kernel takes at most 107`);
    for (const host of ["localhost", "256.1.1.1", "", "::1"])
      expect(errorOf(() => listen({ family: "ipv4", host, port: 0 }, { backlog: 1 })).code).toBe(
        "EINVAL",
      );
    expect(
      errorOf(() => listen({ family: "ipv4", host: "127.0.0.1", port: 70_000 }, { backlog: 1 }))
        .code,
    ).toBe("EINVAL");
    expect(errorOf(() => listen({ family: "unix", path: "" }, { backlog: 1 })).code).toBe("EINVAL");
    expect(errorOf(() => listen({ family: "unix", path: "a\0b" }, { backlog: 1 })).code).toBe(
      "EINVAL",
    );
    expect(
      errorOf(() =>
        listen({ family: "ipv6", host: "fe80::1%nonexistent0", port: 0 }, { backlog: 1 }),
      ).code,
    ).toBe("ENODEV");
    expect(
      errorOf(() =>
        listen({ family: "unix", path: join(directory, "none/socket") }, { backlog: 1 }),
      ).code,
    ).toBe("ENOENT");
  });

  test("an address in use is an error, unless both share it", () => {
    const first = kept(
      listen({ family: "ipv4", host: "127.0.0.1", port: 0 }, { backlog: 1, reusePort: true }),
    );
    const address = localAddress(first);
    if (address === undefined) throw new Error("no address");
    expect(errorOf(() => listen(address, { backlog: 1 })).code).toBe("EADDRINUSE");
    kept(listen(address, { backlog: 1, reusePort: true }));
  });

  test("what does not listen has no queue, what is no socket no address", () => {
    const [ours] = pair("stream");
    expect(errorOf(() => listenQueueLength(ours)).code).toBe("EINVAL");
    expect(localAddress(kept(openFile("/etc/passwd", constants.O_RDONLY)))).toBeUndefined();
    expect(errorOf(() => localAddress(999_999)).code).toBe("EBADF");
    expect(errorOf(() => connect({ family: "unix", path: join(directory, "none") })).code).toBe(
      "ENOENT",
    );
  });

  test("a refused connection is told by socketError", () => {
    const listener = listen({ family: "ipv4", host: "127.0.0.1", port: 0 }, { backlog: 1 });
    const address = localAddress(listener);
    close(listener);
    if (address === undefined) throw new Error("no address");
    const { fd, finished } = connect(address);
    kept(fd);
    expect(finished).toBe(false);
    expect(socketError(fd)).toBe(111);
  });
});

describe("descriptors", () => {
  test("travel with their bytes", () => {
    const [ours, theirs] = pair("stream");
    const file = kept(openFile("/proc/version", constants.O_RDONLY));
    expect(sendDescriptors(theirs, bytes("x"), [file, file])).toBe(1);
    const message = receiveDescriptors(ours, 10, 4);
    expect(message).toMatchObject({ truncated: false });
    expect(text(message?.bytes)).toBe("x");
    expect(message?.fds).toHaveLength(2);
    for (const fd of message?.fds ?? []) {
      expect(text(readChannel(kept(fd), 5))).toBe(fd === message?.fds[0] ? "Linux" : " vers");
      expect(readFlags(fd) & 0o2000000).not.toBe(0);
    }
    expect(receiveDescriptors(ours, 10, 4)).toBeUndefined();
  });

  test("that nobody wants are closed, and that is told", () => {
    const [ours, theirs] = pair("seqpacket");
    const before = openDescriptors().length;
    const file = kept(openFile("/proc/version", constants.O_RDONLY));
    sendDescriptors(theirs, bytes("long message"), [file, file, file]);
    const message = receiveDescriptors(ours, 4, 1);
    expect(message).toMatchObject({ truncated: true });
    expect(text(message?.bytes)).toBe("long");
    expect(message?.fds.map(kept)).toHaveLength(1);
    expect(openDescriptors()).toHaveLength(before + 2);
  });

  test("cannot travel without a byte, nor in crowds, nor when full", () => {
    const [, theirs] = pair("stream");
    expect(errorOf(() => sendDescriptors(theirs, bytes(""), [1])).code).toBe("EINVAL");
    expect(
      errorOf(() =>
        sendDescriptors(
          theirs,
          bytes("x"),
          Array.from({ length: 254 }, () => 1),
        ),
      ).code,
    ).toBe("EINVAL");
    expect(errorOf(() => sendDescriptors(theirs, bytes("x"), [999_999])).code).toBe("EBADF");
    while (writeChannel(theirs, new Uint8Array(65_536)) > 0);
    expect(sendDescriptors(theirs, bytes("x"), [theirs])).toBe(0);
  });

  test("the end of a stream is a message without bytes", () => {
    const [ours, theirs] = pair("stream");
    close(opened.splice(opened.indexOf(theirs), 1)[0] ?? -1);
    expect(receiveDescriptors(ours, 10, 1)).toMatchObject({ bytes: new Uint8Array(0), fds: [] });
  });

  test("redirected ones stay open for the programs started next", async () => {
    const [ours, theirs] = pair("stream");
    redirect(theirs, 77);
    kept(77);
    expect(readFlags(77) & 0o2000000).toBe(0);
    expect(
      (await ended(start(shell("echo hello >&9", { fds: [...PLAIN.fds, { from: 77, to: 9 }] }))))
        .code,
    ).toBe(0);
    expect(text(readChannel(ours, 10))).toBe("hello\n");
  });
});

describe("datagrams", () => {
  test.each([["a path"], ["an abstract name"]])(
    "to %s arrive with their sender's credentials",
    async (kind) => {
      const path =
        kind === "a path" ? join(directory, "notify") : `\0linux-test-notify-${process.pid}`;
      const fd = kept(bindDatagram(path, 0o622));
      if (kind === "a path") expect(lstatSync(path).mode & 0o7777).toBe(0o622);
      expect(receiveDatagram(fd, 100)).toBeUndefined();
      sendDatagram(path, bytes("READY=1\n"));
      const datagram = receiveDatagram(fd, 100);
      expect(text(datagram?.bytes)).toBe("READY=1\n");
      expect(datagram).toMatchObject({
        truncated: false,
        credentials: { pid: process.pid, uid: ownUid, gid: ownGid },
      });
      sendDatagram(path, bytes("a long one"));
      expect(receiveDatagram(fd, 4)).toMatchObject({ truncated: true });
    },
  );

  test("to nobody are an error that names the path", () => {
    mkdirSync(join(directory, "sub"));
    const path = join(directory, "sub/none");
    const error = errorOf(() => sendDatagram(path, bytes("x")));
    expect(error).toMatchObject({ code: "ENOENT", step: "sendto" });
    expect(error.message).toContain(path);
  });
});
