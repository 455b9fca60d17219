/* The archive of a cache: trees of files as one stream, written and read in the container that has the files.
 *
 * It begins with ARCHIVE_MAGIC and is a sequence of records, each a struct record with its name and link target behind it:
 *   'T'  the tree of path number `size` begins; its first entry has no name
 *   'D'  a directory; its entries follow, then 'U'
 *   'U'  the end of a directory
 *   'F'  a file, with `size` bytes of content behind the record
 *   'L'  a symbolic link
 *   'E'  the end of the archive; `size` is the number of files. An archive without it is incomplete.
 * A name is one component of a path, so that no archive leads out of the paths that are restored. Owners, hard links, extended
 * attributes and special files are not kept. */
#ifndef DANUBE_ARCHIVE_H
#define DANUBE_ARCHIVE_H

#include <stdint.h>

#define ARCHIVE_MAGIC "DNBA1\n\0"
#define ARCHIVE_MAGIC_BYTES 8
#define ARCHIVE_DEPTH 256       /* directories in each other; each has an open descriptor */
#define ARCHIVE_NAME_BYTES 255  /* NAME_MAX */
#define ARCHIVE_LINK_BYTES 4095 /* PATH_MAX */

struct __attribute__((packed)) record {
    uint8_t type;
    uint8_t name_size;
    uint16_t link_size;
    uint32_t mode;
    uint64_t size;
    int64_t seconds; /* of the modification */
    uint32_t nanoseconds;
};

/* The path with `~/` replaced by HOME, in `out` of PATH_MAX bytes. Returns 0, or -1 for a path that is neither absolute nor
 * below HOME, or too long. */
int archive_path(const char *path, char *out);

/* `danube-step pack PATH...`: writes the archive of these paths to standard output. Returns 0; 3 where none of them exists; 1
 * for an archive that must not be used, with the cause as its last line. */
int pack(char **paths);

/* `danube-step unpack PATH...`: reads an archive of the same paths from standard input. Each tree is made beside its path and
 * then takes its place: whatever fails, the paths are as before. Returns 0, or 1 with the cause on standard output. */
int unpack(char **paths);

#endif
