/* `serve`: starts both ports, watches files and signals, drains at the end. */
#include "webhook/commands.h"
#include "webhook/common/clock.h"
#include "webhook/common/log.h"
#include "webhook/common/policy_files.h"
#include "webhook/serve/admin.h"
#include "webhook/serve/limits.h"
#include "webhook/serve/listen.h"
#include "webhook/serve/tls.h"
#include "webhook/version.h"

#include <malloc.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum {
    DEFAULT_PORT = 8443,
    DEFAULT_ADMIN_PORT = 8080,
    DEFAULT_SHUTDOWN_MS = 100 * 1000, /* longer than the API server keeps idle connections: 90 s */
    DEFAULT_WATCH_MS = 10 * 1000,
    LEAST_WATCH_MS = 100,
    INVALID_HOLD_MS = 30 * 1000, /* how long a start with broken policies is not ready */
    DRAIN_POLL_MS = 100,
    DRAIN_WORD_MS = 10 * 1000, /* how often it says what it waits for */
    WARM_MS = 5000,
    WARM_POLL_MS = 10,
    EXPIRE_MS = 1000, /* how often connections that do not get on are looked for */
    SPARE_DESCRIPTORS = ADMIN_CONNECTIONS + 128, /* besides those of connections and threads */
    DESCRIPTORS_PER_THREAD = 4,
    THREADS_MAX = 256,
    WATCHER_END_SECONDS = 2,
    LEAST_CONNECTIONS = 8,
};

struct serve {
    struct text_list policies;
    const char *certificate_file, *key_file, *bind_address, *admin_bind_address;
    const char *client_ca_file, *events_secret_file, *metrics_token_file;
    long threads, shutdown_ms, max_connections, watch_ms;
    bool strict;
    int log_format;                     /* index of log_formats, or -1 */
    struct text_list unknown_variables; /* NAME=VALUE, as in the environment */

    struct state state;
    struct server *server;
    struct admin *admin;
    char policy_digest[65];     /* of the files that were last tried */
    atomic_llong invalid_until; /* monotonic ms: until then a start with broken policies holds */
    time_t certificate_expiry;
    char certificate_complaint[ERROR_TEXT_SIZE]; /* said once, until it changes */
    char clients_complaint[ERROR_TEXT_SIZE];

    pthread_t watcher;    /* reads files again; from run() on it alone does */
    pthread_mutex_t lock; /* of what it is asked for: */
    pthread_cond_t wake;
    bool asked, reload, forced, ending;
};

static long own_cores(void)
{
    cpu_set_t set;
    return sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;
}

static long default_threads(void)
{
    long cores = own_cores();
    return cores < LIMITS_THREADS ? cores : LIMITS_THREADS;
}

/* --- options --- */

static const char *const log_formats[] = {"json", "text", NULL};

static enum options_result parse(struct serve *serve, int argc, char **argv)
{
    const struct option_spec options[] = {
        OPTION_POLICIES(&serve->policies),
        {.name = "tls-cert-file",
         .kind = OPTION_TEXT,
         .target = &serve->certificate_file,
         .value = "FILE",
         .required = true,
         .help = "The serving certificate, PEM, followed by its chain if it has one."},
        {.name = "tls-private-key-file",
         .kind = OPTION_TEXT,
         .target = &serve->key_file,
         .value = "FILE",
         .required = true,
         .help = "Its private key, PEM."},
        {.name = "bind-address",
         .kind = OPTION_TEXT,
         .target = &serve->bind_address,
         .value = "ADDR:PORT",
         .preset = "[::]:8443, or 0.0.0.0:8443 without IPv6",
         .help = "Admission, TLS."},
        {.name = "admin-bind-address",
         .kind = OPTION_TEXT,
         .target = &serve->admin_bind_address,
         .value = "ADDR:PORT",
         .preset = "[::]:8080, likewise",
         .help = "Probes and metrics, plain HTTP."},
        {.name = "client-ca-file",
         .kind = OPTION_TEXT,
         .target = &serve->client_ca_file,
         .value = "FILE",
         .help = "Refuse admission calls without a client certificate of an authority in this "
                 "file."},
        {.name = "events-secret-file",
         .kind = OPTION_TEXT,
         .target = &serve->events_secret_file,
         .value = "FILE",
         .help = "Take Harbor's notifications on /harbor/events, with the secret in this file."},
        {.name = "metrics-token-file",
         .kind = OPTION_TEXT,
         .target = &serve->metrics_token_file,
         .value = "FILE",
         .help = "Let only those with the token in this file read metrics; probes stay open."},
        {.name = "threads",
         .kind = OPTION_NUMBER,
         .target = &serve->threads,
         .value = "N",
         .least = 1,
         .most = THREADS_MAX,
         .preset = "the cores this process may use, at most 4",
         .help = "Threads that answer."},
        {.name = "shutdown-timeout",
         .kind = OPTION_DURATION,
         .target = &serve->shutdown_ms,
         .value = "DURATION",
         .preset = "100s",
         .help = "How long open connections are served after SIGTERM."},
        {.name = "max-connections",
         .kind = OPTION_NUMBER,
         .target = &serve->max_connections,
         .value = "N",
         .least = LEAST_CONNECTIONS,
         .most = 1000000,
         .preset = "1024",
         .help = "Connections at a time; the limit of open files is raised to match."},
        {.name = "watch-interval",
         .kind = OPTION_DURATION,
         .target = &serve->watch_ms,
         .value = "DURATION",
         .least = LEAST_WATCH_MS,
         .preset = "10s",
         .help = "How often to look for changed policies and certificates."},
        {.name = "strict",
         .kind = OPTION_FLAG,
         .target = &serve->strict,
         .help = "Exit with 2 on invalid policies at the start."},
        {.name = "log-format",
         .kind = OPTION_WORD,
         .target = &serve->log_format,
         .value = "json|text",
         .words = log_formats,
         .preset = "json, or text when stderr is a terminal",
         .help = "How log lines are written."},
    };
    const struct command_spec command = {
        .name = "serve",
        .summary = "the admission webhook server",
        .environment = true,
        .example = "  harbor-pilot serve --policies policies \\\n"
                   "      --tls-cert-file tls.crt --tls-private-key-file tls.key",
        .options = options,
        .option_count = sizeof(options) / sizeof(*options),
    };
    enum options_result result = options_parse(&command, argc, argv, NULL);
    if (result == OPTIONS_GO)
        options_unknown_variables(&command, &serve->unknown_variables);
    return result;
}

/* Ignored all the same: a variable of a later version must not keep an older one from starting. */
static void warn_of_variables(const struct serve *serve)
{
    for (size_t i = 0; i < serve->unknown_variables.count; i++) {
        struct slice variable = slice_from(serve->unknown_variables.items[i]);
        log_message(LOG_WARNING, EVENT_UNKNOWN_VARIABLE,
                    "the environment variable %.*s is none of an option, and is ignored; is it "
                    "misspelled? (`harbor-pilot serve --help` lists the options)",
                    SLICE_ARGS(slice_head(variable, slice_find(variable, '='))));
    }
}

static bool check_address(const char *option, const char *address)
{
    if (!address || listen_is_address(address))
        return true;
    usage_error("--%s is `%s`, expected ADDR:PORT such as `127.0.0.1:8443` or `[::]:8443`", option,
                address);
    return false;
}

static bool check_options(const struct serve *serve)
{
    return check_address("bind-address", serve->bind_address) &&
           check_address("admin-bind-address", serve->admin_bind_address);
}

/* --- files --- */

/* Loads the policies and serves them from now on; where they are broken, the set before stays. */
static bool load_policies(struct serve *serve)
{
    CLEANUP_DIAGNOSTICS struct diagnostics diagnostics = {0};
    struct policies *policies = NULL;
    CLEANUP_ARENA struct arena arena = {0};
    size_t found_count;
    const struct discovered *found = facts_discovered(serve->state.facts, &arena, &found_count);
    policy_files_digest(&serve->policies, serve->policy_digest);
    bool loaded = policy_files_load_discovered(&serve->policies, getenv("HARBOR_PILOT_NAMESPACE"),
                                               found, found_count, &diagnostics, &policies);
    diagnostics_log(&diagnostics);
    if (loaded) {
        struct log_line line;
        log_begin(&line, LOG_INFO, EVENT_POLICIES, "policies loaded");
        json_member(&line.w, "digest", policies_digest(policies));
        json_member_number(&line.w, "policies", (long long)policies_count(policies));
        json_member_number(&line.w, "warnings", (long long)diagnostics.warnings);
        /* in force before anybody is told */
        facts_configure(serve->state.facts, policies);
        state_set_policies(&serve->state, policies);
        metrics_set_reload(serve->state.metrics, true, time(NULL));
        log_end(&line);
        serve->invalid_until = 0;
    } else {
        metrics_set_reload(serve->state.metrics, false, time(NULL));
        log_message(LOG_ERROR, EVENT_POLICIES_INVALID, "the policies have %zu errors; %s",
                    diagnostics.errors,
                    serve->state.policies ? "the last good ones stay in use"
                                          : "every image is kept until they are fixed");
    }
    return loaded;
}

/* At a reload a pair that does not fit leaves the one before; false then. */
static MUST_CHECK bool load_certificate(struct serve *serve, struct error *reterr)
{
    bool changed;
    if (!tls_load(serve->certificate_file, serve->key_file, &changed, &serve->certificate_expiry,
                  reterr))
        return false;
    metrics_set_certificate_expiry(serve->state.metrics, serve->certificate_expiry);
    if (changed) {
        char until[32];
        struct tm tm;
        strftime(until, sizeof(until), "%Y-%m-%dT%H:%M:%SZ",
                 gmtime_r(&serve->certificate_expiry, &tm));
        struct log_line line;
        log_begin(&line, LOG_INFO, EVENT_CERTIFICATE, "serving certificate loaded");
        json_member_text(&line.w, "notAfter", until);
        log_end(&line);
    }
    return true;
}

static void reload_clients(struct serve *serve)
{
    struct error error;
    if (!serve->state.clients || clients_reload(serve->state.clients, &error)) {
        serve->clients_complaint[0] = '\0';
    } else if (strcmp(serve->clients_complaint, error.text) != 0) {
        snprintf(serve->clients_complaint, sizeof(serve->clients_complaint), "%s", error.text);
        log_message(LOG_ERROR, EVENT_CLIENT_CA_INVALID, "%s; the last good authorities stay in use",
                    error.text);
    }
}

/* Every watch interval, and at SIGHUP. */
static void reload(struct serve *serve, bool forced)
{
    struct error error;
    char digest[65];
    facts_refresh_accounts(serve->state.facts);
    reload_clients(serve);
    policy_files_digest(&serve->policies, digest);
    if (forced || strcmp(digest, serve->policy_digest) != 0)
        load_policies(serve);
    if (load_certificate(serve, &error)) {
        serve->certificate_complaint[0] = '\0';
    } else if (strcmp(serve->certificate_complaint, error.text) != 0) {
        snprintf(serve->certificate_complaint, sizeof(serve->certificate_complaint), "%s",
                 error.text);
        log_message(LOG_ERROR, EVENT_CERTIFICATE_INVALID,
                    "%s; the last good certificate stays in use", error.text);
    }
}

/* --- start, run, drain --- */

/* Returns how many connections there may be: never so many that descriptors run out, which
 * libmicrohttpd meets by trying again and again. */
static long raise_file_limit(long connections, long threads)
{
    struct rlimit limit;
    rlim_t wanted = (rlim_t)(connections + DESCRIPTORS_PER_THREAD * threads + SPARE_DESCRIPTORS);
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted)
        return connections;
    limit.rlim_cur = wanted < limit.rlim_max ? wanted : limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur < wanted)
        log_message(LOG_WARNING, EVENT_FILE_LIMIT,
                    "open files are limited to %llu, but %ld connections "
                    "need %llu; raise the limit or lower --max-connections",
                    (unsigned long long)limit.rlim_cur, connections, (unsigned long long)wanted);
    if (limit.rlim_cur >= wanted)
        return connections;
    long fewer = (long)(limit.rlim_cur / 2) - DESCRIPTORS_PER_THREAD * threads;
    return fewer < LEAST_CONNECTIONS ? LEAST_CONNECTIONS
           : fewer < connections     ? fewer
                                     : connections;
}

static int open_port(const char *address, unsigned port, char *ret_name, struct error *reterr)
{
    return address ? listen_on(address, ret_name, reterr) : listen_on_any(port, ret_name, reterr);
}

/* A new replica learns Harbor's health and projects before it is ready, but does not wait for a
 * Harbor that does not answer. The port is open already: who calls is served. */
static void wait_until_warm(struct serve *serve)
{
    long long until = clock_monotonic_ms() + WARM_MS;
    if (!serve->invalid_until)
        state_set_not_ready(&serve->state, "starting: asking Harbor for its health and projects");
    while (!facts_are_warm(serve->state.facts) && clock_monotonic_ms() < until) {
        if (facts_discovery_changed(serve->state.facts))
            load_policies(serve);
        nanosleep(&(struct timespec){.tv_nsec = WARM_POLL_MS * 1000000}, NULL);
    }
}

static MUST_CHECK bool start_ports(struct serve *serve, struct error *reterr)
{
    char name[LISTEN_NAME_SIZE], admin_name[LISTEN_NAME_SIZE];
    int admission = open_port(serve->bind_address, DEFAULT_PORT, name, reterr);
    if (admission < 0)
        return false;
    int admin = open_port(serve->admin_bind_address, DEFAULT_ADMIN_PORT, admin_name, reterr);
    if (admin < 0) {
        close(admission);
        return false;
    }
    serve->server = server_start(admission, (unsigned)serve->threads,
                                 (unsigned)serve->max_connections, &serve->state, reterr);
    if (!serve->server) {
        close(admin);
        return false;
    }
    serve->admin = admin_start(admin, &serve->state, serve->server, reterr);
    if (!serve->admin)
        return false;
    wait_until_warm(serve);
    if (!serve->invalid_until)
        state_set_not_ready(&serve->state, "");
    struct log_line line;
    log_begin(&line, LOG_INFO, EVENT_READY, "serving");
    json_member_text(&line.w, "bindAddress", name);
    json_member_text(&line.w, "adminBindAddress", admin_name);
    json_member_text(&line.w, "version", version_number());
    json_member_number(&line.w, "threads", serve->threads);
    log_end(&line);
    return true;
}

/* Waits for a signal, at most so long; 0: none came. */
static int wait_for_signal(const sigset_t *signals, long long ms)
{
    struct timespec timeout = {ms / 1000, ms % 1000 * 1000000};
    int signal = sigtimedwait(signals, NULL, &timeout);
    return signal > 0 ? signal : 0;
}

/* Reads files again when it is asked to. A thread of its own: thousands of Policies take seconds,
 * and deadlines of connections do not wait for them. */
static void *watch(void *context)
{
    struct serve *serve = context;
    pthread_mutex_lock(&serve->lock);
    while (!serve->ending) {
        if (!serve->asked) {
            pthread_cond_wait(&serve->wake, &serve->lock);
            continue;
        }
        bool again = serve->reload, forced = serve->forced;
        serve->asked = serve->reload = serve->forced = false;
        pthread_mutex_unlock(&serve->lock);
        if (again)
            reload(serve, forced);
        if (facts_discovery_changed(serve->state.facts))
            load_policies(serve);
        pthread_mutex_lock(&serve->lock);
    }
    pthread_mutex_unlock(&serve->lock);
    return NULL;
}

static void ask_watcher(struct serve *serve, bool again, bool forced)
{
    pthread_mutex_lock(&serve->lock);
    serve->asked = true;
    serve->reload |= again;
    serve->forced |= forced;
    pthread_cond_signal(&serve->wake);
    pthread_mutex_unlock(&serve->lock);
}

/* Whether it has ended: it may be in the middle of thousands of Policies. */
static bool end_watcher(struct serve *serve)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += WATCHER_END_SECONDS;
    pthread_mutex_lock(&serve->lock);
    serve->ending = true;
    pthread_cond_signal(&serve->wake);
    pthread_mutex_unlock(&serve->lock);
    return pthread_timedjoin_np(serve->watcher, NULL, &until) == 0;
}

/* Serves until SIGTERM or SIGINT. */
static void run(struct serve *serve, const sigset_t *signals)
{
    long long next_watch = clock_monotonic_ms() + serve->watch_ms;
    for (;;) {
        long long now = clock_monotonic_ms(), until = next_watch;
        if (serve->invalid_until && now >= serve->invalid_until)
            serve->invalid_until = 0;
        if (!serve->invalid_until)
            state_set_not_ready(&serve->state, "");
        else if (serve->invalid_until < until)
            until = serve->invalid_until;
        long long wait = until > now ? until - now : 0;
        int signal = wait_for_signal(signals, wait < EXPIRE_MS ? wait : EXPIRE_MS);
        server_expire(serve->server);
        admin_expire(serve->admin);
        if (signal == SIGTERM || signal == SIGINT)
            return;
        bool due = clock_monotonic_ms() >= next_watch;
        ask_watcher(serve, signal == SIGHUP || due, signal == SIGHUP);
        if (due)
            next_watch = clock_monotonic_ms() + serve->watch_ms;
    }
}

static void say_who_is_waited_for(const struct serve *serve)
{
    unsigned open = server_connections(serve->server);
    log_message(LOG_INFO, EVENT_DRAINING, "ending: %u connections are open%s", open,
                open ? "; API servers keep theirs for 90 s after the last review" : "");
}

/* Goes on answering, with `Connection: close`, until no connection is left: an API server that
 * reuses one at the moment it is closed would see its call fail (docs/contracts.md#connections). A
 * second signal
 * ends it. */
static void drain(struct serve *serve, const sigset_t *signals)
{
    long long deadline = clock_monotonic_ms() + serve->shutdown_ms;
    say_who_is_waited_for(serve);
    atomic_store(&serve->state.draining, true);
    state_set_not_ready(&serve->state, "draining: the server was told to stop");
    long long next_word = clock_monotonic_ms() + DRAIN_WORD_MS;
    while (server_connections(serve->server) && clock_monotonic_ms() < deadline) {
        if (clock_monotonic_ms() >= next_word) {
            say_who_is_waited_for(serve);
            next_word += DRAIN_WORD_MS;
        }
        int signal = wait_for_signal(signals, DRAIN_POLL_MS);
        server_expire(serve->server);
        admin_expire(serve->admin);
        if (signal == SIGTERM || signal == SIGINT)
            break;
    }
}

static int start_and_run(struct serve *serve, const sigset_t *signals)
{
    struct error error;
    if (!load_certificate(serve, &error)) {
        log_message(LOG_ERROR, EVENT_START_FAILED, "%s", error.text);
        return EXIT_USAGE;
    }
    if (serve->events_secret_file) {
        serve->state.events = secret_new(serve->events_secret_file, &error);
        if (!serve->state.events) {
            log_message(LOG_ERROR, EVENT_START_FAILED, "%s", error.text);
            return EXIT_USAGE;
        }
    }
    if (serve->client_ca_file) {
        error.text[0] = '\0';
        serve->state.clients = clients_new(serve->client_ca_file, &error);
        if (!serve->state.clients) {
            log_message(LOG_ERROR, EVENT_START_FAILED, "%s", error.text);
            return EXIT_USAGE;
        }
        tls_ask_clients();
    } else {
        facts_expect_strangers(serve->state.facts);
    }
    if (serve->metrics_token_file) {
        serve->state.metrics_token = secret_new(serve->metrics_token_file, &error);
        if (!serve->state.metrics_token) {
            log_message(LOG_ERROR, EVENT_START_FAILED, "%s", error.text);
            return EXIT_USAGE;
        }
    }
    state_set_not_ready(&serve->state, "starting");
    if (!load_policies(serve)) {
        if (serve->strict)
            return EXIT_USAGE;
        serve->invalid_until = clock_monotonic_ms() + INVALID_HOLD_MS;
        state_set_not_ready(
            &serve->state,
            "the policies are invalid: see the log; it is ready 30 s after the start all the "
            "same, and keeps every image");
    }
    serve->max_connections = raise_file_limit(serve->max_connections, serve->threads);
    if (!start_ports(serve, &error)) {
        log_message(LOG_ERROR, EVENT_START_FAILED, "%s", error.text);
        return EXIT_USAGE;
    }
    if (pthread_create(&serve->watcher, NULL, watch, serve) != 0) {
        log_message(LOG_ERROR, EVENT_START_FAILED, "cannot start a thread");
        return EXIT_USAGE;
    }
    run(serve, signals);
    drain(serve, signals);
    bool alone = end_watcher(serve);
    log_message(LOG_INFO, EVENT_ENDED, "ended");
    if (!alone) { /* what it works on cannot be given back, and nobody waits for it */
        log_stop();
        _exit(EXIT_FINE);
    }
    return EXIT_FINE;
}

/* glibc raises both limits with each large block that is freed, and so keeps the memory of one
 * large review for good. */
static void bound_malloc(void)
{
    mallopt(M_MMAP_THRESHOLD, 128 * 1024);
    mallopt(M_TRIM_THRESHOLD, 256 * 1024);
}

int command_serve(int argc, char **argv)
{
    struct serve serve = {.lock = PTHREAD_MUTEX_INITIALIZER,
                          .wake = PTHREAD_COND_INITIALIZER,
                          .threads = default_threads(),
                          .shutdown_ms = DEFAULT_SHUTDOWN_MS,
                          .max_connections = LIMITS_CONNECTIONS,
                          .watch_ms = DEFAULT_WATCH_MS,
                          .log_format = -1};
    enum options_result result = parse(&serve, argc, argv);
    if (result == OPTIONS_GO && !check_options(&serve))
        result = OPTIONS_USAGE;
    int status = result == OPTIONS_USAGE ? EXIT_USAGE : EXIT_FINE;
    if (result == OPTIONS_GO) {
        sigset_t signals;
        bound_malloc();
        sigemptyset(&signals);
        sigaddset(&signals, SIGTERM);
        sigaddset(&signals, SIGINT);
        sigaddset(&signals, SIGHUP);
        pthread_sigmask(SIG_BLOCK, &signals, NULL); /* all threads inherit it */
        signal(SIGPIPE, SIG_IGN);
        bool text = serve.log_format == 1 || (serve.log_format < 0 && isatty(STDERR_FILENO));
        log_start(text ? LOG_FORMAT_TEXT : LOG_FORMAT_JSON);
        struct error error;
        warn_of_variables(&serve);
        if (state_init(&serve.state, &error)) {
            status = start_and_run(&serve, &signals);
        } else {
            log_message(LOG_ERROR, EVENT_START_FAILED, "%s", error.text);
            status = EXIT_USAGE;
        }
        admin_stop(serve.admin);
        server_stop(serve.server);
        state_done(&serve.state);
        tls_done();
        log_stop();
    }
    free(serve.policies.items);
    free(serve.unknown_variables.items);
    return status;
}
