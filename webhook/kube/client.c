/* Asks by libcurl: one multi handle, driven by whoever waits. */
#include "webhook/kube/client.h"

#include "base/memory.h"
#include "webhook/common/clock.h"
#include "webhook/kube/way.h"
#include "webhook/version.h"
#include "json/pointer.h"

#include <curl/curl.h>
#include <string.h>

enum { SLICE_MS = 100 }; /* how soon an interruption is noticed */

struct kube_stream {
    struct kube_client *client;
    CURL *easy;
    struct curl_slist *headers;
    struct buffer request_body;
    struct kube_reply reply;
    struct buffer failure;
    kube_data *take;
    void *context;
    bool over;
};

struct kube_client {
    struct kube_options options;
    CURLM *multi;
    bool in_pod;
    struct account account;
    struct proxy proxy;
    char *user_agent, *impersonate;
    long long tokens_ms; /* requests that may be sent, in thousandths, at */
    long long tokens_at_ms;
    unsigned random;
};

/* --- opening --- */

static char *header(const char *name, const char *value)
{
    struct buffer text = {0};
    buffer_append_format(&text, "%s: %s", name, value);
    return text.base;
}

static MUST_CHECK bool open_way(struct kube_client *client, struct error *reterr)
{
    const struct kube_options *options = &client->options;
    client->in_pod =
        !options->kubeconfig && !options->context && account_is_there(ACCOUNT_DIRECTORY);
    if (!client->in_pod)
        return proxy_start(&client->proxy, options, reterr);
    if (options->as)
        client->impersonate = header("Impersonate-User", options->as);
    return account_open(&client->account, ACCOUNT_DIRECTORY, getenv("KUBERNETES_SERVICE_HOST"),
                        getenv("KUBERNETES_SERVICE_PORT"), reterr);
}

bool kube_open(const struct kube_options *options, struct kube_client **ret, struct error *reterr)
{
    struct kube_client *client = memory_allocate_zeroed(1, sizeof(*client));
    client->options = *options;
    client->tokens_ms = KUBE_BURST * 1000LL;
    client->tokens_at_ms = clock_monotonic_ms();
    client->random = (unsigned)client->tokens_at_ms ^ (unsigned)(size_t)client >> 4;
    curl_global_init(CURL_GLOBAL_DEFAULT);
    client->multi = curl_multi_init();
    struct buffer agent = {0};
    buffer_append_format(&agent, "harbor-pilot/%s", version_number());
    client->user_agent = agent.base;
    if (open_way(client, reterr)) {
        *ret = client;
        return true;
    }
    kube_close(client);
    return false;
}

void kube_close(struct kube_client *client)
{
    if (!client)
        return;
    curl_multi_cleanup(client->multi);
    account_done(&client->account);
    proxy_done(&client->proxy);
    free(client->user_agent);
    free(client->impersonate);
    free(client);
}

bool kube_is_interrupted(const struct kube_client *client)
{
    return client->options.interrupted && *client->options.interrupted;
}

/* --- one transfer --- */

static size_t take_data(char *data, size_t size, size_t count, void *context)
{
    struct kube_stream *stream = context;
    long status = 0;
    curl_easy_getinfo(stream->easy, CURLINFO_RESPONSE_CODE, &status);
    stream->reply.status = status;
    if (stream->take && status == 200)
        stream->take(stream->context, slice_of(data, size * count));
    else
        buffer_append(&stream->reply.body, slice_of(data, size * count));
    return stream->reply.body.truncated ? 0 : size * count;
}

static void set_way(struct kube_stream *stream, const char *path)
{
    struct kube_client *client = stream->client;
    CLEANUP_BUFFER struct buffer url = {0};
    if (client->in_pod) {
        account_refresh(&client->account, clock_monotonic_ms());
        buffer_append_format(&url, "%s%s", client->account.url, path);
        curl_easy_setopt(stream->easy, CURLOPT_CAINFO, client->account.ca_file);
        curl_easy_setopt(stream->easy, CURLOPT_CAPATH, NULL);
        stream->headers = curl_slist_append(stream->headers, client->account.authorization);
        if (client->impersonate)
            stream->headers = curl_slist_append(stream->headers, client->impersonate);
    } else {
        buffer_append_format(&url, "http://localhost%s", path);
        curl_easy_setopt(stream->easy, CURLOPT_UNIX_SOCKET_PATH, client->proxy.socket);
    }
    curl_easy_setopt(stream->easy, CURLOPT_URL, url.base);
}

static void set_request(struct kube_stream *stream, const struct kube_request *request)
{
    CURL *easy = stream->easy;
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request->method);
    if (request->body.len) {
        buffer_append(&stream->request_body, request->body);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, stream->request_body.base);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, (long)stream->request_body.len);
        CLEANUP_FREE char *type = header(
            "Content-Type", request->content_type ? request->content_type : "application/json");
        stream->headers = curl_slist_append(stream->headers, type);
    }
    stream->headers = curl_slist_append(stream->headers, "Accept: application/json");
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, stream->headers);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS,
                     request->timeout_ms ? request->timeout_ms : (long)KUBE_TIMEOUT_MS);
}

struct kube_stream *kube_stream_start(struct kube_client *client,
                                      const struct kube_request *request, kube_data *take,
                                      void *context)
{
    struct kube_stream *stream = memory_allocate_zeroed(1, sizeof(*stream));
    stream->client = client;
    stream->take = take;
    stream->context = context;
    stream->reply.body.limit = KUBE_MAX_BODY;
    if (!client->in_pod && !proxy_is_running(&client->proxy)) { /* somebody ended it */
        struct error error;
        proxy_done(&client->proxy);
        if (!proxy_start(&client->proxy, &client->options, &error)) {
            buffer_append_text(&stream->failure, error.text);
            stream->over = true;
            return stream;
        }
    }
    CURL *easy = stream->easy = curl_easy_init();
    curl_easy_setopt(easy, CURLOPT_PRIVATE, stream);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "https,http");
    curl_easy_setopt(easy, CURLOPT_PROXY, ""); /* kubectl has its own way round proxies */
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)KUBE_CONNECT_TIMEOUT_MS);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, client->user_agent);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_data);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, stream);
    set_way(stream, request->path);
    set_request(stream, request);
    curl_multi_add_handle(client->multi, easy);
    return stream;
}

void kube_stream_free(struct kube_stream *stream)
{
    if (!stream)
        return;
    if (stream->easy) {
        curl_multi_remove_handle(stream->client->multi, stream->easy);
        curl_easy_cleanup(stream->easy);
    }
    curl_slist_free_all(stream->headers);
    buffer_done(&stream->request_body);
    buffer_done(&stream->failure);
    kube_reply_done(&stream->reply);
    free(stream);
}

bool kube_stream_is_over(const struct kube_stream *stream)
{
    return stream->over;
}

const struct kube_reply *kube_stream_reply(const struct kube_stream *stream)
{
    return &stream->reply;
}

void kube_reply_done(struct kube_reply *reply)
{
    buffer_done(&reply->body);
    *reply = (struct kube_reply){0};
}

static void finish(struct kube_stream *stream, CURLcode code)
{
    curl_off_t retry_after = 0;
    stream->over = true;
    curl_easy_getinfo(stream->easy, CURLINFO_RESPONSE_CODE, &stream->reply.status);
    curl_easy_getinfo(stream->easy, CURLINFO_RETRY_AFTER, &retry_after);
    stream->reply.retry_after = (long)retry_after;
    if (code != CURLE_OK) {
        stream->reply.status = 0;
        buffer_append_text(&stream->failure, curl_easy_strerror(code));
        return;
    }
    /* kubectl's own: "dial tcp …: connection refused"; the API server answers in JSON */
    struct slice body = buffer_slice(&stream->reply.body);
    if (!stream->client->in_pod && stream->reply.status >= 500 &&
        (body.len == 0 || body.base[0] != '{')) {
        buffer_append_format(&stream->failure, "kubectl: %.*s",
                             (int)(body.len < 300 ? body.len : 300), body.len ? body.base : "");
        stream->reply.status = 0;
    }
}

static bool advance(struct kube_client *client)
{
    int running, left;
    bool any = false;
    curl_multi_perform(client->multi, &running);
    for (CURLMsg *message; (message = curl_multi_info_read(client->multi, &left));) {
        struct kube_stream *stream;
        if (message->msg != CURLMSG_DONE)
            continue;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &stream);
        finish(stream, message->data.result);
        any = true;
    }
    return any;
}

void kube_wait(struct kube_client *client, long ms)
{
    long long until = clock_monotonic_ms() + ms;
    while (!advance(client) && !kube_is_interrupted(client)) {
        long long left = until - clock_monotonic_ms();
        int ready = 0;
        if (left <= 0)
            return;
        curl_multi_poll(client->multi, NULL, 0, (int)(left < SLICE_MS ? left : SLICE_MS), &ready);
        if (ready) {
            advance(client);
            return;
        }
    }
}

/* --- asking --- */

static void pause_for(struct kube_client *client, long ms)
{
    long long until = clock_monotonic_ms() + ms;
    for (long long left; (left = until - clock_monotonic_ms()) > 0 && !kube_is_interrupted(client);)
        kube_wait(client, left);
}

/* A bucket of KUBE_BURST, filled with KUBE_PER_SECOND. */
static void keep_the_rate(struct kube_client *client)
{
    long long now = clock_monotonic_ms();
    client->tokens_ms += (now - client->tokens_at_ms) * KUBE_PER_SECOND;
    client->tokens_at_ms = now;
    if (client->tokens_ms > KUBE_BURST * 1000LL)
        client->tokens_ms = KUBE_BURST * 1000LL;
    client->tokens_ms -= 1000;
    if (client->tokens_ms < 0)
        pause_for(client, (long)(-client->tokens_ms / KUBE_PER_SECOND) + 1);
}

/* How long to wait before asking again, in ms; 0: the answer counts. */
static long pause_before_retry(struct kube_client *client, const struct kube_request *request,
                               const struct kube_reply *reply, unsigned tries)
{
    client->random = client->random * 1103515245 + 12345;
    long jitter = (long)(client->random >> 16) % 100;
    if (tries >= KUBE_TRIES)
        return 0;
    if ((reply->status == 429 && !request->keep_429) ||
        (reply->status >= 500 && reply->retry_after > 0)) {
        long seconds = reply->retry_after > 0 ? reply->retry_after : 1;
        return (seconds < KUBE_RETRY_MOST_S ? seconds : (long)KUBE_RETRY_MOST_S) * 1000 + jitter;
    }
    if (reply->status == 0 && strcmp(request->method, "GET") == 0 && tries < 4)
        return (100L << tries) + jitter;
    return 0;
}

/* One try; false where no answer came. */
static bool try_once(struct kube_client *client, const struct kube_request *request,
                     struct kube_reply *ret, struct error *reterr)
{
    keep_the_rate(client);
    struct kube_stream *stream = kube_stream_start(client, request, NULL, NULL);
    while (!stream->over && !kube_is_interrupted(client))
        kube_wait(client, KUBE_TIMEOUT_MS);
    bool answered = stream->over && stream->reply.status;
    kube_reply_done(ret);
    if (answered) {
        *ret = stream->reply;
        stream->reply = (struct kube_reply){0};
    } else if (kube_is_interrupted(client)) {
        error_set(reterr, "interrupted");
    } else {
        error_set(reterr, "the API server cannot be asked: %.*s", (int)stream->failure.len,
                  stream->failure.len ? stream->failure.base : "");
    }
    kube_stream_free(stream);
    return answered;
}

bool kube_ask(struct kube_client *client, const struct kube_request *request,
              struct kube_reply *ret, struct error *reterr)
{
    for (unsigned tries = 1;; tries++) {
        bool answered = try_once(client, request, ret, reterr);
        long pause = pause_before_retry(client, request, ret, tries);
        if (pause == 0 || kube_is_interrupted(client))
            return answered;
        pause_for(client, pause);
    }
}

bool kube_refusal(const struct kube_reply *reply, struct error *reterr)
{
    CLEANUP_ARENA struct arena arena = {0};
    struct slice body = buffer_slice(&reply->body);
    struct slice message = json_find_text(body, "/message", &arena);
    struct slice reason = json_find_text(body, "/reason", &arena);
    if (message.len)
        return error_set(reterr, "the API server says: %.*s (%ld%s%.*s)", SLICE_ARGS(message),
                         reply->status, reason.len ? " " : "", SLICE_ARGS(reason));
    return error_set(reterr, "the API server answers %ld, without a word", reply->status);
}

bool kube_do(struct kube_client *client, const struct kube_request *request, struct kube_reply *ret,
             struct error *reterr)
{
    if (!kube_ask(client, request, ret, reterr))
        return false;
    return ret->status / 100 == 2 || kube_refusal(ret, reterr);
}
