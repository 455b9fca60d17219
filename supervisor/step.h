/* What the supervisor's parts share: a step, a follower of it, the loop. See danube-step.c for the whole. */
#ifndef DANUBE_STEP_H
#define DANUBE_STEP_H

#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#include "blake2b.h"
#include "protocol.h"

#define RING_BYTES (8u << 20)      /* a step may be this far ahead of its slowest acknowledgement */
#define TAIL_BYTES (1u << 20)      /* kept of an ended step's output, for a result that is asked for again */
#define ALL_TAILS_BYTES (64u << 20) /* of all ended steps together; the oldest tail goes first */
#define FRAME_BYTES (1u << 20)
#define MAX_STEPS 4096             /* records are never forgotten while the container lives */
#define MAX_RUNNING 64
#define MAX_FOLLOWERS 256
#define MAX_EXECS 256
#define HEARTBEAT_MS 2000
#define REQUEST_MS 10000           /* for a request to arrive whole */
#define DEFAULT_GRACE_MS 5000

/* A watched descriptor; the loop calls `ready`. */
struct watch {
    int fd;
    uint32_t events;
    void (*ready)(struct watch *self, uint32_t events);
    void *owner;
};

/* What the step's own reaper tells PID 1, in one write each. */
struct report {
    char kind; /* 'P' the command's process id, 'X' it could not be started, 'C' how it ended, 'E' the tree is gone */
    pid_t pid;
    int status;
    uint32_t leftovers;
    struct rusage usage;
    char error[160];
};

struct spec {
    char id[128];
    uint32_t attempt;
    uint8_t key[32];
    char *command; /* NULL: follow only */
    char **env;
    size_t env_count;
    char *workdir;
    uint64_t timeout_ms, grace_ms, from_offset;
    char user[32];
    int kill;
};

/* Raw sockets that a step has asked for. listener: of who hands it over, then of the kernel's questions. attempts: not told yet. */
struct raw_sockets {
    struct watch listener;
    struct sockaddr_in proxy;
    uint64_t attempts, report_at_ms;
};

enum phase { RUNNING, DRAINING, ENDED };

struct step {
    struct step *next;
    struct spec spec;
    enum phase phase;
    pid_t reaper, command;
    int reaper_gone, command_reaped, have_end;
    struct watch output, reports;
    struct raw_sockets raw_sockets;
    uint8_t *ring;
    size_t capacity;
    uint64_t written, held_from, acknowledged;
    struct blake2b hash;
    uint64_t started_ms, started_us, term_at_ms, kill_at_ms;
    int timed_out, killed;
    struct report end;
    uint64_t wall_us;
    uint8_t record[512];
    size_t record_size;
};

struct follower {
    struct watch in, out, connection;
    struct step *step;
    int asks_kill, used, finished;
    uint8_t *request;
    size_t request_size;
    uint64_t offset, data_left, deadline_ms, heartbeat_ms;
    uint8_t pending[1024];
    size_t pending_size, pending_sent;
    uint8_t ack[9];
    size_t ack_size;
    int end_sent, refused;
};

extern struct step *steps;
extern struct follower followers[MAX_FOLLOWERS];

/* idle.c: the loop */
uint64_t now_ms(void);
uint64_t now_us(void);
void watch_begin(struct watch *w, int fd, uint32_t events, void (*ready)(struct watch *, uint32_t), void *owner);
void watch_change(struct watch *w, uint32_t events);
void watch_end(struct watch *w);
int idle(int exec_fd, int confirm_fd, char *ids);
int is_exec_child(pid_t pid);
ssize_t receive(int fd, char *data, size_t room, int *fds, size_t want);

/* tree.c: processes by their descent */
typedef int (*chosen)(pid_t pid, void *context);
size_t signal_descendants(pid_t ancestor, int number, chosen choose, void *context);

/* start.c: a step's beginning, its reaper, its end */
int step_start(struct step *s);
void step_tick(struct step *s, uint64_t now);
uint64_t step_next_ms(const struct step *s);
void step_kill(struct step *s);
void steps_reaped(pid_t pid, int status, const struct rusage *usage);
struct step *step_find(const char *id, uint32_t attempt);

/* raw-sockets.c: refused to a step, and told to the pod's egress proxy */
int raw_sockets_begin(struct raw_sockets *raw, const struct spec *spec); /* the command's end, or -1 where nothing is to count */
void raw_sockets_leave(const struct raw_sockets *raw);
void raw_sockets_hand_over(int fd);
void raw_sockets_tick(struct raw_sockets *raw, uint64_t now);
uint64_t raw_sockets_next_ms(const struct raw_sockets *raw);
void raw_sockets_end(struct raw_sockets *raw);

/* spool.c: a step's output and its record */
void spool_begin(struct step *s, int fd);
void spool_acknowledge(struct step *s, uint64_t offset);
void spool_drain(struct step *s);
void spool_settle(struct step *s);
int spool_regions(const struct step *s, uint64_t offset, uint64_t size, struct iovec *out);

/* follow.c: connections that follow a step */
int follower_begin(int connection, int in, int out, int asks_kill);
void follower_tick(struct follower *f, uint64_t now);
uint64_t follower_next_ms(const struct follower *f);
void followers_flush(struct step *s);
void followers_overtaken(struct step *s);

/* request.c */
int request_parse(const uint8_t *body, size_t size, struct spec *out);
void spec_free(struct spec *s);

/* client.c */
int client(char verb);

/* Close every descriptor from first to last. The call itself (Linux 5.9): older C libraries have no function for it. */
static inline void close_between(unsigned first, unsigned last) {
    syscall(SYS_close_range, first, last, 0);
}

#endif
