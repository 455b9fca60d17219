/* `danube-step run`, `kill`, `freeze`, `thaw` and `end`; see the header. */
#include "client.h"

#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../descriptors.h"
#include "address.h"

#define END_SECONDS 5 /* it takes a millisecond */

int client(char verb) {
    char status = 0;
    int fd = connect_here(), fds[2] = {0, 1};
    if (fd < 0) {
        fputs("danube-step: no supervisor is reachable in this container\n", stderr);
        return 2;
    }
    if (send_descriptors(fd, verb, fds, 2, 0) < 0)
        return 2;
    close(0); /* PID 1 has its own copies, and the server must see the end when PID 1 closes them */
    close(1);
    if (recv(fd, &status, 1, 0) != 1)
        return 2;
    return status == 'e' ? 0 : status == 'r' ? 1 : 2;
}

int end_container(void) {
    if (kill(1, SIGTERM) < 0) {
        perror("danube-step end");
        return 1;
    }
    sleep(END_SECONDS); /* PID 1 reads in /proc who has sent the signal, so the sender must still exist */
    return 1;
}
