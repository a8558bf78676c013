/*
 * Several `shared` children in their set-up at once, while the owner goes on with its work. The owner's
 * thread clones (microseconds; it stays the parent that the parent-death signal is tied to, so the
 * threads here may come and go, and an exec of the owner keeps its children). A thread per child in
 * set-up waits for its exec, ends it when it gets stuck, and lends it its thread-local storage.
 * Knows nothing of Node.
 */
#ifndef EMPEROR_STARTS_H
#define EMPEROR_STARTS_H

#include "launch.h"

enum {
  /* Most children in set-up at once, those that got stuck included. */
  STARTS_SEATS = 16,
  /* A set-up that took longer is stuck: it does not count among those that the processors are kept busy with. */
  STARTS_STUCK_MS = 50,
};

struct start_result {
  /* Of starts_begin(). */
  uint32_t seat;
  bool ok;
  struct launched child;
  struct outcome failure;
};

enum start_answer {
  /* The result will come. */
  START_BEGUN,
  /* Nothing happened; try again after the next wake-up. */
  START_FULL,
  /* Nothing is left; `failure` says why. */
  START_FAILED,
};

struct starts;

/*
 * NULL with errno. `wake` is called, from any of the threads, when starts_take() has something new or
 * another start would no longer be answered with START_FULL; it must not block. At most `parallel`
 * children that are not stuck are in set-up at once.
 */
struct starts *starts_create(unsigned parallel, void (*wake)(void *context), void *context);

/*
 * Ends and buries the children whose result was not taken, and the threads. One that cannot be ended
 * keeps what it uses.
 */
void starts_destroy(struct starts *starts);

/* Whether starts_begin() would not answer START_FULL now: a plan that is refused was made for nothing. */
bool starts_have_room(struct starts *starts);

/* Takes the plan (a `shared` one) over, unless the answer is START_FULL. `*seat` is free again once its result was taken. */
enum start_answer starts_begin(struct starts *starts, struct plan *plan, uint32_t *seat, struct outcome *failure);

/* At most STARTS_SEATS results. Returns their number. */
size_t starts_take(struct starts *starts, struct start_result *results);

#endif
