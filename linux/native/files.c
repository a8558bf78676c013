/* Many small files at once, as the kernel's accounts are read: one call instead of thousands. Decides nothing. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "addon.h"

enum {
  /* Of each file: accounts are shorter, and nobody shall make us read more. */
  MOST_BYTES = 4096,
  /* From so many files on a second thread is worth its start. */
  MANY = 256,
};

/* Consecutive paths, each ended by a NUL, and what was in them. */
struct part {
  const char *path, *end;
  char *data;
  size_t length, room;
  bool failed;
};

/* Room for one more file and its NUL. */
static bool make_room(struct part *part) {
  if (part->room - part->length > MOST_BYTES) return true;
  size_t room = part->room * 2 + 16 * MOST_BYTES;
  char *data = realloc(part->data, room);
  if (data == NULL) return false;
  part->data = data;
  part->room = room;
  return true;
}

static void append_file(struct part *part, const char *path) {
  // Never waits: neither a fifo nor a file whose content comes slowly belongs to the accounts.
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
  if (fd < 0) return;
  ssize_t got;
  while ((got = read(fd, part->data + part->length, MOST_BYTES)) < 0 && errno == EINTR) continue;
  close(fd);
  if (got <= 0) return;
  // A NUL inside would be taken for the end of the file by whoever splits the answer.
  char *nul = memchr(part->data + part->length, '\0', (size_t)got);
  part->length += nul != NULL ? (size_t)(nul - (part->data + part->length)) : (size_t)got;
}

static void *read_part(void *argument) {
  struct part *part = argument;
  for (const char *path = part->path; path < part->end; path += strlen(path) + 1) {
    if (!make_room(part)) {
      part->failed = true;
      return NULL;
    }
    append_file(part, path);
    part->data[part->length++] = '\0';
  }
  return NULL;
}

/* Where the second of two parts begins: about half of the files; the end if there are few. */
static const char *middle_of(const char *path, const char *end) {
  size_t count = 0;
  for (const char *at = path; at < end; at += strlen(at) + 1) count++;
  if (count < MANY) return end;
  for (size_t half = count / 2; half > 0; half--) path += strlen(path) + 1;
  return path;
}

/* The parts at the same time; in this thread alone if there can be no other. */
static void read_both(struct part *first, struct part *second) {
  pthread_t thread;
  sigset_t all, before;
  bool split = second->path < second->end;
  if (split) {
    // Signals are the main thread's business.
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    split = pthread_create(&thread, NULL, read_part, second) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
  }
  read_part(first);
  if (split) pthread_join(thread, NULL);
  else read_part(second);
}

/* readFiles(paths): two texts, the contents each followed by a NUL; nothing stands for what cannot be read. */
static napi_value read_files(napi_env env, napi_callback_info info) {
  napi_value values[1], result = NULL;
  struct text paths = {0};
  if (!get_arguments(env, info, 1, values) || !get_text(env, values[0], &paths)) return NULL;
  const char *end = paths.data + paths.length, *middle = middle_of(paths.data, end);
  struct part first = {.path = paths.data, .end = middle}, second = {.path = middle, .end = end};
  read_both(&first, &second);
  if (first.failed || second.failed) {
    result = throw_errno(env, "read", ENOMEM, NULL);
  } else {
    napi_value texts[2] = {
      make_string(env, first.data != NULL ? first.data : "", first.length),
      make_string(env, second.data != NULL ? second.data : "", second.length),
    };
    result = texts[0] != NULL && texts[1] != NULL ? make_array(env, texts, 2) : NULL;
  }
  free(first.data);
  free(second.data);
  text_free(&paths);
  return result;
}

const struct export_entry file_exports[] = {{"readFiles", read_files}, {NULL, NULL}};
