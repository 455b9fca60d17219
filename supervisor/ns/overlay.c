/* An image's file system with a container's changes on top; see the header. */
#define _GNU_SOURCE
#include "overlay.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "checked.h"
#include "namespaces.h"

/* The system calls of linux/mount.h, which C libraries do not have. */
#define SYSTEM_OPEN_TREE 428
#define SYSTEM_MOVE_MOUNT 429
#define SYSTEM_MOUNT_SETATTR 442
#define CLONE_TREE 1          /* OPEN_TREE_CLONE */
#define TREE_ITSELF 0x1000    /* AT_EMPTY_PATH */
#define FROM_TREE_ITSELF 4    /* MOVE_MOUNT_F_EMPTY_PATH */
#define MAP_OWNERS 0x00100000 /* MOUNT_ATTR_IDMAP */

static int open_path(const char *path) {
    int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        fail("%s", path);
    return fd;
}

/* Mounts `lower` at `target` with the owners that the holder's user namespace gives to the ids on the disk: Linux 5.12, and 5.19
 * below an overlay. */
static void mount_shifted(const char *holder, const char *target, const char *lower) {
    struct {
        uint64_t set, clear, propagation, userns;
    } attributes = {.set = MAP_OWNERS};
    char path[64];
    snprintf(path, sizeof path, "/proc/%s/ns/user", holder);
    int namespace = open(path, O_RDONLY | O_CLOEXEC);
    int tree = (int)syscall(SYSTEM_OPEN_TREE, AT_FDCWD, lower, O_CLOEXEC | CLONE_TREE);
    if (namespace < 0 || tree < 0)
        fail("%s of %s", lower, holder);
    attributes.userns = (uint64_t)namespace;
    if (syscall(SYSTEM_MOUNT_SETATTR, tree, "", TREE_ITSELF, &attributes, sizeof attributes) < 0)
        fail("map the owners of %s", lower);
    if (syscall(SYSTEM_MOVE_MOUNT, tree, "", AT_FDCWD, target, FROM_TREE_ITSELF) < 0)
        fail("mount on %s", target);
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
