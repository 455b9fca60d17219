/* An image's file system with a container's changes on top; see the header. */
#define _GNU_SOURCE
#include "overlay.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "checked.h"
#include "namespaces.h"
#include "owners.h"

static int open_path(const char *path) {
    int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        fail("%s", path);
    return fd;
}

/* With the owners that the holder's user namespace gives to the ids on the disk: Linux 5.12, and 5.19 below an overlay. */
static void mount_shifted(const char *holder, const char *target, const char *lower) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%s/ns/user", holder);
    int namespace = open(path, O_RDONLY | O_CLOEXEC);
    if (namespace < 0)
        fail("%s", path);
    mount_with_owners(namespace, lower, target);
    close(namespace);
}

/* The options name descriptors, because a comma or a colon in a path would have a meaning there. */
void mount_overlay(const char *holder, int shifted, char **words, const char *options) {
    const char *target = words[0], *lower = words[1];
    char all[256];
    if (shifted) {
        mount_shifted(holder, target, lower);
        lower = target;
    }
    snprintf(all, sizeof all, "lowerdir=/proc/self/fd/%d,upperdir=/proc/self/fd/%d,workdir=/proc/self/fd/%d%s%s",
             open_path(lower), open_path(words[2]), open_path(words[3]), shifted ? "" : ",userxattr", options);
    if (mount("overlay", target, "overlay", MS_NODEV | MS_NOSUID, all) < 0)
        fail("overlay on %s", target);
}

int try_overlay(char **argv) {
    int shifted = strcmp(argv[1], "shifted") == 0;
    if (!shifted)
        join_namespaces(argv[0], 0);
    private_mounts();
    mount_overlay(argv[0], shifted, argv + 2, "");
    return 0;
}
