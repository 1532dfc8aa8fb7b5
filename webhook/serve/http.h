/* What both ports share: texts and headers of answers. */
#pragma once

#include "base/buffer.h"

#include <microhttpd.h>
#include <stdbool.h>

/* Answers with a copy of the body. `extra_name` may be NULL; `close` asks the client not to reuse
 * the connection. */
enum MHD_Result http_answer(struct MHD_Connection *connection, unsigned status,
                            const char *content_type, struct slice body, const char *extra_name,
                            const char *extra_value, bool close);

/* The same with the buffer's own memory, which is libmicrohttpd's from then on. */
enum MHD_Result http_answer_buffer(struct MHD_Connection *connection, unsigned status,
                                   const char *content_type, struct buffer *body, bool close);

/* What libmicrohttpd complains about goes to the log. */
void http_log(void *unused, const char *format, va_list args) __attribute__((format(printf, 2, 0)));

/* Copies `text`, which a client sent, for a message: short, and without control characters. */
void http_quote(const char *text, char *ret, size_t size);

/* For MHD_OPTION_UNESCAPE_CALLBACK: leaves %2F as it is, so that a path is what a proxy in front
 * saw. */
size_t http_keep_escapes(void *unused, struct MHD_Connection *connection, char *text);
