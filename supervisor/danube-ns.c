/* danube-ns: makes and joins the namespaces of a sandbox pod; bubblewrap does the rest.
 *
 *   danube-ns hold UID_MAP GID_MAP OWNER NETWORK CONFIRM_FD [CGROUP_PROCS ...]
 *       A process that holds a pod's user, network, IPC and UTS namespaces, and does nothing else. Its process id is
 *       printed when the maps are written and the loopback is up. OWNER: the user id it is started as; 0 to stay who one is.
 *       It ends unless a byte comes over CONFIRM_FD: the caller has written down that it exists.
 *       A map is `INSIDE OUTSIDE COUNT`, or `/PROGRAM INSIDE OUTSIDE COUNT ...` for a program that may write what we may not
 *       (newuidmap, newgidmap).
 *   danube-ns within UID_MAP GID_MAP -- PROGRAM ARGUMENT...
 *       Becomes PROGRAM as root of a user namespace of its own with these maps: it can work on files of all their owners.
 *   danube-ns enter HOLDER NETWORK [--cgroup PROCS_FILE]... [--overlay TARGET LOWER UPPER WORK] [--stage SOURCE]...
 *                   [--rlimit NAME=VALUE]... -- PROGRAM ARGUMENT...
 *       Joins the holder's namespaces and becomes PROGRAM. As root every SOURCE is bound to /mnt/<index> of a private mount
 *       namespace first: bubblewrap resolves its sources as the pod's user, who cannot walk through a 0700 directory.
 *       --overlay puts UPPER on LOWER at TARGET, for this container only. As root LOWER's owners are mapped into the pod by
 *       the mount itself, so that all pods share one LOWER whose owners are those of the image.
 *   danube-ns overlay HOLDER shifted|plain TARGET LOWER UPPER WORK
 *       Only tries the overlay: exit code 0 when this machine has it.
 *   danube-ns listen HOLDER PORT FD
 *       Makes two sockets in the holder's network and sends them over the unix socket FD: one that listens on every address
 *       of the loopback at PORT, one for datagrams at 127.0.0.1:53. Who gets them is reached from inside without being there.
 *   danube-ns detach [--cgroup PROCS_FILE]... -- PROGRAM ARGUMENT...
 *       Becomes PROGRAM, and joins no namespace.
 *   danube-ns tied PARENT PROGRAM ARGUMENT...
 *       Becomes PROGRAM, which the kernel kills when PARENT, who started this, ends, however that ends.
 *
 * `hold`, `enter` and `detach` leave the caller at once: they are nobody's child and have a session of their own, so that what they
 * become outlives the server. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "danube-ns.h"

void fail(const char *format, ...) {
    int saved = errno;
    va_list arguments;
    va_start(arguments, format);
    fputs("danube-ns: ", stderr);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fprintf(stderr, ": %s\n", strerror(saved));
    exit(1);
}

void write_file(const char *path, const char *text) {
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
        fail("write %s to %s", text, path);
    close(fd);
}

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

/* The caller's side ends here; the child goes on alone, with nothing of the caller but the descriptors it was given. */
static void detach(void) {
    pid_t pid = fork();
    if (pid < 0)
        fail("fork");
    if (pid > 0)
        _exit(0);
    setsid();
}

static void hold_on(int network, int ready, int go, int confirm) {
    char byte = 1;
    if (unshare(CLONE_NEWUSER | CLONE_NEWIPC | CLONE_NEWUTS | (network ? 0 : CLONE_NEWNET)) < 0)
        fail("unshare");
    prctl(PR_SET_DUMPABLE, 1); /* so that the maps of /proc can be written by whom started us */
    if (write(ready, &byte, 1) != 1 || read(go, &byte, 1) != 1)
        _exit(1);
    if (!network)
        loopback_up();
    if (sethostname("danube", 6) < 0)
        fail("hostname");
    if (write(ready, &byte, 1) != 1)
        _exit(1);
    for (int fd = 0; fd < 1024; fd++) /* the server gives it descriptors for these few ends only */
        if (fd != confirm)
            close(fd);
    if (read(confirm, &byte, 1) != 1)
        _exit(1);
    close(confirm);
    for (;;)
        pause();
}

static int hold(char **argv) {
    const char *uid_map = argv[0], *gid_map = argv[1];
    unsigned owner = (unsigned)strtoul(argv[2], NULL, 10);
    int network = strcmp(argv[3], "host") == 0, confirm = atoi(argv[4]), ready[2], go[2];
    char byte = 1;
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
        setsid();
        if (owner && (setgroups(0, NULL) < 0 || setresgid(owner, owner, owner) < 0 || setresuid(owner, owner, owner) < 0))
            fail("become user %u", owner);
        hold_on(network, ready[1], go[0], confirm);
    }
    close(ready[1]);
    close(go[0]);
    if (read(ready[0], &byte, 1) != 1)
        exit(1);
    map_ids(pid, !owner, uid_map, gid_map);
    if (write(go[1], &byte, 1) != 1 || read(ready[0], &byte, 1) != 1)
        exit(1);
    printf("%d\n", (int)pid);
    return 0;
}

static void private_mounts(void) {
    if (unshare(CLONE_NEWNS) < 0)
        fail("unshare mounts");
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        fail("private mounts");
}

static int open_path(const char *path) {
    int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        fail("%s", path);
    return fd;
}

/* LOWER at TARGET with the owners that the pod's user namespace gives to the ids on the disk: Linux 5.12, for overlays 5.19. */
static void shift(const char *holder, const char *target, const char *lower) {
    struct {
        uint64_t set, clear, propagation, userns;
    } wanted = {.set = 0x00100000}; /* MOUNT_ATTR_IDMAP; C libraries do not know these calls */
    char path[64];
    snprintf(path, sizeof path, "/proc/%s/ns/user", holder);
    int namespace = open(path, O_RDONLY | O_CLOEXEC);
    int tree = (int)syscall(428, AT_FDCWD, lower, O_CLOEXEC | 1); /* open_tree, OPEN_TREE_CLONE */
    if (namespace < 0 || tree < 0)
        fail("%s of %s", lower, holder);
    wanted.userns = (uint64_t)namespace;
    if (syscall(442, tree, "", 0x1000, &wanted, sizeof wanted) < 0) /* mount_setattr, AT_EMPTY_PATH */
        fail("map the owners of %s", lower);
    if (syscall(429, tree, "", AT_FDCWD, target, 4) < 0) /* move_mount, MOVE_MOUNT_F_EMPTY_PATH */
        fail("mount on %s", target);
}

/* Descriptors instead of paths in the options, where a comma or a colon in a path would mean something. more: further options. */
static void overlay(const char *holder, int shifted, char **words, const char *more) {
    const char *target = words[0], *lower = words[1];
    char options[256];
    if (shifted) {
        shift(holder, target, lower);
        lower = target;
    }
    snprintf(options, sizeof options, "lowerdir=/proc/self/fd/%d,upperdir=/proc/self/fd/%d,workdir=/proc/self/fd/%d%s%s", open_path(lower), open_path(words[2]), open_path(words[3]), shifted ? "" : ",userxattr", more);
    if (mount("overlay", target, "overlay", MS_NODEV | MS_NOSUID, options) < 0)
        fail("overlay on %s", target);
}

static void stage(char **sources, int count) {
    if (mount("tmpfs", "/mnt", "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755,size=1m") < 0)
        fail("tmpfs on /mnt");
    for (int i = 0; i < count; i++) {
        char place[32];
        struct stat kind;
        snprintf(place, sizeof place, "/mnt/%d", i);
        if (stat(sources[i], &kind) < 0)
            fail("%s", sources[i]);
        int made = S_ISDIR(kind.st_mode) ? mkdir(place, 0755) : open(place, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
        if (made < 0 || mount(sources[i], place, NULL, MS_BIND | MS_REC, NULL) < 0)
            fail("bind %s", sources[i]);
    }
}

static void join(const char *holder, int count) {
    static const char *names[] = {"user", "ipc", "uts", "net"};
    int fds[4];
    for (int i = 0; i < count; i++) {
        char path[64];
        snprintf(path, sizeof path, "/proc/%s/ns/%s", holder, names[i]);
        fds[i] = open(path, O_RDONLY | O_CLOEXEC);
        if (fds[i] < 0)
            fail("%s", path);
    }
    for (int i = 0; i < count; i++)
        if (setns(fds[i], 0) < 0)
            fail("join %s namespace of %s", names[i], holder);
    setgroups(0, NULL); /* not allowed, and not needed, where one id is mapped */
    if (setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
        fail("become root of the namespace");
}

static void limit(const char *word) {
    static const struct { const char *name; int resource; } known[] = {
        {"as=", RLIMIT_AS}, {"nproc=", RLIMIT_NPROC}, {"nofile=", RLIMIT_NOFILE}, {"core=", RLIMIT_CORE}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strncmp(word, known[i].name, strlen(known[i].name)) == 0) {
            rlim_t value = strtoull(word + strlen(known[i].name), NULL, 10);
            struct rlimit both = {value, value};
            if (setrlimit(known[i].resource, &both) < 0)
                fail("limit %s", word);
        }
}

/* What is written goes with the pod, so nothing of it is ever synced. An upper directory serves such a mount only once. */
#define THROWN_AWAY ",volatile"

static int enter(char **argv) {
    char *holder = *argv++, *sources[64], **layers = NULL;
    int count = 0, host_network = strcmp(*argv++, "host") == 0;
    detach();
    for (; *argv && strcmp(*argv, "--") != 0; argv += 2) {
        if (!argv[1])
            return 2;
        if (strcmp(argv[0], "--cgroup") == 0)
            write_file(argv[1], "0");
        else if (strcmp(argv[0], "--stage") == 0 && count < 64)
            sources[count++] = argv[1];
        else if (strcmp(argv[0], "--rlimit") == 0)
            limit(argv[1]);
        else if (strcmp(argv[0], "--overlay") == 0 && argv[2] && argv[3] && argv[4]) {
            layers = argv + 1;
            argv += 3;
        } else
            return 2;
    }
    if (!*argv || !argv[1])
        return 2;
    if (count) {
        private_mounts();
        if (layers)
            overlay(holder, 1, layers, THROWN_AWAY);
        stage(sources, count);
    }
    join(holder, host_network ? 3 : 4); /* the host's network is not the pod's to join */
    if (layers && !count) {
        private_mounts();
        overlay(holder, 0, layers, THROWN_AWAY);
    }
    execv(argv[1], argv + 1);
    fail("exec %s", argv[1]);
    return 1;
}

static int try_overlay(const char *holder, int shifted, char **words) {
    if (!shifted)
        join(holder, 3);
    private_mounts();
    overlay(holder, shifted, words, "");
    return 0;
}

/* A socket of the namespace that this process is in; it stays one of it wherever its descriptor goes. */
static int bound(int type, uint32_t address, uint16_t port) {
    struct sockaddr_in place = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(address)};
    int one = 1, fd = socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) < 0 ||
        bind(fd, (struct sockaddr *)&place, sizeof place) < 0)
        fail("bind port %u", port);
    return fd;
}

static int listen_inside(char **argv) {
    union {
        char room[CMSG_SPACE(2 * sizeof(int))];
        struct cmsghdr align;
    } control = {0};
    char byte = 1;
    struct iovec part = {&byte, 1};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.room, .msg_controllen = sizeof control.room};
    join(argv[0], 4);
    int fds[2] = {bound(SOCK_STREAM, INADDR_ANY, (uint16_t)atoi(argv[1])), bound(SOCK_DGRAM, INADDR_LOOPBACK, 53)};
    if (listen(fds[0], 1024) < 0)
        fail("listen");
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof fds);
    memcpy(CMSG_DATA(header), fds, sizeof fds);
    if (sendmsg(atoi(argv[2]), &message, MSG_NOSIGNAL) != 1)
        fail("hand over the sockets");
    return 0;
}

static int detach_program(char **argv) {
    detach();
    for (; argv[0] && argv[1] && strcmp(argv[0], "--cgroup") == 0; argv += 2)
        write_file(argv[1], "0");
    if (!argv[0] || strcmp(argv[0], "--") != 0 || !argv[1])
        return 2;
    execv(argv[1], argv + 1);
    fail("exec %s", argv[1]);
    return 1;
}

static int tied_program(char **argv) {
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
        fail("tie to the parent");
    if (getppid() != (pid_t)atol(argv[0])) /* it ended before this was said */
        return 1;
    execv(argv[1], argv + 1);
    fail("exec %s", argv[1]);
    return 1;
}

int main(int argc, char **argv) {
    if (argc >= 7 && strcmp(argv[1], "hold") == 0)
        return hold(argv + 2);
    if (argc >= 6 && strcmp(argv[1], "within") == 0)
        return within(argv + 2);
    if (argc >= 6 && strcmp(argv[1], "enter") == 0)
        return enter(argv + 2);
    if (argc == 8 && strcmp(argv[1], "overlay") == 0)
        return try_overlay(argv[2], strcmp(argv[3], "shifted") == 0, argv + 4);
    if (argc == 5 && strcmp(argv[1], "listen") == 0)
        return listen_inside(argv + 2);
    if (argc >= 4 && strcmp(argv[1], "detach") == 0)
        return detach_program(argv + 2);
    if (argc >= 4 && strcmp(argv[1], "tied") == 0)
        return tied_program(argv + 2);
    fputs("usage: danube-ns hold | within | enter | overlay | listen | detach | tied ...\n", stderr);
    return 2;
}
