/* Who we are and who others are: users, groups, credentials, capabilities. */
#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "addon.h"

enum { FIRST_ROOM = 1024, LAST_ROOM = 4 * 1024 * 1024 };

/* Exactly one of name and id: an undefined name means the id counts. */
static bool get_key(napi_env env, napi_callback_info info, struct text *name, uint32_t *id) {
  napi_value values[2];
  if (!get_arguments(env, info, 2, values) || !get_optional_text(env, values[0], name)) return false;
  return name->data != NULL || get_u32(env, values[1], id);
}

static bool means_absent(int error) {
  // What the manual lists as "the given name or id was not found", by name service.
  return error == 0 || error == ENOENT || error == ESRCH || error == EBADF || error == EPERM;
}

/* lookupUser(name?, uid): [uid, gid, name, home, shell] or undefined. */
static napi_value lookup_user(napi_env env, napi_callback_info info) {
  struct text name;
  uint32_t uid = 0;
  if (!get_key(env, info, &name, &uid)) return NULL;
  struct passwd entry, *found = NULL;
  napi_value result = NULL;
  for (size_t room = FIRST_ROOM;; room *= 4) {
    char *buffer = malloc(room);
    int error = ENOMEM;
    if (buffer != NULL)
      error = name.data != NULL ? getpwnam_r(name.data, &entry, buffer, room, &found) : getpwuid_r(uid, &entry, buffer, room, &found);
    if (error == ERANGE && room < LAST_ROOM) {
      free(buffer);
      continue;
    }
    if (found != NULL && error == 0) {
      napi_value values[5] = {
        make_number(env, entry.pw_uid),
        make_number(env, entry.pw_gid),
        make_string(env, entry.pw_name, NAPI_AUTO_LENGTH),
        make_string(env, entry.pw_dir, NAPI_AUTO_LENGTH),
        make_string(env, entry.pw_shell, NAPI_AUTO_LENGTH),
      };
      result = make_array(env, values, 5);
    } else {
      result = means_absent(error) ? make_undefined(env) : throw_errno(env, "getpw", error, name.data);
    }
    free(buffer);
    text_free(&name);
    return result;
  }
}

/* lookupGroup(name?, gid): [gid, name] or undefined. */
static napi_value lookup_group(napi_env env, napi_callback_info info) {
  struct text name;
  uint32_t gid = 0;
  if (!get_key(env, info, &name, &gid)) return NULL;
  struct group entry, *found = NULL;
  napi_value result = NULL;
  for (size_t room = FIRST_ROOM;; room *= 4) {
    char *buffer = malloc(room);
    int error = ENOMEM;
    if (buffer != NULL)
      error = name.data != NULL ? getgrnam_r(name.data, &entry, buffer, room, &found) : getgrgid_r(gid, &entry, buffer, room, &found);
    if (error == ERANGE && room < LAST_ROOM) {
      free(buffer);
      continue;
    }
    if (found != NULL && error == 0) {
      napi_value values[2] = {make_number(env, entry.gr_gid), make_string(env, entry.gr_name, NAPI_AUTO_LENGTH)};
      result = make_array(env, values, 2);
    } else {
      result = means_absent(error) ? make_undefined(env) : throw_errno(env, "getgr", error, name.data);
    }
    free(buffer);
    text_free(&name);
    return result;
  }
}

/* userGroups(name, gid): Float64Array, gid included. */
static napi_value user_groups(napi_env env, napi_callback_info info) {
  napi_value values[2], result = NULL;
  struct text name;
  uint32_t gid = 0;
  if (!get_arguments(env, info, 2, values) || !get_u32(env, values[1], &gid) || !get_text(env, values[0], &name)) return NULL;
  gid_t *groups = NULL;
  int count = 64, room;
  do {
    room = count;
    free(groups);
    groups = calloc((size_t)room, sizeof *groups);
  } while (groups != NULL && getgrouplist(name.data, gid, groups, &count) < 0 && count > room);
  double *numbers = groups != NULL ? malloc((size_t)count * sizeof *numbers) : NULL;
  if (numbers != NULL) {
    for (int i = 0; i < count; i++) numbers[i] = groups[i];
    result = make_numbers(env, numbers, (size_t)count);
  } else {
    result = throw_errno(env, "getgrouplist", ENOMEM, name.data);
  }
  free(numbers);
  free(groups);
  text_free(&name);
  return result;
}

/* setCredentials(uid, gid, groups) of every thread: libc's functions see to that. */
static napi_value set_credentials(napi_env env, napi_callback_info info) {
  napi_value values[3];
  uint32_t uid = 0, gid = 0;
  int *groups = NULL;
  size_t count = 0;
  if (!get_arguments(env, info, 3, values) || !get_u32(env, values[0], &uid) || !get_u32(env, values[1], &gid) ||
      !get_int_list(env, values[2], &groups, &count))
    return NULL;
  const char *step = NULL;
  // Groups first, user last: each step takes the right to the one before.
  if (setgroups(count, (const gid_t *)groups) != 0) step = "setgroups";
  else if (setresgid(gid, gid, gid) != 0) step = "setresgid";
  else if (setresuid(uid, uid, uid) != 0) step = "setresuid";
  int error = errno;
  free(groups);
  return step == NULL ? make_undefined(env) : throw_errno(env, step, error, NULL);
}

static napi_value capability_set(napi_env env, uint64_t set) {
  double numbers[64];
  size_t count = 0;
  for (int i = 0; i < 64; i++)
    if (set >> i & 1) numbers[count++] = i;
  return make_numbers(env, numbers, count);
}

static uint64_t wide(uint32_t low, uint32_t high) { return (uint64_t)high << 32 | low; }

/* getCapabilities(): [effective, permitted, inheritable, ambient, bounding] of the calling thread. */
static napi_value get_capabilities(napi_env env, napi_callback_info info) {
  (void)info;
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  struct __user_cap_data_struct data[2];
  if (syscall(SYS_capget, &header, data) != 0) return throw_errno(env, "capget", errno, NULL);
  uint64_t ambient = 0, bounding = 0;
  for (int i = 0; i < 64; i++) {
    int is_bounding = prctl(PR_CAPBSET_READ, i, 0, 0, 0);
    if (is_bounding < 0) break;
    if (is_bounding > 0) bounding |= UINT64_C(1) << i;
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, i, 0, 0) > 0) ambient |= UINT64_C(1) << i;
  }
  napi_value sets[5] = {
    capability_set(env, wide(data[0].effective, data[1].effective)),
    capability_set(env, wide(data[0].permitted, data[1].permitted)),
    capability_set(env, wide(data[0].inheritable, data[1].inheritable)),
    capability_set(env, ambient),
    capability_set(env, bounding),
  };
  return make_array(env, sets, 5);
}

static bool get_set(napi_env env, napi_value value, uint64_t *result) {
  int *list = NULL;
  size_t count = 0;
  *result = 0;
  if (!get_int_list(env, value, &list, &count)) return false;
  for (size_t i = 0; i < count; i++)
    if (list[i] >= 0 && list[i] < 64) *result |= UINT64_C(1) << list[i];
  free(list);
  return true;
}

/* setCapabilities(effective, permitted, inheritable) of the calling thread and all it starts. */
static napi_value set_capabilities(napi_env env, napi_callback_info info) {
  napi_value values[3];
  uint64_t sets[3];
  if (!get_arguments(env, info, 3, values)) return NULL;
  for (int i = 0; i < 3; i++)
    if (!get_set(env, values[i], &sets[i])) return NULL;
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  struct __user_cap_data_struct data[2];
  for (int i = 0; i < 2; i++)
    data[i] = (struct __user_cap_data_struct){
      .effective = (uint32_t)(sets[0] >> 32 * i), .permitted = (uint32_t)(sets[1] >> 32 * i), .inheritable = (uint32_t)(sets[2] >> 32 * i)};
  return done_or_throw(env, syscall(SYS_capset, &header, data), "capset", NULL);
}

/* dropBoundingCapability(capability) */
static napi_value drop_bounding(napi_env env, napi_callback_info info) {
  napi_value values[1];
  int capability = -1;
  if (!get_arguments(env, info, 1, values) || !get_int(env, values[0], &capability)) return NULL;
  return done_or_throw(env, prctl(PR_CAPBSET_DROP, capability, 0, 0, 0), "prctl(PR_CAPBSET_DROP)", NULL);
}

/* keepCapabilities(wanted): whether the calling thread's permitted set survives a change of its user. */
static napi_value keep_capabilities(napi_env env, napi_callback_info info) {
  napi_value values[1];
  bool wanted = false;
  if (!get_arguments(env, info, 1, values) || !get_bool(env, values[0], &wanted)) return NULL;
  return done_or_throw(env, prctl(PR_SET_KEEPCAPS, wanted, 0, 0, 0), "prctl(PR_SET_KEEPCAPS)", NULL);
}

/* raiseAmbient(capability): kept by programs that the calling thread executes; it has to be permitted and inheritable. */
static napi_value raise_ambient(napi_env env, napi_callback_info info) {
  napi_value values[1];
  int capability = -1;
  if (!get_arguments(env, info, 1, values) || !get_int(env, values[0], &capability)) return NULL;
  return done_or_throw(env, prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0), "prctl(PR_CAP_AMBIENT_RAISE)", NULL);
}

const struct export_entry identity_exports[] = {
  {"lookupUser", lookup_user},
  {"lookupGroup", lookup_group},
  {"userGroups", user_groups},
  {"setCredentials", set_credentials},
  {"getCapabilities", get_capabilities},
  {"setCapabilities", set_capabilities},
  {"dropBoundingCapability", drop_bounding},
  {"keepCapabilities", keep_capabilities},
  {"raiseAmbient", raise_ambient},
  {NULL, NULL},
};
