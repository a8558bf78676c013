/* Namespaces and mounts of this process. Thin: the kernel's own rules and errors. */
#include <errno.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "addon.h"

/* setns(fd, kind) */
static napi_value set_namespace(napi_env env, napi_callback_info info) {
  napi_value values[2];
  int fd = -1;
  uint32_t kind = 0;
  if (!get_arguments(env, info, 2, values) || !get_int(env, values[0], &fd) || !get_u32(env, values[1], &kind)) return NULL;
  return done_or_throw(env, setns(fd, (int)kind), "setns", NULL);
}

/* unshare(flags) */
static napi_value unshare_namespaces(napi_env env, napi_callback_info info) {
  napi_value values[1];
  uint32_t flags = 0;
  if (!get_arguments(env, info, 1, values) || !get_u32(env, values[0], &flags)) return NULL;
  return done_or_throw(env, unshare((int)flags), "unshare", NULL);
}

/* mount(source, target, fstype, flags, data) */
static napi_value mount_filesystem(napi_env env, napi_callback_info info) {
  napi_value values[5], result = NULL;
  struct text source = {0}, target = {0}, type = {0}, data = {0};
  uint32_t flags = 0;
  if (get_arguments(env, info, 5, values) && get_text(env, values[0], &source) && get_text(env, values[1], &target) &&
      get_text(env, values[2], &type) && get_u32(env, values[3], &flags) && get_text(env, values[4], &data))
    result = done_or_throw(env, mount(source.data, target.data, type.data, flags, data.data), "mount", target.data);
  text_free(&source);
  text_free(&target);
  text_free(&type);
  text_free(&data);
  return result;
}

/* umount(target, flags) */
static napi_value unmount_filesystem(napi_env env, napi_callback_info info) {
  napi_value values[2];
  struct text target;
  uint32_t flags = 0;
  if (!get_arguments(env, info, 2, values) || !get_u32(env, values[1], &flags) || !get_text(env, values[0], &target)) return NULL;
  napi_value result = done_or_throw(env, umount2(target.data, (int)flags), "umount", target.data);
  text_free(&target);
  return result;
}

/* setHostName(name) */
static napi_value set_host_name(napi_env env, napi_callback_info info) {
  napi_value values[1];
  struct text name;
  if (!get_arguments(env, info, 1, values) || !get_text(env, values[0], &name)) return NULL;
  napi_value result = done_or_throw(env, sethostname(name.data, name.length), "sethostname", name.data);
  text_free(&name);
  return result;
}

/* changeRoot(directory) of all threads, as they share it */
static napi_value change_root(napi_env env, napi_callback_info info) {
  napi_value values[1];
  struct text directory;
  if (!get_arguments(env, info, 1, values) || !get_text(env, values[0], &directory)) return NULL;
  napi_value result = done_or_throw(env, chroot(directory.data), "chroot", directory.data);
  text_free(&directory);
  return result;
}

/* pivotRoot(newRoot, putOld) */
static napi_value pivot_root(napi_env env, napi_callback_info info) {
  napi_value values[2], result = NULL;
  struct text new_root = {0}, put_old = {0};
  if (get_arguments(env, info, 2, values) && get_text(env, values[0], &new_root) && get_text(env, values[1], &put_old))
    result = done_or_throw(env, syscall(SYS_pivot_root, new_root.data, put_old.data), "pivot_root", new_root.data);
  text_free(&new_root);
  text_free(&put_old);
  return result;
}

const struct export_entry namespace_exports[] = {
  {"setns", set_namespace},          {"unshare", unshare_namespaces}, {"mount", mount_filesystem},
  {"umount", unmount_filesystem},    {"setHostName", set_host_name},  {"changeRoot", change_root},
  {"pivotRoot", pivot_root},         {NULL, NULL},
};
