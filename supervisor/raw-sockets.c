/* Raw sockets that a step asks for: refused, as the kernel would refuse them, and told to the pod's egress proxy.
 *
 * The command puts a filter on itself that makes the kernel ask about socket(2) for a raw socket and about nothing else, and
 * hands what the kernel asks through (the listener) to PID 1. That alone holds it: when it is closed, or gone with PID 1, the
 * call fails with ENOSYS and nobody waits. The filter gives no right and takes none, since no pod has CAP_NET_RAW: it is there
 * to count. So wherever it cannot be had (an old kernel, a listener further out, no proxy) the step runs without. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "step.h"

#define REPORT_MS 1000 /* between two reports of a step, each with a count: a person reads it, a storm must cost nothing */

/* --- linux/seccomp.h, linux/filter.h and linux/audit.h, which musl does not bring */

struct instruction {
    uint16_t code;
    uint8_t if_true, if_false;
    uint32_t value;
};

struct program {
    unsigned short length;
    const struct instruction *code;
};

struct question {
    uint64_t id;
    uint32_t pid, flags;
    int32_t number;
    uint32_t architecture;
    uint64_t place, arguments[6];
};

struct answer {
    uint64_t id;
    int64_t value;
    int32_t error;
    uint32_t flags;
};

#define SET_FILTER 1
#define SPECULATION_ALLOWED 4u /* or older kernels slow the whole step down for having a filter */
#define NEW_LISTENER 8u
#define RECEIVE _IOWR('!', 0, struct question)
#define ANSWER _IOWR('!', 1, struct answer)
#define ASK 0x7fc00000u
#define ALLOW 0x7fff0000u
#define LOAD 0x20
#define AND 0x54
#define JUMP_EQUAL 0x15
#define RETURN 0x06
#define NUMBER 0
#define ARCHITECTURE 4
#define FAMILY 16 /* the low halves of the arguments, which are ints */
#define KIND 24
#define KIND_BITS 0xf /* the others are SOCK_CLOEXEC and SOCK_NONBLOCK */

#if defined(__x86_64__)
#define NATIVE 0xc000003eu
#elif defined(__aarch64__)
#define NATIVE 0xc00000b7u
#endif

/* --- in the command's process, before it becomes the command */

/* The filter; its listener, or -1. */
static int put_filter(void) {
#ifdef NATIVE
    static const struct instruction code[] = {
        {LOAD, 0, 0, ARCHITECTURE},
        {JUMP_EQUAL, 0, 10, NATIVE},
        {LOAD, 0, 0, NUMBER},
        {JUMP_EQUAL, 0, 8, SYS_socket},
        {LOAD, 0, 0, FAMILY},
        {JUMP_EQUAL, 7, 0, AF_PACKET},
        {JUMP_EQUAL, 1, 0, AF_INET},
        {JUMP_EQUAL, 0, 4, AF_INET6},
        {LOAD, 0, 0, KIND},
        {AND, 0, 0, KIND_BITS},
        {JUMP_EQUAL, 2, 0, SOCK_RAW},
        {JUMP_EQUAL, 1, 0, SOCK_PACKET}, /* AF_PACKET by its old name */
        {RETURN, 0, 0, ALLOW},
        {RETURN, 0, 0, ASK},
    };
    struct program program = {sizeof code / sizeof *code, code};
    return (int)syscall(SYS_seccomp, SET_FILTER, NEW_LISTENER | SPECULATION_ALLOWED, &program);
#else
    return -1;
#endif
}

void raw_sockets_hand_over(int fd) {
    if (fd < 0)
        return;
    int listener = put_filter();
    if (listener >= 0) {
        char byte = 1, control[CMSG_SPACE(sizeof listener)];
        memset(control, 0, sizeof control);
        struct iovec part = {&byte, 1};
        struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
        struct cmsghdr *c = CMSG_FIRSTHDR(&m);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof listener);
        memcpy(CMSG_DATA(c), &listener, sizeof listener);
        (void)!sendmsg(fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT); /* not sent: closed below, and raw sockets fail with ENOSYS */
        close(listener);
    }
    close(fd);
}

/* --- in PID 1 */

/* Of the loopback alone: `http://127.A.B.C:PORT`, as core/egress/policy.py writes it. */
static int parse_proxy(const char *url, struct sockaddr_in *out) {
    char host[16];
    unsigned port;
    int end = 0;
    memset(out, 0, sizeof *out);
    out->sin_family = AF_INET;
    if (!url || sscanf(url, "http://%15[0-9.]:%5u%n", host, &port, &end) != 2 || url[end] || port == 0 || port > 65535)
        return 0;
    out->sin_port = htons((uint16_t)port);
    return inet_pton(AF_INET, host, &out->sin_addr) == 1 && ntohl(out->sin_addr.s_addr) >> 24 == 127;
}

/* What the step was given, by which the proxy knows it; where its author has put another proxy there, the container's. */
static int find_proxy(const struct spec *spec, struct sockaddr_in *out) {
    for (size_t i = 0; i < spec->env_count; i++)
        if (strncmp(spec->env[i], "HTTPS_PROXY=", 12) == 0 && parse_proxy(spec->env[i] + 12, out))
            return 1;
    return parse_proxy(getenv("HTTPS_PROXY"), out);
}

/* Nobody answers and nothing is waited for: on the loopback it is in the proxy's queue when `send` returns. */
static int send_report(const struct sockaddr_in *proxy, uint64_t attempts) {
    char text[128];
    int size = snprintf(text, sizeof text, "REPORT raw-socket HTTP/1.1\r\nHost: danube\r\nAttempts: %llu\r\n\r\n",
                        (unsigned long long)attempts);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    int sent = -1;
    if (connect(fd, (const struct sockaddr *)proxy, sizeof *proxy) == 0 || errno == EINPROGRESS)
        sent = send(fd, text, (size_t)size, MSG_NOSIGNAL | MSG_DONTWAIT) == size ? 0 : -1;
    close(fd);
    return sent;
}

/* A report that cannot be sent is tried again with the next one; at the step's end it is lost, and nothing else is. */
static void report(struct raw_sockets *raw, uint64_t now) {
    raw->report_at_ms = now + REPORT_MS;
    if (send_report(&raw->proxy, raw->attempts) == 0)
        raw->attempts = 0;
}

/* One a round of the loop, so that a storm of one step keeps nobody else waiting. The kernel has as many as it has told of, so
 * that receiving never blocks; one whose process was killed meanwhile gives ENOENT. */
static void asked(struct watch *w, uint32_t events) {
    struct raw_sockets *raw = w->owner;
    struct question question;
    memset(&question, 0, sizeof question);
    if (!(events & EPOLLIN)) {
        watch_end(w); /* no process has the filter any more */
        return;
    }
    if (ioctl(w->fd, RECEIVE, &question) < 0) {
        if (errno != ENOENT && errno != EINTR)
            watch_end(w);
        return;
    }
    raw->attempts++;
    if (now_ms() >= raw->report_at_ms) /* before the answer: the first attempt is told before the program goes on */
        report(raw, now_ms());
    struct answer answer = {.id = question.id, .error = -EPERM};
    if (ioctl(w->fd, ANSWER, &answer) < 0 && errno != ENOENT && errno != EINTR)
        watch_end(w);
}

static void handed_over(struct watch *w, uint32_t events) {
    struct raw_sockets *raw = w->owner;
    char byte;
    int listener;
    (void)events;
    ssize_t size = receive(w->fd, &byte, 1, &listener, 1);
    watch_end(w);
    if (size == 1)
        watch_begin(w, listener, EPOLLIN, asked, raw);
}

int raw_sockets_begin(struct raw_sockets *raw, const struct spec *spec) {
    int ends[2];
    raw->listener.fd = -1;
    if (!find_proxy(spec, &raw->proxy) || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
        return -1;
    watch_begin(&raw->listener, ends[0], EPOLLIN, handed_over, raw);
    return ends[1];
}

/* In a process that PID 1 has forked: a call must not wait for whoever only has a copy. */
void raw_sockets_leave(const struct raw_sockets *raw) {
    if (raw->listener.fd >= 0)
        close(raw->listener.fd);
}

void raw_sockets_tick(struct raw_sockets *raw, uint64_t now) {
    if (raw->attempts && now >= raw->report_at_ms)
        report(raw, now);
}

uint64_t raw_sockets_next_ms(const struct raw_sockets *raw) { return raw->attempts ? raw->report_at_ms : UINT64_MAX; }

void raw_sockets_end(struct raw_sockets *raw) {
    if (raw->attempts)
        report(raw, now_ms());
    raw->attempts = 0;
    watch_end(&raw->listener);
}
