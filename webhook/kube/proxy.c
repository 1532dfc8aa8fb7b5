/* Runs `kubectl proxy`. */
#include "webhook/kube/way.h"

#include "base/buffer.h"
#include "base/memory.h"
#include "webhook/common/clock.h"
#include "webhook/kube/client.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    START_MS = 20000, /* kubectl on a slow disk; it asks the API server nothing yet */
    LOOK_MS = 10,
    END_MS = 2000, /* from SIGTERM to SIGKILL */
    ARGUMENTS_MAX = 10,
};

static void pause_ms(long ms)
{
    nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

static MUST_CHECK bool make_folder(struct proxy *proxy, struct error *reterr)
{
    const char *parents[] = {getenv("XDG_RUNTIME_DIR"), getenv("TMPDIR"), "/tmp"};
    for (size_t i = 0; i < sizeof(parents) / sizeof(*parents); i++) {
        struct buffer path = {0}, socket = {0};
        if (!parents[i] || parents[i][0] != '/')
            continue;
        buffer_append_format(&path, "%s/harbor-pilot.XXXXXX", parents[i]);
        if (path.len + sizeof("/kubectl") <= sizeof(((struct sockaddr_un *)0)->sun_path) &&
            mkdtemp(path.base)) { /* mode 0700 */
            buffer_append_format(&socket, "%s/kubectl", path.base);
            proxy->folder = path.base;
            proxy->socket = socket.base;
            return true;
        }
        buffer_done(&path);
    }
    return error_set(reterr,
                     "no folder for kubectl's socket can be made in $XDG_RUNTIME_DIR, $TMPDIR or "
                     "/tmp: %s",
                     strerror(errno));
}

/* kubectl's own filter refuses every path with /pods/ and then /exec or /attach in it, also Pods of
 * such names; a filter of ours refuses what these subresources really are. Nobody else can reach
 * the socket, so all of it is a belt beside braces. */
#define REJECTED "--reject-paths=^/api/[^/]+/namespaces/[^/]+/pods/[^/]+/(exec|attach)$"

static const char **arguments_of(const struct proxy *proxy, const struct kube_options *options,
                                 struct arena *arena)
{
    const char **arguments = arena_allocate(arena, ARGUMENTS_MAX * sizeof(*arguments));
    size_t count = 0;
    arguments[count++] = "kubectl";
    arguments[count++] = "proxy";
    arguments[count++] = arena_format(arena, "--unix-socket=%s", proxy->socket).base;
    arguments[count++] = "--accept-hosts=^localhost$";
    arguments[count++] = REJECTED;
    if (options->kubeconfig)
        arguments[count++] = arena_format(arena, "--kubeconfig=%s", options->kubeconfig).base;
    if (options->context)
        arguments[count++] = arena_format(arena, "--context=%s", options->context).base;
    if (options->as)
        arguments[count++] = arena_format(arena, "--as=%s", options->as).base;
    return arguments;
}

/* In the child: never returns. What kubectl says of itself goes to our stderr; its stdout does not.
 * A group of its own, so that Ctrl-C lets us finish what is begun. */
static void become_kubectl(const char *const *arguments, pid_t parent, int report)
{
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    int null = open("/dev/null", O_RDWR);
    if (getppid() != parent || null < 0)
        _exit(127);
    dup2(null, STDIN_FILENO);
    dup2(null, STDOUT_FILENO);
    execvp("kubectl", (char *const *)arguments);
    int error = errno;
    if (write(report, &error, sizeof(error)) < 0)
        _exit(126);
    _exit(127);
}

static MUST_CHECK bool start_child(struct proxy *proxy, const char *const *arguments,
                                   struct error *reterr)
{
    int ends[2], error = 0;
    pid_t parent = getpid();
    if (pipe2(ends, O_CLOEXEC) != 0)
        return error_set(reterr, "cannot start kubectl: %s", strerror(errno));
    pid_t pid = fork();
    if (pid == 0)
        become_kubectl(arguments, parent, ends[1]);
    close(ends[1]);
    if (pid < 0) {
        close(ends[0]);
        return error_set(reterr, "cannot start kubectl: %s", strerror(errno));
    }
    proxy->pid = pid;
    ssize_t got;
    do
        got = read(ends[0], &error, sizeof(error)); /* nothing, once it runs */
    while (got < 0 && errno == EINTR);
    close(ends[0]);
    if (got <= 0)
        return true;
    return error == ENOENT
               ? error_set(reterr,
                           "the program `kubectl` is not found, which leads to the API server "
                           "from outside a Pod: install it, or run this command in the cluster")
               : error_set(reterr, "cannot run kubectl: %s", strerror(error));
}

static bool accepts(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    CLEANUP_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    memcpy(address.sun_path, path, strlen(path) + 1); /* make_folder saw to its length */
    return fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
}

static MUST_CHECK bool wait_for_socket(struct proxy *proxy, const struct kube_options *options,
                                       struct error *reterr)
{
    long long until = clock_monotonic_ms() + START_MS;
    while (!accepts(proxy->socket)) {
        if (!proxy_is_running(proxy))
            return error_set(reterr, "`kubectl proxy` ended at once; what it said stands above");
        if (options->interrupted && *options->interrupted)
            return error_set(reterr, "interrupted");
        if (clock_monotonic_ms() > until)
            return error_set(reterr, "`kubectl proxy` did not open its socket in %d s",
                             START_MS / 1000);
        pause_ms(LOOK_MS);
    }
    return true;
}

bool proxy_start(struct proxy *proxy, const struct kube_options *options, struct error *reterr)
{
    CLEANUP_ARENA struct arena arena = {0};
    *proxy = (struct proxy){0};
    if (make_folder(proxy, reterr) &&
        start_child(proxy, arguments_of(proxy, options, &arena), reterr) &&
        wait_for_socket(proxy, options, reterr))
        return true;
    proxy_done(proxy);
    return false;
}

bool proxy_is_running(struct proxy *proxy)
{
    if (proxy->pid && waitpid(proxy->pid, NULL, WNOHANG) != 0)
        proxy->pid = 0;
    return proxy->pid != 0;
}

void proxy_done(struct proxy *proxy)
{
    if (proxy->pid)
        kill(proxy->pid, SIGTERM);
    for (int waited = 0; proxy_is_running(proxy) && waited < END_MS; waited += LOOK_MS)
        pause_ms(LOOK_MS);
    if (proxy->pid) {
        kill(proxy->pid, SIGKILL);
        waitpid(proxy->pid, NULL, 0);
    }
    if (proxy->folder) {
        unlink(proxy->socket);
        rmdir(proxy->folder);
    }
    free(proxy->folder);
    free(proxy->socket);
    *proxy = (struct proxy){0};
}
