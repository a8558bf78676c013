/* `spawn` as JavaScript sees it: packed plan in, plain array of numbers out. Decides nothing. */
#include <errno.h>

#include "addon.h"

static napi_value failure_array(napi_env env, const struct outcome *failure) {
  double values[5] = {0, failure->stage, failure->error, failure->index, failure->wait_status};
  return make_numbers(env, values, 5);
}

/* spawn(numbers, text): [1, pid, pidfd, statusFd, program] or [0, stage, errno, index, waitStatus]. */
static napi_value spawn(napi_env env, napi_callback_info info) {
  napi_value values[2];
  double *numbers = NULL;
  size_t count = 0;
  struct text text = {0};
  if (!get_arguments(env, info, 2, values) || !get_doubles(env, values[0], &numbers, &count) || !get_text(env, values[1], &text))
    return NULL;
  struct plan *plan = plan_parse(numbers, count, text.data, text.length);
  int error = errno;
  text_free(&text);
  struct outcome failure = {.kind = OUTCOME_FAILURE, .stage = STAGE_PREPARE, .error = error, .index = -1, .wait_status = 0};
  if (plan == NULL) return failure_array(env, &failure);
  struct launched child;
  if (!launch(&addon_of(env)->launcher, plan, &child, &failure)) return failure_array(env, &failure);
  double result[5] = {1, child.pid, child.pidfd, child.status_fd, child.program};
  return make_numbers(env, result, 5);
}

const struct export_entry spawn_exports[] = {{"spawn", spawn}, {NULL, NULL}};
