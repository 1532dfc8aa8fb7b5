/* Certificates for the webhook: makes an authority and a serving certificate that it signs, writes
 * both to a directory, and answers two questions about certificates that others made. X.509 v3
 * (RFC 5280) by OpenSSL 3.0; ECDSA on P-256 with SHA-256.
 *
 * It does not talk to a cluster, watch files, log, exit or read the clock. Nothing is kept between
 * calls, so every function can be called from any thread; OpenSSL's error queue of the calling
 * thread is left empty. Made in authority.c, checked in request.c, written in directory.c, read in
 * inspect.c. */
#pragma once

#include "base/error.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

enum {
    CERTS_DAYS_MAX = 36500,       /* a hundred years */
    CERTS_NAMES_MAX = 100,        /* DNS names and IP addresses together */
    CERTS_PEM_MAX_BYTES = 1 << 20 /* of PEM text that certs_ functions read */
};

/* What is wanted. Everything is borrowed for the length of the call. The times are counted from
 * `now`; NotBefore is an hour earlier, for clocks that lag. */
struct certs_request {
    const char *const *dns_names; /* the API server asks for SERVICE.NAMESPACE.svc */
    size_t dns_count;
    const char *const *ip_addresses; /* IPv4 or IPv6 as text, for `url:` webhooks by address */
    size_t ip_count;
    long days;    /* of the serving certificate, 1 to CERTS_DAYS_MAX */
    long ca_days; /* of the authority, `days` to CERTS_DAYS_MAX */
    time_t now;   /* seconds since 1970, UTC */
};

/* A certificate and its private key, each one PEM block as a NUL-terminated string: `CERTIFICATE`
 * and an unencrypted PKCS #8 `PRIVATE KEY`. Zero-initialised is empty. slice_from() gives the
 * slice. */
struct certs_pair {
    char *certificate, *key;
};

/* Frees both strings, wiping the key, and makes the pair empty; an empty pair is fine. */
void certs_pair_done(struct certs_pair *pair);

/* A cleanup attribute: CERTS_PAIR struct certs_pair pair = {0}; */
#define CERTS_PAIR __attribute__((cleanup(certs_pair_done)))

/* Whether the request can be fulfilled; false with an error that quotes the first thing that
 * cannot. Expects one DNS name or IP address or more, at most CERTS_NAMES_MAX; the days and the
 * time in their ranges (no certificate reaches the year 10000, RFC 5280 4.1.2.5.2). A DNS name is
 * labels of letters, digits and inner hyphens, at most 63 characters each and 253 together (RFC
 * 1123 2.1, RFC 1035 2.3.4), without a dot at the end; the last label is not all digits (RFC
 * 1123 2.1), and the first may be `*` (RFC 6125 6.4.3). An IP address is what inet_pton(3) takes.
 * The functions below that take a request do this first. */
MUST_CHECK bool certs_check_request(const struct certs_request *request, struct error *reterr);

/* Makes a self-signed authority that lives for ca_days and signs serving certificates only, no
 * further authorities (pathlen:0). Its subject, `harbor-pilot CA TIME RANDOM`, and its subject key
 * identifier differ at every call, so that an old and a new authority work side by side in one
 * caBundle. The caller owns *ret and ends it with certs_pair_done; what was in it is not freed. */
MUST_CHECK bool certs_make_authority(const struct certs_request *request, struct certs_pair *ret,
                                     struct error *reterr);

/* Makes a serving certificate signed by `authority`, for all names and addresses of the request as
 * subject alternative names (Go, hence the API server, ignores the common name). It lives for
 * `days` or until the authority ends, whichever comes first. Fails when the authority cannot be
 * read, is no authority, is not valid at `now`, or its key belongs to another certificate; ca_days
 * matters for certs_check_request only. The result holds the leaf alone, without the authority.
 * Ownership as above. */
MUST_CHECK bool certs_make_leaf(const struct certs_request *request,
                                const struct certs_pair *authority, struct certs_pair *ret,
                                struct error *reterr);

/* Makes an authority and a leaf and writes ca.crt, ca.key, tls.crt and tls.key, each of mode 0600,
 * into `directory`; that is created with mode 0700 where it is missing, its parent is not. The
 * names are those of a kubernetes.io/tls Secret plus the authority; tls.crt holds the leaf alone,
 * ca.crt is the caBundle.
 *
 * Without `force`, fails when one of the four exists. With it, replaces them (a symbolic link, not
 * what it points to). Each file changes in one rename, tls.crt last; a reader between two renames
 * can see a mixed set, which certs_check_pair recognises. On failure the directory is as it was
 * before the call, without temporary files; a crash can leave some, named `.FILE.RANDOM.new` and
 * `.old`, but no half-written FILE. Two calls for one directory do not mix: the second one fails.
 * Replacing needs a file system with hard links. */
MUST_CHECK bool certs_init_directory(const char *directory, const struct certs_request *request,
                                     bool force, struct error *reterr);

/* NotAfter of the first certificate in `pem`, the last second at which it is valid (RFC 5280
 * 4.1.2.5), as seconds since 1970 UTC; the leaf's where a chain follows it. Fails when pem is
 * longer than CERTS_PEM_MAX_BYTES, has no readable certificate, or its time cannot be read. */
MUST_CHECK bool certs_expiry(struct slice pem, time_t *ret, struct error *reterr);

/* Whether the private key belongs to the first certificate of `certificate_pem`, whatever their
 * algorithm; to be asked before a reload swaps a pair, since the two files do not change at the
 * same instant. False with an error when it does not, when one of them cannot be read, is longer
 * than CERTS_PEM_MAX_BYTES, or when the key is encrypted. Says nothing about time, names or trust.
 */
MUST_CHECK bool certs_check_pair(struct slice certificate_pem, struct slice key_pem,
                                 struct error *reterr);
