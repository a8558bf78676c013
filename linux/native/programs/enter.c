/*
 * enter PREFIX JOIN UNSHARE BOUND PROGRAM ARGV0 [ARGUMENT]...
 *
 * Becomes PROGRAM in other namespaces. A program of its own, because the kernel gives a user namespace
 * only to a process with one thread, gives the others only to the thread that asks, and takes
 * capabilities thread by thread: Node, which has many, executes this, and this executes Node. The pid
 * stays, but for a pid namespace, whose first process has to be a child: then a guardian stays behind,
 * which is this program, and ends as the child does.
 *
 * JOIN: descriptors of namespaces, with commas; UNSHARE: CLONE_NEW*, decimal; BOUND: capabilities to
 * leave in the bounding set, hexadecimal, or "-". What fails is told on standard error after PREFIX, and the exit
 * code is 1. Decides nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *prefix = "";

static _Noreturn void fail(const char *what) {
  int error = errno;
  dprintf(2, "%s%s failed: %s; the vassal ends\n", prefix, what, strerror(error));
  exit(1);
}

/* Whether processes that we start from now on are in another pid namespace. */
static bool join(const char *list) {
  bool other_pids = false;
  for (const char *next = list; *next != '\0';) {
    char *end;
    int fd = (int)strtol(next, &end, 10);
    if (end == next) break;
    next = *end == ',' ? end + 1 : end;
    int kind = ioctl(fd, NS_GET_NSTYPE);
    if (setns(fd, 0) != 0) fail("setns()");
    if (kind == CLONE_NEWPID) other_pids = true;
    close(fd);
  }
  return other_pids;
}

static void write_file(const char *path, const char *text) {
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0 || write(fd, text, strlen(text)) < 0) fail(path);
  close(fd);
}

/*
 * Root is itself in there, and so is everybody else; only a process outside of the namespace may say so. A plain
 * user can become root in there, standing for itself.
 */
static void enter_user_namespace(void) {
  uid_t uid = geteuid();
  gid_t gid = getegid();
  if (uid != 0) {
    char map[64];
    if (unshare(CLONE_NEWUSER) != 0) fail("unshare(user)");
    write_file("/proc/self/setgroups", "deny");
    snprintf(map, sizeof map, "0 %u 1\n", (unsigned)uid);
    write_file("/proc/self/uid_map", map);
    snprintf(map, sizeof map, "0 %u 1\n", (unsigned)gid);
    write_file("/proc/self/gid_map", map);
  } else {
    int ready[2], status = 0;
    char path[64], byte = 0;
    pid_t self = getpid();
    if (pipe2(ready, O_CLOEXEC) != 0) fail("pipe()");
    pid_t writer = fork();
    if (writer < 0) fail("fork()");
    if (writer == 0) {
      close(ready[1]);
      // Nothing comes when the namespace was refused, which the other one tells.
      if (read(ready[0], &byte, 1) != 1) _exit(1);
      snprintf(path, sizeof path, "/proc/%d/uid_map", (int)self);
      write_file(path, "0 0 4294967295\n");
      snprintf(path, sizeof path, "/proc/%d/gid_map", (int)self);
      write_file(path, "0 0 4294967295\n");
      _exit(0);
    }
    close(ready[0]);
    if (unshare(CLONE_NEWUSER) != 0) fail("unshare(user)");
    if (write(ready[1], &byte, 1) != 1) fail("pipe()");
    close(ready[1]);
    while (waitpid(writer, &status, 0) < 0)
      if (errno != EINTR) fail("waitpid()");
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) exit(1);
  }
  if (setresgid(0, 0, 0) != 0 || setresuid(0, 0, 0) != 0) fail("setresuid(0) in the user namespace");
}

static void close_from(int first) {
#ifdef SYS_close_range
  if (syscall(SYS_close_range, first, ~0U, 0) == 0) return;
#endif
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur > 1048576) limit.rlim_cur = 1048576;
  for (int fd = first; fd < (int)limit.rlim_cur; fd++) close(fd);
}

/* Hands every signal on, and ends as the child ends. It holds no descriptor that anybody could wait for. */
static _Noreturn void guard(pid_t child, const sigset_t *all) {
  close_from(3);
  for (;;) {
    siginfo_t info;
    int status = 0;
    if (sigwaitinfo(all, &info) < 0) continue;
    if (info.si_signo != SIGCHLD) {
      // A key of the terminal reaches the whole group already.
      if (info.si_code != SI_KERNEL) kill(child, info.si_signo);
      continue;
    }
    if (waitpid(child, &status, WNOHANG) != child) continue;
    if (WIFEXITED(status)) _exit(WEXITSTATUS(status));
    int number = WTERMSIG(status);
    struct rlimit none = {0, 0};
    // One core is enough.
    setrlimit(RLIMIT_CORE, &none);
    signal(number, SIG_DFL);
    sigset_t only;
    sigemptyset(&only);
    sigaddset(&only, number);
    raise(number);
    sigprocmask(SIG_UNBLOCK, &only, NULL);
    _exit(128 + number);
  }
}

/* Returns in the first process of the new pid namespace. */
static void divide(void) {
  sigset_t all, before;
  int parent[2];
  sigfillset(&all);
  if (sigprocmask(SIG_BLOCK, &all, &before) != 0 || pipe2(parent, O_CLOEXEC) != 0) fail("sigprocmask()");
  pid_t child = fork();
  if (child < 0) fail("fork() into the pid namespace");
  if (child > 0) {
    char byte = 0;
    close(parent[0]);
    ssize_t ignored = write(parent[1], &byte, 1);
    (void)ignored;
    guard(child, &all);
  }
  // If the guardian is killed nobody else would know of us.
  prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  char byte;
  close(parent[1]);
  // Its end before that shows as the end of the pipe: getppid() tells nothing across namespaces.
  if (read(parent[0], &byte, 1) != 1) _exit(1);
  close(parent[0]);
  sigprocmask(SIG_SETMASK, &before, NULL);
}

static void bound(uint64_t kept) {
  for (int capability = 0; capability < 64; capability++) {
    if (kept >> capability & 1) continue;
    int present = prctl(PR_CAPBSET_READ, capability, 0, 0, 0);
    if (present < 0) return;
    if (present > 0 && prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0) fail("cap: leaving a capability");
  }
}

int main(int count, char **arguments) {
  if (count < 7) {
    dprintf(2, "enter: it is started by the vassal runtime only\n");
    return 1;
  }
  prefix = arguments[1];
  char *directory = getcwd(NULL, 0);
  if (directory == NULL) fail("getcwd()");
  int kinds = (int)strtoul(arguments[3], NULL, 10);
  bool other_pids = join(arguments[2]) || (kinds & CLONE_NEWPID) != 0;
  if ((kinds & CLONE_NEWUSER) != 0) enter_user_namespace();
  if ((kinds & ~CLONE_NEWUSER) != 0 && unshare(kinds & ~CLONE_NEWUSER) != 0) fail("unshare()");
  // Without this a mount of the vassal would travel back to where it came from.
  if ((kinds & CLONE_NEWNS) != 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) fail("making mounts private");
  if (other_pids) divide();
  // It shows its own processes only through a proc mounted inside of it.
  if ((kinds & CLONE_NEWPID) != 0 && mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) != 0)
    fail("mounting the /proc of the pid namespace");
  // Joining a mount namespace has put us at its root.
  if (chdir(directory) != 0) fail("returning to the working directory");
  if (strcmp(arguments[4], "-") != 0) bound(strtoull(arguments[4], NULL, 16));
  execv(arguments[5], arguments + 6);
  fail(arguments[5]);
}
