/* A step's output: one pipe, read by PID 1 into a ring in memory, and the record that closes it.
 *
 * Only acknowledged bytes may be overwritten; when the ring is full of others the pipe is not read and the step waits.
 * What was acknowledged stays readable until it is overwritten, so the end of an output can be followed again. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "step.h"

int spool_regions(const struct step *s, uint64_t offset, uint64_t size, struct iovec *out) {
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

static size_t put(uint8_t *out, uint8_t tag, const void *value, uint32_t size) {
    out[0] = tag;
    memcpy(out + 1, &size, 4);
    memcpy(out + 5, value, size);
    return 5 + size;
}

static size_t put64(uint8_t *out, uint8_t tag, uint64_t value) { return put(out, tag, &value, 8); }
static size_t put32(uint8_t *out, uint8_t tag, uint32_t value) { return put(out, tag, &value, 4); }

static uint64_t us(struct timeval t) { return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_usec; }

static void write_record(struct step *s) {
    uint8_t *r = s->record, hash[BLAKE2B_BYTES];
    size_t n = 0;
    uint8_t timed_out = s->timed_out != 0, killed = s->killed != 0;
    blake2b_end(&s->hash, hash);
    n += put32(r + n, RECORD_VERSION, PROTOCOL_VERSION);
    n += put(r + n, RECORD_STEP_ID, s->spec.id, (uint32_t)strlen(s->spec.id));
    n += put32(r + n, RECORD_ATTEMPT, s->spec.attempt);
    if (s->end.error[0])
        n += put(r + n, RECORD_START_ERROR, s->end.error, (uint32_t)strlen(s->end.error));
    else if (WIFSIGNALED(s->end.status))
        n += put32(r + n, RECORD_SIGNAL, (uint32_t)WTERMSIG(s->end.status));
    else
        n += put32(r + n, RECORD_EXIT_CODE, (uint32_t)WEXITSTATUS(s->end.status));
    n += put(r + n, RECORD_TIMED_OUT, &timed_out, 1);
    n += put(r + n, RECORD_KILLED, &killed, 1);
    n += put64(r + n, RECORD_WALL_US, s->wall_us);
    n += put64(r + n, RECORD_USER_US, us(s->end.usage.ru_utime));
    n += put64(r + n, RECORD_SYSTEM_US, us(s->end.usage.ru_stime));
    n += put64(r + n, RECORD_PEAK_MEMORY, (uint64_t)s->end.usage.ru_maxrss * 1024);
    n += put64(r + n, RECORD_OUTPUT_BYTES, s->written);
    n += put(r + n, RECORD_OUTPUT_HASH, hash, sizeof hash);
    n += put32(r + n, RECORD_LEFTOVERS, s->end.leftovers);
    struct blake2b mac;
    blake2b_begin(&mac, s->spec.key);
    blake2b_update(&mac, r, n);
    blake2b_end(&mac, r + n);
    s->record_size = n + BLAKE2B_BYTES;
}

static void release(struct step *s) {
    if (s->ring)
        munmap(s->ring, s->capacity);
    s->ring = NULL;
    s->held_from = s->written;
}

/* The ring of an ended, acknowledged step becomes a tail; all tails together are bounded. */
void spool_settle(struct step *s) {
    if (s->phase != ENDED || s->acknowledged < s->written || !s->ring)
        return;
    for (size_t i = 0; i < MAX_FOLLOWERS; i++)
        if (followers[i].used && followers[i].step == s)
            return;
    if (s->capacity > TAIL_BYTES && s->written - s->held_from > TAIL_BYTES) {
        uint8_t *tail = mmap(NULL, TAIL_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (tail == MAP_FAILED) {
            release(s);
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
    uint64_t kept = 0;
    for (struct step *other = steps; other; other = other->next) { /* newest first */
        if (other->phase != ENDED || !other->ring || other->acknowledged < other->written)
            continue; /* what nobody has acknowledged is no tail: whoever comes back for it must find it */
        kept += other->written - other->held_from;
        if (kept > ALL_TAILS_BYTES)
            release(other);
    }
}

static void finish(struct step *s) {
    watch_end(&s->output);
    s->phase = ENDED;
    write_record(s);
    followers_flush(s);
    spool_settle(s);
}

/* One read of at most a frame; 1 when there may be more, 0 when the pipe is empty, -1 at its end, -2 when full. */
static int take(struct step *s) {
    uint64_t room = s->capacity - (s->written - s->acknowledged);
    if (room == 0)
        return -2;
    if (room > FRAME_BYTES)
        room = FRAME_BYTES;
    struct iovec regions[2];
    int count = spool_regions(s, s->written, room, regions);
    ssize_t size = readv(s->output.fd, regions, count);
    if (size < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -1;
    if (size == 0)
        return -1;
    for (int i = 0, left = (int)size; i < count && left > 0; i++) {
        int part = left < (int)regions[i].iov_len ? left : (int)regions[i].iov_len;
        blake2b_update(&s->hash, regions[i].iov_base, (size_t)part);
        left -= part;
    }
    s->written += (uint64_t)size;
    if (s->written > s->capacity && s->held_from < s->written - s->capacity) {
        s->held_from = s->written - s->capacity;
        followers_overtaken(s);
    }
    return (size_t)size == room;
}

/* The tree is gone: what it wrote is read to the end, then the record is written. */
void spool_drain(struct step *s) {
    for (;;) {
        int got = take(s);
        if (got == -2) {
            watch_change(&s->output, 0);
            followers_flush(s);
            return;
        }
        if (got == 0 || got == -1) {
            finish(s);
            return;
        }
    }
}

static void readable(struct watch *w, uint32_t events) {
    struct step *s = w->owner;
    (void)events;
    if (s->phase == DRAINING) {
        spool_drain(s);
        return;
    }
    int got = take(s);
    if (got == -1) {
        watch_change(w, 0); /* every writer closed it; the end of the processes decides, not this */
    } else if (got == -2) {
        watch_change(w, 0);
    }
    followers_flush(s);
}

void spool_begin(struct step *s, int fd) {
    s->capacity = RING_BYTES;
    s->ring = mmap(NULL, RING_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    blake2b_begin(&s->hash, NULL);
    watch_begin(&s->output, fd, EPOLLIN, readable, s);
}

void spool_acknowledge(struct step *s, uint64_t offset) {
    if (offset > s->written)
        offset = s->written;
    if (offset <= s->acknowledged)
        return;
    int was_full = s->written - s->acknowledged == s->capacity;
    s->acknowledged = offset;
    if (s->phase == ENDED) {
        spool_settle(s);
        return;
    }
    if (was_full) {
        watch_change(&s->output, EPOLLIN);
        if (s->phase == DRAINING)
            spool_drain(s);
    }
}
