/*
 * The watcher's thread. Everything is one-shot, so each slot has at most one event under way and a
 * flood is taken at the owner's pace. A slot carries a generation: an event that was under way when
 * its slot was removed (and perhaps given to another descriptor of the same number) is dropped.
 */
#include "watch.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static const uint64_t STOP = UINT64_MAX;
static const uint32_t NO_SLOT = UINT32_MAX;

struct slot {
  double token;
  /* Free slots: the next free one. */
  int32_t fd;
  uint32_t generation;
  uint8_t kind;
  bool used, is_socket;
};

struct watch {
  /* Guards all below. Held while the thread reads, so that remove() cannot return in between. */
  pthread_mutex_t lock;
  pthread_cond_t taken;
  pthread_t thread;
  int epoll, stop;
  bool closing, woken;
  struct slot *slots;
  uint32_t slot_count, first_free;
  size_t event_count, byte_count;
  void (*wake)(void *context);
  void *context;
  struct watch_event events[WATCH_BATCH];
  uint8_t bytes[WATCH_BYTES];
};

static uint64_t key_of(uint32_t slot, uint32_t generation) { return (uint64_t)generation << 32 | slot; }

static uint32_t interest(const struct slot *slot) {
  bool has_bytes = slot->kind == WATCH_CHANNEL || slot->kind == WATCH_STATUS;
  return EPOLLIN | EPOLLONESHOT | (has_bytes ? EPOLLRDHUP : 0);
}

static int control(struct watch *watch, int operation, uint32_t index) {
  struct slot *slot = &watch->slots[index];
  struct epoll_event event = {.events = interest(slot), .data = {.u64 = key_of(index, slot->generation)}};
  return epoll_ctl(watch->epoll, operation, slot->fd, &event);
}

/* Never blocks on a socket; a pipe has only us as reader, so what was announced is there. */
static ssize_t read_some(const struct slot *slot, uint8_t *buffer, size_t size) {
  ssize_t got;
  do got = slot->is_socket ? recv(slot->fd, buffer, size, MSG_DONTWAIT) : read(slot->fd, buffer, size);
  while (got < 0 && errno == EINTR);
  return got;
}

/* Reads what is there, up to WATCH_READ. False: nothing after all, the slot is armed again. */
static bool read_bytes(struct watch *watch, struct watch_event *event, uint32_t ready) {
  struct slot *slot = &watch->slots[event->slot];
  uint8_t *buffer = watch->bytes + watch->byte_count;
  ssize_t got = read_some(slot, buffer, WATCH_READ);
  if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
    control(watch, EPOLL_CTL_MOD, event->slot);
    return false;
  }
  event->length = got > 0 ? (uint32_t)got : 0;
  event->eof = got <= 0;
  // The peer's last words and its end in one report. A pipe is only read again when it cannot block.
  bool peer_left = (ready & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
  while (peer_left && !event->eof && event->length < WATCH_READ) {
    got = read_some(slot, buffer + event->length, WATCH_READ - event->length);
    if (got > 0) event->length += (uint32_t)got;
    else if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) break;
    else event->eof = true;
  }
  watch->byte_count += event->length;
  return true;
}

/* The lock is held. True: the batch has a new event. */
static bool collect(struct watch *watch, const struct epoll_event *ready) {
  uint32_t index = (uint32_t)ready->data.u64, generation = (uint32_t)(ready->data.u64 >> 32);
  if (index >= watch->slot_count) return false;
  struct slot *slot = &watch->slots[index];
  if (!slot->used || slot->generation != generation) return false;
  struct watch_event *event = &watch->events[watch->event_count];
  *event = (struct watch_event){
    .slot = index,
    .generation = generation,
    .token = slot->token,
    .kind = (enum watch_kind)slot->kind,
    .offset = (uint32_t)watch->byte_count,
  };
  if (slot->kind == WATCH_CHANNEL || slot->kind == WATCH_STATUS) {
    if (!read_bytes(watch, event, ready->events)) return false;
    // Written by our own child in its set-up, so it cannot flood; nobody has to ask for the rest.
    if (slot->kind == WATCH_STATUS && !event->eof) control(watch, EPOLL_CTL_MOD, index);
  }
  watch->event_count++;
  return true;
}

static bool is_full(const struct watch *watch) {
  return watch->event_count == WATCH_BATCH || watch->byte_count + WATCH_READ > WATCH_BYTES;
}

/* The lock is held. */
static void wake_once(struct watch *watch) {
  if (watch->event_count == 0 || watch->woken || watch->closing) return;
  watch->woken = true;
  watch->wake(watch->context);
}

static void *run(void *argument) {
  struct watch *watch = argument;
  struct epoll_event ready[WATCH_BATCH];
  pthread_setname_np(pthread_self(), "watcher");
  for (;;) {
    int count = epoll_wait(watch->epoll, ready, WATCH_BATCH, -1);
    if (count < 0 && errno != EINTR) abort();
    pthread_mutex_lock(&watch->lock);
    for (int i = 0; i < count && !watch->closing; i++) {
      if (ready[i].data.u64 == STOP) continue;
      while (is_full(watch) && !watch->closing) {
        wake_once(watch);
        pthread_cond_wait(&watch->taken, &watch->lock);
      }
      if (!watch->closing) collect(watch, &ready[i]);
    }
    wake_once(watch);
    bool closing = watch->closing;
    pthread_mutex_unlock(&watch->lock);
    if (closing) return NULL;
  }
}

static int start_thread(struct watch *watch) {
  pthread_attr_t attributes;
  sigset_t all, before;
  pthread_attr_init(&attributes);
  // Small on purpose: the thread keeps one array of events and calls nothing deep.
  pthread_attr_setstacksize(&attributes, 256 * 1024);
  // Signals are the main thread's business.
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int error = pthread_create(&watch->thread, &attributes, run, watch);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  pthread_attr_destroy(&attributes);
  return error;
}

static void release(struct watch *watch) {
  if (watch->epoll >= 0) close(watch->epoll);
  if (watch->stop >= 0) close(watch->stop);
  pthread_cond_destroy(&watch->taken);
  pthread_mutex_destroy(&watch->lock);
  free(watch->slots);
  free(watch);
}

struct watch *watch_create(void (*wake)(void *context), void *context) {
  struct watch *watch = calloc(1, sizeof *watch);
  if (watch == NULL) return NULL;
  pthread_mutex_init(&watch->lock, NULL);
  pthread_cond_init(&watch->taken, NULL);
  watch->wake = wake;
  watch->context = context;
  watch->first_free = NO_SLOT;
  watch->epoll = epoll_create1(EPOLL_CLOEXEC);
  watch->stop = watch->epoll < 0 ? -1 : eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  struct epoll_event event = {.events = EPOLLIN, .data = {.u64 = STOP}};
  int error = errno;
  if (watch->stop >= 0) error = epoll_ctl(watch->epoll, EPOLL_CTL_ADD, watch->stop, &event) < 0 ? errno : start_thread(watch);
  if (watch->stop < 0 || error != 0) {
    release(watch);
    errno = error;
    return NULL;
  }
  return watch;
}

void watch_destroy(struct watch *watch) {
  uint64_t one = 1;
  pthread_mutex_lock(&watch->lock);
  watch->closing = true;
  pthread_cond_signal(&watch->taken);
  pthread_mutex_unlock(&watch->lock);
  // A fresh eventfd always takes a one.
  if (write(watch->stop, &one, sizeof one) != sizeof one) abort();
  pthread_join(watch->thread, NULL);
  release(watch);
}

/* The lock is held. Index of an unused slot, or NO_SLOT with errno. */
static uint32_t take_slot(struct watch *watch) {
  if (watch->first_free == NO_SLOT) {
    uint32_t old = watch->slot_count, grown = old == 0 ? 16 : old * 2;
    struct slot *slots = realloc(watch->slots, grown * sizeof *slots);
    if (slots == NULL) return NO_SLOT;
    for (uint32_t i = old; i < grown; i++) slots[i] = (struct slot){.fd = i + 1 < grown ? (int32_t)(i + 1) : -1};
    watch->slots = slots;
    watch->slot_count = grown;
    watch->first_free = old;
  }
  uint32_t index = watch->first_free;
  int32_t next = watch->slots[index].fd;
  watch->first_free = next < 0 ? NO_SLOT : (uint32_t)next;
  return index;
}

/* The lock is held. The new generation makes every event under way stale. */
static void free_slot(struct watch *watch, uint32_t index) {
  struct slot *slot = &watch->slots[index];
  slot->used = false;
  slot->generation++;
  slot->fd = watch->first_free == NO_SLOT ? -1 : (int32_t)watch->first_free;
  watch->first_free = index;
}

int watch_add(struct watch *watch, int fd, enum watch_kind kind, double token) {
  struct stat metadata;
  if (fstat(fd, &metadata) != 0) return -1;
  pthread_mutex_lock(&watch->lock);
  uint32_t index = take_slot(watch);
  int error = index == NO_SLOT ? ENOMEM : 0;
  if (index != NO_SLOT) {
    struct slot *slot = &watch->slots[index];
    slot->fd = fd;
    slot->token = token;
    slot->kind = (uint8_t)kind;
    slot->used = true;
    slot->is_socket = S_ISSOCK(metadata.st_mode);
    if (control(watch, EPOLL_CTL_ADD, index) != 0) {
      error = errno;
      free_slot(watch, index);
    }
  }
  pthread_mutex_unlock(&watch->lock);
  errno = error;
  return error == 0 ? (int)index : -1;
}

int watch_rearm(struct watch *watch, uint32_t slot) {
  pthread_mutex_lock(&watch->lock);
  int result = 0;
  if (slot < watch->slot_count && watch->slots[slot].used) result = control(watch, EPOLL_CTL_MOD, slot);
  int error = errno;
  pthread_mutex_unlock(&watch->lock);
  errno = error;
  return result;
}

/* The lock is held. */
static size_t take_bytes(const struct watch *watch, uint32_t index, uint8_t *bytes) {
  for (size_t i = 0; i < watch->event_count; i++) {
    const struct watch_event *event = &watch->events[i];
    if (event->slot != index || event->generation != watch->slots[index].generation || event->kind != WATCH_CHANNEL) continue;
    memcpy(bytes, watch->bytes + event->offset, event->length);
    return event->length;
  }
  return 0;
}

size_t watch_remove(struct watch *watch, uint32_t slot, uint8_t *bytes) {
  size_t count = 0;
  pthread_mutex_lock(&watch->lock);
  if (slot < watch->slot_count && watch->slots[slot].used) {
    count = take_bytes(watch, slot, bytes);
    // Fails when the caller closed the descriptor first; the generation covers that too.
    control(watch, EPOLL_CTL_DEL, slot);
    free_slot(watch, slot);
  }
  pthread_mutex_unlock(&watch->lock);
  return count;
}

size_t watch_take(struct watch *watch, struct watch_event *events, uint8_t *bytes) {
  size_t count = 0;
  pthread_mutex_lock(&watch->lock);
  for (size_t i = 0; i < watch->event_count; i++) {
    const struct slot *slot = &watch->slots[watch->events[i].slot];
    if (slot->used && slot->generation == watch->events[i].generation) events[count++] = watch->events[i];
  }
  memcpy(bytes, watch->bytes, watch->byte_count);
  watch->event_count = watch->byte_count = 0;
  watch->woken = false;
  pthread_cond_signal(&watch->taken);
  pthread_mutex_unlock(&watch->lock);
  return count;
}
