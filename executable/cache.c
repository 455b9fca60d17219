#define _GNU_SOURCE
#include "cache.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "failure.h"

enum { OPEN_DIRECTORIES = 16 };

char *join(const char *directory, const char *name) {
    size_t size = strlen(directory) + strlen(name) + 2;
    char *path = malloc(size);
    if (!path)
        fail("no memory for a path in", directory, "free memory, and start it again");
    snprintf(path, size, "%s/%s", directory, name);
    return path;
}

static const char *base(void) {
    const char *set = getenv("XDG_CACHE_HOME");
    /* The specification of the variable: a relative path is to be ignored. */
    if (set && *set == '/')
        return set;
    const char *home = getenv("HOME");
    errno = 0;
    if (!home || *home != '/')
        fail("there is no directory to unpack into:", "HOME is not set", PLACE_HINT);
    return join(home, ".cache");
}

static void make(const char *path) {
    if (mkdir(path, 0700) < 0 && errno != EEXIST)
        fail("cannot make the directory", path, PLACE_HINT);
}

const char *open_cache(void) {
    const char *above = base();
    char *path = join(above, "danube");
    int opened = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (opened < 0 && errno == ENOENT) {
        for (char *at = strchr(path + 1, '/'); at; at = strchr(at + 1, '/')) {
            *at = 0;
            make(path);
            *at = '/';
        }
        make(path);
        opened = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    }
    struct stat state;
    if (opened < 0 || fstat(opened, &state) < 0)
        fail("cannot open the directory", path, PLACE_HINT);
    errno = 0;
    if (state.st_uid != geteuid())
        fail("another user owns", path, PLACE_HINT);
    /* What others could write may hold their programs. What they could only read is closed to them. */
    if (state.st_mode & 022)
        fail("other users can write into", path, "remove that directory, or set XDG_CACHE_HOME to one of your own");
    if (state.st_mode & 077 && fchmod(opened, 0700) < 0)
        fail("cannot close to other users the directory", path, PLACE_HINT);
    close(opened);
    return path;
}

void lock_cache(const char *place) {
    char *path = join(place, ".lock");
    int lock = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (lock < 0)
        fail("cannot write", path, PLACE_HINT);
    int result;
    while ((result = flock(lock, LOCK_EX)) < 0 && errno == EINTR)
        continue;
    if (result < 0)
        fail("cannot lock", path, PLACE_HINT);
}

void refuse_noexec(const char *place) {
    struct statvfs state;
    if (statvfs(place, &state) < 0)
        fail("cannot read the state of", place, PLACE_HINT);
    errno = 0;
    if (state.f_flag & ST_NOEXEC)
        fail("no program may run (the disk is mounted noexec) in", place, PLACE_HINT);
}

static int remove_one(const char *path, const struct stat *state, int kind, struct FTW *where) {
    (void)state;
    (void)where;
    return kind == FTW_DP ? rmdir(path) : unlink(path);
}

void remove_tree(const char *path) {
    if (nftw(path, remove_one, OPEN_DIRECTORIES, FTW_DEPTH | FTW_PHYS) < 0 && errno != ENOENT)
        fail("cannot remove", path, "remove it by hand");
}
