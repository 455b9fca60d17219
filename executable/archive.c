#define _GNU_SOURCE
#include "archive.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cache.h"
#include "failure.h"
#include "inflate.h"

enum { HEADER = 16, MAX_NAME = 4095 };

struct writer {
    int directory;
    unsigned char header[HEADER];
    char name[MAX_NAME + 1];
    char target[MAX_NAME + 1];
    size_t header_got, name_got, name_length;
    uint64_t left, target_got;
    int file; /* -1 between files */
};

static uint64_t little_endian(const unsigned char *bytes, int count) {
    uint64_t value = 0;
    while (count--)
        value = value << 8 | bytes[count];
    return value;
}

static size_t at_most(size_t count, uint64_t wanted) {
    return count < wanted ? count : (size_t)wanted;
}

static void check(int result, const char *name) {
    if (result < 0)
        fail("cannot unpack", name, UNPACK_HINT);
}

static void set_mode(const struct writer *w, int file) {
    check(fchmod(file, (mode_t)little_endian(w->header + 2, 2)), w->name);
}

/* The name is complete. */
static bool begin(struct writer *w) {
    w->name[w->name_length] = 0;
    w->left = little_endian(w->header + 8, 8);
    w->target_got = 0;
    switch (w->header[0]) {
    case 'd':
        check(mkdirat(w->directory, w->name, 0700), w->name);
        int made = openat(w->directory, w->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        check(made, w->name);
        set_mode(w, made);
        close(made);
        return w->left == 0;
    case 'f':
        w->file = openat(w->directory, w->name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        check(w->file, w->name);
        return true;
    case 'l':
        return w->left > 0 && w->left <= MAX_NAME;
    default:
        return false;
    }
}

/* The content is complete. */
static void end(struct writer *w) {
    if (w->header[0] == 'f') {
        set_mode(w, w->file);
        check(close(w->file), w->name);
        w->file = -1;
    } else if (w->header[0] == 'l') {
        w->target[w->target_got] = 0;
        check(symlinkat(w->target, w->directory, w->name), w->name);
    }
    w->header_got = w->name_got = 0;
}

static void add(struct writer *w, const unsigned char *piece, size_t count) {
    if (w->header[0] == 'l') {
        memcpy(w->target + w->target_got, piece, count);
        w->target_got += count;
        return;
    }
    while (count) {
        ssize_t written = write(w->file, piece, count);
        if (written < 0 && errno == EINTR)
            continue;
        check((int)written, w->name);
        piece += written;
        count -= (size_t)written;
    }
}

static bool take(void *context, const unsigned char *piece, size_t count) {
    struct writer *w = context;
    while (count) {
        size_t now;
        if (w->header_got < HEADER) {
            now = at_most(count, HEADER - w->header_got);
            memcpy(w->header + w->header_got, piece, now);
            w->header_got += now;
            if (w->header_got == HEADER) {
                w->name_length = little_endian(w->header + 4, 4);
                if (!w->name_length || w->name_length > MAX_NAME)
                    return false;
            }
        } else if (w->name_got < w->name_length) {
            now = at_most(count, w->name_length - w->name_got);
            memcpy(w->name + w->name_got, piece, now);
            w->name_got += now;
            if (w->name_got == w->name_length) {
                if (!begin(w))
                    return false;
                if (!w->left)
                    end(w);
            }
        } else {
            now = at_most(count, w->left);
            add(w, piece, now);
            w->left -= now;
            if (!w->left)
                end(w);
        }
        piece += now;
        count -= now;
    }
    return true;
}

bool unpack(const unsigned char *data, size_t size, const char *directory) {
    static struct writer w;
    w.file = -1;
    w.directory = open(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    check(w.directory, directory);
    bool whole = inflate_stream(data, size, take, &w) && w.header_got == 0;
    /* A tree counts as complete from its rename on: nothing of it may be lost with the power. */
    if (whole)
        check(syncfs(w.directory), directory);
    close(w.directory);
    return whole;
}
