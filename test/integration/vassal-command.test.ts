/** The `vassal` command with programs that are no Node app. */
import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { VassalFolder, get } from "./vassal-harness.ts";

/** Perl is on every Debian; this one answers each connection with the values of its environment. */
const SERVER = `
use IO::Socket::INET; $| = 1;
my $s = IO::Socket::INET->new_from_fd(3, 'r+') or die "no socket: $!";
$SIG{TERM} = sub { print "got TERM\\n"; exit 0 } unless ($ENV{STUBBORN});
$SIG{TERM} = 'IGNORE' if $ENV{STUBBORN};
print "server $$ is up\\n";
while (my $c = $s->accept) {
  while (<$c>) { last if /^\\r?\\n$/ }
  my $b = join ' ', $$, map { $ENV{$_} // '-' } qw(LISTEN_PID LISTEN_FDS LISTEN_FDNAMES UWSGI_EMPEROR_FD VERSION);
  print $c "HTTP/1.1 200 OK\\r\\nContent-Length: ", length $b, "\\r\\nConnection: close\\r\\n\\r\\n$b"; close $c;
}`;

it("hands its socket to the command as systemd does, in a session of its own", async () => {
  await using folder = await VassalFolder.create();
  folder.write("server.pl", SERVER);
  folder.ini(`command = perl "%dserver.pl"\nenv = VERSION=1`);
  const vassal = folder.start();
  await vassal.accepting();
  const [pid, listenPid, ...rest] = (await get(folder.url)).body.split(" ");
  expect(listenPid).toBe(pid);
  expect(rest).toEqual(["1", `127.0.0.1_${folder.port}`, "-", "1"]);
  expect(readFileSync(`/proc/${pid}/stat`, "utf8").split(" ")[5]).toBe(pid);
  expect(readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0")[0]).toMatch(/perl$/);
  vassal.send(0);
  expect(await vassal.ended()).toEqual({ code: 0, signal: null });
  await folder.untilAlone();
});

it("restarts the command for a reload, with the new config, while connections wait", async () => {
  await using folder = await VassalFolder.create();
  folder.write("server.pl", SERVER);
  folder.ini(`command = perl %dserver.pl\nenv = VERSION=1`);
  const vassal = folder.start();
  await vassal.accepting();
  const [first] = (await get(folder.url)).body.split(" ");
  folder.ini(`command = perl %dserver.pl\nenv = VERSION=2`);
  vassal.send(1);
  await vassal.untilLog(/got TERM/);
  const [second, ...rest] = (await get(folder.url)).body.split(" ");
  expect(second).not.toBe(first);
  expect(rest.at(-1)).toBe("2");
  await vassal.accepting(2);
  folder.ini(`command =\nenv = VERSION=3`);
  vassal.send(1);
  await vassal.untilLog(/names no program[^]*reload refused/);
  folder.ini(`command = no-such-program-anywhere`);
  vassal.send(1);
  await vassal.untilLog(/no such program in PATH[^]*reload refused/);
  expect((await get(folder.url)).body).toContain(`${second} `);
});

it("stops gracefully by SIGTERM, kills what ignores it after reload-mercy, and the rest of the session", async () => {
  await using folder = await VassalFolder.create();
  folder.write("server.pl", `if (fork == 0) { $SIG{TERM} = 'IGNORE'; sleep 1000 }\n${SERVER}`);
  for (const stubborn of [false, true]) {
    folder.ini(
      `command = perl %dserver.pl\nreload-mercy = 0.3${stubborn ? "\nenv = STUBBORN=1" : ""}`,
    );
    const vassal = folder.start();
    await vassal.untilLog(/is up/);
    vassal.send(2);
    expect(await vassal.ended()).toEqual({ code: 0, signal: null });
    expect(vassal.log.includes("got TERM")).toBe(!stubborn);
    await folder.untilAlone();
  }
});

it("ends with the Emperor, and when it is killed itself", async () => {
  await using folder = await VassalFolder.create();
  folder.write("server.pl", SERVER);
  folder.ini("command = perl %dserver.pl");
  const vassal = folder.start();
  await vassal.untilLog(/is up/);
  vassal.channel.destroy();
  expect(await vassal.ended()).toEqual({ code: 1, signal: null });
  await folder.untilAlone();
  const second = folder.start();
  await second.untilLog(/is up/);
  second.child.kill("SIGKILL");
  await second.ended();
  await folder.untilAlone();
});

it.each([
  ["sh -c 'exit 7'", 7, /exited with 7/],
  ["sh -c 'kill -9 $$'", 137, /ended by SIGKILL/],
  ["/no/such/program x", 1, /cannot be executed: ENOENT/],
  ["no-such-program-anywhere", 1, /no such program in PATH/],
  ["/tmp", 1, /is a directory/],
  ["/etc/passwd", 1, /EACCES/],
])("exits as the command does: %s", async (command, code, message) => {
  await using folder = await VassalFolder.create();
  folder.write("app.ini", `[uwsgi]\ncommand = ${command}\n`);
  const vassal = folder.start();
  expect(await vassal.ended()).toEqual({ code, signal: null });
  await vassal.untilLog(message);
});

it("becomes loyal when it has been up for five seconds, not before", async () => {
  await using folder = await VassalFolder.create();
  folder.write("app.ini", "[uwsgi]\ncommand = sleep 100\n");
  const vassal = folder.start();
  await vassal.accepting();
  expect(vassal.bytes).toEqual([1, 5]);
  await vassal.untilBytes("loyal", (bytes) => bytes.includes(17));
});
