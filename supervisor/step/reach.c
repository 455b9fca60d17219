/* See the header. */
#define _GNU_SOURCE
#include "reach.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MOST_TARGETS 32
#define MOST_MS 60000

static const char *const OPEN = "open", *const REFUSED = "refused", *const SILENT = "silent", *const UNREACHABLE = "unreachable";

struct try {
    int fd; /* -1 once its end is known */
    const char *found;
};

static long now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static const char *named(int error) {
    if (error == 0)
        return OPEN;
    if (error == ECONNREFUSED || error == ECONNRESET)
        return REFUSED;
    return error == ETIMEDOUT ? SILENT : UNREACHABLE;
}

/* Returns the size of the address, 0 for a text that is not one. */
static socklen_t parse(const char *target, struct sockaddr_storage *out) {
    char host[INET6_ADDRSTRLEN + 2], *end;
    const char *colon = strrchr(target, ':');
    if (!colon || (size_t)(colon - target) >= sizeof host)
        return 0;
    long port = strtol(colon + 1, &end, 10);
    if (!colon[1] || *end || port < 1 || port > 65535)
        return 0;
    size_t length = (size_t)(colon - target);
    memcpy(host, target, length);
    host[length] = 0;
    memset(out, 0, sizeof *out);
    struct sockaddr_in *four = (struct sockaddr_in *)out;
    if (inet_pton(AF_INET, host, &four->sin_addr) == 1) {
        four->sin_family = AF_INET;
        four->sin_port = htons((uint16_t)port);
        return sizeof *four;
    }
    if (host[0] != '[' || host[length - 1] != ']')
        return 0;
    host[length - 1] = 0;
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)out;
    if (inet_pton(AF_INET6, host + 1, &six->sin6_addr) != 1)
        return 0;
    six->sin6_family = AF_INET6;
    six->sin6_port = htons((uint16_t)port);
    return sizeof *six;
}

static struct try begin(const struct sockaddr_storage *address, socklen_t size) {
    int fd = socket(address->ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return (struct try){-1, UNREACHABLE};
    int error = connect(fd, (const struct sockaddr *)address, size) < 0 ? errno : 0;
    if (error == EINPROGRESS)
        return (struct try){fd, SILENT};
    close(fd);
    return (struct try){-1, named(error)};
}

/* Waits until each end is known or the time is over. */
static void wait_all(struct try *tries, int count, long until) {
    struct pollfd polled[MOST_TARGETS];
    for (;;) {
        int open = 0;
        for (int i = 0; i < count; i++) {
            polled[i] = (struct pollfd){.fd = tries[i].fd, .events = POLLOUT};
            open += tries[i].fd >= 0;
        }
        long left = until - now_ms();
        if (!open || left <= 0)
            return;
        if (poll(polled, (nfds_t)count, (int)left) < 0 && errno != EINTR)
            return;
        for (int i = 0; i < count; i++) {
            int error = 0;
            socklen_t size = sizeof error;
            if (tries[i].fd < 0 || !polled[i].revents)
                continue;
            if (getsockopt(tries[i].fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
                error = errno;
            close(tries[i].fd);
            tries[i] = (struct try){-1, named(error)};
        }
    }
}

int reach(const char *milliseconds, char **targets) {
    struct sockaddr_storage addresses[MOST_TARGETS];
    struct try tries[MOST_TARGETS];
    socklen_t sizes[MOST_TARGETS];
    char *end;
    int count = 0;
    long limit = strtol(milliseconds, &end, 10);
    if (*end || limit < 1 || limit > MOST_MS || !targets[0])
        return 2;
    for (; targets[count]; count++)
        if (count == MOST_TARGETS || !(sizes[count] = parse(targets[count], &addresses[count])))
            return 2;
    for (int i = 0; i < count; i++)
        tries[i] = begin(&addresses[i], sizes[i]);
    wait_all(tries, count, now_ms() + limit);
    for (int i = 0; i < count; i++)
        printf("%s %s\n", targets[i], tries[i].found);
    return fflush(stdout) == 0 ? 0 : 2;
}
