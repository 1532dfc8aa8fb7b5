/* Reads whole files, and lists directories. */
#include "webhook/common/files.h"

#include "base/cleanup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static MUST_CHECK bool read_all(int fd, size_t limit, struct buffer *ret, struct error *reterr)
{
    char chunk[64 * 1024];
    ret->limit = limit;
    for (;;) {
        ssize_t n = read(fd, chunk, sizeof(chunk));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_set(reterr, "cannot read: %s", strerror(errno));
        if (n == 0)
            return true;
        buffer_append(ret, slice_of(chunk, (size_t)n));
        if (ret->truncated)
            return error_set(reterr, "has more than %zu bytes, expected less", limit);
    }
}

bool file_read(const char *path, size_t limit, struct buffer *ret, struct error *reterr)
{
    CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return error_set(reterr, "cannot open: %s", strerror(errno));
    return read_all(fd, limit, ret, reterr);
}

bool file_read_regular(const char *path, size_t limit, struct buffer *ret, struct error *reterr)
{
    struct stat status;
    CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &status) != 0)
        return error_set(reterr, "cannot open: %s", strerror(errno));
    if (!S_ISREG(status.st_mode))
        return error_set(reterr, "is not a regular file, expected one");
    return read_all(fd, limit, ret, reterr);
}

bool file_read_stdin(size_t limit, struct buffer *ret, struct error *reterr)
{
    return read_all(STDIN_FILENO, limit, ret, reterr);
}

bool file_write(const char *path, struct slice text, struct error *reterr)
{
    CLEANUP_BUFFER struct buffer name = {0};
    buffer_append_format(&name, "%s.XXXXXX", path);
    CLEANUP_CLOSE int fd = mkstemp(name.base);
    bool good = fd >= 0;
    while (good && text.len) {
        ssize_t n = write(fd, text.base, text.len);
        good = n > 0 || (n < 0 && errno == EINTR);
        text = slice_from_index(text, n > 0 ? (size_t)n : 0);
    }
    good = good && fchmod(fd, 0644) == 0 && rename(name.base, path) == 0;
    if (!good) {
        error_set(reterr, "cannot write: %s", strerror(errno));
        if (fd >= 0)
            unlink(name.base);
    }
    return good;
}

static int is_shown(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name); /* alphasort would follow the locale */
}

static bool has_ending(const char *name, const char *const *endings)
{
    struct slice text = slice_from(name);
    for (; *endings; endings++) {
        struct slice ending = slice_from(*endings);
        if (text.len > ending.len &&
            slice_equal(slice_from_index(text, text.len - ending.len), ending))
            return true;
    }
    return false;
}

int directory_each(const char *path, const char *const *endings,
                   void (*visit)(void *context, const char *file), void *context)
{
    struct dirent **entries;
    int found = 0, count = scandir(path, &entries, is_shown, by_name);
    if (count < 0)
        return -1;
    size_t len = strlen(path);
    CLEANUP_BUFFER struct buffer file = {0};
    for (int i = 0; i < count; i++) {
        if (has_ending(entries[i]->d_name, endings)) {
            buffer_clear(&file);
            buffer_append_format(&file, "%s%s%s", path, len && path[len - 1] == '/' ? "" : "/",
                                 entries[i]->d_name);
            visit(context, file.base);
            found++;
        }
        free(entries[i]);
    }
    free(entries);
    return found;
}
