/*
 * emperor-guardian --init PROGRAM ARGUMENTS: see `be_init`.
 *
 * emperor-guardian EMPEROR-PID SIGNATURE: waits for the end of the Emperor that started it and kills
 * every process that then still carries the signature, the Emperor's vassals and what they started.
 *
 * The kernel's parent-death signal alone does not keep that promise: it is not inherited by children,
 * and a process may only be signalled by its dying parent where the parent might do so itself, which an
 * Emperor that left root and kept setuid and setgid may not. This program is started before the
 * Emperor leaves root.
 *
 * The signature is a value of RLIMIT_RTTIME, decades of microseconds that limit nobody. It is inherited
 * through fork, exec, setsid and changes of user, everybody may read it in /proc, and nobody but root can
 * raise it again. A program that lowers it on purpose leaves: against those a pid namespace or a cgroup
 * helps, and this does not.
 *
 * It allocates nothing and knows neither vassals nor options.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { LAST_PASS = 2000, PASS_NS = 5 * 1000 * 1000, ROOM = 4096 };

/* Not above any signature, so that the guardian of an outer Emperor does not take this one for a vassal. */
static const uint64_t OWN_LIMIT = UINT64_C(1) << 48;

static bool read_file(const char *pid, const char *name, char *text) {
  char path[64];
  if (snprintf(path, sizeof path, "/proc/%s/%s", pid, name) >= (int)sizeof path) return false;
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  ssize_t got = read(fd, text, ROOM - 1);
  close(fd);
  if (got <= 0) return false;
  text[got] = 0;
  return true;
}

static bool carries(const char *pid, uint64_t signature) {
  char text[ROOM];
  if (!read_file(pid, "limits", text)) return false;
  const char *line = strstr(text, "Max realtime timeout");
  unsigned long long soft = 0, hard = 0;
  return line != NULL && sscanf(line + strlen("Max realtime timeout"), "%llu %llu", &soft, &hard) == 2 && hard == signature;
}

static bool is_zombie(const char *pid) {
  char text[ROOM];
  if (!read_file(pid, "stat", text)) return true;
  // The name stands in parentheses and may contain anything, these too.
  const char *end = strrchr(text, ')');
  return end == NULL || end[1] == 0 || end[2] == 'Z' || end[2] == 'X';
}

/* Through a descriptor, so that a number that was used again in between is not hit. */
static void kill_if_it_carries(const char *pid, uint64_t signature) {
  int process = (int)syscall(SYS_pidfd_open, atoi(pid), 0);
  if (process < 0) return;
  if (carries(pid, signature)) syscall(SYS_pidfd_send_signal, process, SIGKILL, NULL, 0);
  close(process);
}

/* Number of living processes that were found. */
static int sweep(uint64_t signature) {
  DIR *processes = opendir("/proc");
  if (processes == NULL) return 0;
  int found = 0;
  for (struct dirent *entry; (entry = readdir(processes)) != NULL;) {
    if (entry->d_name[0] < '0' || entry->d_name[0] > '9' || !carries(entry->d_name, signature) || is_zombie(entry->d_name)) continue;
    found++;
    kill_if_it_carries(entry->d_name, signature);
  }
  closedir(processes);
  return found;
}

static void become_nobodys_child(int emperor) {
  if (setsid() < 0 || chdir("/") != 0) _exit(1);
  int null = open("/dev/null", O_RDWR);
  for (int fd = 0; null >= 0 && fd < 3; fd++) dup2(null, fd);
  // Nothing of the Emperor's may be held open: somebody may wait for its end.
  if (dup2(emperor, 3) < 0) _exit(1);
  syscall(SYS_close_range, 4, ~0U, 0);
  // A service manager signals all processes of a service; the time to end comes with the Emperor's.
  int ignored[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGPIPE, SIGTSTP};
  for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++) signal(ignored[i], SIG_IGN);
  prctl(PR_SET_NAME, "emperor-guard", 0, 0, 0);
  struct rlimit own = {OWN_LIMIT, OWN_LIMIT};
  setrlimit(RLIMIT_RTTIME, &own);
}

/*
 * The first process of a container gets every orphan there is and must take their corpses. The Emperor
 * waits for its own children only, each by its descriptor, so there it is started below this.
 */
static int be_init(char **program) {
  sigset_t all;
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, NULL);
  pid_t emperor = fork();
  if (emperor < 0) return 111;
  if (emperor == 0) {
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    execvp(program[0], program);
    _exit(111);
  }
  for (;;) {
    int number = 0;
    if (sigwait(&all, &number) != 0) continue;
    if (number != SIGCHLD) {
      kill(emperor, number);
      continue;
    }
    int status;
    for (pid_t ended; (ended = waitpid(-1, &status, WNOHANG)) > 0;)
      if (ended == emperor) return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
}

int main(int argc, char **argv) {
  if (argc > 2 && strcmp(argv[1], "--init") == 0) return be_init(argv + 2);
  if (argc != 3) return 2;
  pid_t emperor_pid = (pid_t)strtol(argv[1], NULL, 10);
  uint64_t signature = strtoull(argv[2], NULL, 10);
  // A small number could be a limit that somebody set on purpose.
  if (emperor_pid <= 1 || signature <= OWN_LIMIT) return 2;
  int emperor = (int)syscall(SYS_pidfd_open, emperor_pid, 0);
  if (emperor < 0 || getppid() != emperor_pid) return 1;
  pid_t child = fork();
  if (child != 0) return child < 0 ? 1 : 0;
  become_nobodys_child(emperor);
  struct pollfd ended = {.fd = 3, .events = POLLIN};
  while (poll(&ended, 1, -1) < 0 && errno == EINTR) continue;
  // Whoever forks while we look is found by the next pass.
  struct timespec pause = {0, PASS_NS};
  for (int pass = 0; pass < LAST_PASS && sweep(signature) > 0; pass++) nanosleep(&pause, NULL);
  return 0;
}
