/* `danube-step apply`; see snapshot.h. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "archive.h"
#include "remove-tree.h"
#include "same-tree.h"
#include "snapshot.h"

#define NO_REPLACE 1 /* RENAME_NOREPLACE of renameat2(2), which the C library of releases does not declare */

/* What takes its place at the end: an entry of a directory that existed before, with all below it. */
struct top {
    char *base, *name;
    struct record record;
    uint32_t user, group;
    struct stat before; /* of 'M' */
    int is_made;        /* beside its place */
    int is_placed, has_old;
};

static struct top *tops;
static size_t top_count, top_room;
static char base[PATH_MAX];
static int base_fd = -1;
static int owned; /* the next entry has this owner */
static uint32_t owner_user, owner_group;
static uint64_t files;

/* The open directories of the tree that is made, the base first, and what each becomes at its end. */
static int directories[ARCHIVE_DEPTH + 2];
static struct record attributes[ARCHIVE_DEPTH + 2];
static int depth;

static const char *beside(const char *kind, size_t number) {
    static char name[2][80];
    static int turn;
    turn = !turn;
    snprintf(name[turn], sizeof name[turn], ".danube-%s-%d-%zu", kind, (int)getpid(), number);
    return name[turn];
}

/* A directory by its path, none of whose parts may be a link. Returns -1 with errno. */
static int open_directory(const char *of) {
    char part[ARCHIVE_NAME_BYTES + 1];
    int fd = of[0] == '/' ? open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    for (const char *at = of + 1; fd >= 0 && *at;) {
        size_t size = strcspn(at, "/");
        if (size == 0 || size > ARCHIVE_NAME_BYTES || (at[0] == '.' && (size == 1 || (size == 2 && at[1] == '.')))) {
            close(fd);
            errno = EINVAL;
            return -1;
        }
        memcpy(part, at, size);
        part[size] = 0;
        int next = openat(fd, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        int error = errno;
        close(fd);
        errno = error;
        fd = next;
        at += size + (at[size] == '/');
    }
    return fd;
}

/* The directory of a top, opened again only where it is another one than before. Returns -1 with errno. */
static int directory_of(const struct top *top) {
    if (base_fd >= 0 && strcmp(base, top->base) == 0)
        return base_fd;
    if (base_fd >= 0)
        close(base_fd);
    snprintf(base, sizeof base, "%s", top->base);
    return base_fd = open_directory(base);
}

static void __attribute__((noreturn)) end(int code, const char *name, const char *cause) {
    for (size_t i = 0; i < top_count; i++)
        if (tops[i].is_made && !tops[i].is_placed && directory_of(&tops[i]) >= 0)
            remove_entry(base_fd, beside("restored", i));
    dprintf(1, "danube-step: apply: %s: %s\n", name, cause);
    _exit(code);
}

static void __attribute__((noreturn)) give_up(const char *name, const char *cause) { end(1, name, cause); }

static void take(void *data, size_t size) {
    if (fread(data, 1, size, stdin) != size)
        give_up("the snapshot", "it is incomplete");
}

static void take_text(char *text, size_t size) {
    take(text, size);
    text[size] = 0;
    if (strlen(text) != size)
        give_up("the snapshot", "a name has a NUL byte");
}

/* --- everything is made beside its place */

static void own(int directory, const char *name) {
    if (owned && fchownat(directory, name, owner_user, owner_group, AT_SYMLINK_NOFOLLOW) < 0)
        give_up(name, strerror(errno));
    owned = 0;
}

static void make_file(int directory, const char *name, const struct record *record, const struct timespec *times) {
    static char piece[256 << 10];
    int fd = openat(directory, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        give_up(name, strerror(errno));
    for (uint64_t left = record->size; left;) {
        size_t size = left < sizeof piece ? (size_t)left : sizeof piece;
        take(piece, size);
        for (size_t done = 0; done < size;) {
            ssize_t written = write(fd, piece + done, size - done);
            if (written < 0)
                give_up(name, strerror(errno));
            done += (size_t)written;
        }
        left -= size;
    }
    own(directory, name);
    if (fchmod(fd, record->mode & 07777) < 0 || futimens(fd, times) < 0)
        give_up(name, strerror(errno));
    close(fd);
    files++;
}

static void make_directory(int directory, const char *name, const struct record *record) {
    if (depth > ARCHIVE_DEPTH || mkdirat(directory, name, 0700) < 0)
        give_up(name, depth > ARCHIVE_DEPTH ? "too many directories in each other" : strerror(errno));
    own(directory, name);
    int fd = openat(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        give_up(name, strerror(errno));
    directories[++depth] = fd;
    attributes[depth] = *record;
}

static void make_link(int directory, const char *name, const char *link, const struct timespec *times) {
    if (symlinkat(link, directory, name) < 0 || utimensat(directory, name, times, AT_SYMLINK_NOFOLLOW) < 0)
        give_up(name, strerror(errno));
    own(directory, name);
    files++;
}

/* A top that is made whole. What exists already must be the same, unless the container's files are known to be as they were. */
static void check_top(void) {
    struct top *top = &tops[top_count - 1];
    struct stat there;
    if (top->record.mode & SNAPSHOT_REPLACES || fstatat(base_fd, top->name, &there, AT_SYMLINK_NOFOLLOW) < 0)
        return;
    const char *fresh = beside("restored", top_count - 1);
    if (!is_same_tree(base_fd, fresh, base_fd, top->name, 0)) {
        static char text[PATH_MAX + ARCHIVE_NAME_BYTES + 2];
        snprintf(text, sizeof text, "%s/%s", strcmp(base, "/") == 0 ? "" : base, top->name);
        give_up(text, "exists already, with another content");
    }
    remove_entry(base_fd, fresh);
    top->is_made = 0;
}

static struct top *add_top(const struct record *record, const char *name) {
    size_t size = strlen(SNAPSHOT_WORKSPACE);
    if (record->mode & SNAPSHOT_REPLACES && strncmp(base, SNAPSHOT_WORKSPACE, size) == 0 && (base[size] == '/' || !base[size]))
        give_up(base, "only grows by a snapshot");
    if (top_count == top_room) {
        top_room = top_room ? 2 * top_room : 64;
        tops = realloc(tops, top_room * sizeof *tops);
    }
    if (!tops)
        _exit(3);
    struct top *top = &tops[top_count++];
    *top = (struct top){.base = strdup(base), .name = strdup(name), .record = *record, .user = owner_user, .group = owner_group};
    if (!top->base || !top->name)
        give_up(name, "out of memory");
    return top;
}

static void make_entry(const struct record *record, const char *name, const char *link) {
    struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {record->seconds, record->nanoseconds}};
    if (base_fd < 0 || !name[0] || strchr(name, '/') || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        give_up("the snapshot", "it is damaged");
    if (record->type == 'X' || record->type == 'M') {
        if (depth)
            give_up("the snapshot", "it is damaged");
        if (!owned) {
            owner_user = geteuid();
            owner_group = getegid();
        }
        add_top(record, name);
        owned = 0;
        return;
    }
    int directory = depth ? directories[depth] : base_fd;
    if (!depth) {
        add_top(record, name)->is_made = 1;
        name = beside("restored", top_count - 1);
    }
    if (record->type == 'D')
        make_directory(directory, name, record);
    else if (record->type == 'F')
        make_file(directory, name, record, times);
    else
        make_link(directory, name, link, times);
    if (!depth)
        check_top();
}

static void leave_directory(void) {
    if (depth == 0)
        give_up("the snapshot", "it is damaged");
    struct record *record = &attributes[depth];
    struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {record->seconds, record->nanoseconds}};
    if (fchmod(directories[depth], record->mode & 07777) < 0 || futimens(directories[depth], times) < 0)
        give_up("a directory", strerror(errno));
    close(directories[depth--]);
    if (!depth)
        check_top();
}

static void enter_base(const char *of) {
    struct top top = {.base = (char *)of};
    if (depth || directory_of(&top) < 0)
        give_up(of, depth ? "it is damaged" : "existed before the step, and does not now");
}

/* Reads to the end record, behind which nothing may be: the server sends its last bytes once it has checked all. */
static void make_all(void) {
    char magic[ARCHIVE_MAGIC_BYTES], name[ARCHIVE_NAME_BYTES + 1], link[UINT16_MAX + 1];
    struct record record;
    take(magic, sizeof magic);
    if (memcmp(magic, SNAPSHOT_MAGIC, sizeof magic) != 0)
        give_up("the snapshot", "it is damaged");
    for (;;) {
        take(&record, sizeof record);
        take_text(name, record.name_size);
        take_text(link, record.link_size);
        if (record.type == 'E' && depth == 0) {
            if (record.size != files || fgetc(stdin) != EOF)
                give_up("the snapshot", "it is damaged");
            return;
        }
        if (record.type == 'P') {
            enter_base(link);
        } else if (record.type == 'O') {
            owned = 1;
            owner_user = (uint32_t)(record.size >> 32);
            owner_group = (uint32_t)record.size;
        } else if (record.type == 'U') {
            leave_directory();
        } else if (strchr("DFLXM", record.type)) {
            make_entry(&record, name, link);
        } else {
            give_up("the snapshot", "it is damaged");
        }
    }
}

/* --- everything takes its place */

/* Returns 0, or -1 with errno. What was at a place is moved aside first. */
static int place(struct top *top, size_t number) {
    int at = directory_of(top), replaces = (top->record.mode & SNAPSHOT_REPLACES) != 0;
    if (at < 0)
        return -1;
    if (top->record.type == 'M') {
        if (fstatat(at, top->name, &top->before, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISDIR(top->before.st_mode))
            return -1;
        top->is_placed = 1;
        if ((top->before.st_uid != top->user || top->before.st_gid != top->group) &&
            fchownat(at, top->name, top->user, top->group, AT_SYMLINK_NOFOLLOW) < 0)
            return -1;
        return fchmodat(at, top->name, top->record.mode & 07777, 0);
    }
    if (top->record.type != 'X' && !top->is_made)
        return 0;
    if (replaces) {
        top->has_old = renameat(at, top->name, at, beside("replaced", number)) == 0;
        /* A directory of the image cannot be moved on an overlay: one that is to be removed is, once all else is done. */
        if (!top->has_old && errno != ENOENT && !(top->record.type == 'X' && errno == EXDEV))
            return -1;
    }
    if (top->record.type == 'X')
        return 0;
    if (syscall(SYS_renameat2, at, beside("restored", number), at, top->name, NO_REPLACE) < 0)
        return -1;
    top->is_placed = 1;
    return 0;
}

/* Returns 0, or -1 where something is not as it was. */
static int take_back(struct top *top, size_t number) {
    int at = directory_of(top);
    if (at < 0)
        return top->is_placed || top->has_old ? -1 : 0;
    if (top->record.type == 'M' && top->is_placed)
        return fchownat(at, top->name, top->before.st_uid, top->before.st_gid, AT_SYMLINK_NOFOLLOW) |
               fchmodat(at, top->name, top->before.st_mode & 07777, 0);
    if (top->is_placed) {
        if (renameat(at, top->name, at, beside("restored", number)) < 0)
            return -1;
        top->is_placed = 0;
    }
    return top->has_old ? renameat(at, beside("replaced", number), at, top->name) : 0;
}

static void place_all(void) {
    for (size_t i = 0; i < top_count; i++) {
        if (place(&tops[i], i) == 0)
            continue;
        int error = errno, whole = 1;
        const char *name = tops[i].name;
        for (size_t j = i + 1; j-- > 0;)
            whole &= take_back(&tops[j], j) == 0;
        end(whole ? 1 : 3, name, strerror(error));
    }
    for (size_t i = 0; i < top_count; i++) {
        struct top *top = &tops[i];
        struct stat left;
        if (directory_of(top) < 0)
            end(3, top->name, strerror(errno));
        if (top->has_old)
            remove_entry(base_fd, beside("replaced", i));
        if (top->record.type != 'X' || fstatat(base_fd, top->name, &left, AT_SYMLINK_NOFOLLOW) < 0)
            continue;
        remove_entry(base_fd, top->name);
        if (fstatat(base_fd, top->name, &left, AT_SYMLINK_NOFOLLOW) == 0)
            end(3, top->name, "cannot be removed");
    }
}

int apply(void) {
    int root = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (root < 0 || flock(root, LOCK_EX) < 0) /* the program of a server that was killed may still be at it */
        give_up("/", strerror(errno));
    make_all();
    place_all();
    return 0;
}
