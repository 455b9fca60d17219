/* PID 1 of a container: one loop over descriptors, none of which can block it. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "address.h"
#include "step.h"

struct exec_child {
    pid_t pid;
    struct watch connection;
};

static int loop = -1;
static struct exec_child execs[MAX_EXECS];

uint64_t now_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

uint64_t now_ms(void) { return now_us() / 1000; }

void watch_begin(struct watch *w, int fd, uint32_t events, void (*ready)(struct watch *, uint32_t), void *owner) {
    *w = (struct watch){fd, 0, ready, owner};
    watch_change(w, events);
}

/* No events: not watched at all. A regular file cannot be watched and never makes anybody wait. */
void watch_change(struct watch *w, uint32_t events) {
    if (w->fd < 0 || w->events == events)
        return;
    struct epoll_event e = {.events = events, .data.ptr = w};
    epoll_ctl(loop, events == 0 ? EPOLL_CTL_DEL : w->events == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, w->fd, &e);
    w->events = events;
}

void watch_end(struct watch *w) {
    if (!w->ready || w->fd < 0)
        return;
    watch_change(w, 0);
    close(w->fd);
    w->fd = -1;
}

int is_exec_child(pid_t pid) {
    for (size_t i = 0; i < MAX_EXECS; i++)
        if (execs[i].pid == pid)
            return 1;
    return 0;
}

/* A message with descriptors; the answer is its size, -1 at the end of the connection. */
ssize_t receive(int fd, char *data, size_t room, int *fds, size_t want) {
    char control[CMSG_SPACE(3 * sizeof(int))];
    struct iovec part = {data, room};
    struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    ssize_t size = recvmsg(fd, &m, MSG_CMSG_CLOEXEC);
    if (size < 0)
        return -1;
    size_t got = 0;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++) {
            int received;
            memcpy(&received, CMSG_DATA(c) + i * sizeof(int), sizeof received);
            if (got < want)
                fds[got++] = received;
            else
                close(received);
        }
    }
    if (got == want && size > 0)
        return size;
    for (size_t i = 0; i < got; i++)
        close(fds[i]);
    return -1;
}

/* --- the exec socket: a program in this container, for the server only */

static void run_program(char *words, size_t size, int *fds) {
    char *argv[128];
    size_t count = 0;
    for (size_t at = 0; at < size && count < 127; at += strlen(words + at) + 1)
        argv[count++] = words + at;
    argv[count] = NULL;
    sigset_t none;
    sigemptyset(&none);
    for (int number = 1; number < NSIG; number++)
        signal(number, SIG_DFL);
    sigprocmask(SIG_SETMASK, &none, NULL);
    for (int i = 0; i < 3; i++)
        fds[i] = fcntl(fds[i], F_DUPFD, 64);
    for (int i = 0; i < 3; i++)
        if (dup2(fds[i], i) < 0)
            _exit(126);
    close_between(3, ~0u);
    setsid();
    if (count && strcmp(argv[0], "danube-step") == 0)
        execv("/proc/self/exe", argv);
    else if (count)
        execvp(argv[0], argv);
    _exit(errno == ENOENT ? 127 : 126);
}

static void exec_request(struct watch *w, uint32_t events) {
    static char words[64 << 10];
    struct exec_child *child = w->owner;
    int fds[3];
    (void)events;
    if (child->pid) { /* the server left; the program goes on */
        watch_end(w);
        return;
    }
    ssize_t size = receive(w->fd, words, sizeof words - 1, fds, 3);
    if (size < 0) {
        watch_end(w);
        return;
    }
    words[size] = 0;
    pid_t pid = fork();
    if (pid == 0)
        run_program(words, (size_t)size, fds);
    for (int i = 0; i < 3; i++)
        close(fds[i]);
    if (pid < 0)
        watch_end(w);
    else
        child->pid = pid;
}

static void exec_ready(struct watch *w, uint32_t events) {
    (void)events;
    int fd = accept4(w->fd, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0)
        return;
    for (size_t i = 0; i < MAX_EXECS; i++)
        if (execs[i].pid == 0 && execs[i].connection.fd < 0) {
            watch_begin(&execs[i].connection, fd, EPOLLIN | EPOLLRDHUP, exec_request, &execs[i]);
            return;
        }
    close(fd);
}

static void exec_reaped(pid_t pid, int status) {
    for (size_t i = 0; i < MAX_EXECS; i++) {
        if (execs[i].pid != pid)
            continue;
        char answer[5] = {WIFSIGNALED(status) ? 'S' : 'X'};
        uint32_t value = (uint32_t)(WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
        memcpy(answer + 1, &value, 4);
        if (execs[i].connection.fd >= 0)
            (void)!send(execs[i].connection.fd, answer, sizeof answer, MSG_NOSIGNAL | MSG_DONTWAIT);
        watch_end(&execs[i].connection);
        execs[i].pid = 0;
    }
}

/* --- `danube-step run` and `kill`, over a socket that only this container's processes may use */

static void call_ready(struct watch *w, uint32_t events) {
    (void)events;
    int fd = accept4(w->fd, NULL, NULL, SOCK_CLOEXEC), fds[2];
    if (fd < 0)
        return;
    struct ucred peer;
    socklen_t size = sizeof peer;
    struct timeval moment = {1, 0};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &moment, sizeof moment);
    char verb;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0 || peer.pid == 0 || receive(fd, &verb, 1, fds, 2) < 0) {
        close(fd);
        return;
    }
    if (follower_begin(fd, fds[0], fds[1], verb == 'k') < 0) {
        close(fds[0]);
        close(fds[1]);
        close(fd);
    }
}

static void signalled(struct watch *w, uint32_t events) {
    struct signalfd_siginfo info;
    (void)events;
    while (read(w->fd, &info, sizeof info) == (ssize_t)sizeof info)
        if (info.ssi_signo == SIGTERM && info.ssi_pid == 0) /* only from outside the namespace */
            _exit(0);
    int status;
    struct rusage usage;
    for (pid_t pid; (pid = wait4(-1, &status, WNOHANG, &usage)) > 0;) {
        exec_reaped(pid, status);
        steps_reaped(pid, status, &usage);
    }
}

static int next_timeout(void) {
    uint64_t now = now_ms(), next = UINT64_MAX;
    for (struct step *s = steps; s; s = s->next)
        if (step_next_ms(s) < next)
            next = step_next_ms(s);
    for (size_t i = 0; i < MAX_FOLLOWERS; i++)
        if (followers[i].used && follower_next_ms(&followers[i]) < next)
            next = follower_next_ms(&followers[i]);
    if (next == UINT64_MAX)
        return -1;
    return next <= now ? 0 : (int)(next - now);
}

static void tick(void) {
    uint64_t now = now_ms();
    for (struct step *s = steps; s; s = s->next)
        step_tick(s, now);
    for (size_t i = 0; i < MAX_FOLLOWERS; i++)
        if (followers[i].used)
            follower_tick(&followers[i], now);
}

/* UID:GID,GROUP,...; the rights of root go with it. Not dumpable again: a new user makes a process what it was not before. */
static int become(char *ids) {
    gid_t groups[64];
    size_t count = 0;
    char *rest;
    uid_t user = (uid_t)strtoul(ids, &rest, 10);
    while (*rest && count < 64)
        groups[count++] = (gid_t)strtoul(rest + 1, &rest, 10);
    if (count == 0 || *rest || setgroups(count, groups) < 0 || setresgid(groups[0], groups[0], groups[0]) < 0)
        return -1;
    return setresuid(user, user, user) < 0 ? -1 : prctl(PR_SET_DUMPABLE, 0);
}

int idle(int exec_fd, int confirm_fd, char *ids) {
    char byte;
    if (confirm_fd >= 0 && (read(confirm_fd, &byte, 1) != 1 || close(confirm_fd) < 0))
        return 1; /* nobody knows of this container, so nobody would ever end it */
    if (ids && become(ids) < 0) {
        perror("danube-step: become the image's user");
        return 1;
    }
    static struct watch calls, signals, exec;
    sigset_t mask;
    sigfillset(&mask);
    sigprocmask(SIG_SETMASK, &mask, NULL);
    sigemptyset(&mask);
    sigaddset(&mask, SIGCHLD);
    sigaddset(&mask, SIGTERM);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    for (size_t i = 0; i < MAX_EXECS; i++)
        execs[i].connection.fd = -1;
    loop = epoll_create1(EPOLL_CLOEXEC);
    int listening = listen_here();
    if (loop < 0 || listening < 0) {
        perror("danube-step idle");
        return 1;
    }
    watch_begin(&signals, signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK), EPOLLIN, signalled, NULL);
    watch_begin(&calls, listening, EPOLLIN, call_ready, NULL);
    if (exec_fd >= 0) {
        fcntl(exec_fd, F_SETFD, FD_CLOEXEC);
        watch_begin(&exec, exec_fd, EPOLLIN, exec_ready, NULL);
    }
    for (;;) {
        struct epoll_event ready[64];
        int count = epoll_wait(loop, ready, 64, next_timeout());
        for (int i = 0; i < count; i++) {
            struct watch *w = ready[i].data.ptr;
            if (w->fd >= 0 && w->events) /* an earlier one of this round may have ended it */
                w->ready(w, ready[i].events);
        }
        tick();
    }
}
