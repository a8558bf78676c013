/*
 * From a plan to a running child: clone, user maps, and what comes back. Knows nothing of Node.
 */
#ifndef EMPEROR_LAUNCH_H
#define EMPEROR_LAUNCH_H

#include "plan.h"

/* Kept by the caller between spawns of one thread; all zero at first. */
struct launcher {
  /* Stack of `shared` children, with a guard page below. NULL until first needed. */
  char *stack;
  /* Our own pidfd, for the child's question whether we still live; 0 until first needed. */
  int self_pidfd;
  pid_t self_pid;
  /* `shared` children that were killed but did not end in time; looked after at each launch. */
  struct plan *overdue;
};

struct launched {
  pid_t pid;
  int pidfd;
  /* Read end of the status pipe, `copied` only; else -1. */
  int status_fd;
  /* `shared`: index of the program that was executed. */
  int program;
};

/*
 * Starts the child and takes the plan over. `true` and `result`, or `false` and `failure` with the stage that failed; then no
 * process and no descriptor is left behind.
 */
bool launch(struct launcher *launcher, struct plan *plan, struct launched *result, struct outcome *failure);

void launcher_release(struct launcher *launcher);

/* How a child that shares our memory is made. */
struct sharing {
  /* Beside CLONE_VM. */
  uint64_t flags;
  /* -1: none. */
  int cgroup_fd;
  /* NULL: none wanted. */
  int *pidfd;
  char *stack;
  size_t stack_size;
  /* With CLONE_CHILD_CLEARTID: set to 0 by the kernel when the child leaves our memory. */
  volatile int32_t *cleared;
  int (*function)(void *);
  void *argument;
};

/* Runs `function` in a child on the given stack. Its pid, or -1 with errno. */
pid_t clone_sharing(const struct sharing *sharing);

/* Wait status as waitpid() would give it, of a child that is waited for by `id_type` and `id`; -1 with errno. */
int wait_for_end(int id_type, int id, int *wait_status);

#endif
