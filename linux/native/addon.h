/*
 * What the Node-API files share: reading arguments, building results, throwing errors. Every exported
 * function is called by src/native.ts only, which has checked types; a wrong type is still an
 * exception here, never undefined behaviour.
 */
#ifndef EMPEROR_ADDON_H
#define EMPEROR_ADDON_H

#include <node_api.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "launch.h"

/* State of one environment (main thread or worker): the addon keeps nothing in globals. */
struct addon {
  struct launcher launcher;
  /* Asynchronous starts, see starts-addon.c; NULL until first needed. */
  struct starting *starting;
  /* (step, errno, text, detail) => LinuxError, given by `install`. */
  napi_ref error_factory;
  /* Of the scans' digests; zero until first needed. */
  uint64_t scan_key[2];
};

struct addon *addon_of(napi_env env);

/* A copied string that knows its length, because abstract addresses begin with NUL. */
struct text {
  char *data;
  size_t length;
};

struct bytes {
  uint8_t *data;
  size_t length;
};

/* Each returns false with an exception pending. */
bool get_arguments(napi_env env, napi_callback_info info, size_t count, napi_value *values);
bool get_double(napi_env env, napi_value value, double *result);
bool get_int(napi_env env, napi_value value, int *result);
bool get_u32(napi_env env, napi_value value, uint32_t *result);
bool get_bool(napi_env env, napi_value value, bool *result);
bool get_text(napi_env env, napi_value value, struct text *result);
/* Like get_text, but undefined gives data NULL. */
bool get_optional_text(napi_env env, napi_value value, struct text *result);
bool get_bytes(napi_env env, napi_value value, struct bytes *result);
/* A Float64Array of descriptors and other integers; `*result` is malloc'ed. */
bool get_int_list(napi_env env, napi_value value, int **result, size_t *count);
bool get_doubles(napi_env env, napi_value value, double **result, size_t *count);
void text_free(struct text *text);

napi_value make_number(napi_env env, double value);
napi_value make_bool(napi_env env, bool value);
napi_value make_undefined(napi_env env);
napi_value make_string(napi_env env, const char *data, size_t length);
/* Copies. */
napi_value make_bytes(napi_env env, const void *data, size_t length);
napi_value make_numbers(napi_env env, const double *values, size_t count);
napi_value make_array(napi_env env, const napi_value *values, size_t count);

/* The plan, or NULL with errno when it is malformed. False with an exception pending. */
bool get_plan(napi_env env, napi_value numbers, napi_value text, struct plan **result);
/* [0, stage, errno, index, waitStatus] */
napi_value make_failure(napi_env env, const struct outcome *failure);

/* Throws a LinuxError: the step that failed, its errno, and what it was about (may be NULL). Returns NULL. */
napi_value throw_errno(napi_env env, const char *step, int error, const char *detail);
/* Throws what Node-API says went wrong, unless an exception is pending already. Returns NULL. */
napi_value throw_napi(napi_env env);
/* undefined when `result` is 0, else throws errno. */
napi_value done_or_throw(napi_env env, long result, const char *step, const char *detail);

struct export_entry {
  const char *name;
  napi_callback function;
};

/* One list per file, ended by a NULL name. */
extern const struct export_entry spawn_exports[], starts_exports[], watch_exports[], process_exports[], identity_exports[], namespace_exports[],
  socket_exports[], message_exports[], scan_exports[], file_exports[];

#endif
