/* BLAKE2b, RFC 7693; see the header. */
#include "blake2b.h"

static const uint64_t blake2b_iv[8] = {
    0x6a09e667f3bcc908ULL, 0xbb67ae8584caa73bULL, 0x3c6ef372fe94f82bULL, 0xa54ff53a5f1d36f1ULL,
    0x510e527fade682d1ULL, 0x9b05688c2b3e6c1fULL, 0x1f83d9abfb41bd6bULL, 0x5be0cd19137e2179ULL,
};

static const uint8_t blake2b_sigma[12][16] = {
    {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}, {14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3},
    {11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4}, {7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8},
    {9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13}, {2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9},
    {12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11}, {13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10},
    {6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5}, {10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0},
    {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}, {14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3},
};

static inline uint64_t blake2b_rotate(uint64_t word, unsigned bits) { return (word >> bits) | (word << (64 - bits)); }

#define BLAKE2B_G(a, b, c, d, x, y)                                                                                    \
    do {                                                                                                               \
        v[a] += v[b] + (x);                                                                                            \
        v[d] = blake2b_rotate(v[d] ^ v[a], 32);                                                                        \
        v[c] += v[d];                                                                                                  \
        v[b] = blake2b_rotate(v[b] ^ v[c], 24);                                                                        \
        v[a] += v[b] + (y);                                                                                            \
        v[d] = blake2b_rotate(v[d] ^ v[a], 16);                                                                        \
        v[c] += v[d];                                                                                                  \
        v[b] = blake2b_rotate(v[b] ^ v[c], 63);                                                                        \
    } while (0)

static void blake2b_compress(struct blake2b *s, const uint8_t *block, int last) {
    uint64_t v[16], m[16];
    memcpy(m, block, sizeof m); /* little-endian machines only; danube-step.c checks that */
    memcpy(v, s->h, sizeof s->h);
    memcpy(v + 8, blake2b_iv, sizeof blake2b_iv);
    v[12] ^= s->total;
    if (last)
        v[14] = ~v[14];
    for (int round = 0; round < 12; round++) {
        const uint8_t *p = blake2b_sigma[round];
        BLAKE2B_G(0, 4, 8, 12, m[p[0]], m[p[1]]);
        BLAKE2B_G(1, 5, 9, 13, m[p[2]], m[p[3]]);
        BLAKE2B_G(2, 6, 10, 14, m[p[4]], m[p[5]]);
        BLAKE2B_G(3, 7, 11, 15, m[p[6]], m[p[7]]);
        BLAKE2B_G(0, 5, 10, 15, m[p[8]], m[p[9]]);
        BLAKE2B_G(1, 6, 11, 12, m[p[10]], m[p[11]]);
        BLAKE2B_G(2, 7, 8, 13, m[p[12]], m[p[13]]);
        BLAKE2B_G(3, 4, 9, 14, m[p[14]], m[p[15]]);
    }
    for (int i = 0; i < 8; i++)
        s->h[i] ^= v[i] ^ v[i + 8];
}

void blake2b_update(struct blake2b *s, const void *data, size_t size) {
    const uint8_t *bytes = data;
    while (size > 0) {
        if (s->held == BLAKE2B_BLOCK) { /* not the last block, since more data follows */
            s->total += BLAKE2B_BLOCK;
            blake2b_compress(s, s->block, 0);
            s->held = 0;
        }
        if (s->held == 0 && size > BLAKE2B_BLOCK) {
            s->total += BLAKE2B_BLOCK;
            blake2b_compress(s, bytes, 0);
            bytes += BLAKE2B_BLOCK;
            size -= BLAKE2B_BLOCK;
            continue;
        }
        size_t take = BLAKE2B_BLOCK - s->held;
        if (take > size)
            take = size;
        memcpy(s->block + s->held, bytes, take);
        s->held += take;
        bytes += take;
        size -= take;
    }
}

void blake2b_begin(struct blake2b *s, const uint8_t *key) {
    memset(s, 0, sizeof *s);
    memcpy(s->h, blake2b_iv, sizeof blake2b_iv);
    s->h[0] ^= 0x01010000ULL ^ ((uint64_t)(key ? 32 : 0) << 8) ^ BLAKE2B_BYTES;
    if (key) {
        memcpy(s->block, key, 32);
        s->held = BLAKE2B_BLOCK;
    }
}

void blake2b_end(struct blake2b *s, uint8_t out[BLAKE2B_BYTES]) {
    s->total += s->held;
    memset(s->block + s->held, 0, BLAKE2B_BLOCK - s->held);
    blake2b_compress(s, s->block, 1);
    memcpy(out, s->h, BLAKE2B_BYTES);
}
