/* What a piece of code writes on stderr or stdout. */
#pragma once

#include "tests/unit/check.h"

#include <unistd.h>

struct capture {
    int fd, saved;
    FILE *file;
};

__attribute__((unused)) static void capture_begin(struct capture *c, int fd)
{
    fflush(NULL);
    c->fd = fd;
    c->saved = dup(fd);
    c->file = tmpfile();
    assert_non_null(c->file);
    assert_true(c->saved >= 0 && dup2(fileno(c->file), fd) == fd);
}

__attribute__((unused)) static struct slice capture_end(struct capture *c, struct arena *arena)
{
    fflush(NULL);
    dup2(c->saved, c->fd);
    close(c->saved);
    long size = lseek(fileno(c->file), 0, SEEK_END);
    char *text = arena_allocate(arena, (size_t)size + 1);
    assert_int_equal(pread(fileno(c->file), text, (size_t)size, 0), size);
    fclose(c->file);
    return slice_of(text, (size_t)size);
}
