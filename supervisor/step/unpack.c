/* `danube-step unpack`; see archive.h. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "archive.h"
#include "remove-tree.h"

#define PIECE_BYTES (256 << 10)
#define MAX_PATHS 120 /* the exec socket takes no more words */

/* A path with the directory above it. `fresh` is the name beside it at which its tree is made, `old` that of what it replaces. */
struct place {
    char path[PATH_MAX];
    char *name;
    int above;
    int made; /* the archive has it */
};

static struct place *places;
static size_t place_count;
static char fresh[64], old[64];

static void __attribute__((noreturn)) give_up(const char *name, const char *cause) {
    for (size_t i = 0; i < place_count; i++)
        if (places[i].above >= 0 && places[i].made)
            remove_entry(places[i].above, fresh);
    dprintf(1, "danube-step: unpack: %s: %s\n", name, cause);
    _exit(1);
}

static void take(void *data, size_t size) {
    if (fread(data, 1, size, stdin) != size)
        give_up("the archive", "it is incomplete");
}

static void take_text(char *text, size_t size) {
    take(text, size);
    text[size] = 0;
    if (strlen(text) != size)
        give_up("the archive", "a name has a NUL byte");
}

/* The directory above a path, made where it is missing. */
static void open_place(struct place *place) {
    char *slash = strrchr(place->path, '/');
    for (char *at = place->path; (at = strchr(at + 1, '/')) && at <= slash;) {
        *at = 0;
        if (mkdir(place->path, 0755) < 0 && errno != EEXIST)
            give_up(place->path, strerror(errno));
        *at = '/';
    }
    *slash = 0;
    place->name = slash + 1;
    place->above = open(place->path[0] ? place->path : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (place->above < 0)
        give_up(place->path, strerror(errno));
}

static void unpack_file(int directory, const char *name, const struct record *record, const struct timespec *times) {
    static char piece[PIECE_BYTES];
    int fd = openat(directory, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        give_up(name, strerror(errno));
    for (uint64_t left = record->size; left;) {
        size_t size = left < PIECE_BYTES ? (size_t)left : PIECE_BYTES;
        take(piece, size);
        for (size_t done = 0; done < size;) {
            ssize_t written = write(fd, piece + done, size - done);
            if (written < 0)
                give_up(name, strerror(errno));
            done += (size_t)written;
        }
        left -= size;
    }
    if (fchmod(fd, record->mode) < 0 || futimens(fd, times) < 0)
        give_up(name, strerror(errno));
    close(fd);
}

/* The open directories of the tree that is made, and what each becomes at its end. */
static int directories[ARCHIVE_DEPTH + 1];
static struct record attributes[ARCHIVE_DEPTH + 1];
static int depth;

static void enter(const char *name, const struct record *record) {
    if (depth == ARCHIVE_DEPTH || mkdirat(directories[depth], name, 0700) < 0)
        give_up(name, depth == ARCHIVE_DEPTH ? "too many directories in each other" : strerror(errno));
    int fd = openat(directories[depth], name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        give_up(name, strerror(errno));
    directories[++depth] = fd;
    attributes[depth] = *record;
}

static void leave_directory(void) {
    if (depth == 0)
        give_up("the archive", "it is damaged");
    struct record *record = &attributes[depth];
    struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {record->seconds, record->nanoseconds}};
    if (fchmod(directories[depth], record->mode) < 0 || futimens(directories[depth], times) < 0)
        give_up("a directory", strerror(errno));
    close(directories[depth--]);
}

static void unpack_entry(const struct record *record, const char *name, const char *link) {
    struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {record->seconds, record->nanoseconds}};
    if (!depth != !name[0] || strchr(name, '/') || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        give_up("the archive", "it is damaged");
    const char *as = depth ? name : fresh;
    if (record->type == 'D')
        enter(as, record);
    else if (record->type == 'F')
        unpack_file(directories[depth], as, record, times);
    else if (symlinkat(link, directories[depth], as) < 0 ||
             utimensat(directories[depth], as, times, AT_SYMLINK_NOFOLLOW) < 0)
        give_up(as, strerror(errno));
}

/* Reads to the end record. */
static void unpack_all(void) {
    char magic[ARCHIVE_MAGIC_BYTES], name[ARCHIVE_NAME_BYTES + 1], link[UINT16_MAX + 1];
    struct record record;
    struct place *place = NULL;
    take(magic, sizeof magic);
    if (memcmp(magic, ARCHIVE_MAGIC, sizeof magic) != 0)
        give_up("the archive", "it is damaged");
    for (;;) {
        take(&record, sizeof record);
        take_text(name, record.name_size);
        take_text(link, record.link_size);
        if (record.type == 'E' && depth == 0)
            return;
        if (record.type == 'T' && depth == 0 && record.size < place_count && !places[record.size].made) {
            place = &places[record.size];
            open_place(place);
            remove_entry(place->above, fresh);
            place->made = 1;
            directories[0] = place->above;
        } else if (record.type == 'U') {
            leave_directory();
        } else if (place && strchr("DFL", record.type)) {
            unpack_entry(&record, name, link);
        } else {
            give_up("the archive", "it is damaged");
        }
    }
}

/* Every tree takes its place. What was at a path is moved away first, and back when that fails. */
static void exchange(void) {
    size_t done = 0;
    for (; done < place_count; done++) {
        struct place *place = &places[done];
        if (!place->made)
            continue;
        int had = renameat(place->above, place->name, place->above, old) == 0;
        if (!had && errno != ENOENT)
            break;
        if (renameat(place->above, fresh, place->above, place->name) == 0)
            continue;
        int error = errno;
        if (had)
            (void)!renameat(place->above, old, place->above, place->name);
        errno = error;
        break;
    }
    int error = errno;
    for (size_t i = 0; i < done; i++) {
        if (!places[i].made)
            continue;
        if (done == place_count) {
            remove_entry(places[i].above, old);
            continue;
        }
        remove_entry(places[i].above, places[i].name);
        (void)!renameat(places[i].above, old, places[i].above, places[i].name);
    }
    if (done < place_count)
        give_up(places[done].name, strerror(error));
}

int unpack(char **paths) {
    int root = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (root < 0 || flock(root, LOCK_EX) < 0) /* the program of a server that was killed may still be at it */
        give_up("/", strerror(errno));
    snprintf(fresh, sizeof fresh, ".danube-restored-%d", (int)getpid());
    snprintf(old, sizeof old, ".danube-replaced-%d", (int)getpid());
    size_t count = 0;
    while (paths[count])
        count++;
    places = calloc(count + 1, sizeof *places);
    if (!places || count > MAX_PATHS)
        give_up("/", "too many paths");
    for (; place_count < count; place_count++) {
        struct place *place = &places[place_count];
        place->above = -1;
        if (archive_path(paths[place_count], place->path) < 0 || !strrchr(place->path, '/')[1])
            give_up(paths[place_count], "not a usable path");
    }
    unpack_all();
    exchange();
    return 0;
}
