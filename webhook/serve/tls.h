/* The serving certificate: loaded as a pair, replaced while serving. Debian's libmicrohttpd speaks
 * TLS by GnuTLS and asks for a certificate at each handshake. One per process, since that question
 * comes without a context. */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <time.h>

/* TLS 1.2 and 1.3 with forward secrecy and authenticated encryption only. */
#define TLS_PRIORITIES                                                                             \
    "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:-RSA:-DHE-RSA:-CIPHER-ALL:+AES-128-GCM:"           \
    "+AES-256-GCM:+CHACHA20-POLY1305"

/* Reads the pair and, where the two fit, serves it from now on; else false, and the one before
 * stays.
 * `*ret_changed` is whether it differs from the one before. The first call must succeed before the
 * server starts. */
MUST_CHECK bool tls_load(const char *certificate_file, const char *key_file, bool *ret_changed,
                         time_t *ret_expiry, struct error *reterr);

/* Calls `seen` with the descriptor of each connection whose handshake is done; NULL: nobody. To be
 * set before the server starts and after it has ended. */
void tls_on_handshake(void (*seen)(void *context, int socket), void *context);

/* From now on each client is asked for a certificate, of whatever authority; one that has none is
 * served all the same (see clients.h). Before the server starts. */
void tls_ask_clients(void);

/* What MHD_OPTION_HTTPS_CERT_CALLBACK2 takes (gnutls_certificate_retrieve_function3). */
void *tls_certificate_callback(void);

void tls_done(void);
