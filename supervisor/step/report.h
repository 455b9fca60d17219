/* What a step's command and its reaper report to PID 1 through a pipe, each report in one write. */
#ifndef DANUBE_REPORT_H
#define DANUBE_REPORT_H

#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

enum report_kind {
    REPORT_STARTED = 'P',     /* pid: of the command */
    REPORT_NOT_STARTED = 'X', /* error: why */
    REPORT_EXITED = 'C',      /* status: of the command */
    REPORT_TREE_ENDED = 'E',  /* status, usage, leftovers: of the whole tree */
};

struct report {
    char kind;
    pid_t pid;
    int status;         /* as wait(2) has it */
    uint32_t leftovers; /* processes that were killed after the command had ended */
    struct rusage usage;
    char error[160];
};

#endif
