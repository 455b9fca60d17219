/* danube-step: the supervisor in every container of a pod.
 *
 *   danube-step idle [--exec-fd N [--confirm-fd N [--user UID:GID,GROUP,...]]]
 *                                    PID 1: starts, records and ends steps; the only authority on them. It begins when a byte
 *                                    comes over the second descriptor: who made it has written down that it exists. It
 *                                    becomes the user first that the image's programs run as
 *   danube-step run                  a request on standard input, frames on standard output (protocol.h)
 *   danube-step kill                 the same for a step that is to end: TERM, then KILL
 *   danube-step version
 *
 * Nothing of a step is in an argument list. The process is not dumpable, so that a process of the same user can neither
 * trace it nor read the keys in its memory. */
#include <stdlib.h>
#include <sys/prctl.h>

#include "step.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the protocol is little-endian and not converted");

static int argument(int argc, char **argv, int at, const char *name) {
    return argc > at + 1 && strcmp(argv[at], name) == 0 ? atoi(argv[at + 1]) : -1;
}

int main(int argc, char **argv) {
    const char *verb = argc > 1 ? argv[1] : "";
    if (prctl(PR_SET_DUMPABLE, 0) < 0)
        return 2;
    if (strcmp(verb, "idle") == 0)
        return idle(argument(argc, argv, 2, "--exec-fd"), argument(argc, argv, 4, "--confirm-fd"),
                    argc > 7 && strcmp(argv[6], "--user") == 0 ? argv[7] : NULL);
    if (strcmp(verb, "run") == 0)
        return client('r');
    if (strcmp(verb, "kill") == 0)
        return client('k');
    if (strcmp(verb, "version") == 0) {
        puts("danube-step 1");
        return 0;
    }
    fputs("usage: danube-step idle [--exec-fd N [--confirm-fd N [--user IDS]]] | run | kill | version\n", stderr);
    return 2;
}
