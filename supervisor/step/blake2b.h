/* BLAKE2b with 32 bytes of output, RFC 7693; keyed with 32 bytes for the record's authenticator (section 2.9). */
#ifndef DANUBE_BLAKE2B_H
#define DANUBE_BLAKE2B_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define BLAKE2B_BYTES 32
#define BLAKE2B_BLOCK 128

struct blake2b {
    uint64_t h[8];
    uint64_t total;
    size_t held;
    uint8_t block[BLAKE2B_BLOCK];
};

/* key: 32 bytes, or NULL for the plain hash. */
void blake2b_begin(struct blake2b *s, const uint8_t *key);
void blake2b_update(struct blake2b *s, const void *data, size_t size);
void blake2b_end(struct blake2b *s, uint8_t out[BLAKE2B_BYTES]);

#endif
