/* Compares what callers show with a file's content. */
#include "webhook/serve/secret.h"

#include "base/memory.h"
#include "webhook/common/clock.h"
#include "webhook/common/files.h"
#include "webhook/common/log.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { LOG_EVERY_MS = 60 * 1000 };

struct secret {
    char *file;
    pthread_mutex_t lock; /* of all below */
    struct buffer text;
    struct stat status; /* of the file when it was read */
    unsigned long long wrong;
    long long next_log_ms;
};

static MUST_CHECK bool read_secret(const char *file, struct buffer *ret, struct error *reterr)
{
    struct error error;
    if (!file_read_regular(file, SECRET_MAX, ret, &error))
        return error_set(reterr, "%s: %s", file, error.text);
    while (ret->len && (unsigned char)ret->base[ret->len - 1] <= ' ')
        ret->len--;
    if (ret->len == 0)
        return error_set(reterr, "%s: is empty, expected a secret that callers show", file);
    return true;
}

struct secret *secret_new(const char *file, struct error *reterr)
{
    struct buffer text = {0};
    if (!read_secret(file, &text, reterr)) {
        buffer_done(&text);
        return NULL;
    }
    struct secret *secret = memory_allocate_zeroed(1, sizeof(*secret));
    pthread_mutex_init(&secret->lock, NULL);
    secret->file = memory_copy_string(file);
    secret->text = text;
    stat(file, &secret->status);
    return secret;
}

void secret_free(struct secret *secret)
{
    if (!secret)
        return;
    pthread_mutex_destroy(&secret->lock);
    buffer_done(&secret->text);
    free(secret->file);
    free(secret);
}

/* Compares all of both, whatever differs first. */
static bool is_same(struct slice secret, struct slice given)
{
    unsigned different = secret.len != given.len;
    for (size_t i = 0; i < given.len; i++)
        different |= (unsigned)(unsigned char)given.base[i] ^
                     (unsigned)(unsigned char)secret.base[i % secret.len];
    return different == 0;
}

/* Only where it changed, so that whoever guesses reads no files. */
static void read_again(struct secret *secret)
{
    struct buffer text = {0};
    struct stat now, *then = &secret->status;
    if (stat(secret->file, &now) != 0 ||
        (now.st_ino == then->st_ino && now.st_dev == then->st_dev && now.st_size == then->st_size &&
         now.st_mtim.tv_sec == then->st_mtim.tv_sec &&
         now.st_mtim.tv_nsec == then->st_mtim.tv_nsec))
        return;
    secret->status = now;
    if (read_secret(secret->file, &text, NULL)) {
        buffer_done(&secret->text);
        secret->text = text;
    } else {
        buffer_done(&text);
    }
}

bool secret_is(struct secret *secret, const char *given)
{
    bool tell = false;
    pthread_mutex_lock(&secret->lock);
    long long now = clock_monotonic_ms();
    read_again(secret);
    bool same = given && is_same(buffer_slice(&secret->text), slice_from(given));
    if (!same) {
        secret->wrong++;
        tell = now >= secret->next_log_ms;
        if (tell)
            secret->next_log_ms = now + LOG_EVERY_MS;
    }
    unsigned long long wrong = secret->wrong;
    pthread_mutex_unlock(&secret->lock);
    if (tell)
        log_message(LOG_WARNING, EVENT_WRONG_SECRET,
                    "a caller sent something else than what %s holds (%llu times since the start)",
                    secret->file, wrong);
    return same;
}

unsigned long long secret_wrong(struct secret *secret)
{
    pthread_mutex_lock(&secret->lock);
    unsigned long long wrong = secret->wrong;
    pthread_mutex_unlock(&secret->lock);
    return wrong;
}
