/* Who may call: those with a client certificate of authorities in a file, which may change.
 * libmicrohttpd and GnuTLS only ask for one: each request looks here
 * (docs/contracts.md#libmicrohttpd). Thread-safe. */
#pragma once

#include "base/error.h"

#include <stdbool.h>

enum { CLIENTS_REASON_SIZE = 200 };

struct clients;

/* Reads the authorities, PEM. NULL where there are none. */
MUST_CHECK struct clients *clients_new(const char *file, struct error *reterr);
void clients_free(struct clients *clients);

/* Reads them again. False where that fails: the last good ones stay. */
MUST_CHECK bool clients_reload(struct clients *clients, struct error *reterr);

/* Whether what was verified at `at_ms` (monotonic; 0: never) need not be verified again. */
bool clients_still_good(struct clients *clients, long long at_ms, long long now_ms);

/* Whether the peer of a GnuTLS session has shown a certificate for clients that is valid now;
 * otherwise why not. */
bool clients_verify(struct clients *clients, void *tls_session, char ret[CLIENTS_REASON_SIZE]);
