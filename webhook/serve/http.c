/* Answers over libmicrohttpd. */
#include "webhook/serve/http.h"

#include "webhook/common/log.h"

#include <stdio.h>
#include <string.h>

static enum MHD_Result queue(struct MHD_Connection *connection, unsigned status,
                             struct MHD_Response *response, const char *content_type,
                             const char *extra_name, const char *extra_value, bool close)
{
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, content_type);
    if (extra_name)
        MHD_add_response_header(response, extra_name, extra_value);
    if (close)
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
    enum MHD_Result result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
}

enum MHD_Result http_answer(struct MHD_Connection *connection, unsigned status,
                            const char *content_type, struct slice body, const char *extra_name,
                            const char *extra_value, bool close)
{
    struct MHD_Response *response = MHD_create_response_from_buffer(
        body.len, (void *)(body.len ? body.base : ""), MHD_RESPMEM_MUST_COPY);
    return response
               ? queue(connection, status, response, content_type, extra_name, extra_value, close)
               : MHD_NO;
}

enum MHD_Result http_answer_buffer(struct MHD_Connection *connection, unsigned status,
                                   const char *content_type, struct buffer *body, bool close)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(body->len, body->base, MHD_RESPMEM_MUST_FREE);
    if (!response)
        return MHD_NO;
    *body = (struct buffer){0};
    return queue(connection, status, response, content_type, NULL, NULL, close);
}

enum { HTTP_LOG_SECONDS = 10 };

void http_log(void *unused, const char *format, va_list args)
{
    (void)unused;
    char text[512];
    int len = vsnprintf(text, sizeof(text), format, args);
    while (len > 0 && len < (int)sizeof(text) && text[len - 1] == '\n')
        text[--len] = '\0';
    static struct log_limit limit;
    unsigned long suppressed;
    if (log_limit_take_in(&limit, HTTP_LOG_SECONDS, &suppressed)) /* anybody can cause them */
        log_message(LOG_WARNING, EVENT_HTTP, "%s%s", text,
                    suppressed ? " (and others like it)" : "");
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
