/* Opens listening sockets. */
#include "webhook/serve/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BACKLOG = 1024, HOST_SIZE = 128 };

/* Splits at the last colon and takes the brackets of IPv6 off. */
static bool split(const char *address, char *ret_host, const char **ret_port)
{
    const char *colon = strrchr(address, ':');
    if (!colon || !colon[1] || strspn(colon + 1, "0123456789") != strlen(colon + 1) ||
        strtol(colon + 1, NULL, 10) > 65535)
        return false;
    size_t len = (size_t)(colon - address);
    bool brackets = len >= 2 && address[0] == '[' && address[len - 1] == ']';
    if (!brackets && memchr(address, ':', len))
        return false;
    const char *host = brackets ? address + 1 : address;
    len -= brackets ? 2 : 0;
    if (len >= HOST_SIZE)
        return false;
    memcpy(ret_host, host, len);
    ret_host[len] = '\0';
    *ret_port = colon + 1;
    return true;
}

static void name_socket(int fd, char *ret)
{
    struct sockaddr_storage address = {0};
    socklen_t size = sizeof(address);
    char host[INET6_ADDRSTRLEN] = "";
    getsockname(fd, (struct sockaddr *)&address, &size);
    if (address.ss_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&address;
        inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof(host));
        snprintf(ret, LISTEN_NAME_SIZE, "[%s]:%u", host, ntohs(in6->sin6_port));
    } else {
        const struct sockaddr_in *in = (const struct sockaddr_in *)&address;
        inet_ntop(AF_INET, &in->sin_addr, host, sizeof(host));
        snprintf(ret, LISTEN_NAME_SIZE, "%s:%u", host, ntohs(in->sin_port));
    }
}

static int open_socket(const struct addrinfo *info)
{
    int on = 1, off = 0;
    int fd = socket(info->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (info->ai_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
    if (bind(fd, info->ai_addr, info->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    int saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

/* The numeric address, to be freed with freeaddrinfo; NULL where it is none. */
static struct addrinfo *resolve(const char *address)
{
    char host[HOST_SIZE];
    const char *port;
    struct addrinfo hints = {.ai_flags = AI_PASSIVE | AI_NUMERICHOST | AI_NUMERICSERV,
                             .ai_socktype = SOCK_STREAM};
    struct addrinfo *info;
    if (!split(address, host, &port))
        return NULL;
    if (strcmp(host, "localhost") == 0)
        snprintf(host, sizeof(host), "127.0.0.1");
    return getaddrinfo(host[0] ? host : NULL, port, &hints, &info) == 0 ? info : NULL;
}

bool listen_is_address(const char *address)
{
    struct addrinfo *info = resolve(address);
    if (info)
        freeaddrinfo(info);
    return info != NULL;
}

int listen_on(const char *address, char ret_name[static LISTEN_NAME_SIZE], struct error *reterr)
{
    struct addrinfo *info = resolve(address);
    if (!info) {
        error_set(reterr,
                  "`%s` is not an address, expected ADDR:PORT such as `127.0.0.1:8443` or "
                  "`[::]:8443`",
                  address);
        return -1;
    }
    int fd = open_socket(info);
    if (fd < 0)
        error_set(reterr, "cannot listen on %s: %s", address, strerror(errno));
    else
        name_socket(fd, ret_name);
    freeaddrinfo(info);
    return fd;
}

int listen_on_any(unsigned port, char ret_name[static LISTEN_NAME_SIZE], struct error *reterr)
{
    char address[32];
    snprintf(address, sizeof(address), "[::]:%u", port);
    int fd = listen_on(address, ret_name, NULL);
    if (fd >= 0)
        return fd;
    snprintf(address, sizeof(address), "0.0.0.0:%u", port);
    return listen_on(address, ret_name, reterr);
}
