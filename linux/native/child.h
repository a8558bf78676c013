/*
 * What runs in the child between clone and exec. Everything declared here is async-signal-safe: no
 * allocation, no stdio, no Node-API, no libc function that takes a lock or keeps state.
 */
#ifndef EMPEROR_CHILD_H
#define EMPEROR_CHILD_H

#include "plan.h"

#define COMMAND_STACK_SIZE 16384

/* Executes the plan. Never returns: the process becomes the program or ends. */
_Noreturn void child_main(struct plan *plan);

/* Reports the failure of a step by the plan's way (shared memory or status pipe) and ends the process. */
_Noreturn void child_fail(struct plan *plan, enum stage stage, int error, int index, int wait_status);

/* Writes one record without ending. */
void child_report(struct plan *plan, enum outcome_kind kind, enum stage stage, int error, int index, int wait_status);

/* Runs a list of actions in order; ends the process when one that is not tolerant fails. */
void run_actions(struct plan *plan, const struct actions *actions, enum stage stage);

/* Puts the descriptors of the plan in place and closes all others. 0, or -1 with errno. */
int place_descriptors(struct plan *plan);

/* Closes (or, with `only_mark`, marks close-on-exec) all descriptors but the `count` sorted ones. */
void close_all_except(const int *kept, size_t count, bool only_mark);

/* Raw system calls: the libc wrappers of setuid and its kin signal every thread of the process. */
int raw_sigmask(uint64_t mask, uint64_t *old);
_Noreturn void raw_exit(int code);

#endif
