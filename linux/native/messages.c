/*
 * Bytes, descriptors and datagrams through sockets. Nothing here blocks: what would block answers 0
 * or undefined.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "addon.h"
#include "address.h"

/* The kernel takes at most 253 descriptors in one message. */
enum { MAX_FDS = 253, MAX_READ = 1024 * 1024 };

static bool would_block(int error) { return error == EAGAIN || error == EWOULDBLOCK; }

/* readChannel(fd, max): bytes, none at the end, undefined when nothing waits. */
static napi_value read_channel(napi_env env, napi_callback_info info) {
  napi_value values[2];
  int fd = -1;
  uint32_t max = 0;
  if (!get_arguments(env, info, 2, values) || !get_int(env, values[0], &fd) || !get_u32(env, values[1], &max)) return NULL;
  if (max == 0 || max > MAX_READ) return throw_errno(env, "read", EINVAL, "maxBytes must be 1 to 1048576");
  uint8_t *buffer = malloc(max);
  if (buffer == NULL) return throw_errno(env, "malloc", ENOMEM, NULL);
  ssize_t got;
  do {
    got = recv(fd, buffer, max, MSG_DONTWAIT);
    if (got < 0 && errno == ENOTSOCK) got = read(fd, buffer, max);
  } while (got < 0 && errno == EINTR);
  int error = errno;
  napi_value result = got >= 0 ? make_bytes(env, buffer, (size_t)got) : NULL;
  free(buffer);
  if (got >= 0) return result;
  return would_block(error) ? make_undefined(env) : throw_errno(env, "read", error, NULL);
}

/* writeChannel(fd, bytes): number of bytes written, 0 when it is full. */
static napi_value write_channel(napi_env env, napi_callback_info info) {
  napi_value values[2];
  int fd = -1;
  struct bytes bytes;
  if (!get_arguments(env, info, 2, values) || !get_int(env, values[0], &fd) || !get_bytes(env, values[1], &bytes)) return NULL;
  ssize_t wrote;
  do {
    wrote = send(fd, bytes.data, bytes.length, MSG_DONTWAIT | MSG_NOSIGNAL);
    // Node ignores SIGPIPE, so a pipe answers EPIPE as well.
    if (wrote < 0 && errno == ENOTSOCK) wrote = write(fd, bytes.data, bytes.length);
  } while (wrote < 0 && errno == EINTR);
  if (wrote >= 0) return make_number(env, (double)wrote);
  return would_block(errno) ? make_number(env, 0) : throw_errno(env, "write", errno, NULL);
}

/* sendDescriptors(fd, bytes, fds): number of bytes sent, 0 when it is full (then no descriptor went either). */
static napi_value send_descriptors(napi_env env, napi_callback_info info) {
  napi_value values[3];
  int fd = -1, *list = NULL;
  size_t count = 0;
  struct bytes bytes;
  if (!get_arguments(env, info, 3, values) || !get_int(env, values[0], &fd) || !get_bytes(env, values[1], &bytes) ||
      !get_int_list(env, values[2], &list, &count))
    return NULL;
  if (bytes.length == 0 || count > MAX_FDS) {
    free(list);
    return throw_errno(env, "sendmsg", EINVAL, "descriptors travel with at least one byte, at most 253 at a time");
  }
  _Alignas(struct cmsghdr) char control[CMSG_SPACE(MAX_FDS * sizeof(int))];
  struct iovec vector = {.iov_base = bytes.data, .iov_len = bytes.length};
  struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};
  if (count > 0) {
    message.msg_control = control;
    message.msg_controllen = CMSG_SPACE(count * sizeof(int));
    memset(control, 0, message.msg_controllen);
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(count * sizeof(int));
    memcpy(CMSG_DATA(header), list, count * sizeof(int));
  }
  free(list);
  ssize_t sent;
  do sent = sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
  while (sent < 0 && errno == EINTR);
  if (sent >= 0) return make_number(env, (double)sent);
  return would_block(errno) ? make_number(env, 0) : throw_errno(env, "sendmsg", errno, NULL);
}

/* What one recvmsg brought. */
struct received {
  ssize_t length;
  int flags;
  size_t fd_count;
  int fds[MAX_FDS];
  bool has_peer;
  struct ucred peer;
};

static void receive(int fd, void *buffer, size_t size, struct received *result) {
  union {
    struct cmsghdr header;
    char room[CMSG_SPACE(MAX_FDS * sizeof(int)) + CMSG_SPACE(sizeof(struct ucred))];
  } control;
  struct iovec vector = {.iov_base = buffer, .iov_len = size};
  struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
  do result->length = recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  while (result->length < 0 && errno == EINTR);
  if (result->length < 0) return;
  result->flags = message.msg_flags;
  for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header != NULL; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET) continue;
    if (header->cmsg_type == SCM_CREDENTIALS) {
      memcpy(&result->peer, CMSG_DATA(header), sizeof result->peer);
      result->has_peer = true;
    } else if (header->cmsg_type == SCM_RIGHTS) {
      result->fd_count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
      memcpy(result->fds, CMSG_DATA(header), result->fd_count * sizeof(int));
    }
  }
}

/*
 * receive(fd, maxBytes, maxFds): [bytes, fds, truncated, pid, uid, gid] (pid -1: no credentials), or
 * undefined when nothing waits. Descriptors beyond maxFds are closed, which counts as truncated.
 */
static napi_value receive_message(napi_env env, napi_callback_info info) {
  napi_value values[3];
  int fd = -1;
  uint32_t max_bytes = 0, max_fds = 0;
  if (!get_arguments(env, info, 3, values) || !get_int(env, values[0], &fd) || !get_u32(env, values[1], &max_bytes) ||
      !get_u32(env, values[2], &max_fds))
    return NULL;
  if (max_bytes == 0 || max_bytes > MAX_READ) return throw_errno(env, "recvmsg", EINVAL, "maxBytes must be 1 to 1048576");
  uint8_t *buffer = malloc(max_bytes);
  if (buffer == NULL) return throw_errno(env, "malloc", ENOMEM, NULL);
  struct received got = {.peer = {.pid = -1}};
  receive(fd, buffer, max_bytes, &got);
  int error = errno;
  if (got.length < 0) {
    free(buffer);
    return would_block(error) ? make_undefined(env) : throw_errno(env, "recvmsg", error, NULL);
  }
  bool truncated = (got.flags & (MSG_TRUNC | MSG_CTRUNC)) != 0;
  double fds[MAX_FDS];
  size_t kept = 0;
  for (size_t i = 0; i < got.fd_count; i++) {
    if (kept < max_fds) fds[kept++] = got.fds[i];
    else close(got.fds[i]), truncated = true;
  }
  napi_value results[6] = {
    make_bytes(env, buffer, (size_t)got.length),
    make_numbers(env, fds, kept),
    make_bool(env, truncated),
    make_number(env, got.has_peer ? got.peer.pid : -1),
    make_number(env, got.peer.uid),
    make_number(env, got.peer.gid),
  };
  free(buffer);
  return make_array(env, results, 6);
}

/* sendDatagram(family, path, bytes). */
static napi_value send_datagram(napi_env env, napi_callback_info info) {
  napi_value values[3], zero = make_number(env, 0);
  struct address address;
  struct bytes bytes;
  if (!get_arguments(env, info, 3, values) || !get_bytes(env, values[2], &bytes) || !get_address(env, values[0], values[1], zero, &address))
    return NULL;
  int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return throw_errno(env, "socket", errno, address.shown);
  ssize_t sent;
  do sent = sendto(fd, bytes.data, bytes.length, MSG_DONTWAIT | MSG_NOSIGNAL, &address.as.generic, address.length);
  while (sent < 0 && errno == EINTR);
  int error = errno;
  close(fd);
  return sent >= 0 ? make_undefined(env) : throw_errno(env, "sendto", error, address.shown);
}

/* close(fd) */
static napi_value close_descriptor(napi_env env, napi_callback_info info) {
  napi_value values[1];
  int fd = -1;
  if (!get_arguments(env, info, 1, values) || !get_int(env, values[0], &fd)) return NULL;
  // EINTR: Linux has released the number already; a second close could hit another's descriptor.
  return close(fd) == 0 || errno == EINTR ? make_undefined(env) : throw_errno(env, "close", errno, NULL);
}

/* setNonBlocking(fd, nonBlocking) */
static napi_value set_non_blocking(napi_env env, napi_callback_info info) {
  napi_value values[2];
  int fd = -1;
  bool wanted = true;
  if (!get_arguments(env, info, 2, values) || !get_int(env, values[0], &fd) || !get_bool(env, values[1], &wanted)) return NULL;
  int flags = fcntl(fd, F_GETFL);
  if (flags < 0) return throw_errno(env, "fcntl", errno, NULL);
  return done_or_throw(env, fcntl(fd, F_SETFL, wanted ? flags | O_NONBLOCK : flags & ~O_NONBLOCK), "fcntl", NULL);
}

/* openFile(path, flags, mode): fd, close-on-exec. */
static napi_value open_file(napi_env env, napi_callback_info info) {
  napi_value values[3];
  struct text path;
  int flags = 0;
  uint32_t mode = 0;
  if (!get_arguments(env, info, 3, values) || !get_int(env, values[1], &flags) || !get_u32(env, values[2], &mode) ||
      !get_text(env, values[0], &path))
    return NULL;
  int fd = open(path.data, flags | O_CLOEXEC | O_NOCTTY, mode);
  napi_value result = fd >= 0 ? make_number(env, fd) : throw_errno(env, "open", errno, path.data);
  text_free(&path);
  return result;
}

/* redirect(fd, to): `to` becomes a copy of fd that stays open across exec. */
static napi_value redirect(napi_env env, napi_callback_info info) {
  napi_value values[2];
  int fd = -1, to = -1;
  if (!get_arguments(env, info, 2, values) || !get_int(env, values[0], &fd) || !get_int(env, values[1], &to)) return NULL;
  return done_or_throw(env, dup2(fd, to) < 0 ? -1 : 0, "dup2", NULL);
}

const struct export_entry message_exports[] = {
  {"readChannel", read_channel},
  {"writeChannel", write_channel},
  {"sendDescriptors", send_descriptors},
  {"receive", receive_message},
  {"sendDatagram", send_datagram},
  {"close", close_descriptor},
  {"redirect", redirect},
  {"setNonBlocking", set_non_blocking},
  {"openFile", open_file},
  {NULL, NULL},
};
