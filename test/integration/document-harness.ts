/**
 * Lets a test follow a document of uWSGI's: its files under a folder of the test's own, our Emperor with
 * the real uWSGI as the vassal, and requests to what it serves. Knows no document.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { dirname, join } from "node:path";
import { encodeDictionary, encodePacket } from "@emperor/protocol";
import { newRun, startEmperor } from "../harness/emperor.ts";
import type { EmperorUnderTest, Run, StartOptions } from "../harness/emperor.ts";
import { realUwsgi } from "../harness/privileges.ts";

/** An address of the loopback that no other test has, so that the documents' ports are free there. */
const HOST = `127.${128 + ((process.pid >> 16) & 63)}.${(process.pid >> 8) & 255}.${process.pid & 255}`;

export const APP = `
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/html")])
    return [b"hello from %s" % environ.get("PATH_INFO", "").encode()]
`;
/** What the documents' frameworks stand for: a callable at their place. */
const MODULES: Readonly<Record<string, string>> = {
  "site/app.py": APP,
  "site/myapp/__init__.py": "",
  "site/werkzeug/__init__.py": "",
  "site/werkzeug/testapp.py": `${APP}\ntest_app = application\n`,
  "site/trac/__init__.py": "",
  "site/trac/web/__init__.py": "",
  "site/trac/web/main.py": `${APP}\ndispatch_request = application\n`,
  "site/django/__init__.py": "",
  "site/django/core/__init__.py": "",
  "site/django/core/handlers/__init__.py": "",
  "site/django/core/handlers/wsgi.py": `${APP}\ndef WSGIHandler():\n    return application\n`,
};

/** `{dir}` and `{host}` are filled in. */
export type Files = Readonly<Record<string, string>>;

export function writeFiles(run: Run, files: Files): void {
  for (const [name, text] of Object.entries(files)) {
    const path = join(run.path, name);
    mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
    writeFileSync(path, text.replaceAll("{dir}", run.path).replaceAll("{host}", HOST));
  }
}

export interface Document extends StartOptions {
  readonly files: Files;
  readonly plugins?: string;
}

export function follow(document: Document, run: Run = newRun()): Promise<EmperorUnderTest> {
  const { files, plugins = "python3", args = [], env = {} } = document;
  writeFiles(run, { ...MODULES, ...files });
  return startEmperor(
    {
      monitors: [],
      wrapper: null,
      frequencySeconds: null,
      ...document,
      args: ["--binary-path", realUwsgi ?? "", ...args],
      env: {
        UWSGI_VASSAL_PLUGINS: plugins,
        PYTHONPATH: "{dir}/site",
        PYTHONDONTWRITEBYTECODE: "1",
        ...env,
      },
    },
    run,
  );
}

/** A request in the uwsgi protocol, or `http`, to a port of HOST or the path of a socket. */
function request(at: string | number, modifier1: number | "http" = 0): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket =
      typeof at === "number" ? connect({ host: HOST, port: at }) : connect({ path: at });
    let answer = "";
    socket.on("data", (chunk: Buffer) => (answer += chunk.toString("latin1")));
    socket.once("error", reject).once("close", () => resolve(answer));
    if (modifier1 === "http") {
      socket.write(`GET /page HTTP/1.0\r\nHost: example.com\r\n\r\n`);
      return;
    }
    const body = encodeDictionary([
      ["REQUEST_METHOD", "GET"],
      ["REQUEST_URI", "/page"],
      ["PATH_INFO", "/page"],
      ["SCRIPT_NAME", ""],
      ["HTTP_HOST", "example.com"],
    ]);
    const packet = body.ok ? encodePacket(modifier1, 0, body.bytes) : body;
    if (packet.ok) socket.write(packet.bytes);
  });
}

/** Asks until it answers as it should: a server binds before it can serve. */
export async function answers(
  emperor: EmperorUnderTest,
  at: string | number,
  modifier1: number | "http" = 0,
  expected = "hello from /page",
): Promise<string> {
  return emperor.wait(
    `${at} to answer "${expected}"`,
    async () => {
      const answer = await request(at, modifier1);
      if (!answer.includes(expected)) throw new Error(JSON.stringify(answer.slice(0, 200)));
      return answer;
    },
    30_000,
  );
}
