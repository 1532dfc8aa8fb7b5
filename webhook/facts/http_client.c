/* Drives libcurl's multi interface on a thread of its own. */
#include "webhook/facts/http_client.h"

#include "webhook/common/clock.h"

#include "base/buffer.h"
#include "base/memory.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

struct transfer {
    struct transfer *next; /* in the queue, or among those in flight */
    CURL *easy;
    struct curl_slist *headers;
    const char *own_headers[HTTP_MAX_OWN_HEADERS];
    char *url, *authorization, *ca_file, *post;
    bool head;
    long timeout_ms;
    long long not_before; /* monotonic ms */
    struct buffer body, content_type, challenge;
    size_t header_bytes;
    long retry_after;
    http_done *done;
    void *context;
};

struct http_client {
    pthread_t thread;
    CURLM *multi;
    atomic_uint pending;
    struct transfer *flying; /* the thread's own */
    pthread_mutex_t lock;
    struct transfer *queue, **queue_end; /* not started; under the lock */
    bool stopping;
};

/* --- one transfer --- */

static size_t take_body(char *data, size_t size, size_t count, void *context)
{
    struct transfer *t = context;
    buffer_append(&t->body, slice_of(data, size * count));
    return t->body.truncated ? 0 : size * count; /* 0 ends it with an error */
}

/* "Name: value\r\n" */
static bool header_value(struct slice line, struct slice name, struct slice *ret)
{
    if (line.len <= name.len || line.base[name.len] != ':' ||
        strncasecmp(line.base, name.base, name.len) != 0)
        return false;
    struct slice value = slice_from_index(line, name.len + 1);
    while (value.len && (value.base[0] == ' ' || value.base[0] == '\t'))
        value = slice_from_index(value, 1);
    while (value.len && (unsigned char)value.base[value.len - 1] <= ' ')
        value.len--;
    *ret = value;
    return true;
}

static size_t take_header(char *data, size_t size, size_t count, void *context)
{
    struct transfer *t = context;
    struct slice line = slice_of(data, size * count), value;
    t->header_bytes += line.len;
    if (t->header_bytes > HTTP_MAX_HEADERS)
        return 0;
    if (header_value(line, SLICE("Content-Type"), &value)) {
        buffer_clear(&t->content_type);
        buffer_append(&t->content_type, value);
    } else if (header_value(line, SLICE("Www-Authenticate"), &value)) {
        if (t->challenge.len && value.len)
            buffer_append_text(&t->challenge, ", ");
        buffer_append(&t->challenge, value);
    } else if (header_value(line, SLICE("Retry-After"), &value)) {
        char *text = memory_copy_slice(value);
        t->retry_after = strtol(text, NULL, 10); /* a date gives 0: as if it did not say */
        free(text);
    }
    return line.len;
}

static void prepare(struct transfer *t)
{
    CURL *easy = t->easy = curl_easy_init();
    if (!easy)
        abort(); /* memory is out */
    curl_easy_setopt(easy, CURLOPT_URL, t->url);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, t);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_NOBODY, t->head ? 1L : 0L);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "https,http");
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L); /* credentials go nowhere else */
    curl_easy_setopt(easy, CURLOPT_PROXY, "");          /* nor through what the environment names */
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)HTTP_CONNECT_TIMEOUT_MS);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, t->timeout_ms);
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L); /* do not wait for a dead name server */
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "harbor-pilot");
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, t);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, take_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, t);
    if (t->ca_file) {
        curl_easy_setopt(easy, CURLOPT_CAINFO, t->ca_file);
        curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
    }
    /* libcurl keeps a read CA file by its name for 24 hours; authorities are renewed in place */
    curl_easy_setopt(easy, CURLOPT_CA_CACHE_TIMEOUT, (long)HTTP_CA_SECONDS);
    if (t->post) {
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, t->post);
        /* libcurl sends again what a kept connection lost, but not what a new one did */
        curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
    }
    for (size_t i = 0; i < HTTP_MAX_OWN_HEADERS && t->own_headers[i]; i++)
        t->headers = curl_slist_append(t->headers, t->own_headers[i]);
    if (t->authorization)
        t->headers = curl_slist_append(t->headers, t->authorization);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, t->headers);
}

static void free_transfer(struct transfer *t)
{
    if (t->easy)
        curl_easy_cleanup(t->easy);
    curl_slist_free_all(t->headers);
    if (t->authorization)
        explicit_bzero(t->authorization, strlen(t->authorization));
    free(t->authorization);
    free(t->url);
    free(t->ca_file);
    free(t->post);
    buffer_done(&t->body);
    buffer_done(&t->content_type);
    buffer_done(&t->challenge);
    free(t);
}

static void finish(struct http_client *client, struct transfer *t, CURLcode code)
{
    struct http_reply reply = {
        .body = buffer_slice(&t->body),
        .content_type = buffer_slice(&t->content_type),
        .challenge = buffer_slice(&t->challenge),
        .retry_after = t->retry_after > 0 ? t->retry_after : 0,
    };
    if (code == CURLE_OK)
        curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &reply.status);
    else
        reply.failure = curl_easy_strerror(code);
    atomic_fetch_sub(&client->pending, 1);
    t->done(t->context, &reply);
    free_transfer(t);
}

/* --- the thread --- */

/* Takes what may start now off the queue; returns how long the next one has to wait, in ms. */
static int start_queued(struct http_client *client)
{
    enum { LONGEST_WAIT_MS = 1000 };
    long long now = clock_monotonic_ms(), wait = LONGEST_WAIT_MS;
    pthread_mutex_lock(&client->lock);
    for (struct transfer **at = &client->queue; *at;) {
        struct transfer *t = *at;
        if (t->not_before > now) {
            if (t->not_before - now < wait)
                wait = t->not_before - now;
            at = &t->next;
            continue;
        }
        *at = t->next;
        if (!*at)
            client->queue_end = at;
        prepare(t);
        curl_multi_add_handle(client->multi, t->easy);
        t->next = client->flying;
        client->flying = t;
    }
    pthread_mutex_unlock(&client->lock);
    return (int)wait;
}

/* Takes a transfer out of libcurl's hands. */
static void land(struct http_client *client, struct transfer *t)
{
    struct transfer **at = &client->flying;
    while (*at != t)
        at = &(*at)->next;
    *at = t->next;
    curl_multi_remove_handle(client->multi, t->easy);
}

static void finish_done(struct http_client *client)
{
    int left;
    for (CURLMsg *message; (message = curl_multi_info_read(client->multi, &left));) {
        struct transfer *t;
        CURLcode code = message->data.result;
        if (message->msg != CURLMSG_DONE)
            continue;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &t);
        land(client, t);
        finish(client, t, code);
    }
}

static bool is_stopping(struct http_client *client)
{
    pthread_mutex_lock(&client->lock);
    bool stopping = client->stopping;
    pthread_mutex_unlock(&client->lock);
    return stopping;
}

/* The next transfer that was asked for and not finished, or NULL. */
static struct transfer *take_any(struct http_client *client)
{
    struct transfer *t = client->flying;
    if (t) {
        land(client, t);
        return t;
    }
    pthread_mutex_lock(&client->lock);
    t = client->queue;
    if (t)
        client->queue = t->next;
    if (!client->queue)
        client->queue_end = &client->queue;
    pthread_mutex_unlock(&client->lock);
    return t;
}

static void *run(void *context)
{
    struct http_client *client = context;
    while (!is_stopping(client)) {
        int running, wait = start_queued(client);
        curl_multi_perform(client->multi, &running);
        finish_done(client); /* what its callbacks send ends the poll */
        curl_multi_poll(client->multi, NULL, 0, wait, NULL);
    }
    return NULL;
}

static void initialise_curl(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

struct http_client *http_client_start(struct error *reterr)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct http_client *client = memory_allocate_zeroed(1, sizeof(*client));
    pthread_mutex_init(&client->lock, NULL);
    client->queue_end = &client->queue;
    pthread_once(&once, initialise_curl);
    client->multi = curl_multi_init();
    if (client->multi && pthread_create(&client->thread, NULL, run, client) == 0)
        return client;
    error_set(reterr, "the thread that asks Harbor cannot be started");
    if (client->multi)
        curl_multi_cleanup(client->multi);
    free(client);
    return NULL;
}

static char *copy_or_null(const char *text)
{
    return text ? memory_copy_string(text) : NULL;
}

void http_client_send(struct http_client *client, const struct http_request *request,
                      http_done *done, void *context)
{
    struct transfer *t = memory_allocate_zeroed(1, sizeof(*t));
    struct buffer authorization = {0};
    if (request->authorization) {
        buffer_append_format(&authorization, "Authorization: %s", request->authorization);
        t->authorization = memory_copy_slice(buffer_slice(&authorization));
        explicit_bzero(authorization.base, authorization.len);
        buffer_done(&authorization);
    }
    t->url = memory_copy_string(request->url);
    t->ca_file = copy_or_null(request->ca_file);
    t->post = copy_or_null(request->body);
    memcpy(t->own_headers, request->headers, sizeof(t->own_headers));
    t->head = request->head;
    t->timeout_ms = request->timeout_ms ? request->timeout_ms : HTTP_TIMEOUT_MS;
    t->not_before = clock_monotonic_ms() + request->delay_ms;
    t->body.limit = request->max_body ? request->max_body : HTTP_MAX_BODY;
    t->done = done;
    t->context = context;

    atomic_fetch_add(&client->pending, 1);
    pthread_mutex_lock(&client->lock);
    *client->queue_end = t;
    client->queue_end = &t->next;
    pthread_mutex_unlock(&client->lock);
    curl_multi_wakeup(client->multi);
}

bool http_client_knows_authorities(const char *ca_file, const char **ret_path)
{
    const curl_version_info_data *curl = curl_version_info(CURLVERSION_NOW);
    *ret_path = ca_file ? ca_file : curl->cainfo;
    return (*ret_path && access(*ret_path, R_OK) == 0) ||
           (!ca_file && curl->capath && access(curl->capath, R_OK) == 0);
}

unsigned http_client_pending(struct http_client *client)
{
    return atomic_load(&client->pending);
}

void http_client_stop(struct http_client *client)
{
    if (!client)
        return;
    pthread_mutex_lock(&client->lock);
    client->stopping = true;
    pthread_mutex_unlock(&client->lock);
    curl_multi_wakeup(client->multi);
    pthread_join(client->thread, NULL);
    for (struct transfer *t; (t = take_any(client));)
        finish(client, t, CURLE_ABORTED_BY_CALLBACK);
    curl_multi_cleanup(client->multi);
    pthread_mutex_destroy(&client->lock);
    free(client);
}
