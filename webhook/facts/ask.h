/* One question to a Harbor on its way, whichever steps it takes: what harbor_session.c (polls) and
 * artifact_ask.c (artifacts) have in common. All functions are called with the lock of struct facts
 * held. */
#pragma once

#include "webhook/facts/session.h"

/* Where an artifact's question is; see artifact_ask.c. */
enum ask_target {
    TARGET_WHOLE, /* the image, or the index as a whole */
    TARGET_CHILD, /* a child of the index */
};

/* How far the question about an artifact has come. Texts are in the ask's arena. */
struct ask_progress {
    struct artifact_fact fact; /* what is known of it so far */
    enum ask_target target;
    struct scan part;       /* of the target */
    bool index;             /* it has children, */
    bool more_children;     /* and more than are looked at */
    bool short_lived;       /* something could not be found out: ask again soon */
    struct slice *children; /* digests */
    size_t child_count, child_at;
    struct slice head_reference;     /* of the manifest that is HEADed, */
    enum session_question head_kind; /* and what for */
    struct slice token;              /* for its repository; empty: none yet */
    bool challenged; /* the proxy has named its token service already: once is enough */
};

struct ask {
    struct session *session;
    enum session_question kind; /* of the step that is under way */
    struct arena arena;
    unsigned account_generation; /* of the account that it went out with */
    struct slice project;        /* of a poll of projects: its name, in `arena` */

    /* of an artifact's question; texts in `arena` */
    struct fact_entry *entry; /* whom the answer is for */
    struct artifact_key key;
    fact_needs asked;              /* what this round asks for */
    struct ask_progress *progress; /* from the first answer on: thousands may wait their turn */
    struct ask *next;              /* waits for its turn to read a report */
};

struct ask *ask_new(struct session *session, enum session_question kind);
void ask_free(struct ask *ask);

/* Sends a step; what it is for stands in ask->kind. The path is of Harbor's own host. */
void ask_send_path(struct ask *ask, const char *path, long timeout_ms);
void ask_send_manifest(struct ask *ask, long delay_ms);
/* GETs what a HEAD said is not there: the body says whether a proxy filter refused it. */
void ask_send_filter(struct ask *ask);
void ask_send_token(struct ask *ask);
void ask_send_report(struct ask *ask, const char *path);
void ask_send_post(struct ask *ask, const char *path, const char *json);

/* When a 429 says that it may be asked again; capped, since anybody may have written it. */
long long ask_quiet_until(long retry_after);

/* Takes the answer to a step of an artifact's question: goes on to the next step, and returns true,
 * or the entry is known or failed now. `ret` is what it means, for the metrics and the breaker. */
bool artifact_ask_take(struct ask *ask, const struct http_reply *reply,
                       const struct harbor_reply *harbor_reply, enum harbor_answer *ret);

/* Starts an artifact's question: asks for all that ask->entry->asking_needs says. */
void artifact_ask_begin(struct ask *ask);

/* Of harbor_session.c: http_done of all steps. */
void session_take_reply(void *context, const struct http_reply *reply);

/* Whether the project's answer is missing or old, for a project that is not polled. */
bool session_lacks_project(struct session *session, struct slice project);

/* Takes a project's answer; it is kept where there is such a project. */
enum harbor_answer session_take_project(struct session *session, struct slice project,
                                        const struct harbor_reply *reply);

/* 401 to our account: it may be dead. Asked for at once, but not once for each image. */
void session_doubt_account(struct session *session);
