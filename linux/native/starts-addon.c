/* Asynchronous starts as JavaScript sees them; starts.c does the work. One set per environment, made when first needed. */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>

#include "addon.h"
#include "starts.h"

/* Numbers of one record of startsTake. */
enum { RECORD = 6 };

struct starting {
  struct starts *starts;
  napi_threadsafe_function wake;
  /* Begun and not taken: as long as there are any the process must not end by itself. */
  unsigned pending;
};

static void wake_javascript(void *context) {
  struct starting *starting = context;
  napi_call_threadsafe_function(starting->wake, NULL, napi_tsfn_nonblocking);
}

/* The environment goes: the threads must be gone before the function they call. */
static void clean_up(void *data) {
  struct starting *starting = data;
  starts_destroy(starting->starts);
  free(starting);
}

/* One more than there are processors, since a child also waits for the disk; few, because each costs a thread. */
static unsigned wanted_parallel(void) {
  cpu_set_t set;
  CPU_ZERO(&set);
  unsigned processors = sched_getaffinity(0, sizeof set, &set) == 0 ? (unsigned)CPU_COUNT(&set) : 3;
  return processors >= 3 ? 4 : processors + 1;
}

/* startsOpen(onWake): before the first start. */
static napi_value open_starts(napi_env env, napi_callback_info info) {
  napi_value values[1], name;
  struct addon *addon = addon_of(env);
  if (!get_arguments(env, info, 1, values)) return NULL;
  if (addon->starting != NULL) return throw_errno(env, "startsOpen", EBUSY, NULL);
  struct starting *starting = calloc(1, sizeof *starting);
  if (starting == NULL) return throw_errno(env, "malloc", ENOMEM, NULL);
  name = make_string(env, "emperor starts", NAPI_AUTO_LENGTH);
  if (name == NULL || napi_create_threadsafe_function(env, values[0], NULL, name, 0, 1, NULL, NULL, NULL, NULL, &starting->wake) != napi_ok) {
    free(starting);
    return throw_napi(env);
  }
  napi_unref_threadsafe_function(env, starting->wake);
  starting->starts = starts_create(wanted_parallel(), wake_javascript, starting);
  if (starting->starts == NULL) {
    napi_release_threadsafe_function(starting->wake, napi_tsfn_abort);
    free(starting);
    return throw_errno(env, "malloc", ENOMEM, NULL);
  }
  // After the threadsafe function's own hook, because hooks run last in, first out.
  napi_add_env_cleanup_hook(env, clean_up, starting);
  addon->starting = starting;
  return make_undefined(env);
}

/* start(numbers, text): [1, seat], [2] (none is free now), or [0, stage, errno, index, waitStatus]. */
static napi_value start(napi_env env, napi_callback_info info) {
  napi_value values[2];
  struct plan *plan = NULL;
  struct starting *starting = addon_of(env)->starting;
  if (starting == NULL) return throw_errno(env, "start", EINVAL, "startsOpen comes first");
  if (!get_arguments(env, info, 2, values) || !get_plan(env, values[0], values[1], &plan)) return NULL;
  struct outcome failure = {.kind = OUTCOME_FAILURE, .stage = STAGE_PREPARE, .error = errno, .index = -1, .wait_status = 0};
  if (plan != NULL && plan->copied) {
    plan_free(plan);
    plan = NULL;
    failure.error = EINVAL;
  }
  if (plan == NULL) return make_failure(env, &failure);
  uint32_t seat = 0;
  switch (starts_begin(starting->starts, plan, &seat, &failure)) {
    case START_BEGUN: {
      if (starting->pending++ == 0) napi_ref_threadsafe_function(env, starting->wake);
      double result[2] = {1, seat};
      return make_numbers(env, result, 2);
    }
    case START_FULL: {
      plan_free(plan);
      double full = 2;
      return make_numbers(env, &full, 1);
    }
    case START_FAILED: break;
  }
  return make_failure(env, &failure);
}

/* startsHaveRoom(): whether `start` would not answer [2] now. */
static napi_value have_room(napi_env env, napi_callback_info info) {
  (void)info;
  struct starting *starting = addon_of(env)->starting;
  return make_bool(env, starting != NULL && starts_have_room(starting->starts));
}

/* startsTake(records): count; each record is seat, 1, pid, pidfd, program, 0, or seat, 0, stage, errno, index, waitStatus. */
static napi_value take(napi_env env, napi_callback_info info) {
  napi_value values[1];
  double *records = NULL;
  size_t room = 0;
  struct start_result results[STARTS_SEATS];
  struct starting *starting = addon_of(env)->starting;
  if (!get_arguments(env, info, 1, values) || !get_doubles(env, values[0], &records, &room)) return NULL;
  if (starting == NULL || room < STARTS_SEATS * RECORD) return throw_errno(env, "startsTake", EINVAL, NULL);
  size_t count = starts_take(starting->starts, results);
  for (size_t i = 0; i < count; i++, records += RECORD) {
    const struct start_result *result = &results[i];
    records[0] = result->seat;
    records[1] = result->ok;
    records[2] = result->ok ? result->child.pid : result->failure.stage;
    records[3] = result->ok ? result->child.pidfd : result->failure.error;
    records[4] = result->ok ? result->child.program : result->failure.index;
    records[5] = result->ok ? 0 : result->failure.wait_status;
  }
  starting->pending -= (unsigned)count;
  if (count > 0 && starting->pending == 0) napi_unref_threadsafe_function(env, starting->wake);
  return make_number(env, (double)count);
}

/* startsClose(): the process ends. Children whose result was not taken are ended; nothing starts any more. */
static napi_value close_starts(napi_env env, napi_callback_info info) {
  (void)info;
  struct addon *addon = addon_of(env);
  struct starting *starting = addon->starting;
  if (starting == NULL) return make_undefined(env);
  addon->starting = NULL;
  napi_remove_env_cleanup_hook(env, clean_up, starting);
  napi_threadsafe_function wake = starting->wake;
  clean_up(starting);
  napi_release_threadsafe_function(wake, napi_tsfn_abort);
  return make_undefined(env);
}

const struct export_entry starts_exports[] = {
  {"startsOpen", open_starts}, {"startsHaveRoom", have_room}, {"start", start}, {"startsTake", take}, {"startsClose", close_starts}, {NULL, NULL},
};
