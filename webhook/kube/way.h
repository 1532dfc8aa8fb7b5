/* How a request gets to the API server. */
#pragma once

#include "base/error.h"
#include "base/slice.h"

#include <stdbool.h>
#include <sys/types.h>

struct kube_options;

/* By the account that Kubernetes mounts into a Pod. */
struct account {
    const char *directory; /* with `token` and `ca.crt` */
    char *url;             /* https://HOST:PORT */
    char *ca_file;
    char *authorization; /* "Authorization: Bearer …" */
    long long read_ms;   /* when the token was read */
};

#define ACCOUNT_DIRECTORY "/var/run/secrets/kubernetes.io/serviceaccount"
enum { ACCOUNT_TOKEN_MS = 60000 }; /* the kubelet replaces a token long before it ends */

/* Whether we are in a Pod that has one: as client-go decides. */
bool account_is_there(const char *directory);

MUST_CHECK bool account_open(struct account *account, const char *directory, const char *host,
                             const char *port, struct error *reterr);

/* Reads the token again when it is due; a token that cannot be read leaves the former. */
void account_refresh(struct account *account, long long now_ms);
void account_done(struct account *account);

/* By a `kubectl proxy` of our own, on a socket in a folder that only we can enter. It ends with
 * proxy_done, and at the latest with the thread that called proxy_start. */
struct proxy {
    pid_t pid;    /* 0: none */
    char *folder; /* NULL: none */
    char *socket;
};

MUST_CHECK bool proxy_start(struct proxy *proxy, const struct kube_options *options,
                            struct error *reterr);

/* Whether it is still there; it may have ended, or been ended. */
bool proxy_is_running(struct proxy *proxy);
void proxy_done(struct proxy *proxy);
