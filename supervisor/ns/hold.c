/* The verb `hold`: a process that keeps a pod's namespaces alive. */
#define _GNU_SOURCE
#include "hold.h"

#include <fcntl.h>
#include <grp.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../descriptors.h"
#include "checked.h"
#include "id-maps.h"
#include "oom-score.h"

/* owner: the user id to become, 0 to stay. ready, go: how the holder and its parent wait for each other. */
struct holder {
    unsigned owner;
    int host_network, confirm, ready, go;
};

static void loopback_up(void) {
    struct ifreq request;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    memset(&request, 0, sizeof request);
    strcpy(request.ifr_name, "lo");
    request.ifr_flags = IFF_UP | IFF_RUNNING;
    if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request) < 0)
        fail("loopback");
    close(fd);
}

/* Every user of the pod may listen on every port of its own network: servers of images listen on 80. Kernels before 4.11 do
 * not know the setting. */
static void open_low_ports(void) {
    int fd = open("/proc/sys/net/ipv4/ip_unprivileged_port_start", O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    if (write(fd, "0", 1) != 1)
        perror("danube-ns: ports below 1024 are for root");
    close(fd);
}

static void close_all_but(int fd) {
    if (fd > 0)
        close_between(0, (unsigned)fd - 1);
    close_between((unsigned)fd + 1, ~0u);
}

static void __attribute__((noreturn)) run_holder(const struct holder *h) {
    char byte = 1;
    setsid();
    raise_oom_score();
    if (h->owner &&
        (setgroups(0, NULL) < 0 || setresgid(h->owner, h->owner, h->owner) < 0 || setresuid(h->owner, h->owner, h->owner) < 0))
        fail("become user %u", h->owner);
    if (unshare(CLONE_NEWUSER | CLONE_NEWIPC | CLONE_NEWUTS | (h->host_network ? 0 : CLONE_NEWNET)) < 0)
        fail("unshare");
    prctl(PR_SET_DUMPABLE, 1); /* so that the parent can write the maps in /proc */
    if (write(h->ready, &byte, 1) != 1 || read(h->go, &byte, 1) != 1)
        _exit(1);
    if (!h->host_network) {
        loopback_up();
        open_low_ports();
    }
    if (sethostname("danube", 6) < 0)
        fail("hostname");
    if (write(h->ready, &byte, 1) != 1)
        _exit(1);
    close_all_but(h->confirm);
    if (read(h->confirm, &byte, 1) != 1)
        _exit(1);
    close(h->confirm);
    for (;;)
        pause();
}

int hold(char **argv) {
    int ready[2], go[2];
    char byte = 1;
    struct holder holder = {.owner = (unsigned)strtoul(argv[2], NULL, 10),
                            .host_network = strcmp(argv[3], "host") == 0,
                            .confirm = atoi(argv[4])};
    for (char **file = argv + 5; *file; file++)
        write_file(*file, "0");
    if (pipe2(ready, O_CLOEXEC) < 0 || pipe2(go, O_CLOEXEC) < 0)
        fail("pipe");
    pid_t pid = fork();
    if (pid < 0)
        fail("fork");
    if (pid == 0) {
        close(ready[0]);
        close(go[1]);
        holder.ready = ready[1];
        holder.go = go[0];
        run_holder(&holder);
    }
    close(ready[1]);
    close(go[0]);
    if (read(ready[0], &byte, 1) != 1)
        exit(1); /* the holder has printed the reason */
    map_ids(pid, !holder.owner, argv[0], argv[1]);
    if (write(go[1], &byte, 1) != 1 || read(ready[0], &byte, 1) != 1)
        exit(1);
    printf("%d\n", (int)pid);
    return 0;
}
