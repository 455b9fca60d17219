/* The verb `listen`: sockets of a pod's network for a process outside of it. */
#define _GNU_SOURCE
#include "listen.h"

#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "../descriptors.h"
#include "checked.h"
#include "namespaces.h"

#define BACKLOG 1024
#define DNS_PORT 53

/* A socket belongs to the network namespace in which it was made, whichever process has its descriptor. */
static int bind_socket(int type, uint32_t address, uint16_t port) {
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(address)};
    int one = 1, fd = socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) < 0 ||
        bind(fd, (struct sockaddr *)&name, sizeof name) < 0)
        fail("bind port %u", port);
    return fd;
}

int listen_inside(char **argv) {
    join_namespaces(argv[0], 1);
    int fds[2] = {bind_socket(SOCK_STREAM, INADDR_ANY, (uint16_t)atoi(argv[1])),
                  bind_socket(SOCK_DGRAM, INADDR_LOOPBACK, DNS_PORT)};
    if (listen(fds[0], BACKLOG) < 0)
        fail("listen");
    if (send_descriptors(atoi(argv[2]), 1, fds, 2, 0) < 0)
        fail("send the sockets");
    return 0;
}
