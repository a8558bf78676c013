/*
 * `shared` children: they borrow our memory until exec, so their cost does not depend on our size.
 * Several may live in it at once, each on a stack and with the thread-local storage of its own
 * launcher. Knows nothing of Node.
 */
#include "shared.h"

#include <errno.h>
#include <linux/futex.h>
#include <linux/sched.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "child.h"
#include "table.h"
#include "thread.h"

enum {
  GUARD_SIZE = 64 * 1024,
  /* How long a killed child may take to end. */
  GRACE_MS = 50,
};

#if defined(__x86_64__)
/*
 * clone3 with a stack cannot be called through syscall(): the child would return into a frame that
 * is not on its stack. So the child calls its function right here and ends if that returns.
 */
static long clone3_onto_stack(struct clone_args *arguments, int (*function)(void *), void *argument) {
  long result;
  register long function_register __asm__("r8") = (long)function;
  register long argument_register __asm__("r9") = (long)argument;
  __asm__ volatile(
    "syscall\n\t"
    "testq %%rax, %%rax\n\t"
    "jnz 1f\n\t"
    "xorl %%ebp, %%ebp\n\t"
    "movq %%r9, %%rdi\n\t"
    "callq *%%r8\n\t"
    "movl %%eax, %%edi\n\t"
    "movl %[exit_group], %%eax\n\t"
    "syscall\n\t"
    "hlt\n\t"
    "1:"
    : "=a"(result)
    : "a"((long)SYS_clone3), "D"(arguments), "S"(sizeof *arguments), "r"(function_register), "r"(argument_register),
      [exit_group] "i"(SYS_exit_group)
    : "rcx", "r11", "memory", "cc");
  return result;
}
#else
/* Elsewhere libc's clone() below does all but CLONE_INTO_CGROUP, which the child makes up for. */
static long clone3_onto_stack(struct clone_args *arguments, int (*function)(void *), void *argument) {
  (void)arguments, (void)function, (void)argument;
  return -ENOSYS;
}
#endif

pid_t clone_sharing(const struct sharing *sharing) {
  uint64_t flags =
    sharing->flags | CLONE_VM | (sharing->pidfd != NULL ? CLONE_PIDFD : 0) | (sharing->thread_pointer != NULL ? CLONE_SETTLS : 0);
  bool into_cgroup = sharing->cgroup_fd >= 0;
  struct clone_args arguments = {
    .flags = flags | (into_cgroup ? CLONE_INTO_CGROUP : 0),
    .pidfd = (uint64_t)(uintptr_t)sharing->pidfd,
    .child_tid = (uint64_t)(uintptr_t)sharing->cleared,
    .tls = (uint64_t)(uintptr_t)sharing->thread_pointer,
    .exit_signal = SIGCHLD,
    .stack = (uint64_t)(uintptr_t)sharing->stack,
    .stack_size = sharing->stack_size,
    .cgroup = into_cgroup ? (uint64_t)sharing->cgroup_fd : 0,
  };
  long result = clone3_onto_stack(&arguments, sharing->function, sharing->argument);
  // clone3 is unknown before Linux 5.3 and forbidden by the seccomp filters of some containers.
  if ((result == -ENOSYS || result == -EPERM) && !into_cgroup) {
    char *top = sharing->stack + sharing->stack_size;
    int pid = clone(sharing->function, top, (int)(flags | SIGCHLD), sharing->argument, sharing->pidfd, sharing->thread_pointer,
                    sharing->cleared);
    if (pid >= 0) return pid;
    // EPERM of both is the kernel's answer, not a filter's.
    result = -errno;
  }
  if (result >= 0) return (pid_t)result;
  errno = (int)-result;
  return -1;
}

static int child_entry(void *argument) {
  struct plan *plan = argument;
  int error = table_unshare(plan);
  if (error != 0) child_fail(plan, STAGE_DESCRIPTORS, error, -1, 0);
  child_main(plan);
}

bool prepare_stack(struct launcher *launcher) {
  if (launcher->stack != NULL) return true;
  char *area = mmap(NULL, GUARD_SIZE + STACK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK | MAP_NORESERVE, -1, 0);
  if (area == MAP_FAILED) return false;
  // A step that needs more stack than there is shall crash in the child, not corrupt our heap.
  if (mprotect(area, GUARD_SIZE, PROT_NONE) != 0) {
    munmap(area, GUARD_SIZE + STACK_SIZE);
    return false;
  }
  launcher->stack = area + GUARD_SIZE;
  return true;
}

void release_stack(char *stack) {
  if (stack != NULL) munmap(stack - GUARD_SIZE, GUARD_SIZE + STACK_SIZE);
}

/* Whether the child left our memory, by exec or by its end, within the time. Leaves errno alone: it may be the child's. */
static bool wait_for_release(struct plan *plan, uint32_t timeout_ms) {
  struct timespec now, end;
  clock_gettime(CLOCK_MONOTONIC, &end);
  end.tv_sec += timeout_ms / 1000;
  end.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
  while (__atomic_load_n(&plan->borrowed, __ATOMIC_ACQUIRE) != 0) {
    clock_gettime(CLOCK_MONOTONIC, &now);
    int64_t left = (int64_t)(end.tv_sec - now.tv_sec) * 1000000000 + end.tv_nsec - now.tv_nsec;
    if (left <= 0) return false;
    struct timespec wait = {.tv_sec = left / 1000000000, .tv_nsec = left % 1000000000};
    // Not FUTEX_PRIVATE: the kernel's own wake-up is not.
    raw_futex(&plan->borrowed, FUTEX_WAIT, 1, &wait);
  }
  return true;
}

/*
 * A change of user makes the memory that the child shares with us undumpable, which keeps other
 * processes of that user from tracing the child and with it us. It is ours again only when no such
 * child is left in it, wherever and by whichever launcher it was started.
 */
static pthread_mutex_t borrowing = PTHREAD_MUTEX_INITIALIZER;
static unsigned borrowers;
static int dumpable_before;

static void begin_borrowing(const struct plan *plan) {
  if (!plan->has_credentials) return;
  pthread_mutex_lock(&borrowing);
  if (borrowers++ == 0) dumpable_before = prctl(PR_GET_DUMPABLE, 0, 0, 0, 0);
  pthread_mutex_unlock(&borrowing);
}

static void end_borrowing(const struct plan *plan) {
  if (!plan->has_credentials) return;
  pthread_mutex_lock(&borrowing);
  if (--borrowers == 0 && dumpable_before == 1) prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
  pthread_mutex_unlock(&borrowing);
}

void bury_overdue(struct launcher *launcher) {
  for (struct plan **link = &launcher->overdue; *link != NULL;) {
    struct plan *plan = *link;
    if (__atomic_load_n(&plan->borrowed, __ATOMIC_ACQUIRE) != 0) {
      link = &plan->next_overdue;
      continue;
    }
    *link = plan->next_overdue;
    end_borrowing(plan);
    (void)bury(plan->pidfd);
    release_stack(plan->overdue_stack);
    plan_free(plan);
  }
}

bool shared_begin(struct launcher *launcher, struct plan *plan, struct outcome *failure) {
  if (!prepare_stack(launcher)) return give_up(failure, STAGE_PREPARE, errno, 0);
  struct sharing sharing = {
    .flags = plan->namespaces | CLONE_CHILD_CLEARTID | table_lend(launcher, plan),
    .cgroup_fd = plan->join_cgroup_by_hand ? -1 : plan->cgroup_fd,
    .pidfd = &plan->pidfd,
    .stack = launcher->stack,
    .stack_size = STACK_SIZE,
    .cleared = &plan->borrowed,
    .thread_pointer = launcher->thread_pointer,
    .function = child_entry,
    .argument = plan,
  };
  plan->outcome.kind = 0;
  plan->outcome.stage = STAGE_CLONE;
  plan->borrowed = 1;
  begin_borrowing(plan);
  plan->pid = clone_sharing(&sharing);
  if (plan->pid >= 0) return true;
  int error = errno;
  end_borrowing(plan);
  return give_up(failure, STAGE_CLONE, error, 0);
}

bool launch_wait(struct plan *plan, uint32_t timeout_ms) { return wait_for_release(plan, timeout_ms); }

/* The child is stuck: ends it, or puts it aside. The result is a failure at the stage where it was. */
static bool give_up_waiting(struct launcher *launcher, struct plan *plan, struct outcome *failure) {
  enum stage stage = (enum stage)plan->outcome.stage;
  syscall(SYS_pidfd_send_signal, plan->pidfd, SIGKILL, NULL, 0);
  table_return(launcher);
  if (wait_for_release(plan, GRACE_MS)) {
    end_borrowing(plan);
    return give_up(failure, stage, ETIMEDOUT, bury(plan->pidfd));
  }
  plan->next_overdue = launcher->overdue;
  plan->overdue_stack = launcher->stack;
  launcher->overdue = plan;
  launcher->stack = NULL;
  return give_up(failure, stage, ETIMEDOUT, 0);
}

bool launch_finish(struct launcher *launcher, struct plan *plan, uint32_t timeout_ms, struct launched *result, struct outcome *failure) {
  // Not CLONE_VFORK, which waits for ever: whoever may stop the child could stop us.
  if (!wait_for_release(plan, timeout_ms)) return give_up_waiting(launcher, plan, failure);
  end_borrowing(plan);
  table_return(launcher);
  if (plan->outcome.kind == OUTCOME_EXEC) {
    *result = (struct launched){.pid = plan->pid, .pidfd = plan->pidfd, .status_fd = -1, .program = plan->outcome.index};
    return true;
  }
  int wait_status = bury(plan->pidfd);
  // No word at all: killed from outside in the middle of a step.
  if (plan->outcome.kind != OUTCOME_FAILURE) return give_up(failure, (enum stage)plan->outcome.stage, 0, wait_status);
  *failure = plan->outcome;
  return false;
}
