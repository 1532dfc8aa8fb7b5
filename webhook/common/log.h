/* Log lines on stderr: one JSON object a line, or a text form for terminals. A thread of its own
 * writes them, so that a log that nobody reads can never hold up an answer: past LOG_MAX_PENDING
 * bytes lines are dropped and counted. Thread-safe after log_start. */
#pragma once

#include "base/buffer.h"
#include "json/writer.h"

enum { LOG_MAX_PENDING = 4 * 1024 * 1024 };

enum log_level { LOG_INFO, LOG_WARNING, LOG_ERROR };

/* What a line is about. */
enum log_event {
    EVENT_READY,
    EVENT_POLICIES,
    EVENT_POLICY,
    EVENT_POLICIES_INVALID,
    EVENT_CERTIFICATE,
    EVENT_CERTIFICATE_INVALID,
    EVENT_CLIENT_REFUSED,
    EVENT_CLIENT_CA_INVALID,
    EVENT_WRONG_SECRET,
    EVENT_CONNECTIONS_CLOSED,
    EVENT_REVIEW,
    EVENT_HARBOR_HEALTH,
    EVENT_HARBOR_ACCOUNT,
    EVENT_HARBOR_REDIS,
    EVENT_HARBOR_PROJECT,
    EVENT_HARBOR_PROJECTS,
    EVENT_HARBOR_AUTHORITIES,
    EVENT_UNKNOWN_VARIABLE,
    EVENT_FILE_LIMIT,
    EVENT_HTTP,
    EVENT_LOG_DROPPED,
    EVENT_DRAINING,
    EVENT_ENDED,
    EVENT_START_FAILED,
    EVENT_RESCUE,
    EVENT_RESCUE_UNKNOWN,
    EVENT_RESCUE_EVENT,
    EVENT_KUBE_WATCH,
    EVENT_KUBE_TOKEN,
    EVENT_COUNT,
};

/* The events by their number: `event` of a line, and the members that one may have besides those
 * of every line. `members` ends with NULL. */
extern const struct log_event_spec {
    const char *name, *members[16];
} log_events[EVENT_COUNT];

enum log_format { LOG_FORMAT_JSON, LOG_FORMAT_TEXT };

/* Before log_start lines are written at once, as JSON. */
void log_start(enum log_format format);

/* From now on lines below `least` are left out: for commands that answer a question. */
void log_set_least(enum log_level least);

/* Writes what is pending and ends the thread. */
void log_stop(void);

/* At most LOG_LIMIT_PER_SECOND lines of a kind that anybody on the network can cause.
 * Zero-initialised; thread-safe. */
enum { LOG_LIMIT_PER_SECOND = 5 };
struct log_limit {
    long long second;
    unsigned written;
    unsigned long suppressed;
};

/* The same for a longer time: so many lines in `seconds`. */
bool log_limit_take_in(struct log_limit *limit, unsigned seconds, unsigned long *ret_suppressed);

/* Whether a line may be written now; then `*ret_suppressed` is how many were not since the last. */
bool log_limit_take(struct log_limit *limit, unsigned long *ret_suppressed);

/* A line in the making. Between begin and end the caller adds members with `w`. */
struct log_line {
    struct buffer text;
    struct json_writer w;
    enum log_level level;
    const char *message;
};

void log_begin(struct log_line *line, enum log_level level, enum log_event event,
               const char *message);
void log_end(struct log_line *line);

/* A line that is only a sentence. */
void log_message(enum log_level level, enum log_event event, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
