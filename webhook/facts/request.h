/* One request to a Harbor on its way, a poll's or one of an inquiry's, one after the other. All
 * functions are called with the lock of struct facts held. */
#pragma once

#include "webhook/facts/session.h"

struct request {
    struct session *session;
    enum request_kind kind; /* of the one that is under way */
    struct arena arena;
    unsigned account_generation; /* of the account that it went out with */
    struct slice project;        /* of a poll of projects: its name, in `arena` */

    struct fact_entry *entry; /* of an inquiry: whom the answer is for */
    struct inquiry inquiry;   /* its key is also that of a scan */

    struct request *next; /* waits for its turn to read a report, */
    struct buffer path;   /* at this path */
};

struct request *request_new(struct session *session, enum request_kind kind);
void request_free(struct request *request);

/* Sends it as `kind`; the path is of Harbor's own host. */
void request_send(struct request *request, enum request_kind kind, const char *path);

/* Begins the inquiry, or begins it again: asks for all that entry->asking says. */
void request_begin_inquiry(struct request *request);

/* Takes the reply to a step of an inquiry: goes on to the next one, and returns true, or the entry
 * is known or failed now. `ret` is what the reply means, for the metrics and the breaker. */
bool request_take_inquiry(struct request *request, const struct harbor_reply *reply,
                          enum harbor_answer *ret);

/* Of session.c: http_done of all requests. */
void session_take_reply(void *context, const struct http_reply *reply);

/* Whether the project's answer is missing or old, for a project that is not polled. */
bool session_lacks_project(struct session *session, struct slice project);

/* Takes a project's answer; it is kept where there is such a project. */
enum harbor_answer session_take_project(struct session *session, struct slice project,
                                        const struct harbor_reply *reply);

/* 401 to our account: it may be dead. Asked for at once, but not once for each image. */
void session_doubt_account(struct session *session);
