/* `danube-step idle`: PID 1 of a container. Nothing that it does may block it. */
#define _GNU_SOURCE
#include "idle.h"

#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../descriptors.h"
#include "address.h"
#include "calls.h"
#include "exec.h"
#include "follower.h"
#include "loop.h"
#include "step-processes.h"

#define MAX_GROUPS 64

/* A process of this container calls: `danube-step run`, `kill`, `freeze` or `thaw`. It gets a second to send its descriptors. */
static void accept_call(struct watch *w, uint32_t events) {
    (void)events;
    int fd = accept4(w->fd, NULL, NULL, SOCK_CLOEXEC), fds[2];
    if (fd < 0)
        return;
    struct ucred peer;
    socklen_t size = sizeof peer;
    struct timeval second = {1, 0};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &second, sizeof second);
    char verb;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0 || peer.pid == 0 ||
        receive_descriptors(fd, &verb, 1, fds, 2) < 0) {
        close(fd);
        return;
    }
    if (call_begin(fd, fds[0], fds[1], verb) < 0) {
        close(fds[0]);
        close(fds[1]);
        close(fd);
    }
}

/* Whether a process of this PID namespace was started from outside of it, as the programs of a cluster's runtime are: then
 * it has no parent here. A step cannot make such a process, since orphans become children of PID 1. */
static int is_from_outside(pid_t pid) {
    char path[32], text[256], *at;
    int parent = -1;
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t size = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (fd >= 0)
        close(fd);
    text[size < 0 ? 0 : size] = 0;
    at = strrchr(text, ')'); /* the name in front of it may contain anything */
    return at && sscanf(at, ") %*c %d", &parent) == 1 && parent == 0;
}

static void receive_signals(struct watch *w, uint32_t events) {
    struct signalfd_siginfo info;
    (void)events;
    while (read(w->fd, &info, sizeof info) == (ssize_t)sizeof info)
        if (info.ssi_signo == SIGTERM && (info.ssi_pid == 0 || is_from_outside((pid_t)info.ssi_pid)))
            _exit(0); /* the sender is outside of the namespace, or `danube-step end` that was started from there */
    int status;
    struct rusage usage;
    for (pid_t pid; (pid = wait4(-1, &status, WNOHANG | WUNTRACED, &usage)) > 0;) {
        if (WIFSTOPPED(status)) {
            steps_stopped(pid);
            continue;
        }
        exec_reaped(pid, status);
        steps_reaped(pid, status, &usage);
    }
}

static uint64_t next_ms(void) {
    uint64_t steps_next = steps_next_ms(), followers_next = followers_next_ms();
    return steps_next < followers_next ? steps_next : followers_next;
}

static void tick(uint64_t now) {
    steps_tick(now);
    followers_tick(now);
}

/* The rights of root are dropped with the user. A change of user makes a process dumpable, so that is set again. */
static int become_user(const char *ids) {
    gid_t groups[MAX_GROUPS];
    size_t count = 0;
    char *rest;
    uid_t user = (uid_t)strtoul(ids, &rest, 10);
    while (*rest && count < MAX_GROUPS)
        groups[count++] = (gid_t)strtoul(rest + 1, &rest, 10);
    if (count == 0 || *rest || setgroups(count, groups) < 0 || setresgid(groups[0], groups[0], groups[0]) < 0)
        return -1;
    return setresuid(user, user, user) < 0 ? -1 : prctl(PR_SET_DUMPABLE, 0);
}

/* Blocks all signals, and returns a descriptor for the two that matter. */
static int open_signals(void) {
    sigset_t mask;
    sigfillset(&mask);
    sigprocmask(SIG_SETMASK, &mask, NULL);
    sigemptyset(&mask);
    sigaddset(&mask, SIGCHLD);
    sigaddset(&mask, SIGTERM);
    return signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
}

int idle(const struct idle_options *options) {
    static struct watch calls, signals;
    char byte;
    if (options->confirm_fd >= 0 && (read(options->confirm_fd, &byte, 1) != 1 || close(options->confirm_fd) < 0))
        return 1; /* no server has recorded this container, so no server would ever delete it */
    if (options->user && become_user(options->user) < 0) {
        perror("danube-step: become the image's user");
        return 1;
    }
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    int signal_fd = open_signals(), listening = listen_here();
    if (loop_open() < 0 || signal_fd < 0 || listening < 0) {
        perror("danube-step idle");
        return 1;
    }
    followers_heartbeat(options->heartbeat_ms);
    calls_configure(options->grace_ms);
    watch_begin(&signals, signal_fd, EPOLLIN, receive_signals, NULL);
    watch_begin(&calls, listening, EPOLLIN, accept_call, NULL);
    if (options->exec_fd >= 0)
        exec_begin(options->exec_fd);
    loop_run(next_ms, tick);
}
