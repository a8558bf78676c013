/*
 * A directory (or a list of paths) at one glance: names that end in a suffix, their metadata, and a
 * digest over it all, so that an unchanged source costs JavaScript nothing. Knows no vassals.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "addon.h"
#include "digest.h"

/* Numbers of one entry, in the order in which src/scan.ts reads them. */
enum { FIELDS = 15, FILE_SIZE_CAP = 16 * 1024 * 1024 };
enum { KIND_FILE, KIND_DIRECTORY, KIND_FIFO, KIND_SOCKET, KIND_DEVICE, KIND_DANGLING, KIND_UNREADABLE };

struct directory_record {
  uint64_t inode;
  int64_t offset;
  uint16_t length;
  uint8_t type;
  char name[];
};

struct scan {
  int directory;
  bool nofollow, out_of_memory;
  uint64_t key[2];
  /* Sum and exclusive or of the entries' digests: neither depends on their order. */
  uint64_t sum, mixed;
  double *fields;
  size_t count, capacity;
  /* Names, each with its NUL. */
  char *names;
  size_t name_bytes, name_capacity;
};

static bool grow(struct scan *scan, size_t name_length) {
  if (scan->count == scan->capacity) {
    size_t capacity = scan->capacity == 0 ? 64 : scan->capacity * 2;
    double *fields = realloc(scan->fields, capacity * FIELDS * sizeof *fields);
    if (fields == NULL) return false;
    scan->fields = fields;
    scan->capacity = capacity;
  }
  if (scan->name_bytes + name_length + 1 > scan->name_capacity) {
    size_t capacity = (scan->name_bytes + name_length + 1) * 2;
    char *names = realloc(scan->names, capacity);
    if (names == NULL) return false;
    scan->names = names;
    scan->name_capacity = capacity;
  }
  return true;
}

static int kind_of(const struct stat *metadata, bool nofollow) {
  switch (metadata->st_mode & S_IFMT) {
    case S_IFREG: return KIND_FILE;
    case S_IFLNK: return nofollow ? KIND_FILE : KIND_DANGLING;
    case S_IFDIR: return KIND_DIRECTORY;
    case S_IFIFO: return KIND_FIFO;
    case S_IFSOCK: return KIND_SOCKET;
    default: return KIND_DEVICE;
  }
}

/* Metadata of the name: the link's own, and what it points to. False: it vanished meanwhile. */
static bool examine(struct scan *scan, const char *name, struct stat *target, struct stat *link, int *kind) {
  *kind = KIND_UNREADABLE;
  memset(target, 0, sizeof *target);
  if (fstatat(scan->directory, name, link, AT_SYMLINK_NOFOLLOW) != 0) {
    memset(link, 0, sizeof *link);
    return errno != ENOENT && errno != ENOTDIR;
  }
  *target = *link;
  if (S_ISLNK(link->st_mode) && !scan->nofollow && fstatat(scan->directory, name, target, 0) != 0) {
    *target = *link;
    *kind = errno == ENOENT || errno == ELOOP || errno == ENOTDIR ? KIND_DANGLING : KIND_UNREADABLE;
    return true;
  }
  *kind = kind_of(target, scan->nofollow);
  return true;
}

static void add_entry(struct scan *scan, const char *name, size_t length) {
  struct stat target, link;
  int kind;
  if (!examine(scan, name, &target, &link, &kind)) return;
  if (!grow(scan, length)) {
    scan->out_of_memory = true;
    return;
  }
  bool is_link = S_ISLNK(link.st_mode);
  // What is no file is told by its name and kind alone: a directory's mtime is nobody's business.
  struct stat *seen = kind == KIND_FILE ? &target : memset(&target, 0, sizeof target);
  uint64_t words[] = {
    (uint64_t)kind,
    seen->st_dev,
    seen->st_ino,
    (uint64_t)seen->st_size,
    (uint64_t)seen->st_mtim.tv_sec,
    (uint64_t)seen->st_mtim.tv_nsec,
    (uint64_t)seen->st_ctim.tv_sec,
    (uint64_t)seen->st_ctim.tv_nsec,
    (uint64_t)seen->st_uid << 32 | seen->st_gid,
    seen->st_mode,
    is_link ? (uint64_t)link.st_uid << 32 | link.st_gid : 0,
    is_link ? link.st_ino : 0,
  };
  struct digest digest;
  digest_start(&digest, scan->key);
  digest_add(&digest, words, sizeof words);
  digest_add(&digest, name, length);
  uint64_t value = digest_finish(&digest);
  scan->sum += value;
  scan->mixed ^= value * UINT64_C(0x9e3779b97f4a7c15);
  double *field = scan->fields + scan->count++ * FIELDS;
  *field++ = kind;
  *field++ = (double)seen->st_dev;
  *field++ = (double)seen->st_ino;
  *field++ = (double)seen->st_size;
  *field++ = (double)seen->st_mtim.tv_sec;
  *field++ = (double)seen->st_mtim.tv_nsec;
  *field++ = (double)seen->st_ctim.tv_sec;
  *field++ = (double)seen->st_ctim.tv_nsec;
  *field++ = seen->st_uid;
  *field++ = seen->st_gid;
  *field++ = seen->st_mode;
  *field++ = (double)seen->st_nlink;
  *field++ = is_link;
  *field++ = is_link ? link.st_uid : 0;
  *field = is_link ? link.st_gid : 0;
  memcpy(scan->names + scan->name_bytes, name, length + 1);
  scan->name_bytes += length + 1;
}

/* `suffixes` are NUL-terminated strings in a row. A name that is nothing but a suffix counts. */
static bool has_suffix(const char *name, size_t length, const struct text *suffixes) {
  for (size_t at = 0; at < suffixes->length;) {
    size_t size = strlen(suffixes->data + at);
    if (size <= length && memcmp(name + length - size, suffixes->data + at, size) == 0) return true;
    at += size + 1;
  }
  return false;
}

static int read_directory(struct scan *scan, const struct text *suffixes) {
  _Alignas(8) char buffer[32 * 1024];
  long length;
  while ((length = syscall(SYS_getdents64, scan->directory, buffer, sizeof buffer)) > 0) {
    for (long at = 0; at < length;) {
      struct directory_record *record = (struct directory_record *)(buffer + at);
      at += record->length;
      const char *name = record->name;
      if (name[0] == '.' && (name[1] == '\0' || (name[1] == '.' && name[2] == '\0'))) continue;
      size_t name_length = strlen(name);
      if (has_suffix(name, name_length, suffixes)) add_entry(scan, name, name_length);
    }
  }
  return length < 0 ? errno : 0;
}

/* Chosen once per environment: digests are compared within one process only. */
static void seed(napi_env env, uint64_t key[2]) {
  uint64_t *chosen = addon_of(env)->scan_key;
  if (chosen[0] == 0 && getrandom(chosen, 2 * sizeof *chosen, GRND_NONBLOCK) != 2 * sizeof *chosen)
    chosen[0] = (uint64_t)(uintptr_t)chosen | 1, chosen[1] = (uint64_t)getpid();
  memcpy(key, chosen, 2 * sizeof *chosen);
}

static napi_value hexadecimal(napi_env env, uint64_t value) {
  char text[17];
  for (int i = 0; i < 16; i++) text[i] = "0123456789abcdef"[value >> (60 - 4 * i) & 15];
  return make_string(env, text, 16);
}

/* undefined when the digest is the previous one, else [digest, fields, names]. */
static napi_value finish(napi_env env, struct scan *scan, const struct text *previous) {
  struct digest digest;
  uint64_t words[3] = {scan->sum, scan->mixed, scan->count}, expected = 0;
  digest_start(&digest, scan->key);
  digest_add(&digest, words, sizeof words);
  uint64_t value = digest_finish(&digest);
  if (previous->data != NULL) {
    char *end = NULL;
    expected = strtoull(previous->data, &end, 16);
    if (expected == value && end == previous->data + 16) return make_undefined(env);
  }
  napi_value results[3] = {
    hexadecimal(env, value),
    make_numbers(env, scan->fields, scan->count * FIELDS),
    make_bytes(env, scan->names, scan->name_bytes),
  };
  return make_array(env, results, 3);
}

static void release(struct scan *scan) {
  if (scan->directory >= 0) close(scan->directory);
  free(scan->fields);
  free(scan->names);
}

/* scanDirectory(directory, suffixes, nofollow, previousDigest?) */
static napi_value scan_directory(napi_env env, napi_callback_info info) {
  napi_value values[4], result = NULL;
  struct text directory = {0}, suffixes = {0}, previous = {0};
  struct scan scan = {.directory = -1};
  seed(env, scan.key);
  if (get_arguments(env, info, 4, values) && get_text(env, values[0], &directory) && get_text(env, values[1], &suffixes) &&
      get_bool(env, values[2], &scan.nofollow) && get_optional_text(env, values[3], &previous)) {
    scan.directory = open(directory.data, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK);
    if (scan.directory < 0) {
      throw_errno(env, "opendir", errno, directory.data);
    } else {
      int error = read_directory(&scan, &suffixes);
      if (error == 0 && scan.out_of_memory) error = ENOMEM;
      result = error != 0 ? throw_errno(env, "getdents", error, directory.data) : finish(env, &scan, &previous);
    }
  }
  release(&scan);
  text_free(&directory);
  text_free(&suffixes);
  text_free(&previous);
  return result;
}

/* statEntries(paths, nofollow, previousDigest?): paths are NUL-terminated strings in a row. */
static napi_value stat_entries(napi_env env, napi_callback_info info) {
  napi_value values[3], result = NULL;
  struct text paths = {0}, previous = {0};
  struct scan scan = {.directory = -1};
  seed(env, scan.key);
  if (get_arguments(env, info, 3, values) && get_text(env, values[0], &paths) && get_bool(env, values[1], &scan.nofollow) &&
      get_optional_text(env, values[2], &previous)) {
    scan.directory = AT_FDCWD;
    for (size_t at = 0; at < paths.length && !scan.out_of_memory;) {
      size_t length = strlen(paths.data + at);
      add_entry(&scan, paths.data + at, length);
      at += length + 1;
    }
    result = scan.out_of_memory ? throw_errno(env, "malloc", ENOMEM, NULL) : finish(env, &scan, &previous);
  }
  release(&scan);
  text_free(&paths);
  text_free(&previous);
  return result;
}

/* Digest of what an open regular file holds. 0, or errno. */
static int digest_content(int fd, uint64_t *value) {
  static const uint64_t key[2] = {0, 0};
  struct stat metadata;
  struct digest digest;
  _Alignas(8) char buffer[32 * 1024];
  size_t total = 0;
  if (fstat(fd, &metadata) != 0) return errno;
  if (!S_ISREG(metadata.st_mode)) return S_ISDIR(metadata.st_mode) ? EISDIR : EINVAL;
  digest_start(&digest, key);
  for (;;) {
    ssize_t got = read(fd, buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return errno;
    if (got == 0) break;
    total += (size_t)got;
    if (total > FILE_SIZE_CAP) return EFBIG;
    digest_add(&digest, buffer, (size_t)got);
  }
  *value = digest_finish(&digest);
  return 0;
}

/* fileDigest(path): the same content has the same digest in every process. */
static napi_value file_digest(napi_env env, napi_callback_info info) {
  napi_value values[1];
  struct text path;
  uint64_t value = 0;
  if (!get_arguments(env, info, 1, values) || !get_text(env, values[0], &path)) return NULL;
  // Non-blocking, so that a fifo of that name opens at once and is refused.
  int fd = open(path.data, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  int error = fd < 0 ? errno : digest_content(fd, &value);
  if (fd >= 0) close(fd);
  napi_value result = error == 0 ? hexadecimal(env, value) : throw_errno(env, fd < 0 ? "open" : "read", error, path.data);
  text_free(&path);
  return result;
}

const struct export_entry scan_exports[] = {
  {"scanDirectory", scan_directory},
  {"statEntries", stat_entries},
  {"fileDigest", file_digest},
  {NULL, NULL},
};
