/* A follower; see the header. */
#define _GNU_SOURCE
#include "follower.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "../protocol.h"
#include "step-output.h"

#define MAX_FOLLOWERS 256
#define ACKS_PER_READ 128

static struct follower followers[MAX_FOLLOWERS];
static uint64_t heartbeat_interval_ms;

static void end_connection(struct follower *f, enum follower_status status) {
    char byte = (char)status;
    if (f->connection.fd < 0)
        return;
    (void)!send(f->connection.fd, &byte, 1, MSG_NOSIGNAL | MSG_DONTWAIT);
    watch_end(&f->connection);
}

void follower_end(struct follower *f, enum follower_status status) {
    if (!f->used)
        return;
    watch_end(&f->in);
    watch_end(&f->out);
    end_connection(f, status);
    free(f->request);
    struct step *s = f->step;
    memset(f, 0, sizeof *f);
    if (s)
        step_output_unfollow(s);
}

/* --- frames */

static void put_frame(struct follower *f, char type, const void *payload, uint32_t size) {
    f->pending[0] = (uint8_t)type;
    memcpy(f->pending + 1, &size, 4);
    memcpy(f->pending + 5, payload, size);
    f->pending_size = 5 + size;
    f->pending_sent = 0;
}

static int is_sending(const struct follower *f) { return f->pending_sent < f->pending_size || f->data_left > 0; }

/* The next frame into `pending`. Returns 0 when there is none yet. */
static int next_frame(struct follower *f) {
    struct step *s = f->step;
    if (f->offset < s->spool.written) {
        uint64_t size = s->spool.written - f->offset;
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
        put_frame(f, 'E', s->record, (uint32_t)s->record_size);
        f->end_sent = 1;
        return 1;
    }
    return 0;
}

/* Everything was sent; an acknowledgement of all that comes from now on, or the end of the input, ends the follower.
 * Until then the reader gets no end of the stream, and the client's process lives: a cluster passes no more input on once
 * either has ended, and input that comes nevertheless cuts the connection with the frames that are still on their way. An
 * acknowledgement from before would say nothing about these. */
static void finish(struct follower *f) {
    watch_change(&f->out, EPOLLERR);
    f->finished = 1;
    f->deadline_ms = now_ms() + LINGER_MS;
    if (f->verb != 'r' || f->in.events == 0)
        follower_end(f, FOLLOWER_ENDED);
}

/* Writes once. Returns 0 when the reader takes no more at present or has disconnected. */
static int send_part(struct follower *f) {
    struct iovec parts[3] = {{f->pending + f->pending_sent, f->pending_size - f->pending_sent}};
    int count = 1;
    if (f->data_left)
        count += spool_regions(&f->step->spool, f->offset, f->data_left, parts + 1);
    ssize_t sent = writev(f->out.fd, parts, count);
    if (sent < 0 && errno == EINTR)
        return 1;
    if (sent < 0 && errno == EAGAIN) {
        watch_change(&f->out, EPOLLOUT);
        return 0;
    }
    if (sent < 0) {
        follower_end(f, FOLLOWER_LOST);
        return 0;
    }
    size_t head = f->pending_size - f->pending_sent;
    if ((size_t)sent < head)
        head = (size_t)sent;
    f->pending_sent += head;
    f->data_left -= (uint64_t)sent - head;
    f->offset += (uint64_t)sent - head;
    f->heartbeat_ms = now_ms() + heartbeat_interval_ms;
    return 1;
}

/* Sends as much as the reader takes. */
static void flush(struct follower *f) {
    for (;;) {
        if (is_sending(f)) {
            if (!send_part(f))
                return;
        } else if (f->refused) {
            follower_end(f, FOLLOWER_REFUSED);
            return;
        } else if (f->end_sent) {
            finish(f);
            return;
        } else if (!f->step || !next_frame(f)) {
            watch_change(&f->out, EPOLLERR);
            return;
        }
    }
}

void follower_follow(struct follower *f, struct step *s, uint64_t offset, int fresh) {
    uint8_t started[25];
    uint32_t version = PROTOCOL_VERSION, pid = (uint32_t)s->command;
    f->step = s;
    f->offset = offset;
    step_output_follow(s);
    memcpy(started, &version, 4);
    memcpy(started + 4, &s->spool.held_from, 8);
    memcpy(started + 12, &s->spool.written, 8);
    memcpy(started + 20, &pid, 4);
    started[24] = (uint8_t)fresh;
    put_frame(f, 'S', started, sizeof started);
    flush(f);
}

void follower_refuse(struct follower *f, const char *code, const char *message) {
    char text[256];
    size_t size = (size_t)snprintf(text, sizeof text, "%s", code) + 1;
    size += (size_t)snprintf(text + size, sizeof text - size, "%s", message);
    put_frame(f, 'R', text, (uint32_t)size);
    f->refused = 1;
    flush(f);
}

void followers_step_changed(struct step *s) {
    for (size_t i = 0; i < MAX_FOLLOWERS; i++) {
        struct follower *f = &followers[i];
        if (!f->used || f->step != s || f->finished)
            continue;
        if (f->offset < s->spool.held_from) /* overwritten, since another follower has acknowledged it */
            follower_end(f, FOLLOWER_LOST);
        else
            flush(f);
    }
}

/* --- acknowledgements */

/* One whole acknowledgement. Returns 0 when the follower has ended with it. */
static int take_acknowledgement(struct follower *f) {
    uint64_t offset;
    memcpy(&offset, f->ack + 1, 8);
    f->ack_size = 0;
    if (f->ack[0] == 'A')
        step_output_acknowledge(f->step, offset);
    if (f->used && f->finished && offset >= f->step->spool.written)
        follower_end(f, FOLLOWER_ENDED);
    return f->used;
}

void follower_acknowledge(struct follower *f) {
    uint8_t bytes[sizeof f->ack * ACKS_PER_READ];
    ssize_t size = read(f->in.fd, bytes, sizeof bytes);
    if (size == 0 || (size < 0 && errno != EAGAIN && errno != EINTR)) {
        watch_change(&f->in, 0); /* the follower continues without acknowledgements */
        if (f->finished)
            follower_end(f, FOLLOWER_ENDED);
        return;
    }
    for (ssize_t i = 0; i < size; i++) {
        f->ack[f->ack_size++] = bytes[i];
        if (f->ack_size == sizeof f->ack && !take_acknowledgement(f))
            return;
    }
}

/* --- the loop's events */

static void out_ready(struct watch *w, uint32_t events) {
    struct follower *f = w->owner;
    if (events & (EPOLLERR | EPOLLHUP))
        follower_end(f, f->finished ? FOLLOWER_ENDED : FOLLOWER_LOST);
    else
        flush(f);
}

/* The `run` process has ended; a step may have killed it. The frames continue as long as they are read. */
static void connection_ready(struct watch *w, uint32_t events) {
    (void)events;
    watch_end(w);
}

struct follower *follower_new(int connection, int out, uint64_t deadline_ms) {
    for (size_t i = 0; i < MAX_FOLLOWERS; i++) {
        struct follower *f = &followers[i];
        if (f->used)
            continue;
        *f = (struct follower){.used = 1, .deadline_ms = deadline_ms, .in.fd = -1};
        fcntl(out, F_SETFL, fcntl(out, F_GETFL) | O_NONBLOCK);
        watch_begin(&f->connection, connection, EPOLLRDHUP, connection_ready, f);
        watch_begin(&f->out, out, EPOLLERR, out_ready, f);
        return f;
    }
    return NULL;
}

void followers_heartbeat(uint64_t interval_ms) { heartbeat_interval_ms = interval_ms; }

static uint64_t next_ms(const struct follower *f) {
    if (!f->step || f->finished)
        return f->deadline_ms;
    return is_sending(f) ? NEVER_MS : f->heartbeat_ms;
}

void followers_tick(uint64_t now) {
    for (size_t i = 0; i < MAX_FOLLOWERS; i++) {
        struct follower *f = &followers[i];
        if (!f->used || now < next_ms(f))
            continue;
        if (!f->step || f->finished) {
            follower_end(f, f->finished ? FOLLOWER_ENDED : FOLLOWER_LOST);
        } else {
            put_frame(f, 'H', &f->step->spool.written, 8);
            flush(f);
        }
    }
}

uint64_t followers_next_ms(void) {
    uint64_t next = NEVER_MS;
    for (size_t i = 0; i < MAX_FOLLOWERS; i++)
        if (followers[i].used && next_ms(&followers[i]) < next)
            next = next_ms(&followers[i]);
    return next;
}
