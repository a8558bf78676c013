/*
 * What the administrator's hooks ask of a child before it becomes its program. Runs only in `copied`
 * children, between clone and exec: async-signal-safe calls only.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "child.h"
#include "launch.h"

struct command {
  const char *path;
  char **argv, **env;
  pid_t vassal;
  volatile int error;
};

/* On a stack that AddressSanitizer does not know, so it must not reason about leaving it. */
__attribute__((no_sanitize_address)) static int command_main(void *argument) {
  struct command *command = argument;
  // The hook belongs to the vassal: whoever kills the vassal shall not have to look for it.
  prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  if (syscall(SYS_getppid) != command->vassal) raw_exit(127);
  // Standard descriptors only: a daemon started by a hook would otherwise hold the vassal's channel
  // open for ever. Marked, not closed, so that a failing exec leaves no trace.
  static const int standard[] = {0, 1, 2};
  close_all_except(standard, 3, true);
  // Before the vassal's own are placed these are ours, which Node marks: the output would be lost.
  for (size_t i = 0; i < 3; i++) syscall(SYS_fcntl, standard[i], F_SETFD, 0);
  raw_sigmask(0, NULL);
  execve(command->path, command->argv, command->env);
  command->error = errno;
  raw_exit(127);
}

/* errno of what could not be started, else 0 and the command's wait status. */
static int run_command(struct plan *plan, const char *path, char **argv, char **env, int *wait_status) {
  struct command command = {
    .path = path,
    .argv = argv,
    .env = env != NULL ? env : plan->env,
    .vassal = plan->joined_pid_namespace ? 0 : (pid_t)syscall(SYS_getpid),
    .error = 0,
  };
  struct sharing sharing = {
    .flags = CLONE_VFORK,
    .cgroup_fd = -1,
    .stack = plan->command_stack,
    .stack_size = COMMAND_STACK_SIZE,
    .function = command_main,
    .argument = &command,
  };
  pid_t pid = clone_sharing(&sharing);
  if (pid < 0) return errno;
  // This pid only: as the first process of a pid namespace we may be given others' orphans.
  if (wait_for_end(P_PID, pid, wait_status) != 0) return errno;
  // The status of a command that never was one says nothing.
  if (command.error != 0) *wait_status = 0;
  return command.error;
}

static int write_file(const struct action *action) {
  int flags = O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY | (action->first & 1 ? O_APPEND : O_TRUNC) | (action->first & 2 ? O_NONBLOCK : 0);
  int fd = open(action->text[0], flags, 0666);
  if (fd < 0) return errno;
  const char *text = action->text[1];
  size_t left = strlen(text);
  int error = 0;
  while (left > 0 && error == 0) {
    ssize_t wrote = write(fd, text, left);
    if (wrote >= 0) text += wrote, left -= (size_t)wrote;
    else if (errno != EINTR) error = errno;
  }
  close(fd);
  return error;
}

static size_t name_length(const char *assignment) {
  const char *equals = strchr(assignment, '=');
  return equals != NULL ? (size_t)(equals - assignment) : strlen(assignment);
}

/* Replaces or appends (there is a spare slot for each); without "=" the variable is removed. */
static void put_environment(struct plan *plan, const char *assignment) {
  size_t length = name_length(assignment);
  bool removes = assignment[length] == '\0';
  char **to = plan->env;
  bool placed = removes;
  for (char **from = plan->env; *from != NULL; from++) {
    bool same = name_length(*from) == length && strncmp(*from, assignment, length) == 0;
    if (same && !placed) *to++ = (char *)assignment, placed = true;
    else if (!same) *to++ = *from;
  }
  if (!placed) *to++ = (char *)assignment;
  *to = NULL;
}

static int result_of(int outcome) { return outcome == 0 ? 0 : errno; }

/* errno, or 0; a command that ran sets `wait_status`. */
static int run_action(struct plan *plan, const struct action *action, int *wait_status) {
  const char *const *text = action->text;
  switch (action->kind) {
    case ACTION_SHELL: {
      char *argv[] = {(char *)text[0], (char *)"-c", (char *)text[1], NULL};
      return run_command(plan, text[0], argv, NULL, wait_status);
    }
    case ACTION_ARGV: return run_command(plan, action->argv[0], action->argv, action->env, wait_status);
    case ACTION_CHDIR: return result_of(chdir(text[0]));
    case ACTION_MKDIR: return result_of(mkdir(text[0], (mode_t)action->first));
    case ACTION_UNLINK: return result_of(unlink(text[0]));
    case ACTION_CHMOD: return result_of(chmod(text[0], (mode_t)action->first));
    case ACTION_CHOWN: return result_of(chown(text[0], (uid_t)action->first, (gid_t)action->second));
    case ACTION_WRITE: return write_file(action);
    case ACTION_PUTENV: put_environment(plan, text[0]); return 0;
    case ACTION_HOSTNAME: return result_of(sethostname(text[0], strlen(text[0])));
    // fstype, source, target, data
    case ACTION_MOUNT: return result_of(mount(text[1], text[2], text[0], action->first, text[3]));
    case ACTION_UMOUNT: return result_of(umount2(text[0], (int)action->first));
    // In another pid namespace our commands cannot see us.
    case ACTION_SETNS:
      if (action->second & CLONE_NEWPID) plan->joined_pid_namespace = true;
      return result_of(setns((int)action->first, (int)action->second));
    case ACTION_EXIT: break;
  }
  return 0;
}

void run_actions(struct plan *plan, const struct actions *actions, enum stage stage) {
  for (size_t i = 0; i < actions->count; i++) {
    const struct action *action = &actions->list[i];
    int wait_status = 0;
    if (action->kind == ACTION_EXIT) {
      // The administrator's decision, not a failure: it counts as the program's own exit.
      child_report(plan, OUTCOME_EXEC, STAGE_EXEC, 0, -1, 0);
      raw_exit((int)action->first);
    }
    child_report(plan, OUTCOME_PROGRESS, stage, 0, (int)i, 0);
    int error = run_action(plan, action, &wait_status);
    if (error == 0 && wait_status == 0) continue;
    if (!action->tolerant) child_fail(plan, stage, error, (int)i, wait_status);
    child_report(plan, OUTCOME_TOLERATED, stage, error, (int)i, wait_status);
  }
}
