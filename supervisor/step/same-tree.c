/* Compares two trees without following a link; see the header. */
#define _GNU_SOURCE
#include "same-tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "archive.h"

static int is_same_file(int one, int other) {
    static char piece[64 << 10], other_piece[64 << 10];
    for (;;) {
        ssize_t size = read(one, piece, sizeof piece), done = 0;
        while (size > 0 && done < size) {
            ssize_t part = read(other, other_piece + done, (size_t)(size - done));
            if (part <= 0)
                return 0;
            done += part;
        }
        if (size < 0 || (size > 0 && memcmp(piece, other_piece, (size_t)size) != 0))
            return 0;
        if (size == 0)
            return read(other, other_piece, 1) == 0;
    }
}

/* Every entry of the first is in the second and the same, and there are as many. Both are closed. */
static int is_same_directory(int one, int other, int depth) {
    DIR *stream = fdopendir(one), *others = fdopendir(other);
    int same = stream && others && depth < ARCHIVE_DEPTH;
    long count = 0;
    for (struct dirent *entry; same && (entry = readdir(stream)); count++)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            same = is_same_tree(one, entry->d_name, other, entry->d_name, depth + 1);
    while (same && readdir(others))
        count--;
    if (stream)
        closedir(stream);
    else if (one >= 0)
        close(one);
    if (others)
        closedir(others);
    else if (other >= 0)
        close(other);
    return same && count == 0;
}

int is_same_tree(int directory, const char *name, int other_directory, const char *other_name, int depth) {
    struct stat one, other;
    if (fstatat(directory, name, &one, AT_SYMLINK_NOFOLLOW) < 0 ||
        fstatat(other_directory, other_name, &other, AT_SYMLINK_NOFOLLOW) < 0 || one.st_mode != other.st_mode ||
        one.st_uid != other.st_uid || one.st_gid != other.st_gid)
        return 0;
    if (S_ISLNK(one.st_mode)) {
        char target[ARCHIVE_LINK_BYTES + 1], other_target[ARCHIVE_LINK_BYTES + 1];
        ssize_t size = readlinkat(directory, name, target, sizeof target);
        return size >= 0 && readlinkat(other_directory, other_name, other_target, sizeof other_target) == size &&
               memcmp(target, other_target, (size_t)size) == 0;
    }
    if (!S_ISREG(one.st_mode) && !S_ISDIR(one.st_mode))
        return 0;
    if (S_ISREG(one.st_mode) && one.st_size != other.st_size)
        return 0;
    int flags = O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK;
    int fd = openat(directory, name, flags), other_fd = openat(other_directory, other_name, flags);
    if (S_ISDIR(one.st_mode))
        return is_same_directory(fd, other_fd, depth);
    int same = fd >= 0 && other_fd >= 0 && is_same_file(fd, other_fd);
    if (fd >= 0)
        close(fd);
    if (other_fd >= 0)
        close(other_fd);
    return same;
}
