/* The launcher; see the header.
 *
 * A request is one message with descriptors, the first of which is a file in memory. It holds texts that end with a zero
 * byte: the umask, the number of the other descriptors and what each of them is called in the program, the number of
 * arguments, the arguments, the environment. The answer is the exit code as text, once the program has ended. An older
 * launcher serves a newer server after an upgrade, so the form stays as it is. */
#define _GNU_SOURCE
#include "launcher.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "checked.h"

#define SOCKET 3         /* SD_LISTEN_FDS_START */
#define MAX_PASSED 64    /* a container passes a descriptor for each file of its image, ten at most, and some pipes */
#define MAX_REQUEST (4 << 20) /* twice what Linux takes as arguments and environment */
#define MAX_WORDS 65536

extern char **environ;

/* Sends or receives a message with descriptors. Returns 1, or another number where that failed. */
static ssize_t exchange(int socket, int *fds, size_t *count, bool sending) {
    char byte = 0;
    union {
        char room[CMSG_SPACE(sizeof(int) * (MAX_PASSED + 1))];
        struct cmsghdr align;
    } control = {0};
    struct iovec data = {&byte, 1};
    struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = control.room};
    message.msg_controllen = sending ? CMSG_SPACE(sizeof(int) * *count) : sizeof control.room;
    if (sending) {
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        *header = (struct cmsghdr){.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int) * *count)};
        memcpy(CMSG_DATA(header), fds, sizeof(int) * *count);
        return sendmsg(socket, &message, MSG_NOSIGNAL);
    }
    ssize_t size = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    struct cmsghdr *header = size == 1 ? CMSG_FIRSTHDR(&message) : NULL;
    if (!header || header->cmsg_type != SCM_RIGHTS || message.msg_flags & MSG_CTRUNC)
        return -1;
    *count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    memcpy(fds, CMSG_DATA(header), sizeof(int) * *count);
    return size;
}

/* The next text of a request; the request ends with a zero byte, so there is always an end. */
static char *next(char **at, const char *end) {
    if (*at >= end) {
        errno = EPROTO;
        fail("a request of the launcher");
    }
    char *text = *at;
    *at += strlen(text) + 1;
    return text;
}

static long number(char **at, const char *end, int base, long most) {
    long found = strtol(next(at, end), NULL, base);
    if (found < 0 || found > most) {
        errno = ERANGE;
        fail("a request of the launcher");
    }
    return found;
}

/* In the process that becomes the program. texts: the request behind the umask. */
static void __attribute__((noreturn)) become(char *at, const char *end, int *fds, size_t count) {
    static char *words[MAX_WORDS];
    int names[MAX_PASSED], highest = 2;
    if (number(&at, end, 10, MAX_PASSED) != (long)count) {
        errno = EPROTO;
        fail("a request of the launcher");
    }
    for (size_t i = 0; i < count; i++) {
        names[i] = (int)number(&at, end, 10, 1 << 20);
        highest = names[i] > highest ? names[i] : highest;
    }
    for (size_t i = 0; i < count; i++) /* out of the way of all names */
        if ((fds[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, highest + 1)) < 0)
            fail("a descriptor of the program");
    for (size_t i = 0; i < count; i++)
        if (dup2(fds[i], names[i]) < 0)
            fail("descriptor %d of the program", names[i]);
    long arguments = number(&at, end, 10, MAX_WORDS / 2), used = 0;
    for (; used < arguments; used++)
        words[used] = next(&at, end);
    words[used++] = NULL;
    char **environment = words + used;
    for (; at < end && used < MAX_WORDS - 1; used++)
        words[used] = next(&at, end);
    if (!words[0] || chdir("/") < 0)
        fail("the program's directory");
    execve(words[0], words, environment);
    fail("exec %s", words[0]);
}

/* In a process of its own for each request: starts the program, and answers with its exit code. */
static void serve(int connection) {
    int fds[MAX_PASSED + 1], status = 0;
    size_t count = 0;
    struct ucred peer;
    socklen_t length = sizeof peer;
    struct stat state;
    if (getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &peer, &length) < 0 || (peer.uid && peer.uid != geteuid()))
        return;
    if (exchange(connection, fds, &count, false) != 1 || !count || fstat(fds[0], &state) < 0 || state.st_size > MAX_REQUEST)
        return;
    size_t size = (size_t)state.st_size;
    char *texts = calloc(1, size + 1);
    if (!texts || pread(fds[0], texts, size, 0) != (ssize_t)size || !size || texts[size - 1])
        return;
    close(fds[0]);
    signal(SIGCHLD, SIG_DFL);
    pid_t pid = fork();
    if (pid == 0) {
        char *at = texts;
        umask((mode_t)number(&at, texts + size, 8, 0777));
        become(at, texts + size, fds + 1, count - 1);
    }
    for (size_t i = 1; i < count; i++)
        close(fds[i]);
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        return;
    char answer[16];
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    send(connection, answer, (size_t)snprintf(answer, sizeof answer, "%d", code), MSG_NOSIGNAL);
}

int launcher(char **argv) {
    (void)argv;
    const char *process = getenv("LISTEN_PID");
    if (!process || atol(process) != (long)getpid()) {
        fputs("danube-ns: systemd passed no socket: systemctl start danube-pods.socket\n", stderr);
        return 2;
    }
    signal(SIGCHLD, SIG_IGN); /* nothing waits for the processes of requests */
    for (;;) {
        int connection = accept4(SOCKET, NULL, NULL, SOCK_CLOEXEC);
        if (connection < 0 && errno != EINTR && errno != ECONNABORTED)
            fail("accept a request");
        if (connection < 0)
            continue;
        if (fork() == 0) {
            close(SOCKET);
            serve(connection);
            _exit(0);
        }
        close(connection);
    }
}

/* Every descriptor that this process has; returns their number. */
static size_t own_descriptors(int *fds) {
    size_t count = 0;
    DIR *directory = opendir("/proc/self/fd");
    if (!directory)
        fail("list the descriptors");
    for (struct dirent *entry; (entry = readdir(directory));) {
        int fd = atoi(entry->d_name);
        if (entry->d_name[0] == '.' || fd == dirfd(directory))
            continue;
        if (count == MAX_PASSED) {
            errno = EMFILE;
            fail("pass the descriptors");
        }
        fds[count++] = fd;
    }
    closedir(directory);
    return count;
}

int launch(char **argv) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fds[MAX_PASSED + 1], words = 0;
    size_t count = own_descriptors(fds + 1);
    if (strlen(argv[0]) >= sizeof address.sun_path || strcmp(argv[1], "--") != 0)
        return 2;
    strcpy(address.sun_path, argv[0]);
    while (argv[2 + words])
        words++;
    fds[0] = memfd_create("danube-launch", MFD_CLOEXEC);
    FILE *request = fds[0] < 0 ? NULL : fdopen(dup(fds[0]), "w");
    if (!request)
        fail("make a request");
    mode_t mask = umask(0);
    fprintf(request, "%o%c%zu%c", (unsigned)mask, 0, count, 0);
    for (size_t i = 1; i <= count; i++)
        fprintf(request, "%d%c", fds[i], 0);
    fprintf(request, "%d%c", words, 0);
    for (int i = 0; i < words; i++)
        fwrite(argv[2 + i], strlen(argv[2 + i]) + 1, 1, request);
    for (char **variable = environ; *variable; variable++)
        fwrite(*variable, strlen(*variable) + 1, 1, request);
    if (fclose(request) != 0)
        fail("write a request");
    int connection = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (connection < 0 || connect(connection, (struct sockaddr *)&address, sizeof address) < 0)
        fail("connect to the launcher at %s (systemctl start danube-pods.socket)", argv[0]);
    count++;
    if (exchange(connection, fds, &count, true) != 1)
        fail("send a request to the launcher");
    char answer[16] = "";
    ssize_t got = recv(connection, answer, sizeof answer - 1, 0);
    if (got <= 0) {
        errno = got ? errno : ECONNRESET;
        fail("the launcher has ended (journalctl -u danube-pods.service)");
    }
    return atoi(answer);
}
