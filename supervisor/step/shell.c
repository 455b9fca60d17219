/* `danube-step shell`; see the header. */
#define _GNU_SOURCE
#include "shell.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../descriptors.h"
#include "process-tree.h"

#define HEAD_BYTES 5
#define MAX_RECORD (64 << 10)
#define END_OF_TEXT 4  /* Control-D */
#define POLL_MS 50     /* how late the end of the shell is noticed while a process that it left holds the terminal */
#define HANG_UP_MS 500 /* between SIGHUP and SIGKILL for what is left */

static struct {
    pid_t pid;        /* 0: not started */
    int input;        /* the terminal or a pipe; -1: closed */
    int output;       /* the terminal; -1: the shell writes to standard output itself */
    int has_terminal, ends;
    struct winsize size;
    uint8_t record[HEAD_BYTES + MAX_RECORD], pending[MAX_RECORD];
    size_t filled, pending_size;
} self = {.input = -1, .output = -1};

/* --- starting */

static int open_terminal(int *terminal) {
    int locked = 0;
    char path[32];
    unsigned number;
    int ours = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (ours < 0 || ioctl(ours, TIOCSPTLCK, &locked) < 0 || ioctl(ours, TIOCGPTN, &number) < 0)
        return -1;
    snprintf(path, sizeof path, "/dev/pts/%u", number);
    *terminal = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
    ioctl(ours, TIOCSWINSZ, &self.size);
    return *terminal < 0 ? -1 : ours;
}

static void __attribute__((noreturn)) become_shell(int input, int output) {
    static const char *const known[] = {"/bin/bash", "/usr/bin/bash", "/bin/sh"};
    sigset_t none;
    sigemptyset(&none);
    for (int number = 1; number < NSIG; number++)
        signal(number, SIG_DFL);
    sigprocmask(SIG_SETMASK, &none, NULL);
    setsid();
    dup2(input, 0);
    if (output >= 0)
        dup2(output, 1);
    dup2(1, 2);
    if (self.has_terminal)
        ioctl(0, TIOCSCTTY, 0);
    close_between(3, ~0u);
    for (size_t i = self.has_terminal ? 0 : 2; i < sizeof known / sizeof *known; i++)
        execl(known[i], known[i], (char *)NULL);
    fputs("danube-step: this image has no shell\n", stderr);
    _exit(127);
}

/* Returns 0, or -1. */
static int start(void) {
    int terminal = -1, ends[2] = {-1, -1};
    if (self.has_terminal)
        self.input = self.output = open_terminal(&terminal);
    else if (pipe2(ends, O_CLOEXEC) == 0)
        self.input = ends[1];
    if (self.input < 0)
        return -1;
    self.pid = fork();
    if (self.pid == 0)
        become_shell(self.has_terminal ? terminal : ends[0], terminal);
    close(self.has_terminal ? terminal : ends[0]);
    fcntl(self.input, F_SETFL, fcntl(self.input, F_GETFL) | O_NONBLOCK);
    return self.pid < 0 ? -1 : 0;
}

/* --- records */

static void end_input(void) {
    if (self.has_terminal) {
        if (self.pending_size < sizeof self.pending)
            self.pending[self.pending_size++] = END_OF_TEXT;
    } else {
        self.ends = 1; /* the pipe is closed behind what is pending */
    }
}

static int resize(const uint8_t *text, size_t size) {
    if (size != 4)
        return -1;
    memcpy(&self.size.ws_row, text, 2);
    memcpy(&self.size.ws_col, text + 2, 2);
    if (!self.pid)
        self.has_terminal = 1;
    else if (self.has_terminal && self.input >= 0)
        ioctl(self.input, TIOCSWINSZ, &self.size);
    return 0;
}

/* text: `size` bytes and a NUL. Returns 0, or -1 for a malformed record. */
static int take(char type, uint8_t *text, size_t size) {
    switch (type) {
    case 'E':
        return self.pid || !strchr((char *)text, '=') ? -1 : putenv(strdup((char *)text));
    case 'D':
        if (self.pid)
            return -1;
        if (chdir((char *)text) < 0)
            fprintf(stderr, "danube-step: %s: %s\n", (char *)text, strerror(errno));
        return 0;
    case 'W':
        return resize(text, size);
    case 'S':
        if (self.pid || start() == 0)
            return self.pid ? 0 : -1;
        fprintf(stderr, "danube-step: no shell can be started: %s\n", strerror(errno));
        return -1;
    case 'I':
        memcpy(self.pending, text, size); /* only taken while nothing is pending */
        self.pending_size = size;
        return self.pid ? 0 : -1;
    case 'Z':
        end_input();
        return self.pid ? 0 : -1;
    }
    return -1;
}

/* Takes the records that have arrived, up to input that the shell has not read yet. Returns 0, or -1. */
static int take_records(void) {
    while (self.filled >= HEAD_BYTES && !self.pending_size) {
        uint32_t size;
        memcpy(&size, self.record + 1, 4);
        if (size >= MAX_RECORD)
            return -1;
        if (self.filled < HEAD_BYTES + size)
            return 0;
        uint8_t *text = self.record + HEAD_BYTES, next = text[size];
        text[size] = 0;
        int taken = take((char)self.record[0], text, size);
        text[size] = next;
        self.filled -= HEAD_BYTES + size;
        memmove(self.record, text + size, self.filled);
        if (taken < 0)
            return -1;
    }
    return 0;
}

/* Returns 1, 0 at the end of the input, or -1 for a malformed record. */
static int read_records(void) {
    ssize_t size = read(0, self.record + self.filled, sizeof self.record - 1 - self.filled);
    if (size <= 0)
        return size < 0 && (errno == EAGAIN || errno == EINTR);
    self.filled += (size_t)size;
    return take_records() < 0 ? -1 : 1;
}

/* --- what runs */

static void write_pending(void) {
    ssize_t size = self.input < 0 ? (ssize_t)self.pending_size : write(self.input, self.pending, self.pending_size);
    if (size < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (size < 0) /* the shell reads no more */
        size = (ssize_t)self.pending_size;
    self.pending_size -= (size_t)size;
    memmove(self.pending, self.pending + size, self.pending_size);
}

/* Returns 0 when there is no output any more, or no reader of it. */
static int pass_output(void) {
    char text[16 << 10];
    ssize_t size = read(self.output, text, sizeof text);
    if (size < 0 && (errno == EAGAIN || errno == EINTR))
        return 1;
    for (ssize_t at = 0, written; at < size; at += written)
        if ((written = write(1, text + at, (size_t)(size - at))) < 0)
            return 0;
    return size > 0;
}

/* The shell's wait status, once it has ended; others that end are reaped. Returns 1, or 0 while it runs. */
static int has_ended(int *status) {
    int other;
    pid_t pid;
    while ((pid = waitpid(-1, &other, WNOHANG)) > 0)
        if (pid == self.pid) {
            *status = other;
            return 1;
        }
    return 0;
}

static void end_all(void) {
    if (self.pid > 0 && self.has_terminal)
        kill(-self.pid, SIGHUP);
    for (int waited = 0;; waited++) {
        int status;
        pid_t pid;
        while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
            continue;
        if (pid < 0)
            return;
        if (waited >= HANG_UP_MS / 10 || !self.has_terminal)
            signal_descendants(getpid(), SIGKILL, NULL, NULL);
        poll(NULL, 0, 10);
    }
}

/* Returns the exit code once the shell has ended, -1 when it must end, or -2 to continue. */
static int turn(void) {
    int status;
    struct pollfd fds[] = {
        {.fd = self.pending_size ? -1 : 0, .events = POLLIN},
        {.fd = self.output, .events = POLLIN},
        {.fd = self.pending_size ? self.input : -1, .events = POLLOUT},
        {.fd = 1}, /* whether it has a reader */
    };
    if (self.pid && has_ended(&status)) {
        while (self.output >= 0 && poll(fds + 1, 1, 0) > 0 && pass_output())
            continue;
        return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    }
    if (poll(fds, 4, POLL_MS) < 0)
        return -2;
    if (fds[3].revents & POLLERR)
        return -1;
    if (fds[0].revents) {
        int read = read_records();
        if (read < 0)
            fputs("danube-step: malformed input\n", stderr);
        if (read <= 0)
            return read < 0 ? 2 : -1;
    }
    if (fds[1].revents && !pass_output())
        self.output = -1; /* the shell ends, or has closed its terminal */
    if (fds[2].revents) {
        write_pending();
        if (!self.pending_size && take_records() < 0)
            return 2;
    }
    if (self.ends && !self.pending_size && self.input >= 0) {
        close(self.input);
        self.input = -1;
    }
    return -2;
}

int shell(void) {
    int code;
    signal(SIGPIPE, SIG_IGN);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    while ((code = turn()) == -2)
        continue;
    end_all();
    return code < 0 ? 128 + SIGHUP : code;
}
