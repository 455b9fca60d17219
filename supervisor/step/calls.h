/* Calls of `danube-step run`, `kill`, `freeze` and `thaw`: receives the request, finds or starts the step, and makes the caller a follower. */
#ifndef DANUBE_CALLS_H
#define DANUBE_CALLS_H

#include <stdint.h>

/* grace_ms: for requests without their own. */
void calls_configure(uint64_t grace_ms);

/* Takes over the descriptors. in: the request, then acknowledgements. out: frames. verb: see
 * client.h. Returns -1 when there are too many calls; the
 * descriptors are then still the caller's. */
int call_begin(int connection, int in, int out, char verb);

#endif
