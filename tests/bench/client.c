/* A client that sends requests which all differ, at a steady rate or as fast as answers come, over
 * kept TLS connections, and says how long the answers took. wrk only sends as fast as it can.
 *
 *     client PORT REQUEST EXPECTED CONNECTIONS RATE COUNT FIRST
 *
 * REQUEST is a file with a whole HTTP request. "########" in it becomes the request's number, FIRST
 * and upwards, and "@@" that number modulo 50. An answer is right when its status is 200 or 201 and
 * it contains EXPECTED. RATE is in requests a second: answers are then timed from the moment at
 * which the request was due, so that one that is sent late counts as late; 0: a connection's next
 * request follows its last answer. One line of JSON comes at the end. It connects to 127.0.0.1 and
 * looks at no certificate. */
#include "tests/bench/measure.h"

#include <arpa/inet.h>
#include <gnutls/gnutls.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    IMAGES = 50,
    NUMBER = 8,
    SHORT_NUMBER = 2,
    MAX_CONNECTIONS = 256,
    ANSWER_MS = 60000,
    LEAD_NS = 50 * 1000000
};

static struct load {
    const char *request, *expected;
    size_t request_size;
    size_t *numbers, number_count, *shorts, short_count; /* where they stand in the request */
    unsigned port, connections;
    unsigned long count, first;
    double rate;
    long long began; /* ns */
    gnutls_certificate_credentials_t credentials;
    atomic_ulong next; /* where there is no rate */
    atomic_ulong right, wrong;
    long long *took; /* ns, of each request */
} load;

/* One connection, of a thread of its own. */
struct link {
    pthread_t thread;
    unsigned index;
    int fd;
    gnutls_session_t session;
    char *request, *answer;
    size_t capacity, size;
};

static long long now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static void sleep_until(long long ns)
{
    struct timespec until = {ns / 1000000000, ns % 1000000000};
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
}

/* --- one connection --- */

static bool link_open(struct link *link)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)load.port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int on = 1, result;
    link->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(link->fd, (struct sockaddr *)&address, sizeof(address)) != 0)
        return false;
    setsockopt(link->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    gnutls_init(&link->session, GNUTLS_CLIENT);
    gnutls_set_default_priority(link->session);
    gnutls_credentials_set(link->session, GNUTLS_CRD_CERTIFICATE, load.credentials);
    gnutls_transport_set_int(link->session, link->fd);
    gnutls_record_set_timeout(link->session, ANSWER_MS);
    while ((result = gnutls_handshake(link->session)) < 0 && !gnutls_error_is_fatal(result))
        ;
    return result == 0;
}

static void link_close(struct link *link)
{
    if (link->session)
        gnutls_deinit(link->session);
    close(link->fd);
    link->session = NULL;
}

static bool send_all(struct link *link)
{
    for (size_t at = 0; at < load.request_size;) {
        ssize_t sent =
            gnutls_record_send(link->session, link->request + at, load.request_size - at);
        if (sent < 0 && gnutls_error_is_fatal((int)sent))
            return false;
        if (sent > 0)
            at += (size_t)sent;
    }
    return true;
}

/* Whether the answer is all there. */
static bool is_whole(const struct link *link)
{
    static const char last[] = "\r\n0\r\n\r\n";
    size_t last_size = sizeof(last) - 1;
    const char *body = strstr(link->answer, "\r\n\r\n");
    const char *length = strcasestr(link->answer, "\r\nContent-Length:");
    if (!body)
        return false;
    size_t head = (size_t)(body - link->answer) + 4;
    if (length && length < body)
        return link->size >= head + strtoul(length + strlen("\r\nContent-Length:"), NULL, 10);
    return link->size >= last_size &&
           memcmp(link->answer + link->size - last_size, last, last_size) == 0;
}

static bool receive_all(struct link *link)
{
    enum { PIECE = 65536 };
    link->size = 0;
    do {
        if (link->capacity < link->size + PIECE + 1) {
            link->capacity = 2 * link->capacity + PIECE + 1;
            link->answer = realloc(link->answer, link->capacity);
            if (!link->answer)
                abort();
        }
        ssize_t got = gnutls_record_recv(link->session, link->answer + link->size, PIECE);
        if (got == 0 || got == GNUTLS_E_TIMEDOUT || (got < 0 && gnutls_error_is_fatal((int)got)))
            return false;
        if (got > 0)
            link->size += (size_t)got;
        link->answer[link->size] = '\0';
    } while (link->size == 0 || !is_whole(link));
    return true;
}

static void write_number(char *at, int digits, unsigned long number)
{
    for (int i = digits; i-- > 0; number /= 10)
        at[i] = (char)('0' + number % 10);
}

static void ask(struct link *link, unsigned long i)
{
    unsigned long number = load.first + i;
    for (size_t n = 0; n < load.number_count; n++)
        write_number(link->request + load.numbers[n], NUMBER, number);
    for (size_t n = 0; n < load.short_count; n++)
        write_number(link->request + load.shorts[n], SHORT_NUMBER, number % IMAGES);
    long long due = now_ns();
    if (load.rate > 0) {
        due = load.began + (long long)((double)i * 1e9 / load.rate);
        sleep_until(due);
    }
    bool answered = (link->session || link_open(link)) && send_all(link) && receive_all(link);
    load.took[i] = now_ns() - due;
    if (answered &&
        (strncmp(link->answer, "HTTP/1.1 200", 12) == 0 ||
         strncmp(link->answer, "HTTP/1.1 201", 12) == 0) &&
        memmem(link->answer, link->size, load.expected, strlen(load.expected))) {
        atomic_fetch_add(&load.right, 1);
        return;
    }
    if (atomic_fetch_add(&load.wrong, 1) == 0)
        fprintf(stderr, "client: wrong: %.300s\n", answered ? link->answer : "no answer");
    if (!answered)
        link_close(link);
}

static void *run(void *context)
{
    struct link *link = context;
    prctl(PR_SET_TIMERSLACK, 1UL);
    if (load.rate > 0)
        for (unsigned long i = link->index; i < load.count; i += load.connections)
            ask(link, i);
    else
        for (unsigned long i; (i = atomic_fetch_add(&load.next, 1)) < load.count;)
            ask(link, i);
    return NULL;
}

/* --- the whole --- */

static size_t *find_all(const char *what, size_t *ret_count)
{
    size_t *places = calloc(load.request_size + 1, sizeof(*places)), count = 0, len = strlen(what);
    if (!places)
        abort();
    for (const char *at = load.request; (at = strstr(at, what)); at += len)
        places[count++] = (size_t)(at - load.request);
    *ret_count = count;
    return places;
}

static int compare(const void *a, const void *b)
{
    long long x = *(const long long *)a, y = *(const long long *)b;
    return (x > y) - (x < y);
}

static double percentile(double share)
{
    return (double)load.took[(size_t)(share * (double)(load.count - 1))] / 1e3;
}

int main(int argc, char **argv)
{
    static struct link links[MAX_CONNECTIONS];
    if (argc != 8) {
        fprintf(stderr, "usage: client PORT REQUEST EXPECTED CONNECTIONS RATE COUNT FIRST\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    load.port = (unsigned)strtoul(argv[1], NULL, 10);
    load.request = measure_read_file(argv[2], &load.request_size);
    load.expected = argv[3];
    load.connections = (unsigned)strtoul(argv[4], NULL, 10);
    load.rate = strtod(argv[5], NULL);
    load.count = strtoul(argv[6], NULL, 10);
    load.first = strtoul(argv[7], NULL, 10);
    if (load.connections == 0 || load.connections > MAX_CONNECTIONS || load.count == 0) {
        fprintf(stderr, "client: 1 to %d connections, and at least one request\n", MAX_CONNECTIONS);
        return 2;
    }
    load.numbers = find_all("########", &load.number_count);
    load.shorts = find_all("@@", &load.short_count);
    load.took = calloc(load.count, sizeof(*load.took));
    gnutls_certificate_allocate_credentials(&load.credentials);
    for (unsigned i = 0; i < load.connections; i++) {
        links[i].index = i;
        links[i].request = malloc(load.request_size + 1);
        if (!load.took || !links[i].request)
            abort();
        memcpy(links[i].request, load.request, load.request_size + 1);
        if (!link_open(&links[i])) {
            fprintf(stderr, "client: there is no connection to port %u\n", load.port);
            return 2;
        }
    }
    load.began = now_ns() + (load.rate > 0 ? LEAD_NS : 0);
    for (unsigned i = 0; i < load.connections; i++)
        pthread_create(&links[i].thread, NULL, run, &links[i]);
    for (unsigned i = 0; i < load.connections; i++)
        pthread_join(links[i].thread, NULL);
    double seconds = (double)(now_ns() - load.began) / 1e9;
    qsort(load.took, load.count, sizeof(*load.took), compare);
    printf("{\"right\": %lu, \"wrong\": %lu, \"seconds\": %.6f, \"p50\": %.1f, \"p95\": %.1f, "
           "\"p99\": %.1f}\n",
           (unsigned long)load.right, (unsigned long)load.wrong, seconds, percentile(0.5),
           percentile(0.95), percentile(0.99));
    return 0;
}
