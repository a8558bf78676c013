/** Binary patches: the vassal becomes another program, with the same pid, and the Emperor governs on. */
import { chmodSync, readFileSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { expect, it } from "vitest";
import { startEmperor } from "../harness/emperor.ts";
import { otherUserTest, programTest } from "../harness/privileges.ts";
import { isAlive } from "../harness/processes.ts";
import { waitFor } from "../harness/wait.ts";
import { VassalFolder } from "./vassal-harness.ts";

/** Tells who and where it is; then it speaks the protocol: accepts, and ends with 7 when it is told to stop. */
const PROGRAM = `#!/usr/bin/python3
import os, socket, sys
names = [name for name in os.environ if name.startswith(("LISTEN", "UWSGI", "VASSAL_"))]
print("program", os.getpid(), os.getuid(), sys.argv[1:], sorted(set(names) - {"VASSAL_TEST"}), flush=True)
count = int(os.environ.get("LISTEN_FDS", "0"))
if count:
    assert os.environ["LISTEN_PID"] == str(os.getpid())
    print("sockets", [socket.socket(fileno=os.dup(fd)).getsockname()[1] for fd in [0, *range(3, 3 + count)]], flush=True)
print("descriptors", len(os.listdir("/proc/self/fd")) - 1, flush=True)
emperor = socket.socket(fileno=int(os.environ["UWSGI_EMPEROR_FD"]))
emperor.send(b"\\x01\\x05")
while emperor.recv(1) != b"\\x00": pass
sys.exit(7)
`;

function program(folder: VassalFolder): string {
  const path = folder.write("program", PROGRAM);
  chmodSync(path, 0o755);
  return path;
}

const python = programTest(["python3"]);

python("becomes a program with its arguments, its channel and nothing of the runtime", async () => {
  await using folder = await VassalFolder.create();
  const path = program(folder);
  folder.ini(
    `privileged-binary-patch = ${path}\nhook-pre-jail = print:before\nhook-in-jail = print:after`,
  );
  const vassal = folder.start();
  await vassal.accepting();
  expect(folder.processes()).toEqual([vassal.pid]);
  expect(vassal.log).toContain(
    `program ${vassal.pid} ${process.getuid?.()} ['--ini', 'app.ini'] ['UWSGI_EMPEROR_FD', 'UWSGI_RELOADS']`,
  );
  // 0, 1, 2, and the channel.
  expect(vassal.log).toContain("descriptors 4");
  expect(vassal.log).toContain("before");
  expect(vassal.log).not.toContain("after");
  vassal.send(0);
  expect(await vassal.ended()).toEqual({ code: 7, signal: null });
});

python("hands its shared sockets on as systemd and inetd do", async () => {
  await using folder = await VassalFolder.create();
  const path = program(folder);
  folder.write(
    "app.ini",
    `[uwsgi]\nshared-socket = 127.0.0.1:${folder.port}\nshared-socket = 127.0.0.1:0\nunprivileged-binary-patch-arg = exec ${path} --flag\n`,
  );
  const vassal = folder.start();
  await vassal.accepting();
  expect(vassal.log).toContain(
    "['--flag'] ['LISTEN_FDNAMES', 'LISTEN_FDS', 'LISTEN_PID', 'UWSGI_EMPEROR_FD', 'UWSGI_RELOADS']",
  );
  expect(vassal.log).toMatch(new RegExp(`sockets \\[${folder.port}, ${folder.port}, \\d+\\]`));
  expect(vassal.log).toContain("descriptors 6");
  const client = connect(folder.port, "127.0.0.1");
  await new Promise((resolve, reject) => client.once("connect", resolve).once("error", reject));
  client.destroy();
  vassal.send(0);
  expect(await vassal.ended()).toEqual({ code: 7, signal: null });
});

otherUserTest("unprivileged: after the user was changed", async () => {
  await using folder = await VassalFolder.create();
  const path = program(folder);
  folder.ini(`unprivileged-binary-patch = ${path}\nuid = daemon\nhook-as-user = print:hooked`);
  const vassal = folder.start();
  await vassal.accepting();
  expect(vassal.log).toContain(
    `hooked\n[vassal app.ini] becoming ${path} (unprivileged-binary-patch)\nprogram ${vassal.pid} 1 `,
  );
  vassal.send(0);
  expect(await vassal.ended()).toEqual({ code: 7, signal: null });
});

python(
  "is governed on by its Emperor: the same process is accepting, and ends when it is told",
  async () => {
    const emperor = await startEmperor({
      wrapper: null,
      args: ["--binary-path", join(import.meta.dirname, "../../bin/vassal")],
      prepare: (run) => {
        const path = join(run.path, "program");
        writeFileSync(path, PROGRAM);
        chmodSync(path, 0o755);
        run.put("app.ini", `[uwsgi]\nprivileged-binary-patch = ${path}\n`);
      },
    });
    const vassal = await emperor.vassalWith("app.ini", { accepting: 1 });
    expect(emperor.log()).toContain(`program ${vassal.pid} `);
    expect(readFileSync(`/proc/${vassal.pid}/cmdline`, "utf8")).toContain("python3");
    emperor.remove("app.ini");
    await emperor.forgotten("app.ini");
    await waitFor("the end of the program", () => !isAlive(vassal.pid));
  },
);

it.each([
  [
    "privileged-binary-patch = /no/such",
    /app\.ini:3: privileged-binary-patch = \/no\/such cannot be executed: ENOENT/,
  ],
  [
    "unprivileged-binary-patch = /tmp",
    /unprivileged-binary-patch = \/tmp cannot be executed: \/tmp is a directory/,
  ],
  ["privileged-binary-patch =", /names no program/],
])("ends with 1: %s", async (line, message) => {
  await using folder = await VassalFolder.create();
  folder.ini(line);
  const vassal = folder.start();
  expect(await vassal.ended()).toEqual({ code: 1, signal: null });
  expect(vassal.log).toMatch(message);
  expect(vassal.bytes).toEqual([]);
});

it("ends with 1 in good order when the program turns out to be none", async () => {
  await using folder = await VassalFolder.create();
  const path = folder.write("nothing", "\x7fELF");
  chmodSync(path, 0o755);
  folder.ini(
    `privileged-binary-patch = ${path}\nshared-socket = 127.0.0.1:0\nshared-socket = 127.0.0.1:0`,
  );
  const vassal = folder.start();
  expect(await vassal.ended()).toEqual({ code: 1, signal: null });
  expect(vassal.log).toMatch(/nothing cannot be executed: .*ENOEXEC.*the vassal ends/);
});
