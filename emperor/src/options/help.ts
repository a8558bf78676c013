/**
 * The text of `--help` and the page docs/options.md, both from the one table. Pure.
 */
import type { OptionDefinition } from "@emperor/config";

const COLUMN = 36;
const WIDTH = 100;

const USAGE = `Usage: emperor [options] [FILE.ini|.xml|.yaml|.json]

Governs vassals as uWSGI's Emperor does: starts one for each config it finds, reloads it when the
config changes, stops it when the config is gone, respawns it when it dies.

  emperor --emperor /etc/uwsgi/vassals
  emperor --ini /etc/uwsgi/emperor.ini
  emperor --emperor "/srv/*/vassal.ini" --binary-path uwsgi

Every option may stand in the [uwsgi] section of a file, without the dashes, or in the environment
as UWSGI_NAME. Flags are turned off with false, off, no or 0.
`;

/** \`-l, --listen N\` with its aliases. */
function spelling(option: OptionDefinition): string {
  const names = [option.name, ...(option.aliases ?? [])].map((name) => `--${name}`);
  const short = option.short === undefined ? "" : `-${option.short}, `;
  const value = option.placeholder ?? "VALUE";
  const argument =
    option.argument === "none" ? "" : option.argument === "required" ? ` ${value}` : `[=${value}]`;
  return `${short}${names.join(", ")}${argument}`;
}

function wrapped(text: string, indent: number): string {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + word.length + 1 > WIDTH - indent) {
      lines.push(line);
      line = word;
    } else {
      line = line === "" ? word : `${line} ${word}`;
    }
  }
  lines.push(line);
  return lines.join(`\n${" ".repeat(indent)}`);
}

function entry(option: OptionDefinition): string {
  const left = `  ${spelling(option)}`;
  const help =
    option.default === undefined ? option.help : `${option.help} (default: ${option.default})`;
  const gap = left.length < COLUMN ? " ".repeat(COLUMN - left.length) : `\n${" ".repeat(COLUMN)}`;
  return `${left}${gap}${wrapped(help, COLUMN)}\n`;
}

function byGroup(options: readonly OptionDefinition[]): ReadonlyMap<string, OptionDefinition[]> {
  const groups = new Map<string, OptionDefinition[]>();
  for (const option of options) {
    const group = groups.get(option.group);
    if (group === undefined) groups.set(option.group, [option]);
    else group.push(option);
  }
  return groups;
}

/** The options that work, grouped; ours first, the configuration language's last. */
export function helpText(
  own: readonly OptionDefinition[],
  language: readonly OptionDefinition[],
): string {
  let text = USAGE;
  const shown = [...own, ...language].filter((option) => option.status === "supported");
  for (const [group, options] of byGroup(shown)) {
    text += `\n${group}:\n`;
    for (const option of options) text += entry(option);
  }
  const others = own.length + language.length - shown.length;
  return `${text}\n${wrapped(
    `${others} further options of uWSGI are known: those without meaning for an Emperor are accepted and reported, those of later versions are refused. docs/options.md lists them all.`,
    0,
  )}\n`;
}

function cell(text: string): string {
  return text.replaceAll("|", "\\|");
}

function code(text: string): string {
  return `\`${text.replaceAll("|", "\\|")}\``;
}

function supportedTable(options: readonly OptionDefinition[]): string {
  let text = "| option | value | default | since | meaning |\n|---|---|---|---|---|\n";
  for (const option of options) {
    const names = [option.name, ...(option.aliases ?? [])].map(code).join(", ");
    const short = option.short === undefined ? "" : `, ${code(`-${option.short}`)}`;
    const value =
      option.argument === "none"
        ? "flag"
        : `${cell(option.placeholder ?? "VALUE")}${option.argument === "optional" ? " (optional)" : ""}`;
    const repeats = option.kind === "list" || option.repeatable === true ? ", repeatable" : "";
    text += `| ${names}${short} | ${value}${repeats} | ${cell(option.default ?? "")} | ${option.since} | ${cell(option.help)} |\n`;
  }
  return text;
}

function nameList(options: readonly OptionDefinition[]): string {
  return options
    .map((option) => [option.name, ...(option.aliases ?? [])].map(code).join(", "))
    .join(", ");
}

const PAGE_TOP = `# Options

This page is generated from the option table (\`emperor/src/options/\`) by \`scripts/generate-options.mjs\`; a test fails
when it is out of date.

Options come from the environment (\`UWSGI_NAME\`), then from the command line from left to right, with each file at the
place of its option; a bare file name is read last. A single-valued option takes its last value, a repeatable one all of
them in order. Times have the units of uWSGI. \`since\` is the version of uWSGI that brought the option, 2.1 being its
unreleased master; 0.1 marks options of our own.

- An unknown option on the command line is an error that names the nearest known one; nothing is started.
- An unknown key in a file is a placeholder, as in uWSGI; with \`strict\` it is an error with file and line.
- A number that is none, an unknown namespace or capability, a hook without an action are errors, not zeros.
- Relative paths are meant from the directory the Emperor was started in; after \`chdir\`, addresses of monitors, stats
  sockets, wrappers and the pidfiles written after the change are meant from there.
`;

/** The whole of docs/options.md. */
export function optionsPage(
  own: readonly OptionDefinition[],
  language: readonly OptionDefinition[],
): string {
  const all = [...own, ...language];
  let text = PAGE_TOP;
  for (const [group, options] of byGroup(all.filter((option) => option.status === "supported"))) {
    text += `\n## ${group}\n\n${supportedTable(options)}`;
  }
  text +=
    "\n## Refused\n\nGiving one of these is an error, because ignoring it would silently mean something else.\n";
  for (const [group, options] of byGroup(all.filter((option) => option.status === "later"))) {
    const reason = options[0]?.reason ?? "";
    text += `\n**${group}**: ${reason}.\n\n| option | would |\n|---|---|\n`;
    for (const option of options) text += `| ${nameList([option])} | ${cell(option.help)} |\n`;
  }
  text +=
    "\n## Accepted without effect\n\nKnown from uWSGI and without meaning for an Emperor. They are reported once at the start, so that configurations written\nfor uWSGI work unchanged.\n";
  for (const [group, options] of byGroup(all.filter((option) => option.status === "ignored"))) {
    text += `\n**${group.replace(/^Ignored: /, "")}**: ${options[0]?.reason ?? ""}.\n\n${nameList(options)}\n`;
  }
  return text;
}
