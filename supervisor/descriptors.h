/* Descriptors between processes: sending and receiving them over unix sockets, and closing those that must not be inherited. */
#ifndef DANUBE_DESCRIPTORS_H
#define DANUBE_DESCRIPTORS_H

#include <stddef.h>
#include <sys/types.h>

#define MAX_DESCRIPTORS 3 /* in one message: standard input, output and error of a program */

/* Sends one byte with `count` descriptors. flags: of sendmsg(2), in addition to MSG_NOSIGNAL. Returns 0, or -1. */
int send_descriptors(int socket, char byte, const int *fds, size_t count, int flags);

/* Receives a message with exactly `count` descriptors. Returns its size, or -1 at the end of the connection and for any other
 * message; the descriptors of such a message are closed. */
ssize_t receive_descriptors(int socket, char *data, size_t room, int *fds, size_t count);

/* Closes every descriptor from first to last. */
void close_between(unsigned first, unsigned last);

#endif
