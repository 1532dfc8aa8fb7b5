/* Open connections and their deadlines. libmicrohttpd's own time-out starts again with each byte,
 * so that a sender of one byte a second would be served for ever
 * (docs/contracts.md#libmicrohttpd): here each
 * connection has a moment until which it must have got on, and is shut down past it. Thread-safe.
 */
#pragma once

#include <microhttpd.h>

enum {
    CONNECTION_HEADERS_SECONDS = 10,   /* from a request's first line to the end of its headers */
    CONNECTION_HANDSHAKE_SECONDS = 10, /* from accept to the TLS handshake; Go gives it as long */
    CONNECTION_FRESH_SECONDS = 130,    /* from there to the first line of a request: Go keeps
                                        * connections    that it has not used yet for later */
    CONNECTION_BODY_SECONDS = 10,      /* from headers to the end of the body */
    CONNECTION_ANSWER_SECONDS = 40,    /* from there to the end of the answer */
    CONNECTION_IDLE_SECONDS = 120,     /* between requests: longer than the API server's 90 */
    CONNECTION_NEXT_SECONDS = CONNECTION_IDLE_SECONDS + 10, /* to the next first line */
};

struct connections;

/* A connection has `first_seconds` from accept for its first step. */
struct connections *connections_new(unsigned first_seconds);
void connections_free(struct connections *connections);

/* What MHD_OPTION_NOTIFY_CONNECTION takes, with the struct connections as its closure. */
void connections_notify(void *connections, struct MHD_Connection *connection, void **socket_context,
                        enum MHD_ConnectionNotificationCode code);

/* The connection has so many seconds from now for its next step. */
void connections_allow(struct connections *connections, struct MHD_Connection *connection,
                       unsigned seconds);

/* The same for the connection with that descriptor. */
void connections_allow_socket(struct connections *connections, int socket, unsigned seconds);

/* Shuts down those whose time is over; to be called about once a second. */
void connections_expire(struct connections *connections);
