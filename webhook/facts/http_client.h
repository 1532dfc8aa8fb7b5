/* HTTP requests: one libcurl multi handle on one thread, as many at a time as are sent: how many is
 * for its owner to say. Nobody waits on that thread:
 * answers come by a callback on it, which must not block. Debian's libcurl speaks TLS by OpenSSL.
 */
#pragma once

#include "base/error.h"
#include "base/slice.h"

#include <stdbool.h>

enum {
    HTTP_MAX_BODY =
        1024 * 1024, /* of an answer, unless the request says more; past it, a failure */
    HTTP_MAX_HEADERS = 64 * 1024,
    HTTP_CONNECT_TIMEOUT_MS = 3000,
    HTTP_TIMEOUT_MS = 10000, /* of a request, unless it says less */
    HTTP_CA_SECONDS = 5,     /* how long a read CA file is good for */
    HTTP_MAX_OWN_HEADERS = 2,
};

struct http_client;

struct http_request {
    bool head;
    const char *url;                           /* copied, like all texts but the headers */
    const char *body;                          /* POST, with this; NULL: GET or HEAD */
    const char *headers[HTTP_MAX_OWN_HEADERS]; /* literals, up to the first NULL */
    const char *authorization;                 /* a whole header value, or NULL */
    const char *ca_file; /* the only authorities that are trusted; NULL: the system's */
    long timeout_ms;     /* 0: HTTP_TIMEOUT_MS */
    size_t max_body;     /* bytes of the answer's body; 0: HTTP_MAX_BODY */
    long delay_ms;       /* not before so long from now */
};

/* All slices live only during the callback. */
struct http_reply {
    long status; /* 0: no answer came, `failure` says why */
    const char *failure;
    struct slice body, content_type, challenge; /* challenge: Www-Authenticate */
    long retry_after;                           /* seconds, 0: the answer does not say */
};

typedef void http_done(void *context, const struct http_reply *reply);

/* NULL where the thread cannot be made. */
MUST_CHECK struct http_client *http_client_start(struct error *reterr);

/* Sends; `done` is called exactly once, never from here: on the client's thread, or by
 * http_client_stop. */
void http_client_send(struct http_client *client, const struct http_request *request,
                      http_done *done, void *context);

/* Calls `done` of everything that is under way, with status 0, and ends the thread. */
void http_client_stop(struct http_client *client);

/* False where nobody's certificate can be trusted: the file of authorities is not there, `ca_file`
 * or, where that is NULL, the system's. `ret_path` is what was looked for, libcurl's own or
 * `ca_file`. */
bool http_client_knows_authorities(const char *ca_file, const char **ret_path);

/* How many are asked and not answered, queued ones included. */
unsigned http_client_pending(struct http_client *client);
