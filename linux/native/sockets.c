/*
 * Sockets as a supervisor needs them: bound and listening without anybody accepting, and asked how
 * long their queues are. All are close-on-exec and non-blocking from birth. Never unlinks anything.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "addon.h"
#include "address.h"

static napi_value throw_and_close(napi_env env, int fd, const char *step, const char *detail) {
  int error = errno;
  if (fd >= 0) close(fd);
  return throw_errno(env, step, error, detail);
}

/* socketpair(type, firstNonBlocking, secondNonBlocking): [fd, fd]; type 0 stream, 1 dgram, 2 seqpacket. */
static napi_value socket_pair(napi_env env, napi_callback_info info) {
  static const int types[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET};
  napi_value values[3];
  uint32_t type = 0;
  bool non_blocking[2];
  int pair[2];
  if (!get_arguments(env, info, 3, values) || !get_u32(env, values[0], &type) || !get_bool(env, values[1], &non_blocking[0]) ||
      !get_bool(env, values[2], &non_blocking[1]))
    return NULL;
  if (socketpair(AF_UNIX, types[type < 3 ? type : 0] | SOCK_CLOEXEC, 0, pair) != 0) return throw_errno(env, "socketpair", errno, NULL);
  for (int i = 0; i < 2; i++) {
    if (!non_blocking[i] || fcntl(pair[i], F_SETFL, O_NONBLOCK) == 0) continue;
    int error = errno;
    close(pair[0]);
    close(pair[1]);
    return throw_errno(env, "fcntl", error, NULL);
  }
  double numbers[2] = {pair[0], pair[1]};
  return make_numbers(env, numbers, 2);
}

/*
 * Mode and owner of a freshly bound path, without being led astray: whoever may write to the
 * directory could put a link in its place, so the thing itself is opened, looked at and changed
 * through its descriptor.
 */
static int own_path(const char *path, uid_t maker, int mode, uint32_t uid, uint32_t gid) {
  char magic[64];
  struct stat metadata;
  int fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return -1;
  snprintf(magic, sizeof magic, "/proc/self/fd/%d", fd);
  int result = fstat(fd, &metadata);
  if (result == 0 && (!S_ISSOCK(metadata.st_mode) || metadata.st_nlink != 1 || metadata.st_uid != maker)) {
    errno = ESTALE;
    result = -1;
  }
  if (result == 0 && mode >= 0) result = chmod(magic, (mode_t)mode);
  if (result == 0 && (uid != UINT32_MAX || gid != UINT32_MAX)) result = fchownat(fd, "", uid, gid, AT_EMPTY_PATH);
  int error = errno;
  close(fd);
  errno = error;
  return result;
}

struct binding {
  struct address address;
  int type, backlog, mode;
  double uid, gid;
  /* Whose rights to files decide about the path; -1: our own. */
  double as_uid, as_gid;
  bool reuse_port;
};

/* Rights to files are a thread's own: nobody else becomes another user by this. */
static void set_file_rights(uid_t uid, gid_t gid, size_t count, const gid_t *groups) {
  // The raw call: glibc's would change the groups of every thread.
  syscall(SYS_setgroups, count, groups);
  setfsgid(gid);
  setfsuid(uid);
}

/* bind(2) with the file rights of the binding's user: only where that user may make a file, it is made. */
static int bind_as(int fd, const struct binding *binding) {
  const struct sockaddr *address = &binding->address.as.generic;
  if (binding->as_uid < 0 || address->sa_family != AF_UNIX) return bind(fd, address, binding->address.length);
  gid_t before[NGROUPS_MAX], group = (gid_t)binding->as_gid;
  int count = getgroups(NGROUPS_MAX, before), death_signal = 0, dumpable = prctl(PR_GET_DUMPABLE);
  if (count < 0 || prctl(PR_GET_PDEATHSIG, &death_signal) != 0) return -1;
  set_file_rights((uid_t)binding->as_uid, group, 1, &group);
  // Asked for without changing it: without the privilege to become the user nothing is done in our own name.
  bool became = setfsuid((uid_t)-1) == (int)(uid_t)binding->as_uid && setfsgid((gid_t)-1) == (int)group;
  int result = became ? bind(fd, address, binding->address.length) : -1;
  int error = became ? errno : EPERM;
  set_file_rights(geteuid(), getegid(), (size_t)count, before);
  // The kernel forgets both at each change of these rights; an Emperor may itself be a vassal.
  if (death_signal != 0) prctl(PR_SET_PDEATHSIG, death_signal);
  if (dumpable == 1) prctl(PR_SET_DUMPABLE, 1);
  errno = error;
  return result;
}

static napi_value bind_socket(napi_env env, const struct binding *binding) {
  int one = 1, family = binding->address.as.generic.sa_family;
  const char *shown = binding->address.shown;
  int fd = socket(family, binding->type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return throw_errno(env, "socket", errno, shown);
  // Connections of the last process in TIME_WAIT must not forbid the next one its address.
  if (family != AF_UNIX && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0)
    return throw_and_close(env, fd, "setsockopt(SO_REUSEADDR)", shown);
  if (binding->reuse_port && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one) != 0)
    return throw_and_close(env, fd, "setsockopt(SO_REUSEPORT)", shown);
  if (binding->type == SOCK_DGRAM && setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &one, sizeof one) != 0)
    return throw_and_close(env, fd, "setsockopt(SO_PASSCRED)", shown);
  const char *path = binding->address.as.local.sun_path;
  bool wants_owner = binding->mode >= 0 || binding->uid >= 0 || binding->gid >= 0;
  // The file begins with the mode of the socket: nobody gets through a moment in which it is wider.
  if (family == AF_UNIX && binding->mode >= 0 && fchmod(fd, (mode_t)binding->mode) != 0)
    return throw_and_close(env, fd, "permissions", shown);
  if (bind_as(fd, binding) != 0) return throw_and_close(env, fd, "bind", shown);
  // At once: whoever sees the address and may connect shall not be refused.
  if (binding->type == SOCK_STREAM && listen(fd, binding->backlog) != 0) return throw_and_close(env, fd, "listen", shown);
  if (family == AF_UNIX && path[0] != '\0' && wants_owner) {
    uint32_t uid = binding->uid < 0 ? UINT32_MAX : (uint32_t)binding->uid, gid = binding->gid < 0 ? UINT32_MAX : (uint32_t)binding->gid;
    uid_t maker = binding->as_uid < 0 ? geteuid() : (uid_t)binding->as_uid;
    if (own_path(path, maker, binding->mode, uid, gid) != 0) return throw_and_close(env, fd, "permissions", shown);
  }
  return make_number(env, fd);
}

/* listen(family, host, port, backlog, mode, uid, gid, reusePort, asUid, asGid): fd; -1 leaves mode, uid, gid alone. */
static napi_value listen_socket(napi_env env, napi_callback_info info) {
  napi_value values[10];
  struct binding binding = {.type = SOCK_STREAM};
  if (!get_arguments(env, info, 10, values) || !get_int(env, values[3], &binding.backlog) || !get_int(env, values[4], &binding.mode) ||
      !get_double(env, values[5], &binding.uid) || !get_double(env, values[6], &binding.gid) ||
      !get_bool(env, values[7], &binding.reuse_port) || !get_double(env, values[8], &binding.as_uid) ||
      !get_double(env, values[9], &binding.as_gid) || !get_address(env, values[0], values[1], values[2], &binding.address))
    return NULL;
  return bind_socket(env, &binding);
}

/* bindDatagram(family, path, mode): fd that receives with credentials. */
static napi_value bind_datagram(napi_env env, napi_callback_info info) {
  napi_value values[3], zero = make_number(env, 0);
  struct binding binding = {.type = SOCK_DGRAM, .uid = -1, .gid = -1, .as_uid = -1, .as_gid = -1};
  if (!get_arguments(env, info, 3, values) || !get_int(env, values[2], &binding.mode) ||
      !get_address(env, values[0], values[1], zero, &binding.address))
    return NULL;
  return bind_socket(env, &binding);
}

/* accept(fd): fd, or undefined when nobody waits. */
static napi_value accept_one(napi_env env, napi_callback_info info) {
  napi_value values[1];
  int listener = -1, fd;
  if (!get_arguments(env, info, 1, values) || !get_int(env, values[0], &listener)) return NULL;
  do fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
  while (fd < 0 && (errno == EINTR || errno == ECONNABORTED));
  if (fd >= 0) return make_number(env, fd);
  return errno == EAGAIN || errno == EWOULDBLOCK ? make_undefined(env) : throw_errno(env, "accept", errno, NULL);
}

/* connect(family, host, port): [fd, finished]. */
static napi_value connect_socket(napi_env env, napi_callback_info info) {
  napi_value values[3];
  struct address address;
  if (!get_arguments(env, info, 3, values) || !get_address(env, values[0], values[1], values[2], &address)) return NULL;
  int fd = socket(address.as.generic.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return throw_errno(env, "socket", errno, address.shown);
  bool finished = connect(fd, &address.as.generic, address.length) == 0;
  if (!finished && errno != EINPROGRESS) return throw_and_close(env, fd, "connect", address.shown);
  double numbers[2] = {fd, finished};
  return make_numbers(env, numbers, 2);
}

/* localAddress(fd): [family, host, port], or undefined when it is no socket of ours. */
static napi_value local_address(napi_env env, napi_callback_info info) {
  napi_value values[1];
  int fd = -1;
  struct address address = {.length = sizeof address.as};
  if (!get_arguments(env, info, 1, values) || !get_int(env, values[0], &fd)) return NULL;
  if (getsockname(fd, &address.as.generic, &address.length) == 0) return make_address(env, &address);
  return errno == ENOTSOCK ? make_undefined(env) : throw_errno(env, "getsockname", errno, NULL);
}

/* One question to the kernel about one unix socket: its queue and the limit of it. 0, or errno. */
static int unix_queue(int fd, uint32_t result[2]) {
  struct stat metadata;
  if (fstat(fd, &metadata) != 0) return errno;
  struct {
    struct nlmsghdr header;
    struct unix_diag_req body;
  } request = {
    .header = {.nlmsg_len = sizeof request, .nlmsg_type = SOCK_DIAG_BY_FAMILY, .nlmsg_flags = NLM_F_REQUEST},
    .body =
      {
        .sdiag_family = AF_UNIX,
        .udiag_states = ~0U,
        .udiag_ino = (uint32_t)metadata.st_ino,
        .udiag_show = UDIAG_SHOW_RQLEN,
        .udiag_cookie = {~0U, ~0U},
      },
  };
  struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
  int netlink = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
  if (netlink < 0) return errno;
  _Alignas(8) char answer[512];
  ssize_t got = sendto(netlink, &request, sizeof request, 0, (struct sockaddr *)&kernel, sizeof kernel);
  // The kernel answers before sendto returns.
  if (got >= 0) got = recv(netlink, answer, sizeof answer, MSG_DONTWAIT);
  int error = got < 0 ? errno : 0;
  close(netlink);
  if (error != 0) return error;
  struct nlmsghdr *header = (struct nlmsghdr *)answer;
  if (!NLMSG_OK(header, (size_t)got)) return EPROTO;
  if (header->nlmsg_type == NLMSG_ERROR) return -((struct nlmsgerr *)NLMSG_DATA(header))->error;
  struct rtattr {
    uint16_t length, type;
  } *attribute;
  size_t at = NLMSG_LENGTH(sizeof(struct unix_diag_msg));
  for (; at + sizeof *attribute <= header->nlmsg_len; at += NLMSG_ALIGN(attribute->length)) {
    attribute = (struct rtattr *)(answer + at);
    if (attribute->length < sizeof *attribute) break;
    if (attribute->type != UNIX_DIAG_RQLEN) continue;
    memcpy(result, attribute + 1, 2 * sizeof *result);
    return 0;
  }
  return EPROTO;
}

/* listenQueueLength(fd): [waiting, limit]. */
static napi_value listen_queue_length(napi_env env, napi_callback_info info) {
  napi_value values[1];
  int fd = -1, family = 0, listening = 0;
  socklen_t size = sizeof family;
  uint32_t queue[2] = {0, 0};
  if (!get_arguments(env, info, 1, values) || !get_int(env, values[0], &fd)) return NULL;
  if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &size) != 0) return throw_errno(env, "getsockopt(SO_DOMAIN)", errno, NULL);
  size = sizeof listening;
  if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) != 0 || listening == 0)
    return throw_errno(env, "listenQueueLength", EINVAL, "the socket does not listen");
  if (family == AF_UNIX) {
    int error = unix_queue(fd, queue);
    if (error != 0) return throw_errno(env, "sock_diag", error, NULL);
  } else {
    struct tcp_info tcp;
    size = sizeof tcp;
    memset(&tcp, 0, sizeof tcp);
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &tcp, &size) != 0) return throw_errno(env, "getsockopt(TCP_INFO)", errno, NULL);
    // In a listening socket these two hold the length of the accept queue and its limit.
    queue[0] = tcp.tcpi_unacked;
    queue[1] = tcp.tcpi_sacked;
  }
  double numbers[2] = {queue[0], queue[1]};
  return make_numbers(env, numbers, 2);
}

/* peerCredentials(fd): [pid, uid, gid] of who connected or made the pair. */
static napi_value peer_credentials(napi_env env, napi_callback_info info) {
  napi_value values[1];
  int fd = -1;
  struct ucred peer;
  socklen_t size = sizeof peer;
  if (!get_arguments(env, info, 1, values) || !get_int(env, values[0], &fd)) return NULL;
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return throw_errno(env, "getsockopt(SO_PEERCRED)", errno, NULL);
  double numbers[3] = {peer.pid, peer.uid, peer.gid};
  return make_numbers(env, numbers, 3);
}

/* socketError(fd): pending errno of a connection, 0 when it is fine. */
static napi_value socket_error(napi_env env, napi_callback_info info) {
  napi_value values[1];
  int fd = -1, error = 0;
  socklen_t size = sizeof error;
  if (!get_arguments(env, info, 1, values) || !get_int(env, values[0], &fd)) return NULL;
  if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0) return throw_errno(env, "getsockopt(SO_ERROR)", errno, NULL);
  return make_number(env, error);
}

const struct export_entry socket_exports[] = {
  {"socketpair", socket_pair},
  {"listen", listen_socket},
  {"bindDatagram", bind_datagram},
  {"accept", accept_one},
  {"connect", connect_socket},
  {"localAddress", local_address},
  {"listenQueueLength", listen_queue_length},
  {"peerCredentials", peer_credentials},
  {"socketError", socket_error},
  {NULL, NULL},
};
