/* Open connections of one port: their deadlines, how many there may be, and what they hold.
 * Thread-safe.
 *
 * libmicrohttpd's own time-out starts again with each byte, and past its own limit it accepts
 * nobody (docs/contracts.md#libmicrohttpd). Here each connection has a moment until which it must
 * have got on, and for each that comes while there are `most` already, one is closed: so whoever
 * opens many closes his own, and an API server always gets in. */
#pragma once

#include "base/slice.h"

#include <microhttpd.h>
#include <stdbool.h>
#include <stddef.h>

enum {
    CONNECTION_HEADERS_SECONDS = 10,   /* from a request's first line to the end of its headers */
    CONNECTION_HANDSHAKE_SECONDS = 10, /* from accept to the end of the TLS handshake: as Go */
    CONNECTION_FRESH_SECONDS = 130,    /* from there to the first line of a request: Go keeps
                                        * connections that it has not used yet for later */
    CONNECTION_BODY_SECONDS = 10,      /* from headers to the end of the body */
    CONNECTION_ANSWER_SECONDS = 40,    /* from there to the end of the answer */
    CONNECTION_IDLE_SECONDS = 120,     /* between requests: longer than the API server's 90 */
    CONNECTION_NEXT_SECONDS = CONNECTION_IDLE_SECONDS + 10, /* to the next first line */
    CONNECTION_PROVEN_SECONDS = 95, /* a client of Go's may use one again for 90 s after its last */
};

/* What connections may hold in memory: bodies that have come, and answers on their way. */
enum {
    HOLD_MOST = 64 * 1024 * 1024,    /* of all connections; past it only small ones, */
    HOLD_RESERVE = 16 * 1024 * 1024, /* up to so much more, or the largest is closed */
    HOLD_SMALL = 256 * 1024,         /* up to here a body is small */
};

/* Why connections were closed. */
enum connection_end {
    CONNECTION_LATE,    /* past their deadline */
    CONNECTION_CROWDED, /* for another that came while there were the most already */
    CONNECTION_LARGE,   /* for another that needed memory */
    CONNECTION_ENDS,
};
const char *connection_end_name(enum connection_end end);

struct connections;

/* `port` names them in the log. A connection has `first_seconds` from accept for its first step. At
 * most `most` are open. */
struct connections *connections_new(const char *port, unsigned first_seconds, unsigned most);
void connections_free(struct connections *connections);

/* The number of connections that libmicrohttpd has to be told for these: more than will ever be
 * open, since a pool splits it and a worker at its share stops accepting. */
unsigned connections_daemon_limit(const struct connections *connections, unsigned threads);

/* What MHD_OPTION_NOTIFY_CONNECTION takes, with the struct connections as its closure. */
void connections_notify(void *connections, struct MHD_Connection *connection, void **socket_context,
                        enum MHD_ConnectionNotificationCode code);

/* A request begins, and its headers have to follow. */
void connections_begin(struct connections *connections, struct MHD_Connection *connection);

/* An answer with a body has been queued on it: both leave together (gather.h). */
void connections_answer(struct MHD_Connection *connection);

/* The connection has so many seconds from now for its next step. */
void connections_allow(struct connections *connections, struct MHD_Connection *connection,
                       unsigned seconds);

/* Its request was what this port is for: only that renews its time, and keeps it from being closed
 * for another while there are others to close. */
void connections_prove(struct connections *connections, struct MHD_Connection *connection);

/* The request is over. The next has to begin within `next_seconds` of the last that was proven. */
void connections_complete(struct connections *connections, struct MHD_Connection *connection,
                          unsigned next_seconds);

/* Its client has shown a certificate that was verified at this moment (monotonic ms); 0: never. */
void connections_set_verified(struct connections *connections, struct MHD_Connection *connection,
                              long long at_ms);
long long connections_verified(struct connections *connections, struct MHD_Connection *connection);

/* The address that it comes from, in bytes that can be compared; lives as long as it does. */
struct slice connections_caller(struct MHD_Connection *connection);

/* Whether the connection may be suspended: libmicrohttpd does not close one that is, whatever its
 * peer does, and so not all may be, nor all of one address's; nor may they hold all memory. It is
 * until connections_resume. */
bool connections_suspend(struct connections *connections, struct MHD_Connection *connection);
void connections_resume(struct connections *connections, struct MHD_Connection *connection);

/* The connection holds so many bytes from now on, for a small request or another. False where that
 * may not be: nothing is changed then, and the caller has to give its memory back. Less than before
 * may always be. */
bool connections_hold(struct connections *connections, struct MHD_Connection *connection,
                      size_t bytes, bool small);

/* The TLS handshake on that descriptor is done: it has time for its first request. */
void connections_handshake_done(struct connections *connections, int socket);

/* How many were closed for this reason since the start. */
unsigned long long connections_closed(struct connections *connections, enum connection_end end);

/* Shuts down those whose time is over and logs that others had to go; to be called about once a
 * second. */
void connections_expire(struct connections *connections);
