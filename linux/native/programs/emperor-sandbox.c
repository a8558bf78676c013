/*
 * emperor-sandbox [--hide DIR | --private DIR | --keep DIR | --write DIR | --read-only | --hide-pid]...
 *
 * Narrows the file system of the mount namespace that it runs in, which must be the new vassal's own,
 * with private mounts. It is a step of the vassal's start, run as root before the vassal becomes its user.
 *
 *   --hide DIR     DIR is empty and cannot be written
 *   --private DIR  DIR is empty and everybody's, in memory, as a fresh /tmp
 *   --keep DIR     stays visible below what is hidden
 *   --write DIR    may be written also with --read-only; stays visible, too
 *   --read-only    nothing else may be written, what is mounted below included
 *   --hide-pid     /proc shows only processes of one's own user
 *
 * A directory that does not exist is left out. Anything else that fails ends it with a message and
 * status 1, and so the vassal's start: half a sandbox is none. It knows nothing of vassals and options.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/mount.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

enum { MOST = 64 };
enum kind { HIDE, PRIVATE, KEEP, WRITE, KINDS };

struct place {
  char path[PATH_MAX];
  /* A detached copy of what is mounted there now. */
  int tree;
};

static struct place places[KINDS][MOST];
static int counts[KINDS];

static _Noreturn void die(const char *what, const char *path) {
  fprintf(stderr, "emperor-sandbox: cannot %s %s: %s\n", what, path, strerror(errno));
  exit(1);
}

static void add(enum kind kind, const char *path) {
  if (counts[kind] == MOST) {
    errno = E2BIG;
    die("take another directory", path);
  }
  struct place *place = &places[kind][counts[kind]];
  // The real name, so that a link cannot lead around what is hidden.
  if (realpath(path, place->path) == NULL) {
    if (errno == ENOENT || errno == ENOTDIR) return;
    die("find", path);
  }
  place->tree = -1;
  counts[kind]++;
}

static bool is_below(const char *path, const char *directory) {
  size_t length = strlen(directory);
  return strncmp(path, directory, length) == 0 && (path[length] == '/' || path[length] == 0);
}

static int copy_of(const char *path) {
  int tree = (int)syscall(SYS_open_tree, AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
  if (tree < 0) die("copy the mount of", path);
  return tree;
}

static void attach(int tree, const char *path) {
  if (syscall(SYS_move_mount, tree, "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH) != 0) die("mount", path);
  close(tree);
}

static void set_read_only(const char *path, bool wanted, bool deep) {
  struct mount_attr attributes = {0};
  if (wanted) attributes.attr_set = MOUNT_ATTR_RDONLY;
  else attributes.attr_clr = MOUNT_ATTR_RDONLY;
  if (syscall(SYS_mount_setattr, AT_FDCWD, path, deep ? AT_RECURSIVE : 0, &attributes, sizeof attributes) != 0)
    die(wanted ? "make read-only" : "keep writable", path);
}

/* Directories from `top` (exclusive) to `path`, in a file system that nobody else sees yet. */
static void make_way(const char *top, const char *path) {
  char way[PATH_MAX];
  snprintf(way, sizeof way, "%s", path);
  for (char *slash = way + strlen(top) + 1; (slash = strchr(slash, '/')) != NULL; slash++) {
    *slash = 0;
    if (mkdir(way, 0755) != 0 && errno != EEXIST) die("make", way);
    *slash = '/';
  }
  if (mkdir(way, 0755) != 0 && errno != EEXIST) die("make", way);
}

/* Takes what is to stay visible out of `top`, covers it, and puts that back. */
static void cover(const struct place *top, enum kind kind) {
  for (int of = KEEP; of <= WRITE; of++)
    for (int i = 0; i < counts[of]; i++) {
      struct place *place = &places[of][i];
      // A directory that is to be hidden cannot be kept as a whole.
      if (is_below(place->path, top->path) && strcmp(place->path, top->path) != 0) place->tree = copy_of(place->path);
    }
  const char *data = kind == PRIVATE ? "mode=1777" : "mode=0755,size=64k,nr_inodes=256";
  if (mount("tmpfs", top->path, "tmpfs", MS_NOSUID | MS_NODEV, data) != 0) die("cover", top->path);
  for (int of = KEEP; of <= WRITE; of++)
    for (int i = 0; i < counts[of]; i++) {
      struct place *place = &places[of][i];
      if (place->tree < 0) continue;
      make_way(top->path, place->path);
      attach(place->tree, place->path);
      place->tree = -1;
    }
  if (kind == HIDE) set_read_only(top->path, true, false);
}

/* The deepest first: what is put back of a directory further up then has its own parts hidden already. */
static void cover_all(void) {
  for (size_t length = PATH_MAX; length > 0; length--)
    for (int kind = HIDE; kind <= PRIVATE; kind++)
      for (int i = 0; i < counts[kind]; i++)
        if (strlen(places[kind][i].path) == length) cover(&places[kind][i], (enum kind)kind);
}

int main(int argc, char **argv) {
  bool read_only = false, hide_pid = false;
  static const char *const names[KINDS] = {"--hide", "--private", "--keep", "--write"};
  for (int i = 1; i < argc; i++) {
    int kind = 0;
    while (kind < KINDS && strcmp(argv[i], names[kind]) != 0) kind++;
    if (kind < KINDS && i + 1 < argc) add((enum kind)kind, argv[++i]);
    else if (strcmp(argv[i], "--read-only") == 0) read_only = true;
    else if (strcmp(argv[i], "--hide-pid") == 0) hide_pid = true;
    else {
      fprintf(stderr, "emperor-sandbox: what is %s?\n", argv[i]);
      return 2;
    }
  }
  cover_all();
  if (read_only) {
    // What may be written becomes a mount of its own, which can differ from what is around it.
    for (int i = 0; i < counts[WRITE]; i++) attach(copy_of(places[WRITE][i].path), places[WRITE][i].path);
    set_read_only("/", true, true);
    for (int kind = PRIVATE; kind <= WRITE; kind++)
      for (int i = 0; kind != KEEP && i < counts[kind]; i++) set_read_only(places[kind][i].path, false, true);
    // The kernel decides there who may write what.
    set_read_only("/proc", false, false);
  }
  // A /proc of its own: to change the one that is there would change everybody's.
  if (hide_pid && mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, "hidepid=2") != 0) die("hide processes in", "/proc");
  return 0;
}
