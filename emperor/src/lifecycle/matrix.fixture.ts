/**
 * The phase x event matrix as a page, made by calling `step` for every pair. Nothing here says what
 * should happen: the page shows what does.
 */
import {
  answerBrood,
  BROOD_SPACING_MS,
  broodAsked,
  broodLost,
  NEW_BROOD,
  type Brood,
  type BroodCensus,
  type BroodPolicy,
} from "./brood.ts";
import type { Effect, Notice, PhaseName, VassalEvent } from "./index.ts";
import { Life } from "./life.fixture.ts";

interface Row {
  /** How the page names the situation; several may share a phase. */
  readonly title: string;
  readonly make: () => Life;
}

interface Column {
  readonly title: string;
  readonly happen: (life: Life) => void;
}

const WHILE_GONE = (): Life => new Life().wanted().on({ type: "unwanted" });

function replacedZerg(): Life {
  return new Life().loyal({ zerg: true }).on({ type: "reload-requested" });
}

const ROWS: readonly Row[] = [
  { title: "suspended, unannounced", make: () => new Life() },
  { title: "suspended, wait-for-command", make: () => new Life({ waitForCommand: true }).wanted() },
  {
    title: "suspended, stopped-by-command",
    make: () => new Life().wanted().on({ type: "stop-requested" }),
  },
  { title: "suspended, exiled", make: () => new Life().started().exits(26) },
  { title: "suspended, asleep", make: () => new Life().running().says("done").exits(0) },
  { title: "dormant", make: () => new Life().wanted({ onDemand: true }) },
  { title: "queued, blacklist, its time has not come", make: () => new Life().started().exits(1) },
  {
    title: "queued, socket",
    make: () => new Life().wanted({ onDemand: true }).socketFailed(false),
  },
  { title: "queued, new, waits for the gate", make: () => new Life().wanted() },
  {
    title: "starting, before `spawned`",
    make: () => new Life().wanted().on({ type: "permitted" }),
  },
  { title: "starting, after `spawned`", make: () => new Life().started() },
  { title: "running, not healthy yet", make: () => new Life().started().says("heartbeat") },
  { title: "running, loyal", make: () => new Life().loyal().says("heartbeat") },
  { title: "running, on demand", make: () => new Life().loyal({ onDemand: true }) },
  {
    title: "stopping, removed, before `spawned`",
    make: () => new Life().wanted().on({ type: "permitted" }).on({ type: "unwanted" }),
  },
  { title: "stopping, removed", make: () => new Life().loyal().on({ type: "unwanted" }) },
  { title: "stopping, channel-lost", make: () => new Life().running().closesChannel() },
  { title: "stopping, heartbeat", make: () => afterTimer(new Life().loyal().says("heartbeat")) },
  { title: "stopping, done", make: () => new Life().running().says("done") },
  {
    title: "stopping, deserted",
    make: () => new Life().loyal({ onDemand: true }).deserted(),
  },
  { title: "stopping, command", make: () => new Life().running().on({ type: "stop-requested" }) },
  { title: "stopping, shutdown", make: () => new Life().running().on({ type: "shutdown" }) },
  { title: "queued, a zerg", make: () => new Life().wanted({ zerg: true }) },
  { title: "starting, a zerg", make: () => new Life().started({ zerg: true }) },
  { title: "running, a loyal zerg", make: () => new Life().loyal({ zerg: true }) },
  { title: "stopping, a zerg whose vassal reloads", make: replacedZerg },
  { title: "gone", make: WHILE_GONE },
];

const COLUMNS: readonly Column[] = [
  { title: "`wanted`, the same", happen: (life) => life.wanted() },
  { title: "`wanted`, another version", happen: (life) => life.wanted({ version: "v2" }) },
  {
    title: "`wanted`, another identity",
    happen: (life) => life.wanted({ version: "v2", identity: "other" }),
  },
  {
    title: "`wanted`, another socket",
    happen: (life) => life.wanted({ identity: "socket", onDemand: true }),
  },
  { title: "`wanted`, without a socket", happen: (life) => life.wanted({ onDemand: false }) },
  { title: "`unwanted`", happen: (life) => life.on({ type: "unwanted" }) },
  { title: "`permitted`", happen: (life) => life.on({ type: "permitted" }) },
  { title: "`spawned`", happen: (life) => life.spawned() },
  { title: "`spawn-failed`, system", happen: (life) => life.spawnFailed("system") },
  { title: "`spawn-failed`, vassal", happen: (life) => life.spawnFailed("vassal") },
  { title: "`spawn-failed`, exile", happen: (life) => life.spawnFailed("exile") },
  { title: "`message` spawned (1)", happen: (life) => life.says("spawned") },
  { title: "`message` config-wanted (2)", happen: (life) => life.says("config-wanted") },
  { title: "`message` accepting (5)", happen: (life) => life.says("accepting") },
  { title: "`message` loyal (17)", happen: (life) => life.says("loyal") },
  { title: "`message` done (22)", happen: (life) => life.says("done") },
  { title: "`message` heartbeat (26)", happen: (life) => life.says("heartbeat") },
  { title: "`message` reinforcements (30)", happen: (life) => life.says("reinforcements") },
  { title: "`channel-closed`", happen: (life) => life.closesChannel() },
  { title: "`unheard`", happen: (life) => life.unheard() },
  { title: "`exited`, code 1", happen: (life) => life.exits(1) },
  { title: "`exited`, code 26", happen: (life) => life.exits(26) },
  { title: "`timer` at the deadline", happen: afterTimer },
  { title: "`reload-requested`", happen: (life) => life.on({ type: "reload-requested" }) },
  { title: "`stop-requested`", happen: (life) => life.on({ type: "stop-requested" }) },
  { title: "`start-requested`", happen: (life) => life.on({ type: "start-requested" }) },
  { title: "`forgiven`", happen: (life) => life.on({ type: "forgiven" }) },
  { title: "`socket-watched`", happen: (life) => life.on({ type: "socket-watched" }) },
  { title: "`socket-failed`, for now", happen: (life) => life.socketFailed(false) },
  { title: "`socket-failed`, lasting", happen: (life) => life.socketFailed(true) },
  { title: "`connection-waiting`", happen: (life) => life.on({ type: "connection-waiting" }) },
  { title: "`deserted`", happen: (life) => life.deserted() },
  { title: "`shutdown`", happen: (life) => life.on({ type: "shutdown" }) },
  { title: "`mercy-over`", happen: (life) => life.on({ type: "mercy-over" }) },
];

/** Types of the events that have a column, so that a test can tell when one is missing. */
export function eventTypesOf(page: string): ReadonlySet<VassalEvent["type"]> {
  const types = [...page.matchAll(/^\| `([a-z-]+)`/gm)].map((match) => match[1]);
  return new Set(types as VassalEvent["type"][]);
}

export function phasesShown(): ReadonlySet<PhaseName> {
  return new Set(ROWS.map((row) => row.make().vassal.phase.name));
}

/** The whole page. */
export function lifecyclePage(): string {
  return [
    "# The life of a vassal",
    "",
    "<!-- Generated by calling `step` for every pair below: UPDATE_DOCS=1 vitest run --project unit emperor/src/lifecycle/matrix.test.ts -->",
    "",
    "One pure function, `step(vassal, event, now, policy)`, decides what every event makes of a vassal. This page is what",
    "it answers, for every event in every situation: the phase after it (or what changed within the phase), then the",
    "orders it gives, then *the notices* it publishes. An event that is not listed for a situation changes nothing there;",
    "the source says why at that place. The example vassal has throttle 1000 ms, a curse tolerance of 30 s and heartbeats.",
    "",
    "## Phases",
    "",
    ...overview(),
    "",
    ...ROWS.flatMap((row) => [`## ${row.title}`, "", ...section(row), ""]),
    "## The broodlord",
    "",
    "What a vassal that asks for reinforcements (byte 30) is answered, and what is remembered of it: `answerBrood` and",
    "`broodLost`, called at the instant 0 with a cool-down of 3000 ms.",
    "",
    ...broodlordTable(),
    "",
  ].join("\n");
}

/** One line per event, one column per phase with a process or without: where each leads. */
function overview(): string[] {
  const shown = ROWS.filter((row) => OVERVIEW.has(row.title));
  return [
    `| event | ${shown.map((row) => row.title).join(" | ")} |`,
    `|---|${shown.map(() => "---").join("|")}|`,
    ...COLUMNS.map(
      (column) => `| ${column.title} | ${shown.map((row) => arrow(row, column)).join(" | ")} |`,
    ),
    "",
    "`·` nothing changes, `=` something changes within the phase.",
  ];
}

const OVERVIEW: ReadonlySet<string> = new Set([
  "suspended, exiled",
  "dormant",
  "queued, blacklist, its time has not come",
  "queued, new, waits for the gate",
  "starting, after `spawned`",
  "running, not healthy yet",
  "running, loyal",
  "stopping, removed",
  "gone",
]);

function arrow(row: Row, column: Column): string {
  const { life, before } = tried(row, column);
  const after = life.vassal;
  if (after.phase.name !== before.phase.name) return `**${after.phase.name}**`;
  return equal(after, before) && life.effects.length === 0 ? "·" : "=";
}

function section(row: Row): string[] {
  const lines = COLUMNS.flatMap((column) => {
    const { life, before } = tried(row, column);
    const after = life.vassal;
    if (equal(after, before) && life.effects.length === 0) return [];
    const phase =
      "reason" in after.phase ? `${after.phase.name}, ${after.phase.reason}` : after.phase.name;
    return [`| ${column.title} | ${phase} | ${orders(life)} | ${notices(life)} |`];
  });
  if (lines.length === 0) return ["Nothing changes it any more."];
  return ["| event | phase after it | orders | notices |", "|---|---|---|---|", ...lines];
}

function tried(row: Row, column: Column): { readonly life: Life; readonly before: Life["vassal"] } {
  const life = row.make();
  const before = life.vassal;
  // Where time has no say there is no timer: nothing is shown for it.
  if (column.happen === afterTimer && life.deadline === undefined) life.effects = [];
  else column.happen(life);
  return { life, before };
}

function afterTimer(life: Life): Life {
  life.timer();
  return life;
}

function orders(life: Life): string {
  return life.orders.map(order).join(", ");
}

function order(effect: Effect): string {
  switch (effect.type) {
    case "request-permit":
      return `request-permit (${effect.nuisance})`;
    case "send":
      return `send ${effect.message}`;
    case "kill":
      return `${effect.signal} to the ${effect.scope}`;
    default:
      return effect.type;
  }
}

function notices(life: Life): string {
  return life.notices.map((notice) => `*${noticeText(notice)}*`).join(", ");
}

function noticeText(notice: Notice): string {
  switch (notice.kind) {
    case "queued":
      return `queued ${notice.reason}${notice.delayMs > 0 ? ` for ${notice.delayMs} ms` : ""}`;
    case "blacklisted":
    case "damped":
      return `${notice.kind} for ${notice.delayMs} ms`;
    case "unlisted":
    case "resting":
    case "stopping":
      return `${notice.kind} (${notice.reason})`;
    case "reloading":
    case "killed":
      return `${notice.kind} (${notice.why})`;
    case "exited":
      return notice.expected ? "exited, as expected" : "exited";
    default:
      return notice.kind;
  }
}

const BROOD_POLICY: BroodPolicy = { most: 4, cooldownMs: 3000 };
const ROOM: BroodCensus = { all: 0, ofVassal: 0, mostOfVassal: 4, gateIsShort: false };

/** Situations in which somebody asks, and what they lead to. */
function broodlordTable(): string[] {
  const left = (livedMs: number, how: "left" | "failed" | "taken", before = 0): Brood =>
    broodLost({ ...NEW_BROOD, shortLives: before }, how, livedMs, 0, BROOD_POLICY);
  const situations: readonly (readonly [string, Brood, BroodCensus])[] = [
    ["never had one", NEW_BROOD, ROOM],
    ["one was started 200 ms ago", { ...NEW_BROOD, notBefore: BROOD_SPACING_MS - 200 }, ROOM],
    ["as many zergs live as emperor-broodlord allows", NEW_BROOD, { ...ROOM, all: 4 }],
    ["it has as many as it may", NEW_BROOD, { ...ROOM, ofVassal: 4 }],
    ["vassals wait for the gate", NEW_BROOD, { ...ROOM, gateIsShort: true }],
    ["a zerg that lived 1 s has left", left(1000, "left"), ROOM],
    ["the second such in a row", left(1000, "left", 1), ROOM],
    ["the fifth", left(1000, "left", 4), ROOM],
    ["the tenth", left(1000, "left", 9), ROOM],
    ["a zerg that lived 30 s has left", left(30_000, "left", 4), ROOM],
    ["a zerg died, or could not be started", left(30_000, "failed"), ROOM],
    ["the second such in a row", left(30_000, "failed", 1), ROOM],
    ["a zerg was stopped by somebody", left(1000, "taken"), ROOM],
  ];
  return [
    "| situation | answer |",
    "|---|---|",
    ...situations.map(([title, brood, census]) => {
      const { answer } = answerBrood(broodAsked(brood, 0), census, 0, BROOD_POLICY);
      const detail =
        answer.kind === "wait"
          ? ` ${answer.until} ms`
          : answer.kind === "refuse"
            ? ` (${answer.why})`
            : "";
      return `| ${title} | ${answer.kind}${detail} |`;
    }),
  ];
}

function equal(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
