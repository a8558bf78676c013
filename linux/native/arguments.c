/* Reading JavaScript values and building them; see addon.h. Knows nothing of what the calls do. */
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "addon.h"

static bool wrong(napi_env env, const char *message) {
  napi_throw_type_error(env, "ERR_INVALID_ARG_TYPE", message);
  return false;
}

bool get_arguments(napi_env env, napi_callback_info info, size_t count, napi_value *values) {
  size_t given = count;
  if (napi_get_cb_info(env, info, &given, values, NULL, NULL) != napi_ok) {
    throw_napi(env);
    return false;
  }
  return true;
}

bool get_double(napi_env env, napi_value value, double *result) {
  return napi_get_value_double(env, value, result) == napi_ok || wrong(env, "linux addon: expected a number");
}

static bool get_integer(napi_env env, napi_value value, double low, double high, double *result) {
  if (!get_double(env, value, result)) return false;
  if (!(*result >= low && *result <= high) || floor(*result) != *result) return wrong(env, "linux addon: number out of range");
  return true;
}

bool get_int(napi_env env, napi_value value, int *result) {
  double number;
  if (!get_integer(env, value, INT_MIN, INT_MAX, &number)) return false;
  *result = (int)number;
  return true;
}

bool get_u32(napi_env env, napi_value value, uint32_t *result) {
  double number;
  if (!get_integer(env, value, 0, UINT32_MAX, &number)) return false;
  *result = (uint32_t)number;
  return true;
}

bool get_bool(napi_env env, napi_value value, bool *result) {
  return napi_get_value_bool(env, value, result) == napi_ok || wrong(env, "linux addon: expected a boolean");
}

bool get_text(napi_env env, napi_value value, struct text *result) {
  result->data = NULL;
  size_t length = 0;
  if (napi_get_value_string_utf8(env, value, NULL, 0, &length) != napi_ok) return wrong(env, "linux addon: expected a string");
  result->data = malloc(length + 1);
  if (result->data == NULL) {
    throw_errno(env, "malloc", ENOMEM, NULL);
    return false;
  }
  if (napi_get_value_string_utf8(env, value, result->data, length + 1, &result->length) != napi_ok) {
    text_free(result);
    throw_napi(env);
    return false;
  }
  return true;
}

bool get_optional_text(napi_env env, napi_value value, struct text *result) {
  napi_valuetype type = napi_undefined;
  *result = (struct text){.data = NULL, .length = 0};
  if (napi_typeof(env, value, &type) == napi_ok && type == napi_undefined) return true;
  return get_text(env, value, result);
}

void text_free(struct text *text) {
  free(text->data);
  text->data = NULL;
}

bool get_bytes(napi_env env, napi_value value, struct bytes *result) {
  napi_typedarray_type type;
  void *data = NULL;
  if (napi_get_typedarray_info(env, value, &type, &result->length, &data, NULL, NULL) != napi_ok || type != napi_uint8_array)
    return wrong(env, "linux addon: expected a Uint8Array");
  result->data = data;
  return true;
}

bool get_doubles(napi_env env, napi_value value, double **result, size_t *count) {
  napi_typedarray_type type;
  void *data = NULL;
  if (napi_get_typedarray_info(env, value, &type, count, &data, NULL, NULL) != napi_ok || type != napi_float64_array)
    return wrong(env, "linux addon: expected a Float64Array");
  *result = data;
  return true;
}

bool get_int_list(napi_env env, napi_value value, int **result, size_t *count) {
  double *numbers = NULL;
  *result = NULL;
  if (!get_doubles(env, value, &numbers, count)) return false;
  int *list = malloc((*count + 1) * sizeof *list);
  if (list == NULL) {
    throw_errno(env, "malloc", ENOMEM, NULL);
    return false;
  }
  for (size_t i = 0; i < *count; i++) {
    if (!(numbers[i] >= INT_MIN && numbers[i] <= UINT32_MAX)) {
      free(list);
      return wrong(env, "linux addon: number out of range");
    }
    list[i] = (int)(int64_t)numbers[i];
  }
  *result = list;
  return true;
}

napi_value make_number(napi_env env, double value) {
  napi_value result = NULL;
  return napi_create_double(env, value, &result) == napi_ok ? result : throw_napi(env);
}

napi_value make_bool(napi_env env, bool value) {
  napi_value result = NULL;
  return napi_get_boolean(env, value, &result) == napi_ok ? result : throw_napi(env);
}

napi_value make_undefined(napi_env env) {
  napi_value result = NULL;
  return napi_get_undefined(env, &result) == napi_ok ? result : throw_napi(env);
}

napi_value make_string(napi_env env, const char *data, size_t length) {
  napi_value result = NULL;
  return napi_create_string_utf8(env, data, length, &result) == napi_ok ? result : throw_napi(env);
}

napi_value make_bytes(napi_env env, const void *data, size_t length) {
  napi_value buffer = NULL, result = NULL;
  void *copy = NULL;
  if (napi_create_arraybuffer(env, length, &copy, &buffer) != napi_ok) return throw_napi(env);
  if (length > 0) memcpy(copy, data, length);
  if (napi_create_typedarray(env, napi_uint8_array, length, buffer, 0, &result) != napi_ok) return throw_napi(env);
  return result;
}

napi_value make_numbers(napi_env env, const double *values, size_t count) {
  napi_value buffer = NULL, result = NULL;
  void *copy = NULL;
  if (napi_create_arraybuffer(env, count * sizeof *values, &copy, &buffer) != napi_ok) return throw_napi(env);
  if (count > 0) memcpy(copy, values, count * sizeof *values);
  if (napi_create_typedarray(env, napi_float64_array, count, buffer, 0, &result) != napi_ok) return throw_napi(env);
  return result;
}

napi_value make_array(napi_env env, const napi_value *values, size_t count) {
  napi_value result = NULL;
  if (napi_create_array_with_length(env, count, &result) != napi_ok) return throw_napi(env);
  for (size_t i = 0; i < count; i++)
    // A value that could not be made has left its exception pending.
    if (values[i] == NULL || napi_set_element(env, result, (uint32_t)i, values[i]) != napi_ok) return throw_napi(env);
  return result;
}

napi_value throw_napi(napi_env env) {
  bool pending = false;
  const napi_extended_error_info *info = NULL;
  if (napi_is_exception_pending(env, &pending) == napi_ok && pending) return NULL;
  napi_get_last_error_info(env, &info);
  napi_throw_error(env, "ERR_NODE_API", info != NULL && info->error_message != NULL ? info->error_message : "Node-API call failed");
  return NULL;
}

napi_value throw_errno(napi_env env, const char *step, int error, const char *detail) {
  napi_value factory = NULL, global = NULL, result = NULL;
  const char *meaning = strerror(error);
  struct addon *addon = addon_of(env);
  if (addon == NULL || addon->error_factory == NULL || napi_get_reference_value(env, addon->error_factory, &factory) != napi_ok ||
      factory == NULL) {
    napi_throw_error(env, step, meaning);
    return NULL;
  }
  napi_value arguments[4] = {
    make_string(env, step, NAPI_AUTO_LENGTH),
    make_number(env, error),
    make_string(env, meaning, NAPI_AUTO_LENGTH),
    detail != NULL ? make_string(env, detail, NAPI_AUTO_LENGTH) : make_undefined(env),
  };
  if (napi_get_global(env, &global) != napi_ok || napi_call_function(env, global, factory, 4, arguments, &result) != napi_ok)
    return throw_napi(env);
  napi_throw(env, result);
  return NULL;
}

napi_value done_or_throw(napi_env env, long result, const char *step, const char *detail) {
  return result >= 0 ? make_undefined(env) : throw_errno(env, step, errno, detail);
}
