/* The archive of a step's snapshot: what a command has changed in its container and in the workspace.
 *
 * It begins with SNAPSHOT_MAGIC and is a sequence of records of archive.h, with these types:
 *   'P'  the directory that the link text names, in which the entries that follow are; it existed before the command
 *   'D'  a directory that did not exist before; its entries follow, then 'U'
 *   'F'  a file, with `size` bytes of content behind the record
 *   'L'  a symbolic link
 *   'X'  an entry that the command has removed
 *   'M'  a directory that existed before and has other owners or another mode since
 *   'O'  the user (upper half of `size`) and the group of the next entry, where they are not those of the program
 *   'E'  the end of the archive; `size` is the number of files
 * The mode of an entry that takes the place of one that existed before has SNAPSHOT_REPLACES.
 *
 * Below /workspace a command may only add: what it reads there differs from job to job, so that a file which it has changed
 * could not be distinguished from one that another commit has. Elsewhere the caller must know that the container is as it was. */
#ifndef DANUBE_SNAPSHOT_H
#define DANUBE_SNAPSHOT_H

#include <limits.h>
#include <stdint.h>
#include <sys/stat.h>

#define SNAPSHOT_MAGIC "DNBS1\n\0"
#define SNAPSHOT_REPLACES (1u << 31)
#define SNAPSHOT_WORKSPACE "/workspace"
#define SNAPSHOT_ENTRIES 2000000 /* of a container; with 200 bytes each they count as its memory */

/* `danube-step capture`: notes every file that the container may write, prints SNAPSHOT_READY, waits for a byte of standard input
 * and then writes the archive of what has changed to standard output. Without the byte it ends. Returns 0, or 1 for an archive
 * that must not be used, with the cause as its last line. */
#define SNAPSHOT_READY "ready\n"
int capture(void);

/* `danube-step apply`: reads such an archive from standard input. Everything is made beside its place first, and compared with
 * what exists; then all of it takes its place. What an earlier call that was interrupted has put there is accepted.
 * Returns 0; 1 where nothing was changed, with the cause on standard output; 3 where that is not known. */
int apply(void);

/* --- the table of what existed before: scan.c */

struct entry {
    char *path;
    uint64_t hash, inode, size;
    struct timespec changed, modified;
    uint32_t mode, user, group;
    int seen; /* in the second walk */
};

/* The entry of a path, made where it is missing if `make`; NULL where there is none, or no memory. */
struct entry *entry_of(const char *path, int make);
/* Every entry, in no order. Returns the count. */
size_t all_entries(struct entry ***out);

/* The directories of file systems on disk that the container may write, each the top of one; `count` of them. What is mounted
 * below one is not a part of it: is_mount_point. Returns NULL where they cannot be read. */
char **writable_mounts(size_t *count);
int is_mount_point(const char *path);

#endif
