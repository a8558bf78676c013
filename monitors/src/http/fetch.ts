/**
 * One conditional GET of a config or a list: bounded in time, size and redirects, TLS verified. It
 * says what the answer means for vassals; it knows none, and keeps nothing.
 */
import type { IncomingMessage, RequestOptions } from "node:http";
import { reasonOf } from "../reason.ts";

/** What the server said of the version it gave, to be sent back with the next request. */
export interface Validators {
  readonly etag?: string;
  readonly lastModified?: string;
}

export interface FetchRules {
  /** From the first byte sent to the last one received, redirects included. */
  readonly timeoutMs: number;
  readonly maxBytes: number;
  /** Certificates of authorities, PEM; left out: those that Node trusts. */
  readonly ca?: string;
  readonly signal?: AbortSignal;
}

export type FetchAnswer =
  | {
      readonly kind: "content";
      readonly body: Uint8Array;
      readonly contentType: string;
      readonly validators: Validators;
    }
  /** 304: what was given last is still right. */
  | { readonly kind: "unchanged" }
  /** The server answers and does not have it: a status that asks for no second try. */
  | { readonly kind: "refused"; readonly status: number }
  /** Nothing is known: no answer, 5xx, or another status that passes. `why` ends a sentence. */
  | { readonly kind: "unavailable"; readonly why: string };

const MAX_REDIRECTS = 5;

/** 4xx that speak of the moment or of the way there, not of the config. */
const PASSING: ReadonlySet<number> = new Set([407, 408, 421, 425, 429]);

const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

/**
 * GET of `address`. Never rejects. Redirects are followed five times, never from https to http, and
 * a password in the address does not go to another server. The body is taken as it is sent: no
 * compression is asked for, so no bomb can come.
 */
export async function fetchConfig(
  address: URL,
  validators: Validators,
  rules: FetchRules,
): Promise<FetchAnswer> {
  const timeout = AbortSignal.timeout(rules.timeoutMs);
  const signal = rules.signal === undefined ? timeout : AbortSignal.any([timeout, rules.signal]);
  let url = address;
  for (let hops = 0; ; hops += 1) {
    const step = await request(url, validators, rules, signal).catch((error: unknown) =>
      unavailable(
        timeout.aborted ? `it did not answer within ${rules.timeoutMs / 1000} s` : reasonOf(error),
      ),
    );
    if (step.kind !== "redirect") return step;
    if (hops === MAX_REDIRECTS) return unavailable(`it redirects more than ${MAX_REDIRECTS} times`);
    const next = nextUrl(url, step.location);
    if (typeof next === "string") return unavailable(next);
    url = next;
  }
}

type Step = FetchAnswer | { readonly kind: "redirect"; readonly location: string };

function nextUrl(from: URL, location: string): URL | string {
  if (!URL.canParse(location, from.href)) return "it redirects to something that is no URL";
  const next = new URL(location, from);
  if (next.protocol !== "https:" && (next.protocol !== "http:" || from.protocol === "https:"))
    return `it redirects from ${from.protocol} to ${next.protocol}, which is not followed`;
  if (next.origin === from.origin) {
    next.username = from.username;
    next.password = from.password;
  }
  return next;
}

async function request(
  url: URL,
  validators: Validators,
  rules: FetchRules,
  signal: AbortSignal,
): Promise<Step> {
  const { get } =
    url.protocol === "https:" ? await import("node:https") : await import("node:http");
  const headers: Record<string, string> = { accept: "*/*", "user-agent": "emperor" };
  if (validators.etag !== undefined) headers["if-none-match"] = validators.etag;
  if (validators.lastModified !== undefined) headers["if-modified-since"] = validators.lastModified;
  const options: RequestOptions & { ca?: string } = {
    // A connection per request: a server that restarts leaves no stale one behind.
    agent: false,
    headers,
    signal,
    ...(rules.ca === undefined ? {} : { ca: rules.ca }),
  };
  return new Promise((resolve, reject) => {
    const call = get(url, options, (response) => {
      response.on("error", reject);
      const early = meaningOf(response);
      if (early === undefined) readBody(response, rules.maxBytes, resolve);
      else {
        response.destroy();
        resolve(early);
      }
    });
    call.on("error", reject);
  });
}

/** What the status alone says; undefined: the body is the answer. */
function meaningOf({ statusCode = 0, headers }: IncomingMessage): Step | undefined {
  if (statusCode === 200) return undefined;
  if (statusCode === 304) return { kind: "unchanged" };
  if (REDIRECTS.has(statusCode) && headers.location !== undefined)
    return { kind: "redirect", location: headers.location };
  if (statusCode >= 500 || statusCode < 200 || PASSING.has(statusCode))
    return unavailable(`it answers with status ${statusCode}`);
  return { kind: "refused", status: statusCode };
}

function readBody(
  response: IncomingMessage,
  maxBytes: number,
  resolve: (answer: FetchAnswer) => void,
): void {
  const chunks: Buffer[] = [];
  let total = 0;
  response.on("data", (chunk: Buffer) => {
    total += chunk.length;
    if (total > maxBytes) {
      response.destroy();
      resolve(unavailable(`its answer has more than ${maxBytes} bytes`));
    } else chunks.push(chunk);
  });
  response.on("end", () => {
    const {
      etag,
      "last-modified": lastModified,
      "content-type": contentType = "",
    } = response.headers;
    resolve({
      kind: "content",
      body: new Uint8Array(Buffer.concat(chunks, total)),
      contentType,
      validators: {
        ...(etag === undefined ? {} : { etag }),
        ...(lastModified === undefined ? {} : { lastModified }),
      },
    });
  });
}

function unavailable(why: string): { readonly kind: "unavailable"; readonly why: string } {
  return { kind: "unavailable", why };
}
