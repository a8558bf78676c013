/* The descriptors of a `shared` child: only the low part of our table is copied. See table.c. */
#ifndef EMPEROR_TABLE_H
#define EMPEROR_TABLE_H

#include "launch.h"

/* Reserves numbers for the launcher; to be called early, because only low numbers help. A failure costs speed alone. */
void table_reserve(struct launcher *launcher);
void table_release(struct launcher *launcher);

/* Before the clone: places the plan's descriptors low and says in the plan which part the child copies. CLONE_FILES, or 0. */
uint64_t table_lend(struct launcher *launcher, struct plan *plan);
/* When the child has left our memory, or none came to be after all attempts. */
void table_return(struct launcher *launcher);

/* The child's first act: from here on its table is its own. 0, or errno; then nothing of the table may be touched. */
int table_unshare(const struct plan *plan);

#endif
