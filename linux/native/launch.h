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
 * Starts the child. `true` and `result`, or `false` and `failure` with the stage that failed; then no
 * process and no descriptor is left behind.
 */
bool launch(struct launcher *launcher, struct plan *plan, struct launched *result, struct outcome *failure);

void launcher_release(struct launcher *launcher);

/*
 * clone(CLONE_VM | CLONE_VFORK | flags) onto a stack of the given size: runs `function` in the child
 * and returns in the caller when the child has executed a program or ended. -1 with errno.
 */
pid_t clone_sharing(uint64_t flags, int cgroup_fd, int *pidfd, char *stack, size_t stack_size, int (*function)(void *), void *argument);

/* Wait status as waitpid() would give it, of a child that is waited for by `id_type` and `id`; -1 with errno. */
int wait_for_end(int id_type, int id, int *wait_status);

#endif
