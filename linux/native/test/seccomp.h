/* A seccomp filter as a fault injector: one system call (perhaps with one first argument) fails with a chosen errno. */
#ifndef EMPEROR_TEST_SECCOMP_H
#define EMPEROR_TEST_SECCOMP_H

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

enum { ANY_ARGUMENT = -1 };

struct fault {
  int number;
  /* Index of the argument that is compared, or ANY_ARGUMENT. */
  int argument;
  unsigned value;
  int error;
};

static inline void inject(const struct fault *fault) {
  unsigned at = fault->argument == ANY_ARGUMENT ? 0 : offsetof(struct seccomp_data, args) + 8 * (unsigned)fault->argument;
  struct sock_filter compare[] = {
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)fault->number, 0, 3),
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, at),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, fault->argument == ANY_ARGUMENT ? (unsigned)fault->number : fault->value, 0, 1),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)fault->error),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog program = {.len = sizeof compare / sizeof *compare, .filter = compare};
  // A filter needs CAP_SYS_ADMIN or this promise; root has the former, and the promise would hide
  // the step that makes it.
  if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0) return;
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
    perror("seccomp");
    _exit(2);
  }
}

#endif
