/* Answers /livez, /readyz and /metrics. */
#include "webhook/serve/admin.h"

#include "webhook/serve/connections.h"
#include "webhook/serve/http.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    ADMIN_FIRST_SECONDS = 5, /* from accept to the first line of a request */
    ADMIN_NEXT_SECONDS = 40, /* to the next probe or scrape on a kept connection */
};

#define TEXT "text/plain; charset=utf-8"

struct admin {
    struct MHD_Daemon *daemon;
    struct state *state;
    const struct server *server;
    struct connections *connections;
};

static enum MHD_Result answer_readyz(struct admin *admin, struct MHD_Connection *connection)
{
    char reason[200], text[256];
    state_not_ready(admin->state, reason, sizeof(reason));
    if (!reason[0])
        return http_answer(connection, MHD_HTTP_OK, TEXT, SLICE("ok"), NULL, NULL, false);
    snprintf(text, sizeof(text), "%s\n", reason);
    return http_answer(connection, MHD_HTTP_SERVICE_UNAVAILABLE, TEXT, slice_from(text), NULL, NULL,
                       false);
}

static void write_closed(struct admin *admin, bool open_metrics, struct buffer *out)
{
    struct closed_figures figures[2 * CONNECTION_ENDS];
    for (int i = 0; i < CONNECTION_ENDS; i++) {
        enum connection_end end = (enum connection_end)i;
        const char *reason = connection_end_name(end);
        figures[2 * i] =
            (struct closed_figures){"admission", reason, server_closed(admin->server, end)};
        figures[2 * i + 1] =
            (struct closed_figures){"admin", reason, connections_closed(admin->connections, end)};
    }
    metrics_write_closed(figures, 2 * CONNECTION_ENDS, open_metrics, out);
}

static void write_secrets(const struct state *state, bool open_metrics, struct buffer *out)
{
    const struct secret_figures figures[] = {
        {"events-secret-file", state->events, state->events ? secret_wrong(state->events) : 0},
        {"metrics-token-file", state->metrics_token,
         state->metrics_token ? secret_wrong(state->metrics_token) : 0},
    };
    metrics_write_secrets(figures, sizeof(figures) / sizeof(*figures), open_metrics, out);
}

static enum MHD_Result answer_metrics(struct admin *admin, struct MHD_Connection *connection)
{
    static const char prometheus[] = "text/plain; version=0.0.4; charset=utf-8";
    static const char open_metrics[] = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    const char *accept =
        MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_ACCEPT);
    bool open = accept && strstr(accept, "application/openmetrics-text");
    CLEANUP_BUFFER struct buffer out = {0};
    CLEANUP_ARENA struct arena arena = {0};
    struct facts_figures figures;
    facts_read_figures(admin->state->facts, &arena, &figures);
    metrics_write(admin->state->metrics, server_connections(admin->server), &figures, open, &out);
    write_closed(admin, open, &out);
    write_secrets(admin->state, open, &out);
    if (open)
        buffer_append_text(&out, "# EOF\n");
    return http_answer(connection, MHD_HTTP_OK, open ? open_metrics : prometheus,
                       buffer_slice(&out), NULL, NULL, false);
}

/* Whether the caller may read more than probes do: "Bearer", in any case, and the token. */
static bool is_authorized(struct admin *admin, struct MHD_Connection *connection)
{
    static const char scheme[] = "Bearer ";
    const size_t len = sizeof(scheme) - 1;
    if (!admin->state->metrics_token)
        return true;
    const char *given =
        MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_AUTHORIZATION);
    bool bearer = given && strncasecmp(given, scheme, len) == 0;
    return secret_is(admin->state->metrics_token, bearer ? given + len : NULL);
}

static enum MHD_Result handle(void *cls, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *upload,
                              size_t *upload_size, void **connection_cls)
{
    static int headers_seen;
    struct admin *admin = cls;
    (void)version, (void)upload;
    if (!*connection_cls)
        connections_allow(admin->connections, connection, CONNECTION_BODY_SECONDS);
    if (!*connection_cls || *upload_size) { /* a body, where there is one, is passed over */
        *connection_cls = &headers_seen;
        *upload_size = 0;
        return MHD_YES;
    }
    bool live = strcmp(url, "/livez") == 0, ready = strcmp(url, "/readyz") == 0;
    if (!live && !ready && strcmp(url, "/metrics") != 0)
        return http_answer(connection, MHD_HTTP_NOT_FOUND, TEXT,
                           SLICE("no such path; expected /livez, /readyz or /metrics\n"), NULL,
                           NULL, false);
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
        return http_answer(connection, MHD_HTTP_METHOD_NOT_ALLOWED, TEXT,
                           SLICE("this method is not allowed here; expected GET\n"),
                           MHD_HTTP_HEADER_ALLOW, "GET, HEAD", false);
    if (!live && !ready && !is_authorized(admin, connection))
        return http_answer(connection, MHD_HTTP_UNAUTHORIZED, TEXT,
                           SLICE("expected Authorization: Bearer and what --metrics-token-file "
                                 "holds\n"),
                           MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Bearer", false);
    connections_prove(admin->connections, connection);
    if (live)
        return http_answer(connection, MHD_HTTP_OK, TEXT, SLICE("ok"), NULL, NULL, false);
    return ready ? answer_readyz(admin, connection) : answer_metrics(admin, connection);
}

static void *begin_request(void *cls, const char *uri, struct MHD_Connection *connection)
{
    struct admin *admin = cls;
    (void)uri;
    connections_begin(admin->connections, connection);
    return NULL;
}

static void complete(void *cls, struct MHD_Connection *connection, void **connection_cls,
                     enum MHD_RequestTerminationCode code)
{
    struct admin *admin = cls;
    (void)connection_cls, (void)code;
    connections_complete(admin->connections, connection, ADMIN_NEXT_SECONDS);
}

struct admin *admin_start(int socket, struct state *state, const struct server *server,
                          struct error *reterr)
{
    struct admin *admin = memory_allocate_zeroed(1, sizeof(*admin));
    *admin = (struct admin){.state = state,
                            .server = server,
                            .connections =
                                connections_new("admin", ADMIN_FIRST_SECONDS, ADMIN_CONNECTIONS)};
    admin->daemon = MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_ITC | MHD_USE_ERROR_LOG, 0, NULL, NULL, handle,
        admin, MHD_OPTION_EXTERNAL_LOGGER, http_log, NULL, MHD_OPTION_LISTEN_SOCKET, socket,
        MHD_OPTION_CONNECTION_LIMIT, connections_daemon_limit(admin->connections, 1),
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)ADMIN_NEXT_SECONDS, MHD_OPTION_NOTIFY_CONNECTION,
        connections_notify, admin->connections, MHD_OPTION_URI_LOG_CALLBACK, begin_request, admin,
        MHD_OPTION_NOTIFY_COMPLETED, complete, admin, MHD_OPTION_UNESCAPE_CALLBACK,
        http_keep_escapes, NULL, MHD_OPTION_END);
    if (admin->daemon)
        return admin;
    error_set(reterr, "libmicrohttpd did not start; its own message is in the log");
    close(socket);
    connections_free(admin->connections);
    free(admin);
    return NULL;
}

void admin_expire(struct admin *admin)
{
    connections_expire(admin->connections);
}

void admin_stop(struct admin *admin)
{
    if (!admin)
        return;
    MHD_stop_daemon(admin->daemon);
    connections_free(admin->connections);
    free(admin);
}
