/* A step's reaper: the process between PID 1 and the command. It adopts whatever the command leaves behind. */
#ifndef DANUBE_REAPER_H
#define DANUBE_REAPER_H

#include "command.h"
#include "request.h"

/* In a process that PID 1 has forked for this: starts the command, waits for it, kills the rest of its tree, reports each of
 * these to PID 1, and exits. */
void reaper_run(struct spec *spec, const struct step_pipes *pipes) __attribute__((noreturn));

#endif
