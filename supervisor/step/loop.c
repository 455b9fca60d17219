/* The event loop of PID 1; see the header. */
#include "loop.h"

#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#define EVENTS_PER_ROUND 64

static int loop = -1;

uint64_t now_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

uint64_t now_ms(void) { return now_us() / 1000; }

int loop_open(void) {
    loop = epoll_create1(EPOLL_CLOEXEC);
    return loop < 0 ? -1 : 0;
}

/* epoll refuses regular files; they are always ready, so nothing needs to wait for them. */
void watch_change(struct watch *w, uint32_t events) {
    if (w->fd < 0 || w->events == events)
        return;
    struct epoll_event e = {.events = events, .data.ptr = w};
    epoll_ctl(loop, events == 0 ? EPOLL_CTL_DEL : w->events == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, w->fd, &e);
    w->events = events;
}

void watch_begin(struct watch *w, int fd, uint32_t events, void (*ready)(struct watch *, uint32_t), void *owner) {
    *w = (struct watch){fd, 0, ready, owner};
    watch_change(w, events);
}

void watch_end(struct watch *w) {
    if (!w->ready || w->fd < 0)
        return;
    watch_change(w, 0);
    close(w->fd);
    w->fd = -1;
}

static int timeout_ms(uint64_t next) {
    uint64_t now = now_ms();
    if (next == NEVER_MS)
        return -1;
    return next <= now ? 0 : (int)(next - now);
}

void loop_run(uint64_t (*next_ms)(void), void (*tick)(uint64_t now)) {
    for (;;) {
        struct epoll_event ready[EVENTS_PER_ROUND];
        int count = epoll_wait(loop, ready, EVENTS_PER_ROUND, timeout_ms(next_ms()));
        for (int i = 0; i < count; i++) {
            struct watch *w = ready[i].data.ptr;
            if (w->fd >= 0 && w->events) /* an earlier event of this round may have ended it */
                w->ready(w, ready[i].events);
        }
        tick(now_ms());
    }
}
