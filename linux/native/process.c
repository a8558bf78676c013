/* Processes: ends, signals, limits, locks, and the change of this process into another program. */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "addon.h"
#include "child.h"

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

static double milliseconds(struct timeval time) { return (double)time.tv_sec * 1e3 + (double)time.tv_usec / 1e3; }

/* reap(pidfd): [code, signal, coreDumped, userMs, systemMs, maxRssKb] (-1: not so), or undefined while it runs. */
static napi_value reap(napi_env env, napi_callback_info info) {
  napi_value values[1];
  int pidfd = -1;
  siginfo_t end;
  struct rusage usage;
  memset(&end, 0, sizeof end);
  memset(&usage, 0, sizeof usage);
  if (!get_arguments(env, info, 1, values) || !get_int(env, values[0], &pidfd)) return NULL;
  // The system call, because libc's waitid does not hand out the usage.
  if (syscall(SYS_waitid, P_PIDFD, pidfd, &end, WEXITED | WNOHANG, &usage) != 0) return throw_errno(env, "waitid", errno, NULL);
  if (end.si_pid == 0) return make_undefined(env);
  bool exited = end.si_code == CLD_EXITED;
  double numbers[6] = {
    exited ? end.si_status : -1,         exited ? -1 : end.si_status,       end.si_code == CLD_DUMPED,
    milliseconds(usage.ru_utime), milliseconds(usage.ru_stime), (double)usage.ru_maxrss,
  };
  return make_numbers(env, numbers, 6);
}

/* signalProcess(pidfd, signal): whether there was still a process. */
static napi_value signal_process(napi_env env, napi_callback_info info) {
  napi_value values[2];
  int pidfd = -1, number = 0;
  if (!get_arguments(env, info, 2, values) || !get_int(env, values[0], &pidfd) || !get_int(env, values[1], &number)) return NULL;
  if (syscall(SYS_pidfd_send_signal, pidfd, number, NULL, 0) == 0) return make_bool(env, true);
  return errno == ESRCH ? make_bool(env, false) : throw_errno(env, "pidfd_send_signal", errno, NULL);
}

/* signalGroup(pgid, signal): whether there was still a member. */
static napi_value signal_group(napi_env env, napi_callback_info info) {
  napi_value values[2];
  int group = 0, number = 0;
  if (!get_arguments(env, info, 2, values) || !get_int(env, values[0], &group) || !get_int(env, values[1], &number)) return NULL;
  // 0 and 1 would be our own group and, negated, every process there is.
  if (group <= 1) return throw_errno(env, "kill", EINVAL, "a process group must be greater than 1");
  if (kill(-group, number) == 0) return make_bool(env, true);
  return errno == ESRCH ? make_bool(env, false) : throw_errno(env, "kill", errno, NULL);
}

/* openPidfd(pid): fd */
static napi_value open_pidfd(napi_env env, napi_callback_info info) {
  napi_value values[1];
  int pid = -1;
  if (!get_arguments(env, info, 1, values) || !get_int(env, values[0], &pid)) return NULL;
  long fd = syscall(SYS_pidfd_open, pid, 0);
  return fd >= 0 ? make_number(env, (double)fd) : throw_errno(env, "pidfd_open", errno, NULL);
}

static double limit_number(uint64_t value) { return value == RLIM64_INFINITY ? INFINITY : (double)value; }

static uint64_t limit_value(double value) { return value >= 18446744073709551615.0 ? RLIM64_INFINITY : (uint64_t)value; }

/* resourceLimit(pid, resource, soft?, hard?): [soft, hard] as they were before. */
static napi_value resource_limit(napi_env env, napi_callback_info info) {
  napi_value values[4];
  int pid = 0, resource = 0;
  double soft = 0, hard = 0;
  uint64_t wanted[2], before[2];
  napi_valuetype type = napi_undefined;
  if (!get_arguments(env, info, 4, values) || !get_int(env, values[0], &pid) || !get_int(env, values[1], &resource)) return NULL;
  bool sets = napi_typeof(env, values[2], &type) == napi_ok && type == napi_number;
  if (sets) {
    if (!get_double(env, values[2], &soft) || !get_double(env, values[3], &hard)) return NULL;
    if (!(soft >= 0 && hard >= 0)) return throw_errno(env, "prlimit", EINVAL, "a limit is not negative");
    wanted[0] = limit_value(soft);
    wanted[1] = limit_value(hard);
  }
  if (syscall(SYS_prlimit64, pid, resource, sets ? wanted : NULL, before) != 0) return throw_errno(env, "prlimit", errno, NULL);
  double numbers[2] = {limit_number(before[0]), limit_number(before[1])};
  return make_numbers(env, numbers, 2);
}

/* setChildSubreaper(wanted) */
static napi_value set_child_subreaper(napi_env env, napi_callback_info info) {
  napi_value values[1];
  bool wanted = false;
  if (!get_arguments(env, info, 1, values) || !get_bool(env, values[0], &wanted)) return NULL;
  return done_or_throw(env, prctl(PR_SET_CHILD_SUBREAPER, wanted, 0, 0, 0), "prctl(PR_SET_CHILD_SUBREAPER)", NULL);
}

/* setParentDeathSignal(signal) of this process; 0 clears it. */
static napi_value set_parent_death_signal(napi_env env, napi_callback_info info) {
  napi_value values[1];
  int number = 0;
  if (!get_arguments(env, info, 1, values) || !get_int(env, values[0], &number)) return NULL;
  return done_or_throw(env, prctl(PR_SET_PDEATHSIG, number, 0, 0, 0), "prctl(PR_SET_PDEATHSIG)", NULL);
}

/* setNoNewPrivileges() of the calling thread and all it starts. */
static napi_value set_no_new_privileges(napi_env env, napi_callback_info info) {
  (void)info;
  return done_or_throw(env, prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl(PR_SET_NO_NEW_PRIVS)", NULL);
}

/* setProcessName(name): what `ps -o comm` shows; the kernel keeps 15 bytes. */
static napi_value set_process_name(napi_env env, napi_callback_info info) {
  napi_value values[1];
  struct text name;
  if (!get_arguments(env, info, 1, values) || !get_text(env, values[0], &name)) return NULL;
  napi_value result = done_or_throw(env, prctl(PR_SET_NAME, name.data, 0, 0, 0), "prctl(PR_SET_NAME)", NULL);
  text_free(&name);
  return result;
}

/* flock(fd, operation, nonBlocking): false when somebody else holds it; 0 unlock, 1 shared, 2 exclusive. */
static napi_value lock_file(napi_env env, napi_callback_info info) {
  static const int operations[] = {LOCK_UN, LOCK_SH, LOCK_EX};
  napi_value values[3];
  int fd = -1;
  uint32_t operation = 0;
  bool non_blocking = true;
  if (!get_arguments(env, info, 3, values) || !get_int(env, values[0], &fd) || !get_u32(env, values[1], &operation) ||
      !get_bool(env, values[2], &non_blocking))
    return NULL;
  int result;
  do result = flock(fd, operations[operation < 3 ? operation : 0] | (non_blocking ? LOCK_NB : 0));
  while (result != 0 && errno == EINTR);
  if (result == 0) return make_bool(env, true);
  return errno == EWOULDBLOCK ? make_bool(env, false) : throw_errno(env, "flock", errno, NULL);
}

/* Splits NUL-terminated strings into a NULL-terminated vector that points into them. */
static char **split(const struct text *text) {
  size_t count = 0;
  for (size_t i = 0; i < text->length; i++) count += text->data[i] == '\0';
  char **vector = calloc(count + 1, sizeof *vector);
  char *next = text->data;
  for (size_t i = 0; vector != NULL && i < count; i++, next += strlen(next) + 1) vector[i] = next;
  return vector;
}

static int compare_ints(const void *left, const void *right) {
  int a = *(const int *)left, b = *(const int *)right;
  return (a > b) - (a < b);
}

/* Last of the classic signals; Node ignores none of the real-time ones. */
enum { LAST_SIGNAL = 31 };

/* Ignored signals would stay ignored in the next program: Node ignores SIGPIPE and SIGXFSZ. */
static uint32_t stop_ignoring(void) {
  struct sigaction current, standard = {.sa_handler = SIG_DFL};
  uint32_t ignored = 0;
  for (int number = 1; number <= LAST_SIGNAL; number++) {
    if (sigaction(number, NULL, &current) != 0 || current.sa_handler != SIG_IGN) continue;
    if (sigaction(number, &standard, NULL) == 0) ignored |= UINT32_C(1) << number;
  }
  return ignored;
}

static void ignore_again(uint32_t ignored) {
  struct sigaction ignore = {.sa_handler = SIG_IGN};
  for (int number = 1; number <= LAST_SIGNAL; number++)
    if (ignored >> number & 1) sigaction(number, &ignore, NULL);
}

/* Returns only when it failed, with everything as it was but for marks of close-on-exec on descriptors that had to go. */
static int become(const char *path, char **argv, char **envp, int *kept, size_t count) {
  uint64_t mask = 0;
  qsort(kept, count, sizeof *kept, compare_ints);
  close_all_except(kept, count, true);
  for (size_t i = 0; i < count; i++) {
    int flags = fcntl(kept[i], F_GETFD);
    if (flags < 0 || fcntl(kept[i], F_SETFD, flags & ~FD_CLOEXEC) != 0) return errno;
  }
  uint32_t ignored = stop_ignoring();
  raw_sigmask(0, &mask);
  execve(path, argv, envp);
  int error = errno;
  raw_sigmask(mask, NULL);
  ignore_again(ignored);
  for (size_t i = 0; i < count; i++)
    if (kept[i] > 2) fcntl(kept[i], F_SETFD, FD_CLOEXEC);
  return error;
}

/* execve(path, argv, env, keptFds): argv and env are NUL-terminated strings in a row. Only returns by throwing. */
static napi_value execute(napi_env env, napi_callback_info info) {
  napi_value values[4];
  struct text path = {0}, arguments = {0}, environment = {0};
  int *kept = NULL;
  size_t count = 0;
  char **argv = NULL, **envp = NULL;
  if (get_arguments(env, info, 4, values) && get_text(env, values[0], &path) && get_text(env, values[1], &arguments) &&
      get_text(env, values[2], &environment) && get_int_list(env, values[3], &kept, &count)) {
    argv = split(&arguments);
    envp = split(&environment);
    throw_errno(env, "execve", argv != NULL && envp != NULL ? become(path.data, argv, envp, kept, count) : ENOMEM, path.data);
  }
  free(argv);
  free(envp);
  free(kept);
  text_free(&path);
  text_free(&arguments);
  text_free(&environment);
  return NULL;
}

const struct export_entry process_exports[] = {
  {"reap", reap},
  {"signalProcess", signal_process},
  {"signalGroup", signal_group},
  {"openPidfd", open_pidfd},
  {"resourceLimit", resource_limit},
  {"setChildSubreaper", set_child_subreaper},
  {"setParentDeathSignal", set_parent_death_signal},
  {"setNoNewPrivileges", set_no_new_privileges},
  {"setProcessName", set_process_name},
  {"flock", lock_file},
  {"execve", execute},
  {NULL, NULL},
};
