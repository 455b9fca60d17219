/* Calls of `danube-step run`, `kill`, `freeze` and `thaw`; see the header. */
#define _GNU_SOURCE
#include "calls.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../protocol.h"
#include "blake2b.h"
#include "follower.h"
#include "request.h"
#include "step-processes.h"

#define REQUEST_MS 10000 /* for a request to arrive */
#define HEAD_BYTES 8     /* the magic and the size of the body */

static uint64_t default_grace_ms;

void calls_configure(uint64_t grace_ms) { default_grace_ms = grace_ms; }

static int is_same_key(const uint8_t *one, const uint8_t *other) {
    uint8_t differs = 0;
    for (size_t i = 0; i < KEY_BYTES; i++) /* all of it, so that the time does not depend on the content */
        differs |= one[i] ^ other[i];
    return !differs;
}

/* The step of a request, which is started if no call has done so yet. Returns NULL when the request is refused. */
static struct step *find_or_start(struct follower *f, struct spec *spec, int only_follows, int *fresh) {
    struct step *s = step_find(spec->id, spec->attempt);
    if (s) {
        if (is_same_key(s->spec.key, spec->key))
            return s;
        follower_refuse(f, "wrong-key", "the step belongs to another key");
    } else if (!spec->command || only_follows) {
        follower_refuse(f, "unknown-step", "the step is unknown and the request has no command to start");
    } else if (!step_is_allowed()) {
        follower_refuse(f, "too-many-steps", "a container runs at most 64 steps at once and 4096 in all");
    } else {
        s = step_start(spec, followers_step_changed);
        *fresh = s != NULL;
        if (!s)
            follower_refuse(f, "no-process", strerror(errno));
        return s;
    }
    return NULL;
}

static void accept_spec(struct follower *f, struct spec *spec) {
    int fresh = 0;
    spec->kill |= f->verb == 'k';
    int only_follows = spec->kill || f->verb != 'r';
    struct step *s = find_or_start(f, spec, only_follows, &fresh);
    if (!s)
        return;
    uint64_t offset = only_follows ? s->spool.written : spec->from_offset;
    if (offset < s->spool.held_from || offset > s->spool.written) {
        follower_refuse(f, "offset-gone", "the output at this offset is not available");
        return;
    }
    if (spec->kill)
        step_kill(s);
    if (f->verb == 't')
        step_thaw(s);
    if (f->verb == 'f' && step_freeze(s) < 0) {
        follower_refuse(f, "not-frozen", "processes of the step do not stop");
        return;
    }
    follower_follow(f, s, offset, fresh);
}

static void accept_body(struct follower *f, const uint8_t *body, size_t size) {
    struct spec spec;
    switch (request_parse(body, size, default_grace_ms, &spec)) {
    case REQUEST_OK:
        accept_spec(f, &spec);
        break;
    case REQUEST_OTHER_VERSION:
        follower_refuse(f, "unsupported-version", "this supervisor implements protocol version 1");
        break;
    case REQUEST_MALFORMED:
        follower_refuse(f, "bad-request", "the request has a malformed field");
        break;
    }
    spec_free(&spec);
    explicit_bzero(&spec, sizeof spec);
}

/* Whether the BLAKE2b-256 behind the body is right. */
static int is_intact(const uint8_t *body, size_t size) {
    struct blake2b hash;
    uint8_t sum[BLAKE2B_BYTES];
    blake2b_begin(&hash, NULL);
    blake2b_update(&hash, body, size);
    blake2b_end(&hash, sum);
    return memcmp(sum, body + size, sizeof sum) == 0;
}

/* The size of the whole request, as far as it is known; 0 for a malformed head. body: its size, 0 while that is unknown. */
static size_t size_of_request(const struct follower *f, uint32_t *body) {
    *body = 0;
    if (f->request_size < HEAD_BYTES)
        return HEAD_BYTES;
    memcpy(body, f->request + 4, 4);
    if (memcmp(f->request, REQUEST_MAGIC, 4) != 0 || *body > MAX_BODY)
        return 0;
    return HEAD_BYTES + (size_t)*body + BLAKE2B_BYTES;
}

/* Reads once. Returns 1 when the request is as long as `want`; refuses it when the input ends before that. */
static int read_request(struct follower *f, size_t want) {
    uint8_t *grown = realloc(f->request, want);
    if (!grown) {
        follower_refuse(f, "no-memory", "the supervisor has no memory for the request");
        return 0;
    }
    f->request = grown;
    ssize_t size = read(f->in.fd, f->request + f->request_size, want - f->request_size);
    if (size < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (size <= 0) {
        watch_change(&f->in, 0);
        follower_refuse(f, "bad-request", "the request is incomplete");
        return 0;
    }
    f->request_size += (size_t)size;
    return f->request_size == want;
}

static void take_request(struct follower *f) {
    uint32_t body;
    size_t want = size_of_request(f, &body);
    if (want == 0) {
        follower_refuse(f, "bad-request", "the input is not a request");
        return;
    }
    if (!read_request(f, want) || want == HEAD_BYTES) /* the rest is read in the next round */
        return;
    if (!is_intact(f->request + HEAD_BYTES, body)) {
        follower_refuse(f, "bad-checksum", "the request's checksum is wrong");
        return;
    }
    accept_body(f, f->request + HEAD_BYTES, body);
    if (f->used && f->request) {
        explicit_bzero(f->request, f->request_size);
        free(f->request);
        f->request = NULL;
    }
}

static void input_ready(struct watch *w, uint32_t events) {
    struct follower *f = w->owner;
    (void)events;
    if (f->refused)
        watch_change(w, 0);
    else if (f->step)
        follower_acknowledge(f);
    else
        take_request(f);
}

int call_begin(int connection, int in, int out, char verb) {
    struct follower *f = follower_new(connection, out, now_ms() + REQUEST_MS);
    if (!f)
        return -1;
    f->verb = verb;
    fcntl(in, F_SETFL, fcntl(in, F_GETFL) | O_NONBLOCK);
    watch_begin(&f->in, in, EPOLLIN, input_ready, f);
    struct stat kind;
    if (fstat(in, &kind) == 0 && S_ISREG(kind.st_mode)) { /* the loop cannot watch it, and reading it never blocks */
        f->in.events = 0; /* it has no acknowledgements */
        while (f->used && !f->step && !f->refused)
            take_request(f);
    }
    return 0;
}
