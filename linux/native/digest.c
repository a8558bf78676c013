/* SipHash-2-4 after the paper of Aumasson and Bernstein; see digest.h. Pure. */
#include "digest.h"

#include <endian.h>
#include <string.h>

static uint64_t rotate(uint64_t value, int by) { return value << by | value >> (64 - by); }

static inline void round_once(uint64_t v[4]) {
  v[0] += v[1];
  v[1] = rotate(v[1], 13) ^ v[0];
  v[0] = rotate(v[0], 32);
  v[2] += v[3];
  v[3] = rotate(v[3], 16) ^ v[2];
  v[0] += v[3];
  v[3] = rotate(v[3], 21) ^ v[0];
  v[2] += v[1];
  v[1] = rotate(v[1], 17) ^ v[2];
  v[2] = rotate(v[2], 32);
}

static inline void absorb(struct digest *digest, uint64_t word) {
  digest->v[3] ^= word;
  round_once(digest->v);
  round_once(digest->v);
  digest->v[0] ^= word;
}

void digest_start(struct digest *digest, const uint64_t key[2]) {
  digest->v[0] = key[0] ^ UINT64_C(0x736f6d6570736575);
  digest->v[1] = key[1] ^ UINT64_C(0x646f72616e646f6d);
  digest->v[2] = key[0] ^ UINT64_C(0x6c7967656e657261);
  digest->v[3] = key[1] ^ UINT64_C(0x7465646279746573);
  digest->total = digest->pending = 0;
  digest->pending_count = 0;
}

void digest_add(struct digest *digest, const void *data, size_t length) {
  const unsigned char *byte = data;
  digest->total += length;
  size_t i = 0;
  if (digest->pending_count == 0) {
    for (uint64_t word; i + sizeof word <= length; i += sizeof word) {
      memcpy(&word, byte + i, sizeof word);
      absorb(digest, le64toh(word));
    }
  }
  for (; i < length; i++) {
    digest->pending |= (uint64_t)byte[i] << (8 * digest->pending_count++);
    if (digest->pending_count < 8) continue;
    absorb(digest, digest->pending);
    digest->pending = 0;
    digest->pending_count = 0;
  }
}

uint64_t digest_finish(struct digest *digest) {
  absorb(digest, digest->pending | digest->total << 56);
  digest->v[2] ^= 0xff;
  for (int i = 0; i < 4; i++) round_once(digest->v);
  return digest->v[0] ^ digest->v[1] ^ digest->v[2] ^ digest->v[3];
}
