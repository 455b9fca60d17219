/* The authenticated record of an ended step; see protocol.h for its fields. */
#define _GNU_SOURCE
#include "record.h"

#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>

#include "../protocol.h"
#include "blake2b.h"

static size_t put(uint8_t *out, uint8_t tag, const void *value, uint32_t size) {
    out[0] = tag;
    memcpy(out + 1, &size, 4);
    memcpy(out + 5, value, size);
    return 5 + size;
}

static size_t put64(uint8_t *out, uint8_t tag, uint64_t value) { return put(out, tag, &value, 8); }
static size_t put32(uint8_t *out, uint8_t tag, uint32_t value) { return put(out, tag, &value, 4); }
static size_t put_flag(uint8_t *out, uint8_t tag, int value) { return put(out, tag, &(uint8_t){value != 0}, 1); }

static size_t put_text(uint8_t *out, uint8_t tag, const char *value) {
    return put(out, tag, value, (uint32_t)strlen(value));
}

static uint64_t microseconds(struct timeval t) { return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_usec; }

static size_t put_end(uint8_t *out, const struct report *end) {
    if (end->error[0])
        return put_text(out, RECORD_START_ERROR, end->error);
    if (WIFSIGNALED(end->status))
        return put32(out, RECORD_SIGNAL, (uint32_t)WTERMSIG(end->status));
    return put32(out, RECORD_EXIT_CODE, (uint32_t)WEXITSTATUS(end->status));
}

size_t record_write(uint8_t out[RECORD_BYTES], const struct spec *spec, const struct outcome *outcome, struct spool *output) {
    const struct rusage *usage = &outcome->end.usage;
    uint8_t hash[BLAKE2B_BYTES];
    size_t n = 0;
    blake2b_end(&output->hash, hash);
    n += put32(out + n, RECORD_VERSION, PROTOCOL_VERSION);
    n += put_text(out + n, RECORD_STEP_ID, spec->id);
    n += put32(out + n, RECORD_ATTEMPT, spec->attempt);
    n += put_end(out + n, &outcome->end);
    n += put_flag(out + n, RECORD_TIMED_OUT, outcome->timed_out);
    n += put_flag(out + n, RECORD_KILLED, outcome->killed);
    n += put64(out + n, RECORD_WALL_US, outcome->wall_us);
    n += put64(out + n, RECORD_USER_US, microseconds(usage->ru_utime));
    n += put64(out + n, RECORD_SYSTEM_US, microseconds(usage->ru_stime));
    n += put64(out + n, RECORD_PEAK_MEMORY, (uint64_t)usage->ru_maxrss * 1024);
    n += put64(out + n, RECORD_OUTPUT_BYTES, output->written);
    n += put(out + n, RECORD_OUTPUT_HASH, hash, sizeof hash);
    n += put32(out + n, RECORD_LEFTOVERS, outcome->end.leftovers);
    struct blake2b authenticator;
    blake2b_begin(&authenticator, spec->key);
    blake2b_update(&authenticator, out, n);
    blake2b_end(&authenticator, out + n);
    return n + BLAKE2B_BYTES;
}
