/* A step's output; see the header. */
#define _GNU_SOURCE
#include "spool.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static uint8_t *map_memory(size_t size, int flags) {
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

int spool_open(struct spool *s) {
    *s = (struct spool){.ring = map_memory(RING_BYTES, MAP_NORESERVE), .capacity = RING_BYTES};
    blake2b_begin(&s->hash, NULL);
    return s->ring ? 0 : -1;
}

int spool_regions(const struct spool *s, uint64_t offset, uint64_t size, struct iovec *out) {
    if (size == 0)
        return 0;
    size_t at = offset % s->capacity, first = s->capacity - at;
    if (first > size)
        first = size;
    out[0] = (struct iovec){s->ring + at, first};
    if (first == size)
        return 1;
    out[1] = (struct iovec){s->ring, size - first};
    return 2;
}

enum spool_result spool_read(struct spool *s, int fd) {
    uint64_t room = s->capacity - (s->written - s->acknowledged);
    if (room == 0)
        return SPOOL_FULL;
    if (room > FRAME_BYTES)
        room = FRAME_BYTES;
    struct iovec regions[2];
    int count = spool_regions(s, s->written, room, regions);
    ssize_t size = readv(fd, regions, count);
    if (size < 0)
        return errno == EAGAIN || errno == EINTR ? SPOOL_EMPTY : SPOOL_END;
    if (size == 0)
        return SPOOL_END;
    size_t left = (size_t)size;
    for (int i = 0; i < count && left > 0; i++) {
        size_t part = left < regions[i].iov_len ? left : regions[i].iov_len;
        blake2b_update(&s->hash, regions[i].iov_base, part);
        left -= part;
    }
    s->written += (uint64_t)size;
    if (s->written > s->capacity && s->held_from < s->written - s->capacity)
        s->held_from = s->written - s->capacity;
    return (uint64_t)size == room ? SPOOL_MORE : SPOOL_EMPTY;
}

int spool_is_full(const struct spool *s) { return s->written - s->acknowledged == s->capacity; }

int spool_is_acknowledged(const struct spool *s) { return s->acknowledged >= s->written; }

int spool_acknowledge(struct spool *s, uint64_t offset) {
    if (offset > s->written)
        offset = s->written;
    if (offset <= s->acknowledged)
        return 0;
    s->acknowledged = offset;
    return 1;
}

void spool_release(struct spool *s) {
    if (s->ring)
        munmap(s->ring, s->capacity);
    s->ring = NULL;
    s->held_from = s->written;
}

void spool_keep_tail(struct spool *s) {
    if (!s->ring || s->capacity <= TAIL_BYTES || s->written - s->held_from <= TAIL_BYTES)
        return;
    uint8_t *tail = map_memory(TAIL_BYTES, 0);
    if (!tail) {
        spool_release(s);
        return;
    }
    uint64_t from = s->written - TAIL_BYTES;
    for (uint64_t at = from; at < s->written;) {
        struct iovec region[2];
        spool_regions(s, at, s->written - at, region);
        size_t to = at % TAIL_BYTES, size = region[0].iov_len;
        if (size > TAIL_BYTES - to)
            size = TAIL_BYTES - to;
        memcpy(tail + to, region[0].iov_base, size);
        at += size;
    }
    munmap(s->ring, s->capacity);
    s->ring = tail;
    s->capacity = TAIL_BYTES;
    s->held_from = from;
}
