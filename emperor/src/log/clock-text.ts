/**
 * Wall-clock time as the classic log lines show it. Pure: the instant is an argument.
 */

const DAYS = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"] as const;
const MONTHS = [
  "Jan",
  "Feb",
  "Mar",
  "Apr",
  "May",
  "Jun",
  "Jul",
  "Aug",
  "Sep",
  "Oct",
  "Nov",
  "Dec",
] as const;

function two(value: number): string {
  return value < 10 ? `0${value}` : `${value}`;
}

/** `Sat Nov  7 09:05:03 2026`: local time in the form of ctime(3), the day padded with a blank. */
export function classicTime(wallMs: number): string {
  const at = new Date(wallMs);
  const day = at.getDate();
  return (
    `${DAYS[at.getDay()]} ${MONTHS[at.getMonth()]} ${day < 10 ? " " : ""}${day} ` +
    `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())} ${at.getFullYear()}`
  );
}

/**
 * The same for many lines: the text of a second is made once. A clock that jumps backwards simply
 * gives another second.
 */
export function createClassicClock(wallNow: () => number): () => string {
  let second = Number.NaN;
  let text = "";
  return () => {
    const now = wallNow();
    const current = Math.floor(now / 1000);
    if (current !== second) {
      second = current;
      text = classicTime(now);
    }
    return text;
  };
}
