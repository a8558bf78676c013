/* Between launch.c and shared.c; see launch.h for what others use. */
#ifndef EMPEROR_SHARED_H
#define EMPEROR_SHARED_H

#include "launch.h"

/* Clones. Fills in the plan's pid and pidfd. */
bool shared_begin(struct launcher *launcher, struct plan *plan, struct outcome *failure);

/*
 * Killed children that did not end in time (frozen, or waiting for a file system that does not answer)
 * still use their plan, their stack and our memory. Buries those that are through by now.
 */
void bury_overdue(struct launcher *launcher);

enum { STACK_SIZE = 64 * 1024 };

/* False with errno. */
bool prepare_stack(struct launcher *launcher);
/* Our own pidfd; negative where there is none. */
int own_pidfd(struct launcher *launcher);
/* NULL is fine. */
void release_stack(char *stack);

/* Fills in the failure; always false. */
bool give_up(struct outcome *failure, enum stage stage, int error, int wait_status);

/* The child ends or is ended: takes its corpse away and closes its pidfd. Its wait status. */
int bury(int pidfd);

#endif
