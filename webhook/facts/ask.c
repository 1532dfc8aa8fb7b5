/* Sends the steps of questions. */
#include "webhook/facts/ask.h"

#include "webhook/common/clock.h"
#include "webhook/facts/facts.h"

#include <stdlib.h>

/* Thousands may wait for their turn: a key, and little more. */
enum { FIRST_BLOCK = 96 };

struct ask *ask_new(struct session *session, enum session_question kind)
{
    struct ask *ask = memory_allocate_zeroed(1, sizeof(*ask));
    ask->arena.first_block = FIRST_BLOCK;
    ask->session = session;
    ask->kind = kind;
    ask->account_generation = session->account_generation;
    return ask;
}

void ask_free(struct ask *ask)
{
    arena_done(&ask->arena);
    free(ask->progress);
    free(ask);
}

static void send(struct ask *ask, struct http_question question)
{
    struct session *session = ask->session;
    question.urgent = ask->entry == NULL && ask->kind != QUESTION_SCAN;
    question.by_name = ask->kind == QUESTION_PROJECT;
    question.ca_file = session->ca_file.len ? session->ca_file.base : NULL;
    http_client_ask(facts_client(session->facts), &question, session_take_reply, ask);
}

static void send_to(struct ask *ask, const char *path, struct http_question question)
{
    struct buffer url = {0};
    buffer_append(&url, ask->session->url);
    buffer_append_text(&url, path);
    question.url = url.base;
    /* health needs no account, and with a dead one Harbor takes 1.5 s longer (1009) */
    if (ask->kind != QUESTION_HEALTH)
        question.authorization = ask->session->authorization;
    send(ask, question);
    buffer_done(&url);
}

void ask_send_path(struct ask *ask, const char *path, long timeout_ms)
{
    send_to(ask, path, (struct http_question){.timeout_ms = timeout_ms});
}

void ask_send_report(struct ask *ask, const char *path)
{
    send_to(ask, path, (struct http_question){.max_body = REPORT_MAX_BODY});
}

void ask_send_post(struct ask *ask, const char *path, const char *json)
{
    send_to(ask, path, (struct http_question){.json = json});
}

static void send_manifest(struct ask *ask, bool head, long delay_ms)
{
    struct buffer url = {0};
    struct slice authorization = {0};
    struct artifact_key key = {ask->key.project, ask->key.repository,
                               ask->progress->head_reference};
    buffer_append(&url, ask->session->url);
    harbor_manifest_path(&key, &url);
    if (ask->progress->token.len)
        authorization = arena_format(&ask->arena, "Bearer %.*s", SLICE_ARGS(ask->progress->token));
    send(ask, (struct http_question){.head = head,
                                     .url = url.base,
                                     .authorization = authorization.base,
                                     .delay_ms = delay_ms});
    buffer_done(&url);
}

void ask_send_manifest(struct ask *ask, long delay_ms)
{
    send_manifest(ask, true, delay_ms);
}

void ask_send_filter(struct ask *ask)
{
    send_manifest(ask, false, 0);
}

/* Credentials go to the token service only where it is on the host that the policy names. */
static bool is_own_host(const struct session *session, const char *realm)
{
    size_t len = session->url.len;
    return strncmp(realm, session->url.base, len) == 0 && (realm[len] == '/' || realm[len] == '\0');
}

static void append_query(struct buffer *out, struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.base[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     strchr("-._~/", c);
        if (plain)
            buffer_append_char(out, c);
        else
            buffer_append_format(out, "%%%02X", (unsigned)(unsigned char)c);
    }
}

void ask_send_token(struct ask *ask)
{
    struct session *session = ask->session;
    struct buffer url = {0};
    ask->kind = QUESTION_TOKEN;
    buffer_append_format(&url, "%s?service=", session->realm);
    append_query(&url, slice_from(session->service));
    buffer_append_text(&url, "&scope=repository%3A");
    append_query(&url, ask->key.project);
    buffer_append_char(&url, '/');
    append_query(&url, ask->key.repository);
    buffer_append_text(&url, "%3Apull");
    const char *account = is_own_host(session, session->realm) ? session->authorization : NULL;
    send(ask, (struct http_question){.url = url.base, .authorization = account});
    buffer_done(&url);
}

long long ask_quiet_until(long retry_after)
{
    long seconds = retry_after < FACT_RETRY_AFTER_MAX_S ? retry_after : FACT_RETRY_AFTER_MAX_S;
    return clock_monotonic_ms() + seconds * 1000;
}
