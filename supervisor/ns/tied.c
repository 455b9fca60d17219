/* The verb `tied`: a program that the kernel kills when its parent ends. */
#include "tied.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "checked.h"

int tied_program(char **argv) {
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
        fail("tie to the parent");
    if (getppid() != (pid_t)atol(argv[0])) /* it ended before the call above */
        return 1;
    become_program(argv + 1);
}
