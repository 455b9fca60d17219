/* `danube-step run` and `danube-step kill`; see the header. */
#include "client.h"

#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../descriptors.h"
#include "address.h"

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
