/* Takes Harbor's notifications. */
#include "webhook/serve/events.h"

#include "harbor/api.h"
#include "webhook/common/files.h"

#include <pthread.h>
#include <stdlib.h>

struct events {
    char *file;
    pthread_mutex_t lock;
    struct buffer secret;
};

static bool read_secret(const char *file, struct buffer *ret, struct error *reterr)
{
    struct error error;
    if (!file_read(file, EVENTS_SECRET_MAX, ret, &error))
        return error_set(reterr, "%s: %s", file, error.text);
    while (ret->len && (unsigned char)ret->base[ret->len - 1] <= ' ')
        ret->len--;
    if (ret->len == 0)
        return error_set(reterr, "%s: is empty, expected the secret that Harbor sends", file);
    return true;
}

struct events *events_new(const char *secret_file, struct error *reterr)
{
    struct buffer secret = {0};
    if (!read_secret(secret_file, &secret, reterr)) {
        buffer_done(&secret);
        return NULL;
    }
    struct events *events = memory_allocate_zeroed(1, sizeof(*events));
    pthread_mutex_init(&events->lock, NULL);
    events->file = memory_copy_string(secret_file);
    events->secret = secret;
    return events;
}

void events_free(struct events *events)
{
    if (!events)
        return;
    pthread_mutex_destroy(&events->lock);
    buffer_done(&events->secret);
    free(events->file);
    free(events);
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

bool events_is_authorized(struct events *events, const char *authorization)
{
    struct buffer secret = {0};
    if (!authorization)
        return false;
    pthread_mutex_lock(&events->lock);
    if (read_secret(events->file, &secret, NULL)) { /* rare enough to read it each time */
        buffer_done(&events->secret);
        events->secret = secret;
    } else {
        buffer_done(&secret);
    }
    bool same = is_same(buffer_slice(&events->secret), slice_from(authorization));
    pthread_mutex_unlock(&events->lock);
    return same;
}

bool events_take(struct facts *facts, struct slice body, struct error *reterr)
{
    struct arena arena = {0};
    struct slice repository;
    bool read = harbor_read_event(body, &arena, &repository);
    if (read)
        facts_forget(facts, repository);
    else
        error_set(reterr, "the body is not a notification of Harbor's: expected JSON with "
                          "event_data.repository.repo_full_name");
    arena_done(&arena);
    return read;
}
