/** Several copies of a command: restarts, readiness, signals, and the end of everything they left behind. */
import { readFileSync, realpathSync } from "node:fs";
import { execFileSync } from "node:child_process";
import { expect, it } from "vitest";
import { VassalFolder, freePort, get } from "./vassal-harness.ts";
import { signalTo } from "../harness/processes.ts";

/** Behind pyenv and the like stands the real program. */
const PYTHON = realpathSync(
  execFileSync("python3", ["-c", "import sys; print(sys.executable)"], { encoding: "utf8" }).trim(),
);

/**
 * In the manner of gunicorn: takes its socket as systemd hands it over, forks workers, starts new ones
 * by SIGHUP and ends gracefully by SIGTERM.
 */
const ARBITER = `
import os, signal, socket, sys, time
assert os.environ["LISTEN_PID"] == str(os.getpid()) and os.environ["LISTEN_FDS"] == "1"
listener = socket.socket(fileno=3)
assert os.fstat(0).st_ino == os.fstat(3).st_ino
workers, generation = [], 0

def work(number):
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    while True:
        client, _ = listener.accept()
        client.recv(65536)
        body = "%d %d %s" % (os.getppid(), number, os.environ["VASSAL_COPY"])
        client.sendall(("HTTP/1.1 200 OK\\r\\nContent-Length: %d\\r\\nConnection: close\\r\\n\\r\\n%s" % (len(body), body)).encode())
        client.close()

def spawn(*_):
    global workers, generation
    old, generation = workers, generation + 1
    workers = []
    for _ in range(2):
        pid = os.fork()
        if pid == 0:
            work(generation)
        workers.append(pid)
    for pid in old:
        os.kill(pid, signal.SIGTERM)
    print("generation", generation, "works", flush=True)

def stop(*_):
    for pid in workers:
        os.kill(pid, signal.SIGTERM)
    for pid in workers:
        os.waitpid(pid, 0)
    print("arbiter leaves", flush=True)
    os._exit(0)

signal.signal(signal.SIGHUP, spawn)
signal.signal(signal.SIGQUIT, stop)
spawn()
while True:
    signal.pause()
`;

it("serves through a program that activates by socket and reloads by a signal of its own", async () => {
  await using folder = await VassalFolder.create();
  folder.write("arbiter.py", ARBITER);
  folder.ini(`command = ${PYTHON} %darbiter.py
command-ready = http://127.0.0.1:${folder.port}/
command-reload-signal = HUP
command-stop-signal = SIGQUIT`);
  const vassal = folder.start();
  await vassal.accepting();
  expect(vassal.bytes).toEqual([1, 5]);
  const [arbiter, generation, copy] = (await get(folder.url)).body.split(" ");
  expect([generation, copy]).toEqual(["1", "1"]);
  vassal.send(1);
  await vassal.untilLog(/generation 2 works/);
  await vassal.accepting(2);
  // A worker of the first generation may still take one that waits.
  let answer: string[] = [];
  for (let i = 0; i < 50 && answer[1] !== "2"; i++)
    answer = (await get(folder.url).catch(() => ({ body: "" }))).body.split(" ");
  expect(answer).toEqual([arbiter, "2", "1"]);
  vassal.send(2);
  expect(await vassal.ended()).toEqual({ code: 0, signal: null });
  expect(vassal.log).toContain("arbiter leaves");
  await folder.untilAlone();
});

const COPY = `
import os, socket, sys, time
name = os.environ.get("NOTIFY_SOCKET", "")
def notify(text):
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    sock.connect("\\0" + name[1:])
    sock.send(text.encode())
os.write(1, b"copy %s is %d\\n" % (os.environ["VASSAL_COPY"].encode(), os.getpid()))
`;

it("runs copies, is ready when each says so, and starts again what ends, later each time", async () => {
  await using folder = await VassalFolder.create();
  folder.write(
    "copy.py",
    `${COPY}
while not os.path.exists("go"): time.sleep(0.02)
notify("STATUS=copy %s\\nforged" % os.environ["VASSAL_COPY"])
notify("READY=1")
time.sleep(1000)`,
  );
  folder.ini(`command = ${PYTHON} %dcopy.py\nprocesses = 3\ncommand-ready = notify`);
  const vassal = folder.start();
  for (const pattern of [/copy 1 is/, /copy 2 is/, /copy 3 is/]) await vassal.untilLog(pattern);
  expect(vassal.bytes).toEqual([1]);
  folder.write("go", "");
  await vassal.accepting();
  expect(vassal.bytes).toEqual([1, 5]);
  expect(vassal.log).toMatch(/says: "?copy 2/);
  const pid = Number(/copy 2 is (\d+)/.exec(vassal.log)?.[1]);
  signalTo(pid, "SIGKILL");
  await vassal.untilLog(/was ended by SIGKILL: starting it again in 1000 ms/);
  await vassal.untilLog(/copy 2 is[^]*copy 2 is/);
  const next = Number(/copy 2 is \d+[^]*copy 2 is (\d+)/.exec(vassal.log)?.[1]);
  expect(next).not.toBe(pid);
  signalTo(next, "SIGKILL");
  await vassal.untilLog(/starting it again in 2000 ms/);
  vassal.send(0);
  expect(await vassal.ended()).toEqual({ code: 0, signal: null });
  await folder.untilAlone();
});

it("fails when a copy ends before it was ready, or takes too long", async () => {
  await using folder = await VassalFolder.create();
  folder.ini("command = sh -c 'exit 3'\nprocesses = 2\ncommand-ready = notify");
  const first = folder.start();
  expect(await first.ended()).toEqual({ code: 3, signal: null });
  expect(first.bytes).toEqual([1]);
  folder.ini(
    `command = sleep 1000\nprocesses = 2\ncommand-ready-timeout = 0.3\ncommand-ready = 127.0.0.1:${await freePort()}`,
  );
  const second = folder.start();
  expect(await second.ended()).toEqual({ code: 1, signal: null });
  expect(second.log).toContain("not ready after 0.3 s");
  await folder.untilAlone();
});

it("waits for a port of the command's own", async () => {
  await using folder = await VassalFolder.create();
  const port = await freePort();
  folder.write(
    "own.py",
    `import os, socket, time
while not os.path.exists("go"): time.sleep(0.02)
s = socket.create_server(("127.0.0.1", ${port}))
print("it listens", flush=True)
while True: s.accept()[0].close()`,
  );
  folder.ini(`command = ${PYTHON} %down.py\ncommand-ready = 127.0.0.1:${port}`);
  const vassal = folder.start();
  await vassal.untilLog(/runs as process/);
  expect(vassal.bytes).not.toContain(5);
  folder.write("go", "");
  await vassal.accepting();
  expect(vassal.log).toContain("it listens");
});

it("ends what went into the background, into another session, and stays there", async () => {
  await using folder = await VassalFolder.create();
  folder.write(
    "escape.py",
    `import os, signal, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        open("escaped", "w").write(str(os.getpid()))
        time.sleep(1000)
    os._exit(0)
os.wait()
print("let go", flush=True)
time.sleep(1000)`,
  );
  folder.ini(`command = ${PYTHON} %descape.py`);
  const vassal = folder.start();
  await vassal.untilLog(/let go/);
  vassal.send(2);
  expect(await vassal.ended()).toEqual({ code: 0, signal: null });
  expect(readFileSync(`${folder.path}/escaped`, "utf8")).toMatch(/^\d+$/);
  await folder.untilAlone();
});
