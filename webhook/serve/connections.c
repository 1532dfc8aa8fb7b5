/* Who may stay connected, and for how long. */
#include "webhook/serve/connections.h"

#include "base/memory.h"
#include "webhook/common/log.h"
#include "webhook/serve/gather.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

enum {
    LOG_EVERY_MS = 10 * 1000,
    ADDRESS_SIZE = 16,  /* IPv6, or IPv4 as IPv6 writes it */
    SUSPENDED_FEW = 16, /* that every address may have */
};

/* Where connections come from. Lives as long as one of them. */
struct address {
    struct address *next, *previous;
    unsigned char bytes[ADDRESS_SIZE];
    unsigned references;
    unsigned open, suspended; /* not counting those that are shut down */
    size_t held, suspended_held;
};

struct connection {
    struct connection *next, *previous;
    struct address *address;
    int socket;
    size_t held, suspended_held;          /* suspended_held: what it held when it was suspended */
    long long accepted, proven, verified; /* monotonic ms; 0: never */
    long long deadline;
    bool in_request, suspended;
    bool ended;           /* shut down already; libmicrohttpd will close it */
    struct gather gather; /* of its own thread: not under the lock */
};

struct connections {
    const char *port;
    unsigned first_seconds, most;
    pthread_mutex_t lock; /* of all below */
    struct connection *first;
    struct address *addresses;
    unsigned open, suspended;
    size_t held, suspended_held; /* suspended_held: of those that wait */
    unsigned long long closed[CONNECTION_ENDS];
    unsigned long long logged; /* how many of `closed` for others the log knows of */
    long long next_log;
    struct address last; /* a copy of the one that had to close a connection last */
};

const char *connection_end_name(enum connection_end end)
{
    static const char *const names[CONNECTION_ENDS] = {"late", "crowded", "large"};
    return names[end];
}

struct connections *connections_new(const char *port, unsigned first_seconds, unsigned most)
{
    struct connections *connections = memory_allocate_zeroed(1, sizeof(*connections));
    connections->port = port;
    connections->first_seconds = first_seconds;
    connections->most = most;
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

unsigned connections_daemon_limit(const struct connections *connections, unsigned threads)
{
    enum { DYING = 64 }; /* shut down, and not yet closed */
    return (connections->most + connections->most / 4 + DYING) * threads;
}

static long long now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &time);
    return (long long)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

/* --- addresses --- */

static void read_address(const struct sockaddr *from, unsigned char ret[ADDRESS_SIZE])
{
    memset(ret, 0, ADDRESS_SIZE);
    if (from && from->sa_family == AF_INET6) {
        memcpy(ret, &((const struct sockaddr_in6 *)from)->sin6_addr, ADDRESS_SIZE);
    } else if (from && from->sa_family == AF_INET) {
        memset(ret + 10, 0xff, 2);
        memcpy(ret + 12, &((const struct sockaddr_in *)from)->sin_addr, 4);
    }
}

static struct address *take_address(struct connections *connections,
                                    const unsigned char bytes[ADDRESS_SIZE])
{
    struct address *a = connections->addresses;
    while (a && memcmp(a->bytes, bytes, ADDRESS_SIZE) != 0)
        a = a->next;
    if (!a) {
        a = memory_allocate_zeroed(1, sizeof(*a));
        memcpy(a->bytes, bytes, ADDRESS_SIZE);
        a->next = connections->addresses;
        if (a->next)
            a->next->previous = a;
        connections->addresses = a;
    }
    a->references++;
    return a;
}

static void release_address(struct connections *connections, struct address *a)
{
    if (--a->references > 0)
        return;
    if (a->next)
        a->next->previous = a->previous;
    if (a->previous)
        a->previous->next = a->next;
    else
        connections->addresses = a->next;
    free(a);
}

static void format_address(const unsigned char bytes[ADDRESS_SIZE], char ret[INET6_ADDRSTRLEN])
{
    static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff};
    if (memcmp(bytes, mapped, sizeof(mapped)) == 0)
        inet_ntop(AF_INET, bytes + 12, ret, INET6_ADDRSTRLEN);
    else
        inet_ntop(AF_INET6, bytes, ret, INET6_ADDRSTRLEN);
}

/* --- who has to go; all of it under the lock --- */

static void set_held(struct connections *connections, struct connection *c, size_t bytes)
{
    connections->held += bytes - c->held;
    c->address->held += bytes - c->held;
    c->held = bytes;
}

/* From here on it counts no more. Its descriptor is its own until libmicrohttpd has said that the
 * connection ends, which takes it from the list under this lock: so it is never somebody else's. */
static void close_one(struct connections *connections, struct connection *c,
                      enum connection_end why)
{
    c->ended = true;
    connections->open--;
    c->address->open--;
    set_held(connections, c, 0);
    connections->closed[why]++;
    shutdown(c->socket, SHUT_RDWR);
}

static void close_for_another(struct connections *connections, struct connection *c,
                              enum connection_end why)
{
    if (!c)
        return;
    connections->last = *c->address;
    close_one(connections, c, why);
}

enum standing {
    STANDING_IDLE,   /* had time enough for a first request, and brings none */
    STANDING_FRESH,  /* may be in the middle of its handshake or first request */
    STANDING_PROVEN, /* brought one lately: its client may be about to use it again */
};

static enum standing standing_of(const struct connections *connections, const struct connection *c,
                                 long long time)
{
    if (c->proven)
        return time - c->proven < CONNECTION_PROVEN_SECONDS * 1000 ? STANDING_PROVEN
                                                                   : STANDING_IDLE;
    return time - c->accepted < (long long)connections->first_seconds * 1000 ? STANDING_FRESH
                                                                             : STANDING_IDLE;
}

/* Whether `a` is to be closed rather than `b`. Whom nobody would miss goes first; then whoever
 * takes most, so that somebody who fills all with connections that look well loses them to an API
 * server's new one, and not the other way round. */
static bool goes_before(const struct connections *connections, const struct connection *a,
                        const struct connection *b, long long time)
{
    enum standing x = standing_of(connections, a, time), y = standing_of(connections, b, time);
    if (!a->verified != !b->verified)
        return !a->verified;
    if ((x == STANDING_IDLE) != (y == STANDING_IDLE))
        return x == STANDING_IDLE;
    if (a->address->open != b->address->open)
        return a->address->open > b->address->open;
    if (x != y)
        return x < y;
    if (!a->proven != !b->proven)
        return !a->proven;
    if (x == STANDING_PROVEN && a->in_request != b->in_request)
        return b->in_request;
    return (a->proven ? a->proven : a->accepted) < (b->proven ? b->proven : b->accepted);
}

static struct connection *find_least(struct connections *connections, const struct connection *but)
{
    long long time = now();
    struct connection *least = NULL;
    for (struct connection *c = connections->first; c; c = c->next)
        if (!c->ended && !c->suspended && c != but &&
            (!least || goes_before(connections, c, least, time)))
            least = c;
    return least;
}

static bool is_larger(const struct connection *a, const struct connection *b)
{
    if (!a->verified != !b->verified)
        return !a->verified;
    if (a->address->held != b->address->held)
        return a->address->held > b->address->held;
    return a->held > b->held;
}

static struct connection *find_largest(struct connections *connections,
                                       const struct connection *but)
{
    struct connection *largest = NULL;
    for (struct connection *c = connections->first; c; c = c->next)
        if (!c->ended && !c->suspended && c != but && c->held > 0 &&
            (!largest || is_larger(c, largest)))
            largest = c;
    return largest;
}

/* Whether there is memory for it. A small one may use the reserve, and past that the largest is
 * closed; for a large one it is closed only where its address holds more than this one's would. */
static bool make_room(struct connections *connections, const struct connection *c, size_t bytes,
                      bool small)
{
    size_t all = connections->held - c->held + bytes;
    if (all <= HOLD_MOST || (small && all <= (size_t)HOLD_MOST + HOLD_RESERVE))
        return true;
    struct connection *largest = find_largest(connections, c);
    if (!largest || (!small && largest->address->held <= c->address->held - c->held + bytes))
        return false;
    close_for_another(connections, largest, CONNECTION_LARGE);
    return true;
}

/* --- their life --- */

static void set_resumed(struct connections *connections, struct connection *c)
{
    if (!c->suspended)
        return;
    c->suspended = false;
    connections->suspended--;
    c->address->suspended--;
    connections->suspended_held -= c->suspended_held;
    c->address->suspended_held -= c->suspended_held;
}

static void start(struct connections *connections, struct MHD_Connection *connection,
                  void **socket_context)
{
    const union MHD_ConnectionInfo *fd =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct connection *c = memory_allocate_zeroed(1, sizeof(*c));
    c->socket = fd ? fd->connect_fd : -1;
    c->accepted = now();
    c->deadline = c->accepted + (long long)connections->first_seconds * 1000;
    const union MHD_ConnectionInfo *tls =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);
    if (tls)
        gather_begin(&c->gather, tls->tls_session, c->socket);
    const union MHD_ConnectionInfo *from =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    unsigned char bytes[ADDRESS_SIZE];
    read_address(from ? from->client_addr : NULL, bytes);
    pthread_mutex_lock(&connections->lock);
    c->address = take_address(connections, bytes);
    c->next = connections->first;
    if (c->next)
        c->next->previous = c;
    connections->first = c;
    c->address->open++;
    if (++connections->open > connections->most)
        close_for_another(connections, find_least(connections, c), CONNECTION_CROWDED);
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
    if (!c->ended) {
        set_held(connections, c, 0);
        connections->open--;
        c->address->open--;
    }
    set_resumed(connections, c);
    release_address(connections, c->address);
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

static struct connection *find_connection(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info ? info->socket_context : NULL;
}

void connections_answer(struct MHD_Connection *connection)
{
    struct connection *c = find_connection(connection);
    if (c)
        gather_answer(&c->gather);
}

/* With the lock held, where there is one. */
static struct connection *lock_connection(struct connections *connections,
                                          struct MHD_Connection *connection)
{
    struct connection *c = find_connection(connection);
    if (c)
        pthread_mutex_lock(&connections->lock);
    return c;
}

void connections_begin(struct connections *connections, struct MHD_Connection *connection)
{
    struct connection *c = lock_connection(connections, connection);
    if (!c)
        return;
    c->in_request = true;
    c->deadline = now() + CONNECTION_HEADERS_SECONDS * 1000;
    pthread_mutex_unlock(&connections->lock);
}

void connections_allow(struct connections *connections, struct MHD_Connection *connection,
                       unsigned seconds)
{
    struct connection *c = lock_connection(connections, connection);
    if (!c)
        return;
    c->deadline = now() + (long long)seconds * 1000;
    pthread_mutex_unlock(&connections->lock);
}

void connections_prove(struct connections *connections, struct MHD_Connection *connection)
{
    struct connection *c = lock_connection(connections, connection);
    if (!c)
        return;
    c->proven = now();
    pthread_mutex_unlock(&connections->lock);
}

void connections_complete(struct connections *connections, struct MHD_Connection *connection,
                          unsigned next_seconds)
{
    struct connection *c = lock_connection(connections, connection);
    if (!c)
        return;
    gather_end(&c->gather);
    c->in_request = false;
    c->deadline = (c->proven ? c->proven : c->accepted) + (long long)next_seconds * 1000;
    if (!c->ended)
        set_held(connections, c, 0);
    pthread_mutex_unlock(&connections->lock);
}

void connections_set_verified(struct connections *connections, struct MHD_Connection *connection,
                              long long at_ms)
{
    struct connection *c = lock_connection(connections, connection);
    if (!c)
        return;
    c->verified = at_ms;
    pthread_mutex_unlock(&connections->lock);
}

long long connections_verified(struct connections *connections, struct MHD_Connection *connection)
{
    struct connection *c = lock_connection(connections, connection);
    if (!c)
        return 0;
    long long verified = c->verified;
    pthread_mutex_unlock(&connections->lock);
    return verified;
}

struct slice connections_caller(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    const struct connection *c = info ? info->socket_context : NULL;
    return c ? slice_of((const char *)c->address->bytes, ADDRESS_SIZE) : (struct slice){0};
}

/* Whether one more of an address may wait: half of all, and a quarter for one address; past that
 * half a few more of everybody's. */
static bool has_share(unsigned all, unsigned mine, unsigned most)
{
    unsigned half = most / 2;
    return all < half ? mine < half / 2 || mine < SUSPENDED_FEW
                      : all < half + half / 2 && mine < SUSPENDED_FEW;
}

/* What waits cannot be closed for another: its memory is bounded likewise, by the same rule. A
 * small one finds the reserve half empty. */
static bool may_keep(const struct connections *connections, const struct connection *c)
{
    size_t all = connections->suspended_held + c->held, mine = c->address->suspended_held + c->held;
    if (all <= HOLD_MOST / 2 && mine <= HOLD_MOST / 4)
        return true;
    return c->held <= HOLD_SMALL && mine <= (size_t)SUSPENDED_FEW * HOLD_SMALL &&
           all <= HOLD_MOST / 2 + HOLD_RESERVE / 2;
}

bool connections_suspend(struct connections *connections, struct MHD_Connection *connection)
{
    struct connection *c = lock_connection(connections, connection);
    if (!c)
        return false;
    bool may = has_share(connections->suspended, c->address->suspended, connections->most) &&
               may_keep(connections, c);
    if (may) {
        c->suspended = true;
        c->suspended_held = c->held;
        connections->suspended++;
        c->address->suspended++;
        connections->suspended_held += c->held;
        c->address->suspended_held += c->held;
    }
    pthread_mutex_unlock(&connections->lock);
    return may;
}

void connections_resume(struct connections *connections, struct MHD_Connection *connection)
{
    struct connection *c = lock_connection(connections, connection);
    if (!c)
        return;
    set_resumed(connections, c);
    pthread_mutex_unlock(&connections->lock);
}

bool connections_hold(struct connections *connections, struct MHD_Connection *connection,
                      size_t bytes, bool small)
{
    struct connection *c = lock_connection(connections, connection);
    if (!c)
        return true;
    bool may = !c->ended && (bytes <= c->held || make_room(connections, c, bytes, small));
    if (may)
        set_held(connections, c, bytes);
    pthread_mutex_unlock(&connections->lock);
    return may;
}

void connections_handshake_done(struct connections *connections, int socket)
{
    pthread_mutex_lock(&connections->lock);
    struct connection *c = connections->first; /* the newest, which it mostly is */
    while (c && (c->socket != socket || c->ended))
        c = c->next;
    if (c)
        c->deadline = now() + CONNECTION_FRESH_SECONDS * 1000;
    pthread_mutex_unlock(&connections->lock);
}

unsigned long long connections_closed(struct connections *connections, enum connection_end end)
{
    pthread_mutex_lock(&connections->lock);
    unsigned long long closed = connections->closed[end];
    pthread_mutex_unlock(&connections->lock);
    return closed;
}

/* One line for all that were closed since the last. */
static void log_closed(const struct connections *connections, unsigned long long closed,
                       const struct address *last)
{
    char from[INET6_ADDRSTRLEN] = "";
    struct log_line line;
    format_address(last->bytes, from);
    log_begin(
        &line, LOG_WARNING, EVENT_CONNECTIONS_CLOSED,
        "connections were closed to make room: too many were open, or they held too much memory");
    json_member_text(&line.w, "port", connections->port);
    json_member_number(&line.w, "closed", (long long)closed);
    json_member_text(&line.w, "address", from); /* of the last of them */
    json_member_number(&line.w, "open", last->open);
    log_end(&line);
}

void connections_expire(struct connections *connections)
{
    long long time = now();
    pthread_mutex_lock(&connections->lock);
    for (struct connection *c = connections->first; c; c = c->next)
        if (!c->ended && time > c->deadline)
            close_one(connections, c, CONNECTION_LATE);
    unsigned long long all =
        connections->closed[CONNECTION_CROWDED] + connections->closed[CONNECTION_LARGE];
    unsigned long long news = time >= connections->next_log ? all - connections->logged : 0;
    struct address last = connections->last;
    if (news) {
        connections->logged = all;
        connections->next_log = time + LOG_EVERY_MS;
    }
    pthread_mutex_unlock(&connections->lock);
    if (news)
        log_closed(connections, news, &last);
}
