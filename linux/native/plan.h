/*
 * The flat plan of one spawn: everything the child needs, laid out before the clone so that the
 * child never allocates. Knows nothing of Node; plan.c fills it, launch.c clones, child.c executes.
 */
#ifndef EMPEROR_PLAN_H
#define EMPEROR_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Same order as `SPAWN_STAGES` in src/plan.ts. */
enum stage {
  STAGE_PREPARE,
  STAGE_CLONE,
  STAGE_USER_NAMESPACE,
  STAGE_CGROUP,
  STAGE_NAMESPACE,
  STAGE_SESSION,
  STAGE_SIGNALS,
  STAGE_RLIMIT,
  STAGE_MOUNT,
  STAGE_HOSTNAME,
  STAGE_LOOPBACK,
  STAGE_BEFORE_DROP_ACTION,
  STAGE_CAPABILITY_BOUND,
  STAGE_SECUREBITS,
  STAGE_GROUPS,
  STAGE_GID,
  STAGE_UID,
  STAGE_CAPABILITY_AMBIENT,
  STAGE_NO_NEW_PRIVS,
  STAGE_PARENT_DEATH_SIGNAL,
  STAGE_DESCRIPTORS,
  STAGE_UMASK,
  STAGE_CWD,
  STAGE_ACTION,
  STAGE_LATE_CWD,
  STAGE_EXEC,
};

/* Same order as `ACTION_KINDS` in src/plan.ts. */
enum action_kind {
  ACTION_SHELL,
  ACTION_ARGV,
  ACTION_CHDIR,
  ACTION_MKDIR,
  ACTION_UNLINK,
  ACTION_CHMOD,
  ACTION_CHOWN,
  ACTION_WRITE,
  ACTION_PUTENV,
  ACTION_HOSTNAME,
  ACTION_MOUNT,
  ACTION_UMOUNT,
  ACTION_SETNS,
  ACTION_EXIT,
};

struct action {
  enum action_kind kind;
  bool tolerant;
  /* mode, uid, flags or exit code; gid; the meaning depends on the kind. */
  uint32_t first, second;
  /* path, line, text, fstype...: in the order of the fields of `SetupAction`. */
  const char *text[4];
  char **argv;
  /* NULL: the environment of the plan. */
  char **env;
};

struct actions {
  struct action *list;
  size_t count;
};

struct resource_limit {
  int resource;
  uint64_t soft, hard;
};

struct descriptor {
  int from, to;
};

struct program {
  char *path, *argv0;
};

enum outcome_kind {
  /* An action is about to run: says where the child was if it dies without another word. */
  OUTCOME_PROGRESS = 1,
  /* The next program is about to be executed; the last of these and then EOF is success. */
  OUTCOME_EXEC = 2,
  OUTCOME_FAILURE = 3,
  /* A tolerant action failed; the child goes on. */
  OUTCOME_TOLERATED = 4,
};

/* One record of the status pipe (`copied`) or the one in shared memory (`shared`). */
struct outcome {
  int32_t kind, stage, error, index, wait_status;
};

struct plan {
  bool copied;
  uint64_t namespaces;
  int cgroup_fd;
  char **cgroup_files;
  size_t cgroup_file_count;
  bool session;
  bool has_credentials;
  uid_t uid;
  gid_t gid;
  gid_t *groups;
  size_t group_count;
  bool has_bound, has_ambient;
  uint64_t bound, ambient;
  /* -1: untouched. */
  int64_t securebits;
  bool no_new_privs;
  struct resource_limit *limits;
  size_t limit_count;
  /* 0: none. */
  int parent_death_signal;
  /* -1: untouched. */
  int umask;
  bool has_user_map, deny_setgroups;
  const char *uid_map, *gid_map;
  bool mounts_private, mount_proc;
  /* NULL: untouched. */
  const char *hostname;
  bool loopback;
  struct actions before_drop, actions;
  struct program *programs;
  size_t program_count;
  /* argv[0] is filled for each program; one spare slot lies in front of it for /bin/sh. */
  char **argv;
  /* Has a spare slot for each putenv action. */
  char **env;
  struct descriptor *fds;
  size_t fd_count;
  /* Room for the descriptors that survive a closing pass: fd_count + 1. */
  int *kept;
  const char *cwd, *late_cwd;

  /* Filled by launch.c. */
  int status_fd, sync_read_fd, sync_write_fd;
  /* cgroup_fd could not be given to clone3: the child writes to its cgroup.procs instead. */
  bool join_cgroup_by_hand;
  /* Namespaces that the child makes itself, see launch.c. */
  uint64_t late_namespaces;
  /* An action joined another pid namespace: its commands see no parent. */
  bool joined_pid_namespace;
  /* `shared`: 0 while the user maps are not written, then 1, or the error with `map_index`. */
  volatile int32_t mapped, map_error, map_index;
  pid_t parent_pid;
  int parent_pidfd;
  /* What a command action runs on; allocated only when there is one. */
  char *command_stack;
  /* Its stage is always the current one, so that a child that gets stuck can be told where. */
  volatile struct outcome outcome;
  /* `shared`: 1 while the child lives in our memory; the kernel clears it at exec and at the end. */
  volatile int32_t borrowed;
  /* `shared`: how long the parent waits for that. */
  uint32_t timeout_ms;
  /* `shared`: the child was cloned with CLONE_FILES and has to copy our table below `table_end` before all else. */
  bool shares_table;
  unsigned table_end;
  /* `shared`: the child. */
  pid_t pid;
  int pidfd;
  /* Of a child that could not be ended in time: what it still needs, see shared.c. */
  struct plan *next_overdue;
  char *overdue_stack;
};

/*
 * Builds a plan from the two flat values that src/plan.ts packs: numbers, and NUL-terminated
 * strings one after the other. Everything is copied into one allocation, freed by plan_free().
 * Returns NULL with errno EINVAL (malformed) or ENOMEM.
 */
struct plan *plan_parse(const double *numbers, size_t number_count, const char *text, size_t text_length);
void plan_free(struct plan *plan);

#endif
