/* The verb `within`: a program as root of a new user namespace. */
#define _GNU_SOURCE
#include "within.h"

#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "checked.h"
#include "id-maps.h"

/* The maps are written by a child, so that the caller's own child becomes the program. */
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
    prctl(PR_SET_DUMPABLE, 1); /* so that the child can write the maps in /proc */
    if (write(ready[1], &byte, 1) != 1 || waitpid(mapper, &status, 0) < 0 || status != 0)
        return 1; /* the child has printed the reason */
    become_root();
    become_program(argv + 3);
}
