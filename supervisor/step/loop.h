/* The event loop of PID 1: watched descriptors, a clock, and one function that runs after each round.
 *
 * The lowest module: it calls the others only through the functions that they register. */
#ifndef DANUBE_LOOP_H
#define DANUBE_LOOP_H

#include <stdint.h>

#define NEVER_MS UINT64_MAX

/* A watched descriptor. The loop calls `ready` with the events of epoll(7) that occurred. */
struct watch {
    int fd;
    uint32_t events;
    void (*ready)(struct watch *self, uint32_t events);
    void *owner;
};

/* The monotonic clock. */
uint64_t now_us(void);
uint64_t now_ms(void);

/* Must be called before anything is watched. Returns 0, or -1. */
int loop_open(void);

/* Runs until the process exits. next_ms: when `tick` has to run next even if nothing happens, NEVER_MS for not at all. */
void loop_run(uint64_t (*next_ms)(void), void (*tick)(uint64_t now)) __attribute__((noreturn));

void watch_begin(struct watch *w, int fd, uint32_t events, void (*ready)(struct watch *, uint32_t), void *owner);

/* No events: the descriptor is not watched. */
void watch_change(struct watch *w, uint32_t events);

/* Closes the descriptor too. Does nothing for a watch that has ended or was never begun. */
void watch_end(struct watch *w);

#endif
