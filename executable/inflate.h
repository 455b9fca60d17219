/* Decompresses a zlib stream (RFC 1950 and RFC 1951) that is in memory, and passes its content on in pieces. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Takes the next piece of the content; false stops the decompression. */
typedef bool (*take_piece)(void *context, const unsigned char *piece, size_t count);

/* Whether the stream is whole: its format, its length and its checksum are right, and every piece was taken. */
bool inflate_stream(const unsigned char *data, size_t size, take_piece take, void *context);
