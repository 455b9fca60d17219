/* Writes the tree of an archive. The archive is a sequence of entries, each a header of 16 bytes (kind: d, f or l; a zero
 * byte; mode, length of the name, length of the content: 2, 4 and 8 bytes, little-endian), the name, and the content: that of
 * a file, or the target of a link. A directory comes before what is in it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Unpacks a zlib stream into an empty directory. False where the stream is damaged; an error of the file system is final. */
bool unpack(const unsigned char *data, size_t size, const char *directory);
