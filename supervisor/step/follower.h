/* A follower: a call of `danube-step run`, `kill`, `freeze` or `thaw` that receives a step's frames. It never blocks PID 1, and is dropped when
 * its reader disconnects. */
#ifndef DANUBE_FOLLOWER_H
#define DANUBE_FOLLOWER_H

#include <stddef.h>
#include <stdint.h>

#include "loop.h"
#include "step.h"

#define LINGER_MS 10000 /* after the last frame, for the last acknowledgements */

/* in: the request, then acknowledgements. out: frames. connection: of the process `danube-step run`, which waits for its exit status. */
struct follower {
    struct watch in, out, connection;
    struct step *step; /* NULL until the request has been accepted */
    char verb; /* of the call: see client.h */
    int used, refused, end_sent, finished;
    uint8_t *request; /* as much as has arrived; NULL once it has been accepted */
    size_t request_size;
    uint64_t offset, data_left, deadline_ms, heartbeat_ms;
    uint8_t pending[1024]; /* a frame, or a data frame's head with `data_left` bytes of the spool after it */
    size_t pending_size, pending_sent;
    uint8_t ack[9];
    size_t ack_size;
};

/* The byte that `danube-step run` and `kill` receive at the end. */
enum follower_status { FOLLOWER_ENDED = 'e', FOLLOWER_REFUSED = 'r', FOLLOWER_LOST = 'l' };

/* Takes over the descriptors, and watches all but the input. Returns NULL when there are too many followers; the descriptors are
 * then still the caller's. deadline_ms: when the follower ends if no request has been accepted. */
struct follower *follower_new(int connection, int out, uint64_t deadline_ms);

/* Sends the first frame, then the output from an offset on that the spool holds. fresh: this call has started the step. */
void follower_follow(struct follower *f, struct step *s, uint64_t offset, int fresh);

/* Sends the refusal as the only frame, and ends. */
void follower_refuse(struct follower *f, const char *code, const char *message);

/* The input is readable: acknowledgements, or the end of the input. */
void follower_acknowledge(struct follower *f);

void follower_end(struct follower *f, enum follower_status status);

/* For struct step: sends what is new to the step's followers. */
void followers_step_changed(struct step *s);

/* interval_ms: of heartbeats, while there is no output. */
void followers_heartbeat(uint64_t interval_ms);
void followers_tick(uint64_t now);
uint64_t followers_next_ms(void);

#endif
