/* A stand-in for Harbor, for measuring only: it knows every project and has every artifact, checks
 * nothing, and takes as long to answer as it is told; every upstream has every tag. The bodies are
 * what a real Harbor answered.
 *
 *     harbor CERTIFICATE KEY FOLDER DELAY-MS
 *
 * FOLDER holds the bodies: health, systeminfo, project and artifact. It listens on a free port of
 * 127.0.0.1, prints it, and ends at the end of its input. Each connection has a thread of its own,
 * which sleeps: answers that are under way hold up no others. */
#include "tests/bench/measure.h"
#include "webhook/serve/tls.h"

#include <arpa/inet.h>
#include <microhttpd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

static struct body {
    const char *name, *path; /* the first whose path is part of what is asked */
    const char *text;
    size_t size;
} bodies[] = {
    {"health", "/api/v2.0/health", NULL, 0},
    {"systeminfo", "/api/v2.0/systeminfo", NULL, 0},
    {"artifact", "/artifacts/", NULL, 0},
    {"project", "/api/v2.0/projects/", NULL, 0},
};
enum { BODIES = sizeof(bodies) / sizeof(*bodies) };

static const char nothing[] =
    "{\"errors\":[{\"code\":\"NOT_FOUND\",\"message\":\"no such path\"}]}";
static struct timespec delay;

static enum MHD_Result handle(void *cls, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *upload,
                              size_t *upload_size, void **connection_cls)
{
    (void)cls, (void)method, (void)version, (void)upload, (void)upload_size;
    static char seen;
    if (!*connection_cls) { /* the headers have come */
        *connection_cls = &seen;
        return MHD_YES;
    }
    prctl(PR_SET_TIMERSLACK, 1UL); /* of this thread: no longer than told */
    if (delay.tv_sec || delay.tv_nsec)
        clock_nanosleep(CLOCK_MONOTONIC, 0, &delay, NULL);
    const struct body *body = bodies;
    while (body < bodies + BODIES && !strstr(url, body->path))
        body++;
    bool found = body < bodies + BODIES, manifest = strstr(url, "/manifests/");
    struct MHD_Response *response = MHD_create_response_from_buffer(
        found ? body->size : strlen(nothing), (void *)(found ? body->text : nothing),
        MHD_RESPMEM_PERSISTENT);
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE,
                            manifest ? "application/vnd.oci.image.index.v1+json"
                                     : "application/json; charset=utf-8");
    enum MHD_Result result = MHD_queue_response(
        connection, found || manifest ? MHD_HTTP_OK : MHD_HTTP_NOT_FOUND, response);
    MHD_destroy_response(response);
    return result;
}

static void read_bodies(const char *folder)
{
    for (struct body *body = bodies; body < bodies + BODIES; body++) {
        char path[4096];
        snprintf(path, sizeof(path), "%s/%s", folder, body->name);
        body->text = measure_read_file(path, &body->size);
    }
}

int main(int argc, char **argv)
{
    size_t size;
    char byte;
    if (argc != 5) {
        fprintf(stderr, "usage: harbor CERTIFICATE KEY FOLDER DELAY-MS\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    const char *certificate = measure_read_file(argv[1], &size);
    const char *key = measure_read_file(argv[2], &size);
    read_bodies(argv[3]);
    long ms = strtol(argv[4], NULL, 10);
    delay = (struct timespec){ms / 1000, ms % 1000 * 1000000};
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct MHD_Daemon *daemon = MHD_start_daemon(
        MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION | MHD_USE_TLS |
            MHD_USE_ERROR_LOG,
        0, NULL, NULL, handle, NULL, MHD_OPTION_SOCK_ADDR, (struct sockaddr *)&address,
        MHD_OPTION_HTTPS_MEM_CERT, certificate, MHD_OPTION_HTTPS_MEM_KEY, key,
        MHD_OPTION_HTTPS_PRIORITIES, TLS_PRIORITIES, MHD_OPTION_END);
    const union MHD_DaemonInfo *info =
        daemon ? MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT) : NULL;
    if (!info) {
        fprintf(stderr, "harbor: libmicrohttpd did not start\n");
        return 2;
    }
    printf("%u\n", info->port);
    fflush(stdout);
    while (read(STDIN_FILENO, &byte, 1) > 0)
        ;
    MHD_stop_daemon(daemon);
    return 0;
}
