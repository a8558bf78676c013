/* Counting checks for the C test programs. Each case runs in a process of its own, so that a seccomp filter or a crash stays there. */
#ifndef EMPEROR_TEST_CHECK_H
#define EMPEROR_TEST_CHECK_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int passed, failed, skipped;

/* Ends the case's process with what was seen. */
#define EXPECT(condition, ...)                                   \
  do {                                                           \
    if (!(condition)) {                                          \
      printf("  %s:%d: %s: ", __FILE__, __LINE__, #condition);   \
      printf(__VA_ARGS__);                                       \
      printf("\n");                                              \
      fflush(stdout);                                            \
      _exit(1);                                                  \
    }                                                            \
  } while (0)

/* What a case needs when it is not run by root. */
enum need { NEEDS_NOTHING, NEEDS_NAMESPACES, NEEDS_ROOT };

/* Exit status of a case whose namespace cannot be made here. */
enum { CANNOT_TRY = 77 };

static inline bool write_text(const char *path, const char *text) {
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return false;
  bool done = write(fd, text, strlen(text)) == (ssize_t)strlen(text);
  close(fd);
  return done;
}

/* Makes a plain user the root of a user namespace of its own, where it may make the other kinds and mount. */
static inline bool enter_user_namespace(void) {
  char uid_map[32], gid_map[32];
  snprintf(uid_map, sizeof uid_map, "0 %u 1\n", (unsigned)geteuid());
  snprintf(gid_map, sizeof gid_map, "0 %u 1\n", (unsigned)getegid());
  // Making one may succeed where using it is forbidden, so what the cases do is tried in another process.
  if (unshare(CLONE_NEWUSER) != 0 || !write_text("/proc/self/setgroups", "deny") || !write_text("/proc/self/uid_map", uid_map) ||
      !write_text("/proc/self/gid_map", gid_map))
    return false;
  pid_t pid = fork();
  if (pid == 0) _exit(unshare(CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET) != 0);
  int status = -1;
  return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

static inline void skip_case(const char *name, const char *reason) {
  skipped++;
  printf("SKIP %s [%s]\n", name, reason);
}

static inline void run_case_needing(enum need need, const char *name, void (*function)(const void *), const void *argument) {
  bool plain = geteuid() != 0;
  if (plain && need == NEEDS_ROOT) {
    skip_case(name, "needs root");
    return;
  }
  fflush(stdout);
  pid_t pid = fork();
  if (pid == 0) {
    if (plain && need == NEEDS_NAMESPACES && !enter_user_namespace()) _exit(CANNOT_TRY);
    alarm(30);
    function(argument);
    // Through exit(), so that the leak checker has its say.
    exit(0);
  }
  int status = -1;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) continue;
  if (status == 0) {
    passed++;
  } else if (plain && need == NEEDS_NAMESPACES && status == CANNOT_TRY << 8) {
    skip_case(name, "needs root or user namespaces");
  } else {
    failed++;
    printf("FAILED %s (wait status %d)\n", name, status);
  }
}

static inline void run_case(const char *name, void (*function)(const void *), const void *argument) {
  run_case_needing(NEEDS_NOTHING, name, function, argument);
}

/* Number of open descriptors, the listing's own not counted. */
static inline int open_descriptors(void) {
  int count = 0;
  DIR *directory = opendir("/proc/self/fd");
  if (directory == NULL) return -1;
  while (readdir(directory) != NULL) count++;
  closedir(directory);
  return count - 3;
}

static inline int report(void) {
  printf("%d passed, %d failed, %d skipped\n", passed, failed, skipped);
  return failed == 0 ? 0 : 1;
}

#endif
