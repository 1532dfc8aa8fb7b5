/* Talks with one Harbor. Callbacks come on libcurl's thread and take the lock themselves. */
#include "webhook/facts/session.h"

#include "webhook/facts/request.h"

#include "base/base64.h"
#include "base/digest.h"
#include "webhook/common/clock.h"
#include "webhook/common/files.h"
#include "webhook/common/log.h"
#include "webhook/facts/facts.h"

#include <limits.h>
#include <stdlib.h>

enum { CREDENTIAL_MAX_SIZE = 4096 };

/* --- the session --- */

void session_tell_poll(struct session *session, enum poll_kind kind, enum poll_event event)
{
    session->rounds = rounds_after(session->rounds, kind, event, clock_monotonic_ms());
}

static struct slice copy(struct session *session, struct slice text)
{
    return arena_copy(&session->arena, text);
}

/* An image without authorities, or a caFile that is not there: every question will fail. */
static void say_without_authorities(const struct session *session)
{
    const char *path;
    if (slice_starts_with(session->url, SLICE("https:")) &&
        !http_client_knows_authorities(session->ca_file.len ? session->ca_file.base : NULL, &path))
        log_message(LOG_ERROR, EVENT_HARBOR_AUTHORITIES,
                    "no authority is known: `%s` is not there, so Harbor `%s` cannot be trusted; "
                    "`api.caFile` names a file with its authority",
                    path ? path : "/etc/ssl/certs", session->name.base);
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
    say_without_authorities(session);
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
    for (size_t i = 0; i < session->projects.capacity; i++) {
        struct project_state *project = session->projects.entries[i].value;
        if (project)
            arena_done(&project->arena);
    }
    map_done(&session->projects);
    discovery_done(&session->discovery);
    arena_done(&session->allowlist_arena);
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
    session->discovers = harbor->discover;
    for (size_t i = 0; i < harbor->registry_count; i++) {
        struct slice project = harbor->registries[i].project;
        struct project_state *state = map_get(&session->projects, project);
        if (!state) {
            state = arena_allocate(&session->arena, sizeof(*state));
            *map_put(&session->projects, copy(session, project)) = state;
        }
        if (!state->named)
            session_tell_poll(session, POLL_PROJECTS, POLL_AT_ONCE);
        state->named = true;
    }
}

void session_set_gate(struct session *session, bool gated, enum severity from)
{
    if (gated && (!session->gated || from < session->scan_from)) {
        fact_cache_expire_all(&session->cache); /* what is kept is not enough */
        session_tell_poll(session, POLL_ALLOWLIST, POLL_AT_ONCE);
    }
    session->gated = gated;
    session->scan_from = from;
}

bool session_is_found(const struct session *session)
{
    bool found = !session->authorization || session->account_tried;
    if (session->health.state != HEALTH_UP)
        return session->health.state == HEALTH_DOWN;
    for (size_t i = 0; i < session->projects.capacity; i++) {
        const struct project_state *project = session->projects.entries[i].value;
        found &= !project || project->tried;
    }
    found &= !session->discovers || session->discovery.tried || session->account_refused;
    return found && (!session->gated || session->allowlist_tried);
}

bool session_is_warm(const struct session *session)
{
    bool loaded = !session->discovers || session->health.state != HEALTH_UP ||
                  session->discovery.generation == session->discovery.taken;
    return loaded && session_is_found(session);
}

enum harbor_health session_health(const struct session *session)
{
    if (session->health.state == HEALTH_UP && session->account_refused)
        return HEALTH_UNAUTHORIZED;
    return session->health.state;
}

/* --- the account --- */

static bool read_credential(const struct session *session, const char *name, struct buffer *ret)
{
    struct buffer path = {0};
    buffer_append_format(&path, "%s/%s", session->credentials_directory.base, name);
    struct error error;
    bool read = file_read_regular(path.base, CREDENTIAL_MAX_SIZE, ret, &error);
    if (!read && !session->account_unreadable) /* said once */
        log_message(LOG_WARNING, EVENT_HARBOR_ACCOUNT, "%s: %s", path.base, error.text);
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
            session_tell_poll(session, POLL_ACCOUNT, POLL_AT_ONCE);
        }
    }
    struct buffer *all[] = {&user, &password, &both, &header};
    for (size_t i = 0; i < 4; i++) {
        if (all[i]->base)
            explicit_bzero(all[i]->base, all[i]->capacity);
        buffer_done(all[i]);
    }
}

/* --- inquiries and scans --- */

static void copy_key(struct request *request, const struct artifact_key *key)
{
    request->inquiry.key = (struct artifact_key){arena_copy(&request->arena, key->project),
                                                 arena_copy(&request->arena, key->repository),
                                                 arena_copy(&request->arena, key->reference)};
}

void session_ask(struct session *session, struct fact_entry *entry, const struct artifact_key *key)
{
    struct request *request = request_new(session, REQUEST_ARTIFACT);
    request->entry = entry;
    copy_key(request, key);
    request_begin_inquiry(request);
}

/* So many a minute: each is work for Harbor's scanner. */
static bool may_scan(struct session *session, long long now)
{
    if (now - session->scans_minute_ms >= 60000) {
        session->scans_minute_ms = now;
        session->scans_in_minute = 0;
    }
    return session->scans_in_minute++ < SCANS_PER_MINUTE / facts_share(session->facts);
}

void session_request_scan(struct session *session, struct fact_entry *entry,
                          const struct artifact_key *key)
{
    long long now = clock_monotonic_ms();
    struct buffer path = {0};
    long long *again = fact_entry_scan_again(entry);
    if (!again || (*again && now < *again) || entry->asking ||
        session_health(session) != HEALTH_UP || !may_scan(session, now))
        return;
    struct request *request = request_new(session, REQUEST_SCAN);
    *again = now + SCAN_RETRY_MS; /* until Harbor has said yes */
    copy_key(request, key);
    harbor_scan_path(key, &path);
    request_send(request, REQUEST_SCAN, path.base);
    buffer_done(&path);
}

/* --- health --- */

static void log_health(const struct session *session, const char *why)
{
    bool up = session->health.state == HEALTH_UP;
    struct log_line line;
    log_begin(&line, up ? LOG_INFO : LOG_WARNING, EVENT_HARBOR_HEALTH,
              up ? "Harbor can serve pulls"
                 : "Harbor cannot serve pulls: images are kept where the Policy says so");
    json_member(&line.w, "harbor", session->name);
    json_member_bool(&line.w, "healthy", up);
    json_member_text(&line.w, "detail", why);
    log_end(&line);
}

static void tell_health(struct session *session, enum health_event event, const char *why)
{
    enum harbor_health before = session->health.state;
    session->health = health_after(session->health, event, clock_monotonic_ms());
    if (session->health.state == before)
        return;
    session->refused_since_ms = clock_monotonic_ms();
    if (session->health.state == HEALTH_UP) { /* what it could not say while it was ill */
        if (before == HEALTH_DOWN || !session->account_tried)
            session_tell_poll(session, POLL_ACCOUNT, POLL_AT_ONCE);
        if (before == HEALTH_DOWN) {
            session_tell_poll(session, POLL_PROJECTS, POLL_AT_ONCE);
            session_tell_poll(session, POLL_ALLOWLIST, POLL_AT_ONCE);
        }
    }
    log_health(session, why);
}

void session_doubt_health(struct session *session)
{
    tell_health(session, HEALTH_DOUBTED, NULL);
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

void session_doubt_account(struct session *session)
{
    if (session->authorization)
        session_tell_poll(session, POLL_ACCOUNT, POLL_DOUBTED);
}

static void log_account(const struct session *session, bool refused, struct slice version)
{
    struct log_line line;
    log_begin(&line, refused ? LOG_ERROR : LOG_INFO, EVENT_HARBOR_ACCOUNT,
              refused ? "Harbor no longer accepts the account: its secret is wrong, or it is "
                        "disabled or expired"
                      : "Harbor accepts the account");
    json_member(&line.w, "harbor", session->name);
    json_member(&line.w, "version", version);
    log_end(&line);
}

/* The account counts as refused at once, which keeps images; but it is not said before the health
 * that goes with it is sure: a database that has just died makes Harbor say the same. */
static void refuse_account(struct session *session, struct slice version)
{
    long long now = clock_monotonic_ms();
    if (!session->account_refused) {
        session->account_refused = true;
        session->refused_since_ms = now;
        session_doubt_health(session);
    }
    if (session->account_refused_said || now - session->refused_since_ms < ACCOUNT_SURE_MS)
        return;
    session->account_refused_said = true;
    log_account(session, true, version);
}

static void know_account(struct session *session, struct slice version)
{
    session_tell_poll(session, POLL_ACCOUNT, POLL_ENDED);
    if (session->account_refused) { /* what it did not show */
        session_tell_poll(session, POLL_PROJECTS, POLL_AT_ONCE);
        session_tell_poll(session, POLL_UPSTREAMS, POLL_AT_ONCE);
    }
    if (session->account_refused_said)
        log_account(session, false, version);
    session->account_refused = session->account_refused_said = false;
}

static enum harbor_answer take_account(struct request *request, const struct harbor_reply *reply)
{
    struct session *session = request->session;
    struct slice version;
    bool known;
    session_tell_poll(session, POLL_ACCOUNT, POLL_FAILED);
    if (request->account_generation != session->account_generation) {
        session_tell_poll(session, POLL_ACCOUNT,
                          POLL_AT_ONCE); /* the answer is about the account before */
        return ANSWER_FAILED;
    }
    if (!harbor_read_systeminfo(reply, &request->arena, &known, &version)) {
        session->account_tried = true;
        return ANSWER_FAILED;
    }
    /* while the database is down a good account looks unknown too (1107): asked again once it is up
     */
    if (!known && session->health.state != HEALTH_UP)
        return ANSWER_FAILED;
    session->account_tried = true;
    if (known)
        know_account(session, version);
    else
        refuse_account(session, version);
    return known ? ANSWER_YES : ANSWER_UNAUTHORIZED;
}

/* Copies what the answer's body holds. */
static struct cve_allowlist copy_allowlist(const struct cve_allowlist *list, struct arena *arena)
{
    struct cve_allowlist copied = *list;
    copied.ids = arena_allocate(arena, list->count * sizeof(*copied.ids));
    for (size_t i = 0; i < list->count; i++)
        copied.ids[i] = arena_copy(arena, list->ids[i]);
    return copied;
}

static void keep_project(struct session *session, struct slice name,
                         const struct harbor_project *project)
{
    struct project_state *state = map_get(&session->projects, name);
    if (!state && session->projects.count >= SESSION_MAX_PROJECTS)
        return;
    if (!state) {
        state = arena_allocate(&session->arena, sizeof(*state));
        *map_put(&session->projects, copy(session, name)) = state;
    }
    arena_done(&state->arena);
    state->arena = (struct arena){0};
    state->project = *project;
    state->project.filter = arena_copy(&state->arena, project->filter);
    state->project.filter_kind = arena_copy(&state->arena, project->filter_kind);
    state->project.allowlist = copy_allowlist(&project->allowlist, &state->arena);
    state->known = state->tried = true;
    state->read_ms = clock_monotonic_ms();
}

enum harbor_answer session_take_project(struct session *session, struct slice name,
                                        const struct harbor_reply *reply)
{
    struct arena arena = {0};
    struct harbor_project project;
    struct project_state *state = map_get(&session->projects, name);
    enum harbor_answer answer = harbor_read_project(reply, &arena, &project);
    if (answer == ANSWER_YES)
        keep_project(session, name, &project);
    else if (state)
        state->tried = true;
    arena_done(&arena);
    return answer;
}

bool session_lacks_project(struct session *session, struct slice name)
{
    const struct project_state *state = map_get(&session->projects, name);
    return !state || (!state->named && state->read_ms + PROJECT_POLL_MS < clock_monotonic_ms());
}

bool session_misses_project(const struct session *session, struct slice name)
{
    const struct project_state *state = map_get(&session->projects, name);
    return state && state->missing;
}

static void set_missing(struct session *session, struct slice name, bool missing)
{
    struct project_state *state = map_get(&session->projects, name);
    if (!state || state->missing == missing)
        return;
    struct log_line line;
    log_begin(&line, missing ? LOG_ERROR : LOG_INFO, EVENT_HARBOR_PROJECT,
              missing ? "Harbor has no such project: the images of its registry are kept"
                      : "Harbor has the project now");
    json_member(&line.w, "harbor", session->name);
    json_member(&line.w, "project", name);
    log_end(&line);
    state->missing = missing;
    if (missing)
        state->known = false;
}

/* Whether the project is there at all: an account without rights on it is told 403 in both cases.
 */
static void ask_existence(struct request *request)
{
    struct buffer path = {0};
    harbor_existence_path(request->project, &path);
    request_send(request, REQUEST_EXISTENCE, path.base);
    buffer_done(&path);
}

/* True where the request goes on. */
static bool take_polled_project(struct request *request, const struct harbor_reply *reply,
                                enum harbor_answer *ret)
{
    struct session *session = request->session;
    struct project_state *state = map_get(&session->projects, request->project);
    bool first = request->kind == REQUEST_PROJECT, was_tried = state && state->tried;
    *ret = first ? session_take_project(session, request->project, reply)
                 : harbor_read_existence(reply);
    if (*ret == ANSWER_FAILED || *ret == ANSWER_LATER)
        session_tell_poll(session, POLL_PROJECTS, POLL_FAILED);
    else if (*ret != ANSWER_UNAUTHORIZED)
        set_missing(session, request->project, *ret == ANSWER_NO);
    bool on = first && *ret == ANSWER_UNAUTHORIZED && session->authorization && state;
    if (state)
        state->tried = !on || was_tried;
    if (on)
        ask_existence(request);
    return on;
}

static enum harbor_answer take_allowlist(struct request *request, const struct harbor_reply *reply)
{
    struct session *session = request->session;
    struct cve_allowlist list;
    session->allowlist_tried = true;
    if (reply->status != 200 || !cve_allowlist_read(reply->body, &request->arena, &list)) {
        session_tell_poll(session, POLL_ALLOWLIST, POLL_FAILED);
        return harbor_read_failure(reply);
    }
    session_tell_poll(session, POLL_ALLOWLIST, POLL_ENDED);
    arena_done(&session->allowlist_arena);
    session->allowlist_arena = (struct arena){0};
    session->allowlist = copy_allowlist(&list, &session->allowlist_arena);
    session->allowlist_known = true;
    return ANSWER_YES;
}

static enum harbor_answer take_scan(struct request *request, const struct harbor_reply *reply)
{
    struct session *session = request->session;
    struct fact_entry *entry = facts_find_entry(session, &request->inquiry.key);
    long long now = clock_monotonic_ms();
    long long *again = entry ? fact_entry_scan_again(entry) : NULL;
    switch (harbor_read_scan_request(reply)) {
    case SCAN_REQUEST_ACCEPTED:
    case SCAN_REQUEST_UNDER_WAY:
        if (again) {
            *again = now + SCAN_AGAIN_MS;
            if (fact_entry_lives(entry, now + FACT_SCAN_RUNNING_MS))
                fact_entry_live_until(entry, now + FACT_SCAN_RUNNING_MS);
        }
        return ANSWER_YES;
    case SCAN_REQUEST_UNSUPPORTED:
    case SCAN_REQUEST_NO_SCANNER:
        return ANSWER_REFUSED;
    case SCAN_REQUEST_UNAUTHORIZED:
        return ANSWER_UNAUTHORIZED;
    case SCAN_REQUEST_NOT_FOUND:
        return ANSWER_NO;
    case SCAN_REQUEST_FAILED:
        break;
    }
    return ANSWER_FAILED;
}

/* Why Harbor is ill, or that it is not: for people. */
static struct slice tell_why(struct request *request, const struct harbor_reply *reply, bool read,
                             bool healthy, const char *failure)
{
    struct arena *arena = &request->arena;
    if (healthy)
        return SLICE("core, registry and database are healthy");
    if (failure)
        return slice_from(failure);
    if (!read)
        return arena_format(arena, "HTTP %ld in place of a health report", reply->status);
    struct slice parts = harbor_read_ill_parts(reply, arena);
    bool many = memmem(parts.base, parts.len, " and ", 5) != NULL;
    return arena_format(arena, "its %.*s %s not healthy", SLICE_ARGS(parts), many ? "are" : "is");
}

static void tell_redis(struct session *session, bool away)
{
    if (away == session->redis_away)
        return;
    struct log_line line;
    session->redis_away = away;
    log_begin(&line, away ? LOG_WARNING : LOG_INFO, EVENT_HARBOR_REDIS,
              away ? "Harbor's redis is not healthy: pulls and questions take seconds, and images "
                     "that are new may be kept as not-known-in-time"
                   : "Harbor's redis is healthy");
    json_member(&line.w, "harbor", session->name);
    log_end(&line);
}

static enum harbor_answer take_health(struct request *request, const struct harbor_reply *reply,
                                      const char *failure)
{
    bool healthy = false;
    bool read = harbor_read_health(reply, &healthy);
    if (read)
        tell_redis(request->session, harbor_lacks_redis(reply));
    struct slice why = tell_why(request, reply, read, healthy, failure);
    tell_health(request->session, read && healthy ? HEALTH_POLL_GOOD : HEALTH_POLL_BAD, why.base);
    return !read ? ANSWER_FAILED : healthy ? ANSWER_YES : ANSWER_NO;
}

static enum harbor_answer take_poll_answer(struct request *request,
                                           const struct harbor_reply *reply, const char *failure)
{
    switch (request->kind) {
    case REQUEST_HEALTH:
        return take_health(request, reply, failure);
    case REQUEST_ACCOUNT:
        return take_account(request, reply);
    case REQUEST_ALLOWLIST:
        return take_allowlist(request, reply);
    case REQUEST_SCAN:
        return take_scan(request, reply);
    case REQUEST_PROJECT:
    case REQUEST_EXISTENCE:
    case REQUEST_PROJECTS:
    case REQUEST_SUMMARY:
    case REQUEST_FILTER:
    case REQUEST_ARTIFACT:
    case REQUEST_MANIFEST:
    case REQUEST_TOKEN:
    case REQUEST_CHILD:
    case REQUEST_REPORT:
    case REQUEST_PULL_GATE:
    case REQUEST_STORED_TAG:
    case REQUEST_COUNT:
        break;
    }
    return ANSWER_FAILED;
}

/* What an image's Pod waits for; a report may also be too large, and a scanner away. */
static bool feeds_breaker(enum request_kind kind)
{
    return kind == REQUEST_ARTIFACT || kind == REQUEST_CHILD || kind == REQUEST_MANIFEST ||
           kind == REQUEST_TOKEN;
}

void session_take_reply(void *context, const struct http_reply *reply)
{
    struct request *request = context;
    struct session *session = request->session;
    struct harbor_reply harbor_reply = {
        .status = reply->status,
        .json = is_json(reply->content_type),
        .manifest = is_manifest(reply->content_type),
        .challenge = reply->challenge,
        .retry_after = reply->retry_after,
        .body = reply->body,
    };
    enum request_kind kind = request->kind;
    enum harbor_answer answer = ANSWER_FAILED;
    bool on = false;
    facts_lock(session->facts);
    if (request->entry)
        on = request_take_inquiry(request, &harbor_reply, &answer);
    else if (kind == REQUEST_PROJECT || kind == REQUEST_EXISTENCE)
        on = take_polled_project(request, &harbor_reply, &answer);
    else if (kind == REQUEST_PROJECTS || kind == REQUEST_SUMMARY)
        on = discovery_take(request, &harbor_reply, &answer);
    else
        answer = take_poll_answer(request, &harbor_reply, reply->failure);
    session->requests[kind][answer]++;
    if (feeds_breaker(kind))
        tell_health(session, answer == ANSWER_FAILED ? HEALTH_NOT_ANSWERED : HEALTH_ANSWERED,
                    reply->failure ? reply->failure : "requests are not answered");
    if (!on) {
        if (request->entry)
            facts_entry_done(session->facts, request->entry);
        request_free(request);
    }
    /* Harbor is back: the account; and after it, which projects there are */
    if ((kind == REQUEST_HEALTH || kind == REQUEST_ACCOUNT) && session->in_use)
        session_poll(session, clock_monotonic_ms());
    facts_unlock(session->facts);
}

/* --- facts of projects --- */

void session_add_project(const struct session *session, struct slice name, long long now,
                         struct artifact_fact *fact)
{
    const struct project_state *state = map_get(&session->projects, name);
    if (!state || !state->known)
        return;
    const struct harbor_project *project = &state->project;
    const struct cve_allowlist *list = &project->allowlist;
    fact->public_ = project->public_;
    if (project->reuse_system_allowlist)
        list = &session->allowlist;
    if (project->reuse_system_allowlist && !session->allowlist_known)
        return;
    bool expired = list->expires && now >= list->expires;
    fact->has_allowlist = list->count && !expired ? TRUTH_YES : TRUTH_NO;
    for (size_t i = 0; i < fact->scan.finding_count; i++)
        fact->scan.findings[i].allowlisted =
            cve_allowlist_has(list, fact->scan.findings[i].id, now);
}

/* --- polls --- */

static void poll_projects(struct session *session)
{
    for (size_t i = 0; i < session->projects.capacity; i++) {
        const struct map_entry *entry = &session->projects.entries[i];
        const struct project_state *state = entry->value;
        if (!state || !state->named)
            continue;
        struct request *request = request_new(session, REQUEST_PROJECT);
        struct buffer path = {0};
        request->project = arena_copy(&request->arena, entry->key);
        harbor_project_path(entry->key, &path);
        request_send(request, REQUEST_PROJECT, path.base);
        buffer_done(&path);
    }
}

static void start_poll(struct session *session, enum poll_kind kind)
{
    session_tell_poll(session, kind, POLL_SENT);
    switch (kind) {
    case POLL_ACCOUNT:
        request_send(request_new(session, REQUEST_ACCOUNT), REQUEST_ACCOUNT,
                     "/api/v2.0/systeminfo");
        break;
    case POLL_PROJECTS:
        poll_projects(session);
        break;
    case POLL_ALLOWLIST:
        request_send(request_new(session, REQUEST_ALLOWLIST), REQUEST_ALLOWLIST,
                     HARBOR_SYSTEM_ALLOWLIST_PATH);
        break;
    case POLL_UPSTREAMS:
        discovery_begin(session);
        break;
    case POLL_COUNT:
        break;
    }
}

/* Without its account Harbor lists public projects only. */
static bool may_discover(const struct session *session)
{
    return session_health(session) == HEALTH_UP &&
           (session->account_tried || !session->authorization);
}

long long session_poll(struct session *session, long long now)
{
    unsigned wanted = 1U << POLL_PROJECTS | (session->authorization ? 1U << POLL_ACCOUNT : 0) |
                      (session->gated ? 1U << POLL_ALLOWLIST : 0) |
                      (may_discover(session) ? 1U << POLL_UPSTREAMS : 0);
    if (now >= session->health.next_ms && !session->health.polling) {
        session->health = health_after(session->health, HEALTH_POLL_SENT, now);
        request_send(request_new(session, REQUEST_HEALTH), REQUEST_HEALTH, "/api/v2.0/health");
    }
    for (enum poll_kind kind = 0; kind < POLL_COUNT; kind++)
        if ((wanted & 1U << kind) && rounds_is_due(&session->rounds, kind, now))
            start_poll(session, kind);
    return rounds_next(&session->rounds, wanted,
                       session->health.polling ? LLONG_MAX : session->health.next_ms);
}
