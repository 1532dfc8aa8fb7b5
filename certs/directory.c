/* Writes the four files of an authority and its leaf into a directory, all or none. Each is written
 * under a temporary name first; what a rename would replace is kept under another until the end. */
#include "base/cleanup.h"
#include "certs/authority.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_COUNT = 4, FILE_NAME_SIZE = 40 };

struct file {
    const char *name, *content;
    char new_name[FILE_NAME_SIZE], old_name[FILE_NAME_SIZE];
    bool written;   /* new_name is there */
    bool kept;      /* old_name is there: a second link to what `name` was */
    bool installed; /* new_name was renamed to name */
};

struct target {
    const char *directory;
    int fd;
    bool created; /* the directory, by us */
    bool finished;
    struct file files[FILE_COUNT]; /* in the order of their renames */
};

static MUST_CHECK bool failed(const struct target *target, const char *verb, const char *name,
                              struct error *reterr)
{
    return error_set(reterr, "cannot %s `%s/%s`: %s", verb, target->directory, name,
                     strerror(errno));
}

/* Takes back, last first, what was done; what fails here cannot be helped. */
static void target_undo(struct target *target)
{
    for (size_t i = FILE_COUNT; i-- > 0;) {
        struct file *file = &target->files[i];
        if (file->written)
            unlinkat(target->fd, file->new_name, 0);
        if (file->installed && file->kept)
            renameat(target->fd, file->old_name, target->fd, file->name);
        else if (file->installed)
            unlinkat(target->fd, file->name, 0);
        else if (file->kept)
            unlinkat(target->fd, file->old_name, 0);
    }
    if (target->created)
        rmdir(target->directory);
}

static void target_done(struct target *target)
{
    if (!target->finished)
        target_undo(target);
    cleanup_close(&target->fd);
}

/* Opens the directory, creating it where it is missing, and locks it against a second call: two
 * that interleave would leave a key beside another's certificate. */
static MUST_CHECK bool target_open(struct target *target, struct error *reterr)
{
    if (mkdir(target->directory, 0700) == 0)
        target->created = true;
    else if (errno != EEXIST)
        return error_set(reterr, "cannot create the directory `%s`: %s%s", target->directory,
                         strerror(errno), errno == ENOENT ? "; expected its parent to exist" : "");
    target->fd = open(target->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (target->fd < 0)
        return error_set(reterr, "cannot open the directory `%s`: %s", target->directory,
                         strerror(errno));
    /* Any other failure is a file system without locks: it works without one. */
    if (flock(target->fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK) {
        target->created = false; /* whoever holds it uses it */
        return error_set(reterr, "another process is writing `%s`: try again when it is done",
                         target->directory);
    }
    return true;
}

static MUST_CHECK bool refuse_existing(const struct target *target, struct error *reterr)
{
    for (size_t i = 0; i < FILE_COUNT; i++) {
        struct stat status;
        const char *name = target->files[i].name;
        if (fstatat(target->fd, name, &status, AT_SYMLINK_NOFOLLOW) == 0)
            return error_set(reterr,
                             "`%s/%s` exists: expected none of the four files; replace them "
                             "with --force",
                             target->directory, name);
        if (errno != ENOENT)
            return failed(target, "look for", name, reterr);
    }
    return true;
}

/* Names that no other run uses. */
static MUST_CHECK bool choose_names(struct target *target, struct error *reterr)
{
    unsigned long long random;
    if (getrandom(&random, sizeof(random), 0) != sizeof(random))
        return error_set(reterr, "cannot get random bytes: %s", strerror(errno));
    for (size_t i = 0; i < FILE_COUNT; i++) {
        struct file *file = &target->files[i];
        snprintf(file->new_name, FILE_NAME_SIZE, ".%s.%016llx.new", file->name, random);
        snprintf(file->old_name, FILE_NAME_SIZE, ".%s.%016llx.old", file->name, random);
    }
    return true;
}

static bool write_all(int fd, const char *text)
{
    for (size_t left = strlen(text); left > 0;) {
        ssize_t n = write(fd, text, left);
        if (n < 0 && errno != EINTR)
            return false;
        if (n > 0) {
            text += n;
            left -= (size_t)n;
        }
    }
    return true;
}

static MUST_CHECK bool write_new(struct target *target, struct file *file, struct error *reterr)
{
    CLEANUP_CLOSE int fd = openat(target->fd, file->new_name,
                                  O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return failed(target, "create", file->new_name, reterr);
    file->written = true;
    /* fchmod: whatever the umask took away. */
    if (fchmod(fd, 0600) < 0 || !write_all(fd, file->content) || fsync(fd) < 0)
        return failed(target, "write", file->new_name, reterr);
    return true;
}

static MUST_CHECK bool install(struct target *target, struct file *file, struct error *reterr)
{
    if (linkat(target->fd, file->name, target->fd, file->old_name, 0) == 0)
        file->kept = true;
    else if (errno != ENOENT)
        return failed(target, "keep what was in", file->name, reterr);
    if (renameat(target->fd, file->new_name, target->fd, file->name) < 0)
        return failed(target, "replace", file->name, reterr);
    file->written = false;
    file->installed = true;
    return true;
}

static MUST_CHECK bool target_write(struct target *target, struct error *reterr)
{
    for (size_t i = 0; i < FILE_COUNT; i++)
        if (!write_new(target, &target->files[i], reterr))
            return false;
    for (size_t i = 0; i < FILE_COUNT; i++)
        if (!install(target, &target->files[i], reterr))
            return false;
    /* The renames last too; EINVAL is a file system that cannot sync directories. */
    if (fsync(target->fd) < 0 && errno != EINVAL)
        return error_set(reterr, "cannot sync the directory `%s`: %s", target->directory,
                         strerror(errno));
    target->finished = true;
    for (size_t i = 0; i < FILE_COUNT; i++)
        if (target->files[i].kept)
            unlinkat(target->fd, target->files[i].old_name, 0);
    return true;
}

bool certs_init_directory(const char *directory, const struct certs_request *request, bool force,
                          struct error *reterr)
{
    CERTS_PAIR struct certs_pair authority = {0};
    CERTS_PAIR struct certs_pair leaf = {0};
    if (!certs_make_authority(request, &authority, reterr) ||
        !certs_make_leaf(request, &authority, &leaf, reterr))
        return false;
    CLEANUP(target_done)
    struct target target = {
        .directory = directory,
        .fd = -1,
        .files = {{.name = "ca.crt", .content = authority.certificate},
                  {.name = "ca.key", .content = authority.key},
                  {.name = "tls.key", .content = leaf.key},
                  {.name = "tls.crt", .content = leaf.certificate}},
    };
    return target_open(&target, reterr) && (force || refuse_existing(&target, reterr)) &&
           choose_names(&target, reterr) && target_write(&target, reterr);
}
