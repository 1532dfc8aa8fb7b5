/* The headers and the body of an answer leave in one system call. libmicrohttpd has GnuTLS send
 * them as two records, one right after the other (docs/contracts.md#libmicrohttpd): the first waits
 * here for the second. One for each connection, used by its thread only. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <sys/uio.h>

enum { GATHER_MOST = 512 }; /* bytes of a record that waits; headers of ours take about 200 */

/* Zero-initialised it lets everything through. */
struct gather {
    int socket;
    bool awaits_headers; /* the next record of some length is headers, and a body follows it */
    size_t waiting;      /* bytes of `record`, which GnuTLS takes for sent */
    char record[GATHER_MOST];
};

/* What a GnuTLS session sends goes through `g` from now on, which has to outlive it. */
void gather_begin(struct gather *g, void *tls_session, int socket);

/* An answer with a body has been queued: its headers wait for it. */
void gather_answer(struct gather *g);

/* The answer is complete. Nothing should be waiting; if it is, it leaves, or the connection ends:
 * half an answer must not look like one. */
void gather_end(struct gather *g);

/* GnuTLS's push function: how many bytes of `records` were taken, or -1 and errno. What waits
 * leaves before them, and stays where the socket does not take all of it. */
ssize_t gather_push(void *gather, const struct iovec *records, int count);
