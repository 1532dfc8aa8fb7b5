/* One system call for an answer's headers and its body. */
#include "webhook/serve/gather.h"

#include <gnutls/gnutls.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

enum {
    HEADERS_LEAST = 64, /* an alert or a key update is shorter, and nothing may follow it */
    TOGETHER_MOST = 8,  /* records; after headers GnuTLS hands over one */
};

void gather_begin(struct gather *g, void *tls_session, int socket)
{
    gnutls_session_t session = tls_session;
    gnutls_transport_ptr_t receive = gnutls_transport_get_ptr(session);
    g->socket = socket;
    gnutls_transport_set_ptr2(session, receive, g);
    gnutls_transport_set_vec_push_function(session, gather_push);
}

void gather_answer(struct gather *g)
{
    g->awaits_headers = true;
}

static size_t size_of(const struct iovec *records, int count)
{
    size_t size = 0;
    for (int i = 0; i < count; i++)
        size += records[i].iov_len;
    return size;
}

/* Whether the records are headers that can wait; then they do. */
static bool keep_headers(struct gather *g, const struct iovec *records, int count, size_t size)
{
    if (!g->awaits_headers || size < HEADERS_LEAST)
        return false;
    g->awaits_headers = false;
    if (size > sizeof(g->record) - g->waiting)
        return false;
    for (int i = 0; i < count; i++) {
        memcpy(g->record + g->waiting, records[i].iov_base, records[i].iov_len);
        g->waiting += records[i].iov_len;
    }
    return true;
}

static ssize_t send_records(const struct gather *g, const struct iovec *records, int count)
{
    const struct msghdr message = {.msg_iov = (struct iovec *)records, .msg_iovlen = (size_t)count};
    return sendmsg(g->socket, &message, MSG_NOSIGNAL);
}

/* One call for what waits and what comes: how much was taken of the latter, or -1. */
static ssize_t send_together(struct gather *g, const struct iovec *records, int count)
{
    struct iovec all[1 + TOGETHER_MOST] = {{g->record, g->waiting}};
    int added =
        count <= TOGETHER_MOST ? count : 0; /* all or none: the poller waits for the kernel */
    memcpy(all + 1, records, (size_t)added * sizeof(*records));
    ssize_t sent = send_records(g, all, 1 + added);
    if (sent < 0)
        return -1;
    size_t old = (size_t)sent < g->waiting ? (size_t)sent : g->waiting;
    g->waiting -= old;
    memmove(g->record, g->record + old, g->waiting);
    return sent - (ssize_t)old;
}

ssize_t gather_push(void *gather, const struct iovec *records, int count)
{
    struct gather *g = gather;
    size_t size = size_of(records, count);
    if (keep_headers(g, records, count, size))
        return (ssize_t)size;
    while (g->waiting) { /* until the kernel has said that it is full */
        ssize_t sent = send_together(g, records, count);
        if (sent != 0)
            return sent;
    }
    return send_records(g, records, count);
}

void gather_end(struct gather *g)
{
    g->awaits_headers = false;
    if (!g->waiting)
        return;
    bool sent = send_records(g, &(struct iovec){g->record, g->waiting}, 1) == (ssize_t)g->waiting;
    g->waiting = 0;
    if (sent) /* also where libmicrohttpd has set TCP_CORK */
        setsockopt(g->socket, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    else
        shutdown(g->socket, SHUT_RDWR);
}
