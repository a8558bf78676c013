/**
 * Where `show-config` differs from uWSGI's for the corpus, and why. `-` is a line of uWSGI only, `+`
 * one of ours only. Whatever is not listed here is a defect.
 */

export interface ExplainedDifference {
  readonly why: string;
  readonly lines: readonly string[];
}

/** Files that both programs refuse with exit code 1. */
export const REFUSED: readonly string[] = [
  "contents-of-placeholder.ini",
  "forbidden.ini",
  "missing-include.ini",
  "missing-json-section.json",
  "nested-logic.ini",
  "placeholder-is-option.ini",
  "secret-missing.ini",
  "set-without-value.ini",
  "strict-unknown.ini",
  "unfinished.json",
  "unfinished.xml",
  "unquoted.yaml",
  "wrong-root.xml",
];

export const EXPLAINED: Readonly<Record<string, ExplainedDifference>> = {
  "aliases.yaml": {
    why: "uWSGI drops a section with anchors or aliases without a word; here they mean what YAML says",
    lines: ["+first = value", "+second = value"],
  },
  "flow.yaml": {
    why: "uWSGI drops a flow mapping without a word; here it is a mapping like any other",
    lines: ["+master = true", "+processes = 2"],
  },
  "declared.ini": {
    why: "uWSGI applies the pairs of a declared option without listing them; here whatever counts is listed",
    lines: [
      "+chdir = /srv/blog",
      "+env = SITE=blog",
      "+set = last=one",
      "+chdir = /srv/shop",
      "+env = SITE=shop",
      "+set = last=two",
    ],
  },
  "defaults.ini": {
    why: "defaults of variables came with uWSGI 2.1; version 2.0 leaves them as text",
    lines: [
      "-port = $(APP_PORT:-8000)",
      "-host = $(NOT_SET_AT_ALL:-localhost)",
      "-empty = $(EMPTY_VARIABLE-unset)",
      "+port = 9000",
      "+host = localhost",
      "+empty = ",
    ],
  },
  "else.ini": {
    why: "else came with uWSGI 2.1; to version 2.0 it is an unknown key inside of the block",
    lines: ["-there = no"],
  },
  "inherit.ini": {
    why: "uWSGI reads inherited files after the substitution, so that placeholders on both sides stay text",
    lines: ["-after = %(from-parent)", "+after = yes", "-whole = %(own)", "+whole = 1"],
  },
  "mixed.xml": {
    why: "uWSGI takes the first node of an element, even a comment; here all of its text counts",
    lines: ["-a =  c ", "-b = x & y ", "+a = text", "+b = x & y z"],
  },
  "percent-at-end.ini": {
    why: "a % at the end of a line takes the newline away in uWSGI and joins two lines",
    lines: ["-odd = 50next = line", "+odd = 50", "+next = line"],
  },
  "placeholders.ini": {
    why: "uWSGI does not try the outer placeholder again after it has replaced the inner one",
    lines: ["-nest = %(a_inner)", "+nest = found"],
  },
  "missing-ini-section.ini": {
    why: "uWSGI warns when a section that was asked for by name is not there; here it is an error",
    lines: [
      "-[uwsgi]",
      "-need-app = false",
      "-show-config = true",
      "-ini = missing-ini-section.ini",
      "-before = 1",
      "-ini = parts/many.ini:gamma",
      "-after = 2",
      "-chdir = /does/not/exist",
      "-",
      "+refused",
    ],
  },
  "whitelist-end.ini": {
    why: "in uWSGI a whitelist that does not name end-whitelist forbids its own end",
    lines: [
      "-refused",
      "+[uwsgi]",
      "+need-app = false",
      "+show-config = true",
      "+ini = whitelist-end.ini",
      "+whitelist = processes threads",
      "+processes = 2",
      "+end-whitelist = ",
      "+chdir = /does/not/exist",
      "+",
    ],
  },
  "reuse.ini": {
    why: "uWSGI does not look at the first character of a result again; here every placeholder is resolved",
    lines: ["-z = %(x)", "+z = end"],
  },
};
