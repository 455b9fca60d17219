/* What a container has before a step: a table by path, and the file systems that it may write; see snapshot.h. */
#define _GNU_SOURCE
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "snapshot.h"

static struct entry **table;
static size_t room, used;

static uint64_t hash_of(const char *path) { /* FNV-1a */
    uint64_t hash = 14695981039346656037u;
    for (; *path; path++)
        hash = (hash ^ (unsigned char)*path) * 1099511628211u;
    return hash;
}

static size_t place_of(struct entry **in, size_t size, const char *path, uint64_t hash) {
    size_t at = hash & (size - 1);
    while (in[at] && (in[at]->hash != hash || strcmp(in[at]->path, path) != 0))
        at = (at + 1) & (size - 1);
    return at;
}

static int grow(void) {
    size_t size = room ? 2 * room : 1 << 16;
    struct entry **larger = calloc(size, sizeof *larger);
    if (!larger)
        return -1;
    for (size_t i = 0; i < room; i++)
        if (table[i])
            larger[place_of(larger, size, table[i]->path, table[i]->hash)] = table[i];
    free(table);
    table = larger;
    room = size;
    return 0;
}

struct entry *entry_of(const char *path, int make) {
    uint64_t hash = hash_of(path);
    if (make && 2 * used >= room && (used >= SNAPSHOT_ENTRIES || grow() < 0))
        return NULL;
    if (!room)
        return NULL;
    size_t at = place_of(table, room, path, hash);
    if (table[at] || !make)
        return table[at];
    struct entry *made = calloc(1, sizeof *made);
    if (!made || !(made->path = strdup(path)))
        return NULL;
    made->hash = hash;
    used++;
    return table[at] = made;
}

size_t all_entries(struct entry ***out) {
    size_t count = 0;
    *out = calloc(used + 1, sizeof **out);
    for (size_t i = 0; *out && i < room; i++)
        if (table[i])
            (*out)[count++] = table[i];
    return count;
}

/* --- mounts */

static char **points;
static size_t point_count;

/* What is kept in memory, or is not made of files. */
static const char *const ELSEWHERE[] = {"proc",   "sysfs",  "tmpfs", "devtmpfs",   "devpts", "mqueue",
                                        "cgroup", "cgroup2", "ramfs", "securityfs", "debugfs", "bpf"};

static int is_elsewhere(const char *kind) {
    for (size_t i = 0; i < sizeof ELSEWHERE / sizeof *ELSEWHERE; i++)
        if (strcmp(kind, ELSEWHERE[i]) == 0)
            return 1;
    return 0;
}

int is_mount_point(const char *path) {
    for (size_t i = 0; i < point_count; i++)
        if (strcmp(points[i], path) == 0)
            return 1;
    return 0;
}

/* mountinfo writes space, tab, line break and backslash as \ooo; see proc(5). */
static void unescape(char *text) {
    char *out = text;
    for (char *at = text; *at; at++) {
        if (at[0] == '\\' && at[1] && at[2] && at[3]) {
            *out++ = (char)((at[1] - '0') << 6 | (at[2] - '0') << 3 | (at[3] - '0'));
            at += 3;
        } else {
            *out++ = *at;
        }
    }
    *out = 0;
}

static int is_writable(const char *options) {
    return strncmp(options, "rw", 2) == 0 && (options[2] == ',' || options[2] == 0);
}

char **writable_mounts(size_t *count) {
    FILE *file = fopen("/proc/self/mountinfo", "re");
    char *line = NULL, **found = NULL;
    size_t size = 0, own = strlen("/.danube");
    *count = 0;
    if (!file)
        return NULL;
    while (getline(&line, &size, file) > 0) {
        char point[PATH_MAX], options[512], kind[64];
        struct stat at;
        char *behind = strstr(line, " - ");
        if (!behind || sscanf(line, "%*s %*s %*s %*s %4095s %511s", point, options) != 2 || sscanf(behind, " - %63s", kind) != 1)
            continue;
        unescape(point);
        points = realloc(points, (point_count + 1) * sizeof *points);
        found = realloc(found, (*count + 1) * sizeof *found);
        if (!points || !found || !(points[point_count++] = strdup(point)))
            exit(1);
        if (is_writable(options) && !is_elsewhere(kind) && strncmp(point, "/.danube", own) != 0 && stat(point, &at) == 0 &&
            S_ISDIR(at.st_mode))
            found[(*count)++] = points[point_count - 1];
    }
    free(line);
    fclose(file);
    return found;
}
