/* Whole files, and the names in a directory. */
#pragma once

#include "base/buffer.h"
#include "base/error.h"

/* Reads a file of at most `limit` bytes into an empty buffer. False where it cannot be read or has
 * more; the error does not name the path: the caller does. */
MUST_CHECK bool file_read(const char *path, size_t limit, struct buffer *ret, struct error *reterr);

/* The same of a regular file only: a FIFO or a device would not end, or not begin. */
MUST_CHECK bool file_read_regular(const char *path, size_t limit, struct buffer *ret,
                                  struct error *reterr);

/* Writes a file whole or not at all: beside it, then renamed. */
MUST_CHECK bool file_write(const char *path, struct slice text, struct error *reterr);

/* Visits each file in a directory whose name has one of the endings (NULL-terminated), by its path
 * and in the bytewise order of names. Hidden names are left out: Kubernetes' own, since a
 * ConfigMap's files are links through `..data`. Returns how many there were, or -1 with errno set.
 */
int directory_each(const char *path, const char *const *endings,
                   void (*visit)(void *context, const char *file), void *context);

/* Reads stdin to its end, likewise. */
MUST_CHECK bool file_read_stdin(size_t limit, struct buffer *ret, struct error *reterr);
