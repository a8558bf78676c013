import { createOptionTable, loadConfiguration } from "@emperor/config";
import { CLONE_NEW } from "@emperor/linux";
import { expect, it } from "vitest";
import { boundDuringStart } from "./jail.ts";
import { JAIL_OPTIONS, readJail } from "./jail-settings.ts";
import type { JailSettings } from "./jail-settings.ts";
import { SettingsReader } from "./settings-reader.ts";

async function read(
  ...argv: string[]
): Promise<{ jail: JailSettings | undefined; errors: string[] }> {
  const { entries } = await loadConfiguration({
    argv,
    environment: {},
    options: createOptionTable(JAIL_OPTIONS),
  });
  const reader = new SettingsReader(entries);
  return { jail: readJail(reader), errors: reader.errors.map(({ message }) => message) };
}

it("is nothing when nothing is asked for", async () => {
  expect(await read()).toEqual({ jail: undefined, errors: [] });
});

it("collects what is repeated", async () => {
  const { jail, errors } = await read(
    ...["--unshare", "uts,pid", "--unshare", "net", "--cap", "chown,CAP_KILL", "--cap", "0"],
    ...["--add-gid", "a", "--add-gid", "7", "--cgroup-opt", "a.b=c=d", "--pivot_root", "/new  old"],
  );
  expect(errors).toEqual([]);
  // A pid namespace needs mounts of its own for its /proc.
  expect(jail?.unshare).toBe(CLONE_NEW.uts | CLONE_NEW.pid | CLONE_NEW.mount | CLONE_NEW.net);
  expect(jail?.capabilities).toEqual([0, 5]);
  expect(jail?.addGroups.map(({ text }) => text)).toEqual(["a", "7"]);
  expect(jail?.cgroupOptions).toMatchObject([{ text: "a.b", value: "c=d" }]);
  expect(jail?.pivotRoot).toMatchObject({ text: "/new", putOld: "old" });
});

it("tells all mistakes at once", async () => {
  const { errors } = await read(
    "--unshare",
    "sun",
    "--cap",
    "x",
    "--limit-nproc",
    "0",
    "--setns",
    "",
  );
  expect(errors).toEqual([
    expect.stringContaining('option "setns": it names nothing'),
    expect.stringContaining('there is no namespace "sun"'),
    expect.stringContaining('there is no capability "x"'),
    expect.stringContaining("limit-nproc"),
  ]);
});

it("lends the capabilities that the rest of the start needs, and no others", async () => {
  const { jail } = await read("--cap", "net_bind_service");
  if (jail === undefined) throw new Error("no jail");
  const nobody = { uid: undefined, gid: undefined };
  expect(boundDuringStart({ ...jail, capabilities: undefined }, nobody)).toBeUndefined();
  expect(boundDuringStart(jail, nobody)).toEqual([10]);
  expect(boundDuringStart(jail, { ...nobody, uid: "x" })?.toSorted()).toEqual(
    [10, 6, 7, 8].toSorted(),
  );
  expect(boundDuringStart({ ...jail, chroot: { text: "/", origin: "" } }, nobody)).toContain(18);
});
