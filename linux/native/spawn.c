/* `spawn` as JavaScript sees it: packed plan in, plain array of numbers out. Decides nothing. */
#include <errno.h>

#include "addon.h"

napi_value make_failure(napi_env env, const struct outcome *failure) {
  double values[5] = {0, failure->stage, failure->error, failure->index, failure->wait_status};
  return make_numbers(env, values, 5);
}

bool get_plan(napi_env env, napi_value numbers, napi_value text, struct plan **result) {
  double *list = NULL;
  size_t count = 0;
  struct text copy = {0};
  if (!get_doubles(env, numbers, &list, &count) || !get_text(env, text, &copy)) return false;
  *result = plan_parse(list, count, copy.data, copy.length);
  int error = errno;
  text_free(&copy);
  errno = error;
  return true;
}

/* spawn(numbers, text): [1, pid, pidfd, statusFd, program] or [0, stage, errno, index, waitStatus]. */
static napi_value spawn(napi_env env, napi_callback_info info) {
  napi_value values[2];
  struct plan *plan = NULL;
  if (!get_arguments(env, info, 2, values) || !get_plan(env, values[0], values[1], &plan)) return NULL;
  struct outcome failure = {.kind = OUTCOME_FAILURE, .stage = STAGE_PREPARE, .error = errno, .index = -1, .wait_status = 0};
  struct launched child;
  if (plan == NULL || !launch(&addon_of(env)->launcher, plan, &child, &failure)) return make_failure(env, &failure);
  double result[5] = {1, child.pid, child.pidfd, child.status_fd, child.program};
  return make_numbers(env, result, 5);
}

const struct export_entry spawn_exports[] = {{"spawn", spawn}, {NULL, NULL}};
