/* Socket addresses; see address.h. Resolves no names: only literal addresses are understood. */
#include "address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

static bool parse_unix(const struct text *path, struct address *result) {
  bool is_abstract = path->length > 0 && path->data[0] == '\0';
  size_t limit = sizeof result->as.local.sun_path - (is_abstract ? 0 : 1);
  if (path->length == 0 || (!is_abstract && strlen(path->data) != path->length)) {
    errno = EINVAL;
    return false;
  }
  if (path->length > limit) {
    snprintf(result->shown, sizeof result->shown, "unix socket path of %zu bytes, the kernel takes at most %zu: %.120s...", path->length,
             limit, path->data + (is_abstract ? 1 : 0));
    errno = ENAMETOOLONG;
    return false;
  }
  memset(&result->as.local, 0, sizeof result->as.local);
  result->as.local.sun_family = AF_UNIX;
  memcpy(result->as.local.sun_path, path->data, path->length);
  result->length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + path->length + (is_abstract ? 0 : 1));
  snprintf(result->shown, sizeof result->shown, "%s%.*s", is_abstract ? "@" : "", (int)path->length - is_abstract, path->data + is_abstract);
  return true;
}

static bool parse_internet(const char *family, char *host, int port, struct address *result) {
  bool v6 = strcmp(family, "ipv6") == 0;
  snprintf(result->shown, sizeof result->shown, v6 ? "[%.180s]:%d" : "%.180s:%d", host, port);
  if (port < 0 || port > 65535) {
    errno = EINVAL;
    return false;
  }
  memset(&result->as.storage, 0, sizeof result->as.storage);
  if (!v6) {
    struct sockaddr_in *v4 = (struct sockaddr_in *)&result->as.storage;
    v4->sin_family = AF_INET;
    v4->sin_port = htons((uint16_t)port);
    result->length = sizeof *v4;
    errno = EINVAL;
    return inet_pton(AF_INET, host, &v4->sin_addr) == 1;
  }
  struct sockaddr_in6 *address = (struct sockaddr_in6 *)&result->as.storage;
  char *zone = strchr(host, '%');
  if (zone != NULL) {
    *zone++ = '\0';
    address->sin6_scope_id = if_nametoindex(zone);
    if (address->sin6_scope_id == 0) return false;
  }
  address->sin6_family = AF_INET6;
  address->sin6_port = htons((uint16_t)port);
  result->length = sizeof *address;
  errno = EINVAL;
  return inet_pton(AF_INET6, host, &address->sin6_addr) == 1;
}

bool get_address(napi_env env, napi_value family_value, napi_value host_value, napi_value port_value, struct address *result) {
  struct text family, host;
  int port = 0;
  result->shown[0] = '\0';
  if (!get_int(env, port_value, &port) || !get_text(env, family_value, &family)) return false;
  if (!get_text(env, host_value, &host)) {
    text_free(&family);
    return false;
  }
  bool ok = strcmp(family.data, "unix") == 0 ? parse_unix(&host, result) : parse_internet(family.data, host.data, port, result);
  int error = errno;
  text_free(&family);
  text_free(&host);
  if (!ok) throw_errno(env, "address", error, result->shown[0] != '\0' ? result->shown : NULL);
  return ok;
}

napi_value make_address(napi_env env, const struct address *address) {
  napi_value values[3];
  char host[INET6_ADDRSTRLEN] = "";
  if (address->as.generic.sa_family == AF_UNIX) {
    size_t length = address->length > offsetof(struct sockaddr_un, sun_path) ? address->length - offsetof(struct sockaddr_un, sun_path) : 0;
    const char *path = address->as.local.sun_path;
    // A path may come with its NUL or without; an abstract name is counted, NULs and all.
    if (length > 0 && path[0] != '\0') length = strnlen(path, length);
    values[0] = make_string(env, "unix", NAPI_AUTO_LENGTH);
    values[1] = make_string(env, path, length);
    values[2] = make_number(env, 0);
    return make_array(env, values, 3);
  }
  if (address->as.generic.sa_family == AF_INET) {
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)&address->as.storage;
    inet_ntop(AF_INET, &v4->sin_addr, host, sizeof host);
    values[0] = make_string(env, "ipv4", NAPI_AUTO_LENGTH);
    values[2] = make_number(env, ntohs(v4->sin_port));
  } else if (address->as.generic.sa_family == AF_INET6) {
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&address->as.storage;
    inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof host);
    values[0] = make_string(env, "ipv6", NAPI_AUTO_LENGTH);
    values[2] = make_number(env, ntohs(v6->sin6_port));
  } else {
    return make_undefined(env);
  }
  values[1] = make_string(env, host, NAPI_AUTO_LENGTH);
  return make_array(env, values, 3);
}
