/*
 * The child's steps without Node, under AddressSanitizer and UBSan, with a fault injected into each.
 * `copied` mode only: a child that shares its parent's memory would share the sanitizers' state and
 * corrupt it; both modes run the same child_main(). The shared clone itself is covered by the
 * TypeScript tests of the real addon.
 */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "check.h"
#include "child.h"
#include "launch.h"
#include "packer.h"
#include "seccomp.h"

static const struct options DEFAULTS = {
  .copied = true,
  .session = true,
  .programs = {"/bin/sh"},
  .args = {"-c", "exit 7"},
  .env = {"PATH=/usr/bin:/bin"},
  .fds = {{-1, 0}, {1, 1}, {2, 2}},
  .fd_count = 3,
};

/* What came of one launch, the child's end included. */
struct result {
  bool launched;
  struct outcome failure;
  int program, wait_status, tolerated;
  struct outcome last_tolerated;
};

static struct result run(const struct options *options) {
  struct launcher launcher = {0};
  struct packed packed;
  pack(&packed, options);
  struct plan *plan = plan_parse(packed.numbers, packed.count, packed.text, packed.length);
  EXPECT(plan != NULL, "the plan is malformed: errno %d", errno);
  struct launched child;
  struct result result = {.program = -2};
  int before = open_descriptors();
  result.launched = launch(&launcher, plan, &child, &result.failure);
  if (result.launched) {
    struct outcome record;
    // What a first attempt left there, before the one that worked.
    result.failure.kind = 0;
    EXPECT(child.pid > 1 && child.pidfd >= 0 && child.status_fd >= 0, "pid %d", child.pid);
    fcntl(child.status_fd, F_SETFL, 0);
    ssize_t got;
    while ((got = read(child.status_fd, &record, sizeof record)) == sizeof record) {
      if (record.kind == OUTCOME_EXEC) result.program = record.index;
      if (record.kind == OUTCOME_FAILURE) result.failure = record;
      if (record.kind == OUTCOME_TOLERATED) result.tolerated++, result.last_tolerated = record;
    }
    EXPECT(got == 0, "half a record: %zd", got);
    close(child.status_fd);
    EXPECT(wait_for_end(3, child.pidfd, &result.wait_status) == 0, "waitid: errno %d", errno);
    close(child.pidfd);
  }
  launcher_release(&launcher);
  EXPECT(before == open_descriptors(), "descriptors before %d, after %d", before, open_descriptors());
  errno = 0;
  EXPECT(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD, "a child is left");
  return result;
}

static void expect_failure(const struct options *options, enum stage stage, int error, int index) {
  struct result result = run(options);
  EXPECT(result.failure.kind == OUTCOME_FAILURE, "no failure came; program %d, wait status %d", result.program, result.wait_status);
  EXPECT(result.failure.stage == (int)stage && result.failure.error == error && result.failure.index == index,
         "expected stage %d errno %d index %d, saw stage %d errno %d index %d", stage, error, index, result.failure.stage,
         result.failure.error, result.failure.index);
}

static void expect_exit(const struct options *options, int code, int program) {
  struct result result = run(options);
  EXPECT(result.failure.kind == 0, "failed at stage %d errno %d index %d", result.failure.stage, result.failure.error, result.failure.index);
  EXPECT(result.wait_status == code << 8 && result.program == program, "wait status %d, program %d", result.wait_status, result.program);
}

/* A shell line that must exit 0 inside the child. */
static void expect_line(struct options options, const char *line) {
  options.args[1] = line;
  expect_exit(&options, 0, 0);
}

/* ---- faults, one per stage ---- */

struct injected {
  const char *name;
  struct fault fault;
  struct options options;
  enum stage stage;
  int index;
};

static void run_injected(const void *argument) {
  const struct injected *injected = argument;
  inject(&injected->fault);
  expect_failure(&injected->options, injected->stage, injected->fault.error, injected->index);
}

#define WITH(...) {.copied = true, .session = true, .programs = {"/bin/true"}, .env = {"A=b"}, __VA_ARGS__}

static const double NOROOT = 1, PRIVATE_UMASK = 027;

static const struct injected INJECTED[] = {
  {"clone: process table full", {SYS_clone3, ANY_ARGUMENT, 0, EAGAIN}, WITH(), STAGE_CLONE, -1},
  {"clone: no memory", {SYS_clone3, ANY_ARGUMENT, 0, ENOMEM}, WITH(), STAGE_CLONE, -1},
  // No child comes to be, so the shared mode is safe under the sanitizers as well.
  {"clone, shared: process table full", {SYS_clone3, ANY_ARGUMENT, 0, EAGAIN}, {.programs = {"/bin/true"}}, STAGE_CLONE, -1},
  {"prepare: no pipe", {SYS_pipe2, ANY_ARGUMENT, 0, EMFILE}, WITH(), STAGE_PREPARE, -1},
  {"session", {SYS_setsid, ANY_ARGUMENT, 0, EPERM}, WITH(), STAGE_SESSION, -1},
  {"rlimit", {SYS_prlimit64, ANY_ARGUMENT, 0, EPERM}, WITH(.nofile = 64), STAGE_RLIMIT, 0},
  {"capability bound", {SYS_prctl, 0, PR_CAPBSET_DROP, EPERM}, WITH(.has_bound = true), STAGE_CAPABILITY_BOUND, 0},
  {"securebits", {SYS_prctl, 0, PR_SET_SECUREBITS, EPERM}, WITH(.securebits = &NOROOT), STAGE_SECUREBITS, -1},
  {"groups", {SYS_setgroups, ANY_ARGUMENT, 0, EPERM}, WITH(.has_credentials = true, .uid = 65534, .gid = 65534), STAGE_GROUPS, -1},
  {"no new privs", {SYS_prctl, 0, PR_SET_NO_NEW_PRIVS, EINVAL}, WITH(.no_new_privs = true), STAGE_NO_NEW_PRIVS, -1},
  {"parent-death signal", {SYS_prctl, 0, PR_SET_PDEATHSIG, EINVAL}, WITH(.death_signal = SIGKILL), STAGE_PARENT_DEATH_SIGNAL, -1},
  {"descriptors", {SYS_dup3, ANY_ARGUMENT, 0, EBADF}, WITH(.fds = {{1, 1}}, .fd_count = 1), STAGE_DESCRIPTORS, -1},
  {"cwd", {SYS_chdir, ANY_ARGUMENT, 0, EACCES}, WITH(.cwd = "/"), STAGE_CWD, -1},
  {"late cwd", {SYS_chdir, ANY_ARGUMENT, 0, EACCES}, WITH(.late_cwd = "/"), STAGE_LATE_CWD, -1},
  {"exec", {SYS_execve, ANY_ARGUMENT, 0, ETXTBSY}, WITH(), STAGE_EXEC, 0},
};

/* The steps before these need a privilege, or the injected fault would never be reached. */
static const struct injected INJECTED_IN_NAMESPACES[] = {
  {"mounts private", {SYS_mount, ANY_ARGUMENT, 0, EPERM}, WITH(.namespaces = CLONE_NEWNS, .mounts_private = true), STAGE_MOUNT, 0},
  {"mount proc", {SYS_mount, 3, MS_NOSUID | MS_NODEV | MS_NOEXEC, EPERM}, WITH(.namespaces = CLONE_NEWNS | CLONE_NEWPID, .mounts_private = true, .mount_proc = true), STAGE_MOUNT, 1},
};

static const struct injected INJECTED_AS_ROOT[] = {
  {"gid", {SYS_setresgid, ANY_ARGUMENT, 0, EPERM}, WITH(.has_credentials = true, .uid = 65534, .gid = 65534), STAGE_GID, -1},
  {"uid: too many processes", {SYS_setresuid, ANY_ARGUMENT, 0, EAGAIN}, WITH(.has_credentials = true, .uid = 65534, .gid = 65534), STAGE_UID, -1},
  {"keep capabilities", {SYS_prctl, 0, PR_SET_KEEPCAPS, EPERM}, WITH(.has_credentials = true, .uid = 65534, .has_ambient = true, .ambient = 10), STAGE_UID, -1},
  {"ambient: capset", {SYS_capset, ANY_ARGUMENT, 0, EPERM}, WITH(.has_credentials = true, .uid = 65534, .has_ambient = true, .ambient = 10), STAGE_CAPABILITY_AMBIENT, -1},
  {"ambient: raise", {SYS_prctl, 0, PR_CAP_AMBIENT, EPERM}, WITH(.has_credentials = true, .uid = 65534, .has_ambient = true, .ambient = 10), STAGE_CAPABILITY_AMBIENT, 10},
};

static void run_all_injected(enum need need, const struct injected *list, size_t count) {
  for (size_t i = 0; i < count; i++) run_case_needing(need, list[i].name, run_injected, &list[i]);
}

/* ---- faults without injection ---- */

static void run_real_failures(const void *unused) {
  (void)unused;
  struct options options = DEFAULTS;
  options.cwd = "/nonexistent";
  expect_failure(&options, STAGE_CWD, ENOENT, -1);
  options = DEFAULTS;
  options.cgroup_file = "/nonexistent/tasks";
  expect_failure(&options, STAGE_CGROUP, ENOENT, 0);
  options = DEFAULTS;
  options.programs[0] = "/nonexistent";
  options.programs[1] = "/etc/passwd";
  options.programs[2] = "/etc/passwd/none";
  expect_failure(&options, STAGE_EXEC, EACCES, 1);
  options = DEFAULTS;
  options.namespaces = CLONE_NEWUSER;
  options.uid_map = "garbage";
  options.gid_map = "";
  expect_failure(&options, STAGE_USER_NAMESPACE, EINVAL, 1);
  options = DEFAULTS;
  options.namespaces = CLONE_THREAD;
  expect_failure(&options, STAGE_CLONE, EINVAL, -1);
  options = DEFAULTS;
  options.fds[0].from = 999;
  expect_failure(&options, STAGE_DESCRIPTORS, EBADF, -1);
}

static void run_unprivileged(const void *unused) {
  (void)unused;
  EXPECT(geteuid() != 0 || (setgid(65534) == 0 && setuid(65534) == 0), "errno %d", errno);
  struct options options = DEFAULTS;
  options.has_credentials = true;
  options.uid = options.gid = 0;
  expect_failure(&options, STAGE_GROUPS, EPERM, -1);
  options = DEFAULTS;
  options.has_bound = true;
  expect_failure(&options, STAGE_CAPABILITY_BOUND, EPERM, 0);
  struct rlimit limit = {.rlim_cur = 256, .rlim_max = 256};
  setrlimit(RLIMIT_NOFILE, &limit);
  options = DEFAULTS;
  options.nofile = 257;
  expect_failure(&options, STAGE_RLIMIT, EPERM, 0);
}

/* ---- success ---- */

static void run_exec_chain(const void *unused) {
  (void)unused;
  struct options options = DEFAULTS;
  expect_exit(&options, 7, 0);
  options.programs[0] = "/nonexistent";
  options.programs[1] = "/bin/sh";
  expect_exit(&options, 7, 1);
  char script[] = "/tmp/child-test-XXXXXX";
  int fd = mkstemp(script);
  EXPECT(fd >= 0 && write(fd, "exit 9\n", 7) == 7 && fchmod(fd, 0755) == 0, "errno %d", errno);
  close(fd);
  options.programs[0] = script;
  options.programs[1] = NULL;
  struct result result = run(&options);
  unlink(script);
  EXPECT(result.wait_status == 9 << 8 && result.program == 0, "wait status %d program %d", result.wait_status, result.program);
}

/* In the shell itself, without a subshell and without the descriptor that lists the directory. */
#define OPEN_DESCRIPTORS "l=; for f in /proc/$$/fd/*; do test -e $f && l=\"$l${f##*/} \"; done; "

/* Overlapping numbers both ways, and nothing else open. */
static void run_descriptors(const void *unused) {
  (void)unused;
  int a = open("/proc/version", O_RDONLY), b = open("/proc/uptime", O_RDONLY);
  for (int i = 0; i < 100; i++) EXPECT(open("/dev/null", O_RDONLY) >= 0, "errno %d", errno);
  EXPECT(a >= 0 && b >= 0, "errno %d", errno);
  struct options options = DEFAULTS;
  options.fds[3] = (struct descriptor){a, b};
  options.fds[4] = (struct descriptor){b, a};
  options.fds[5] = (struct descriptor){a, 50};
  options.fd_count = 6;
  char line[256];
  snprintf(line, sizeof line,
           OPEN_DESCRIPTORS "test $(readlink /proc/self/fd/%d) = /proc/version -a $(readlink /proc/self/fd/%d) = /proc/uptime -a "
           "$(readlink /proc/self/fd/50) = /proc/version -a \"$l\" = '0 1 2 %d %d 50 '",
           b, a, a < b ? a : b, a < b ? b : a);
  expect_line(options, line);
  expect_line(DEFAULTS, OPEN_DESCRIPTORS "test \"$l\" = '0 1 2 ' -a $(readlink /proc/$$/fd/0) = /dev/null");
}

static void run_descriptors_old_kernel(const void *unused) {
  inject(&(struct fault){SYS_close_range, ANY_ARGUMENT, 0, ENOSYS});
  run_descriptors(unused);
}

/* Linux before 5.3, or a container whose filter does not know clone3. */
static void run_old_kernel(const void *unused) {
  (void)unused;
  inject(&(struct fault){SYS_clone3, ANY_ARGUMENT, 0, ENOSYS});
  expect_exit(&DEFAULTS, 7, 0);
}

/* Linux before 5.7 puts no child into a cgroup: it goes there itself. The "cgroup" is a plain directory. */
static void run_cgroup_by_hand(const void *unused) {
  (void)unused;
  char directory[] = "/tmp/child-test-XXXXXX", file[64], text[8] = "";
  EXPECT(mkdtemp(directory) != NULL, "errno %d", errno);
  snprintf(file, sizeof file, "%s/cgroup.procs", directory);
  int cgroup = open(directory, O_RDONLY | O_DIRECTORY), procs = open(file, O_RDWR | O_CREAT, 0600);
  struct options options = DEFAULTS;
  options.cgroup_fd = cgroup;
  inject(&(struct fault){SYS_clone3, ANY_ARGUMENT, 0, ENOSYS});
  struct result result = run(&options);
  ssize_t got = read(procs, text, sizeof text);
  unlink(file);
  rmdir(directory);
  EXPECT(result.failure.kind == 0 && result.wait_status == 7 << 8, "stage %d errno %d", result.failure.stage, result.failure.error);
  EXPECT(got == 1 && text[0] == '0', "%zd bytes", got);
}

/* More descriptors open than the vassal may have numbers. */
static void run_low_limit(const void *unused) {
  (void)unused;
  for (int i = 0; i < 100; i++) EXPECT(open("/dev/null", O_RDONLY) >= 0, "errno %d", errno);
  struct options options = DEFAULTS;
  options.nofile = 20;
  expect_line(options, "test $(ulimit -n) = 20");
}

static void run_signals(const void *unused) {
  (void)unused;
  sigset_t all;
  signal(SIGPIPE, SIG_IGN);
  signal(SIGUSR1, SIG_IGN);
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, NULL);
  expect_line(DEFAULTS, "grep -q '^SigIgn:.0*$' /proc/self/status && grep -q '^SigBlk:.0*$' /proc/self/status");
  sigset_t now;
  sigprocmask(SIG_SETMASK, NULL, &now);
  EXPECT(sigismember(&now, SIGTERM) == 1, "the parent's mask was not restored");
}

static void run_identity(const void *unused) {
  (void)unused;
  struct options options = DEFAULTS;
  options.has_credentials = true;
  options.uid = 65534;
  options.gid = 65533;
  options.no_new_privs = true;
  options.umask = &PRIVATE_UMASK;
  expect_line(options, "test $(id -u):$(id -g):$(id -G) = 65534:65533:65533 -a $(umask) = 0027 && grep -q 'NoNewPrivs:.1' /proc/self/status && "
                       "grep -q 'CapEff:.0*$' /proc/self/status");
  options.no_new_privs = false;
  options.has_ambient = true;
  options.ambient = 10;
  expect_line(options, "grep -q 'CapAmb:.0000000000000400$' /proc/self/status && grep -q 'CapEff:.0000000000000400$' /proc/self/status");
  options = DEFAULTS;
  options.has_bound = true;
  expect_line(options, "grep -q 'CapBnd:.0000000000000020$' /proc/self/status && grep -q 'CapPrm:.0000000000000020$' /proc/self/status");
  options = DEFAULTS;
  expect_line(options, "test $(ps -o sid= -p $$) = $$");
}

static void run_namespaces(const void *unused) {
  (void)unused;
  struct options options = DEFAULTS;
  options.namespaces = CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET;
  options.mounts_private = options.mount_proc = true;
  options.death_signal = SIGKILL;
  expect_line(options, "l=; for p in /proc/[0-9]*; do l=\"$l$p \"; done; test $$ = 1 -a \"$l\" = '/proc/1 '");
}

static void run_mapped_range(const void *unused) {
  (void)unused;
  struct options options = DEFAULTS;
  options.namespaces = CLONE_NEWUSER;
  options.uid_map = "0 100000 10\n";
  options.gid_map = "0 100000 10\n";
  options.has_credentials = true;
  expect_line(options, "test $(id -u) = 0 -a $(awk '{print $2}' /proc/self/uid_map) = 100000");
}

static void run_actions_in_order(const void *unused) {
  (void)unused;
  char directory[] = "/tmp/child-test-XXXXXX", file[64], nested[64];
  EXPECT(mkdtemp(directory) != NULL, "errno %d", errno);
  snprintf(file, sizeof file, "%s/file", directory);
  snprintf(nested, sizeof nested, "%s/nested", directory);
  struct options options = DEFAULTS;
  options.namespaces = CLONE_NEWPID;
  options.before[0] = (struct packed_action){.kind = ACTION_MKDIR, .first = 0700, .text = {nested}};
  options.before[1] = (struct packed_action){.kind = ACTION_WRITE, .text = {file, "one\n"}};
  options.before_count = 2;
  options.actions[0] = (struct packed_action){.kind = ACTION_PUTENV, .text = {"NAME=value"}};
  options.actions[1] = (struct packed_action){.kind = ACTION_CHDIR, .text = {nested}};
  // The command is a child of the vassal, which is the first process of its pid namespace.
  options.actions[2] = (struct packed_action){.kind = ACTION_SHELL, .text = {"/bin/sh", "test $PPID = 1 -a $NAME = value && echo $PWD >>../file"}};
  options.actions[3] = (struct packed_action){.kind = ACTION_ARGV, .tolerant = true, .words = {"/bin/sh", "-c", "exit 3"}};
  options.actions[4] = (struct packed_action){.kind = ACTION_WRITE, .first = 1, .text = {file, "three\n"}};
  options.action_count = 5;
  char line[256];
  snprintf(line, sizeof line, "test \"$(cat ../file)\" = \"one\n%s\nthree\" -a $NAME = value", nested);
  options.args[1] = line;
  struct result result = run(&options);
  unlink(file);
  rmdir(nested);
  rmdir(directory);
  EXPECT(result.failure.kind == 0 && result.wait_status == 0, "stage %d errno %d index %d wait status %d", result.failure.stage,
         result.failure.error, result.failure.index, result.wait_status);
  EXPECT(result.tolerated == 1 && result.last_tolerated.index == 3 && result.last_tolerated.wait_status == 3 << 8, "%d tolerated, wait status %d",
         result.tolerated, result.last_tolerated.wait_status);
}

static void run_actions_that_fail(const void *unused) {
  (void)unused;
  struct options options = DEFAULTS;
  options.action_count = 2;
  options.actions[0] = (struct packed_action){.kind = ACTION_PUTENV, .text = {"A=1"}};
  options.actions[1] = (struct packed_action){.kind = ACTION_UNLINK, .text = {"/nonexistent/file"}};
  expect_failure(&options, STAGE_ACTION, ENOENT, 1);
  options.actions[1] = (struct packed_action){.kind = ACTION_ARGV, .words = {"/nonexistent"}};
  options.actions[0] = (struct packed_action){.kind = ACTION_SHELL, .text = {"/bin/sh", "kill -9 $$"}};
  struct result result = run(&options);
  EXPECT(result.failure.stage == STAGE_ACTION && result.failure.error == 0 && result.failure.wait_status == SIGKILL && result.failure.index == 0,
         "stage %d errno %d wait status %d", result.failure.stage, result.failure.error, result.failure.wait_status);
  options.actions[0] = (struct packed_action){.kind = ACTION_PUTENV, .text = {"A=1"}};
  expect_failure(&options, STAGE_ACTION, ENOENT, 1);
  options.before[0] = (struct packed_action){.kind = ACTION_CHMOD, .first = 0600, .text = {"/nonexistent"}};
  options.before_count = 1;
  expect_failure(&options, STAGE_BEFORE_DROP_ACTION, ENOENT, 0);
  options = DEFAULTS;
  options.actions[0] = (struct packed_action){.kind = ACTION_EXIT, .first = 26};
  options.action_count = 1;
  expect_exit(&options, 26, -1);
}

/* The parent is gone before the child asks for the signal: it must not live on. */
static void run_orphan(const void *argument) {
  bool in_namespace = argument != NULL;
  int pipe_fds[2];
  EXPECT(pipe(pipe_fds) == 0, "errno %d", errno);
  pid_t parent = fork();
  if (parent == 0) {
    struct options options = DEFAULTS;
    options.death_signal = SIGKILL;
    options.namespaces = in_namespace ? CLONE_NEWPID : 0;
    options.fds[3] = (struct descriptor){pipe_fds[1], 3};
    options.fd_count = 4;
    // Waits until its parent is no more, still before the parent-death signal is set.
    options.before[0] = (struct packed_action){.kind = ACTION_SHELL, .text = {"/bin/sh", "while kill -0 $PARENT 2>/dev/null; do sleep 0.01; done"}};
    options.before_count = in_namespace ? 0 : 1;
    options.args[1] = "sleep 100";
    char number[32];
    snprintf(number, sizeof number, "PARENT=%d", (int)getpid());
    options.env[1] = number;
    struct launcher launcher = {0};
    struct packed packed;
    pack(&packed, &options);
    struct plan *plan = plan_parse(packed.numbers, packed.count, packed.text, packed.length);
    struct launched child;
    struct outcome failure;
    if (!launch(&launcher, plan, &child, &failure)) _exit(3);
    _exit(0);
  }
  int status = -1;
  EXPECT(waitpid(parent, &status, 0) == parent && status == 0, "wait status %d", status);
  close(pipe_fds[1]);
  char byte;
  // EOF comes only when no child holds the other end any more; the case's alarm is the deadline.
  EXPECT(read(pipe_fds[0], &byte, 1) == 0, "errno %d", errno);
}

static void run_malformed(const void *unused) {
  (void)unused;
  struct packed packed;
  struct options options = DEFAULTS;
  options.actions[0] = (struct packed_action){.kind = ACTION_ARGV, .words = {"/bin/true", "x"}};
  options.action_count = 1;
  pack(&packed, &options);
  // Cut at every number, then every number replaced: no reading beyond the ends, no crash.
  for (size_t count = 0; count < packed.count; count++) {
    errno = 0;
    EXPECT(plan_parse(packed.numbers, count, packed.text, packed.length) == NULL && errno == EINVAL, "cut at %zu", count);
  }
  for (size_t length = 0; length < packed.length; length++)
    EXPECT(plan_parse(packed.numbers, packed.count, packed.text, length) == NULL, "text cut at %zu", length);
  static const double wild[] = {-1, 0, 1, 2.5, 13, 64, 1e9, 4294967295.0, 1e300, -1e300, 0.0 / 0.0, 1.0 / 0.0};
  for (size_t at = 0; at < packed.count; at++) {
    double kept = packed.numbers[at];
    for (size_t w = 0; w < sizeof wild / sizeof *wild; w++) {
      packed.numbers[at] = wild[w];
      plan_free(plan_parse(packed.numbers, packed.count, packed.text, packed.length));
    }
    packed.numbers[at] = kept;
  }
  struct options shared = options;
  shared.copied = false;
  pack(&packed, &shared);
  EXPECT(plan_parse(packed.numbers, packed.count, packed.text, packed.length) == NULL, "actions in shared mode");
}

int main(void) {
  setvbuf(stdout, NULL, _IOLBF, 0);
  run_all_injected(NEEDS_NOTHING, INJECTED, sizeof INJECTED / sizeof *INJECTED);
  run_all_injected(NEEDS_NAMESPACES, INJECTED_IN_NAMESPACES, sizeof INJECTED_IN_NAMESPACES / sizeof *INJECTED_IN_NAMESPACES);
  run_all_injected(NEEDS_ROOT, INJECTED_AS_ROOT, sizeof INJECTED_AS_ROOT / sizeof *INJECTED_AS_ROOT);
  run_case("real failures", run_real_failures, NULL);
  run_case("unprivileged", run_unprivileged, NULL);
  run_case("exec chain", run_exec_chain, NULL);
  run_case("descriptors", run_descriptors, NULL);
  run_case("descriptors without close_range", run_descriptors_old_kernel, NULL);
  run_case("without clone3", run_old_kernel, NULL);
  run_case("without CLONE_INTO_CGROUP", run_cgroup_by_hand, NULL);
  run_case("more descriptors than the limit", run_low_limit, NULL);
  run_case("signals", run_signals, NULL);
  run_case_needing(NEEDS_ROOT, "identity", run_identity, NULL);
  run_case_needing(NEEDS_NAMESPACES, "namespaces", run_namespaces, NULL);
  run_case_needing(NEEDS_ROOT, "a mapped range of users", run_mapped_range, NULL);
  run_case_needing(NEEDS_NAMESPACES, "actions in order", run_actions_in_order, NULL);
  run_case("actions that fail", run_actions_that_fail, NULL);
  run_case("orphan", run_orphan, NULL);
  run_case_needing(NEEDS_NAMESPACES, "orphan in a pid namespace", run_orphan, &DEFAULTS);
  run_case("malformed plans", run_malformed, NULL);
  return report();
}
