/* SipHash-2-4: 64 bits, keyed so that no tenant can choose names that make a change look like none. */
#ifndef EMPEROR_DIGEST_H
#define EMPEROR_DIGEST_H

#include <stddef.h>
#include <stdint.h>

struct digest {
  uint64_t v[4];
  uint64_t total, pending;
  unsigned pending_count;
};

void digest_start(struct digest *digest, const uint64_t key[2]);
void digest_add(struct digest *digest, const void *data, size_t length);
uint64_t digest_finish(struct digest *digest);

#endif
