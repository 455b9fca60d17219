/* Joining a holder's namespaces; see the header. */
#define _GNU_SOURCE
#include "namespaces.h"

#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <unistd.h>

#include "checked.h"
#include "id-maps.h"

void join_namespaces(const char *holder, int network) {
    static const char *names[] = {"user", "ipc", "uts", "net"};
    int fds[4], count = network ? 4 : 3;
    for (int i = 0; i < count; i++) {
        char path[64];
        snprintf(path, sizeof path, "/proc/%s/ns/%s", holder, names[i]);
        fds[i] = open(path, O_RDONLY | O_CLOEXEC);
        if (fds[i] < 0)
            fail("%s", path);
    }
    for (int i = 0; i < count; i++)
        if (setns(fds[i], 0) < 0)
            fail("join %s namespace of %s", names[i], holder);
    setgroups(0, NULL); /* fails where a single id is mapped, and is not needed there */
    become_root();
}

void private_mounts(void) {
    if (unshare(CLONE_NEWNS) < 0)
        fail("unshare mounts");
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        fail("private mounts");
}
