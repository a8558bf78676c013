/* The watcher as JavaScript sees it; watch.c does the work. Events go into arrays that JavaScript gave. */
#include <errno.h>
#include <stdlib.h>

#include "addon.h"
#include "watch.h"

struct watcher {
  /* NULL once closed. */
  struct watch *watch;
  napi_threadsafe_function wake;
};

static void wake_javascript(void *context) {
  struct watcher *watcher = context;
  napi_call_threadsafe_function(watcher->wake, NULL, napi_tsfn_nonblocking);
}

static void stop(struct watcher *watcher) {
  if (watcher->watch == NULL) return;
  watch_destroy(watcher->watch);
  watcher->watch = NULL;
}

/* The environment goes: the thread must be gone before the function it calls. */
static void clean_up(void *data) { stop(data); }

static void finalize(napi_env env, void *data, void *hint) {
  (void)hint;
  napi_remove_env_cleanup_hook(env, clean_up, data);
  stop(data);
  free(data);
}

static bool get_watcher(napi_env env, napi_value value, struct watcher **result) {
  void *data = NULL;
  if (napi_get_value_external(env, value, &data) != napi_ok) {
    throw_napi(env);
    return false;
  }
  *result = data;
  if ((*result)->watch != NULL) return true;
  throw_errno(env, "watcher", EBADF, "the watcher is closed");
  return false;
}

/* watchCreate(onWake): handle. */
static napi_value create(napi_env env, napi_callback_info info) {
  napi_value values[1], name, handle = NULL;
  if (!get_arguments(env, info, 1, values)) return NULL;
  struct watcher *watcher = calloc(1, sizeof *watcher);
  if (watcher == NULL) return throw_errno(env, "malloc", ENOMEM, NULL);
  name = make_string(env, "emperor watcher", NAPI_AUTO_LENGTH);
  if (name == NULL || napi_create_threadsafe_function(env, values[0], NULL, name, 0, 1, NULL, NULL, NULL, NULL, &watcher->wake) != napi_ok) {
    free(watcher);
    return throw_napi(env);
  }
  watcher->watch = watch_create(wake_javascript, watcher);
  if (watcher->watch == NULL) {
    int error = errno;
    napi_release_threadsafe_function(watcher->wake, napi_tsfn_abort);
    free(watcher);
    return throw_errno(env, "watcher", error, NULL);
  }
  // After the threadsafe function's own hook, because hooks run last in, first out.
  napi_add_env_cleanup_hook(env, clean_up, watcher);
  if (napi_create_external(env, watcher, finalize, NULL, &handle) != napi_ok) {
    finalize(env, watcher, NULL);
    return throw_napi(env);
  }
  return handle;
}

/* watchAdd(handle, fd, kind, token): slot. */
static napi_value add(napi_env env, napi_callback_info info) {
  napi_value values[4];
  struct watcher *watcher = NULL;
  int fd = -1, kind = 0;
  double token = 0;
  if (!get_arguments(env, info, 4, values) || !get_watcher(env, values[0], &watcher) || !get_int(env, values[1], &fd) ||
      !get_int(env, values[2], &kind) || !get_double(env, values[3], &token))
    return NULL;
  int slot = watch_add(watcher->watch, fd, (enum watch_kind)kind, token);
  return slot < 0 ? throw_errno(env, "watch", errno, NULL) : make_number(env, slot);
}

static napi_value rearm(napi_env env, napi_callback_info info) {
  napi_value values[2];
  struct watcher *watcher = NULL;
  uint32_t slot = 0;
  if (!get_arguments(env, info, 2, values) || !get_watcher(env, values[0], &watcher) || !get_u32(env, values[1], &slot)) return NULL;
  return done_or_throw(env, watch_rearm(watcher->watch, slot), "rearm", NULL);
}

/* watchRemove(handle, slot, bytes): number of bytes that were read and not taken. */
static napi_value remove_slot(napi_env env, napi_callback_info info) {
  napi_value values[3];
  struct watcher *watcher = NULL;
  uint32_t slot = 0;
  struct bytes bytes;
  if (!get_arguments(env, info, 3, values) || !get_watcher(env, values[0], &watcher) || !get_u32(env, values[1], &slot) ||
      !get_bytes(env, values[2], &bytes))
    return NULL;
  if (bytes.length < WATCH_READ) return throw_errno(env, "watchRemove", EINVAL, "array too small");
  return make_number(env, (double)watch_remove(watcher->watch, slot, bytes.data));
}

/* watchTake(handle, records, bytes): count; each record is kind, token, eof, offset and length of its bytes. */
static napi_value take(napi_env env, napi_callback_info info) {
  napi_value values[3];
  struct watcher *watcher = NULL;
  double *records = NULL;
  size_t room = 0;
  struct bytes bytes;
  struct watch_event events[WATCH_BATCH];
  if (!get_arguments(env, info, 3, values) || !get_watcher(env, values[0], &watcher) || !get_doubles(env, values[1], &records, &room) ||
      !get_bytes(env, values[2], &bytes))
    return NULL;
  if (room < WATCH_BATCH * 5 || bytes.length < WATCH_BYTES) return throw_errno(env, "watchTake", EINVAL, "arrays too small");
  size_t count = watch_take(watcher->watch, events, bytes.data);
  for (size_t i = 0; i < count; i++) {
    records[i * 5] = events[i].kind;
    records[i * 5 + 1] = events[i].token;
    records[i * 5 + 2] = events[i].eof;
    records[i * 5 + 3] = events[i].offset;
    records[i * 5 + 4] = events[i].length;
  }
  return make_number(env, (double)count);
}

static napi_value set_reference(napi_env env, napi_callback_info info) {
  napi_value values[2];
  struct watcher *watcher = NULL;
  bool keeps_alive = true;
  if (!get_arguments(env, info, 2, values) || !get_watcher(env, values[0], &watcher) || !get_bool(env, values[1], &keeps_alive)) return NULL;
  napi_status status = keeps_alive ? napi_ref_threadsafe_function(env, watcher->wake) : napi_unref_threadsafe_function(env, watcher->wake);
  return status == napi_ok ? make_undefined(env) : throw_napi(env);
}

static napi_value close_watcher(napi_env env, napi_callback_info info) {
  napi_value values[1];
  struct watcher *watcher = NULL;
  if (!get_arguments(env, info, 1, values) || !get_watcher(env, values[0], &watcher)) return NULL;
  stop(watcher);
  napi_remove_env_cleanup_hook(env, clean_up, watcher);
  napi_release_threadsafe_function(watcher->wake, napi_tsfn_abort);
  return make_undefined(env);
}

const struct export_entry watch_exports[] = {
  {"watchCreate", create}, {"watchAdd", add},          {"watchRearm", rearm}, {"watchRemove", remove_slot},
  {"watchTake", take},     {"watchRef", set_reference}, {"watchClose", close_watcher}, {NULL, NULL},
};
