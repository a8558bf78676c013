/**
 * The places that `logger` and `req-logger` name, opened: each takes text of whole lines and writes it
 * without waiting. Knows not where lines come from.
 */
import { createSocket } from "node:dgram";
import { hostname } from "node:os";
import { close, sendDatagram } from "@emperor/linux";
import { LineWriter, ownDescription } from "./line-writer.ts";
import { LogFile } from "./log-file.ts";
import type { LogFileSettings } from "./log-settings.ts";
import type { LoggerSpec } from "./logger-spec.ts";
import { strftime } from "./strftime.ts";

export interface LogSink {
  /** Text of whole lines, their ends included. */
  write(text: string): void;
  /** Resolves when what was given so far is written, or lost. */
  flushed(): Promise<void>;
  /** For the end of the process. */
  flushNow(): void;
}

const SYSLOG = "/dev/log";
/** "notice", as uWSGI has it. */
const SEVERITY = 5;
/** What every system's syslog takes in one packet. */
const MOST_PACKET_BYTES = 2048;
/** Standard error, which is the log unless something else is said. */
const LOG_FD = 2;

/** Opens one; `delayMs` as for `LineWriter`. Throws a `RuntimeError` when a file cannot be opened. */
export function openSink(
  option: string,
  spec: LoggerSpec,
  files: LogFileSettings,
  delayMs = 0,
): LogSink {
  switch (spec.kind) {
    case "file":
      return fileSink(option, spec.path, files, delayMs);
    case "fd":
      return descriptorSink(spec.fd, delayMs);
    case "stdio":
      return descriptorSink(LOG_FD, delayMs);
    case "syslog":
    case "unix": {
      const path = spec.kind === "syslog" ? SYSLOG : spec.path;
      const packet = spec.kind === "syslog" ? syslogPacket(spec, false) : plainPacket;
      return packetSink(packet, (bytes) => sendDatagram(path, bytes));
    }
    case "rsyslog":
    case "socket": {
      const socket = createSocket(spec.host.includes(":") ? "udp6" : "udp4");
      socket.unref();
      socket.on("error", () => undefined); // there is nobody to tell
      const packet = spec.kind === "rsyslog" ? syslogPacket(spec, true) : plainPacket;
      return packetSink(packet, (bytes) =>
        socket.send(bytes, spec.port, spec.host, () => undefined),
      );
    }
  }
}

/** All of them as one. */
export function joinSinks(sinks: readonly LogSink[]): LogSink {
  const [only] = sinks;
  if (only !== undefined && sinks.length === 1) return only;
  return {
    write: (text) => {
      for (const sink of sinks) sink.write(text);
    },
    flushed: async () => {
      await Promise.all(sinks.map(async (sink) => sink.flushed()));
    },
    flushNow: () => {
      for (const sink of sinks) sink.flushNow();
    },
  };
}

/** Standard error, without ever waiting for it. */
export function descriptorSink(fd: number, delayMs = 0): LogSink {
  const own = ownDescription(fd);
  return new LineWriter(() => own, undefined, delayMs);
}

function fileSink(option: string, path: string, files: LogFileSettings, delayMs: number): LogSink {
  let retired: number[] = [];
  const closeRetired = (): void => {
    for (const fd of retired) close(fd);
    retired = [];
  };
  const file = new LogFile({
    ...files,
    option,
    path,
    user: undefined,
    isOutput: false,
    retire: (fd) => {
      retired.push(fd);
      if (!writer.busy) closeRetired();
    },
  });
  const writer: LineWriter = new LineWriter(
    () => file.fd,
    () => {
      closeRetired();
      file.check();
    },
    delayMs,
  );
  return writer;
}

type Packet = (line: string) => string;

const plainPacket: Packet = (line) => line;

/** RFC 3164, as uWSGI writes it: the machine's name is for packets that leave the machine. */
function syslogPacket(
  { identity, facility }: { readonly identity: string; readonly facility: number },
  remote: boolean,
): Packet {
  const priority = facility * 8 + SEVERITY;
  const place = remote ? `${hostname()} ` : "";
  return (line) =>
    `<${priority}>${strftime("%b %e %H:%M:%S", new Date())} ${place}${identity}: ${line}`;
}

function packetSink(packet: Packet, send: (bytes: Buffer) => void): LogSink {
  return {
    write: (text) => {
      for (const line of text.split("\n")) {
        if (line === "") continue;
        try {
          send(Buffer.from(packet(line)).subarray(0, MOST_PACKET_BYTES));
        } catch {
          // Nobody listens there at the moment, or does not keep up: the line is lost.
        }
      }
    },
    flushed: async () => undefined,
    flushNow: () => undefined,
  };
}
