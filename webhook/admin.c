/* Answers /livez, /readyz and /metrics. */
#include "webhook/admin.h"

#include "webhook/http.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ADMIN_CONNECTIONS = 64, ADMIN_IDLE_SECONDS = 30 };

#define TEXT "text/plain; charset=utf-8"

struct admin {
    struct MHD_Daemon *daemon;
    struct state *state;
    const struct server *server;
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

static enum MHD_Result answer_metrics(struct admin *admin, struct MHD_Connection *connection)
{
    static const char prometheus[] = "text/plain; version=0.0.4; charset=utf-8";
    static const char open_metrics[] = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    const char *accept =
        MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_ACCEPT);
    bool open = accept && strstr(accept, "application/openmetrics-text");
    struct buffer out = {0};
    metrics_write(admin->state->metrics, server_connections(admin->server), open, &out);
    facts_write_metrics(admin->state->facts, open, &out);
    if (open)
        buffer_append_text(&out, "# EOF\n");
    enum MHD_Result result = http_answer(connection, MHD_HTTP_OK, open ? open_metrics : prometheus,
                                         buffer_slice(&out), NULL, NULL, false);
    buffer_done(&out);
    return result;
}

static enum MHD_Result handle(void *cls, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *upload,
                              size_t *upload_size, void **connection_cls)
{
    static int headers_seen;
    (void)version, (void)upload;
    if (!*connection_cls || *upload_size) { /* a body, where there is one, is passed over */
        *connection_cls = &headers_seen;
        *upload_size = 0;
        return MHD_YES;
    }
    bool live = strcmp(url, "/livez") == 0, ready = strcmp(url, "/readyz") == 0;
    if (!live && !ready && strcmp(url, "/metrics") != 0)
        return http_answer(connection, MHD_HTTP_NOT_FOUND, TEXT,
                           SLICE("no such path; expected /livez, /readyz or /metrics\n"), NULL, NULL,
                           false);
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
        return http_answer(connection, MHD_HTTP_METHOD_NOT_ALLOWED, TEXT,
                           SLICE("this method is not allowed here; expected GET\n"),
                           MHD_HTTP_HEADER_ALLOW, "GET, HEAD", false);
    if (live)
        return http_answer(connection, MHD_HTTP_OK, TEXT, SLICE("ok"), NULL, NULL, false);
    return ready ? answer_readyz(cls, connection) : answer_metrics(cls, connection);
}

struct admin *admin_start(int socket, struct state *state, const struct server *server,
                          struct error *reterr)
{
    struct admin *admin = memory_allocate_zeroed(1, sizeof(*admin));
    *admin = (struct admin){.state = state, .server = server};
    admin->daemon = MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_ITC | MHD_USE_ERROR_LOG, 0, NULL, NULL, handle, admin,
        MHD_OPTION_EXTERNAL_LOGGER, http_log, NULL, MHD_OPTION_LISTEN_SOCKET, socket,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)ADMIN_CONNECTIONS, MHD_OPTION_CONNECTION_TIMEOUT,
        (unsigned)ADMIN_IDLE_SECONDS, MHD_OPTION_UNESCAPE_CALLBACK, http_keep_escapes, NULL,
        MHD_OPTION_END);
    if (admin->daemon)
        return admin;
    error_set(reterr, "libmicrohttpd did not start; its own message is in the log");
    close(socket);
    free(admin);
    return NULL;
}

void admin_stop(struct admin *admin)
{
    if (!admin)
        return;
    MHD_stop_daemon(admin->daemon);
    free(admin);
}
