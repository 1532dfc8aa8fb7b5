/* The admin port: plain HTTP with probes and metrics. */
#pragma once

#include "webhook/serve/server.h"

enum { ADMIN_CONNECTIONS = 256 };

struct admin;

/* Starts serving on a listening socket, which it owns from then on. NULL on failure. */
MUST_CHECK struct admin *admin_start(int socket, struct state *state, const struct server *server,
                                     struct error *reterr);

/* As server_expire. */
void admin_expire(struct admin *admin);

/* To be called before the server that was given to admin_start is stopped. */
void admin_stop(struct admin *admin);
