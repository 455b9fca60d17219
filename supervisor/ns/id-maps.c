/* The ids of a user namespace; see the header. */
#define _GNU_SOURCE
#include "id-maps.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "checked.h"

/* kind: "uid" or "gid". A program gets the process id before the numbers. */
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
    if (program == 0)
        become_program(words);
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

void become_root(void) {
    if (setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
        fail("become root of the namespace");
}
