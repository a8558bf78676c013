/**
 * When a vassal that asks for help gets a reinforcement (a zerg), as a pure function: no clock, no timer,
 * no process. uWSGI 2.0 has one limit for all vassals and starts one zerg per request, so that a vassal
 * takes all of them within seconds, and one whose zergs fail is answered each second for ever.
 */
import type { Instant } from "./vassal.ts";

export interface BroodPolicy {
  /** `emperor-broodlord`: zergs of all vassals together; 0: nobody gets any. */
  readonly most: number;
  /** `emperor-broodlord-cooldown`, ms. */
  readonly cooldownMs: number;
}

/** What is remembered of one vassal that ever asked. */
export interface Brood {
  /** Nothing is started before this. */
  readonly notBefore: Instant;
  /** The latest request that was not answered yet. */
  readonly askedAt: Instant | undefined;
  /** Zergs in a row that were gone again soon: each doubles the cool-down. */
  readonly shortLives: number;
}

export const NEW_BROOD: Brood = { notBefore: -Infinity, askedAt: undefined, shortLives: 0 };

/** How full it is at the moment of the question. */
export interface BroodCensus {
  readonly all: number;
  readonly ofVassal: number;
  /** The most that this vassal may have. */
  readonly mostOfVassal: number;
  /** Vassals wait for permission to start: they go first. */
  readonly gateIsShort: boolean;
}

export type BroodAnswer =
  | { readonly kind: "start" }
  /** Ask again then, if the request still stands. */
  | { readonly kind: "wait"; readonly until: Instant }
  | { readonly kind: "refuse"; readonly why: "all" | "vassal" | "gate" }
  /** Nobody asks any more. */
  | { readonly kind: "nothing" };

/** Two zergs of one vassal are never started closer together: the first may be enough. */
export const BROOD_SPACING_MS = 1000;
/** A request older than this was overtaken by events; whoever still needs help has asked again. */
export const BROOD_FRESH_MS = 2000;
/** The longest cool-down. */
export const BROOD_LONGEST_MS = 60_000;
/** A zerg that lived for so many cool-downs was worth its start. */
const WORTHWHILE = 10;
/** Pause after a failure where the cool-down is off. */
const SHORTEST_PENALTY_MS = 1000;

/** The vassal says byte 30, however often. */
export function broodAsked(brood: Brood, now: Instant): Brood {
  return { ...brood, askedAt: now };
}

/** Decides about the request that stands, if one does. A refused one is forgotten: it is repeated while it lasts. */
export function answerBrood(
  brood: Brood,
  census: BroodCensus,
  now: Instant,
  policy: BroodPolicy,
): { readonly brood: Brood; readonly answer: BroodAnswer } {
  const { askedAt } = brood;
  const forgotten: Brood = { ...brood, askedAt: undefined };
  if (askedAt === undefined || now - askedAt > BROOD_FRESH_MS)
    return { brood: forgotten, answer: { kind: "nothing" } };
  const why =
    census.all >= policy.most
      ? "all"
      : census.ofVassal >= census.mostOfVassal
        ? "vassal"
        : undefined;
  if (why !== undefined) return { brood: forgotten, answer: { kind: "refuse", why } };
  if (now < brood.notBefore) return { brood, answer: { kind: "wait", until: brood.notBefore } };
  if (census.gateIsShort) return { brood: forgotten, answer: { kind: "refuse", why: "gate" } };
  return {
    brood: { ...forgotten, notBefore: now + BROOD_SPACING_MS },
    answer: { kind: "start" },
  };
}

/**
 * A zerg is gone. `left`: it said that it is not needed; `failed`: it died or could not be started;
 * `taken`: somebody wanted it gone, which says nothing about the demand.
 */
export function broodLost(
  brood: Brood,
  how: "left" | "failed" | "taken",
  livedMs: number,
  now: Instant,
  policy: BroodPolicy,
): Brood {
  if (how === "taken") return brood;
  const least = how === "failed" ? SHORTEST_PENALTY_MS : 0;
  const first = Math.max(policy.cooldownMs, least);
  const short = how === "failed" || livedMs < WORTHWHILE * policy.cooldownMs;
  const shortLives = short ? brood.shortLives + 1 : 0;
  const doubled = first * 2 ** Math.min(16, Math.max(0, shortLives - 1));
  const pause = Math.min(Math.max(first, BROOD_LONGEST_MS), doubled);
  return { ...brood, shortLives, notBefore: Math.max(brood.notBefore, now + pause) };
}
