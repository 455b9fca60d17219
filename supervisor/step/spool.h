/* A step's output: a ring in memory and the hash of everything that went through it.
 *
 * Only acknowledged bytes are overwritten. Acknowledged bytes stay readable until then, so that the end of an output can be
 * followed again. */
#ifndef DANUBE_SPOOL_H
#define DANUBE_SPOOL_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "blake2b.h"

#define RING_BYTES (8u << 20)  /* how far a step may be ahead of its slowest acknowledgement */
#define TAIL_BYTES (1u << 20)  /* what is kept of an ended step's output, for a server that asks for the result again */
#define FRAME_BYTES (1u << 20) /* one read, and one frame */

struct spool {
    uint8_t *ring; /* NULL: released */
    size_t capacity;
    uint64_t written, held_from, acknowledged;
    struct blake2b hash;
};

enum spool_result { SPOOL_MORE, SPOOL_EMPTY, SPOOL_END, SPOOL_FULL };

/* Returns 0, or -1 when there is no memory. */
int spool_open(struct spool *s);

/* Reads at most one frame. SPOOL_MORE: the descriptor may have more; SPOOL_EMPTY: not now; SPOOL_END: all writers have closed
 * it; SPOOL_FULL: nothing can be read before something is acknowledged. */
enum spool_result spool_read(struct spool *s, int fd);

/* Where `size` bytes from `offset` on lie. Returns the number of regions: 0, 1 or 2. */
int spool_regions(const struct spool *s, uint64_t offset, uint64_t size, struct iovec *out);

int spool_is_full(const struct spool *s);
int spool_is_acknowledged(const struct spool *s);

/* Moves the acknowledgement forward. Returns 0 when it is already there. */
int spool_acknowledge(struct spool *s, uint64_t offset);

/* Keeps the last TAIL_BYTES and frees the rest. Without memory for that, frees all of it. */
void spool_keep_tail(struct spool *s);

void spool_release(struct spool *s);

#endif
