/* `danube-step pack`; see archive.h. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "archive.h"

#define PIECE_BYTES (256 << 10)

static uint64_t files;

int archive_path(const char *path, char *out) {
    const char *home = path[0] == '~' && path[1] == '/' ? getenv("HOME") : "";
    if (!home || (path[0] != '/' && !home[0]))
        return -1;
    int size = snprintf(out, PATH_MAX, "%s%s", home, home[0] ? path + 1 : path);
    return size < 0 || size >= PATH_MAX ? -1 : 0;
}

static void __attribute__((noreturn)) give_up(const char *name, const char *cause) {
    fflush(stdout);
    dprintf(1, "\ndanube-step: pack: %s: %s\n", name, cause);
    _exit(1);
}

static void emit(const void *data, size_t size) {
    if (fwrite(data, 1, size, stdout) != size)
        _exit(1); /* the server does not read any more */
}

static void emit_record(uint8_t type, const char *name, const char *link, uint64_t size, const struct stat *s) {
    struct record record = {.type = type, .name_size = (uint8_t)strlen(name), .link_size = (uint16_t)strlen(link), .size = size};
    if (s) {
        record.mode = s->st_mode & 07777;
        record.seconds = s->st_mtim.tv_sec;
        record.nanoseconds = (uint32_t)s->st_mtim.tv_nsec;
    }
    emit(&record, sizeof record);
    emit(name, record.name_size);
    emit(link, record.link_size);
}

/* A file that changes while it is read could be kept with parts of two versions. */
static void pack_file(int directory, const char *at, const char *name) {
    static char piece[PIECE_BYTES];
    struct stat before, after;
    int fd = openat(directory, at, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &before) < 0)
        give_up(at, strerror(errno));
    if (!S_ISREG(before.st_mode))
        give_up(at, "changed while it was read");
    emit_record('F', name, "", (uint64_t)before.st_size, &before);
    for (off_t left = before.st_size; left;) {
        ssize_t size = read(fd, piece, left < PIECE_BYTES ? (size_t)left : PIECE_BYTES);
        if (size <= 0)
            give_up(at, size < 0 ? strerror(errno) : "changed while it was read");
        emit(piece, (size_t)size);
        left -= size;
    }
    if (fstat(fd, &after) < 0 || after.st_size != before.st_size || after.st_ctim.tv_sec != before.st_ctim.tv_sec ||
        after.st_ctim.tv_nsec != before.st_ctim.tv_nsec)
        give_up(at, "changed while it was read");
    close(fd);
    files++;
}

static int by_name(const void *one, const void *other) { return strcmp(*(char *const *)one, *(char *const *)other); }

/* The names in a directory, sorted: the same files give the same archive. */
static char **list(int fd, const char *shown, size_t *count) {
    char **names = NULL;
    size_t room = 0;
    DIR *stream = fdopendir(fcntl(fd, F_DUPFD_CLOEXEC, 0));
    if (!stream)
        give_up(shown, strerror(errno));
    *count = 0;
    for (struct dirent *entry; (errno = 0, entry = readdir(stream));) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (*count == room) {
            room = room ? 2 * room : 64;
            names = realloc(names, room * sizeof *names);
        }
        if (!names || !(names[*count] = strdup(entry->d_name)))
            give_up(shown, "out of memory");
        ++*count;
    }
    if (errno)
        give_up(shown, strerror(errno));
    closedir(stream);
    if (names)
        qsort(names, *count, sizeof *names, by_name);
    return names;
}

/* One entry with all below it. name: in the archive, "" for the first of a path. Special files are left out. */
static void pack_entry(int directory, const char *at, const char *name, int depth) {
    struct stat found;
    char target[ARCHIVE_LINK_BYTES + 2];
    if (fstatat(directory, at, &found, AT_SYMLINK_NOFOLLOW) < 0)
        give_up(at, errno == ENOENT ? "changed while it was read" : strerror(errno));
    if (S_ISLNK(found.st_mode)) {
        ssize_t size = readlinkat(directory, at, target, sizeof target - 1);
        if (size < 0 || size > ARCHIVE_LINK_BYTES)
            give_up(at, size < 0 ? strerror(errno) : "the link is too long");
        target[size] = 0;
        emit_record('L', name, target, 0, &found);
        files++;
    } else if (S_ISREG(found.st_mode)) {
        pack_file(directory, at, name);
    } else if (S_ISDIR(found.st_mode)) {
        size_t count;
        int fd = depth < ARCHIVE_DEPTH ? openat(directory, at, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) : -1;
        if (fd < 0)
            give_up(at, depth < ARCHIVE_DEPTH ? strerror(errno) : "too many directories in each other");
        char **names = list(fd, at, &count);
        emit_record('D', name, "", 0, &found);
        for (size_t i = 0; i < count; i++) {
            pack_entry(fd, names[i], names[i], depth + 1);
            free(names[i]);
        }
        free(names);
        emit_record('U', "", "", 0, NULL);
        close(fd);
    }
}

int pack(char **paths) {
    char path[PATH_MAX];
    struct stat found;
    int any = 0;
    emit(ARCHIVE_MAGIC, ARCHIVE_MAGIC_BYTES);
    for (uint64_t number = 0; paths[number]; number++) {
        if (archive_path(paths[number], path) < 0)
            give_up(paths[number], "not a usable path");
        if (lstat(path, &found) < 0) {
            if (errno != ENOENT && errno != ENOTDIR)
                give_up(path, strerror(errno));
            continue;
        }
        emit_record('T', "", "", number, NULL);
        pack_entry(AT_FDCWD, path, "", 0);
        any = 1;
    }
    emit_record('E', "", "", files, NULL);
    if (fflush(stdout) != 0)
        return 1;
    return any ? 0 : 3;
}
