/* Mounts that show other owners than those on the disk; see the header. */
#define _GNU_SOURCE
#include "owners.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "checked.h"
#include "id-maps.h"
#include "namespaces.h"

/* The system calls of linux/mount.h, which C libraries do not have. */
#define SYSTEM_OPEN_TREE 428
#define SYSTEM_MOVE_MOUNT 429
#define SYSTEM_MOUNT_SETATTR 442
#define CLONE_TREE 1          /* OPEN_TREE_CLONE */
#define TREE_ITSELF 0x1000    /* AT_EMPTY_PATH */
#define FROM_TREE_ITSELF 4    /* MOVE_MOUNT_F_EMPTY_PATH */
#define MAP_OWNERS 0x00100000 /* MOUNT_ATTR_IDMAP */

void mount_with_owners(int namespace, const char *source, const char *target) {
    struct {
        uint64_t set, clear, propagation, userns;
    } attributes = {.set = MAP_OWNERS, .userns = (uint64_t)namespace};
    int tree = (int)syscall(SYSTEM_OPEN_TREE, AT_FDCWD, source, O_CLOEXEC | CLONE_TREE);
    if (tree < 0)
        fail("%s", source);
    if (syscall(SYSTEM_MOUNT_SETATTR, tree, "", TREE_ITSELF, &attributes, sizeof attributes) < 0)
        fail("map the owners of %s", source);
    if (syscall(SYSTEM_MOVE_MOUNT, tree, "", AT_FDCWD, target, FROM_TREE_ITSELF) < 0)
        fail("mount on %s", target);
    close(tree);
}

/* A descriptor of a user namespace with these maps, which no process is in afterwards. */
static int namespace_with(const char *uid_map, const char *gid_map) {
    int ready[2];
    char byte = 1, path[64];
    if (pipe2(ready, O_CLOEXEC) < 0)
        fail("pipe");
    pid_t pid = fork();
    if (pid < 0)
        fail("fork");
    if (pid == 0) {
        if (unshare(CLONE_NEWUSER) < 0)
            fail("unshare");
        if (write(ready[1], &byte, 1) == 1)
            pause();
        _exit(1);
    }
    close(ready[1]);
    if (read(ready[0], &byte, 1) != 1)
        _exit(1); /* the child has printed the reason */
    map_ids(pid, 0, uid_map, gid_map);
    snprintf(path, sizeof path, "/proc/%d/ns/user", (int)pid);
    int namespace = open(path, O_RDONLY | O_CLOEXEC);
    if (namespace < 0)
        fail("%s", path);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    close(ready[0]);
    return namespace;
}

void mount_mapped(const char *source, const char *target, const char *uid_map, const char *gid_map) {
    int namespace = namespace_with(uid_map, gid_map);
    mount_with_owners(namespace, source, target);
    close(namespace);
}

int try_map(char **argv) {
    private_mounts();
    mount_mapped(argv[0], argv[1], argv[2], argv[3]);
    return 0;
}
