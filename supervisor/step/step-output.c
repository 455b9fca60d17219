/* A step's output on its way from the pipe into the spool; see the header. When the spool is full the pipe is not read, and the
 * step waits. */
#include "step-output.h"

#include <sys/epoll.h>

/* Bounds all tails together. Output that was not acknowledged does not count as a tail: the server will fetch it again. */
static void release_oldest_tails(void) {
    uint64_t kept = 0;
    for (struct step *s = steps; s; s = s->next) {
        if (s->phase != ENDED || !s->spool.ring || !spool_is_acknowledged(&s->spool))
            continue;
        kept += s->spool.written - s->spool.held_from;
        if (kept > ALL_TAILS_BYTES)
            spool_release(&s->spool);
    }
}

static void settle(struct step *s) {
    if (s->phase != ENDED || !spool_is_acknowledged(&s->spool) || !s->spool.ring || s->followers)
        return;
    spool_keep_tail(&s->spool);
    release_oldest_tails();
}

static void finish(struct step *s) {
    watch_end(&s->output);
    s->phase = ENDED;
    s->record_size = record_write(s->record, &s->spec, &s->outcome, &s->spool);
    s->changed(s);
    settle(s);
}

void step_output_drain(struct step *s) {
    enum spool_result result;
    do
        result = spool_read(&s->spool, s->output.fd);
    while (result == SPOOL_MORE);
    if (result == SPOOL_FULL) {
        watch_change(&s->output, 0);
        s->changed(s);
    } else {
        finish(s);
    }
}

static void readable(struct watch *w, uint32_t events) {
    struct step *s = w->owner;
    (void)events;
    if (s->phase == DRAINING) {
        step_output_drain(s);
        return;
    }
    enum spool_result result = spool_read(&s->spool, w->fd);
    if (result == SPOOL_FULL || result == SPOOL_END) /* the step ends with its processes, even if all have closed the pipe */
        watch_change(w, 0);
    s->changed(s);
}

void step_output_begin(struct step *s, int fd) { watch_begin(&s->output, fd, EPOLLIN, readable, s); }

void step_output_acknowledge(struct step *s, uint64_t offset) {
    int was_full = spool_is_full(&s->spool);
    if (!spool_acknowledge(&s->spool, offset))
        return;
    if (s->phase == ENDED) {
        settle(s);
    } else if (was_full) {
        watch_change(&s->output, EPOLLIN);
        if (s->phase == DRAINING)
            step_output_drain(s);
    }
}

void step_output_follow(struct step *s) { s->followers++; }

void step_output_unfollow(struct step *s) {
    s->followers--;
    settle(s);
}
