/*
 * stub-vassal.c - the supervised program of the benchmark, as small as can be, so that the
 * supervisor is measured and not the application. Appends "NS EVENT NAME PID" lines to the file
 * named by BENCH_LOG (CLOCK_MONOTONIC): start, reload, stop, eof. Speaks the vassal's side of the
 * channel in UWSGI_EMPEROR_FD. Config lines that change its ways:
 *
 *   crash-ms = 50    exit(1) after so long
 *   disloyal = 1     never says that it is loyal
 *   serve = 1        answers one connection after the other at descriptor 0
 */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static int log_fd = -1;
static const char *name = "?";

static void note(const char *event)
{
	char line[512];
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	int n = snprintf(line, sizeof line, "%lld %s %s %d\n", now.tv_sec * 1000000000LL + now.tv_nsec, event, name, getpid());
	if (log_fd >= 0 && write(log_fd, line, (size_t)n) < 0)
		_exit(90);
}

static int number_of(const char *config, const char *key)
{
	const char *found = strstr(config, key);
	found = found ? strchr(found, '=') : NULL;
	return found ? atoi(found + 1) : 0;
}

int main(int argc, char **argv)
{
	char config[1024] = "";
	for (int i = 1; i + 1 < argc; i++)
		if (strcmp(argv[i], "--ini") == 0)
			name = argv[i + 1];
	if (getenv("BENCH_LOG"))
		log_fd = open(getenv("BENCH_LOG"), O_WRONLY | O_APPEND | O_CLOEXEC);
	note("start");

	int fd = open(name, O_RDONLY | O_CLOEXEC);
	if (fd >= 0 && read(fd, config, sizeof config - 1) < 0)
		config[0] = 0;
	if (fd >= 0)
		close(fd);
	int crash_ms = number_of(config, "crash-ms");
	int channel = getenv("UWSGI_EMPEROR_FD") ? atoi(getenv("UWSGI_EMPEROR_FD")) : -1;
	size_t words = number_of(config, "disloyal") ? 2 : 3;
	if (channel >= 0 && write(channel, "\1\5\21", words) < 0)
		_exit(91);
	int listener = number_of(config, "serve") ? 0 : -1;
	for (;;) {
		struct pollfd polled[2] = { { channel, POLLIN, 0 }, { listener, POLLIN, 0 } };
		if (poll(polled, 2, crash_ms > 0 ? crash_ms : -1) == 0)
			_exit(1);
		if (polled[1].revents) {
			int client = accept(listener, NULL, NULL);
			if (client >= 0 && send(client, "x", 1, MSG_NOSIGNAL) < 0)
				note("lost");
			close(client);
		}
		if (polled[0].revents == 0)
			continue;
		unsigned char byte;
		ssize_t n = read(channel, &byte, 1);
		if (n <= 0) {
			note("eof");
			_exit(1);
		}
		if (byte == 1) {
			note("reload");
			if (write(channel, "\1\5", 2) < 0)
				_exit(91);
		} else {
			note("stop");
			_exit(0);
		}
	}
}
