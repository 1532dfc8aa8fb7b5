/* A server that reads every body and gives one fixed answer, with the same libraries and settings
 * as the admission port: what TLS and HTTP cost by themselves, and so the floor of the benchmark.
 *
 *     fixed CERTIFICATE KEY ANSWER THREADS
 *
 * It listens on a free port of 127.0.0.1, prints it, and ends at the end of its input. */
#include "tests/bench/measure.h"
#include "webhook/serve/tls.h"

#include <arpa/inet.h>
#include <microhttpd.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

static const char *answer;
static size_t answer_size;

static enum MHD_Result handle(void *cls, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *upload,
                              size_t *upload_size, void **connection_cls)
{
    (void)cls, (void)url, (void)method, (void)version, (void)upload;
    static char seen;
    if (!*connection_cls) { /* the headers have come */
        *connection_cls = &seen;
        return MHD_YES;
    }
    if (*upload_size) {
        *upload_size = 0;
        return MHD_YES;
    }
    struct MHD_Response *response =
        MHD_create_response_from_buffer(answer_size, (void *)answer, MHD_RESPMEM_MUST_COPY);
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "application/json");
    enum MHD_Result result = MHD_queue_response(connection, MHD_HTTP_OK, response);
    MHD_destroy_response(response);
    return result;
}

static int listen_anywhere(unsigned *ret_port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, size) != 0 || listen(fd, 1024) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &size) != 0) {
        perror("fixed: listen");
        exit(2);
    }
    *ret_port = ntohs(address.sin_port);
    return fd;
}

int main(int argc, char **argv)
{
    size_t size;
    unsigned port;
    char byte;
    if (argc != 5) {
        fprintf(stderr, "usage: fixed CERTIFICATE KEY ANSWER THREADS\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    const char *certificate = measure_read_file(argv[1], &size);
    const char *key = measure_read_file(argv[2], &size);
    answer = measure_read_file(argv[3], &answer_size);
    unsigned threads = (unsigned)strtoul(argv[4], NULL, 10);
    int socket = listen_anywhere(&port);
    struct MHD_OptionItem pool[] = {
        {threads > 1 ? MHD_OPTION_THREAD_POOL_SIZE : MHD_OPTION_END, (intptr_t)threads, NULL},
        {MHD_OPTION_END, 0, NULL},
    };
    struct MHD_Daemon *daemon = MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_TLS | MHD_USE_ITC | MHD_USE_ERROR_LOG, 0, NULL,
        NULL, handle, NULL, MHD_OPTION_LISTEN_SOCKET, socket, MHD_OPTION_HTTPS_MEM_CERT,
        certificate, MHD_OPTION_HTTPS_MEM_KEY, key, MHD_OPTION_HTTPS_PRIORITIES, TLS_PRIORITIES,
        MHD_OPTION_ARRAY, pool, MHD_OPTION_END);
    if (!daemon) {
        fprintf(stderr, "fixed: libmicrohttpd did not start\n");
        return 2;
    }
    printf("%u\n", port);
    fflush(stdout);
    while (read(STDIN_FILENO, &byte, 1) > 0)
        ;
    MHD_stop_daemon(daemon);
    return 0;
}
