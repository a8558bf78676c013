/*
 * The child's descriptors: those of the plan in their places, nothing else. Async-signal-safe, like
 * everything that runs between clone and exec.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "child.h"

#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC (1U << 2)
#endif

/* getdents64's record, which libc keeps to itself. */
struct directory_record {
  uint64_t inode;
  int64_t offset;
  uint16_t length;
  uint8_t type;
  char name[];
};

static bool is_kept(const int *kept, size_t count, int fd) {
  for (size_t i = 0; i < count; i++)
    if (kept[i] == fd) return true;
  return false;
}

static void drop(int fd, bool only_mark) {
  if (only_mark) fcntl(fd, F_SETFD, FD_CLOEXEC);
  else close(fd);
}

/* For kernels before 5.9: what /proc/self/fd lists, or every number up to the limit where there is no /proc. */
static void close_one_by_one(const int *kept, size_t count, bool only_mark) {
  int directory = open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0) {
    struct rlimit limit = {.rlim_cur = 1024};
    syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, NULL, &limit);
    int end = limit.rlim_cur > 1048576 ? 1048576 : (int)limit.rlim_cur;
    for (int fd = 0; fd < end; fd++)
      if (!is_kept(kept, count, fd)) drop(fd, only_mark);
    return;
  }
  _Alignas(8) char buffer[1024];
  long length;
  while ((length = syscall(SYS_getdents64, directory, buffer, sizeof buffer)) > 0) {
    for (long at = 0; at < length;) {
      struct directory_record *record = (struct directory_record *)(buffer + at);
      at += record->length;
      int fd = 0;
      const char *digit = record->name;
      while (*digit >= '0' && *digit <= '9') fd = fd * 10 + (*digit++ - '0');
      if (digit != record->name && fd != directory && !is_kept(kept, count, fd)) drop(fd, only_mark);
    }
  }
  close(directory);
}

static int close_span(unsigned first, unsigned last, bool only_mark) {
#ifdef SYS_close_range
  return (int)syscall(SYS_close_range, first, last, only_mark ? CLOSE_RANGE_CLOEXEC : 0);
#else
  (void)first, (void)last, (void)only_mark;
  errno = ENOSYS;
  return -1;
#endif
}

void close_all_except(const int *kept, size_t count, bool only_mark) {
  unsigned first = 0;
  for (size_t i = 0; i <= count; i++) {
    unsigned end = i < count ? (unsigned)kept[i] : ~0U;
    // `end` itself is kept, except for the last span, which has none above it.
    if (i == count || end > first) {
      if (close_span(first, i < count ? end - 1 : ~0U, only_mark) != 0) {
        close_one_by_one(kept, count, only_mark);
        return;
      }
    }
    if (i < count) first = end + 1;
  }
}

/* Sorts and removes doubles; the lists are a handful long. */
static size_t sort_unique(int *list, size_t count) {
  size_t unique = 0;
  for (size_t i = 0; i < count; i++) {
    int value = list[i];
    size_t at = unique;
    while (at > 0 && list[at - 1] > value) at--;
    if (at > 0 && list[at - 1] == value) continue;
    memmove(&list[at + 1], &list[at], (unique - at) * sizeof *list);
    list[at] = value;
    unique++;
  }
  return unique;
}

int place_descriptors(struct plan *plan) {
  size_t kept = 0;
  int top = 2;
  for (size_t i = 0; i < plan->fd_count; i++) {
    if (plan->fds[i].from >= 0) plan->kept[kept++] = plan->fds[i].from;
    if (plan->fds[i].to > top) top = plan->fds[i].to;
  }
  if (plan->copied) plan->kept[kept++] = plan->status_fd;
  // First everything that is not a source: a parent with thousands of descriptors would leave no
  // free number below a low RLIMIT_NOFILE of the vassal for the copies made next.
  close_all_except(plan->kept, sort_unique(plan->kept, kept), false);
  // Then all sources to numbers above every target, so that no target overwrites a source.
  if (plan->copied && plan->status_fd <= top) {
    int moved = fcntl(plan->status_fd, F_DUPFD_CLOEXEC, top + 1);
    if (moved < 0) return -1;
    plan->status_fd = moved;
  }
  for (size_t i = 0; i < plan->fd_count; i++) {
    int source = plan->fds[i].from;
    // uWSGI gives its vassals a /dev/null opened read-write as standard input; so do we.
    if (source < 0) source = open("/dev/null", O_RDWR | O_CLOEXEC | O_NOCTTY);
    if (source < 0) return -1;
    int moved = fcntl(source, F_DUPFD_CLOEXEC, top + 1);
    if (moved < 0) return -1;
    plan->fds[i].from = moved;
  }
  kept = 0;
  for (size_t i = 0; i < plan->fd_count; i++) {
    // Without close-on-exec: the target is the program's. The numbers differ, so it is a true copy.
    if (dup3(plan->fds[i].from, plan->fds[i].to, 0) < 0) return -1;
    plan->kept[kept++] = plan->fds[i].to;
  }
  if (plan->copied) plan->kept[kept++] = plan->status_fd;
  close_all_except(plan->kept, sort_unique(plan->kept, kept), false);
  return 0;
}
