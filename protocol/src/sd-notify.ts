/**
 * Texts for systemd's notification socket, one datagram each. The first four are uWSGI's to the
 * letter, as unit files and monitors look for them; the others are what it never sends.
 */

/** Line breaks would start another assignment. */
function oneLine(text: string): string {
  return text.replaceAll(/[\r\n]+/g, " ");
}

export const SD_NOTIFY = {
  initializing: (): string => "STATUS=initializing uWSGI\n",
  ready: (): string => "STATUS=uWSGI is ready\nREADY=1\n",
  /** @param vassals number of vassals with a process */
  governing: (vassals: number): string => `STATUS=The Emperor is governing ${vassals} vassals\n`,
  buried: (): string => "STATUS=The Emperor is buried.\n",
  status: (text: string): string => `STATUS=${oneLine(text)}\n`,
  stopping: (): string => "STOPPING=1\n",
  /** @param monotonicUs CLOCK_MONOTONIC in microseconds, which `Type=notify-reload` demands */
  reloading: (monotonicUs: number): string =>
    `RELOADING=1\nMONOTONIC_USEC=${Math.trunc(monotonicUs)}\n`,
  reloaded: (): string => "READY=1\n",
  mainPid: (pid: number): string => `MAINPID=${pid}\n`,
  watchdog: (): string => "WATCHDOG=1\n",
} as const;
