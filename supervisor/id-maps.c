/* Whose ids a user namespace has. What we may not write ourselves, newuidmap and newgidmap write. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "danube-ns.h"

/* kind: "uid" or "gid". A program is given the process before the numbers. */
static void map_kind(pid_t pid, const char *kind, const char *map) {
    char path[64], number[16], *words[32] = {NULL}, *copy = strdup(map);
    int count = 0, status = 0;
    if (*map != '/') {
        snprintf(path, sizeof path, "/proc/%d/%s_map", (int)pid, kind);
        write_file(path, map);
        return;
    }
    snprintf(number, sizeof number, "%d", (int)pid);
    for (char *word = copy ? strtok(copy, " ") : NULL; word && count < 30; word = strtok(NULL, " ")) {
        words[count++] = word;
        if (count == 1)
            words[count++] = number;
    }
    pid_t program = fork();
    if (program == 0) {
        execv(words[0], words);
        fail("exec %s", words[0]);
    }
    errno = EPERM;
    if (program < 0 || waitpid(program, &status, 0) < 0 || status != 0)
        fail("%s", words[0]);
}

void map_ids(pid_t pid, int own, const char *uid_map, const char *gid_map) {
    char path[64];
    if (own && *gid_map != '/') {
        snprintf(path, sizeof path, "/proc/%d/setgroups", (int)pid);
        write_file(path, "deny");
    }
    map_kind(pid, "uid", uid_map);
    map_kind(pid, "gid", gid_map);
}

/* The one who maps is forked off, so that who called us has PROGRAM itself as his child. */
int within(char **argv) {
    int ready[2], status = 0;
    char byte = 1;
    if (strcmp(argv[2], "--") != 0)
        return 2;
    if (pipe2(ready, O_CLOEXEC) < 0)
        fail("pipe");
    pid_t self = getpid(), mapper = fork();
    if (mapper < 0)
        fail("fork");
    if (mapper == 0) {
        close(ready[1]);
        if (read(ready[0], &byte, 1) != 1)
            _exit(1);
        map_ids(self, 1, argv[0], argv[1]);
        _exit(0);
    }
    if (unshare(CLONE_NEWUSER) < 0)
        fail("unshare");
    prctl(PR_SET_DUMPABLE, 1); /* as for a holder */
    if (write(ready[1], &byte, 1) != 1 || waitpid(mapper, &status, 0) < 0 || status != 0)
        return 1; /* the mapper has said why */
    if (setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
        fail("become root of the namespace");
    execv(argv[3], argv + 3);
    fail("exec %s", argv[3]);
}
