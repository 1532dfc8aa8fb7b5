/* Talks with one Harbor. Callbacks come on libcurl's thread and take the lock themselves. */
#include "webhook/harbor_session.h"

#include "base/base64.h"
#include "base/digest.h"
#include "webhook/clock.h"
#include "webhook/facts.h"
#include "webhook/files.h"
#include "webhook/log.h"

#include <stdio.h>
#include <stdlib.h>

enum { CREDENTIAL_MAX_SIZE = 4096, HEAD_BURST_MS = 1000 };

/* --- the session --- */

static struct slice copy(struct session *session, struct slice text)
{
    return arena_copy(&session->arena, text);
}

struct session *session_new(struct facts *facts, const struct harbor *harbor)
{
    struct session *session = memory_allocate_zeroed(1, sizeof(*session));
    session->facts = facts;
    session->name = copy(session, harbor->name);
    session->url = copy(session, harbor->api.url);
    session->ca_file = copy(session, harbor->api.ca_file);
    session->credentials_directory = copy(session, harbor->api.credentials_directory);
    fact_cache_init(&session->cache, FACT_CACHE_MAX);
    session_read_account(session);
    return session;
}

static void wipe(char *text)
{
    if (text)
        explicit_bzero(text, strlen(text));
    free(text);
}

void session_free(struct session *session)
{
    wipe(session->authorization);
    free(session->realm);
    free(session->service);
    map_done(&session->projects);
    fact_cache_done(&session->cache);
    arena_done(&session->arena);
    free(session);
}

bool session_matches(const struct session *session, const struct harbor *harbor)
{
    return slice_equal(session->name, harbor->name) && slice_equal(session->url, harbor->api.url) &&
           slice_equal(session->ca_file, harbor->api.ca_file) &&
           slice_equal(session->credentials_directory, harbor->api.credentials_directory);
}

void session_set_projects(struct session *session, const struct harbor *harbor)
{
    for (size_t i = 0; i < harbor->registry_count; i++) {
        struct slice project = harbor->registries[i].project;
        if (map_get(&session->projects, project))
            continue;
        *map_put(&session->projects, copy(session, project)) =
            arena_allocate(&session->arena, sizeof(struct project_state));
        session->next_project_ms = 0;
    }
}

enum harbor_health session_health(const struct session *session)
{
    if (session->health == HEALTH_UP && session->account_refused)
        return HEALTH_UNAUTHORIZED;
    return session->health;
}

/* --- the account --- */

static bool read_credential(const struct session *session, const char *name, struct buffer *ret)
{
    struct buffer path = {0};
    buffer_append_format(&path, "%s/%s", session->credentials_directory.base, name);
    struct error error;
    bool read = file_read(path.base, CREDENTIAL_MAX_SIZE, ret, &error);
    if (!read && !session->account_unreadable) /* said once */
        log_message(LOG_WARNING, "harbor-account", "%s: %s", path.base, error.text);
    while (ret->len && (ret->base[ret->len - 1] == '\n' || ret->base[ret->len - 1] == '\r'))
        ret->len--;
    buffer_done(&path);
    return read;
}

void session_read_account(struct session *session)
{
    struct buffer user = {0}, password = {0}, both = {0}, header = {0};
    char digest[65];
    if (session->credentials_directory.len == 0)
        return;
    bool read = read_credential(session, "username", &user) &&
                read_credential(session, "password", &password);
    session->account_unreadable = !read;
    if (read) {
        buffer_append_format(&both, "%.*s:", SLICE_ARGS(buffer_slice(&user)));
        buffer_append(&both, buffer_slice(&password));
        digest_sha256_hex(buffer_slice(&both), digest);
        if (strcmp(digest, session->account_digest) != 0) {
            memcpy(session->account_digest, digest, sizeof(digest));
            buffer_append_text(&header, "Basic ");
            base64_append(&header, buffer_slice(&both));
            wipe(session->authorization);
            session->authorization = memory_copy_slice(buffer_slice(&header));
            session->account_generation++;
            session->next_account_ms = 0;
        }
    }
    struct buffer *all[] = {&user, &password, &both, &header};
    for (size_t i = 0; i < 4; i++) {
        if (all[i]->base)
            explicit_bzero(all[i]->base, all[i]->capacity);
        buffer_done(all[i]);
    }
}

/* --- asking --- */

/* One question on its way. For artifacts it goes through up to four steps: the database, the token
 * service's place, a token, the proxy. */
struct ask {
    struct session *session;
    enum session_question kind;
    struct project_state *project;
    struct fact_entry *entry;
    struct artifact_key key; /* texts in `arena` */
    struct arena arena;
    unsigned account_generation; /* of the account that it went out with */
    bool challenged;             /* the proxy has named its token service already: once is enough */
};

static void done(void *context, const struct http_reply *reply);

static void send_ask(struct ask *ask, bool head, const char *url, const char *authorization,
                     long timeout_ms, long delay_ms)
{
    struct session *session = ask->session;
    const struct http_question question = {
        .head = head,
        .urgent = ask->entry == NULL,
        .by_name = ask->kind == QUESTION_PROJECT,
        .url = url,
        .authorization = authorization,
        .ca_file = session->ca_file.len ? session->ca_file.base : NULL,
        .timeout_ms = timeout_ms,
        .delay_ms = delay_ms,
    };
    http_client_ask(facts_client(session->facts), &question, done, ask);
}

static struct ask *new_ask(struct session *session, enum session_question kind)
{
    struct ask *ask = memory_allocate_zeroed(1, sizeof(*ask));
    ask->session = session;
    ask->kind = kind;
    ask->account_generation = session->account_generation;
    return ask;
}

static void send_path(struct ask *ask, const char *path, long timeout_ms)
{
    struct slice url = arena_format(&ask->arena, "%s%s", ask->session->url.base, path);
    /* health needs no account, and with a dead one Harbor takes 1.5 s longer (1009) */
    const char *account = ask->kind == QUESTION_HEALTH ? NULL : ask->session->authorization;
    send_ask(ask, false, url.base, account, timeout_ms, 0);
}

static void send_artifact(struct ask *ask)
{
    struct buffer path = {0};
    ask->kind = QUESTION_ARTIFACT;
    harbor_artifact_path(&ask->key, &path);
    send_path(ask, path.base, 0);
    buffer_done(&path);
}

/* How long this HEAD has to wait for its turn. */
static long head_delay(struct session *session)
{
    long long now = clock_monotonic_ms(), earliest = now - HEAD_BURST_MS;
    if (session->next_head_ms < earliest)
        session->next_head_ms = earliest;
    session->next_head_ms += 1000 / HEADS_PER_SECOND;
    return session->next_head_ms > now ? (long)(session->next_head_ms - now) : 0;
}

static void send_manifest(struct ask *ask, struct slice token)
{
    struct buffer url = {0};
    struct slice authorization = {0};
    ask->kind = QUESTION_MANIFEST;
    buffer_append(&url, ask->session->url);
    harbor_manifest_path(&ask->key, &url);
    if (token.len)
        authorization = arena_format(&ask->arena, "Bearer %.*s", SLICE_ARGS(token));
    send_ask(ask, true, url.base, authorization.base, 0, head_delay(ask->session));
    buffer_done(&url);
}

/* Credentials go to the token service only where it is on the host that the policy names (E2). */
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

static void send_token(struct ask *ask)
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
    send_ask(ask, false, url.base, account, 0, 0);
    buffer_done(&url);
}

void session_ask(struct session *session, struct fact_entry *entry, const struct artifact_key *key)
{
    struct ask *ask = new_ask(session, QUESTION_ARTIFACT);
    ask->entry = entry;
    ask->key = (struct artifact_key){arena_copy(&ask->arena, key->project),
                                     arena_copy(&ask->arena, key->repository),
                                     arena_copy(&ask->arena, key->reference)};
    send_artifact(ask);
}

/* --- health --- */

static void set_health(struct session *session, enum harbor_health health, const char *why)
{
    if (session->health == health)
        return;
    struct log_line line;
    if (health == HEALTH_UP) { /* what it could not say while it was ill */
        if (session->health == HEALTH_DOWN || !session->account_tried)
            session->next_account_ms = 0;
        if (session->health == HEALTH_DOWN)
            session->next_project_ms = 0;
    }
    session->health = health;
    session->polls_against = 0;
    log_begin(&line, health == HEALTH_UP ? LOG_INFO : LOG_WARNING, "harbor-health",
              health == HEALTH_UP
                  ? "Harbor can serve pulls"
                  : "Harbor cannot serve pulls: images are kept where the Policy says so");
    json_member(&line.w, "harbor", session->name);
    json_member_bool(&line.w, "healthy", health == HEALTH_UP);
    json_member_text(&line.w, "detail", why);
    log_end(&line);
}

/* A poll's result, with hysteresis: one that disagrees with the state is asked again soon. */
static void take_poll(struct session *session, bool healthy, const char *why)
{
    enum harbor_health seen = healthy ? HEALTH_UP : HEALTH_DOWN;
    session->polling_health = false;
    if (session->health == HEALTH_UNKNOWN) {
        set_health(session, seen, why);
    } else if (seen == session->health) {
        session->polls_against = 0;
    } else if (++session->polls_against >= HEALTH_CHANGES_AFTER) {
        set_health(session, seen, why);
        session->failures = 0;
    }
    bool calm = session->health == HEALTH_UP && session->polls_against == 0;
    if (healthy) /* one image that always fails, asked now and then, is not a Harbor that is down */
        session->failures = 0;
    session->next_health_ms = clock_monotonic_ms() + (calm ? HEALTH_POLL_MS : HEALTH_POLL_ILL_MS);
}

/* Real answers count too: several questions in a row without one, and Harbor is down. */
static void feed_breaker(struct session *session, enum harbor_answer answer, const char *why)
{
    if (answer != ANSWER_FAILED) {
        session->failures = 0;
        return;
    }
    if (++session->failures >= BREAKER_FAILURES && session->health == HEALTH_UP) {
        set_health(session, HEALTH_DOWN, why);
        session->next_health_ms = clock_monotonic_ms() + HEALTH_POLL_ILL_MS;
    }
}

/* --- answers, on libcurl's thread, with the lock --- */

static bool is_json(struct slice type)
{
    return type.len >= 16 && strncasecmp(type.base, "application/json", 16) == 0;
}

static bool is_manifest(struct slice type)
{
    return type.len >= 16 && strncasecmp(type.base, "application/vnd.", 16) == 0;
}

/* The artifact is known now, for so long. */
static void know(struct ask *ask, struct artifact_fact fact, enum fact_depth depth, long ms)
{
    struct fact_entry *entry = ask->entry;
    entry->fact = fact;
    entry->depth = depth;
    entry->known = true;
    entry->failed = false;
    entry->expires_ms = clock_monotonic_ms() + ms;
}

static void fail(struct ask *ask, long retry_after)
{
    struct fact_entry *entry = ask->entry;
    long wait = retry_after < FACT_RETRY_AFTER_MAX_S ? retry_after : FACT_RETRY_AFTER_MAX_S;
    entry->failed = true;
    entry->known = false;
    entry->expires_ms = clock_monotonic_ms() + (wait ? wait * 1000 : FACT_FAILED_MS);
}

/* When a 429 says that it may be asked again; capped, since anybody may have written it. */
static long long quiet_until(long retry_after)
{
    long seconds = retry_after < FACT_RETRY_AFTER_MAX_S ? retry_after : FACT_RETRY_AFTER_MAX_S;
    return clock_monotonic_ms() + seconds * 1000;
}

/* 401 to our account: it may be dead. Asked for at once, but not once for each image. */
static void doubt_account(struct session *session)
{
    long long earliest = session->account_asked_ms + ACCOUNT_POLL_ILL_MS;
    if (session->next_account_ms > earliest)
        session->next_account_ms = earliest;
}

/* True: the question goes on with another step. */
static bool take_artifact(struct ask *ask, const struct http_reply *reply,
                          enum harbor_answer answer)
{
    struct session *session = ask->session;
    const struct project_state *project = map_get(&session->projects, ask->key.project);
    long long now = clock_monotonic_ms();
    if (reply->status == 401 && session->authorization)
        doubt_account(session);
    switch (answer) {
    case ANSWER_YES:
        know(ask, (struct artifact_fact){.present = TRUTH_YES, .servable = TRUTH_YES},
             FACT_SERVABLE, FACT_POSITIVE_MS);
        break;
    case ANSWER_NO:
        if (ask->entry->asking_depth == FACT_SERVABLE) {
            if (project && project->quiet_until_ms > now) {
                fail(ask, (long)((project->quiet_until_ms - now) / 1000));
                return false;
            }
            if (session->realm)
                send_token(ask);
            else
                send_manifest(ask, (struct slice){0}); /* its challenge names the token service */
            return true;
        }
        know(ask, (struct artifact_fact){.present = TRUTH_NO}, FACT_PRESENT, FACT_NEGATIVE_MS);
        break;
    case ANSWER_UNAUTHORIZED:
        know(ask, (struct artifact_fact){.unauthorized = true}, FACT_SERVABLE, FACT_NEGATIVE_MS);
        break;
    case ANSWER_LATER:
        if (reply->retry_after)
            session->quiet_until_ms = quiet_until(reply->retry_after);
        fail(ask, reply->retry_after);
        break;
    case ANSWER_REFUSED:
    case ANSWER_FAILED:
        fail(ask, reply->retry_after);
        break;
    }
    return false;
}

static bool take_manifest(struct ask *ask, const struct http_reply *reply,
                          enum harbor_answer answer)
{
    struct slice realm, service;
    struct project_state *project = map_get(&ask->session->projects, ask->key.project);
    const struct artifact_fact absent = {.present = TRUTH_NO, .servable = TRUTH_NO};
    struct artifact_fact fact = absent;
    if (answer == ANSWER_UNAUTHORIZED && !ask->challenged &&
        harbor_read_challenge(reply->challenge, &ask->arena, &realm, &service)) {
        ask->challenged = true;
        free(ask->session->realm);
        free(ask->session->service);
        ask->session->realm = memory_copy_slice(realm);
        ask->session->service = memory_copy_slice(service);
        send_token(ask);
        return true;
    }
    switch (answer) {
    case ANSWER_YES:
        fact.servable = TRUTH_YES;
        know(ask, fact, FACT_SERVABLE, FACT_SERVABLE_MS);
        break;
    case ANSWER_NO:
        know(ask, absent, FACT_SERVABLE, FACT_NEGATIVE_MS);
        break;
    case ANSWER_UNAUTHORIZED:
        fact.unauthorized = true;
        know(ask, fact, FACT_SERVABLE, FACT_NEGATIVE_MS);
        break;
    case ANSWER_REFUSED:
        fact.refused_by_gate = true;
        know(ask, fact, FACT_SERVABLE, FACT_SERVABLE_MS);
        break;
    case ANSWER_LATER:
        if (project && reply->retry_after)
            project->quiet_until_ms = quiet_until(reply->retry_after);
        fail(ask, reply->retry_after);
        break;
    case ANSWER_FAILED:
        fail(ask, reply->retry_after);
        break;
    }
    return false;
}

static bool take_token(struct ask *ask, const struct harbor_reply *reply, enum harbor_answer *ret)
{
    struct slice token;
    long seconds;
    if (harbor_read_token(reply, &ask->arena, &token, &seconds)) {
        *ret = ANSWER_YES;
        send_manifest(ask, token);
        return true;
    }
    *ret = reply->status == 401 || reply->status == 403 ? ANSWER_UNAUTHORIZED : ANSWER_FAILED;
    if (*ret == ANSWER_UNAUTHORIZED)
        know(ask, (struct artifact_fact){.unauthorized = true}, FACT_SERVABLE, FACT_NEGATIVE_MS);
    else
        fail(ask, 0);
    return false;
}

static enum harbor_answer take_account(struct ask *ask, const struct harbor_reply *reply)
{
    struct session *session = ask->session;
    struct slice version;
    session->polling_account = false;
    if (ask->account_generation != session->account_generation) {
        session->next_account_ms = 0; /* the answer is about the account before */
        return ANSWER_FAILED;
    }
    session->next_account_ms = clock_monotonic_ms() + ACCOUNT_POLL_ILL_MS;
    if (!harbor_read_systeminfo(reply, &ask->arena, &version)) {
        session->account_tried = true;
        return ANSWER_FAILED;
    }
    /* while the database is down a good account looks unknown too (1107): asked again once it is up
     */
    if (version.len == 0 && session->health != HEALTH_UP)
        return ANSWER_FAILED;
    bool refused = version.len == 0;
    session->account_tried = true;
    if (!refused)
        session->next_account_ms = clock_monotonic_ms() + ACCOUNT_POLL_MS;
    if (refused != session->account_refused) {
        struct log_line line;
        log_begin(&line, refused ? LOG_ERROR : LOG_INFO, "harbor-account",
                  refused
                      ? "Harbor does not know the account any more: its secret is wrong, or it is "
                        "disabled or expired"
                      : "Harbor knows the account");
        json_member(&line.w, "harbor", session->name);
        json_member(&line.w, "version", version);
        log_end(&line);
        session->account_refused = refused;
    }
    return refused ? ANSWER_UNAUTHORIZED : ANSWER_YES;
}

static enum harbor_answer take_project(struct ask *ask, const struct harbor_reply *reply)
{
    struct session *session = ask->session;
    struct harbor_project project;
    enum harbor_answer answer = harbor_read_project(reply, &ask->arena, &project);
    ask->project->tried = true;
    if (answer == ANSWER_FAILED || answer == ANSWER_LATER) {
        long long again = clock_monotonic_ms() + PROJECT_POLL_FAILED_MS;
        if (session->next_project_ms > again)
            session->next_project_ms = again;
    }
    if (answer != ANSWER_YES)
        return answer;
    ask->project->known = true;
    ask->project->project.public_ = project.public_;
    ask->project->project.is_proxy = project.is_proxy;
    return answer;
}

static enum harbor_answer take_health(struct ask *ask, const struct harbor_reply *reply,
                                      const char *failure)
{
    bool healthy = false;
    bool read = harbor_read_health(reply, &healthy);
    take_poll(ask->session, read && healthy,
              healthy   ? "core, registry and database are healthy"
              : read    ? "core, registry or database is not healthy"
              : failure ? failure
                        : "its health report cannot be read");
    return !read ? ANSWER_FAILED : healthy ? ANSWER_YES : ANSWER_NO;
}

static void done(void *context, const struct http_reply *reply)
{
    struct ask *ask = context;
    struct session *session = ask->session;
    struct harbor_reply harbor_reply = {
        .status = reply->status,
        .json = is_json(reply->content_type),
        .manifest = is_manifest(reply->content_type),
        .has_challenge = reply->challenge.len != 0,
        .body = reply->body,
    };
    enum session_question kind = ask->kind;
    enum harbor_answer answer = ANSWER_FAILED;
    bool on = false;
    facts_lock(session->facts);
    if (kind == QUESTION_HEALTH) {
        answer = take_health(ask, &harbor_reply, reply->failure);
    } else if (kind == QUESTION_ACCOUNT) {
        answer = take_account(ask, &harbor_reply);
    } else if (kind == QUESTION_PROJECT) {
        answer = take_project(ask, &harbor_reply);
    } else if (kind == QUESTION_ARTIFACT) {
        answer = harbor_read_artifact(&harbor_reply);
        on = take_artifact(ask, reply, answer);
    } else if (kind == QUESTION_MANIFEST) {
        answer = harbor_read_manifest(&harbor_reply);
        on = take_manifest(ask, reply, answer);
    } else {
        on = take_token(ask, &harbor_reply, &answer);
    }
    session->questions[kind][answer]++;
    if (ask->entry || kind == QUESTION_TOKEN)
        feed_breaker(session, answer,
                     reply->failure ? reply->failure : "questions are not answered");
    if (!on) {
        if (ask->entry)
            facts_entry_done(session->facts, ask->entry);
        arena_done(&ask->arena);
        free(ask);
    }
    if (kind == QUESTION_HEALTH && session->in_use)
        session_poll(session,
                     clock_monotonic_ms()); /* Harbor is back: the account and the projects */
    facts_unlock(session->facts);
}

/* --- polls --- */

static void poll_projects(struct session *session)
{
    for (size_t i = 0; i < session->projects.capacity; i++) {
        const struct map_entry *entry = &session->projects.entries[i];
        if (!entry->value)
            continue;
        struct ask *ask = new_ask(session, QUESTION_PROJECT);
        struct buffer path = {0};
        ask->project = entry->value;
        harbor_project_path(entry->key, &path);
        send_path(ask, path.base, 0);
        buffer_done(&path);
    }
}

long long session_poll(struct session *session, long long now)
{
    if (now >= session->next_health_ms && !session->polling_health) {
        session->polling_health = true;
        session->next_health_ms = now + HEALTH_POLL_MS;
        send_path(new_ask(session, QUESTION_HEALTH), "/api/v2.0/health", HEALTH_TIMEOUT_MS);
    }
    if (now >= session->next_account_ms && !session->polling_account && session->authorization) {
        session->polling_account = true;
        session->account_asked_ms = now;
        session->next_account_ms = now + ACCOUNT_POLL_MS;
        send_path(new_ask(session, QUESTION_ACCOUNT), "/api/v2.0/systeminfo", 0);
    }
    if (now >= session->next_project_ms) {
        session->next_project_ms = now + PROJECT_POLL_MS;
        poll_projects(session);
    }
    long long next = session->next_project_ms;
    if (!session->polling_health && session->next_health_ms < next)
        next = session->next_health_ms;
    if (session->authorization && !session->polling_account && session->next_account_ms < next)
        next = session->next_account_ms;
    return next;
}
