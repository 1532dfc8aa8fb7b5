/* Requests to the API server, for commands: one at a time, while streams go on. In a Pod by its
 * service account; elsewhere by `kubectl proxy` on a private socket, so that every way to log in
 * that the user's kubectl knows works. Everything happens on the thread that opened it. */
#pragma once

#include "base/buffer.h"
#include "base/error.h"

#include <signal.h>
#include <stdbool.h>

enum {
    KUBE_TIMEOUT_MS = 30000, /* of a request, unless it says another */
    KUBE_CONNECT_TIMEOUT_MS = 5000,
    KUBE_MAX_BODY = 256 * 1024 * 1024, /* of an answer */
    KUBE_PER_SECOND = 100,             /* requests, */
    KUBE_BURST = 200,                  /* after a pause so many at once */
    KUBE_TRIES = 8, /* of a request that is answered 429, or of a GET that is not answered */
    KUBE_RETRY_MOST_S = 30, /* that a Retry-After is obeyed for */
};

struct kube_options {
    const char *kubeconfig, *context, *as;    /* for kubectl; NULL: as it is set up */
    const volatile sig_atomic_t *interrupted; /* where it is not 0 any more, all waiting ends */
};

struct kube_client;

/* Finds the way and opens it: in a Pod, unless `kubeconfig` or `context` is given, by its account.
 * It ends with kube_close, or with the calling thread. */
MUST_CHECK bool kube_open(const struct kube_options *options, struct kube_client **ret,
                          struct error *reterr);
void kube_close(struct kube_client *client); /* NULL is fine */

struct kube_request {
    const char *method; /* "GET", "PATCH", …; a literal */
    const char *path;   /* from '/' on, with its query */
    struct slice body;
    const char *content_type; /* of the body; a literal; NULL: JSON */
    long timeout_ms;          /* 0: KUBE_TIMEOUT_MS */
    bool keep_429;            /* it is an answer like others: an eviction's budget */
};

struct kube_reply {
    long status;
    struct buffer body;
    long retry_after; /* seconds; 0: it does not say */
};

#define CLEANUP_REPLY CLEANUP(kube_reply_done)
void kube_reply_done(struct kube_reply *reply);

/* Asks and waits for the answer, whatever it is. False where none came: the API server, or what
 * leads to it, does not answer, or we were interrupted. `ret` must be empty. */
MUST_CHECK bool kube_ask(struct kube_client *client, const struct kube_request *request,
                         struct kube_reply *ret, struct error *reterr);

/* The same, and false as well where the answer is a refusal, which the error then quotes. */
MUST_CHECK bool kube_do(struct kube_client *client, const struct kube_request *request,
                        struct kube_reply *ret, struct error *reterr);

/* What a `Status` says, for a person: "pods \"x\" not found (404 NotFound)". Returns false. */
bool kube_refusal(const struct kube_reply *reply, struct error *reterr);

/* --- streams --- */

struct kube_stream;

/* Gives each piece of the body as it comes, where the status is 200. */
typedef void kube_data(void *context, struct slice data);

struct kube_stream *kube_stream_start(struct kube_client *client,
                                      const struct kube_request *request, kube_data *take,
                                      void *context);
bool kube_stream_is_over(const struct kube_stream *stream);

/* The status, 0 while there is none or where none came, and the body of what is not 200. */
const struct kube_reply *kube_stream_reply(const struct kube_stream *stream);
void kube_stream_free(struct kube_stream *stream); /* ends it; NULL is fine */

/* Lets streams go on for so long, less where something came or we were interrupted. */
void kube_wait(struct kube_client *client, long ms);

bool kube_is_interrupted(const struct kube_client *client);
