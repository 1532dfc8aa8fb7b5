/* Sends requests, and carries inquiries from one to the next. */
#include "webhook/facts/request.h"

#include "webhook/common/clock.h"
#include "webhook/facts/facts.h"

#include <stdlib.h>

/* Thousands may wait for their turn: a key, and little more. */
enum { FIRST_BLOCK = 96 };

enum {
    STORED_TAG_TIMEOUT_MS = 1000, /* there is a copy: an upstream is not waited for longer, */
    STORED_TAG_TURN_MS = 200,     /* nor is a turn to ask one */
};

struct request *request_new(struct session *session, enum request_kind kind)
{
    struct request *request = memory_allocate_zeroed(1, sizeof(*request));
    request->arena.first_block = FIRST_BLOCK;
    request->inquiry.arena = &request->arena;
    request->session = session;
    request->kind = kind;
    request->account_generation = session->account_generation;
    session->in_flight++;
    return request;
}

void request_free(struct request *request)
{
    request->session->in_flight--;
    inquiry_done(&request->inquiry);
    buffer_done(&request->path);
    arena_done(&request->arena);
    free(request);
}

/* --- sending --- */

#define ACCEPT_JSON "Accept: application/json"
#define ACCEPT_MANIFEST                                                                            \
    "Accept: application/vnd.oci.image.index.v1+json, "                                            \
    "application/vnd.oci.image.manifest.v1+json, "                                                 \
    "application/vnd.docker.distribution.manifest.list.v2+json, "                                  \
    "application/vnd.docker.distribution.manifest.v2+json"

/* What differs from a GET with our account. */
static struct http_request describe(enum request_kind kind)
{
    struct http_request http = {.headers = {ACCEPT_JSON}};
    if (kind == REQUEST_EXISTENCE) {
        http.head = true;
    } else if (kind == REQUEST_MANIFEST || kind == REQUEST_PULL_GATE) {
        http.head = true;
        http.headers[0] = ACCEPT_MANIFEST;
    } else if (kind == REQUEST_STORED_TAG) {
        http.head = true;
        http.headers[0] = ACCEPT_MANIFEST;
        http.timeout_ms = STORED_TAG_TIMEOUT_MS;
    } else if (kind == REQUEST_SCAN) {
        http.body = "{\"scan_type\":\"vulnerability\"}";
        http.headers[1] = "Content-Type: application/json";
    } else if (kind == REQUEST_PROJECT) { /* a name, also one of digits only */
        http.headers[1] = "X-Is-Resource-Name: true";
    } else if (kind == REQUEST_HEALTH) {
        http.timeout_ms = HEALTH_TIMEOUT_MS;
    } else if (kind == REQUEST_REPORT) {
        http.max_body = REPORT_MAX_BODY;
    }
    return http;
}

/* How long this HEAD has to wait for its turn: it makes Harbor ask its upstream. */
static long head_delay(struct session *session)
{
    long long now = clock_monotonic_ms(), earliest = now - HEAD_BURST_MS;
    if (session->next_head_ms < earliest)
        session->next_head_ms = earliest;
    session->next_head_ms += 1000 / HEADS_PER_SECOND;
    return session->next_head_ms > now ? (long)(session->next_head_ms - now) : 0;
}

/* To Harbor's own host, as the policy names it, and to no other (E2). */
static void send_to_harbor(struct request *request, const char *path, const char *authorization)
{
    struct session *session = request->session;
    struct http_request http = describe(request->kind);
    struct buffer url = {0};
    buffer_append(&url, session->url);
    buffer_append_text(&url, path);
    http.url = url.base;
    http.authorization = authorization;
    http.ca_file = session->ca_file.len ? session->ca_file.base : NULL;
    bool upstream = request->kind == REQUEST_MANIFEST || request->kind == REQUEST_STORED_TAG;
    http.delay_ms = upstream ? head_delay(session) : 0;
    http_client_send(facts_client(session->facts), &http, session_take_reply, request);
    buffer_done(&url);
}

void request_send(struct request *request, enum request_kind kind, const char *path)
{
    request->kind = kind;
    /* health needs no account, and with a dead one Harbor takes 1.5 s longer (1009) */
    send_to_harbor(request, path, kind == REQUEST_HEALTH ? NULL : request->session->authorization);
}

/* --- reports: they can be several MB, few at once --- */

static void send_report(struct request *request)
{
    request->session->reports++;
    request_send(request, REQUEST_REPORT, request->path.base);
    buffer_done(&request->path);
    request->path = (struct buffer){0};
}

static void queue_report(struct request *request, struct buffer path)
{
    struct session *session = request->session;
    request->path = path;
    if (session->reports < REPORTS_AT_ONCE) {
        send_report(request);
        return;
    }
    struct request **end = &session->report_queue;
    while (*end)
        end = &(*end)->next;
    *end = request;
}

static void next_report(struct session *session)
{
    struct request *request = session->report_queue;
    session->reports--;
    if (!request)
        return;
    session->report_queue = request->next;
    request->next = NULL;
    send_report(request);
}

/* --- inquiries --- */

static long left(long long until_ms, long long now)
{
    return until_ms > now ? (long)(until_ms - now) : 0;
}

static struct inquiry_view view_of(struct request *request)
{
    long long now = clock_monotonic_ms();
    const struct fact_entry *entry = request->entry;
    struct session *session = request->session;
    struct slice name = request->inquiry.key.project;
    const struct project_state *project = map_get(&session->projects, name);
    return (struct inquiry_view){
        .project = project && project->known ? &project->project : NULL,
        .lacks_project = session_lacks_project(session, name),
        .quiet_ms = project ? project->quiet_until_ms - now : 0,
        .copy_will_do = (project && now < project->copy_until_ms) ||
                        session->next_head_ms > now + STORED_TAG_TURN_MS,
        .servable = now < fact_entry_upstream_ms(entry) ? entry->upstream_has : TRUTH_UNKNOWN,
        .servable_ms = left(fact_entry_upstream_ms(entry), now),
        .scan_from = session->scan_from,
        .realm = session->realm ? slice_from(session->realm) : (struct slice){0},
        .service = session->service ? slice_from(session->service) : (struct slice){0},
    };
}

static void send_step(struct request *request, struct inquiry_step step)
{
    struct slice bearer = {0};
    const char *path = step.path.base;
    request->kind = request->inquiry.kind;
    switch ((unsigned)request->kind) {
    case REQUEST_REPORT:
        queue_report(request, step.path);
        return;
    case REQUEST_MANIFEST:
    case REQUEST_PULL_GATE:
    case REQUEST_STORED_TAG:
    case REQUEST_FILTER:
        if (step.token.len)
            bearer = arena_format(&request->arena, "Bearer %.*s", SLICE_ARGS(step.token));
        send_to_harbor(request, path, bearer.base);
        break;
    default:
        request_send(request, request->kind, path);
    }
    buffer_done(&step.path);
}

void request_begin_inquiry(struct request *request)
{
    struct inquiry_view view = view_of(request);
    send_step(request, inquiry_begin(&request->inquiry, &view, request->entry->asking));
}

static void keep(struct request *request, const struct inquiry_step *step)
{
    struct fact_entry *entry = request->entry;
    long long now = clock_monotonic_ms();
    fact_cache_set(&request->session->cache, entry, step->knows, step->fact);
    fact_entry_live_until(entry, now + step->live_ms);
    if (step->servable_ms)
        fact_entry_keep_upstream(entry, step->fact->servable, now + step->servable_ms);
}

/* True where it is asked again: somebody joined who needs more, or what was asked has changed. */
static bool end_known(struct request *request, struct inquiry_step step)
{
    struct fact_entry *entry = request->entry;
    if ((entry->asking & ~step.knows) || entry->outdated) {
        entry->outdated = false;
        request_begin_inquiry(request);
        return true;
    }
    if (step.fact->present == TRUTH_NO && step.fact->servable != TRUTH_YES && entry->hints) {
        entry->hints--;
        step.live_ms = FACT_FAILED_MS;
    }
    keep(request, &step);
    return false;
}

static bool end_failed(struct request *request, struct inquiry_step step)
{
    request->entry->failed = true;
    request->entry->known = false;
    fact_entry_live_until(request->entry, clock_monotonic_ms() + step.live_ms);
    return false;
}

static void remember_realm(struct session *session, char *realm, char *service)
{
    free(session->realm);
    free(session->service);
    session->realm = realm;
    session->service = service;
}

/* What a step tells of more than its artifact. */
static void learn(struct request *request, const struct harbor_reply *reply,
                  const struct inquiry_step *step)
{
    struct session *session = request->session;
    struct project_state *project = map_get(&session->projects, request->inquiry.key.project);
    if (request->kind == REQUEST_ARTIFACT && reply->status == 401)
        session_doubt_account(session);
    if (step->answer == ANSWER_LATER && reply->retry_after) {
        long seconds = reply->retry_after < FACT_RETRY_AFTER_MAX_S ? reply->retry_after
                                                                   : FACT_RETRY_AFTER_MAX_S;
        long long until = clock_monotonic_ms() + seconds * 1000;
        if (request->kind == REQUEST_ARTIFACT)
            session->quiet_until_ms = until;
        else if ((request->kind == REQUEST_MANIFEST || request->kind == REQUEST_STORED_TAG) &&
                 project)
            project->quiet_until_ms = until;
    }
    bool unsaid = step->answer == ANSWER_LATER || step->answer == ANSWER_FAILED;
    if (request->kind == REQUEST_STORED_TAG && unsaid && project)
        project->copy_until_ms = clock_monotonic_ms() + FACT_COPY_MS; /* one waits, not each */
    if (step->realm.len)
        remember_realm(session, memory_copy_slice(step->realm), memory_copy_slice(step->service));
    else if (request->kind == REQUEST_TOKEN && step->answer != ANSWER_YES)
        remember_realm(session, NULL, NULL); /* the next HEAD is challenged anew */
}

bool request_take_inquiry(struct request *request, const struct harbor_reply *reply,
                          enum harbor_answer *ret)
{
    struct session *session = request->session;
    enum harbor_answer project = ANSWER_FAILED;
    if (request->kind == REQUEST_REPORT)
        next_report(session);
    if (request->kind == REQUEST_PROJECT)
        project = session_take_project(session, request->inquiry.key.project, reply);
    struct inquiry_view view = view_of(request);
    struct inquiry_step step = inquiry_take(&request->inquiry, &view, reply);
    if (request->kind == REQUEST_PROJECT)
        step.answer = project;
    *ret = step.answer;
    learn(request, reply, &step);
    if (step.end == INQUIRY_KNOWN)
        return end_known(request, step);
    if (step.end == INQUIRY_FAILED)
        return end_failed(request, step);
    if (step.fact)
        keep(request, &step);
    send_step(request, step);
    return true;
}
