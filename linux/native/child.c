/*
 * The steps of the child, in order. Only async-signal-safe calls: in `shared` mode the memory (and
 * errno) is the parent's, in `copied` mode other threads' locks were copied in whatever state they
 * had. Decides nothing: the plan says what is wanted, a step that fails is reported and ends it.
 */
#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/futex.h>
#include <linux/securebits.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "launch.h"
#include "shared.h"
#include "thread.h"

#ifdef SYS_setgroups32
#define SETGROUPS SYS_setgroups32
#define SETRESGID SYS_setresgid32
#define SETRESUID SYS_setresuid32
#else
#define SETGROUPS SYS_setgroups
#define SETRESGID SYS_setresgid
#define SETRESUID SYS_setresuid
#endif

_Noreturn void raw_exit(int code) {
  for (;;) syscall(SYS_exit_group, code);
}

int raw_sigmask(uint64_t mask, uint64_t *old) { return (int)syscall(SYS_rt_sigprocmask, SIG_SETMASK, &mask, old, sizeof mask); }

void child_report(struct plan *plan, enum outcome_kind kind, enum stage stage, int error, int index, int wait_status) {
  struct outcome record = {.kind = (int32_t)kind, .stage = (int32_t)stage, .error = error, .index = index, .wait_status = wait_status};
  if (plan->copied) {
    // Shorter than PIPE_BUF, so it arrives whole. If the parent is gone nobody wants it: SIGPIPE is
    // blocked here and the result does not matter.
    while (write(plan->status_fd, &record, sizeof record) < 0 && errno == EINTR) continue;
  } else {
    plan->outcome.stage = record.stage;
    plan->outcome.error = record.error;
    plan->outcome.index = record.index;
    plan->outcome.wait_status = record.wait_status;
    plan->outcome.kind = record.kind;
  }
}

_Noreturn void child_fail(struct plan *plan, enum stage stage, int error, int index, int wait_status) {
  child_report(plan, OUTCOME_FAILURE, stage, error, index, wait_status);
  raw_exit(127);
}

static bool parent_is_gone(const struct plan *plan) {
  // In a new pid namespace getppid is always 0, so there only the parent's pidfd (readable = ended) can tell.
  if ((plan->namespaces & CLONE_NEWPID) == 0) return syscall(SYS_getppid) != plan->parent_pid;
  struct pollfd parent = {.fd = plan->parent_pidfd, .events = POLLIN};
  return plan->parent_pidfd >= 0 && poll(&parent, 1, 0) > 0 && (parent.revents & POLLIN) != 0;
}

/* In our parent's memory there is no end of file: whether the parent lives is asked now and then. */
static void wait_in_shared_memory(struct plan *plan) {
  while (__atomic_load_n(&plan->mapped, __ATOMIC_ACQUIRE) == 0) {
    struct timespec wait = {.tv_sec = 0, .tv_nsec = 100000000};
    raw_futex(&plan->mapped, FUTEX_WAIT, 0, &wait);
    if (parent_is_gone(plan)) raw_exit(127);
  }
  if (plan->map_error != 0) child_fail(plan, STAGE_USER_NAMESPACE, plan->map_error, plan->map_index, 0);
}

static void wait_for_user_map(struct plan *plan) {
  if (!plan->copied) return wait_in_shared_memory(plan);
  // Our copy of the write end must go first: otherwise a dead parent would never be an EOF.
  close(plan->sync_write_fd);
  char byte;
  ssize_t got;
  while ((got = read(plan->sync_read_fd, &byte, 1)) < 0 && errno == EINTR) continue;
  // EOF: the parent died or could not write the maps (it then reports that itself).
  if (got != 1) raw_exit(127);
  close(plan->sync_read_fd);
}

static bool write_word(int directory, const char *path, const char *word) {
  int fd = openat(directory, path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
  if (fd < 0) return false;
  ssize_t wrote = write(fd, word, strlen(word));
  int saved = errno;
  close(fd);
  errno = saved;
  return wrote >= 0;
}

static void join_cgroups(struct plan *plan) {
  if (plan->join_cgroup_by_hand && !write_word(plan->cgroup_fd, "cgroup.procs", "0")) child_fail(plan, STAGE_CGROUP, errno, -1, 0);
  for (size_t i = 0; i < plan->cgroup_file_count; i++)
    if (!write_word(AT_FDCWD, plan->cgroup_files[i], "0")) child_fail(plan, STAGE_CGROUP, errno, (int)i, 0);
}

static void make_late_namespaces(struct plan *plan) {
  // One kind after the other, so that the failure says which: the index is the number of its bit.
  for (int bit = 0; bit < 32; bit++) {
    uint64_t flag = plan->late_namespaces & UINT64_C(1) << bit;
    if (flag != 0 && unshare((int)flag) != 0) child_fail(plan, STAGE_NAMESPACE, errno, bit, 0);
  }
}

static void bring_loopback_up(struct plan *plan) {
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  // A kernel without IPv4 has IPv6.
  if (fd < 0) fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) child_fail(plan, STAGE_LOOPBACK, errno, -1, 0);
  struct ifreq request = {.ifr_name = "lo"};
  int result = ioctl(fd, SIOCGIFFLAGS, &request);
  request.ifr_flags |= IFF_UP | IFF_RUNNING;
  if (result == 0) result = ioctl(fd, SIOCSIFFLAGS, &request);
  int error = errno;
  close(fd);
  if (result != 0) child_fail(plan, STAGE_LOOPBACK, error, -1, 0);
}

static void reset_signals(void) {
  // All zero is SIG_DFL without flags in the kernel's layout of every architecture. The handlers'
  // table is our own (no CLONE_SIGHAND), so the parent keeps its handlers. SIGKILL and SIGSTOP
  // answer EINVAL, which is as it should be. An ignored signal would survive exec: Node ignores
  // SIGPIPE, and a program that gets EPIPE where it expects to die loops for ever.
  char zero[64] = {0};
  for (int number = 1; number <= 64; number++) syscall(SYS_rt_sigaction, number, zero, NULL, sizeof(uint64_t));
}

static void set_limits(struct plan *plan) {
  for (size_t i = 0; i < plan->limit_count; i++) {
    uint64_t pair[2] = {plan->limits[i].soft, plan->limits[i].hard};
    if (syscall(SYS_prlimit64, 0, plan->limits[i].resource, pair, NULL) != 0) child_fail(plan, STAGE_RLIMIT, errno, (int)i, 0);
  }
}

static void set_mounts(struct plan *plan) {
  // Without this a mount of the child would travel back to the parent's namespace.
  if (plan->mounts_private && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) child_fail(plan, STAGE_MOUNT, errno, 0, 0);
  // The new pid namespace shows its own processes only through a proc mounted inside it.
  if (plan->mount_proc && mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) != 0)
    child_fail(plan, STAGE_MOUNT, errno, 1, 0);
}

static void limit_bounding_set(struct plan *plan) {
  // Up to the last capability the kernel knows, which may be more than our headers do.
  for (int capability = 0; capability < 64; capability++) {
    if (plan->bound >> capability & 1) continue;
    int present = prctl(PR_CAPBSET_READ, capability, 0, 0, 0);
    if (present < 0) return;
    if (present > 0 && prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0) child_fail(plan, STAGE_CAPABILITY_BOUND, errno, capability, 0);
  }
}

static void set_credentials(struct plan *plan) {
  // Where a user namespace forbids setgroups there is nothing to set: it would always fail.
  bool may_set_groups = !(plan->has_user_map && plan->deny_setgroups);
  // Groups need privilege, so they go first; the list is replaced even when it is empty, otherwise
  // the vassal would keep root's groups.
  if (may_set_groups && syscall(SETGROUPS, plan->group_count, plan->groups) != 0) child_fail(plan, STAGE_GROUPS, errno, -1, 0);
  // The group before the user, because the user's change takes the right to change the group. All
  // three ids, so that nothing can be switched back. Raw calls: libc's would signal every thread.
  if (syscall(SETRESGID, plan->gid, plan->gid, plan->gid) != 0) child_fail(plan, STAGE_GID, errno, -1, 0);
  // Capabilities that shall survive the change must be kept in the permitted set for a moment.
  if (plan->has_ambient && plan->ambient != 0 && prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0) child_fail(plan, STAGE_UID, errno, -1, 0);
  if (syscall(SETRESUID, plan->uid, plan->uid, plan->uid) != 0) child_fail(plan, STAGE_UID, errno, -1, 0);
}

static void set_ambient_capabilities(struct plan *plan) {
  uint32_t low = (uint32_t)plan->ambient, high = (uint32_t)(plan->ambient >> 32);
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  struct __user_cap_data_struct data[2] = {
    {.effective = low, .permitted = low, .inheritable = low},
    {.effective = high, .permitted = high, .inheritable = high},
  };
  // Root needs no ambient capability and must not lose its permitted set, which the bounding set
  // limits already; only the inheritable set is given.
  if (plan->has_credentials ? plan->uid == 0 : syscall(SYS_geteuid) == 0) {
    if (syscall(SYS_capget, &header, data) != 0) child_fail(plan, STAGE_CAPABILITY_AMBIENT, errno, -1, 0);
    data[0].inheritable = low;
    data[1].inheritable = high;
  }
  if (syscall(SYS_capset, &header, data) != 0) child_fail(plan, STAGE_CAPABILITY_AMBIENT, errno, -1, 0);
  for (int capability = 0; capability < 64; capability++) {
    if ((plan->ambient >> capability & 1) == 0) continue;
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0) != 0)
      child_fail(plan, STAGE_CAPABILITY_AMBIENT, errno, capability, 0);
  }
}

static void set_parent_death_signal(struct plan *plan) {
  if (prctl(PR_SET_PDEATHSIG, plan->parent_death_signal, 0, 0, 0) != 0) child_fail(plan, STAGE_PARENT_DEATH_SIGNAL, errno, -1, 0);
  // A parent that died before the line above sends nothing any more.
  // As if the signal had come: nobody is left to be told more.
  if (parent_is_gone(plan)) raw_exit(128 + plan->parent_death_signal);
}

static _Noreturn void execute(struct plan *plan) {
  int error = ENOENT, index = 0;
  // From here on a pending signal may end us, as it would end the program. Nothing is left to undo.
  raw_sigmask(0, NULL);
  for (size_t i = 0; i < plan->program_count; i++) {
    struct program *program = &plan->programs[i];
    child_report(plan, OUTCOME_EXEC, STAGE_EXEC, 0, (int)i, 0);
    plan->argv[0] = program->argv0;
    execve(program->path, plan->argv, plan->env);
    int current = errno;
    if (current == ENOEXEC) {
      // A script without a first line that names its interpreter: the shell reads it, as execvp does.
      plan->argv[-1] = (char *)"/bin/sh";
      plan->argv[0] = program->path;
      execve("/bin/sh", plan->argv - 1, plan->env);
    }
    // "Not there" is the least telling answer of several: a file found along PATH but not
    // executable is what the operator wants to hear of.
    bool absent = current == ENOENT || current == ENOTDIR;
    if (i == 0 || !absent || error == ENOENT || error == ENOTDIR) {
      error = current;
      index = (int)i;
    }
  }
  child_fail(plan, STAGE_EXEC, error, index, 0);
}

/* For whoever has to say where a child got stuck or was killed. */
static void enter(struct plan *plan, enum stage stage) { plan->outcome.stage = (int32_t)stage; }

_Noreturn void child_main(struct plan *plan) {
  // Until the ids are mapped we are nobody in the new namespace: nothing else may come first.
  enter(plan, STAGE_USER_NAMESPACE);
  if (plan->has_user_map) wait_for_user_map(plan);
  // Early, so that everything below is already charged and killed with the cgroup; needs privilege.
  enter(plan, STAGE_CGROUP);
  join_cgroups(plan);
  // A cgroup namespace shows the cgroup in which it is made as the root, so not before; a time namespace
  // cannot be asked of clone at all.
  enter(plan, STAGE_NAMESPACE);
  make_late_namespaces(plan);
  // Before any command is run: its processes shall belong to the vassal's session too.
  enter(plan, STAGE_SESSION);
  if (plan->session && syscall(SYS_setsid) < 0) child_fail(plan, STAGE_SESSION, errno, -1, 0);
  // Before any command is run, which would inherit ignored signals. The mask stays full until exec.
  enter(plan, STAGE_SIGNALS);
  reset_signals();
  // Raising a hard limit needs privilege that is dropped below.
  enter(plan, STAGE_RLIMIT);
  set_limits(plan);
  // Needs privilege; the actions shall see the mounts.
  enter(plan, STAGE_MOUNT);
  set_mounts(plan);
  // Both need privilege over their namespaces; the actions may use or change them.
  enter(plan, STAGE_HOSTNAME);
  if (plan->hostname != NULL && sethostname(plan->hostname, strlen(plan->hostname)) != 0) child_fail(plan, STAGE_HOSTNAME, errno, -1, 0);
  enter(plan, STAGE_LOOPBACK);
  if (plan->loopback) bring_loopback_up(plan);
  enter(plan, STAGE_BEFORE_DROP_ACTION);
  run_actions(plan, &plan->before_drop, STAGE_BEFORE_DROP_ACTION);
  // Needs CAP_SETPCAP, which the change of uid takes away.
  enter(plan, STAGE_CAPABILITY_BOUND);
  if (plan->has_bound) limit_bounding_set(plan);
  // Likewise; and it decides what the change of uid does to capabilities.
  enter(plan, STAGE_SECUREBITS);
  if (plan->securebits >= 0 && prctl(PR_SET_SECUREBITS, plan->securebits, 0, 0, 0) != 0) child_fail(plan, STAGE_SECUREBITS, errno, -1, 0);
  enter(plan, STAGE_UID);
  if (plan->has_credentials) set_credentials(plan);
  // Ambient capabilities are cleared by a change of uid, so they are raised after it.
  enter(plan, STAGE_CAPABILITY_AMBIENT);
  if (plan->has_ambient) set_ambient_capabilities(plan);
  // After everything that may need privilege; exec can gain none from here on.
  enter(plan, STAGE_NO_NEW_PRIVS);
  if (plan->no_new_privs && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) child_fail(plan, STAGE_NO_NEW_PRIVS, errno, -1, 0);
  // The kernel forgets it at each change of credentials: it must come after all of them.
  enter(plan, STAGE_PARENT_DEATH_SIGNAL);
  if (plan->parent_death_signal != 0) set_parent_death_signal(plan);
  // Closes the descriptors used above (cgroup, pidfd). Before the actions, so that no command of the
  // vassal inherits what belongs to the parent.
  enter(plan, STAGE_DESCRIPTORS);
  if (place_descriptors(plan) != 0) child_fail(plan, STAGE_DESCRIPTORS, errno, -1, 0);
  enter(plan, STAGE_UMASK);
  if (plan->umask >= 0) syscall(SYS_umask, plan->umask);
  // With the vassal's own rights: it may only be where it may go.
  enter(plan, STAGE_CWD);
  if (plan->cwd != NULL && chdir(plan->cwd) != 0) child_fail(plan, STAGE_CWD, errno, -1, 0);
  enter(plan, STAGE_ACTION);
  run_actions(plan, &plan->actions, STAGE_ACTION);
  enter(plan, STAGE_LATE_CWD);
  if (plan->late_cwd != NULL && chdir(plan->late_cwd) != 0) child_fail(plan, STAGE_LATE_CWD, errno, -1, 0);
  execute(plan);
}
