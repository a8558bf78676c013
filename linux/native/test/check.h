/* Counting checks for the C test programs. Each case runs in a process of its own, so that a seccomp filter or a crash stays there. */
#ifndef EMPEROR_TEST_CHECK_H
#define EMPEROR_TEST_CHECK_H

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int passed, failed;

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

static inline void run_case(const char *name, void (*function)(const void *), const void *argument) {
  fflush(stdout);
  pid_t pid = fork();
  if (pid == 0) {
    alarm(30);
    function(argument);
    // Through exit(), so that the leak checker has its say.
    exit(0);
  }
  int status = -1;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) continue;
  if (status == 0) {
    passed++;
  } else {
    failed++;
    printf("FAILED %s (wait status %d)\n", name, status);
  }
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
  printf("%d passed, %d failed\n", passed, failed);
  return failed == 0 ? 0 : 1;
}

#endif
