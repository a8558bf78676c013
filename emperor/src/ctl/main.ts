/**
 * The `emperorctl` command: speaks to a running Emperor through its control socket, as any other
 * program could. It ends with an exit code that scripts can rely on.
 */
import { spawn } from "node:child_process";
import { dirname, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { EXIT } from "../errors.ts";
import { quoteName } from "../log/quoting.ts";
import { helpText, parseArguments, type Invocation } from "./arguments.ts";
import { ask, follow, NoEmperor, type Reply } from "./client.ts";
import { completionsFor, SHELLS } from "./completions.ts";
import { renderEvent, renderList, renderShow } from "./render.ts";

const DEFAULT_SOCKET = "/run/emperor/control.sock";
/** bin/vassal of this installation. */
const VASSAL = fileURLToPath(new URL("../../../bin/vassal", import.meta.url));
const FAILED = 1;
const NO_SUCH_VASSAL = 4;

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

function complain(line: string): void {
  process.stderr.write(`emperorctl: ${line}\n`);
}

async function run(invocation: Invocation): Promise<number> {
  const { command, names } = invocation;
  switch (command) {
    case "completions":
      return completions(names[0] ?? "");
    case "check":
      return check(names[0] ?? "");
    case "events":
      return events(invocation);
    case "list":
      return list(invocation);
    case "show":
      return show(invocation, names[0] ?? "");
    case "rescan":
      return report(invocation, "rescan", await ask(socketOf(invocation), "POST", "/v1/rescan"));
    case "pardon":
      if (names.length === 0)
        return report(invocation, "pardon", await ask(socketOf(invocation), "POST", "/v1/pardon"));
      return order(invocation);
    default:
      return order(invocation);
  }
}

function socketOf({ socket }: Invocation): string {
  return socket ?? process.env["EMPEROR_CONTROL"] ?? DEFAULT_SOCKET;
}

function codeOf({ status }: Reply): number {
  if (status === 200) return EXIT.done;
  return status === 404 ? NO_SUCH_VASSAL : FAILED;
}

/** One line, on the side where it belongs. */
function report({ json }: Invocation, what: string, reply: Reply): number {
  const { body } = reply;
  const code = codeOf(reply);
  const said = body["message"] ?? body["result"];
  const message = typeof said === "string" ? said : "done";
  if (json) print(JSON.stringify({ name: what, ...body }));
  else if (code === EXIT.done) print(`${quoteName(what)}: ${quoteName(message)}`);
  else complain(`${quoteName(what)}: ${quoteName(message)}`);
  return code;
}

async function list(invocation: Invocation): Promise<number> {
  const reply = await ask(socketOf(invocation), "GET", "/v1/vassals");
  if (reply.status !== 200) return report(invocation, "list", reply);
  const vassals = reply.body["vassals"] as readonly Readonly<Record<string, unknown>>[];
  if (invocation.json) print(JSON.stringify(vassals));
  else for (const line of renderList(vassals, Date.now() / 1000)) print(line);
  return EXIT.done;
}

async function show(invocation: Invocation, name: string): Promise<number> {
  const reply = await ask(socketOf(invocation), "GET", pathOf(invocation, name));
  if (reply.status !== 200) return report(invocation, name, reply);
  const { body } = reply;
  const { path } = (body["config"] ?? {}) as { readonly path?: string | null };
  // Read here, with the rights of whoever asks: what a config includes is not the Emperor's to show.
  const origins =
    typeof path === "string"
      ? await vassal([...formatOf(path), path, "--show-origin"], dirname(path))
      : undefined;
  const config = origins?.output.split("\n").filter((line) => line !== "") ?? [];
  if (invocation.json) print(JSON.stringify({ ...body, merged: config }));
  else for (const line of renderShow(body, config)) print(line);
  return EXIT.done;
}

/** The same order for many, a few at a time; the first failure decides the exit code. */
async function order(invocation: Invocation): Promise<number> {
  const names = invocation.all ? await everyName(invocation) : invocation.names;
  const queue = [...names];
  let code: number = EXIT.done;
  const work = async (): Promise<void> => {
    for (let name = queue.shift(); name !== undefined; name = queue.shift()) {
      const path = pathOf(invocation, name, invocation.command);
      const result = report(invocation, name, await ask(socketOf(invocation), "POST", path));
      if (code === EXIT.done) code = result;
    }
  };
  await Promise.all(Array.from({ length: invocation.concurrency }, work));
  return code;
}

async function everyName(invocation: Invocation): Promise<readonly string[]> {
  const { body } = await ask(socketOf(invocation), "GET", "/v1/vassals");
  const vassals = (body["vassals"] ?? []) as readonly Readonly<Record<string, unknown>>[];
  return vassals.map((vassal) => String(vassal["id"]));
}

function pathOf({ monitor, wait, timeout }: Invocation, name: string, command?: string): string {
  const query = new URLSearchParams();
  if (monitor !== undefined) query.set("monitor", monitor);
  if (wait && command !== undefined) query.set("wait", "1");
  if (timeout !== undefined) query.set("timeout", timeout);
  const tail = query.size === 0 ? "" : `?${query.toString()}`;
  const base = `/v1/vassals/${encodeURIComponent(name)}`;
  return command === undefined ? `${base}${tail}` : `${base}/${command}${tail}`;
}

async function events(invocation: Invocation): Promise<number> {
  const query = new URLSearchParams();
  if (invocation.since !== undefined) query.set("since", invocation.since);
  if (invocation.follow) query.set("follow", "1");
  await follow(socketOf(invocation), `/v1/events?${query.toString()}`, (line) => {
    print(invocation.json ? line : renderEvent(JSON.parse(line) as Record<string, unknown>));
  });
  return EXIT.done;
}

function completions(shell: string): number {
  const script = completionsFor(shell);
  if (script !== undefined) process.stdout.write(script);
  else complain(`there are completions for ${SHELLS.join(", ")}, not for ${shell}`);
  return script === undefined ? EXIT.wrongUse : EXIT.done;
}

/** Loads config and app as a start would, without serving: fit for Ansible's `validate`. */
async function check(file: string): Promise<number> {
  const path = resolve(file);
  const { code, errors } = await vassal([...formatOf(path), path], dirname(path), {
    VASSAL_TRIAL: "1",
  });
  process.stderr.write(errors);
  if (code === 0) print(`${quoteName(file)}: fine`);
  else complain(`${quoteName(file)}: would not start (exit status ${code})`);
  return code === 0 ? EXIT.done : FAILED;
}

function formatOf(path: string): readonly string[] {
  const suffix = /\.(ini|xml|ya?ml|json)$/.exec(path)?.[1] ?? "ini";
  return [`--${suffix === "yml" ? "yaml" : suffix}`];
}

interface Ended {
  readonly code: number;
  readonly output: string;
  readonly errors: string;
}

function vassal(
  args: readonly string[],
  cwd: string,
  variables: Readonly<Record<string, string>> = {},
): Promise<Ended> {
  return new Promise((done) => {
    const child = spawn(VASSAL, args, {
      cwd,
      env: { ...process.env, ...variables },
      stdio: ["ignore", "pipe", "pipe"],
    });
    let output = "";
    let errors = "";
    child.stdout.setEncoding("utf8").on("data", (chunk: string) => (output += chunk));
    child.stderr.setEncoding("utf8").on("data", (chunk: string) => (errors += chunk));
    child.once("error", (error) => done({ code: 127, output, errors: `${error.message}\n` }));
    child.once("close", (code) => done({ code: code ?? 1, output, errors }));
  });
}

async function main(): Promise<number> {
  const parsed = parseArguments(process.argv.slice(2));
  if (parsed.kind === "help") {
    process.stdout.write(helpText(DEFAULT_SOCKET));
    return EXIT.done;
  }
  if (parsed.kind === "wrong") {
    complain(`${parsed.problem}; --help lists all commands`);
    return EXIT.wrongUse;
  }
  try {
    return await run(parsed.invocation);
  } catch (error) {
    if (!(error instanceof NoEmperor)) throw error;
    complain(error.message);
    return EXIT.refused;
  }
}

// A reader that has seen enough (`| head`) is no error.
process.stdout.on("error", () => process.exit(EXIT.done));
process.exitCode = await main();
