/**
 * Signals a vassal in its own user's name, for an Emperor that may become its vassals' users but not
 * signal them (`cap = setgid,setuid`). Knows no vassal.
 */
import type { Signal } from "./machine.ts";

/**
 * Sends `signal` to the process group that `pid` leads and to `pid`. To be called only while `pid` is
 * not reaped. The little time until the signal is sent is no danger to anybody else: whatever has the
 * number by then, the signal reaches only processes of this user.
 * @param done called when it was sent, with a reason if it was not
 */
export function signalAs(
  user: { readonly uid: number; readonly gid: number },
  pid: number,
  signal: Signal,
  done: (problem: string | undefined) => void,
): void {
  const name = signal.slice("SIG".length);
  // Loaded for the few that need it, and at once: the number is the vassal's as long as it is not reaped.
  const { spawn } = process.getBuiltinModule("node:child_process");
  const child = spawn("/bin/sh", ["-c", `kill -${name} -${pid} ${pid}`], {
    ...user,
    cwd: "/",
    env: {},
    stdio: "ignore",
  });
  child.once("error", (error) => done(error.message));
  child.once("exit", (code) =>
    // 1: nobody was left in the group, which is as good.
    done(code === 0 || code === 1 ? undefined : `the shell ended with ${code}`),
  );
}
