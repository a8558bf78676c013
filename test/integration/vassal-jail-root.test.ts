/** Another root for a vassal: what it needs in there, and that it sees nothing else. */
import { existsSync, mkdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { expect } from "vitest";
import { otherUserTest } from "../harness/privileges.ts";
import { VassalFolder } from "./vassal-harness.ts";
import { APP, look, start, stop } from "./vassal-jail-harness.ts";

const CHECKOUT = resolve(import.meta.dirname, "../..");

/** What Node and the runtime need, mounted into `root` in the vassal's own namespace. */
function furnish(root: string): string {
  const sources = [
    ...["/usr", "/lib", "/lib64", "/bin", "/etc"].filter((path) => existsSync(path)),
    CHECKOUT,
    dirname(process.execPath),
  ].filter(
    (path, index, all) =>
      all.findIndex((other) => path.startsWith(`${other}/`)) < 0 && all.indexOf(path) === index,
  );
  for (const path of [...sources, "/proc", "/dev", "/app", "/old"])
    mkdirSync(join(root, path), { recursive: true });
  return [
    "unshare = mount",
    `mount-post-jail = none ${root} ${root} bind`,
    ...sources.map((path) => `mount-post-jail = none ${path} ${root}${path} bind,rec`),
    `mount-post-jail = none /dev ${root}/dev bind`,
    `mount-post-jail = proc none ${root}/proc`,
  ].join("\n");
}

otherUserTest("chroot: the app is in there, and so is everything that is started", async () => {
  await using folder = await VassalFolder.create();
  const root = folder.file("root");
  const furniture = furnish(root);
  folder.write("root/app/app.mjs", APP);
  const vassal = await start(
    folder,
    `${furniture}\nchroot = ${root}\nuid = daemon\nnode-app = /app/app.mjs\nprocesses = 2`,
  );
  const seen = await look(folder);
  expect(seen.root).not.toBe(statSync("/").ino);
  expect(seen).toMatchObject({ uid: 1, cwd: "/" });
  expect(readFileSync("/proc/self/mountinfo", "utf8")).not.toContain(root);
  await stop(vassal, folder);
});

otherUserTest("pivot-root, without what was there before", async () => {
  await using folder = await VassalFolder.create();
  const root = folder.file("root");
  const furniture = furnish(root);
  folder.write("root/app/app.mjs", APP);
  const vassal = await start(
    folder,
    `${furniture}\npivot_root = ${root} old\numount-as-root = /old detach\nhook-as-user = exec:test -z "$(ls /old)"\nuid = daemon\nnode-app = /app/app.mjs`,
  );
  expect(await look(folder)).toMatchObject({ uid: 1, cwd: "/", pid: vassal.pid });
  // The configuration is not in there.
  vassal.send(1);
  await vassal.untilLog(/cannot read "app\.ini": it does not exist/);
  await vassal.untilLog(/reload refused, process \d+ goes on as it is/);
  expect((await look(folder)).pid).toBe(vassal.pid);
  await stop(vassal, folder);
});

otherUserTest("a reload under another root needs its configuration in there", async () => {
  await using folder = await VassalFolder.create();
  const root = folder.file("root");
  const furniture = furnish(root);
  mkdirSync(join(root, folder.path), { recursive: true });
  const vassal = await start(
    folder,
    `${furniture}\nmount-post-jail = none ${folder.path} ${root}${folder.path} bind\nchroot = ${root}\nuid = daemon`,
  );
  const before = await look(folder);
  expect(before).toMatchObject({ uid: 1, cwd: folder.path, pid: vassal.pid });
  vassal.send(1);
  await vassal.accepting(2);
  expect(await look(folder)).toEqual(before);
  await stop(vassal, folder);
});
