/* Processes that outlive their caller; see the header. */
#include "detach.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "checked.h"

void detach(void) {
    pid_t pid = fork();
    if (pid < 0)
        fail("fork");
    if (pid > 0)
        _exit(0);
    setsid();
}

int detach_program(char **argv) {
    detach();
    for (; argv[0] && argv[1] && strcmp(argv[0], "--cgroup") == 0; argv += 2)
        write_file(argv[1], "0");
    if (argv[0] && argv[1] && strcmp(argv[0], "--pid") == 0) {
        char pid[16];
        snprintf(pid, sizeof pid, "%d", getpid());
        write_file(argv[1], pid);
        argv += 2;
    }
    if (!argv[0] || strcmp(argv[0], "--") != 0 || !argv[1])
        return 2;
    become_program(argv + 1);
}
