/* A step as PID 1 knows it, and the list of all steps of this container. */
#ifndef DANUBE_STEP_H
#define DANUBE_STEP_H

#include <stdint.h>
#include <sys/types.h>

#include "loop.h"
#include "raw-sockets.h"
#include "record.h"
#include "request.h"
#include "spool.h"

#define MAX_STEPS 4096 /* records are kept as long as the container exists */
#define MAX_RUNNING 64

/* RUNNING: there may be processes. DRAINING: there are none, and their output is read to the end. ENDED: there is a record. */
enum phase { RUNNING, DRAINING, ENDED };

struct step {
    struct step *next; /* older */
    struct spec spec;
    enum phase phase;
    pid_t reaper, command;
    int reaper_gone, command_reaped, tree_ended;
    struct watch output, reports;
    struct raw_sockets raw_sockets;
    struct spool spool;
    struct outcome outcome;
    uint64_t started_us, term_at_ms, kill_at_ms; /* 0: not planned */
    uint64_t frozen_at_ms;                       /* 0: not frozen */
    uint8_t record[RECORD_BYTES];
    size_t record_size;
    size_t followers;
    void (*changed)(struct step *s); /* there is output, a part of it was overwritten, or the step has ended */
};

extern struct step *steps; /* newest first */

/* NULL when there is none. */
struct step *step_find(const char *id, uint32_t attempt);

/* Whether the container's limits allow another step. */
int step_is_allowed(void);

#endif
