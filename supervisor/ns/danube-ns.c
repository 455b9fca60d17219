/* danube-ns: makes and joins the namespaces of a sandbox pod; bubblewrap does the rest.
 *
 *   danube-ns hold UID_MAP GID_MAP OWNER NETWORK CONFIRM_FD [CGROUP_PROCS ...]
 *       A process that holds a pod's user, network (unless NETWORK is `host`), IPC and UTS namespaces, and does nothing else.
 *       Its process id is printed when the maps are written and the loopback is up. OWNER: the user id that it runs as; 0 for
 *       the caller's. It exits unless a byte arrives over CONFIRM_FD: the server has recorded that it exists. Maps: id-maps.h.
 *   danube-ns within UID_MAP GID_MAP -- PROGRAM ARGUMENT...
 *       Becomes PROGRAM as root of a new user namespace with these maps: it can work on files of all their owners.
 *   danube-ns enter HOLDER NETWORK [--cgroup PROCS_FILE]... [--overlay TARGET LOWER UPPER WORK] [--stage SOURCE]...
 *                   [--mapped SOURCE UID_MAP GID_MAP]... [--rlimit NAME=VALUE]... -- PROGRAM ARGUMENT...
 *       Joins the holder's namespaces and becomes PROGRAM. As root every SOURCE is bound to /mnt/<index> of a private mount
 *       namespace first: bubblewrap resolves its sources as the pod's user, which cannot traverse a 0700 directory.
 *       --mapped does the same, and shows other owners of the files. Maps: owners.h.
 *       --overlay mounts UPPER on LOWER at TARGET, for this container only. As root the owners of LOWER are mapped into the pod
 *       by the mount itself, so that all pods share one LOWER whose owners are those of the image.
 *   danube-ns overlay HOLDER shifted|plain TARGET LOWER UPPER WORK
 *       Only tries the overlay: exit code 0 when this machine supports it.
 *   danube-ns map SOURCE TARGET UID_MAP GID_MAP
 *       Only tries what --mapped does, at TARGET: exit code 0 when this machine supports it for that file system.
 *   danube-ns listen HOLDER PORT FD
 *       Makes two sockets in the holder's network and sends them over the unix socket FD: one that listens on every address
 *       at PORT, one for datagrams at 127.0.0.1:53. The receiver serves the pod without being in it.
 *   danube-ns detach [--cgroup PROCS_FILE]... [--pid FILE] -- PROGRAM ARGUMENT...
 *       Becomes PROGRAM, and joins no namespace; its process id is written into FILE, which exists.
 *   danube-ns tied PARENT PROGRAM ARGUMENT...
 *       Becomes PROGRAM, which the kernel kills when PARENT, the process that started this, ends in any way.
 *   danube-ns launcher
 *       Serves `launch` on the socket that systemd passed: programs start in the launcher's unit, with what that allows.
 *   danube-ns launch SOCKET -- PROGRAM ARGUMENT...
 *       Lets the launcher at SOCKET start PROGRAM with this process' descriptors, environment and umask, and ends as it does.
 *
 * `hold`, `enter` and `detach` leave the caller at once: the process that remains is not its child and has a session of its own,
 * so it outlives the server. */
#include <stdio.h>
#include <string.h>

#include "detach.h"
#include "enter.h"
#include "hold.h"
#include "launcher.h"
#include "listen.h"
#include "overlay.h"
#include "owners.h"
#include "tied.h"
#include "within.h"

/* The number of arguments after the verb; each verb checks the rest. */
static const struct {
    const char *name;
    int least, most;
    int (*run)(char **argv);
} verbs[] = {
    {"hold", 5, -1, hold},
    {"within", 4, -1, within},
    {"enter", 4, -1, enter},
    {"overlay", 6, 6, try_overlay},
    {"map", 4, 4, try_map},
    {"listen", 3, 3, listen_inside},
    {"detach", 2, -1, detach_program},
    {"tied", 2, -1, tied_program},
    {"launcher", 0, 0, launcher},
    {"launch", 3, -1, launch},
};

int main(int argc, char **argv) {
    int given = argc - 2;
    for (size_t i = 0; given >= 0 && i < sizeof verbs / sizeof *verbs; i++)
        if (strcmp(argv[1], verbs[i].name) == 0 && given >= verbs[i].least && (verbs[i].most < 0 || given <= verbs[i].most))
            return verbs[i].run(argv + 2);
    fputs("usage: danube-ns hold | within | enter | overlay | map | listen | detach | tied | launcher | launch ...\n", stderr);
    return 2;
}
