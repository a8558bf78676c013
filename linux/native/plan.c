/*
 * Turns the packed numbers and strings of src/plan.ts into a `struct plan` in one allocation. Runs
 * in the parent, before the clone; trusts no count it reads.
 */
#include "plan.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "child.h"

struct reader {
  const double *number, *number_end;
  char *text, *text_end;
  char *room, *room_end;
  bool bad;
};

static double next_double(struct reader *r) {
  if (r->number == r->number_end) {
    r->bad = true;
    return 0;
  }
  return *r->number++;
}

static int64_t next_integer(struct reader *r, int64_t low, int64_t high) {
  double value = next_double(r);
  if (!(value >= (double)low && value <= (double)high) || value != floor(value)) {
    r->bad = true;
    return low > 0 ? low : 0;
  }
  return (int64_t)value;
}

static bool next_flag(struct reader *r) { return next_integer(r, 0, 1) == 1; }

/* A count is at most what the rest of the input could hold, so no loop runs away. */
static size_t next_count(struct reader *r) {
  size_t rest = (size_t)(r->number_end - r->number) + (size_t)(r->text_end - r->text);
  return (size_t)next_integer(r, 0, (int64_t)(rest < INT_MAX ? rest : INT_MAX));
}

static char *next_string(struct reader *r) {
  char *start = r->text;
  char *end = start < r->text_end ? memchr(start, '\0', (size_t)(r->text_end - start)) : NULL;
  if (end == NULL) {
    r->bad = true;
    return NULL;
  }
  r->text = end + 1;
  return start;
}

static char *next_optional_string(struct reader *r) { return next_flag(r) ? next_string(r) : NULL; }

static void *take(struct reader *r, size_t count, size_t size) {
  size_t bytes = (count * size + 15) & ~(size_t)15;
  if (r->bad || bytes > (size_t)(r->room_end - r->room)) {
    r->bad = true;
    return NULL;
  }
  void *result = r->room;
  r->room += bytes;
  return result;
}

/* NULL-terminated vector of `count` strings with `before` and `after` empty slots around them. */
static char **next_vector(struct reader *r, size_t count, size_t before, size_t after) {
  char **block = take(r, before + count + after + 1, sizeof *block);
  if (block == NULL) return NULL;
  for (size_t i = 0; i < count; i++) block[before + i] = next_string(r);
  return block + before;
}

static uint64_t next_limit(struct reader *r) {
  double value = next_double(r);
  if (value == INFINITY || value >= 18446744073709551615.0) return RLIM64_INFINITY;
  if (!(value >= 0)) {
    r->bad = true;
    return 0;
  }
  return (uint64_t)value;
}

static uint64_t next_capabilities(struct reader *r) {
  uint64_t set = 0;
  size_t count = next_count(r);
  for (size_t i = 0; i < count && !r->bad; i++) set |= UINT64_C(1) << next_integer(r, 0, 63);
  return set;
}

/* Numbers of an action: kind, tolerant, first, second, words, has env, env count. Strings: 4 texts, words, env. */
static struct actions next_actions(struct reader *r, size_t *putenv_count, bool *has_command) {
  struct actions result = {.list = NULL, .count = next_count(r)};
  result.list = take(r, result.count, sizeof *result.list);
  for (size_t i = 0; i < result.count && !r->bad; i++) {
    struct action *action = &result.list[i];
    action->kind = (enum action_kind)next_integer(r, ACTION_SHELL, ACTION_EXIT);
    action->tolerant = next_flag(r);
    action->first = (uint32_t)next_integer(r, 0, UINT32_MAX);
    action->second = (uint32_t)next_integer(r, 0, UINT32_MAX);
    size_t words = next_count(r);
    bool has_env = next_flag(r);
    size_t env_count = next_count(r);
    for (size_t t = 0; t < 4; t++) action->text[t] = next_string(r);
    action->argv = next_vector(r, words, 0, 0);
    action->env = has_env ? next_vector(r, env_count, 0, 0) : NULL;
    if (action->kind == ACTION_PUTENV) ++*putenv_count;
    if (action->kind == ACTION_SHELL || action->kind == ACTION_ARGV) *has_command = true;
    if (action->kind == ACTION_ARGV && words == 0) r->bad = true;
  }
  return result;
}

static void read_identity(struct reader *r, struct plan *plan) {
  plan->has_credentials = next_flag(r);
  plan->uid = (uid_t)next_integer(r, 0, UINT32_MAX - 1);
  plan->gid = (gid_t)next_integer(r, 0, UINT32_MAX - 1);
  plan->group_count = next_count(r);
  plan->groups = take(r, plan->group_count, sizeof *plan->groups);
  for (size_t i = 0; i < plan->group_count && !r->bad; i++) plan->groups[i] = (gid_t)next_integer(r, 0, UINT32_MAX - 1);
  plan->has_bound = next_flag(r);
  plan->bound = next_capabilities(r);
  plan->has_ambient = next_flag(r);
  plan->ambient = next_capabilities(r);
  plan->securebits = next_integer(r, -1, INT_MAX);
  plan->no_new_privs = next_flag(r);
}

static void read_programs(struct reader *r, struct plan *plan, size_t putenv_count) {
  plan->program_count = next_count(r);
  plan->programs = take(r, plan->program_count, sizeof *plan->programs);
  for (size_t i = 0; i < plan->program_count && !r->bad; i++) {
    plan->programs[i].path = next_string(r);
    plan->programs[i].argv0 = next_string(r);
  }
  if (plan->program_count == 0) r->bad = true;
  size_t argument_count = next_count(r);
  char **arguments = next_vector(r, argument_count, 2, 0);
  if (arguments != NULL) plan->argv = arguments - 1;
  size_t env_count = next_count(r);
  plan->env = next_vector(r, env_count, 0, putenv_count);
}

static void read_plan(struct reader *r, struct plan *plan) {
  size_t putenv_count = 0;
  bool has_command = false;
  plan->copied = next_flag(r);
  plan->namespaces = (uint64_t)next_integer(r, 0, UINT32_MAX);
  plan->cgroup_fd = (int)next_integer(r, -1, INT_MAX);
  plan->cgroup_file_count = next_count(r);
  plan->cgroup_files = next_vector(r, plan->cgroup_file_count, 0, 0);
  plan->session = next_flag(r);
  read_identity(r, plan);
  plan->limit_count = next_count(r);
  plan->limits = take(r, plan->limit_count, sizeof *plan->limits);
  for (size_t i = 0; i < plan->limit_count && !r->bad; i++) {
    plan->limits[i].resource = (int)next_integer(r, 0, INT_MAX);
    plan->limits[i].soft = next_limit(r);
    plan->limits[i].hard = next_limit(r);
  }
  plan->parent_death_signal = (int)next_integer(r, 0, 64);
  plan->umask = (int)next_integer(r, -1, 0777);
  plan->timeout_ms = (uint32_t)next_integer(r, 1, 3600000);
  plan->has_user_map = next_flag(r);
  plan->deny_setgroups = next_flag(r);
  plan->uid_map = next_string(r);
  plan->gid_map = next_string(r);
  plan->mounts_private = next_flag(r);
  plan->mount_proc = next_flag(r);
  plan->hostname = next_optional_string(r);
  plan->loopback = next_flag(r);
  plan->before_drop = next_actions(r, &putenv_count, &has_command);
  plan->actions = next_actions(r, &putenv_count, &has_command);
  read_programs(r, plan, putenv_count);
  plan->fd_count = next_count(r);
  plan->fds = take(r, plan->fd_count, sizeof *plan->fds);
  for (size_t i = 0; i < plan->fd_count && !r->bad; i++) {
    plan->fds[i].from = (int)next_integer(r, -1, INT_MAX);
    plan->fds[i].to = (int)next_integer(r, 0, 65535);
  }
  plan->kept = take(r, plan->fd_count + 1, sizeof *plan->kept);
  plan->cwd = next_optional_string(r);
  plan->late_cwd = next_optional_string(r);
  plan->command_stack = has_command ? take(r, COMMAND_STACK_SIZE, 1) : NULL;
  if (r->number != r->number_end || r->text != r->text_end) r->bad = true;
  // For a child that shares the parent's memory a thread waits, or the parent itself, so whatever may
  // take its time is refused there.
  if (!plan->copied && (plan->before_drop.count > 0 || plan->actions.count > 0)) r->bad = true;
}

struct plan *plan_parse(const double *numbers, size_t number_count, const char *text, size_t text_length) {
  // Every string costs at least one byte of text and one pointer, every record a few numbers: these
  // factors are more than the largest record needs, and take() checks all the same.
  size_t room = 1024 + 64 * number_count + 16 * text_length + COMMAND_STACK_SIZE;
  size_t head = (sizeof(struct plan) + 15) & ~(size_t)15;
  struct plan *plan = calloc(1, head + room + text_length + 1);
  if (plan == NULL) {
    errno = ENOMEM;
    return NULL;
  }
  char *copy = (char *)plan + head + room;
  memcpy(copy, text, text_length);
  struct reader reader = {
    .number = numbers,
    .number_end = numbers + number_count,
    .text = copy,
    .text_end = copy + text_length,
    .room = (char *)plan + head,
    .room_end = (char *)plan + head + room,
    .bad = false,
  };
  plan->status_fd = plan->sync_read_fd = plan->sync_write_fd = plan->parent_pidfd = -1;
  read_plan(&reader, plan);
  if (reader.bad) {
    free(plan);
    errno = EINVAL;
    return NULL;
  }
  return plan;
}

void plan_free(struct plan *plan) { free(plan); }
