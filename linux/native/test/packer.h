/* The C twin of src/plan.ts: packs what the tests need, so that plan.c is exercised by every case. */
#ifndef EMPEROR_TEST_PACKER_H
#define EMPEROR_TEST_PACKER_H

#include <stdbool.h>
#include <string.h>

#include "plan.h"

struct packed_action {
  int kind;
  bool tolerant;
  unsigned first, second;
  const char *text[4];
  /* For ACTION_ARGV, NULL-terminated. */
  const char *words[8];
};

struct options {
  bool copied, session, has_credentials, no_new_privs, has_bound, has_ambient, deny_setgroups, mounts_private, mount_proc, loopback;
  unsigned namespaces;
  const char *cgroup_file, *hostname;
  /* 0: none. */
  int cgroup_fd;
  unsigned uid, gid;
  /* NULL: untouched. */
  const double *securebits, *umask;
  int ambient, death_signal, nofile;
  const char *uid_map, *gid_map;
  struct packed_action before[2], actions[5];
  size_t before_count, action_count;
  const char *programs[4], *args[8], *env[8];
  struct descriptor fds[6];
  size_t fd_count;
  const char *cwd, *late_cwd;
};

struct packed {
  double numbers[512];
  size_t count;
  char text[4096];
  size_t length;
};

static inline void add_number(struct packed *packed, double value) { packed->numbers[packed->count++] = value; }

static inline void add_string(struct packed *packed, const char *value) {
  size_t size = strlen(value != NULL ? value : "") + 1;
  memcpy(packed->text + packed->length, value != NULL ? value : "", size);
  packed->length += size;
}

static inline void add_strings(struct packed *packed, const char *const *values) {
  size_t count = 0;
  while (values[count] != NULL) count++;
  add_number(packed, (double)count);
  for (size_t i = 0; i < count; i++) add_string(packed, values[i]);
}

static inline void add_optional(struct packed *packed, const char *value) {
  add_number(packed, value != NULL);
  if (value != NULL) add_string(packed, value);
}

static inline void add_actions(struct packed *packed, const struct packed_action *actions, size_t count) {
  add_number(packed, (double)count);
  for (size_t i = 0; i < count; i++) {
    size_t words = 0;
    while (actions[i].words[words] != NULL) words++;
    add_number(packed, actions[i].kind);
    add_number(packed, actions[i].tolerant);
    add_number(packed, actions[i].first);
    add_number(packed, actions[i].second);
    add_number(packed, (double)words);
    add_number(packed, 0);
    add_number(packed, 0);
    for (size_t t = 0; t < 4; t++) add_string(packed, actions[i].text[t]);
    for (size_t w = 0; w < words; w++) add_string(packed, actions[i].words[w]);
  }
}

static inline void pack(struct packed *packed, const struct options *options) {
  packed->count = packed->length = 0;
  add_number(packed, options->copied);
  add_number(packed, options->namespaces);
  add_number(packed, options->cgroup_fd > 0 ? options->cgroup_fd : -1);
  add_number(packed, options->cgroup_file != NULL);
  if (options->cgroup_file != NULL) add_string(packed, options->cgroup_file);
  add_number(packed, options->session);
  add_number(packed, options->has_credentials);
  add_number(packed, options->uid);
  add_number(packed, options->gid);
  add_number(packed, 0);
  // The bounding set is emptied but for CAP_KILL (5).
  add_number(packed, options->has_bound);
  add_number(packed, 1);
  add_number(packed, 5);
  add_number(packed, options->has_ambient);
  add_number(packed, 1);
  add_number(packed, options->ambient);
  add_number(packed, options->securebits != NULL ? *options->securebits : -1);
  add_number(packed, options->no_new_privs);
  add_number(packed, options->nofile > 0);
  if (options->nofile > 0) add_number(packed, 7), add_number(packed, options->nofile), add_number(packed, options->nofile);
  add_number(packed, options->death_signal);
  add_number(packed, options->umask != NULL ? *options->umask : -1);
  add_number(packed, 1000);
  add_number(packed, options->uid_map != NULL);
  add_number(packed, options->deny_setgroups);
  add_string(packed, options->uid_map);
  add_string(packed, options->gid_map);
  add_number(packed, options->mounts_private);
  add_number(packed, options->mount_proc);
  add_optional(packed, options->hostname);
  add_number(packed, options->loopback);
  add_actions(packed, options->before, options->before_count);
  add_actions(packed, options->actions, options->action_count);
  size_t programs = 0;
  while (options->programs[programs] != NULL) programs++;
  add_number(packed, (double)programs);
  for (size_t i = 0; i < programs; i++) add_string(packed, options->programs[i]), add_string(packed, "argv0");
  add_strings(packed, options->args);
  add_strings(packed, options->env);
  add_number(packed, (double)options->fd_count);
  for (size_t i = 0; i < options->fd_count; i++) add_number(packed, options->fds[i].from), add_number(packed, options->fds[i].to);
  add_optional(packed, options->cwd);
  add_optional(packed, options->late_cwd);
}

#endif
