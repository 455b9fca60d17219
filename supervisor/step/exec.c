/* The exec socket; see the header.
 *
 * A connection carries one request, the argument vector with NUL after each word and three descriptors, and one response: 'X'
 * with an exit code or 'S' with a signal, as u32. */
#define _GNU_SOURCE
#include "exec.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../descriptors.h"
#include "loop.h"

#define MAX_PROGRAMS 256 /* at once; the server runs a handful */
#define MAX_WORDS 127
#define REQUEST_BYTES (64 << 10)

struct program {
    pid_t pid; /* 0: not started */
    struct watch connection;
};

static struct program programs[MAX_PROGRAMS];
static struct watch listening;

int is_exec_child(pid_t pid) {
    for (size_t i = 0; i < MAX_PROGRAMS; i++)
        if (programs[i].pid == pid)
            return 1;
    return 0;
}

static void __attribute__((noreturn)) become_program(char *words, size_t size, int *fds) {
    char *argv[MAX_WORDS + 1];
    size_t count = 0;
    for (size_t at = 0; at < size && count < MAX_WORDS; at += strlen(words + at) + 1)
        argv[count++] = words + at;
    argv[count] = NULL;
    sigset_t none;
    sigemptyset(&none);
    for (int number = 1; number < NSIG; number++)
        signal(number, SIG_DFL);
    sigprocmask(SIG_SETMASK, &none, NULL);
    for (int i = 0; i < 3; i++)
        fds[i] = fcntl(fds[i], F_DUPFD, 64); /* above the three that are replaced */
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

static void receive_request(struct watch *w, uint32_t events) {
    static char words[REQUEST_BYTES];
    struct program *program = w->owner;
    int fds[3];
    (void)events;
    if (program->pid) { /* the server has disconnected; the program continues */
        watch_end(w);
        return;
    }
    ssize_t size = receive_descriptors(w->fd, words, sizeof words - 1, fds, 3);
    if (size < 0) {
        watch_end(w);
        return;
    }
    words[size] = 0;
    pid_t pid = fork();
    if (pid == 0)
        become_program(words, (size_t)size, fds);
    for (int i = 0; i < 3; i++)
        close(fds[i]);
    if (pid < 0)
        watch_end(w);
    else
        program->pid = pid;
}

static void accept_connection(struct watch *w, uint32_t events) {
    (void)events;
    int fd = accept4(w->fd, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0)
        return;
    for (size_t i = 0; i < MAX_PROGRAMS; i++)
        if (programs[i].pid == 0 && programs[i].connection.fd < 0) {
            watch_begin(&programs[i].connection, fd, EPOLLIN | EPOLLRDHUP, receive_request, &programs[i]);
            return;
        }
    close(fd);
}

void exec_begin(int fd) {
    for (size_t i = 0; i < MAX_PROGRAMS; i++)
        programs[i].connection.fd = -1;
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    watch_begin(&listening, fd, EPOLLIN, accept_connection, NULL);
}

void exec_reaped(pid_t pid, int status) {
    for (size_t i = 0; i < MAX_PROGRAMS; i++) {
        if (programs[i].pid != pid)
            continue;
        char answer[5] = {WIFSIGNALED(status) ? 'S' : 'X'};
        uint32_t value = (uint32_t)(WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
        memcpy(answer + 1, &value, 4);
        if (programs[i].connection.fd >= 0)
            (void)!send(programs[i].connection.fd, answer, sizeof answer, MSG_NOSIGNAL | MSG_DONTWAIT);
        watch_end(&programs[i].connection);
        programs[i].pid = 0;
    }
}
