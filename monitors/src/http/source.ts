/**
 * The monitor of `http://` and `https://`: one config, or a JSON list of vassals, looked at again and
 * again with conditional requests. What an answer means is decided here; requests are `fetch.ts`'s,
 * the list's form `list.ts`'s.
 */
import { createHash } from "node:crypto";
import { setImmediate as nextTurn } from "node:timers/promises";
import { AddressOptions, invalidOption } from "../address-options.ts";
import type { MonitorOptions } from "../monitor.ts";
import { quoteName } from "../names.ts";
import {
  REMOTE_DEFAULTS,
  type RemoteListener,
  type RemoteSession,
  type RemoteSource,
} from "../remote.ts";
import { fetchConfig, type FetchAnswer, type Validators } from "./fetch.ts";
import { readList } from "./list.ts";

const OPTIONS = ["name", "list", "ca", "timeout"];

/** A list is parsed at once, so its size is what the loop can bear. */
const MAX_LIST_BYTES = 4 * 1024 * 1024;

/** Beyond it the connection counts as lost anyway (`emperor-source-timeout`). */
const MAX_TIMEOUT_SECONDS = 30;

/** Entries that are passed on in one turn of the loop. */
const TURN_ENTRIES = 200;

/** Problems of one list that are told; the rest is counted. */
const MAX_PROBLEMS = 10;

interface HttpAddress {
  readonly url: URL;
  /** Name of the one vassal, where the address is of one config. */
  readonly name: string;
  readonly mustBeList: boolean;
  readonly ca: string | undefined;
  readonly timeoutMs: number;
  readonly secrets: readonly string[];
}

/**
 * Options stand after a `#`, which no server ever sees: `name`, `list`, `ca`, `timeout` (seconds).
 * `${node}` in the URL stands for `node`, percent-encoded.
 * @throws MonitorError
 */
export function readHttpAddress(scheme: "http" | "https", rest: string, node: string): HttpAddress {
  const argument = `${scheme}://${rest}`;
  const text = argument.replaceAll("${node}", encodeURIComponent(node));
  if (!URL.canParse(text)) throw invalidOption(argument, "is no valid URL");
  const url = new URL(text);
  const options = new AddressOptions(argument, url.hash.slice(1), OPTIONS);
  url.hash = "";
  const ca = options.file("ca");
  if (ca !== undefined && scheme === "http")
    throw options.error("has certificates of an authority, which only https:// checks");
  const last = url.pathname.slice(url.pathname.lastIndexOf("/") + 1);
  return {
    url,
    name: options.text("name") ?? decodeURIComponent(last),
    mustBeList: options.flag("list"),
    ca,
    timeoutMs: options.integer("timeout", 10, 1, MAX_TIMEOUT_SECONDS) * 1000,
    secrets: [url.password, decodeURIComponent(url.password)].filter((secret) => secret !== ""),
  };
}

export class HttpSource implements RemoteSource {
  readonly id: string;
  readonly address: string;
  readonly secrets: readonly string[];
  readonly needsSuffix = true;
  readonly #address: HttpAddress;
  readonly #node: string;
  #validators: Validators = {};
  /** A list was given once: whatever else comes is an error and not a config. */
  #isList: boolean;

  constructor(scheme: "http" | "https", rest: string, options: MonitorOptions) {
    this.#node = (options.remote ?? REMOTE_DEFAULTS).node;
    this.#address = readHttpAddress(scheme, rest, this.#node);
    this.#isList = this.#address.mustBeList;
    this.secrets = this.#address.secrets;
    const shown = new URL(this.#address.url);
    shown.password = "";
    this.address = shown.href;
    // Two vassals of one config, each with a name of its own, are two sources.
    this.id = `${shown.href}#${this.#address.name}`;
  }

  async connect(listener: RemoteListener, signal: AbortSignal): Promise<RemoteSession> {
    return {
      look: () => this.#look(listener, signal),
      close: () => undefined,
    };
  }

  async #look(listener: RemoteListener, signal: AbortSignal): Promise<void> {
    const { url, timeoutMs, ca } = this.#address;
    const answer = await fetchConfig(url, this.#validators, {
      timeoutMs,
      signal,
      maxBytes: MAX_LIST_BYTES,
      ...(ca === undefined ? {} : { ca }),
    });
    switch (answer.kind) {
      case "unchanged":
        return;
      case "unavailable":
        throw new Error(answer.why);
      case "refused":
        return this.#refused(answer.status, listener);
      case "content":
        await this.#take(answer, listener);
        // Only now: what could not be taken is asked for again, and said again.
        this.#validators = answer.validators;
    }
  }

  /**
   * One config that is not there (any more) is one vassal less, as uWSGI documents it. A list that is
   * not there says nothing of its vassals: whoever wants none has to say so with an empty one.
   */
  #refused(status: number, listener: RemoteListener): void {
    if (this.#isList) throw new Error(`it answers with status ${status} instead of a list`);
    this.#validators = {};
    const { name } = this.#address;
    if (listener.unwanted(name))
      listener.notice("info", `it answers with status ${status}: vassal ${quoteName(name)} goes`);
    listener.keepOnly(new Set());
  }

  async #take(
    answer: Extract<FetchAnswer, { kind: "content" }>,
    listener: RemoteListener,
  ): Promise<void> {
    const list = readList(answer.body, this.#node, this.#isList);
    if (list.kind === "broken") throw new Error(`its answer is no list of vassals: ${list.why}`);
    if (list.kind === "config") return this.#takeConfig(answer.body, listener);
    this.#isList = true;
    for (const problem of list.problems.slice(0, MAX_PROBLEMS))
      listener.notice("warning", `${problem}; ignoring it`);
    if (list.problems.length > MAX_PROBLEMS)
      listener.notice("warning", `${list.problems.length} entries of the list are ignored in all`);
    listener.keepOnly(new Set(list.entries.map(({ name }) => name)));
    for (const [index, entry] of list.entries.entries()) {
      if (index % TURN_ENTRIES === TURN_ENTRIES - 1) await nextTurn();
      listener.wanted(entry);
    }
  }

  #takeConfig(config: Uint8Array, listener: RemoteListener): void {
    const { name } = this.#address;
    const version = createHash("sha256").update(config).digest("base64url");
    listener.keepOnly(new Set([name]));
    listener.wanted({ name, version, config });
  }
}
