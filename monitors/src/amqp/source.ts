/**
 * The monitor of `amqp://`: messages of a broker that name vassals. Turns each into what the roll
 * understands, follows the URLs among them, and begins with a snapshot if it has one. The connection
 * is `broker.ts`'s, the form of a message `message.ts`'s.
 */
import { createHash } from "node:crypto";
import { stat } from "node:fs/promises";
import { resolve } from "node:path";
import type { ConsumeMessage } from "amqplib";
import { Complaints } from "../complaints.ts";
import { fetchConfig, type FetchAnswer, type Validators } from "../http/fetch.ts";
import { inParallel } from "../http/parallel.ts";
import type { ImperialMonitor, MonitorOptions, VassalSpec } from "../monitor.ts";
import { quoteName } from "../names.ts";
import {
  REMOTE_DEFAULTS,
  type RemoteEntry,
  type RemoteListener,
  type RemoteSession,
  type RemoteSource,
} from "../remote.ts";
import { takeSnapshot } from "../snapshot.ts";
import { displayAmqpAddress, readAmqpAddress, type AmqpAddress } from "./address.ts";
import { Broker } from "./broker.ts";
import { readAmqpDelivery, type AmqpCommand } from "./message.ts";

const FETCH_TIMEOUT_MS = 10_000;

/** Requests at one time when URLs are looked at again. */
const PARALLEL = 8;

/** What was passed on last of one vassal, to recognise it when it is told again. */
interface Known {
  readonly version: string;
  readonly digest: string;
  readonly uid: number | undefined;
  readonly gid: number | undefined;
  readonly socket: string | undefined;
}

/** A URL that a message named. */
interface Followed {
  readonly url: URL;
  validators: Validators;
  digest: string;
  /** The trouble that was told last; each is told once. */
  trouble: string | undefined;
}

export class AmqpSource implements RemoteSource {
  readonly id: string;
  readonly address: string;
  readonly secrets: readonly string[];
  readonly needsSuffix = false;
  readonly #address: AmqpAddress;
  readonly #options: MonitorOptions;
  readonly #node: string;
  readonly #maxConfigBytes: number;
  readonly #maxVassals: number;
  readonly #complaints: Complaints;
  readonly #makeSnapshot: (() => Promise<ImperialMonitor>) | undefined;
  readonly #known = new Map<string, Known>();
  readonly #followed = new Map<string, Followed>();
  /** Names whose file or URL is being looked at: what comes next for them waits. */
  readonly #busy = new Map<string, Promise<void>>();
  #changes = 0;

  /**
   * @param makeMonitor makes the monitor that the option `snapshot` names
   * @throws MonitorError
   */
  constructor(
    scheme: "amqp" | "amqps",
    rest: string,
    options: MonitorOptions,
    makeMonitor: (argument: string, options: MonitorOptions) => Promise<ImperialMonitor>,
  ) {
    const { node, maxConfigBytes, maxVassals } = options.remote ?? REMOTE_DEFAULTS;
    this.#node = node;
    this.#maxVassals = maxVassals;
    this.#maxConfigBytes = maxConfigBytes;
    this.#options = options;
    this.#address = readAmqpAddress(scheme, rest, node);
    this.address = displayAmqpAddress(this.#address);
    this.id = this.address;
    const { password, snapshot } = this.#address;
    // The default password is no secret, and a word like any other.
    this.secrets = password === "guest" ? [] : [password];
    this.#complaints = new Complaints(options.clock);
    if (snapshot !== undefined) {
      // Pushed, so that a vassal is the same whether it came by snapshot or by message.
      const whole: MonitorOptions = { ...options, readConfig: true, quietMs: 0 };
      this.#makeSnapshot = () => makeMonitor(snapshot, whole);
    }
  }

  async connect(listener: RemoteListener, signal: AbortSignal): Promise<RemoteSession> {
    const broker = await Broker.connect(this.#address, this.#node, listener, signal);
    try {
      const queue = await broker.declare();
      // After the binding: a change that the snapshot lacks is in the queue.
      if (this.#makeSnapshot !== undefined) await this.#begin(listener);
      await broker.consume(queue, (message) => void this.#receive(message, broker, listener));
    } catch (error) {
      await broker.close();
      throw error;
    }
    return {
      look: () => this.#lookAtUrls(listener),
      close: () => broker.close(),
    };
  }

  /** Everything in the snapshot is wanted and nothing else; what did not change is not touched. */
  async #begin(listener: RemoteListener): Promise<void> {
    const monitor = await this.#makeSnapshot?.();
    if (monitor === undefined) return;
    const specs = await takeSnapshot(monitor);
    listener.keepOnly(specs);
    for (const name of this.#known.keys()) if (!specs.has(name)) this.#forget(name);
    for (const spec of specs.values()) {
      const entry = entryOf(spec);
      const known = this.#known.get(spec.name);
      const digest = digestOf(entry.config);
      if (known === undefined || !isSame(known, entry, digest)) this.#want(listener, entry, digest);
    }
  }

  async #receive(message: ConsumeMessage, broker: Broker, listener: RemoteListener): Promise<void> {
    const { fields, content, properties } = message;
    const command = readAmqpDelivery(
      {
        routingKey: fields.routingKey,
        body: content,
        headers: properties.headers ?? {},
      },
      this.#node,
    );
    const name = nameOf(command);
    const before = name === undefined ? undefined : this.#busy.get(name);
    if (before === undefined && isImmediate(command)) {
      broker.settle(message, this.#carryOut(command, fields.redelivered, listener));
      return;
    }
    const work = (before ?? Promise.resolve()).then(async () => {
      const isTaken = isImmediate(command)
        ? this.#carryOut(command, fields.redelivered, listener)
        : await this.#lookUp(command, listener);
      broker.settle(message, isTaken);
    });
    if (name === undefined) return;
    this.#busy.set(name, work);
    await work;
    if (this.#busy.get(name) === work) this.#busy.delete(name);
  }

  /** @returns whether the message was of use */
  #carryOut(command: Immediate, isRedelivered: boolean, listener: RemoteListener): boolean {
    if (command.kind === "malformed") {
      this.#complain(listener, `a message is malformed: ${command.why}; ignoring it`);
      return false;
    }
    if (command.kind === "remove") {
      this.#forget(command.name);
      if (!listener.unwanted(command.name))
        this.#complain(
          listener,
          `a message removes ${quoteName(command.name)}, which is unknown; ignoring it`,
        );
      return true;
    }
    const { kind: _, ...entry } = command;
    const digest = digestOf(entry.config);
    const known = this.#known.get(entry.name);
    // Sent before the connection broke and not acknowledged: done already.
    if (isRedelivered && known !== undefined && isSame(known, entry, digest)) return true;
    return this.#want(listener, entry, digest);
  }

  async #lookUp(
    command: Extract<AmqpCommand, { kind: "file" | "url" }>,
    listener: RemoteListener,
  ): Promise<boolean> {
    return command.kind === "file"
      ? this.#lookAtFile(command.path, listener)
      : this.#lookAtUrl(command.url, listener);
  }

  /** A message for a file is a reload of it, or its end if it is none (any more), as in uWSGI. */
  async #lookAtFile(name: string, listener: RemoteListener): Promise<boolean> {
    const path = resolve(this.#options.startDirectory, name);
    try {
      const facts = await stat(path);
      if (facts.isFile()) {
        const { uid, gid, mtimeMs } = facts;
        const modifiedAt = Math.floor(mtimeMs / 1000);
        return this.#want(listener, { name, path, uid, gid, modifiedAt }, "");
      }
    } catch {
      // Not there, or not to be seen: for a message both mean that it is to be stopped.
    }
    this.#forget(name);
    if (!listener.unwanted(name))
      this.#complain(listener, `a message names ${quoteName(name)}, which is no file; ignoring it`);
    return true;
  }

  async #lookAtUrl(name: string, listener: RemoteListener): Promise<boolean> {
    const followed = this.#followed.get(name) ?? {
      url: new URL(name),
      validators: {},
      digest: "",
      trouble: undefined,
    };
    const answer = await this.#fetch(followed, {});
    switch (answer.kind) {
      case "content":
        return this.#takeUrl(name, followed, answer, listener);
      case "refused":
        this.#forget(name);
        listener.notice(
          "info",
          `${quoteName(name)} is answered with status ${answer.status}: ${listener.unwanted(name) ? "its vassal is removed" : "there is no such vassal"}`,
        );
        return true;
      case "unchanged":
      case "unavailable":
        // It is asked again as long as it is followed; a vassal that runs goes on.
        if (this.#followed.size < this.#maxVassals) this.#followed.set(name, followed);
        this.#troubled(name, followed, answer, listener);
        return true;
    }
  }

  /** Every `emperor-freq`: configs that changed without a message. Never rejects. */
  async #lookAtUrls(listener: RemoteListener): Promise<void> {
    await inParallel(PARALLEL, this.#followed.entries(), async ([name, followed]) => {
      if (this.#busy.has(name)) return;
      const answer = await this.#fetch(followed, followed.validators);
      listener.alive();
      // Meanwhile a message may have come, which knows better.
      if (this.#followed.get(name) !== followed || this.#busy.has(name)) return;
      if (answer.kind !== "content") return this.#troubled(name, followed, answer, listener);
      followed.trouble = undefined;
      followed.validators = answer.validators;
      if (digestOf(answer.body) !== followed.digest)
        this.#takeUrl(name, followed, answer, listener);
    });
  }

  #fetch(followed: Followed, validators: Validators): Promise<FetchAnswer> {
    return fetchConfig(followed.url, validators, {
      timeoutMs: FETCH_TIMEOUT_MS,
      maxBytes: this.#maxConfigBytes,
      ...(this.#address.tls.ca === undefined ? {} : { ca: this.#address.tls.ca }),
    });
  }

  /**
   * A vassal fetches `http://` itself, as in uWSGI; what no uWSGI can fetch, `https://`, it gets through
   * the pipe. So it gets `http://` with the option `push`: then it is what the Emperor has seen.
   */
  #takeUrl(
    name: string,
    followed: Followed,
    answer: Extract<FetchAnswer, { kind: "content" }>,
    listener: RemoteListener,
  ): boolean {
    const isPushed = this.#address.push || followed.url.protocol === "https:";
    const digest = digestOf(answer.body);
    followed.validators = answer.validators;
    followed.digest = digest;
    followed.trouble = undefined;
    this.#followed.set(name, followed);
    const config = isPushed ? { config: answer.body } : {};
    return this.#want(listener, { name, isUrl: true, ...config }, digest);
  }

  #troubled(name: string, followed: Followed, answer: FetchAnswer, listener: RemoteListener): void {
    const trouble =
      answer.kind === "unavailable"
        ? answer.why
        : answer.kind === "refused"
          ? `it is answered with status ${answer.status}`
          : undefined;
    if (trouble !== undefined && trouble !== followed.trouble)
      this.#complain(
        listener,
        `${quoteName(name)} cannot be fetched: ${trouble}; its vassal stays as it is, and it is tried again`,
      );
    followed.trouble = trouble;
  }

  #want(listener: RemoteListener, entry: RemoteEntry, digest: string): boolean {
    this.#changes += 1;
    const version = `${this.#changes} ${digest}`;
    const isTaken = listener.wanted({ ...entry, version }).accepted;
    const { uid, gid, socket } = entry;
    if (isTaken) this.#known.set(entry.name, { version, digest, uid, gid, socket });
    return isTaken;
  }

  #forget(name: string): void {
    this.#known.delete(name);
    this.#followed.delete(name);
  }

  #complain(listener: RemoteListener, text: string): void {
    const told = this.#complaints.ask(text);
    if (told !== undefined) listener.notice("warning", told);
  }
}

type Immediate = Extract<AmqpCommand, { kind: "config" | "remove" | "malformed" }>;

function isImmediate(command: AmqpCommand): command is Immediate {
  return command.kind !== "file" && command.kind !== "url";
}

function nameOf(command: AmqpCommand): string | undefined {
  switch (command.kind) {
    case "config":
    case "remove":
      return command.name;
    case "file":
      return command.path;
    case "url":
      return command.url;
    case "malformed":
      return undefined;
  }
}

function entryOf(spec: VassalSpec): RemoteEntry {
  const { name, modifiedAt, config, path, uid, gid, socket, attributes } = spec;
  return {
    name,
    modifiedAt,
    attributes,
    ...(config === undefined ? {} : { config }),
    ...(config !== undefined || path === undefined ? {} : { path }),
    ...(uid === undefined ? {} : { uid }),
    ...(gid === undefined ? {} : { gid }),
    ...(socket === undefined ? {} : { socket }),
  };
}

/** A message without ids leaves them open: a snapshot that has some tells nothing new. */
function isSame(known: Known, entry: RemoteEntry, digest: string): boolean {
  return (
    known.digest === digest &&
    known.socket === entry.socket &&
    (known.uid === undefined || known.uid === entry.uid) &&
    (known.gid === undefined || known.gid === entry.gid)
  );
}

function digestOf(config: Uint8Array | undefined): string {
  return config === undefined ? "" : createHash("sha256").update(config).digest("base64url");
}
