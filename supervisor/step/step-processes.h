/* A step's processes as PID 1 sees them: it forks a reaper for each step, and plans TERM and KILL. */
#ifndef DANUBE_STEP_PROCESSES_H
#define DANUBE_STEP_PROCESSES_H

#include <sys/resource.h>

#include "step.h"

/* Starts a step and puts it on the list. Takes over what the spec points to, and clears that there. changed: see struct step.
 * Returns NULL with errno when the machine has no memory or allows no further process. */
struct step *step_start(struct spec *spec, void (*changed)(struct step *s));

/* TERM now, KILL after the grace of the step's own request. */
void step_kill(struct step *s);

/* Stops the step's processes; its timeout does not run until they continue. Returns 0, or -1 where some do not stop within a tenth
 * of a second. A step that is being ended is left alone. */
int step_freeze(struct step *s);

/* Continues them. */
void step_thaw(struct step *s);

/* A child of PID 1 was reaped, which may be a step's reaper or a command that lost its reaper. */
void steps_reaped(pid_t pid, int status, const struct rusage *usage);

/* A child of PID 1 was stopped. A step's reaper is continued at once: the step, whose user it has, must not stop what reports
 * its end. */
void steps_stopped(pid_t pid);

/* Sends the signals that are due. `steps_next_ms`: when that is, NEVER_MS for not at all. */
void steps_tick(uint64_t now);
uint64_t steps_next_ms(void);

#endif
