/* Whole files. */
#pragma once

#include "base/buffer.h"
#include "base/error.h"

/* Reads a file of at most `limit` bytes into an empty buffer. False where it cannot be read or has
 * more; the error does not name the path: the caller does. */
bool file_read(const char *path, size_t limit, struct buffer *ret, struct error *reterr);

/* The same of a regular file only: a FIFO or a device would not end, or not begin. */
bool file_read_regular(const char *path, size_t limit, struct buffer *ret, struct error *reterr);

/* Writes a file whole or not at all: beside it, then renamed. */
bool file_write(const char *path, struct slice text, struct error *reterr);

/* Reads stdin to its end, likewise. */
bool file_read_stdin(size_t limit, struct buffer *ret, struct error *reterr);
