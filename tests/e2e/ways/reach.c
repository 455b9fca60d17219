/* Ways to a process or a socket, each as a program that exits with 0 where it leads there, and with 1 where it is refused.
 *
 *   reach control                     whether these calls work on a child at all: prints those that do
 *   reach seize|attach|readv|pidfd PID
 *   reach unix|abstract NAME, reach tcp PORT
 *   reach handle DIRECTORY            opens files by their handle (open_by_handle_at), as escapes from containers do
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static char known[] = "known to the parent";

static int seize(pid_t pid) { return ptrace(PTRACE_SEIZE, pid, NULL, NULL) == 0; }

static int attach(pid_t pid) { return ptrace(PTRACE_ATTACH, pid, NULL, NULL) == 0; }

/* The permission is checked before the address, so that a wrong address of a process that may be read is EFAULT. */
static int readv_(pid_t pid)
{
    char found[sizeof known];
    struct iovec local = {found, sizeof found}, remote = {known, sizeof known};
    return process_vm_readv(pid, &local, 1, &remote, 1, 0) >= 0 || errno == EFAULT;
}

static int pidfd(pid_t pid)
{
    int process = (int)syscall(SYS_pidfd_open, pid, 0);
    return process >= 0 && syscall(SYS_pidfd_getfd, process, 0, 0) >= 0;
}

static const struct way { const char *name; int (*work)(pid_t); } ways[] = {
    {"seize", seize}, {"attach", attach}, {"readv", readv_}, {"pidfd", pidfd},
};

static int control(void)
{
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        pid_t child = fork();
        if (child == 0) {
            for (;;)
                pause();
        }
        if (ways[i].work(child))
            puts(ways[i].name);
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
    }
    return 0;
}

static int unix_(char *name, int abstract)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char *last = strrchr(name, '/');
    if (!abstract && last != NULL) { /* a socket's path has at most 107 bytes */
        *last = 0;
        if (chdir(*name ? name : "/") != 0)
            return 0;
        name = last + 1;
    }
    size_t size = strlen(name);
    if (size + 1 >= sizeof address.sun_path)
        exit(2);
    memcpy(address.sun_path + abstract, name, size);
    int made = socket(AF_UNIX, SOCK_STREAM, 0);
    socklen_t length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)abstract + size + !abstract);
    return connect(made, (struct sockaddr *)&address, length) == 0;
}

static int tcp(const char *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return connect(socket(AF_INET, SOCK_STREAM, 0), (struct sockaddr *)&address, sizeof address) == 0;
}

static int handle(const char *path)
{
    struct { struct file_handle head; unsigned char bytes[128]; } found = {.head.handle_bytes = 128};
    int mount, directory = open(path, O_RDONLY | O_DIRECTORY);
    if (name_to_handle_at(AT_FDCWD, path, &found.head, &mount, 0) != 0)
        found.head = (struct file_handle){.handle_bytes = 8, .handle_type = 1}; /* inode 2: the root of the file system */
    return open_by_handle_at(directory, &found.head, O_RDONLY) >= 0;
}

int main(int count, char **words)
{
    if (count == 2 && strcmp(words[1], "control") == 0)
        return control();
    if (count != 3)
        return 2;
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
        if (strcmp(words[1], ways[i].name) == 0)
            return !ways[i].work((pid_t)atoi(words[2]));
    if (strcmp(words[1], "unix") == 0)
        return !unix_(words[2], 0);
    if (strcmp(words[1], "abstract") == 0)
        return !unix_(words[2], 1);
    if (strcmp(words[1], "tcp") == 0)
        return !tcp(words[2]);
    if (strcmp(words[1], "handle") == 0)
        return !handle(words[2]);
    return 2;
}
