import { expect, it } from "vitest";
import { strftime } from "./strftime.ts";

// In the zone of whoever runs this: only fields of local time, from a local date.
const date = new Date(2026, 0, 2, 15, 4, 5);

it.each([
  ["%a %A %b %B %d %e %j", "Fri Friday Jan January 02  2 002"],
  ["%Y-%m-%d %H:%M:%S", "2026-01-02 15:04:05"],
  ["%F %T %R %D", "2026-01-02 15:04:05 15:04 01/02/26"],
  ["%I %p %y %u %w", "03 PM 26 5 5"],
  ["%c", "Fri Jan  2 15:04:05 2026"],
  ["100%% %Q %", "100% %Q %"],
])("%s", (format, text) => {
  expect(strftime(format, date)).toBe(text);
});

it("tells the zone", () => {
  const [, sign, hours, minutes] = /^([+-])(\d\d)(\d\d)$/.exec(strftime("%z", date)) ?? [];
  const offset = (Number(hours) * 60 + Number(minutes)) * (sign === "-" ? 1 : -1);
  expect(offset + 0).toBe(date.getTimezoneOffset() + 0);
});
