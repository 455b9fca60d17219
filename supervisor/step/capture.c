/* `danube-step capture`; see snapshot.h. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "archive.h"
#include "snapshot.h"

#define SETTLE_NANOSECONDS 20000000 /* two ticks of the slowest kernel (100 Hz), in which times of changes are counted */

static char path[PATH_MAX];
static size_t path_size;
static int is_second; /* of the two walks */
static char base[PATH_MAX]; /* the directory of the last 'P' */
static int made;            /* how many directories that did not exist before the walk is in */
static uint64_t files;

static void __attribute__((noreturn)) give_up(const char *name, const char *cause) {
    fflush(stdout);
    dprintf(1, "\ndanube-step: capture: %s: %s\n", name, cause);
    _exit(1);
}

static void emit(const void *data, size_t size) {
    if (fwrite(data, 1, size, stdout) != size)
        _exit(1); /* the server does not read any more */
}

static void emit_record(uint8_t type, const char *name, const char *link, uint64_t size, const struct stat *s, int replaces) {
    struct record record = {.type = type, .name_size = (uint8_t)strlen(name), .link_size = (uint16_t)strlen(link), .size = size};
    if (s) {
        record.mode = (s->st_mode & 07777) | (replaces ? SNAPSHOT_REPLACES : 0);
        record.seconds = s->st_mtim.tv_sec;
        record.nanoseconds = (uint32_t)s->st_mtim.tv_nsec;
    }
    emit(&record, sizeof record);
    emit(name, record.name_size);
    emit(link, record.link_size);
}

static int is_in_workspace(const char *one) {
    size_t size = strlen(SNAPSHOT_WORKSPACE);
    return strncmp(one, SNAPSHOT_WORKSPACE, size) == 0 && (one[size] == '/' || !one[size]);
}

/* The directory of an entry, where it is not that of the one before. */
static void emit_base(const char *one) {
    const char *slash = strrchr(one, '/');
    size_t size = slash == one ? 1 : (size_t)(slash - one);
    if (made || (strlen(base) == size && strncmp(base, one, size) == 0))
        return;
    memcpy(base, one, size);
    base[size] = 0;
    emit_record('P', "", base, 0, NULL, 0);
}

static void emit_owner(const struct stat *s) {
    if (s->st_uid == geteuid() && s->st_gid == getegid())
        return;
    if (geteuid() != 0)
        give_up(path, "belongs to another user, as whom it could not be restored");
    emit_record('O', "", "", (uint64_t)s->st_uid << 32 | s->st_gid, NULL, 0);
}

static void refuse_attributes(void) {
    char names[1024];
    ssize_t size = llistxattr(path, names, sizeof names);
    if (size < 0 && errno != ENOTSUP)
        give_up(path, strerror(errno));
    for (ssize_t at = 0; at < size; at += (ssize_t)strlen(names + at) + 1)
        if (strncmp(names + at, "security.selinux", 16) != 0)
            give_up(path, "has extended attributes, which are not kept");
}

/* A file that changes while it is read could be kept with parts of two versions. */
static void emit_file(int directory, const char *name, int replaces) {
    static char piece[256 << 10];
    struct stat before, after;
    int fd = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &before) < 0)
        give_up(path, strerror(errno));
    if (!S_ISREG(before.st_mode))
        give_up(path, "changed while it was read");
    emit_owner(&before);
    emit_record('F', name, "", (uint64_t)before.st_size, &before, replaces);
    for (off_t left = before.st_size; left;) {
        ssize_t size = read(fd, piece, left < (off_t)sizeof piece ? (size_t)left : sizeof piece);
        if (size <= 0)
            give_up(path, size < 0 ? strerror(errno) : "changed while it was read");
        emit(piece, (size_t)size);
        left -= size;
    }
    if (fstat(fd, &after) < 0 || after.st_size != before.st_size || after.st_ctim.tv_sec != before.st_ctim.tv_sec ||
        after.st_ctim.tv_nsec != before.st_ctim.tv_nsec)
        give_up(path, "changed while it was read");
    close(fd);
    files++;
}

static void emit_link(int directory, const char *name, const struct stat *s, int replaces) {
    char target[ARCHIVE_LINK_BYTES + 2];
    ssize_t size = readlinkat(directory, name, target, sizeof target - 1);
    if (size < 0 || size > ARCHIVE_LINK_BYTES)
        give_up(path, size < 0 ? strerror(errno) : "the link is too long");
    target[size] = 0;
    emit_owner(s);
    emit_record('L', name, target, 0, s, replaces);
    files++;
}

static int is_same_time(struct timespec one, struct timespec other) {
    return one.tv_sec == other.tv_sec && one.tv_nsec == other.tv_nsec;
}

/* Directories have no content of their own, and on an overlay no lasting inode. */
static int is_unchanged(const struct entry *known, const struct stat *s) {
    int same = known->mode == s->st_mode && known->user == s->st_uid && known->group == s->st_gid;
    if (!same || S_ISDIR(s->st_mode))
        return same;
    return known->inode == s->st_ino && known->size == (uint64_t)s->st_size && is_same_time(known->changed, s->st_ctim) &&
           is_same_time(known->modified, s->st_mtim);
}

static void note(const struct stat *s) {
    struct entry *entry = entry_of(path, 1);
    if (!entry)
        give_up(path, "the container has too many files");
    entry->mode = s->st_mode;
    entry->user = s->st_uid;
    entry->group = s->st_gid;
    entry->inode = s->st_ino;
    entry->size = (uint64_t)s->st_size;
    entry->changed = s->st_ctim;
    entry->modified = s->st_mtim;
}

static int is_kept(uint32_t mode) { return S_ISDIR(mode) || S_ISREG(mode) || S_ISLNK(mode); }

static void walk(int directory, int depth);

/* A directory that cannot be read is one that this user does not change either. */
static void descend(int directory, const char *name, int depth) {
    int fd = openat(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && (errno == EACCES || errno == ENOENT) && !made)
        return;
    if (fd < 0 || depth >= ARCHIVE_DEPTH)
        give_up(path, fd < 0 ? strerror(errno) : "too many directories in each other");
    walk(fd, depth + 1);
}

/* An entry in the second walk, whose record is written where it is not as it was. */
static void compare(int directory, const char *name, const struct stat *s, int depth) {
    struct entry *known = made ? NULL : entry_of(path, 0);
    int replaces = known != NULL;
    if (known)
        known->seen = 1;
    if (known && is_unchanged(known, s)) {
        if (S_ISDIR(s->st_mode))
            descend(directory, name, depth);
        return;
    }
    if (known && is_in_workspace(path))
        give_up(path, "existed before the step and is changed by it; in /workspace a step with snapshot= may only add files");
    if (known && S_ISDIR(s->st_mode) && S_ISDIR(known->mode)) {
        emit_base(path);
        emit_owner(s);
        emit_record('M', name, "", 0, s, 1);
        descend(directory, name, depth);
        return;
    }
    if (!is_kept(s->st_mode)) {
        if (known && is_kept(known->mode))
            give_up(path, "became a socket, a pipe or a device, which is not kept");
        return; /* sockets and pipes end with the processes that have them open */
    }
    refuse_attributes();
    emit_base(path);
    if (S_ISREG(s->st_mode)) {
        emit_file(directory, name, replaces);
    } else if (S_ISLNK(s->st_mode)) {
        emit_link(directory, name, s, replaces);
    } else {
        emit_owner(s);
        emit_record('D', name, "", 0, s, replaces);
        made++;
        descend(directory, name, depth);
        made--;
        emit_record('U', "", "", 0, NULL, 0);
    }
}

/* All below a directory, which is closed. */
static void walk(int directory, int depth) {
    size_t above = path_size;
    DIR *stream = fdopendir(directory);
    if (!stream)
        give_up(path, strerror(errno));
    for (struct dirent *one; (errno = 0, one = readdir(stream));) {
        struct stat found;
        if (strcmp(one->d_name, ".") == 0 || strcmp(one->d_name, "..") == 0)
            continue;
        size_t size = strlen(one->d_name);
        if (above + size + 2 > sizeof path)
            give_up(path, "its path is too long");
        path[above] = '/';
        memcpy(path + above + 1, one->d_name, size + 1);
        path_size = above + size + 1;
        if (!is_mount_point(path) && fstatat(directory, one->d_name, &found, AT_SYMLINK_NOFOLLOW) == 0) {
            if (is_second) {
                compare(directory, one->d_name, &found, depth);
            } else {
                note(&found);
                if (S_ISDIR(found.st_mode))
                    descend(directory, one->d_name, depth);
            }
        }
        path[path_size = above] = 0;
    }
    if (errno)
        give_up(path, strerror(errno));
    closedir(stream);
}

static void walk_all(char **mounts, size_t count) {
    for (size_t i = 0; i < count; i++) {
        int fd = open(mounts[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
            give_up(mounts[i], strerror(errno));
        path_size = strcmp(mounts[i], "/") == 0 ? 0 : strlen(mounts[i]);
        memcpy(path, mounts[i], path_size);
        path[path_size] = 0;
        walk(fd, 0);
    }
}

static int by_path(const void *one, const void *other) {
    return strcmp((*(struct entry *const *)one)->path, (*(struct entry *const *)other)->path);
}

/* What existed and does not any more; of a removed directory its own record alone. */
static void emit_removed(void) {
    struct entry **entries;
    size_t count = all_entries(&entries), size = 0;
    const char *removed = "";
    if (!entries)
        give_up("/", "out of memory");
    qsort(entries, count, sizeof *entries, by_path);
    for (size_t i = 0; i < count; i++) {
        const char *one = entries[i]->path, *above = strrchr(one, '/');
        struct stat at;
        if (entries[i]->seen || (size && strncmp(one, removed, size) == 0 && one[size] == '/'))
            continue;
        if (lstat(one, &at) == 0 || (errno != ENOENT && errno != ENOTDIR))
            continue; /* below a directory that could not be read */
        removed = one;
        size = strlen(one);
        if (is_in_workspace(one))
            give_up(one, "existed before the step and is removed by it; in /workspace a step with snapshot= may only add files");
        char parent[PATH_MAX];
        snprintf(parent, sizeof parent, "%.*s", above == one ? 1 : (int)(above - one), one);
        if (lstat(parent, &at) < 0 || !S_ISDIR(at.st_mode))
            continue; /* it became something else, which is in the archive */
        struct entry *directory = entry_of(parent, 0);
        if (directory && !S_ISDIR(directory->mode))
            continue;
        emit_base(one);
        emit_record('X', above + 1, "", 0, NULL, 1);
    }
}

int capture(void) {
    size_t count;
    char go;
    int root = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (root < 0 || flock(root, LOCK_SH) < 0) /* an `apply` that was given up may still remove what it had made */
        give_up("/", strerror(errno));
    close(root);
    char **mounts = writable_mounts(&count);
    if (!mounts)
        give_up("/proc/self/mountinfo", strerror(errno));
    walk_all(mounts, count);
    nanosleep(&(struct timespec){.tv_nsec = SETTLE_NANOSECONDS}, NULL);
    if (write(1, SNAPSHOT_READY, strlen(SNAPSHOT_READY)) < 0 || read(0, &go, 1) != 1)
        return 0;
    is_second = 1;
    emit(SNAPSHOT_MAGIC, ARCHIVE_MAGIC_BYTES);
    walk_all(mounts, count);
    emit_removed();
    emit_record('E', "", "", files, NULL, 0);
    return fflush(stdout) != 0;
}
