/* The module: its table of functions and the state of one environment. Holds nothing in globals. */
#include <stdlib.h>

#include "addon.h"

struct addon *addon_of(napi_env env) {
  void *data = NULL;
  return napi_get_instance_data(env, &data) == napi_ok ? data : NULL;
}

static void finalize(napi_env env, void *data, void *hint) {
  (void)hint;
  struct addon *addon = data;
  if (addon->error_factory != NULL) napi_delete_reference(env, addon->error_factory);
  launcher_release(&addon->launcher);
  free(addon);
}

/* install(factory): the function that makes a LinuxError out of step, errno, text and detail. */
static napi_value install(napi_env env, napi_callback_info info) {
  napi_value values[1];
  struct addon *addon = addon_of(env);
  if (!get_arguments(env, info, 1, values)) return NULL;
  if (addon->error_factory != NULL) napi_delete_reference(env, addon->error_factory);
  addon->error_factory = NULL;
  if (napi_create_reference(env, values[0], 1, &addon->error_factory) != napi_ok) return throw_napi(env);
  return make_undefined(env);
}

static const struct export_entry module_exports[] = {{"install", install}, {NULL, NULL}};

static bool define(napi_env env, napi_value exports, const struct export_entry *entries) {
  for (const struct export_entry *entry = entries; entry->name != NULL; entry++) {
    napi_value function = NULL;
    if (napi_create_function(env, entry->name, NAPI_AUTO_LENGTH, entry->function, NULL, &function) != napi_ok) return false;
    if (napi_set_named_property(env, exports, entry->name, function) != napi_ok) return false;
  }
  return true;
}

NAPI_MODULE_INIT() {
  struct addon *addon = calloc(1, sizeof *addon);
  if (addon == NULL || napi_set_instance_data(env, addon, finalize, NULL) != napi_ok) {
    free(addon);
    return throw_napi(env);
  }
  const struct export_entry *const tables[] = {
    module_exports,    spawn_exports,  starts_exports,  watch_exports, process_exports, identity_exports,
    namespace_exports, socket_exports, message_exports, scan_exports,   file_exports,
  };
  for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
    if (!define(env, exports, tables[i])) return throw_napi(env);
  napi_value compiler = make_string(env, ADDON_COMPILER, NAPI_AUTO_LENGTH);
  if (compiler == NULL || napi_set_named_property(env, exports, "compiler", compiler) != napi_ok) return throw_napi(env);
  return exports;
}
