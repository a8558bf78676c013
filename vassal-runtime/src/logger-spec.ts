/** What a value of `logger` or `req-logger` says: `[NAME ]KIND[:ARGUMENT]`. Pure; opens nothing. */
import { parseAddress } from "./address.ts";

export type LoggerSpec =
  | { readonly kind: "file"; readonly path: string }
  | { readonly kind: "fd"; readonly fd: number }
  | { readonly kind: "stdio" }
  /** The system's own log, at `/dev/log`. */
  | { readonly kind: "syslog"; readonly identity: string; readonly facility: number }
  /** Syslog's packets for another machine. */
  | {
      readonly kind: "rsyslog";
      readonly host: string;
      readonly port: number;
      readonly identity: string;
      readonly facility: number;
    }
  /** Each line in a packet of its own. */
  | { readonly kind: "socket"; readonly host: string; readonly port: number }
  | { readonly kind: "unix"; readonly path: string };

export type ParsedLogger =
  | { readonly ok: true; readonly spec: LoggerSpec }
  | { readonly ok: false; readonly reason: string };

const FACILITIES =
  "kern user mail daemon auth syslog lpr news uucp cron authpriv ftp ntp security console solaris-cron local0 local1 local2 local3 local4 local5 local6 local7".split(
    " ",
  );
const DAEMON = 3;
const IDENTITY = "vassal";
const KINDS =
  "file:PATH, fd:NUMBER, stdio, syslog[:IDENTITY[,FACILITY]], rsyslog:HOST:PORT[,IDENTITY[,FACILITY]], socket:HOST:PORT or socket:PATH";

/** Names count for nothing as long as no line is routed to one; they are accepted. */
export function parseLogger(value: string): ParsedLogger {
  const match = /^\s*(?:[\w.-]+\s+)?([a-z]+)(?::(.*))?$/s.exec(value);
  const argument = (match?.[2] ?? "").trim();
  switch (match?.[1]) {
    case "file":
      return argument === "" ? no("it names no file") : yes({ kind: "file", path: argument });
    case "fd":
      return /^\d{1,6}$/.test(argument)
        ? yes({ kind: "fd", fd: Number(argument) })
        : no(`${JSON.stringify(argument)} is no descriptor`);
    case "stdio":
      return yes({ kind: "stdio" });
    case "syslog": {
      const named = identityOf(argument);
      return typeof named === "string" ? no(named) : yes({ kind: "syslog", ...named });
    }
    case "rsyslog": {
      const [address = "", ...rest] = argument.split(",");
      const named = identityOf(rest.join(","));
      if (typeof named === "string") return no(named);
      const parsed = parseAddress(address);
      if (!parsed.ok || parsed.address.kind !== "tcp")
        return no(`${JSON.stringify(address)} is no HOST:PORT`);
      const { host, port } = parsed.address;
      return yes({ kind: "rsyslog", host: host ?? "127.0.0.1", port, ...named });
    }
    case "socket": {
      const parsed = parseAddress(argument);
      if (!parsed.ok) return no(parsed.reason);
      if (parsed.address.kind === "unix") return yes({ kind: "unix", path: parsed.address.path });
      return yes({
        kind: "socket",
        host: parsed.address.host ?? "127.0.0.1",
        port: parsed.address.port,
      });
    }
    default:
      return no(`${JSON.stringify(value)} is no logger; there are ${KINDS}`);
  }
}

function identityOf(
  text: string,
): { readonly identity: string; readonly facility: number } | string {
  const [identity = "", name] = text.split(",").map((part) => part.trim());
  const facility = name === undefined || name === "" ? DAEMON : FACILITIES.indexOf(name);
  if (facility < 0) return `syslog has no facility ${JSON.stringify(name)}`;
  return { identity: identity === "" ? IDENTITY : identity, facility };
}

function yes(spec: LoggerSpec): ParsedLogger {
  return { ok: true, spec };
}

function no(reason: string): ParsedLogger {
  return { ok: false, reason };
}
