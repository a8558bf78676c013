/*
 * From a plan to a running child: clone, user maps, and what comes back. Knows nothing of Node.
 */
#ifndef EMPEROR_LAUNCH_H
#define EMPEROR_LAUNCH_H

#include "plan.h"

/* Numbers reserved for a child's descriptors, see table.c: a vassal's channel and its config pipe. */
enum { LOW_COUNT = 2 };

/* Kept by the caller between spawns, for one child in its set-up at a time; all zero at first. */
struct launcher {
  /* Stack of `shared` children, with a guard page below. NULL until first needed. */
  char *stack;
  /*
   * Whose thread-local storage `shared` children use. NULL: that of the thread that clones, which must
   * then wait; else that of a thread which touches it in no way while such a child is in our memory.
   */
  void *thread_pointer;
  /* `shared` children begin with our descriptors and copy the low part only. */
  bool table_is_shared;
  int low[LOW_COUNT], low_used;
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

/*
 * The two halves of the launch of a `shared` child, for two threads. launch_begin() clones, in a few
 * microseconds; the calling thread is the child's parent in the sense of the parent-death signal. After
 * `true` the child runs in our memory until launch_wait() says that it left; launch_finish() waits up to
 * `timeout_ms` and ends a child that is still there. Neither takes the plan over: when launch_begin()
 * failed or launch_finish() returned, launch_end() does.
 */
bool launch_begin(struct launcher *launcher, struct plan *plan, struct outcome *failure);
/* Whether the child left within the time. */
bool launch_wait(struct plan *plan, uint32_t timeout_ms);
bool launch_finish(struct launcher *launcher, struct plan *plan, uint32_t timeout_ms, struct launched *result, struct outcome *failure);
/* Frees the plan, unless a child that could not be ended still uses it. */
void launch_end(struct launcher *launcher, struct plan *plan);

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
  /* NULL: that of the calling thread. */
  void *thread_pointer;
  int (*function)(void *);
  void *argument;
};

/* Runs `function` in a child on the given stack. Its pid, or -1 with errno. */
pid_t clone_sharing(const struct sharing *sharing);

/* Wait status as waitpid() would give it, of a child that is waited for by `id_type` and `id`; -1 with errno. */
int wait_for_end(int id_type, int id, int *wait_status);

#endif
