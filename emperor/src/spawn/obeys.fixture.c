/*
 * A vassal for the tests: answers each byte of its channel with 100 + byte and obeys byte 0. MODE in
 * its environment makes it misbehave in one way.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
int main(int argc, char **argv) {
  int fd = atoi(getenv("UWSGI_EMPEROR_FD"));
  const char *mode = getenv("MODE") ? getenv("MODE") : "";
  unsigned char byte = 1, many[1024] = {0};
  if (!strcmp(mode, "last-words")) {
    for (int i = 0; i < 3; i++) { byte = i == 0 ? 1 : i == 1 ? 5 : 17; if (write(fd, &byte, 1) != 1) return 9; }
    return 3;
  }
  if (!strcmp(mode, "deaf")) { signal(SIGTERM, SIG_IGN); }
  if (!strcmp(mode, "flood") && strstr(argv[argc - 1], "loud")) for (int i = 0; i < 8; i++) if (write(fd, many, sizeof many) < 0) return 9;
  if (!strcmp(mode, "family") && fork() == 0) { signal(SIGHUP, SIG_IGN); close(fd); for (;;) pause(); }
  if (!strcmp(mode, "close")) { if (write(fd, &byte, 1) != 1) return 9; close(fd); for (;;) pause(); }
  if (!strcmp(mode, "config")) {
    unsigned char head[4]; int pipe_fd = atoi(getenv("UWSGI_EMPEROR_FD_CONFIG"));
    for (int round = 0; round < 2; round++) {
      for (int got = 0; got < 4;) { int n = read(pipe_fd, head + got, 4 - got); if (n <= 0) return 8; got += n; }
      int size = head[1] | head[2] << 8, sum = 0;
      for (int got = 0; got < size;) { int n = read(pipe_fd, many, sizeof many < (size_t)(size - got) ? sizeof many : (size_t)(size - got)); if (n <= 0) return 8; for (int i = 0; i < n; i++) sum = (sum + many[i]) & 127; got += n; }
      unsigned char answer[3] = {head[0], size & 255, (unsigned char)(sum | 128)};
      if (write(fd, answer, 3) != 3) return 9;
    }
  }
  byte = 1;
  if (write(fd, &byte, 1) != 1) return 9;
  for (;;) {
    int n = read(fd, &byte, 1);
    if (n <= 0) return 1;
    if (byte == 0) return 0;
    byte = (unsigned char)(100 + byte);
    if (write(fd, &byte, 1) != 1) return 9;
  }
}
