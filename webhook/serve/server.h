/* The admission server: HTTPS, and the way from a call to its answer. */
#pragma once

#include "webhook/serve/connections.h"
#include "webhook/serve/state.h"

enum {
    SERVER_MAX_BODY = 7 * 1024 * 1024, /* two objects of 3 MiB and a little */
};

struct server;

/* Starts serving on a listening socket, which it owns from then on. NULL on failure. */
MUST_CHECK struct server *server_start(int socket, unsigned threads, unsigned max_connections,
                                       struct state *state, struct error *reterr);

/* Connections that are open now. */
unsigned server_connections(const struct server *server);

/* How many were closed for this reason. */
unsigned long long server_closed(const struct server *server, enum connection_end end);

/* Shuts down connections that do not get on; to be called about once a second. */
void server_expire(struct server *server);

/* Closes all connections and frees the server. */
void server_stop(struct server *server);
