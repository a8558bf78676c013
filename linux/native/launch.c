/*
 * Starts children. `copied` ones, which get a copy of our memory and report through a pipe, are made
 * here, `shared` ones in shared.c. Every way out of here leaves either a live child with its
 * descriptors in the caller's hands, or nothing at all.
 */
#include "launch.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "child.h"
#include "shared.h"
#include "table.h"
#include "thread.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

/* fork() by clone3: the child returns 0. libc's fork would run handlers that take locks. */
static pid_t clone_copying(uint64_t flags, int cgroup_fd, int *pidfd) {
  struct clone_args arguments = {
    .flags = flags | CLONE_PIDFD | (cgroup_fd >= 0 ? CLONE_INTO_CGROUP : 0),
    .pidfd = (uint64_t)(uintptr_t)pidfd,
    .exit_signal = SIGCHLD,
    .cgroup = cgroup_fd >= 0 ? (uint64_t)cgroup_fd : 0,
  };
  long pid = syscall(SYS_clone3, &arguments, sizeof arguments);
#if defined(__x86_64__) || defined(__aarch64__)
  // The order of the arguments differs elsewhere; a zero stack means "a copy of mine".
  if (pid < 0 && (errno == ENOSYS || errno == EPERM) && cgroup_fd < 0)
    pid = syscall(SYS_clone, flags | CLONE_PIDFD | SIGCHLD, NULL, pidfd, NULL, NULL);
#endif
  return (pid_t)pid;
}

int wait_for_end(int id_type, int id, int *wait_status) {
  siginfo_t info;
  memset(&info, 0, sizeof info);
  long result;
  while ((result = syscall(SYS_waitid, id_type, id, &info, WEXITED, NULL)) < 0 && errno == EINTR) continue;
  if (result < 0) return -1;
  if (info.si_code == CLD_EXITED) *wait_status = (info.si_status & 0xff) << 8;
  else *wait_status = (info.si_status & 0x7f) | (info.si_code == CLD_DUMPED ? 0x80 : 0);
  return 0;
}

void launcher_release(struct launcher *launcher) {
  release_stack(launcher->stack);
  table_release(launcher);
  if (launcher->self_pid != 0 && launcher->self_pidfd > 0) close(launcher->self_pidfd);
  // What overdue children still use stays where it is.
  memset(launcher, 0, sizeof *launcher);
}

static void close_pair(int pair[2]) {
  for (int i = 0; i < 2; i++)
    if (pair[i] >= 0) close(pair[i]);
  pair[0] = pair[1] = -1;
}

bool give_up(struct outcome *failure, enum stage stage, int error, int wait_status) {
  *failure = (struct outcome){.kind = OUTCOME_FAILURE, .stage = (int32_t)stage, .error = error, .index = -1, .wait_status = wait_status};
  return false;
}

int bury(int pidfd) {
  int wait_status = 0;
  (void)wait_for_end(P_PIDFD, pidfd, &wait_status);
  close(pidfd);
  return wait_status;
}

static int write_process_file(pid_t pid, const char *name, const char *text) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return errno;
  // The kernel takes a map in one write only.
  int error = write(fd, text, strlen(text)) < 0 ? errno : 0;
  close(fd);
  return error;
}

/* Index tells which of the three files was refused: 0 setgroups, 1 uid_map, 2 gid_map. */
static int write_user_maps(struct plan *plan, pid_t pid, int *index) {
  *index = 0;
  // "deny" must come before the group map: without privilege the kernel demands it.
  int error = plan->deny_setgroups ? write_process_file(pid, "setgroups", "deny") : 0;
  if (error == 0 && plan->uid_map[0] != '\0') *index = 1, error = write_process_file(pid, "uid_map", plan->uid_map);
  if (error == 0 && plan->gid_map[0] != '\0') *index = 2, error = write_process_file(pid, "gid_map", plan->gid_map);
  return error;
}

/* A `shared` child waits for its maps. What keeps us from writing them it reports as its own failure. */
static void let_go_on(struct plan *plan) {
  int index = -1;
  plan->map_error = write_user_maps(plan, plan->pid, &index);
  plan->map_index = index;
  __atomic_store_n(&plan->mapped, 1, __ATOMIC_RELEASE);
  raw_futex(&plan->mapped, FUTEX_WAKE, 1, NULL);
}

static bool launch_copied(struct plan *plan, struct launched *result, struct outcome *failure) {
  int status[2] = {-1, -1}, sync[2] = {-1, -1};
  if (pipe2(status, O_CLOEXEC) != 0) return give_up(failure, STAGE_PREPARE, errno, 0);
  if (plan->has_user_map && pipe2(sync, O_CLOEXEC) != 0) {
    int error = errno;
    close_pair(status);
    return give_up(failure, STAGE_PREPARE, error, 0);
  }
  // Only our end: the child's writes must arrive even if nobody reads for a while.
  fcntl(status[0], F_SETFL, O_NONBLOCK);
  plan->status_fd = status[1];
  plan->sync_read_fd = sync[0];
  plan->sync_write_fd = sync[1];
  int pidfd = -1;
  pid_t pid = clone_copying(plan->namespaces, plan->join_cgroup_by_hand ? -1 : plan->cgroup_fd, &pidfd);
  if (pid == 0) child_main(plan);
  int error = errno;
  if (pid < 0) {
    close_pair(status);
    close_pair(sync);
    return give_up(failure, STAGE_CLONE, error, 0);
  }
  close(status[1]);
  status[1] = -1;
  if (plan->has_user_map) {
    int index = -1;
    error = write_user_maps(plan, pid, &index);
    if (error == 0 && write(sync[1], "+", 1) != 1) error = errno;
    close_pair(sync);
    if (error != 0) {
      // It reads EOF and ends by itself; the signal only hurries it.
      syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
      int wait_status = bury(pidfd);
      close_pair(status);
      give_up(failure, STAGE_USER_NAMESPACE, error, wait_status);
      failure->index = index;
      return false;
    }
  }
  *result = (struct launched){.pid = pid, .pidfd = pidfd, .status_fd = status[0], .program = -1};
  return true;
}

int own_pidfd(struct launcher *launcher) {
  pid_t pid = (pid_t)syscall(SYS_getpid);
  if (launcher->self_pid != pid) {
    launcher->self_pid = pid;
    // Lacking (Linux < 5.3, no descriptor left) only the check in a pid namespace is lost.
    launcher->self_pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
  }
  return launcher->self_pidfd;
}

/* With all signals blocked. */
static bool clone_child(struct launcher *launcher, struct plan *plan, struct launched *result, struct outcome *failure) {
  plan->parent_pid = (pid_t)syscall(SYS_getpid);
  plan->parent_pidfd = plan->parent_death_signal != 0 || (plan->has_user_map && !plan->copied) ? own_pidfd(launcher) : -1;
  // clone() takes this bit for a signal's number. Of version 1 the child enters its cgroups itself, and
  // a namespace made before would show them from outside.
  plan->late_namespaces |= plan->namespaces & CLONE_NEWTIME;
  if (plan->cgroup_file_count > 0 || plan->join_cgroup_by_hand) plan->late_namespaces |= plan->namespaces & CLONE_NEWCGROUP;
  plan->namespaces &= ~plan->late_namespaces;
  for (;;) {
    bool ok = plan->copied ? launch_copied(plan, result, failure) : shared_begin(launcher, plan, failure);
    if (ok && !plan->copied && plan->has_user_map) let_go_on(plan);
    if (ok || failure->stage != STAGE_CLONE || plan->cgroup_fd < 0 || plan->join_cgroup_by_hand) return ok;
    // CLONE_INTO_CGROUP came with Linux 5.7: older kernels, and filters, answer one of these.
    if (failure->error != EINVAL && failure->error != E2BIG && failure->error != ENOSYS && failure->error != EPERM) return false;
    plan->join_cgroup_by_hand = true;
    plan->late_namespaces |= plan->namespaces & CLONE_NEWCGROUP;
    plan->namespaces &= ~plan->late_namespaces;
  }
}

bool launch_begin(struct launcher *launcher, struct plan *plan, struct outcome *failure) {
  uint64_t mask = 0;
  bury_overdue(launcher);
  // No handler of ours may run in the child, and no thread's setuid() may be waited for by it: it is
  // born with all signals blocked, libc's internal ones too.
  raw_sigmask(UINT64_MAX, &mask);
  bool ok = clone_child(launcher, plan, NULL, failure);
  raw_sigmask(mask, NULL);
  if (!ok) table_return(launcher);
  return ok;
}

void launch_end(struct launcher *launcher, struct plan *plan) {
  for (const struct plan *overdue = launcher->overdue; overdue != NULL; overdue = overdue->next_overdue)
    if (overdue == plan) return;
  plan_free(plan);
}

bool launch(struct launcher *launcher, struct plan *plan, struct launched *result, struct outcome *failure) {
  uint64_t mask = 0;
  bury_overdue(launcher);
  // As above; and while a child uses this thread's errno, no handler may run here either.
  raw_sigmask(UINT64_MAX, &mask);
  bool ok = clone_child(launcher, plan, result, failure);
  if (ok && !plan->copied) ok = launch_finish(launcher, plan, plan->timeout_ms, result, failure);
  raw_sigmask(mask, NULL);
  if (!ok) table_return(launcher);
  launch_end(launcher, plan);
  return ok;
}
