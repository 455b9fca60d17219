/* Raw sockets that a step asks for: denied, as the kernel would deny them, counted, and reported to the pod's egress proxy.
 *
 * The command installs a filter on itself that makes the kernel ask about socket(2) for a raw socket and about nothing else, and
 * sends the descriptor of these questions (the listener) to PID 1, which is its only owner. When PID 1 closes it or ends, the
 * call fails with ENOSYS and no process waits. The filter grants nothing and takes nothing away, since no pod has CAP_NET_RAW:
 * it exists to count. So where it cannot be installed (an old kernel, a listener further out, no proxy) the step runs without. */
#ifndef DANUBE_RAW_SOCKETS_H
#define DANUBE_RAW_SOCKETS_H

#include <netinet/in.h>
#include <stdint.h>

#include "loop.h"
#include "request.h"

/* listener: first the socket that the listener arrives on, then the listener. attempts: not reported yet. */
struct raw_sockets {
    struct watch listener;
    struct sockaddr_in proxy;
    uint64_t attempts, report_at_ms;
};

/* In PID 1, before a step is started. Returns the descriptor for the step's command, or -1 where nothing is counted. */
int raw_sockets_begin(struct raw_sockets *raw, const struct spec *spec);

/* In a process that PID 1 has forked: closes its copy, so that a call does not wait for a process that cannot answer it. */
void raw_sockets_close_copy(const struct raw_sockets *raw);

/* In the command's process: installs the filter and closes the descriptor. -1: does nothing. */
void raw_sockets_filter(int fd);

/* In PID 1: sends the report that is due. `raw_sockets_next_ms`: when that is, NEVER_MS for not at all. */
void raw_sockets_tick(struct raw_sockets *raw, uint64_t now);
uint64_t raw_sockets_next_ms(const struct raw_sockets *raw);

/* In PID 1, when the step has ended: sends the last report. */
void raw_sockets_end(struct raw_sockets *raw);

#endif
