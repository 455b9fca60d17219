/* Removes a tree without following a link; see the header. */
#define _GNU_SOURCE
#include "remove-tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void remove_content(int fd) {
    DIR *stream = fdopendir(fd);
    if (!stream)
        return;
    (void)!fchmod(fd, 0700); /* a cache of modules of Go is read-only */
    for (struct dirent *entry; (entry = readdir(stream));)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            remove_entry(fd, entry->d_name);
    closedir(stream);
}

void remove_entry(int directory, const char *name) {
    if (unlinkat(directory, name, 0) == 0 || (errno != EISDIR && errno != EPERM))
        return;
    (void)!fchmodat(directory, name, 0700, 0);
    int fd = openat(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd >= 0)
        remove_content(fd);
    (void)!unlinkat(directory, name, AT_REMOVEDIR);
}
