/** What a failed call of the file system means to an operator. Pure. */

const MEANINGS: Readonly<Record<string, string>> = {
  EACCES: "permission denied",
  EPERM: "operation not permitted",
  ENOENT: "it does not exist",
  ENOTDIR: "a part of the path is not a directory",
  ELOOP: "too many symbolic links",
  EMFILE: "no file descriptors left in this process",
  ENFILE: "no file descriptors left on this machine",
  ENOMEM: "out of memory",
  EIO: "input/output error",
  ESTALE: "stale file handle",
  ENOTCONN: "the file system is not connected",
  ETIMEDOUT: "the file system does not answer",
  ENAMETOOLONG: "the name is too long",
};

/** The errno's name that an error carries, or an empty text. */
export function errnoName(error: unknown): string {
  if (typeof error !== "object" || error === null || !("code" in error)) return "";
  return typeof error.code === "string" ? error.code : "";
}

/** `permission denied (EACCES)`. */
export function explainErrno(code: string): string {
  const meaning = MEANINGS[code];
  if (meaning !== undefined) return `${meaning} (${code})`;
  return code === "" ? "unknown failure" : `the system says ${code}`;
}
