/*
 * Seats: each has a thread, a stack for one child, and a state that is handed to and fro. The owner has
 * a seat while it is FREE or DONE, its thread while it is BUSY or STUCK; so nothing but the states needs
 * atomic access. The thread sleeps without touching errno, which is a child's from the clone on.
 */
#include "starts.h"

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shared.h"
#include "table.h"
#include "thread.h"

enum state {
  /* Its thread has not told its storage yet. */
  NEW,
  FREE,
  BUSY,
  /* Busy for so long that it does not count. */
  STUCK,
  /* The result may be taken. */
  DONE,
  CLOSING,
};

struct seat {
  /* Of `enum state`; the thread sleeps on it. */
  volatile int32_t state;
  uint32_t index;
  pthread_t thread;
  struct starts *starts;
  struct launcher launcher;
  struct plan *plan;
  bool ok;
  struct launched child;
  struct outcome failure;
};

struct starts {
  unsigned parallel, seat_count;
  /* The owner goes: nobody waits for a stuck child any longer. */
  volatile int32_t closing;
  /* A wake-up is under way and the owner was not there yet. */
  volatile int32_t woken;
  void (*wake)(void *context);
  void *context;
  struct seat *seats[STARTS_SEATS];
};

static enum state state_of(struct seat *seat) { return (enum state)__atomic_load_n(&seat->state, __ATOMIC_ACQUIRE); }

/* Everything written before it is seen by whoever sees the new state. */
static void hand_over(struct seat *seat, enum state state) {
  __atomic_store_n(&seat->state, (int32_t)state, __ATOMIC_RELEASE);
  raw_futex(&seat->state, FUTEX_WAKE_PRIVATE, 1, NULL);
}

static void wake_owner(struct starts *starts) {
  if (__atomic_exchange_n(&starts->woken, 1, __ATOMIC_ACQ_REL) == 0) starts->wake(starts->context);
}

/*
 * In the seat's thread, until the child left our memory or is given up. Allocates nothing, because that
 * would cost each thread a heap of its own.
 */
static void attend(struct seat *seat) {
  uint32_t left = seat->plan->timeout_ms;
  while (left > STARTS_STUCK_MS && !launch_wait(seat->plan, STARTS_STUCK_MS)) {
    left = __atomic_load_n(&seat->starts->closing, __ATOMIC_ACQUIRE) ? 0 : left - STARTS_STUCK_MS;
    if (state_of(seat) == STUCK) continue;
    __atomic_store_n(&seat->state, STUCK, __ATOMIC_RELEASE);
    wake_owner(seat->starts);
  }
  seat->ok = launch_finish(&seat->launcher, seat->plan, left, &seat->child, &seat->failure);
  struct starts *starts = seat->starts;
  hand_over(seat, DONE);
  wake_owner(starts);
}

static void *run(void *argument) {
  struct seat *seat = argument;
  pthread_setname_np(pthread_self(), "starts");
  seat->launcher.thread_pointer = thread_pointer();
  hand_over(seat, FREE);
  for (;;) {
    enum state state = state_of(seat);
    if (state == CLOSING) return NULL;
    if (state == BUSY) attend(seat);
    else raw_futex(&seat->state, FUTEX_WAIT_PRIVATE, (int32_t)state, NULL);
  }
}

static int start_thread(struct seat *seat) {
  pthread_attr_t attributes;
  sigset_t all, before;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, 256 * 1024);
  // Signals are the main thread's business.
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int error = pthread_create(&seat->thread, &attributes, run, seat);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  pthread_attr_destroy(&attributes);
  return error;
}

/* A new seat, whose thread has told its storage. NULL with errno. */
static struct seat *add_seat(struct starts *starts) {
  struct seat *seat = calloc(1, sizeof *seat);
  if (seat == NULL) return NULL;
  seat->state = NEW;
  seat->starts = starts;
  seat->index = starts->seat_count;
  int error = start_thread(seat);
  if (error != 0) {
    free(seat);
    errno = error;
    return NULL;
  }
  while (state_of(seat) == NEW) raw_futex(&seat->state, FUTEX_WAIT_PRIVATE, NEW, NULL);
  // Those that only stuck children call for come too late for low numbers.
  if (seat->index < starts->parallel) table_reserve(&seat->launcher);
  starts->seats[starts->seat_count++] = seat;
  return seat;
}

/* The seat's thread is idle. */
static void remove_seat(struct seat *seat) {
  hand_over(seat, CLOSING);
  pthread_join(seat->thread, NULL);
  launcher_release(&seat->launcher);
  free(seat);
}

/* When all is quiet: the seats that only stuck children had called for, but those that still have one to bury. */
static void remove_spare_seats(struct starts *starts) {
  for (unsigned i = 0; i < starts->seat_count; i++)
    if (state_of(starts->seats[i]) != FREE) return;
  while (starts->seat_count > starts->parallel) {
    struct seat *last = starts->seats[starts->seat_count - 1];
    bury_overdue(&last->launcher);
    if (last->launcher.overdue != NULL) return;
    remove_seat(last);
    starts->seat_count--;
  }
}

struct starts *starts_create(unsigned parallel, void (*wake)(void *context), void *context) {
  struct starts *starts = calloc(1, sizeof *starts);
  if (starts == NULL) return NULL;
  starts->parallel = parallel < STARTS_SEATS ? parallel : STARTS_SEATS;
  starts->wake = wake;
  starts->context = context;
  return starts;
}

void starts_destroy(struct starts *starts) {
  __atomic_store_n(&starts->closing, 1, __ATOMIC_RELEASE);
  for (unsigned i = 0; i < starts->seat_count; i++) {
    struct seat *seat = starts->seats[i];
    for (enum state state; (state = state_of(seat)) == BUSY || state == STUCK;) raw_futex(&seat->state, FUTEX_WAIT_PRIVATE, (int32_t)state, NULL);
    if (state_of(seat) == DONE) {
      // Nobody knows of it, so nobody would ever end it.
      if (seat->ok) {
        syscall(SYS_pidfd_send_signal, seat->child.pidfd, SIGKILL, NULL, 0);
        (void)bury(seat->child.pidfd);
      }
      if (seat->plan != NULL) launch_end(&seat->launcher, seat->plan);
    }
    remove_seat(seat);
  }
  free(starts);
}

bool starts_have_room(struct starts *starts) {
  unsigned working = 0, taken = 0;
  for (unsigned i = 0; i < starts->seat_count; i++) {
    enum state state = state_of(starts->seats[i]);
    // A result that is not taken counts too: it will be, and another thread would not make that sooner.
    if (state == BUSY || state == DONE) working++;
    if (state != FREE) taken++;
  }
  return working < starts->parallel && taken < STARTS_SEATS;
}

/* There is room. NULL: no thread can be made. */
static struct seat *find_seat(struct starts *starts) {
  struct seat *found = NULL;
  for (unsigned i = 0; i < starts->seat_count; i++)
    if (state_of(starts->seats[i]) == FREE) return starts->seats[i];
  // All that are needed in quiet times at once, so that they get low numbers for their descriptors.
  unsigned wanted = starts->seat_count < starts->parallel ? starts->parallel : starts->seat_count + 1;
  while (starts->seat_count < wanted) {
    struct seat *seat = add_seat(starts);
    if (seat == NULL) break;
    if (found == NULL) found = seat;
  }
  return found;
}

enum start_answer starts_begin(struct starts *starts, struct plan *plan, uint32_t *index, struct outcome *failure) {
  if (!starts_have_room(starts)) return START_FULL;
  struct seat *seat = find_seat(starts);
  if (seat == NULL) {
    // No seat is free, so one that is taken will be.
    if (starts->seat_count > 0) return START_FULL;
    give_up(failure, STAGE_PREPARE, EAGAIN, 0);
    plan_free(plan);
    return START_FAILED;
  }
  *index = seat->index;
  if (seat->launcher.thread_pointer == NULL) {
    // Without storage of its own the child needs ours, so we must wait for it.
    seat->ok = launch(&seat->launcher, plan, &seat->child, &seat->failure);
    seat->plan = NULL;
    __atomic_store_n(&seat->state, DONE, __ATOMIC_RELEASE);
    wake_owner(starts);
    return START_BEGUN;
  }
  if (!launch_begin(&seat->launcher, plan, failure)) {
    launch_end(&seat->launcher, plan);
    return START_FAILED;
  }
  seat->plan = plan;
  hand_over(seat, BUSY);
  return START_BEGUN;
}

size_t starts_take(struct starts *starts, struct start_result *results) {
  // Before looking: what comes while we look wakes us again.
  __atomic_exchange_n(&starts->woken, 0, __ATOMIC_ACQ_REL);
  size_t count = 0;
  for (unsigned i = 0; i < starts->seat_count; i++) {
    struct seat *seat = starts->seats[i];
    if (state_of(seat) != DONE) continue;
    results[count++] = (struct start_result){.seat = i, .ok = seat->ok, .child = seat->child, .failure = seat->failure};
    if (seat->plan != NULL) launch_end(&seat->launcher, seat->plan);
    seat->plan = NULL;
    __atomic_store_n(&seat->state, FREE, __ATOMIC_RELEASE);
  }
  remove_spare_seats(starts);
  return count;
}
