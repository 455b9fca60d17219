/* danube-step: the supervisor in every container of a pod.
 *
 *   danube-step idle [--exec-fd N] [--confirm-fd N] [--user UID:GID,GROUP,...] [--heartbeat-ms N] [--grace-ms N]
 *       PID 1: starts, records and ends steps; the only authority on them.
 *       --exec-fd: a listening socket, over which the server runs programs in the container.
 *       --confirm-fd: begin when a byte arrives, which confirms that the server has recorded this container.
 *       --user: the image's user, to become before anything else.
 *       --heartbeat-ms: between two heartbeats to a follower while its step prints nothing; 2000 if not given.
 *       --grace-ms: between TERM and KILL for a step whose request has no grace; 5000 if not given.
 *   danube-step run
 *       Reads a request from standard input and writes frames to standard output; see protocol.h.
 *   danube-step kill
 *       The same, for a step that is to be stopped: TERM, then KILL.
 *   danube-step freeze
 *       The same, for a step whose processes are stopped until `danube-step thaw`; its timeout does not run meanwhile. The first
 *       frame says that they are, or a refusal that some are not.
 *   danube-step thaw
 *       The same, to continue them.
 *   danube-step reach MILLISECONDS ADDRESS:PORT...
 *       Prints which of these ports can be reached from the container; see reach.h.
 *   danube-step pack PATH...
 *       Writes the files at these paths as an archive; see archive.h.
 *   danube-step unpack PATH...
 *       Reads such an archive, and puts the files at these paths.
 *   danube-step capture
 *       Waits while a step runs, and writes what it has changed as an archive; see snapshot.h.
 *   danube-step apply
 *       Reads such an archive, and makes these changes.
 *   danube-step shell
 *       An interactive shell for a user of the server; see shell.h.
 *   danube-step end
 *       Ends the container, PID 1 included. Only a program that was started from outside of the container may.
 *   danube-step version
 *
 * Nothing of a step is in an argument list. The process is not dumpable, so that a process of the same user can neither
 * trace it nor read the keys in its memory. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include "archive.h"
#include "client.h"
#include "idle.h"
#include "reach.h"
#include "shell.h"
#include "snapshot.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the protocol is little-endian, and nothing here converts it");

/* A whole number in decimal, at least `minimum`. Returns 0, or -1. */
static int parse_number(const char *text, long minimum, long *out) {
    char *end;
    *out = strtol(text, &end, 10);
    return *text && !*end && *out >= minimum && *out <= 1 << 30 ? 0 : -1;
}

/* Pairs of an option and its value. Returns 0, or -1 for anything else. */
static int parse_options(char **words, struct idle_options *out) {
    *out = (struct idle_options){
        .exec_fd = -1, .confirm_fd = -1, .heartbeat_ms = DEFAULT_HEARTBEAT_MS, .grace_ms = DEFAULT_GRACE_MS};
    for (; words[0]; words += 2) {
        long value;
        if (!words[1])
            return -1;
        if (strcmp(words[0], "--user") == 0)
            out->user = words[1];
        else if (strcmp(words[0], "--exec-fd") == 0 && parse_number(words[1], 0, &value) == 0)
            out->exec_fd = (int)value;
        else if (strcmp(words[0], "--confirm-fd") == 0 && parse_number(words[1], 0, &value) == 0)
            out->confirm_fd = (int)value;
        else if (strcmp(words[0], "--heartbeat-ms") == 0 && parse_number(words[1], 1, &value) == 0)
            out->heartbeat_ms = (uint64_t)value;
        else if (strcmp(words[0], "--grace-ms") == 0 && parse_number(words[1], 0, &value) == 0)
            out->grace_ms = (uint64_t)value;
        else
            return -1;
    }
    return 0;
}

int main(int argc, char **argv) {
    const char *verb = argc > 1 ? argv[1] : "";
    struct idle_options options;
    if (prctl(PR_SET_DUMPABLE, 0) < 0)
        return 2;
    if (strcmp(verb, "idle") == 0 && parse_options(argv + 2, &options) == 0)
        return idle(&options);
    if (strcmp(verb, "run") == 0)
        return client('r');
    if (strcmp(verb, "kill") == 0)
        return client('k');
    if (strcmp(verb, "freeze") == 0)
        return client('f');
    if (strcmp(verb, "thaw") == 0)
        return client('t');
    if (strcmp(verb, "reach") == 0 && argc > 3)
        return reach(argv[2], argv + 3);
    if (strcmp(verb, "pack") == 0 && argc > 2)
        return pack(argv + 2);
    if (strcmp(verb, "unpack") == 0 && argc > 2)
        return unpack(argv + 2);
    if (strcmp(verb, "capture") == 0)
        return capture();
    if (strcmp(verb, "apply") == 0)
        return apply();
    if (strcmp(verb, "shell") == 0)
        return shell();
    if (strcmp(verb, "end") == 0)
        return end_container();
    if (strcmp(verb, "version") == 0) {
        puts("danube-step 1");
        return 0;
    }
    fputs("usage: danube-step idle [--exec-fd N] [--confirm-fd N] [--user IDS] [--heartbeat-ms N] [--grace-ms N]\n"
          "       danube-step run | kill | freeze | thaw | reach MILLISECONDS ADDRESS:PORT... | pack PATH... | unpack PATH... | capture | apply | shell | end | version\n",
          stderr);
    return 2;
}
