/* A step's output on its way from the pipe into the spool, and the record that closes it. */
#ifndef DANUBE_STEP_OUTPUT_H
#define DANUBE_STEP_OUTPUT_H

#include "step.h"

#define ALL_TAILS_BYTES (64u << 20) /* of all ended steps together; the oldest tails are released first */

/* fd: the pipe's reading end, not blocking. The spool is open. */
void step_output_begin(struct step *s, int fd);

/* All processes have ended: reads the rest, waiting for acknowledgements if the spool is full, and writes the record. */
void step_output_drain(struct step *s);

void step_output_acknowledge(struct step *s, uint64_t offset);

/* An ended output is reduced to its tail once it is acknowledged and has no followers. */
void step_output_follow(struct step *s);
void step_output_unfollow(struct step *s);

#endif
