/* The exec socket: the server runs a program in this container, with its own standard input, output and error. */
#ifndef DANUBE_EXEC_H
#define DANUBE_EXEC_H

#include <sys/types.h>

/* fd: a listening socket of type SOCK_SEQPACKET. */
void exec_begin(int fd);

/* Sends the status to the server if the process is one of these programs. */
void exec_reaped(pid_t pid, int status);

int is_exec_child(pid_t pid);

#endif
