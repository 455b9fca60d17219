/* Descriptors between processes; see the header. */
#define _GNU_SOURCE
#include "descriptors.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* The alignment that CMSG_FIRSTHDR expects. */
union control {
    char bytes[CMSG_SPACE(MAX_DESCRIPTORS * sizeof(int))];
    struct cmsghdr align;
};

int send_descriptors(int socket, char byte, const int *fds, size_t count, int flags) {
    union control control;
    memset(&control, 0, sizeof control);
    struct iovec part = {&byte, 1};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = CMSG_SPACE(count * sizeof(int))};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(count * sizeof(int));
    memcpy(CMSG_DATA(header), fds, count * sizeof(int));
    return sendmsg(socket, &message, MSG_NOSIGNAL | flags) == 1 ? 0 : -1;
}

/* Stores the first `want` descriptors of a message and closes the others. Returns how many are stored. */
static size_t take_descriptors(struct msghdr *message, int *fds, size_t want) {
    size_t stored = 0;
    for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header; header = CMSG_NXTHDR(message, header)) {
        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
            continue;
        size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++) {
            int received;
            memcpy(&received, CMSG_DATA(header) + i * sizeof(int), sizeof received);
            if (stored < want)
                fds[stored++] = received;
            else
                close(received);
        }
    }
    return stored;
}

ssize_t receive_descriptors(int socket, char *data, size_t room, int *fds, size_t count) {
    union control control;
    struct iovec part = {data, room};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
    ssize_t size = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    if (size < 0)
        return -1;
    size_t stored = take_descriptors(&message, fds, count);
    if (stored == count && size > 0)
        return size;
    for (size_t i = 0; i < stored; i++)
        close(fds[i]);
    return -1;
}

/* The system call (Linux 5.9), because older C libraries have no function for it. */
void close_between(unsigned first, unsigned last) { syscall(SYS_close_range, first, last, 0); }
