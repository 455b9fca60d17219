/* `danube-step run` and `danube-step kill`: hand standard input and output to PID 1 and wait for its last word. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "address.h"
#include "step.h"

static socklen_t address(struct sockaddr_un *out) {
    struct stat namespace;
    memset(out, 0, sizeof *out);
    out->sun_family = AF_UNIX;
    if (stat("/proc/self/ns/pid", &namespace) < 0)
        return 0;
    int size = snprintf(out->sun_path + 1, sizeof out->sun_path - 1, "danube-step/%llu", (unsigned long long)namespace.st_ino);
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)size);
}

int listen_here(void) {
    struct sockaddr_un name;
    socklen_t size = address(&name);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (size && fd >= 0 && bind(fd, (struct sockaddr *)&name, size) == 0 && listen(fd, 64) == 0)
        return fd;
    return -1;
}

int connect_here(void) {
    struct sockaddr_un name;
    struct ucred peer;
    socklen_t size = address(&name), peer_size = sizeof peer;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (!size || fd < 0 || connect(fd, (struct sockaddr *)&name, size) < 0)
        return -1;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &peer_size) == 0 && peer.pid == 1)
        return fd;
    close(fd);
    return -1;
}

int client(char verb) {
    char control[CMSG_SPACE(2 * sizeof(int))], status = 0;
    int fd = connect_here(), fds[2] = {0, 1};
    if (fd < 0) {
        fputs("danube-step: no supervisor answers in this container\n", stderr);
        return 2;
    }
    memset(control, 0, sizeof control);
    struct iovec part = {&verb, 1};
    struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof fds);
    memcpy(CMSG_DATA(c), fds, sizeof fds);
    if (sendmsg(fd, &m, MSG_NOSIGNAL) != 1)
        return 2;
    close(0); /* PID 1 has its own; a reader must see the end when that one closes */
    close(1);
    if (recv(fd, &status, 1, 0) != 1)
        return 2;
    return status == 'e' ? 0 : status == 'r' ? 1 : 2;
}
