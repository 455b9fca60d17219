/* A follower: a connection that brought a request and gets a step's frames. It never blocks PID 1, and is dropped when its
 * reader is gone. The request, the acknowledgements and the frames go over the descriptors that `run` handed in. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "step.h"

struct follower followers[MAX_FOLLOWERS];

static void follower_end(struct follower *f, char status) {
    if (!f->used)
        return;
    watch_end(&f->in);
    watch_end(&f->out);
    if (f->connection.fd >= 0) {
        (void)!send(f->connection.fd, &status, 1, MSG_NOSIGNAL | MSG_DONTWAIT);
        watch_end(&f->connection);
    }
    free(f->request);
    struct step *s = f->step;
    memset(f, 0, sizeof *f);
    if (s)
        spool_settle(s);
}

static void frame(struct follower *f, char type, const void *payload, uint32_t size) {
    f->pending[0] = (uint8_t)type;
    memcpy(f->pending + 1, &size, 4);
    memcpy(f->pending + 5, payload, size);
    f->pending_size = 5 + size;
    f->pending_sent = 0;
}

/* The next frame into `pending`; 0 when there is nothing to say now. */
static int next_frame(struct follower *f) {
    struct step *s = f->step;
    if (f->offset < s->written) {
        uint64_t size = s->written - f->offset;
        if (size > FRAME_BYTES)
            size = FRAME_BYTES;
        uint32_t length = (uint32_t)size + 8;
        f->pending[0] = 'D';
        memcpy(f->pending + 1, &length, 4);
        memcpy(f->pending + 5, &f->offset, 8);
        f->pending_size = 13;
        f->pending_sent = 0;
        f->data_left = size;
        return 1;
    }
    if (s->phase == ENDED && !f->end_sent) {
        frame(f, 'E', s->record, (uint32_t)s->record_size);
        f->end_sent = 1;
        return 1;
    }
    return 0;
}

/* Everything was said. The reader sees the end; its last acknowledgements are still listened to, for a while. */
static void finish(struct follower *f) {
    char status = 'e';
    if (f->connection.fd >= 0) {
        (void)!send(f->connection.fd, &status, 1, MSG_NOSIGNAL | MSG_DONTWAIT);
        watch_end(&f->connection);
    }
    watch_end(&f->out);
    f->finished = 1;
    f->deadline_ms = now_ms() + REQUEST_MS;
    if (f->step->acknowledged >= f->step->written || f->in.events == 0)
        follower_end(f, 'e');
}

static void flush(struct follower *f) {
    while (f->used && !f->finished) {
        if (f->pending_sent == f->pending_size && f->data_left == 0) {
            if (f->refused) {
                follower_end(f, 'r');
                return;
            }
            if (f->end_sent) {
                finish(f);
                return;
            }
            if (!f->step || !next_frame(f)) {
                watch_change(&f->out, EPOLLERR);
                return;
            }
        }
        struct iovec parts[3] = {{f->pending + f->pending_sent, f->pending_size - f->pending_sent}};
        int count = 1;
        if (f->data_left)
            count += spool_regions(f->step, f->offset, f->data_left, parts + 1);
        ssize_t sent = writev(f->out.fd, parts, count);
        if (sent < 0) {
            if (errno == EINTR)
                continue;
            if (errno == EAGAIN) {
                watch_change(&f->out, EPOLLOUT);
                return;
            }
            follower_end(f, 'l');
            return;
        }
        size_t head = f->pending_size - f->pending_sent;
        if ((size_t)sent < head)
            head = (size_t)sent;
        f->pending_sent += head;
        f->data_left -= (uint64_t)sent - head;
        f->offset += (uint64_t)sent - head;
        f->heartbeat_ms = now_ms() + HEARTBEAT_MS;
    }
}

static void refuse(struct follower *f, const char *code, const char *message) {
    char text[256];
    size_t size = (size_t)snprintf(text, sizeof text, "%s", code) + 1;
    size += (size_t)snprintf(text + size, sizeof text - size, "%s", message);
    frame(f, 'R', text, (uint32_t)size);
    f->refused = 1;
    flush(f);
}

void followers_flush(struct step *s) {
    for (size_t i = 0; i < MAX_FOLLOWERS; i++)
        if (followers[i].used && followers[i].step == s)
            flush(&followers[i]);
}

/* Acknowledged bytes were overwritten: who still wanted them cannot go on. */
void followers_overtaken(struct step *s) {
    for (size_t i = 0; i < MAX_FOLLOWERS; i++) {
        struct follower *f = &followers[i];
        if (f->used && f->step == s && f->offset < s->held_from)
            follower_end(f, 'l');
    }
}

static size_t running(void) {
    size_t count = 0;
    for (struct step *s = steps; s; s = s->next)
        count += s->phase != ENDED;
    return count;
}

static size_t known(void) {
    size_t count = 0;
    for (struct step *s = steps; s; s = s->next)
        count++;
    return count;
}

/* The step that a request is about, started if this is the first call that carries its command; NULL when refused. */
static struct step *claim(struct follower *f, struct spec *spec, int *fresh) {
    struct step *s = step_find(spec->id, spec->attempt);
    if (s) {
        uint8_t differs = 0;
        for (size_t i = 0; i < sizeof spec->key; i++)
            differs |= s->spec.key[i] ^ spec->key[i];
        if (differs)
            return refuse(f, "wrong-key", "another key holds this step"), NULL;
        return s;
    }
    if (!spec->command || spec->kill)
        return refuse(f, "unknown-step", "no command was handed in for this step"), NULL;
    if (running() >= MAX_RUNNING || known() >= MAX_STEPS)
        return refuse(f, "too-many-steps", "64 steps at once and 4096 in all is the bound of a container"), NULL;
    s = calloc(1, sizeof *s);
    if (!s)
        return refuse(f, "no-memory", "the supervisor has no memory for another step"), NULL;
    s->spec = *spec;
    spec->command = spec->workdir = NULL;
    spec->env = NULL;
    spec->env_count = 0;
    if (step_start(s) < 0) {
        spec_free(&s->spec);
        free(s);
        return refuse(f, "no-process", strerror(errno)), NULL;
    }
    s->next = steps;
    steps = s;
    *fresh = 1;
    return s;
}

static void accept_request(struct follower *f, const uint8_t *body, size_t size) {
    struct spec spec;
    int fresh = 0, parsed = request_parse(body, size, &spec);
    if (parsed < 0) {
        spec_free(&spec);
        refuse(f, parsed == -2 ? "unsupported-version" : "bad-request",
               parsed == -2 ? "this supervisor speaks protocol 1" : "the request has a field of a wrong form");
        return;
    }
    spec.kill |= f->asks_kill;
    struct step *s = claim(f, &spec, &fresh);
    if (s) {
        uint8_t said[25];
        uint32_t version = PROTOCOL_VERSION, pid;
        f->offset = spec.kill ? s->written : spec.from_offset;
        if (f->offset < s->held_from || f->offset > s->written) {
            refuse(f, "offset-gone", "that part of the output is not held any more");
        } else {
            f->step = s;
            if (spec.kill)
                step_kill(s);
            pid = (uint32_t)s->command;
            memcpy(said, &version, 4);
            memcpy(said + 4, &s->held_from, 8);
            memcpy(said + 12, &s->written, 8);
            memcpy(said + 20, &pid, 4);
            said[24] = (uint8_t)fresh;
            frame(f, 'S', said, sizeof said);
            flush(f);
        }
    }
    spec_free(&spec);
    explicit_bzero(&spec, sizeof spec);
}

static void take_request(struct follower *f) {
    uint8_t head[8];
    uint32_t body = 0;
    size_t want = 8;
    if (f->request_size >= 8) {
        memcpy(head, f->request, 8);
        memcpy(&body, head + 4, 4);
        if (memcmp(head, REQUEST_MAGIC, 4) != 0 || body > MAX_BODY) {
            refuse(f, "bad-request", "no request begins like this");
            return;
        }
        want = 8 + (size_t)body + BLAKE2B_BYTES;
    }
    uint8_t *grown = realloc(f->request, want);
    if (!grown) {
        refuse(f, "no-memory", "the supervisor has no memory for the request");
        return;
    }
    f->request = grown;
    ssize_t size = read(f->in.fd, f->request + f->request_size, want - f->request_size);
    if (size < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (size <= 0) {
        watch_change(&f->in, 0);
        refuse(f, "bad-request", "the request was cut off");
        return;
    }
    f->request_size += (size_t)size;
    if (f->request_size < want || want == 8)
        return;
    struct blake2b hash;
    uint8_t sum[BLAKE2B_BYTES];
    blake2b_begin(&hash, NULL);
    blake2b_update(&hash, f->request + 8, body);
    blake2b_end(&hash, sum);
    if (memcmp(sum, f->request + 8 + body, sizeof sum) != 0) {
        refuse(f, "bad-checksum", "the request's checksum is wrong");
        return;
    }
    accept_request(f, f->request + 8, body);
    if (f->used && f->request) {
        explicit_bzero(f->request, f->request_size);
        free(f->request);
        f->request = NULL;
    }
}

static void take_acknowledgements(struct follower *f) {
    uint8_t bytes[9 * 128];
    ssize_t size = read(f->in.fd, bytes, sizeof bytes);
    if (size == 0 || (size < 0 && errno != EAGAIN && errno != EINTR)) {
        watch_change(&f->in, 0); /* its end does not end the following */
        if (f->finished)
            follower_end(f, 'e');
        return;
    }
    for (ssize_t i = 0; i < size; i++) {
        f->ack[f->ack_size++] = bytes[i];
        if (f->ack_size < sizeof f->ack)
            continue;
        uint64_t offset;
        memcpy(&offset, f->ack + 1, 8);
        f->ack_size = 0;
        if (f->ack[0] == 'A')
            spool_acknowledge(f->step, offset);
        if (!f->used)
            return;
        if (f->finished && f->step->acknowledged >= f->step->written) {
            follower_end(f, 'e');
            return;
        }
    }
}

static void in_ready(struct watch *w, uint32_t events) {
    struct follower *f = w->owner;
    (void)events;
    if (f->refused)
        watch_change(w, 0);
    else if (f->step)
        take_acknowledgements(f);
    else
        take_request(f);
}

static void out_ready(struct watch *w, uint32_t events) {
    struct follower *f = w->owner;
    if (events & (EPOLLERR | EPOLLHUP))
        follower_end(f, 'l');
    else
        flush(f);
}

/* The `run` process is gone, perhaps killed by a step; the frames go on for as long as somebody reads them. */
static void connection_ready(struct watch *w, uint32_t events) {
    (void)events;
    watch_end(w);
}

/* Takes the descriptors over; -1 when there are too many followers. */
int follower_begin(int connection, int in, int out, int asks_kill) {
    for (size_t i = 0; i < MAX_FOLLOWERS; i++) {
        struct follower *f = &followers[i];
        if (f->used)
            continue;
        memset(f, 0, sizeof *f);
        f->used = 1;
        f->asks_kill = asks_kill;
        f->deadline_ms = now_ms() + REQUEST_MS;
        fcntl(in, F_SETFL, fcntl(in, F_GETFL) | O_NONBLOCK);
        fcntl(out, F_SETFL, fcntl(out, F_GETFL) | O_NONBLOCK);
        watch_begin(&f->connection, connection, EPOLLRDHUP, connection_ready, f);
        watch_begin(&f->out, out, EPOLLERR, out_ready, f);
        watch_begin(&f->in, in, EPOLLIN, in_ready, f);
        struct stat kind;
        if (fstat(in, &kind) == 0 && S_ISREG(kind.st_mode)) /* never "ready", and never waits */
            while (f->used && !f->step && !f->refused)
                take_request(f);
        return 0;
    }
    return -1;
}

void follower_tick(struct follower *f, uint64_t now) {
    if (!f->step || f->finished) {
        if (now >= f->deadline_ms)
            follower_end(f, f->finished ? 'e' : 'l');
        return;
    }
    if (now < f->heartbeat_ms || f->pending_sent < f->pending_size || f->data_left)
        return;
    frame(f, 'H', &f->step->written, 8);
    flush(f);
}

uint64_t follower_next_ms(const struct follower *f) {
    if (!f->step || f->finished)
        return f->deadline_ms;
    return f->pending_sent < f->pending_size || f->data_left ? UINT64_MAX : f->heartbeat_ms;
}
