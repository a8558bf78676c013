/*
 * exit-watch.c - tells when processes end, exactly: reads process numbers from stdin until its end,
 * says "ready", then writes "PID NS" (CLOCK_MONOTONIC) as each of them ends, and ends with the last.
 */
#define _GNU_SOURCE
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int main(void)
{
	static struct pollfd watched[8192];
	static int pids[8192];
	int count = 0, left;
	struct rlimit files;
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	while (count < 8192 && scanf("%d", &pids[count]) == 1) {
		int fd = (int)syscall(SYS_pidfd_open, pids[count], 0);
		if (fd < 0)
			continue;
		watched[count].fd = fd;
		watched[count++].events = POLLIN;
	}
	printf("ready\n");
	fflush(stdout);
	for (left = count; left > 0;) {
		poll(watched, (nfds_t)count, -1);
		struct timespec now;
		clock_gettime(CLOCK_MONOTONIC, &now);
		for (int i = 0; i < count; i++) {
			if (watched[i].fd < 0 || !watched[i].revents)
				continue;
			printf("%d %lld\n", pids[i], now.tv_sec * 1000000000LL + now.tv_nsec);
			close(watched[i].fd);
			watched[i].fd = -1;
			left--;
		}
		fflush(stdout);
	}
	return 0;
}
