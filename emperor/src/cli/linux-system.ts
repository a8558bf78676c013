/** The real system: the native package in the shape in which this folder uses it. */
import * as linux from "@emperor/linux";
import type { System } from "./system.ts";

export const linuxSystem: System = {
  redirect: (fd, to) => linux.redirect(fd, to),
  lock: (fd) => linux.flock(fd, { exclusive: true, nonBlocking: true }),
  lookupUser: (nameOrId) => linux.lookupUser(nameOrId),
  lookupGroup: (nameOrId) => linux.lookupGroup(nameOrId),
  groupsOf: (user, gid) => linux.userGroups(user, gid),
  setCredentials: (ids, keep) =>
    keep === undefined ? linux.setCredentials(ids) : linux.setCredentialsKeeping(ids, keep),
  openFileLimit: () => linux.getrlimit(linux.RLIMIT.nofile),
  setOpenFileLimit: (limit) => {
    linux.setrlimit(linux.RLIMIT.nofile, limit);
  },
  sendDatagram: (path, text) =>
    linux.sendDatagram(path.startsWith("@") ? `\0${path.slice(1)}` : path, Buffer.from(text)),
};
