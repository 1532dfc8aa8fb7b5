/* The admission port: routes, bodies, answers. */
#include "webhook/serve/server.h"

#include "base/duration.h"
#include "webhook/common/clock.h"
#include "webhook/common/log.h"
#include "webhook/serve/connections.h"
#include "webhook/serve/http.h"
#include "webhook/serve/review_log.h"
#include "webhook/serve/tls.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* What a thread keeps between reviews. */
struct kept_arena {
    struct kept_arena *next;
    struct arena arena;
};

struct server {
    struct MHD_Daemon *daemon;
    struct state *state;
    struct connections *connections;
    struct kept_arena *_Atomic arenas; /* of all threads */
};

static const struct route {
    const char *path;
    enum admit_webhook webhook;
    enum mode mode;
} routes[] = {
    {"/mutate/enforce", ADMIT_MUTATE, MODE_ENFORCE},
    {"/mutate/audit", ADMIT_MUTATE, MODE_AUDIT},
    {"/validate/enforce", ADMIT_VALIDATE, MODE_ENFORCE},
    {"/validate/audit", ADMIT_VALIDATE, MODE_AUDIT},
};

enum {
    BUDGET_DEFAULT_MS = 2000, /* as the configuration in deploy/ has it */
    BUDGET_MAX_MS = 30000,    /* the API server's own most */
    BUDGET_MARGIN_MS = 1000,
    FIRST_BODY_MOST = 64 * 1024,
    ARENA_KEPT = 64 * 1024, /* for each thread, between reviews; what one needs beyond is freed */
    STOP_POLLS_PER_SECOND = 100,
    STOP_POLLS = 5 * STOP_POLLS_PER_SECOND,
};

#define PATHS "/mutate/enforce, /mutate/audit, /validate/enforce or /validate/audit"

/* One request, from its headers to its answer. */
struct call {
    const struct route *route;
    bool event;       /* a notification of Harbor's */
    bool post;        /* its method: the answer's headers are followed by a body */
    unsigned refusal; /* the status that it will get, whatever its body says; 0: none */
    char text[ERROR_TEXT_SIZE + 1]; /* the refusal's body */
    struct buffer body;
    struct MHD_Connection *connection;
    struct timespec complete; /* when the whole body had come */
    long long began_ms;
    long budget_ms;             /* for an answer, from the headers on */
    struct fact_waiter *waiter; /* while it waits for Harbor */
    bool waited;                /* it did: what is missing now is missing for good */
    bool too_many;              /* more was missing than could be asked for */
};

static double seconds_since(struct timespec then)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - then.tv_sec) + (double)(now.tv_nsec - then.tv_nsec) / 1e9;
}

/* --- headers --- */

static void refuse(struct call *call, unsigned status, const char *text)
{
    call->refusal = status;
    snprintf(call->text, sizeof(call->text), "%s\n", text);
}

/* application/json or a +json type, whatever its parameters (RFC 6838 4.2.8). */
static bool is_json(const char *type)
{
    if (!type)
        return false;
    size_t len = strcspn(type, "; \t");
    return (len == 16 && strncasecmp(type, "application/json", 16) == 0) ||
           (len > 5 && strncasecmp(type + len - 5, "+json", 5) == 0);
}

#define EVENTS_PATH "/harbor/events"

/* Harbor's notifications come with a secret, and only where one is configured. */
static bool check_event(struct server *server, struct MHD_Connection *connection, struct call *call,
                        const char *url)
{
    if (!server->state->events || strcmp(url, EVENTS_PATH) != 0)
        return false;
    call->event = true;
    if (!secret_is(server->state->events,
                   MHD_lookup_connection_value(connection, MHD_HEADER_KIND,
                                               MHD_HTTP_HEADER_AUTHORIZATION)))
        refuse(call, MHD_HTTP_UNAUTHORIZED,
               "Authorization is not the secret; expected what --events-secret-file holds");
    return true;
}

/* A certificate is verified again after a minute, and when the authorities change. */
static bool is_verified(struct server *server, struct MHD_Connection *connection)
{
    struct clients *clients = server->state->clients;
    long long now = clock_monotonic_ms();
    if (clients_still_good(clients, connections_verified(server->connections, connection), now))
        return true;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);
    char reason[CLIENTS_REASON_SIZE] = "there is no TLS session";
    bool good = info && clients_verify(clients, info->tls_session, reason);
    connections_set_verified(server->connections, connection, good ? now : 0);
    static struct log_limit limit;
    unsigned long suppressed;
    if (!good && log_limit_take(&limit, &suppressed))
        log_message(LOG_WARNING, EVENT_CLIENT_REFUSED,
                    "a call was refused, since %s; expected a client certificate that "
                    "--client-ca-file vouches for%s",
                    reason, suppressed ? " (and others like it)" : "");
    return good;
}

static void check_headers(struct server *server, struct MHD_Connection *connection,
                          struct call *call, const char *url, const char *method)
{
    char quoted[100], text[250];
    bool event = check_event(server, connection, call, url);
    if (call->refusal)
        return;
    for (size_t i = 0; i < sizeof(routes) / sizeof(*routes); i++)
        if (strcmp(routes[i].path, url) == 0)
            call->route = &routes[i];
    if (!call->route && !event) {
        http_quote(url, quoted, sizeof(quoted));
        snprintf(text, sizeof(text), "no such path: %s; expected " PATHS, quoted);
        refuse(call, MHD_HTTP_NOT_FOUND, text);
        return;
    }
    if (!event && server->state->clients && !is_verified(server, connection)) {
        refuse(call, MHD_HTTP_FORBIDDEN,
               "expected a client certificate that --client-ca-file vouches for");
        return;
    }
    if (!call->post) {
        http_quote(method, quoted, 20);
        snprintf(text, sizeof(text), "method %s is not allowed here; expected POST", quoted);
        refuse(call, MHD_HTTP_METHOD_NOT_ALLOWED, text);
        return;
    }
    const char *type =
        MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_TYPE);
    if (!is_json(type)) {
        http_quote(type ? type : "missing", quoted, sizeof(quoted));
        snprintf(text, sizeof(text), "Content-Type is %s; expected application/json", quoted);
        refuse(call, MHD_HTTP_UNSUPPORTED_MEDIA_TYPE, text);
    }
}

/* How long the answer may take: what `?timeout=` says (a Go duration in whole seconds), less a
 * margin, since the API server rounds up what it has left (docs/contracts.md#deadline). */
static long read_budget(struct MHD_Connection *connection)
{
    long long timeout_ms;
    const char *text = MHD_lookup_connection_value(connection, MHD_GET_ARGUMENT_KIND, "timeout");
    if (!text || !duration_parse(text, &timeout_ms))
        timeout_ms = BUDGET_DEFAULT_MS;
    if (timeout_ms > BUDGET_MAX_MS)
        timeout_ms = BUDGET_MAX_MS;
    return (long)(timeout_ms > 2 * BUDGET_MARGIN_MS ? timeout_ms - BUDGET_MARGIN_MS
                                                    : timeout_ms / 2);
}

/* --- bodies --- */

static void release_body(struct server *server, struct call *call)
{
    buffer_done(&call->body);
    connections_hold(server->connections, call->connection, 0, true);
}

/* Whether the connection may hold what the call does, and so much more; else it is to come again.
 */
static bool hold(struct server *server, struct call *call, size_t more)
{
    if (connections_hold(server->connections, call->connection, call->body.capacity + more,
                         call->body.len <= HOLD_SMALL))
        return true;
    refuse(call, MHD_HTTP_SERVICE_UNAVAILABLE,
           "too many bodies at once; expected another try in a second");
    return false;
}

/* What admit() needs beyond ADMIT_MEMORY_FIXED, which each thread has, counts while it runs. */
static bool hold_to_read(struct server *server, struct call *call)
{
    return call->body.len <= HOLD_SMALL || hold(server, call, ADMIT_MEMORY_TIMES * call->body.len);
}

/* Makes room for what Content-Length announces, as far as it is an ordinary review. */
static void reserve_body(struct server *server, struct MHD_Connection *connection,
                         struct call *call)
{
    const char *text =
        MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);
    unsigned long long length = text ? strtoull(text, NULL, 10) : 0;
    if (length == 0 || length > FIRST_BODY_MOST || !buffer_reserve(&call->body, (size_t)length))
        return;
    if (!hold(server, call, 0))
        release_body(server, call);
}

/* Takes a piece of the body, or passes it over where the answer is clear already. */
static void take_body(struct server *server, struct call *call, struct slice piece)
{
    if (call->refusal)
        return;
    size_t before = call->body.capacity;
    buffer_append(&call->body, piece);
    if (call->body.truncated)
        refuse(
            call, MHD_HTTP_CONTENT_TOO_LARGE,
            "the body has more than 7 MiB; expected an AdmissionReview as an API server sends it");
    else if (call->body.capacity != before)
        hold(server, call, 0);
    if (call->refusal)
        release_body(server, call);
}

/* --- answers --- */

/* An answer was queued, which has a body: the headers wait for it. */
static enum MHD_Result queued(const struct call *call, enum MHD_Result result)
{
    if (result == MHD_YES && call->post)
        connections_answer(call->connection);
    return result;
}

static enum MHD_Result answer_text(struct server *server, const struct call *call, unsigned status,
                                   struct slice text, const char *extra_name,
                                   const char *extra_value)
{
    return queued(call,
                  http_answer(call->connection, status, "text/plain; charset=utf-8", text,
                              extra_name, extra_value, atomic_load(&server->state->draining)));
}

static enum MHD_Result answer_refusal(struct server *server, const struct call *call)
{
    const char *name = NULL, *value = NULL;
    if (call->refusal == MHD_HTTP_METHOD_NOT_ALLOWED) {
        name = MHD_HTTP_HEADER_ALLOW;
        value = "POST";
    } else if (call->refusal == MHD_HTTP_SERVICE_UNAVAILABLE) {
        name = MHD_HTTP_HEADER_RETRY_AFTER; /* the API server tries again only with it */
        value = "1";
    }
    return answer_text(server, call, call->refusal, slice_from(call->text), name, value);
}

static void wake_call(void *context)
{
    struct call *call = context;
    MHD_resume_connection(call->connection);
}

/* Suspends the connection until Harbor has answered or the time is over; then handle() is called
 * again. Suspended first: the answers may be there at once. False where too many wait already: then
 * it is decided with what is known. */
static bool wait_for_facts(struct server *server, struct call *call,
                           const struct admission *admission)
{
    const struct decisions *decisions = &admission->decisions;
    const struct fact_asker asker = {connections_caller(call->connection),
                                     admission->review.namespace_, admission->review.dry_run};
    call->waited = true;
    call->too_many = decisions->too_many;
    if (!connections_suspend(server->connections, call->connection))
        return false;
    MHD_suspend_connection(call->connection);
    call->waiter =
        facts_ask(server->state->facts, &asker, decisions->missing, decisions->missing_count,
                  call->began_ms + call->budget_ms, wake_call, call);
    if (!call->waiter)
        MHD_resume_connection(call->connection);
    return true;
}

/* What is in Harbor and was never scanned: Harbor is asked to, for the next one who comes. Neither
 * audit mode nor a dry run changes anything. */
static void request_scans(struct server *server, const struct admission *admission)
{
    const struct decisions *decisions = &admission->decisions;
    if (!admission->applied || admission->review.dry_run)
        return;
    for (size_t i = 0; i < decisions->count; i++) {
        const struct verdict *verdict = &decisions->items[i].verdict;
        bool old = verdict->judged && (verdict->reason == GATE_TOO_OLD ||
                                       (verdict->reason == GATE_UNSCANNED && verdict->digest.len));
        if (old)
            facts_request_scan(server->state->facts, decisions->policy->harbor, &verdict->key);
    }
}

/* The memory of this thread's reviews: whoever takes it clears it when the review is over. */
static struct arena *thread_arena(struct server *server)
{
    static _Thread_local struct kept_arena *mine; /* libmicrohttpd's threads end with the server */
    if (!mine) {
        mine = memory_allocate_zeroed(1, sizeof(*mine));
        mine->arena.first_block = ARENA_KEPT;
        mine->next = atomic_load(&server->arenas);
        while (!atomic_compare_exchange_weak(&server->arenas, &mine->next, mine))
            ;
    }
    return &mine->arena;
}

/* Counts, logs and sends what an admission came to; `error`: it was none. */
static enum MHD_Result answer_admission(struct server *server, struct call *call,
                                        const struct error *error,
                                        const struct admission *admission, struct buffer *out,
                                        struct arena *arena)
{
    double seconds = seconds_since(call->complete);
    metrics_count(server->state->metrics, admission, seconds);
    if (error) {
        review_log_invalid(admission, error);
        refuse(call, MHD_HTTP_BAD_REQUEST, error->text);
        return answer_refusal(server, call);
    }
    request_scans(server, admission);
    review_log(admission, seconds, arena);
    if (!hold(server, call, out->capacity)) /* of large answers to slow readers */
        return answer_refusal(server, call);
    return queued(call, http_answer_buffer(call->connection, MHD_HTTP_OK, "application/json", out,
                                           atomic_load(&server->state->draining)));
}

static enum MHD_Result answer_review(struct server *server, struct call *call)
{
    if (!call->waited)
        clock_gettime(CLOCK_MONOTONIC, &call->complete);
    struct arena *arena = thread_arena(server);
    struct buffer out = {0};
    struct admission admission;
    struct error error;
    struct policies *policies = state_policies(server->state);
    const struct admit_request request = {
        .policies = policies,
        .webhook = call->route->webhook,
        .mode = call->route->mode,
        .body = buffer_slice(&call->body),
        .facts = facts_source(server->state->facts),
        .now = (long long)time(NULL),
        .last_chance = call->waited,
        .too_many = call->too_many,
        .stranger = !server->state->clients, /* who was not verified has had 403 */
    };
    enum MHD_Result result = MHD_YES;
    if (!hold_to_read(server, call)) {
        policies_unref(policies);
        return answer_refusal(server, call);
    }
    bool answered = admit(&request, arena, &out, &admission, &error);
    hold(server, call, 0);
    if (answered)
        connections_prove(server->connections, call->connection);
    bool waiting = answered && admission.waiting;
    bool waits = waiting && wait_for_facts(server, call, &admission);
    if (!waiting)
        result = answer_admission(server, call, answered ? NULL : &error, &admission, &out, arena);
    policies_unref(policies);
    buffer_done(&out);
    arena_clear(arena);
    return waiting && !waits ? answer_review(server, call) : result;
}

static enum MHD_Result answer_event(struct server *server, struct call *call)
{
    struct error error;
    if (!events_take(server->state->facts, buffer_slice(&call->body), &error)) {
        refuse(call, MHD_HTTP_BAD_REQUEST, error.text);
        return answer_refusal(server, call);
    }
    connections_prove(server->connections, call->connection);
    return answer_text(server, call, MHD_HTTP_OK, SLICE("ok"), NULL, NULL);
}

/* --- libmicrohttpd --- */

/* The line of a request has come: its headers have to follow. The result is what the first call of
 * handle() finds in *connection_cls. */
static void *begin_request(void *cls, const char *uri, struct MHD_Connection *connection)
{
    struct server *server = cls;
    (void)uri;
    connections_begin(server->connections, connection);
    return NULL;
}

static enum MHD_Result handle(void *cls, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *upload,
                              size_t *upload_size, void **connection_cls)
{
    struct server *server = cls;
    struct call *call = *connection_cls;
    (void)version;
    if (!call) { /* the headers have come */
        call = memory_allocate_zeroed(1, sizeof(*call));
        *connection_cls = call;
        call->body.limit = SERVER_MAX_BODY;
        call->connection = connection;
        reserve_body(server, connection, call);
        call->began_ms = clock_monotonic_ms();
        call->post = strcmp(method, MHD_HTTP_METHOD_POST) == 0;
        call->budget_ms = read_budget(connection);
        check_headers(server, connection, call, url, method);
        connections_allow(server->connections, connection, CONNECTION_BODY_SECONDS);
        return MHD_YES;
    }
    if (*upload_size) {
        take_body(server, call, slice_of(upload, *upload_size));
        *upload_size = 0;
        return MHD_YES;
    }
    if (call->waiter) {
        facts_release(server->state->facts, call->waiter);
        call->waiter = NULL;
    }
    if (call->waited)
        connections_resume(server->connections, connection);
    connections_allow(server->connections, connection, CONNECTION_ANSWER_SECONDS);
    if (call->refusal)
        return answer_refusal(server, call);
    return call->event ? answer_event(server, call) : answer_review(server, call);
}

static void complete(void *cls, struct MHD_Connection *connection, void **connection_cls,
                     enum MHD_RequestTerminationCode code)
{
    struct server *server = cls;
    struct call *call = *connection_cls;
    (void)code;
    if (!call)
        return;
    if (call->waiter) /* the connection was closed while it waited */
        facts_release(server->state->facts, call->waiter);
    release_body(server, call);
    connections_complete(server->connections, connection, CONNECTION_NEXT_SECONDS);
    free(call);
    *connection_cls = NULL;
}

/* A client that speaks TLS may take its time for its first request. */
static void handshake_done(void *context, int socket)
{
    struct server *server = context;
    connections_handshake_done(server->connections, socket);
}

struct server *server_start(int socket, unsigned threads, unsigned max_connections,
                            struct state *state, struct error *reterr)
{
    struct server *server = memory_allocate_zeroed(1, sizeof(*server));
    server->state = state;
    server->connections =
        connections_new("admission", CONNECTION_HANDSHAKE_SECONDS, max_connections);
    tls_on_handshake(handshake_done, server);
    struct MHD_OptionItem pool[] = {
        {threads > 1 ? MHD_OPTION_THREAD_POOL_SIZE : MHD_OPTION_END, (intptr_t)threads, NULL},
        {MHD_OPTION_END, 0, NULL},
    };
    server->daemon = MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_TLS | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG,
        0, NULL, NULL, handle, server, MHD_OPTION_EXTERNAL_LOGGER, http_log, NULL,
        MHD_OPTION_LISTEN_SOCKET, socket, MHD_OPTION_NOTIFY_COMPLETED, complete, server,
        MHD_OPTION_NOTIFY_CONNECTION, connections_notify, server->connections,
        MHD_OPTION_UNESCAPE_CALLBACK, http_keep_escapes, NULL, MHD_OPTION_URI_LOG_CALLBACK,
        begin_request, server, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)CONNECTION_IDLE_SECONDS,
        MHD_OPTION_CONNECTION_LIMIT, connections_daemon_limit(server->connections, threads),
        MHD_OPTION_HTTPS_PRIORITIES, TLS_PRIORITIES, MHD_OPTION_HTTPS_CERT_CALLBACK2,
        tls_certificate_callback(), MHD_OPTION_ARRAY, pool, MHD_OPTION_END);
    if (server->daemon)
        return server;
    error_set(reterr, "libmicrohttpd did not start; its own message is in the log");
    close(socket);
    tls_on_handshake(NULL, NULL);
    connections_free(server->connections);
    free(server);
    return NULL;
}

unsigned server_connections(const struct server *server)
{
    const union MHD_DaemonInfo *info =
        MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_CURRENT_CONNECTIONS);
    return info ? info->num_connections : 0;
}

unsigned long long server_closed(const struct server *server, enum connection_end end)
{
    return connections_closed(server->connections, end);
}

void server_expire(struct server *server)
{
    connections_expire(server->connections);
}

void server_stop(struct server *server)
{
    if (!server)
        return;
    /* libmicrohttpd aborts where a connection is still suspended */
    facts_wake_all(server->state->facts);
    for (int i = 0; i < STOP_POLLS && facts_suspended(server->state->facts); i++)
        nanosleep(&(struct timespec){.tv_nsec = 1000000000 / STOP_POLLS_PER_SECOND}, NULL);
    MHD_stop_daemon(server->daemon);
    tls_on_handshake(NULL, NULL);
    connections_free(server->connections);
    for (struct kept_arena *kept = server->arenas, *next; kept; kept = next) {
        next = kept->next;
        arena_done(&kept->arena);
        free(kept);
    }
    free(server);
}
