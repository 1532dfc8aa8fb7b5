/* Answers over libmicrohttpd. */
#include "webhook/serve/http.h"

#include "webhook/common/log.h"

#include <gnutls/gnutls.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

enum {
    TOGETHER_MOST = 8 * 1024, /* such an answer fits into the send buffer of a quiet connection */
    FLUSH_WAIT_MS = 1000,     /* for the kernel that has no memory for it just now */
};

static gnutls_session_t session_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);
    return info ? info->tls_session : NULL;
}

/* libmicrohttpd sends the headers and the body as two TLS records. Here GnuTLS keeps both back
 * until http_flush(), but only where the kernel can take them at once: what a slow client has not
 * read yet is libmicrohttpd's to wait for. */
static void hold_back(struct MHD_Connection *connection, size_t len)
{
    gnutls_session_t session = session_of(connection);
    int queued;
    if (session && len <= TOGETHER_MOST &&
        ioctl(gnutls_transport_get_int(session), TIOCOUTQ, &queued) == 0 && queued == 0)
        gnutls_record_cork(session);
}

void http_flush(struct MHD_Connection *connection)
{
    gnutls_session_t session = session_of(connection);
    if (!session || gnutls_record_check_corked(session) == 0)
        return;
    int socket = gnutls_transport_get_int(session);
    int sent = gnutls_record_uncork(session, 0);
    while (sent == GNUTLS_E_AGAIN || sent == GNUTLS_E_INTERRUPTED) {
        struct pollfd writable = {.fd = socket, .events = POLLOUT};
        if (poll(&writable, 1, FLUSH_WAIT_MS) <= 0)
            break;
        sent = gnutls_record_uncork(session, 0);
    }
    if (sent < 0)
        shutdown(socket, SHUT_RDWR); /* half an answer must not look like one */
}

enum MHD_Result http_answer(struct MHD_Connection *connection, unsigned status,
                            const char *content_type, struct slice body, const char *extra_name,
                            const char *extra_value, bool close)
{
    struct MHD_Response *response = MHD_create_response_from_buffer(
        body.len, (void *)(body.len ? body.base : ""), MHD_RESPMEM_MUST_COPY);
    if (!response)
        return MHD_NO;
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, content_type);
    if (extra_name)
        MHD_add_response_header(response, extra_name, extra_value);
    if (close)
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
    hold_back(connection, body.len);
    enum MHD_Result result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
}

void http_log(void *unused, const char *format, va_list args)
{
    (void)unused;
    char text[512];
    int len = vsnprintf(text, sizeof(text), format, args);
    while (len > 0 && len < (int)sizeof(text) && text[len - 1] == '\n')
        text[--len] = '\0';
    static struct log_limit limit;
    unsigned long suppressed;
    if (log_limit_take(&limit, &suppressed))
        log_message(LOG_WARNING, "http", "%s%s", text, suppressed ? " (and others like it)" : "");
}

void http_quote(const char *text, char *ret, size_t size)
{
    size_t i = 0;
    for (; text[i] && i + 1 < size; i++)
        ret[i] = text[i] >= 0x20 && text[i] < 0x7f ? text[i] : '?';
    ret[i] = '\0';
}

size_t http_keep_escapes(void *unused, struct MHD_Connection *connection, char *text)
{
    (void)unused, (void)connection;
    return strlen(text);
}
