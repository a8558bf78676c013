/*
 * The seats and their threads without Node and without processes, under ThreadSanitizer: a "child" here
 * is a plan whose `borrowed` the test clears. What starts.c calls is replaced below.
 */
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <time.h>

#include "check.h"
#include "shared.h"
#include "starts.h"
#include "table.h"

static int plans_alive, buried, ended_early;

static struct plan *make_plan(int number) {
  struct plan *plan = calloc(1, sizeof *plan);
  plan->pid = number;
  plan->timeout_ms = 60000;
  __atomic_add_fetch(&plans_alive, 1, __ATOMIC_RELAXED);
  return plan;
}

void plan_free(struct plan *plan) {
  __atomic_sub_fetch(&plans_alive, 1, __ATOMIC_RELAXED);
  free(plan);
}

bool give_up(struct outcome *failure, enum stage stage, int error, int wait_status) {
  *failure = (struct outcome){.kind = OUTCOME_FAILURE, .stage = (int32_t)stage, .error = error, .index = -1, .wait_status = wait_status};
  return false;
}

/* A negative number is refused by the clone. */
bool launch_begin(struct launcher *launcher, struct plan *plan, struct outcome *failure) {
  (void)launcher;
  if (plan->pid < 0) return give_up(failure, STAGE_CLONE, EAGAIN, 0);
  __atomic_store_n(&plan->borrowed, 1, __ATOMIC_RELEASE);
  return true;
}

bool launch_wait(struct plan *plan, uint32_t timeout_ms) {
  const struct timespec moment = {.tv_nsec = 100000};
  for (uint32_t waited = 0; __atomic_load_n(&plan->borrowed, __ATOMIC_ACQUIRE) != 0; waited++) {
    if (waited >= timeout_ms * 10) return false;
    nanosleep(&moment, NULL);
  }
  return true;
}

/* Odd numbers fail in their set-up. */
bool launch_finish(struct launcher *launcher, struct plan *plan, uint32_t timeout_ms, struct launched *result, struct outcome *failure) {
  (void)launcher;
  if (!launch_wait(plan, timeout_ms)) {
    __atomic_add_fetch(&ended_early, 1, __ATOMIC_RELAXED);
    return give_up(failure, STAGE_CWD, ETIMEDOUT, 9);
  }
  if (plan->pid % 2 == 1) return give_up(failure, STAGE_CWD, plan->pid, 0);
  *result = (struct launched){.pid = plan->pid, .pidfd = -1, .status_fd = -1, .program = 0};
  return true;
}

void launch_end(struct launcher *launcher, struct plan *plan) {
  (void)launcher;
  plan_free(plan);
}

bool launch(struct launcher *launcher, struct plan *plan, struct launched *result, struct outcome *failure) {
  bool ok = launch_begin(launcher, plan, failure);
  if (ok) __atomic_store_n(&plan->borrowed, 0, __ATOMIC_RELEASE);
  ok = ok && launch_finish(launcher, plan, 0, result, failure);
  plan_free(plan);
  return ok;
}

int bury(int pidfd) {
  (void)pidfd;
  return __atomic_add_fetch(&buried, 1, __ATOMIC_RELAXED);
}

void bury_overdue(struct launcher *launcher) { (void)launcher; }
void launcher_release(struct launcher *launcher) { (void)launcher; }
void table_reserve(struct launcher *launcher) { (void)launcher; }

struct owner {
  struct starts *starts;
  int wakes;
};

static void wake(void *context) {
  struct owner *owner = context;
  uint64_t one = 1;
  if (write(owner->wakes, &one, sizeof one) != sizeof one) abort();
}

static void open_owner(struct owner *owner, unsigned parallel) {
  owner->wakes = eventfd(0, EFD_NONBLOCK);
  owner->starts = starts_create(parallel, wake, owner);
  EXPECT(owner->starts != NULL, "errno %d", errno);
}

static void close_owner(struct owner *owner) {
  starts_destroy(owner->starts);
  close(owner->wakes);
  EXPECT(plans_alive == 0, "%d plans are left", plans_alive);
}

static void await_wake(struct owner *owner) {
  struct pollfd ready = {.fd = owner->wakes, .events = POLLIN};
  uint64_t count;
  EXPECT(poll(&ready, 1, 10000) == 1 && read(owner->wakes, &count, sizeof count) > 0, "no wake-up came");
}

static enum start_answer begin(struct owner *owner, struct plan *plan, uint32_t *seat) {
  struct outcome failure = {0};
  return starts_begin(owner->starts, plan, seat, &failure);
}

static void release(struct plan *plan) { __atomic_store_n(&plan->borrowed, 0, __ATOMIC_RELEASE); }

/* Waits for exactly one result. */
static struct start_result take_one(struct owner *owner) {
  struct start_result results[STARTS_SEATS];
  size_t count;
  do await_wake(owner);
  while ((count = starts_take(owner->starts, results)) == 0);
  EXPECT(count == 1, "%zu results", count);
  return results[0];
}

static void run_limit(const void *unused) {
  (void)unused;
  struct owner owner;
  open_owner(&owner, 2);
  struct plan *first = make_plan(2), *second = make_plan(3), *third = make_plan(4);
  uint32_t seat, other;
  EXPECT(begin(&owner, first, &seat) == START_BEGUN && begin(&owner, second, &other) == START_BEGUN && seat != other, "seats %u %u", seat, other);
  EXPECT(begin(&owner, third, &other) == START_FULL, "a third one");
  release(first);
  await_wake(&owner);
  EXPECT(begin(&owner, third, &other) == START_FULL, "a result that is not taken has its seat");
  wake(&owner);
  struct start_result result = take_one(&owner);
  EXPECT(result.seat == seat && result.ok && result.child.pid == 2, "seat %u pid %d", result.seat, result.child.pid);
  EXPECT(begin(&owner, third, &seat) == START_BEGUN && seat == result.seat, "seat %u", seat);
  release(second);
  result = take_one(&owner);
  EXPECT(!result.ok && result.failure.error == 3 && result.failure.stage == STAGE_CWD, "error %d", result.failure.error);
  release(third);
  EXPECT(take_one(&owner).child.pid == 4, "the third");
  close_owner(&owner);
}

static void run_stuck(const void *unused) {
  (void)unused;
  struct owner owner;
  open_owner(&owner, 2);
  struct plan *plans[STARTS_SEATS];
  uint32_t seat;
  for (int i = 0; i < STARTS_SEATS; i++) {
    plans[i] = make_plan(2 * i);
    // Once two are stuck the owner is woken, and two more may be begun.
    while (begin(&owner, plans[i], &seat) == START_FULL) await_wake(&owner), starts_take(owner.starts, (struct start_result[STARTS_SEATS]){0});
  }
  struct plan *late = make_plan(100);
  EXPECT(begin(&owner, late, &seat) == START_FULL, "one too many");
  release(plans[5]);
  EXPECT(take_one(&owner).child.pid == 10, "the released");
  while (begin(&owner, late, &seat) == START_FULL) await_wake(&owner), starts_take(owner.starts, (struct start_result[STARTS_SEATS]){0});
  close_owner(&owner);
  EXPECT(ended_early == STARTS_SEATS, "%d were ended", ended_early);
}

static int count_threads(void) {
  int count = 0;
  DIR *directory = opendir("/proc/self/task");
  while (readdir(directory) != NULL) count++;
  closedir(directory);
  return count - 2;
}

static void run_spare(const void *unused) {
  (void)unused;
  struct owner owner;
  struct start_result results[STARTS_SEATS];
  open_owner(&owner, 2);
  struct plan *plans[6];
  uint32_t seat;
  int before = 0;
  for (int i = 0; i < 6; i++) {
    plans[i] = make_plan(2 * i);
    while (begin(&owner, plans[i], &seat) == START_FULL) await_wake(&owner), starts_take(owner.starts, results);
    if (i == 0) before = count_threads();
  }
  EXPECT(count_threads() == before + 4, "%d threads, %d before", count_threads(), before);
  for (int i = 0; i < 6; i++) release(plans[i]);
  for (size_t taken = 0; taken < 6; taken += starts_take(owner.starts, results)) await_wake(&owner);
  // The kernel removes a joined thread's entry a moment later.
  for (int tries = 0; tries < 10000 && count_threads() > before; tries++) poll(NULL, 0, 1);
  EXPECT(count_threads() == before, "%d threads, %d before", count_threads(), before);
  struct plan *plan = make_plan(2);
  EXPECT(begin(&owner, plan, &seat) == START_BEGUN, "afterwards");
  release(plan);
  EXPECT(take_one(&owner).ok, "afterwards");
  close_owner(&owner);
}

static void run_refused(const void *unused) {
  (void)unused;
  struct owner owner;
  open_owner(&owner, 2);
  struct outcome failure = {0};
  uint32_t seat;
  EXPECT(starts_begin(owner.starts, make_plan(-1), &seat, &failure) == START_FAILED && failure.error == EAGAIN, "error %d", failure.error);
  struct plan *plan = make_plan(2);
  EXPECT(begin(&owner, plan, &seat) == START_BEGUN, "after a refusal");
  release(plan);
  EXPECT(take_one(&owner).ok, "after a refusal");
  close_owner(&owner);
}

static void run_untaken(const void *unused) {
  (void)unused;
  struct owner owner;
  open_owner(&owner, 3);
  struct plan *good = make_plan(2), *bad = make_plan(3);
  uint32_t seat;
  EXPECT(begin(&owner, good, &seat) == START_BEGUN && begin(&owner, bad, &seat) == START_BEGUN && begin(&owner, make_plan(4), &seat) == START_BEGUN, "three");
  release(good);
  release(bad);
  await_wake(&owner);
  close_owner(&owner);
  EXPECT(buried == 1 && ended_early == 1, "%d buried, %d ended", buried, ended_early);
}

/* Releases what the owner begins, in another order. */
struct releaser {
  pthread_mutex_t lock;
  struct plan *waiting[STARTS_SEATS];
  int count;
  bool over;
};

static void *run_releaser(void *argument) {
  struct releaser *releaser = argument;
  for (bool over = false; !over;) {
    pthread_mutex_lock(&releaser->lock);
    if (releaser->count > 0) release(releaser->waiting[--releaser->count]);
    over = releaser->over && releaser->count == 0;
    pthread_mutex_unlock(&releaser->lock);
  }
  return NULL;
}

static void run_many(const void *unused) {
  (void)unused;
  struct owner owner;
  struct releaser releaser = {.lock = PTHREAD_MUTEX_INITIALIZER};
  pthread_t thread;
  open_owner(&owner, 4);
  pthread_create(&thread, NULL, run_releaser, &releaser);
  int begun = 0, taken = 0, expected[STARTS_SEATS];
  struct plan *plan = make_plan(0);
  while (taken < 3000) {
    uint32_t seat;
    while (begun < 3000 && begin(&owner, plan, &seat) == START_BEGUN) {
      expected[seat] = begun;
      pthread_mutex_lock(&releaser.lock);
      releaser.waiting[releaser.count++] = plan;
      pthread_mutex_unlock(&releaser.lock);
      if (++begun < 3000) plan = make_plan(begun);
    }
    struct start_result results[STARTS_SEATS];
    await_wake(&owner);
    size_t count = starts_take(owner.starts, results);
    for (size_t i = 0; i < count; i++, taken++) {
      int number = expected[results[i].seat];
      EXPECT(results[i].ok ? results[i].child.pid == number : results[i].failure.error == number, "seat %u is not %d", results[i].seat, number);
    }
  }
  pthread_mutex_lock(&releaser.lock);
  releaser.over = true;
  pthread_mutex_unlock(&releaser.lock);
  pthread_join(thread, NULL);
  close_owner(&owner);
}

int main(void) {
  run_case("at most so many at once, each with its own result", run_limit, NULL);
  run_case("stuck ones do not count, and end with the owner", run_stuck, NULL);
  run_case("the threads that stuck ones called for go with them", run_spare, NULL);
  run_case("a refused clone leaves the seat free", run_refused, NULL);
  run_case("what nobody took is ended", run_untaken, NULL);
  run_case("three thousand in any order", run_many, NULL);
  return report();
}
