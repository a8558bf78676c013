/*
 * A supervisor has two descriptors per child, and a child that begins with a copy of all of them spends
 * most of its set-up on copying and closing (0.7 ms of 0.8 with a thousand children). So a `shared` child
 * begins with our own table (CLONE_FILES), and its first act is close_range(end, ~0, UNSHARE), which
 * gives it a table of its own with a copy of what is below `end`. Before that it touches no descriptor,
 * and when that fails it ends without touching one: our table is never changed by a child.
 */
#include "table.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "child.h"
#include "shared.h"

#ifndef CLOSE_RANGE_UNSHARE
#define CLOSE_RANGE_UNSHARE (1U << 1)
#endif

static int close_range_unshare(unsigned first) {
#ifdef SYS_close_range
  return (int)syscall(SYS_close_range, first, ~0U, CLOSE_RANGE_UNSHARE);
#else
  (void)first;
  errno = ENOSYS;
  return -1;
#endif
}

/* Of the trial below. */
struct trial {
  char *stack;
  size_t stack_size;
  int source;
  volatile bool good;
};

enum { TRIAL_FIRST = 64, TRIAL_END = 128 };

static int trial_inner(void *argument) {
  struct trial *trial = argument;
  if (close_range_unshare(TRIAL_FIRST) == 0) trial->good = fcntl(0, F_DUPFD, TRIAL_FIRST) == TRIAL_FIRST;
  raw_exit(0);
}

/* In a child with a table of its own, of which it may do as it likes. */
static int trial_outer(void *argument) {
  struct trial *trial = argument;
  for (int fd = 0; fd < TRIAL_END; fd++)
    if (fd != trial->source && dup3(trial->source, fd, O_CLOEXEC) < 0) raw_exit(0);
  struct sharing sharing = {
    .flags = CLONE_VFORK | CLONE_FILES,
    .cgroup_fd = -1,
    .stack = trial->stack,
    .stack_size = trial->stack_size,
    .function = trial_inner,
    .argument = trial,
  };
  int wait_status = 0;
  pid_t pid = clone_sharing(&sharing);
  if (pid > 0) (void)wait_for_end(P_PID, pid, &wait_status);
  raw_exit(0);
}

/*
 * Whether the kernel has the call (Linux 5.9) and does it right: before 6.11 and its stable releases the
 * copy could believe that numbers above it were taken, and a program with a low limit of open files
 * then ran out of them at 64. Tried out, because version numbers do not tell what was mended.
 */
static bool try_unshare(struct launcher *launcher) {
  struct trial trial = {.stack = launcher->stack, .stack_size = STACK_SIZE / 2, .source = launcher->self_pidfd, .good = false};
  struct sharing sharing = {
    .flags = CLONE_VFORK,
    .cgroup_fd = -1,
    .stack = launcher->stack + STACK_SIZE / 2,
    .stack_size = STACK_SIZE / 2,
    .function = trial_outer,
    .argument = &trial,
  };
  uint64_t mask = 0;
  int wait_status = 0;
  raw_sigmask(UINT64_MAX, &mask);
  pid_t pid = clone_sharing(&sharing);
  raw_sigmask(mask, NULL);
  if (pid > 0) (void)wait_for_end(P_PID, pid, &wait_status);
  return trial.good;
}

static bool unshare_is_good(struct launcher *launcher) {
  static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
  static enum { UNKNOWN, GOOD, BAD } known;
  pthread_mutex_lock(&lock);
  if (known == UNKNOWN) known = try_unshare(launcher) ? GOOD : BAD;
  bool good = known == GOOD;
  pthread_mutex_unlock(&lock);
  return good;
}

void table_reserve(struct launcher *launcher) {
  // Where there are no pidfds (Linux 5.3) there is no close_range either.
  if (launcher->low[0] != 0 || own_pidfd(launcher) < 0 || !prepare_stack(launcher)) return;
  for (int i = 0; i < LOW_COUNT; i++) {
    launcher->low[i] = fcntl(launcher->self_pidfd, F_DUPFD_CLOEXEC, 3);
    if (launcher->low[i] < 0) return table_release(launcher);
  }
  launcher->table_is_shared = unshare_is_good(launcher);
  if (!launcher->table_is_shared) table_release(launcher);
}

void table_release(struct launcher *launcher) {
  for (int i = 0; i < LOW_COUNT; i++) {
    if (launcher->low[i] > 0) close(launcher->low[i]);
    launcher->low[i] = 0;
  }
  launcher->table_is_shared = false;
}

uint64_t table_lend(struct launcher *launcher, struct plan *plan) {
  plan->shares_table = launcher->table_is_shared;
  if (!plan->shares_table) return 0;
  // A second attempt finds some of them low already.
  int used = launcher->low_used, top = plan->parent_pidfd > plan->cgroup_fd ? plan->parent_pidfd : plan->cgroup_fd;
  for (size_t i = 0; i < plan->fd_count; i++) {
    int from = plan->fds[i].from;
    if (from > launcher->low[LOW_COUNT - 1] && used < LOW_COUNT && dup3(from, launcher->low[used], O_CLOEXEC) >= 0)
      plan->fds[i].from = from = launcher->low[used++];
    if (from > top) top = from;
  }
  launcher->low_used = used;
  // 0 when it needs none of ours.
  plan->table_end = (unsigned)(top + 1);
  return CLONE_FILES;
}

void table_return(struct launcher *launcher) {
  // Our own pidfd stands for "nothing"; closing would give the number away.
  while (launcher->low_used > 0) dup3(launcher->self_pidfd, launcher->low[--launcher->low_used], O_CLOEXEC);
}

int table_unshare(const struct plan *plan) {
  if (!plan->shares_table || close_range_unshare(plan->table_end) == 0) return 0;
  // A filter that came after the trial: a whole copy is as good, and slower.
  return syscall(SYS_unshare, CLONE_FILES) == 0 ? 0 : errno;
}
