/* Hands the serving certificate to GnuTLS at each handshake.
 *
 * Every handshake gets a copy that GnuTLS releases itself (GNUTLS_CERT_RETR_DEINIT_ALL): so nothing
 * has to outlive a handshake, and a pair can be replaced at any moment. Reading the PEM again costs
 * a few dozen microseconds, once per connection. */
#include "webhook/serve/tls.h"

#include "certs/authority.h"
#include "webhook/common/files.h"

#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>
#include <pthread.h>
#include <string.h>

enum { CHAIN_MAX = 16 };

static struct {
    pthread_mutex_t lock;
    struct buffer certificate, key; /* PEM */
    bool asks_clients;
    void (*seen)(void *context, int socket);
    void *context;
} the_pair = {.lock = PTHREAD_MUTEX_INITIALIZER};

static gnutls_datum_t datum(const struct buffer *b)
{
    return (gnutls_datum_t){(unsigned char *)b->base, (unsigned)b->len};
}

static int read_chain(const gnutls_datum_t *pem, gnutls_pcert_st **ret, unsigned *ret_count)
{
    unsigned count = CHAIN_MAX;
    gnutls_pcert_st *chain = gnutls_calloc(CHAIN_MAX, sizeof(*chain));
    if (!chain)
        return GNUTLS_E_MEMORY_ERROR;
    int status = gnutls_pcert_list_import_x509_raw(chain, &count, pem, GNUTLS_X509_FMT_PEM, 0);
    if (status < 0) {
        gnutls_free(chain);
        return status;
    }
    *ret = chain;
    *ret_count = count;
    return 0;
}

static void free_chain(gnutls_pcert_st *chain, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        gnutls_pcert_deinit(&chain[i]);
    gnutls_free(chain);
}

/* A copy of a pair as GnuTLS wants it; the caller owns both. */
static int import_pair(const gnutls_datum_t *certificate, const gnutls_datum_t *key,
                       gnutls_pcert_st **ret_chain, unsigned *ret_count, gnutls_privkey_t *ret_key)
{
    gnutls_pcert_st *chain;
    gnutls_privkey_t private_key;
    unsigned count;
    int status = read_chain(certificate, &chain, &count);
    if (status < 0)
        return status;
    status = gnutls_privkey_init(&private_key);
    if (status == 0) {
        status = gnutls_privkey_import_x509_raw(private_key, key, GNUTLS_X509_FMT_PEM, NULL, 0);
        if (status < 0)
            gnutls_privkey_deinit(private_key);
    }
    if (status < 0) {
        free_chain(chain, count);
        return status;
    }
    *ret_chain = chain;
    *ret_count = count;
    *ret_key = private_key;
    return 0;
}

/* Called when a Finished message was taken or is to be sent: at the client's the handshake is done.
 */
static int finished(gnutls_session_t session, unsigned type, unsigned when, unsigned incoming,
                    const gnutls_datum_t *message)
{
    (void)type, (void)when, (void)message;
    if (incoming && the_pair.seen)
        the_pair.seen(the_pair.context, gnutls_transport_get_int(session));
    return 0;
}

static int give_certificate(gnutls_session_t session, const struct gnutls_cert_retr_st *info,
                            gnutls_pcert_st **certs, unsigned *certs_length,
                            gnutls_ocsp_data_st **ocsp, unsigned *ocsp_length,
                            gnutls_privkey_t *private_key, unsigned *flags)
{
    (void)info;
    gnutls_handshake_set_hook_function(session, GNUTLS_HANDSHAKE_FINISHED, GNUTLS_HOOK_POST,
                                       finished);
    if (the_pair.asks_clients)
        gnutls_certificate_server_set_request(session, GNUTLS_CERT_REQUEST);
    pthread_mutex_lock(&the_pair.lock);
    gnutls_datum_t certificate = datum(&the_pair.certificate), key = datum(&the_pair.key);
    int status = import_pair(&certificate, &key, certs, certs_length, private_key);
    pthread_mutex_unlock(&the_pair.lock);
    *ocsp = NULL;
    *ocsp_length = 0;
    *flags = GNUTLS_CERT_RETR_DEINIT_ALL;
    return status < 0 ? -1 : 0;
}

void tls_on_handshake(void (*seen)(void *context, int socket), void *context)
{
    the_pair.seen = seen;
    the_pair.context = context;
}

void tls_ask_clients(void)
{
    the_pair.asks_clients = true;
}

void *tls_certificate_callback(void)
{
    return (void *)give_certificate;
}

static MUST_CHECK bool check_pair(const struct buffer *certificate, const struct buffer *key,
                                  const char *certificate_file, const char *key_file,
                                  time_t *ret_expiry, struct error *reterr)
{
    struct error error;
    if (!certs_check_pair(buffer_slice(certificate), buffer_slice(key), &error) ||
        !certs_expiry(buffer_slice(certificate), ret_expiry, &error))
        return error_set(reterr, "%s and %s: %s", certificate_file, key_file, error.text);
    gnutls_pcert_st *chain;
    gnutls_privkey_t private_key;
    unsigned count;
    gnutls_datum_t certificate_pem = datum(certificate), key_pem = datum(key);
    int status = import_pair(&certificate_pem, &key_pem, &chain, &count, &private_key);
    if (status < 0)
        return error_set(reterr, "%s and %s: GnuTLS cannot read them: %s", certificate_file,
                         key_file, gnutls_strerror(status));
    free_chain(chain, count);
    gnutls_privkey_deinit(private_key);
    return true;
}

static MUST_CHECK bool read_pair(const char *certificate_file, const char *key_file,
                                 struct buffer *certificate, struct buffer *key,
                                 struct error *reterr)
{
    struct error error;
    if (!file_read_regular(certificate_file, CERTS_PEM_MAX_BYTES, certificate, &error))
        return error_set(reterr, "%s: %s", certificate_file, error.text);
    if (!file_read_regular(key_file, CERTS_PEM_MAX_BYTES, key, &error))
        return error_set(reterr, "%s: %s", key_file, error.text);
    return true;
}

static void swap(struct buffer *a, struct buffer *b)
{
    struct buffer c = *a;
    *a = *b;
    *b = c;
}

static void wipe(struct buffer *b)
{
    if (b->base)
        explicit_bzero(b->base, b->capacity);
    buffer_done(b);
}

bool tls_load(const char *certificate_file, const char *key_file, bool *ret_changed,
              time_t *ret_expiry, struct error *reterr)
{
    struct buffer certificate = {0}, key = {0};
    bool loaded = read_pair(certificate_file, key_file, &certificate, &key, reterr) &&
                  check_pair(&certificate, &key, certificate_file, key_file, ret_expiry, reterr);
    if (loaded) {
        pthread_mutex_lock(&the_pair.lock);
        *ret_changed =
            !slice_equal(buffer_slice(&certificate), buffer_slice(&the_pair.certificate)) ||
            !slice_equal(buffer_slice(&key), buffer_slice(&the_pair.key));
        swap(&certificate, &the_pair.certificate);
        swap(&key, &the_pair.key);
        pthread_mutex_unlock(&the_pair.lock);
    }
    buffer_done(&certificate);
    wipe(&key);
    return loaded;
}

void tls_done(void)
{
    buffer_done(&the_pair.certificate);
    wipe(&the_pair.key);
}
