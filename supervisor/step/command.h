/* The last part of a step's own process before it becomes the command. */
#ifndef DANUBE_COMMAND_H
#define DANUBE_COMMAND_H

#include "request.h"

/* Descriptors of a step's processes. raw_sockets: of raw_sockets_begin, or -1. */
struct step_pipes {
    int output, report, raw_sockets;
};

/* Becomes the command, or reports why it cannot and exits with 127. */
void become_command(struct spec *spec, const struct step_pipes *pipes) __attribute__((noreturn));

#endif
