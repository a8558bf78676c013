/*
 * One epoll set, one thread. Knows nothing of Node: it calls `wake` (from its thread) when the first
 * event of a batch lies ready, and the owner takes the batch with watch_take().
 */
#ifndef EMPEROR_WATCH_H
#define EMPEROR_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Same order as `WATCH_KINDS` in src/watcher.ts. */
enum watch_kind { WATCH_EXIT, WATCH_CHANNEL, WATCH_LISTEN, WATCH_STATUS, WATCH_READABLE };

enum {
  /* Events of one batch; when it is full the thread waits, and what is not read yet stays in the kernel. */
  WATCH_BATCH = 128,
  WATCH_READ = 256,
  WATCH_BYTES = 8192,
};

struct watch_event {
  uint32_t slot, generation;
  double token;
  enum watch_kind kind;
  bool eof;
  uint32_t offset, length;
};

struct watch;

/* NULL with errno. `wake` must not block. */
struct watch *watch_create(void (*wake)(void *context), void *context);
/* Ends and joins the thread, frees everything. The descriptors stay open. */
void watch_destroy(struct watch *watch);

/* Slot number, or -1 with errno. */
int watch_add(struct watch *watch, int fd, enum watch_kind kind, double token);
int watch_rearm(struct watch *watch, uint32_t slot);
/*
 * After it returns no event of the slot is taken any more. Bytes of a channel that were read and not
 * taken are gone from the kernel, so they are given here: at most WATCH_READ. Returns their number.
 */
size_t watch_remove(struct watch *watch, uint32_t slot, uint8_t *bytes);

/* Takes the whole batch: at most WATCH_BATCH events, WATCH_BYTES bytes. Returns the number of events. */
size_t watch_take(struct watch *watch, struct watch_event *events, uint8_t *bytes);

#endif
