/* `danube-step idle`: PID 1 of a container. */
#ifndef DANUBE_IDLE_H
#define DANUBE_IDLE_H

#include <stdint.h>

#define DEFAULT_HEARTBEAT_MS 2000
#define DEFAULT_GRACE_MS 5000

struct idle_options {
    int exec_fd;           /* -1: the server runs no programs in this container */
    int confirm_fd;        /* -1: begin at once */
    const char *user;      /* UID:GID,GROUP,...; NULL: stay */
    uint64_t heartbeat_ms; /* between two heartbeats while a step prints nothing */
    uint64_t grace_ms;     /* between TERM and KILL, for requests without their own */
};

/* Returns only when it cannot begin: the exit code. */
int idle(const struct idle_options *options);

#endif
