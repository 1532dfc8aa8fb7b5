/* The log: lines are made by whoever logs, and written by one thread. */
#include "webhook/common/log.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

const struct log_event_spec log_events[EVENT_COUNT] = {
    [EVENT_READY] = {"ready", {"bindAddress", "adminBindAddress", "version", "threads"}},
    [EVENT_POLICIES] = {"policies", {"digest", "policies", "warnings"}},
    [EVENT_POLICY] = {"policy", {"file", "line", "column"}},
    [EVENT_POLICIES_INVALID] = {.name = "policies-invalid"},
    [EVENT_CERTIFICATE] = {"certificate", {"notAfter"}},
    [EVENT_CERTIFICATE_INVALID] = {.name = "certificate-invalid"},
    [EVENT_CLIENT_REFUSED] = {.name = "client-refused"},
    [EVENT_CLIENT_CA_INVALID] = {.name = "client-ca-invalid"},
    [EVENT_WRONG_SECRET] = {.name = "wrong-secret"},
    [EVENT_CONNECTIONS_CLOSED] = {"connections-closed", {"port", "closed", "address", "open"}},
    [EVENT_REVIEW] = {"review",
                      {"uid", "webhook", "namespace", "pod", "kind", "owner", "mode", "applied",
                       "images", "imagesLeftOut", "pullSecret", "durationSeconds", "unjudged",
                       "detail", "repeated"}},
    [EVENT_HARBOR_HEALTH] = {"harbor-health", {"harbor", "healthy", "detail"}},
    [EVENT_HARBOR_ACCOUNT] = {"harbor-account", {"harbor", "version"}},
    [EVENT_HARBOR_REDIS] = {"harbor-redis", {"harbor"}},
    [EVENT_HARBOR_PROJECT] = {"harbor-project", {"harbor", "project"}},
    [EVENT_HARBOR_PROJECTS] = {"harbor-projects", {"harbor", "registries"}},
    [EVENT_HARBOR_AUTHORITIES] = {.name = "harbor-authorities"},
    [EVENT_UNKNOWN_VARIABLE] = {.name = "unknown-variable"},
    [EVENT_FILE_LIMIT] = {.name = "file-limit"},
    [EVENT_HTTP] = {.name = "http"},
    [EVENT_LOG_DROPPED] = {"log-dropped", {"lines"}},
    [EVENT_DRAINING] = {.name = "draining"},
    [EVENT_ENDED] = {.name = "ended"},
    [EVENT_START_FAILED] = {.name = "start-failed"},
    [EVENT_RESCUE] = {"rescue",
                      {"result", "reason", "namespace", "pod", "container", "image", "original",
                       "detail", "dryRun"}},
    [EVENT_RESCUE_UNKNOWN] = {.name = "rescue-unknown"},
    [EVENT_RESCUE_EVENT] = {.name = "rescue-event"},
    [EVENT_KUBE_WATCH] = {.name = "kube-watch"},
    [EVENT_KUBE_TOKEN] = {.name = "kube-token"},
};

/* One log per process, as there is one stderr. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    pthread_t thread;
    bool running, stopping;
    enum log_format format;
    enum log_level least;
    struct buffer pending;
    unsigned long dropped;
} the_log = {.lock = PTHREAD_MUTEX_INITIALIZER,
             .wake = PTHREAD_COND_INITIALIZER,
             .pending = {.limit = LOG_MAX_PENDING}};

enum { LOG_STOP_SECONDS = 2, LOG_GATHER_MS = 5 };

static void write_all(struct slice s)
{
    while (s.len) {
        ssize_t written = write(STDERR_FILENO, s.base, s.len);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0 && errno == EAGAIN) { /* somebody made stderr non-blocking */
            poll(&(struct pollfd){.fd = STDERR_FILENO, .events = POLLOUT}, 1, -1);
            continue;
        }
        if (written <= 0)
            return; /* there is no other place to say it */
        s = slice_from_index(s, (size_t)written);
    }
}

static void finish_line(struct log_line *line);

/* Writes that lines are missing, once what was kept is on its way. */
static void write_dropped(unsigned long dropped)
{
    struct log_line line;
    log_begin(&line, LOG_WARNING, EVENT_LOG_DROPPED,
              "log lines were dropped: stderr takes them too slowly");
    json_member_number(&line.w, "lines", (long long)dropped);
    finish_line(&line);
    write_all(buffer_slice(&line.text));
    buffer_done(&line.text);
}

static void *write_lines(void *unused)
{
    (void)unused;
    struct buffer lines = {.limit = LOG_MAX_PENDING};
    pthread_mutex_lock(&the_log.lock);
    for (;;) {
        while (the_log.pending.len == 0 && !the_log.stopping)
            pthread_cond_wait(&the_log.wake, &the_log.lock);
        if (the_log.pending.len == 0)
            break;
        if (!the_log.stopping) { /* let some lines come together: one write for all of them */
            pthread_mutex_unlock(&the_log.lock);
            nanosleep(&(struct timespec){.tv_nsec = LOG_GATHER_MS * 1000000}, NULL);
            pthread_mutex_lock(&the_log.lock);
        }
        struct buffer taken = the_log.pending;
        the_log.pending = lines;
        lines = taken;
        unsigned long dropped = the_log.dropped;
        the_log.dropped = 0;
        pthread_mutex_unlock(&the_log.lock);
        write_all(buffer_slice(&lines));
        if (dropped)
            write_dropped(dropped);
        buffer_clear(&lines);
        pthread_mutex_lock(&the_log.lock);
    }
    pthread_mutex_unlock(&the_log.lock);
    buffer_done(&lines);
    return NULL;
}

void log_start(enum log_format format)
{
    the_log.format = format;
    the_log.running = pthread_create(&the_log.thread, NULL, write_lines, NULL) == 0;
}

void log_set_least(enum log_level least)
{
    the_log.least = least;
}

void log_stop(void)
{
    if (!the_log.running)
        return;
    pthread_mutex_lock(&the_log.lock);
    the_log.stopping = true;
    pthread_cond_signal(&the_log.wake);
    pthread_mutex_unlock(&the_log.lock);
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += LOG_STOP_SECONDS;
    if (pthread_timedjoin_np(the_log.thread, NULL, &until) != 0)
        return; /* nobody reads stderr: that must not keep the program from ending */
    the_log.running = the_log.stopping = false;
    buffer_done(&the_log.pending);
}

/* RFC 3339, UTC, milliseconds. */
static void format_time(char *ret, size_t size)
{
    struct timespec now;
    struct tm tm;
    char seconds[32];
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    strftime(seconds, sizeof(seconds), "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(ret, size, "%s.%03ldZ", seconds, now.tv_nsec / 1000000);
}

static const char *const level_names[] = {"info", "warning", "error"};

void log_begin(struct log_line *line, enum log_level level, enum log_event event,
               const char *message)
{
    *line = (struct log_line){.level = level, .message = message};
    line->w.out = &line->text;
    json_begin_object(&line->w);
    if (the_log.format == LOG_FORMAT_JSON) {
        char time_text[64];
        format_time(time_text, sizeof(time_text));
        json_member_text(&line->w, "time", time_text);
        json_member_text(&line->w, "level", level_names[level]);
        json_member_text(&line->w, "msg", message);
    }
    json_member_text(&line->w, "event", log_events[event].name);
}

/* "2026-11-24T12:00:00.000Z info    message  {…}" */
static void make_text_line(struct log_line *line)
{
    char time_text[64];
    struct buffer text = {0}, message = {0};
    struct json_writer w = {.out = &message}; /* escapes what would break the line */
    json_text(&w, line->message);
    format_time(time_text, sizeof(time_text));
    buffer_append_format(&text, "%s %-7s %.*s  ", time_text, level_names[line->level],
                         (int)message.len - 2, message.base + 1);
    buffer_done(&message);
    buffer_append(&text, buffer_slice(&line->text));
    buffer_done(&line->text);
    line->text = text;
}

static void finish_line(struct log_line *line)
{
    json_end_object(&line->w);
    if (the_log.format == LOG_FORMAT_TEXT)
        make_text_line(line);
    buffer_append_char(&line->text, '\n');
}

void log_end(struct log_line *line)
{
    finish_line(line);
    if (line->level < the_log.least) {
        buffer_done(&line->text);
        return;
    }
    if (the_log.running) {
        pthread_mutex_lock(&the_log.lock);
        bool first = the_log.pending.len == 0;
        buffer_append(&the_log.pending, buffer_slice(&line->text));
        if (the_log.pending.truncated)
            the_log.dropped++;
        the_log.pending.truncated = false;
        if (first)
            pthread_cond_signal(&the_log.wake);
        pthread_mutex_unlock(&the_log.lock);
    } else {
        write_all(buffer_slice(&line->text));
    }
    buffer_done(&line->text);
}

bool log_limit_take(struct log_limit *limit, unsigned long *ret_suppressed)
{
    return log_limit_take_in(limit, 1, ret_suppressed);
}

bool log_limit_take_in(struct log_limit *limit, unsigned seconds, unsigned long *ret_suppressed)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    pthread_mutex_lock(&lock);
    if (now.tv_sec - limit->second >= (time_t)seconds) {
        limit->second = now.tv_sec;
        limit->written = 0;
    }
    bool may = limit->written < LOG_LIMIT_PER_SECOND;
    if (may) {
        limit->written++;
        *ret_suppressed = limit->suppressed;
        limit->suppressed = 0;
    } else {
        limit->suppressed++;
    }
    pthread_mutex_unlock(&lock);
    return may;
}

void log_message(enum log_level level, enum log_event event, const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    struct log_line line;
    log_begin(&line, level, event, text);
    log_end(&line);
}
