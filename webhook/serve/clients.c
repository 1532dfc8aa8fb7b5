/* Verifies client certificates. */
#include "webhook/serve/clients.h"

#include "base/memory.h"
#include "webhook/common/clock.h"
#include "webhook/common/files.h"

#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { CLIENT_CA_MAX = 1024 * 1024, CHAIN_MAX = 8, VERIFY_AGAIN_MS = 60 * 1000 };

struct clients {
    char *file;
    pthread_rwlock_t lock; /* of all below */
    struct buffer pem;
    gnutls_x509_trust_list_t trusted;
    long long changed_ms;
};

static bool import(struct slice pem, gnutls_x509_trust_list_t *ret)
{
    gnutls_x509_trust_list_t list;
    if (gnutls_x509_trust_list_init(&list, 0) < 0)
        return false;
    gnutls_datum_t datum = {(unsigned char *)pem.base, (unsigned)pem.len};
    if (gnutls_x509_trust_list_add_trust_mem(list, &datum, NULL, GNUTLS_X509_FMT_PEM, 0, 0) <= 0) {
        gnutls_x509_trust_list_deinit(list, 1);
        return false;
    }
    *ret = list;
    return true;
}

bool clients_reload(struct clients *clients, struct error *reterr)
{
    CLEANUP_BUFFER struct buffer pem = {0};
    struct error error;
    gnutls_x509_trust_list_t list, old = NULL;
    if (!file_read_regular(clients->file, CLIENT_CA_MAX, &pem, &error))
        return error_set(reterr, "%s: %s", clients->file, error.text);
    bool same = slice_equal(buffer_slice(&pem), buffer_slice(&clients->pem));
    if (!same && !import(buffer_slice(&pem), &list))
        return error_set(reterr, "%s: expected certificates of authorities, PEM", clients->file);
    if (!same) {
        pthread_rwlock_wrlock(&clients->lock);
        struct buffer before = clients->pem;
        old = clients->trusted;
        clients->pem = pem;
        clients->trusted = list;
        clients->changed_ms = clock_monotonic_ms();
        pthread_rwlock_unlock(&clients->lock);
        pem = before;
    }
    if (old)
        gnutls_x509_trust_list_deinit(old, 1);
    return true;
}

struct clients *clients_new(const char *file, struct error *reterr)
{
    struct clients *clients = memory_allocate_zeroed(1, sizeof(*clients));
    pthread_rwlock_init(&clients->lock, NULL);
    clients->file = memory_copy_string(file);
    if (clients_reload(clients, reterr) && clients->trusted)
        return clients;
    if (!clients->trusted && reterr && !reterr->text[0])
        error_set(reterr, "%s: is empty, expected certificates of authorities, PEM", file);
    clients_free(clients);
    return NULL;
}

void clients_free(struct clients *clients)
{
    if (!clients)
        return;
    if (clients->trusted)
        gnutls_x509_trust_list_deinit(clients->trusted, 1);
    pthread_rwlock_destroy(&clients->lock);
    buffer_done(&clients->pem);
    free(clients->file);
    free(clients);
}

bool clients_still_good(struct clients *clients, long long at_ms, long long now_ms)
{
    pthread_rwlock_rdlock(&clients->lock);
    bool good = at_ms > clients->changed_ms && now_ms - at_ms < VERIFY_AGAIN_MS;
    pthread_rwlock_unlock(&clients->lock);
    return good;
}

static void explain(unsigned status, char ret[CLIENTS_REASON_SIZE])
{
    gnutls_datum_t text = {0};
    if (gnutls_certificate_verification_status_print(status, GNUTLS_CRT_X509, &text, 0) == 0)
        snprintf(ret, CLIENTS_REASON_SIZE, "of its certificate GnuTLS says: %s", (char *)text.data);
    else
        snprintf(ret, CLIENTS_REASON_SIZE, "its certificate is not valid");
    gnutls_free(text.data);
}

/* The chain as the peer sent it; the caller releases each. */
static unsigned import_chain(const gnutls_datum_t *sent, unsigned sent_count,
                             gnutls_x509_crt_t ret[CHAIN_MAX])
{
    unsigned count = 0;
    while (count < sent_count && count < CHAIN_MAX) {
        if (gnutls_x509_crt_init(&ret[count]) < 0)
            break;
        count++;
        if (gnutls_x509_crt_import(ret[count - 1], &sent[count - 1], GNUTLS_X509_FMT_DER) < 0) {
            gnutls_x509_crt_deinit(ret[--count]);
            break;
        }
    }
    return count;
}

bool clients_verify(struct clients *clients, void *tls_session, char ret[CLIENTS_REASON_SIZE])
{
    unsigned sent_count = 0, status = 0;
    gnutls_x509_crt_t chain[CHAIN_MAX];
    const gnutls_datum_t *sent = gnutls_certificate_get_peers(tls_session, &sent_count);
    unsigned count = sent ? import_chain(sent, sent_count, chain) : 0;
    if (count == 0) {
        snprintf(ret, CLIENTS_REASON_SIZE, "it came without a client certificate");
        return false;
    }
    gnutls_typed_vdata_st purpose = {.type = GNUTLS_DT_KEY_PURPOSE_OID,
                                     .data = (unsigned char *)GNUTLS_KP_TLS_WWW_CLIENT};
    pthread_rwlock_rdlock(&clients->lock);
    int result = gnutls_x509_trust_list_verify_crt2(clients->trusted, chain, count, &purpose, 1, 0,
                                                    &status, NULL);
    pthread_rwlock_unlock(&clients->lock);
    for (unsigned i = 0; i < count; i++)
        gnutls_x509_crt_deinit(chain[i]);
    if (result == 0 && status == 0)
        return true;
    explain(status, ret);
    return false;
}
