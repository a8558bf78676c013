/* Socket addresses between JavaScript and the kernel. */
#ifndef EMPEROR_ADDRESS_H
#define EMPEROR_ADDRESS_H

#include <sys/socket.h>
#include <sys/un.h>

#include "addon.h"

struct address {
  union {
    struct sockaddr generic;
    struct sockaddr_un local;
    struct sockaddr_storage storage;
  } as;
  socklen_t length;
  /* The path or host as given, for messages; NUL of abstract names shown as '@'. */
  char shown[256];
};

/* From (family, host or path, port), family "ipv4", "ipv6" or "unix". False with a LinuxError pending. */
bool get_address(napi_env env, napi_value family, napi_value host, napi_value port, struct address *result);
/* [family, host or path, port], or undefined for a family that is none of these. */
napi_value make_address(napi_env env, const struct address *address);

#endif
