/*
 * The watcher's thread without Node, under ThreadSanitizer: descriptors come and go while it reports.
 */
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "check.h"
#include "watch.h"

struct owner {
  struct watch *watch;
  int wakes;
  struct watch_event events[WATCH_BATCH];
  uint8_t bytes[WATCH_BYTES];
};

static void wake(void *context) {
  struct owner *owner = context;
  uint64_t one = 1;
  if (write(owner->wakes, &one, sizeof one) != sizeof one) abort();
}

static struct owner *start(void) {
  struct owner *owner = calloc(1, sizeof *owner);
  owner->wakes = eventfd(0, EFD_NONBLOCK);
  owner->watch = watch_create(wake, owner);
  EXPECT(owner->watch != NULL, "errno %d", errno);
  return owner;
}

static void stop(struct owner *owner) {
  watch_destroy(owner->watch);
  close(owner->wakes);
  free(owner);
}

/* Next batch; 0 when none came within the deadline. */
static size_t take(struct owner *owner, int timeout_ms) {
  struct pollfd ready = {.fd = owner->wakes, .events = POLLIN};
  uint64_t count;
  if (poll(&ready, 1, timeout_ms) <= 0 || read(owner->wakes, &count, sizeof count) < 0) return 0;
  return watch_take(owner->watch, owner->events, owner->bytes);
}

static void make_pair(int pair[2]) { EXPECT(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0, "errno %d", errno); }

static void run_channel(const void *unused) {
  (void)unused;
  struct owner *owner = start();
  int pair[2];
  make_pair(pair);
  int slot = watch_add(owner->watch, pair[0], WATCH_CHANNEL, 42);
  EXPECT(slot >= 0, "errno %d", errno);
  EXPECT(write(pair[1], "ab", 2) == 2, "errno %d", errno);
  EXPECT(take(owner, 10000) == 1 && owner->events[0].token == 42 && owner->events[0].length == 2 && !owner->events[0].eof, "length %u",
         owner->events[0].length);
  EXPECT(memcmp(owner->bytes + owner->events[0].offset, "ab", 2) == 0, "bytes");
  // One shot: what comes now waits in the kernel until it is asked for.
  char flood[1000] = {0};
  EXPECT(write(pair[1], flood, sizeof flood) == sizeof flood, "errno %d", errno);
  size_t total = 0;
  for (int i = 0; i < 4; i++) {
    EXPECT(watch_rearm(owner->watch, (uint32_t)slot) == 0, "errno %d", errno);
    EXPECT(take(owner, 10000) == 1 && owner->events[0].length <= WATCH_READ, "length %u", owner->events[0].length);
    total += owner->events[0].length;
  }
  EXPECT(total == sizeof flood, "%zu", total);
  EXPECT(write(pair[1], "z", 1) == 1, "errno %d", errno);
  close(pair[1]);
  watch_rearm(owner->watch, (uint32_t)slot);
  EXPECT(take(owner, 10000) == 1 && owner->events[0].length == 1 && owner->events[0].eof, "last byte and end come together");
  close(pair[0]);
  stop(owner);
}

/* More ready descriptors than a batch holds: all are told, none twice, none lost. */
static void run_many(const void *unused) {
  (void)unused;
  enum { MANY = 400 };
  static int pairs[MANY][2];
  static int seen[MANY];
  struct owner *owner = start();
  for (int i = 0; i < MANY; i++) {
    make_pair(pairs[i]);
    EXPECT(write(pairs[i][1], "0123456789", 10) == 10, "errno %d", errno);
    EXPECT(watch_add(owner->watch, pairs[i][0], WATCH_CHANNEL, i) >= 0, "errno %d", errno);
  }
  for (int told = 0; told < MANY;) {
    size_t count = take(owner, 10000);
    EXPECT(count > 0 && count <= WATCH_BATCH, "%d of %d told", told, MANY);
    for (size_t i = 0; i < count; i++) {
      seen[(int)owner->events[i].token]++;
      EXPECT(owner->events[i].length == 10, "length %u", owner->events[i].length);
    }
    told += (int)count;
  }
  for (int i = 0; i < MANY; i++) EXPECT(seen[i] == 1, "token %d told %d times", i, seen[i]);
  stop(owner);
}

/* Removed after the thread saw it, before the owner took it: nothing comes, nor under the same number. */
static void run_stale(const void *unused) {
  (void)unused;
  struct owner *owner = start();
  for (int round = 0; round < 500; round++) {
    int pair[2];
    make_pair(pair);
    int slot = watch_add(owner->watch, pair[0], WATCH_CHANNEL, 2 * round);
    EXPECT(slot >= 0 && write(pair[1], "old", 3) == 3, "errno %d", errno);
    // Sometimes the thread has the event by now, sometimes not.
    if (round % 3 == 0) poll(&(struct pollfd){.fd = owner->wakes, .events = POLLIN}, 1, 1000);
    // Whoever has them, none of the bytes is lost.
    uint8_t bytes[WATCH_READ];
    size_t taken = watch_remove(owner->watch, (uint32_t)slot, bytes);
    ssize_t left = recv(pair[0], bytes + taken, sizeof bytes - taken, MSG_DONTWAIT);
    EXPECT(taken + (left > 0 ? (size_t)left : 0) == 3 && memcmp(bytes, "old", 3) == 0, "%zu taken, %zd left", taken, left);
    close(pair[0]);
    close(pair[1]);
    make_pair(pair);
    slot = watch_add(owner->watch, pair[0], WATCH_CHANNEL, 2 * round + 1);
    EXPECT(slot >= 0 && write(pair[1], "new", 3) == 3, "errno %d", errno);
    size_t count = 0;
    // A wake-up may be for the stale event alone.
    for (int tries = 0; count == 0 && tries < 3; tries++) count = take(owner, 10000);
    EXPECT(count == 1 && owner->events[0].token == 2 * round + 1, "%zu events, token %g in round %d", count, owner->events[0].token, round);
    watch_remove(owner->watch, (uint32_t)slot, bytes);
    close(pair[0]);
    close(pair[1]);
  }
  stop(owner);
}

static void run_refusals(const void *unused) {
  (void)unused;
  struct owner *owner = start();
  EXPECT(watch_add(owner->watch, 999, WATCH_READABLE, 1) == -1 && errno == EBADF, "errno %d", errno);
  int slot = watch_add(owner->watch, owner->wakes, WATCH_READABLE, 1);
  EXPECT(slot >= 0 && watch_add(owner->watch, owner->wakes, WATCH_READABLE, 2) == -1 && errno == EEXIST, "errno %d", errno);
  uint8_t bytes[WATCH_READ];
  EXPECT(watch_remove(owner->watch, 12345, bytes) == 0, "unknown slots are ignored");
  EXPECT(watch_rearm(owner->watch, 12345) == 0, "unknown slots are ignored");
  stop(owner);
}

static void run_stop_while_full(const void *unused) {
  (void)unused;
  static int pairs[WATCH_BATCH * 2][2];
  struct owner *owner = start();
  for (int i = 0; i < WATCH_BATCH * 2; i++) {
    make_pair(pairs[i]);
    EXPECT(write(pairs[i][1], "x", 1) == 1, "errno %d", errno);
    EXPECT(watch_add(owner->watch, pairs[i][0], WATCH_CHANNEL, i) >= 0, "errno %d", errno);
  }
  // Nobody takes the batch: the thread waits for room, and must still end.
  stop(owner);
}

int main(void) {
  setvbuf(stdout, NULL, _IOLBF, 0);
  run_case("channel", run_channel, NULL);
  run_case("more than a batch", run_many, NULL);
  run_case("stale events", run_stale, NULL);
  run_case("refusals", run_refusals, NULL);
  run_case("stop while full", run_stop_while_full, NULL);
  return report();
}
