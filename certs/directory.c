/* Writes the four files of an authority and its leaf into a directory, all or none: each under a
 * temporary name first, and renamed when all are there. */
#include "base/cleanup.h"
#include "certs/authority.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_COUNT = 4 };

struct file {
    const char *name, *new_name, *content;
};

struct target {
    const char *directory;
    int fd;
    bool created; /* the directory, by us */
    bool locked, finished;
    struct file files[FILE_COUNT]; /* in the order of their renames */
};

static MUST_CHECK bool failed(const struct target *target, const char *verb, const char *name,
                              struct error *reterr)
{
    return error_set(reterr, "cannot %s `%s/%s`: %s", verb, target->directory, name,
                     strerror(errno));
}

/* What fails here cannot be helped. */
static void target_undo(const struct target *target)
{
    for (size_t i = 0; i < FILE_COUNT; i++)
        unlinkat(target->fd, target->files[i].new_name, 0);
    if (target->created)
        rmdir(target->directory);
}

static void target_done(struct target *target)
{
    if (target->locked && !target->finished)
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
    if (flock(target->fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK)
        return error_set(reterr, "another process is writing `%s`: try again when it is done",
                         target->directory);
    target->locked = true;
    return true;
}

/* Whether the four may be written; a directory of such a name stays in any case. */
static MUST_CHECK bool may_write(const struct target *target, bool force, struct error *reterr)
{
    for (size_t i = 0; i < FILE_COUNT; i++) {
        struct stat status;
        const char *name = target->files[i].name;
        if (fstatat(target->fd, name, &status, AT_SYMLINK_NOFOLLOW) < 0) {
            if (errno != ENOENT)
                return failed(target, "look for", name, reterr);
        } else if (!force) {
            return error_set(reterr,
                             "`%s/%s` exists: expected none of the four files; replace them "
                             "with --force",
                             target->directory, name);
        } else if (S_ISDIR(status.st_mode)) {
            errno = EISDIR;
            return failed(target, "replace", name, reterr);
        }
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

static MUST_CHECK bool write_new(const struct target *target, const struct file *file,
                                 struct error *reterr)
{
    unlinkat(target->fd, file->new_name, 0); /* of a run that was killed */
    CLEANUP_CLOSE int fd = openat(target->fd, file->new_name,
                                  O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return failed(target, "create", file->new_name, reterr);
    /* fchmod: whatever the umask took away. */
    if (fchmod(fd, 0600) < 0 || !write_all(fd, file->content) || fsync(fd) < 0)
        return failed(target, "write", file->new_name, reterr);
    return true;
}

static MUST_CHECK bool target_write(struct target *target, struct error *reterr)
{
    for (size_t i = 0; i < FILE_COUNT; i++)
        if (!write_new(target, &target->files[i], reterr))
            return false;
    for (size_t i = 0; i < FILE_COUNT; i++) {
        const struct file *file = &target->files[i];
        if (renameat(target->fd, file->new_name, target->fd, file->name) < 0)
            return failed(target, "replace", file->name, reterr);
    }
    /* The renames last too; EINVAL is a file system that cannot sync directories. */
    if (fsync(target->fd) < 0 && errno != EINVAL)
        return error_set(reterr, "cannot sync the directory `%s`: %s", target->directory,
                         strerror(errno));
    target->finished = true;
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
        .files = {{"ca.crt", ".ca.crt.new", authority.certificate},
                  {"ca.key", ".ca.key.new", authority.key},
                  {"tls.key", ".tls.key.new", leaf.key},
                  {"tls.crt", ".tls.crt.new", leaf.certificate}},
    };
    return target_open(&target, reterr) && may_write(&target, force, reterr) &&
           target_write(&target, reterr);
}
