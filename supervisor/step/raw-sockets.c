/* Raw sockets that a step asks for; see the header. */
#define _GNU_SOURCE
#include "raw-sockets.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../descriptors.h"

#define REPORT_MS 1000 /* between two reports of a step, each with a count: enough for a reader, and a storm costs nothing */

/* --- linux/seccomp.h, linux/filter.h and linux/audit.h, which musl does not have */

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
    uint64_t instruction_pointer, arguments[6];
};

struct answer {
    uint64_t id;
    int64_t value;
    int32_t error;
    uint32_t flags;
};

#define SET_FILTER 1
#define SPECULATION_ALLOWED 4u /* otherwise older kernels slow down a step that has a filter */
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

/* Returns the listener, or -1. */
static int install_filter(void) {
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

void raw_sockets_filter(int fd) {
    if (fd < 0)
        return;
    int listener = install_filter();
    if (listener >= 0) {
        (void)!send_descriptors(fd, 1, &listener, 1, MSG_DONTWAIT); /* if that fails, raw sockets fail with ENOSYS */
        close(listener);
    }
    close(fd);
}

/* --- in PID 1 */

/* `http://127.A.B.C:PORT`, as the server writes it; proxies elsewhere than on the loopback are not Danube's. */
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

/* The proxy of the step's environment, whose address identifies the step; where the step names another proxy, that of the
 * container. */
static int find_proxy(const struct spec *spec, struct sockaddr_in *out) {
    for (size_t i = 0; i < spec->env_count; i++)
        if (strncmp(spec->env[i], "HTTPS_PROXY=", 12) == 0 && parse_proxy(spec->env[i] + 12, out))
            return 1;
    return parse_proxy(getenv("HTTPS_PROXY"), out);
}

/* There is no response and no wait: on the loopback the report is in the proxy's queue when `send` returns. */
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

/* Attempts whose report cannot be sent are counted in the next one; at the step's end they are lost. */
static void report(struct raw_sockets *raw, uint64_t now) {
    raw->report_at_ms = now + REPORT_MS;
    if (send_report(&raw->proxy, raw->attempts) == 0)
        raw->attempts = 0;
}

/* One question in each round of the loop, so that a storm of one step does not delay the others. Receiving never blocks, since
 * the kernel has announced the question; it gives ENOENT if the process was killed meanwhile. */
static void answer_question(struct watch *w, uint32_t events) {
    struct raw_sockets *raw = w->owner;
    struct question question;
    memset(&question, 0, sizeof question);
    if (!(events & EPOLLIN)) {
        watch_end(w); /* the last process with the filter has ended */
        return;
    }
    if (ioctl(w->fd, RECEIVE, &question) < 0) {
        if (errno != ENOENT && errno != EINTR)
            watch_end(w);
        return;
    }
    raw->attempts++;
    if (now_ms() >= raw->report_at_ms) /* before the answer: the first attempt is reported before the program continues */
        report(raw, now_ms());
    struct answer answer = {.id = question.id, .error = -EPERM};
    if (ioctl(w->fd, ANSWER, &answer) < 0 && errno != ENOENT && errno != EINTR)
        watch_end(w);
}

static void receive_listener(struct watch *w, uint32_t events) {
    struct raw_sockets *raw = w->owner;
    char byte;
    int listener;
    (void)events;
    ssize_t size = receive_descriptors(w->fd, &byte, 1, &listener, 1);
    watch_end(w);
    if (size == 1)
        watch_begin(w, listener, EPOLLIN, answer_question, raw);
}

int raw_sockets_begin(struct raw_sockets *raw, const struct spec *spec) {
    int ends[2];
    raw->listener.fd = -1;
    if (!find_proxy(spec, &raw->proxy) || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
        return -1;
    watch_begin(&raw->listener, ends[0], EPOLLIN, receive_listener, raw);
    return ends[1];
}

void raw_sockets_close_copy(const struct raw_sockets *raw) {
    if (raw->listener.fd >= 0)
        close(raw->listener.fd);
}

void raw_sockets_tick(struct raw_sockets *raw, uint64_t now) {
    if (raw->attempts && now >= raw->report_at_ms)
        report(raw, now);
}

uint64_t raw_sockets_next_ms(const struct raw_sockets *raw) { return raw->attempts ? raw->report_at_ms : NEVER_MS; }

void raw_sockets_end(struct raw_sockets *raw) {
    if (raw->attempts)
        report(raw, now_ms());
    raw->attempts = 0;
    watch_end(&raw->listener);
}
