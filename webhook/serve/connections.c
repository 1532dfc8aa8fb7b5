/* Deadlines of connections. */
#include "webhook/serve/connections.h"

#include "base/memory.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

struct connection {
    struct connection *next, *previous;
    int socket;
    time_t deadline; /* monotonic seconds */
    bool expired;    /* shut down already; libmicrohttpd will close it */
};

struct connections {
    pthread_mutex_t lock;
    struct connection *first;
    unsigned first_seconds;
};

struct connections *connections_new(unsigned first_seconds)
{
    struct connections *connections = memory_allocate_zeroed(1, sizeof(*connections));
    connections->first_seconds = first_seconds;
    pthread_mutex_init(&connections->lock, NULL);
    return connections;
}

void connections_free(struct connections *connections)
{
    if (!connections)
        return;
    pthread_mutex_destroy(&connections->lock);
    free(connections);
}

static time_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &time);
    return time.tv_sec;
}

static void start(struct connections *connections, struct MHD_Connection *connection,
                  void **socket_context)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct connection *c = memory_allocate_zeroed(1, sizeof(*c));
    c->socket = info ? info->connect_fd : -1;
    c->deadline = now() + connections->first_seconds;
    pthread_mutex_lock(&connections->lock);
    c->next = connections->first;
    if (c->next)
        c->next->previous = c;
    connections->first = c;
    pthread_mutex_unlock(&connections->lock);
    *socket_context = c;
}

/* libmicrohttpd says so before it closes the descriptor: no other connection can have it yet. */
static void end(struct connections *connections, struct connection *c)
{
    pthread_mutex_lock(&connections->lock);
    if (c->next)
        c->next->previous = c->previous;
    if (c->previous)
        c->previous->next = c->next;
    else
        connections->first = c->next;
    pthread_mutex_unlock(&connections->lock);
    free(c);
}

void connections_notify(void *connections, struct MHD_Connection *connection, void **socket_context,
                        enum MHD_ConnectionNotificationCode code)
{
    if (code == MHD_CONNECTION_NOTIFY_STARTED)
        start(connections, connection, socket_context);
    else if (*socket_context)
        end(connections, *socket_context);
}

void connections_allow(struct connections *connections, struct MHD_Connection *connection,
                       unsigned seconds)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    struct connection *c = info ? info->socket_context : NULL;
    if (!c)
        return;
    pthread_mutex_lock(&connections->lock);
    c->deadline = now() + (time_t)seconds;
    pthread_mutex_unlock(&connections->lock);
}

void connections_allow_socket(struct connections *connections, int socket, unsigned seconds)
{
    pthread_mutex_lock(&connections->lock);
    for (struct connection *c = connections->first; c; c = c->next)
        if (c->socket == socket)
            c->deadline = now() + (time_t)seconds;
    pthread_mutex_unlock(&connections->lock);
}

void connections_expire(struct connections *connections)
{
    time_t time = now();
    pthread_mutex_lock(&connections->lock);
    for (struct connection *c = connections->first; c; c = c->next)
        if (!c->expired && time > c->deadline) {
            c->expired = true;
            shutdown(c->socket, SHUT_RDWR);
        }
    pthread_mutex_unlock(&connections->lock);
}
