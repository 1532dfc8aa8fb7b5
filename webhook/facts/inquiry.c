/* The question about one artifact, step by step. Steps that are not needed are left out:
 *
 *   its project, where no policy names it              (for its CVE allowlist)
 *   the database: is it there, what does its scan say
 *     the report, where the overview has findings that a gate asks for, or is gone
 *     the children of an index, where the index does not speak for all of them
 *     Harbor's own pull gate, by a HEAD of what is stored: nobody else is asked for that
 *   the proxy, where it is not there: would a pull find it upstream
 *
 * Everybody who waits is told at the end. */
#include "webhook/facts/ask.h"

#include "webhook/common/clock.h"
#include "webhook/facts/facts.h"

#include "json/pointer.h"

#include <stdlib.h>

/* --- the ends --- */

static bool finish(struct ask *ask, long ms)
{
    struct fact_entry *entry = ask->entry;
    fact_needs knows = ask->asked;
    if (ask->progress->fact.present == TRUTH_YES) {
        ask->progress->fact.servable = TRUTH_YES;
        knows |= FACT_SERVABLE;
    }
    if (ask->progress->fact.unauthorized)
        knows |= FACT_PRESENT | FACT_SERVABLE | FACT_SCAN;
    /* somebody joined who needs more, or what was asked has changed meanwhile */
    if ((entry->asking & ~knows) || entry->outdated) {
        entry->outdated = false;
        artifact_ask_begin(ask);
        return true;
    }
    if (ask->progress->fact.present == TRUTH_NO && ask->progress->fact.servable != TRUTH_YES &&
        entry->hints) {
        entry->hints--;
        ask->progress->short_lived = true;
    }
    fact_cache_set(&ask->session->cache, entry, knows, &ask->progress->fact);
    fact_entry_live_until(entry, clock_monotonic_ms() +
                                     (ask->progress->short_lived ? FACT_FAILED_MS : ms));
    return false;
}

static bool fail(struct ask *ask, long retry_after)
{
    struct fact_entry *entry = ask->entry;
    long wait = retry_after < FACT_RETRY_AFTER_MAX_S ? retry_after : FACT_RETRY_AFTER_MAX_S;
    entry->failed = true;
    entry->known = false;
    fact_entry_live_until(entry, clock_monotonic_ms() + (wait ? wait * 1000 : FACT_FAILED_MS));
    return false;
}

static bool end_unauthorized(struct ask *ask)
{
    ask->progress->fact = (struct artifact_fact){.unauthorized = true};
    return finish(ask, FACT_NEGATIVE_MS);
}

/* How long what the database says is good for. */
static long lifetime(const struct ask *ask)
{
    if (!(ask->asked & FACT_SCAN))
        return FACT_POSITIVE_MS;
    switch (ask->progress->fact.scan.status) {
    case SCAN_DONE:
    case SCAN_NOT_SCANNABLE:
        return FACT_SCAN_MS;
    case SCAN_RUNNING:
        return FACT_SCAN_RUNNING_MS;
    case SCAN_UNKNOWN:
    case SCAN_NONE:
    case SCAN_FAILED:
        break;
    }
    return FACT_NEGATIVE_MS;
}

/* --- HEADs: the pull gate, and the proxy --- */

/* How long this HEAD has to wait for its turn: it makes Harbor ask its upstream. */
static long head_delay(struct session *session)
{
    long long now = clock_monotonic_ms(), earliest = now - HEAD_BURST_MS;
    if (session->next_head_ms < earliest)
        session->next_head_ms = earliest;
    session->next_head_ms += 1000 / HEADS_PER_SECOND;
    return session->next_head_ms > now ? (long)(session->next_head_ms - now) : 0;
}

/* What Harbor knows of the artifact's project, or NULL. */
static struct project_state *project_of(const struct ask *ask)
{
    struct project_state *project = map_get(&ask->session->projects, ask->key.project);
    return project && project->known ? project : NULL;
}

static bool has_filter(const struct ask *ask)
{
    const struct project_state *project = project_of(ask);
    return project && project->project.filter.len;
}

/* HEADs ask->progress->head_reference as `kind`, by way of the token service once its place is
 * known. */
static bool send_head(struct ask *ask, enum session_question kind)
{
    ask->progress->head_kind = kind;
    if (ask->session->realm && ask->progress->token.len == 0) {
        ask_send_token(ask);
        return true;
    }
    ask->kind = kind; /* without a token its challenge names the token service */
    ask_send_manifest(ask, kind == QUESTION_MANIFEST ? head_delay(ask->session) : 0);
    return true;
}

static bool take_token(struct ask *ask, const struct harbor_reply *reply, enum harbor_answer *ret)
{
    struct slice token;
    long seconds;
    if (harbor_read_token(reply, &ask->arena, &token, &seconds)) {
        *ret = ANSWER_YES;
        ask->progress->token = arena_copy(&ask->arena, token);
        return send_head(ask, ask->progress->head_kind);
    }
    *ret = reply->status == 401 || reply->status == 403 ? ANSWER_UNAUTHORIZED : ANSWER_FAILED;
    if (ask->progress->head_kind == QUESTION_PULL_GATE) {
        ask->progress->short_lived = true; /* it is there; whether Harbor refuses it is not known */
        return finish(ask, 0);
    }
    return *ret == ANSWER_UNAUTHORIZED ? end_unauthorized(ask) : fail(ask, 0);
}

/* A 401 that names the token service: once more, with a token. */
static bool follow_challenge(struct ask *ask, const struct http_reply *reply)
{
    struct session *session = ask->session;
    struct slice realm, service;
    if (ask->progress->challenged ||
        !harbor_read_challenge(reply->challenge, &ask->arena, &realm, &service))
        return false;
    ask->progress->challenged = true;
    free(session->realm);
    free(session->service);
    session->realm = memory_copy_slice(realm);
    session->service = memory_copy_slice(service);
    ask_send_token(ask);
    return true;
}

static bool take_manifest(struct ask *ask, const struct http_reply *reply,
                          enum harbor_answer answer)
{
    struct project_state *project = map_get(&ask->session->projects, ask->key.project);
    if (answer == ANSWER_UNAUTHORIZED && follow_challenge(ask, reply))
        return true;
    switch (answer) {
    case ANSWER_YES:
        ask->progress->fact.servable = TRUTH_YES;
        return finish(ask, FACT_SERVABLE_MS);
    case ANSWER_NO:
        ask->progress->fact.servable = TRUTH_NO;
        if (!has_filter(ask))
            return finish(ask, FACT_NEGATIVE_MS);
        ask->kind = QUESTION_FILTER; /* a HEAD has no body that says why */
        ask_send_filter(ask);
        return true;
    case ANSWER_UNAUTHORIZED:
        return end_unauthorized(ask);
    case ANSWER_REFUSED:
        ask->progress->fact.refused_by_gate = true;
        return finish(ask, FACT_SERVABLE_MS);
    case ANSWER_LATER:
        if (project && reply->retry_after)
            project->quiet_until_ms = ask_quiet_until(reply->retry_after);
        break;
    case ANSWER_FAILED:
        break;
    }
    return fail(ask, reply->retry_after);
}

static bool take_filter(struct ask *ask, const struct http_reply *reply,
                        const struct harbor_reply *harbor_reply, enum harbor_answer *ret)
{
    if (harbor_reply->status != 404) {
        *ret = ANSWER_FAILED;
        return fail(ask, reply->retry_after);
    }
    *ret = ANSWER_NO;
    ask->progress->fact.outside_filter = harbor_says_filtered(harbor_reply);
    return finish(ask, ask->progress->fact.outside_filter ? FACT_SERVABLE_MS : FACT_NEGATIVE_MS);
}

/* What a node would pull from the database: the image, or the children of the index. Harbor's pull
 * gate passes indexes and refuses children; its proxy filter refuses what it stores, too. */
static bool next_pull_gate(struct ask *ask)
{
    const struct project_state *project = project_of(ask);
    bool gated = project && project->project.prevent_vul, filtered = has_filter(ask);
    size_t leaves =
        ask->progress->index ? ask->progress->child_count : ask->progress->fact.digest.len > 0;
    if (!gated && leaves > 1)
        leaves = 1; /* one tells of the repository */
    if ((!gated && !filtered) || ask->progress->fact.refused_by_gate ||
        ask->progress->fact.outside_filter || ask->progress->child_at >= leaves)
        return finish(ask, lifetime(ask));
    ask->progress->head_reference = ask->progress->index
                                        ? ask->progress->children[ask->progress->child_at]
                                        : ask->progress->fact.digest;
    ask->progress->child_at++;
    return send_head(ask, QUESTION_PULL_GATE);
}

static bool take_pull_gate(struct ask *ask, const struct http_reply *reply,
                           enum harbor_answer answer)
{
    if (answer == ANSWER_UNAUTHORIZED && follow_challenge(ask, reply))
        return true;
    if (answer == ANSWER_REFUSED)
        ask->progress->fact.refused_by_gate = true;
    else if (answer == ANSWER_NO && has_filter(ask))
        ask->progress->fact.outside_filter = true; /* it is there, and Harbor says that it is not */
    else if (answer == ANSWER_FAILED || answer == ANSWER_LATER)
        ask->progress->short_lived =
            true; /* not known; nothing is refused that Harbor does not refuse */
    return next_pull_gate(ask);
}

/* --- scans --- */

static struct artifact_key target_key(const struct ask *ask)
{
    bool child = ask->progress->target == TARGET_CHILD;
    return (struct artifact_key){ask->key.project, ask->key.repository,
                                 child ? ask->progress->children[ask->progress->child_at]
                                       : ask->progress->fact.digest};
}

static bool next_child(struct ask *ask)
{
    struct buffer path = {0};
    if (ask->progress->child_at >= ask->progress->child_count) {
        const struct scan unread = {.status = SCAN_FAILED};
        if (ask->progress->more_children)
            scan_merge(&ask->progress->fact.scan, &unread, &ask->arena);
        ask->progress->child_at = 0;
        return next_pull_gate(ask);
    }
    struct artifact_key key = target_key(ask);
    ask->kind = QUESTION_CHILD;
    harbor_artifact_scan_path(&key, &path);
    ask_send_path(ask, path.base, 0);
    buffer_done(&path);
    return true;
}

/* The target's scan is known. */
static bool end_target(struct ask *ask)
{
    if (ask->progress->target == TARGET_WHOLE) {
        ask->progress->fact.scan = ask->progress->part;
        return next_pull_gate(ask);
    }
    scan_merge(&ask->progress->fact.scan, &ask->progress->part, &ask->arena);
    ask->progress->child_at++;
    return next_child(ask);
}

static void send_report(struct ask *ask)
{
    struct buffer path = {0};
    struct artifact_key key = target_key(ask);
    ask->session->reports++;
    harbor_report_path(&key, &path);
    ask_send_report(ask, path.base);
    buffer_done(&path);
}

/* Reports can be several MB: few at once. */
static bool queue_report(struct ask *ask)
{
    struct session *session = ask->session;
    ask->kind = QUESTION_REPORT;
    if (session->reports < REPORTS_AT_ONCE) {
        send_report(ask);
        return true;
    }
    struct ask **end = &session->report_queue;
    while (*end)
        end = &(*end)->next;
    *end = ask;
    return true;
}

static void next_report(struct session *session)
{
    struct ask *ask = session->report_queue;
    session->reports--;
    if (!ask)
        return;
    session->report_queue = ask->next;
    ask->next = NULL;
    send_report(ask);
}

/* The overview of the target is read: what else has to be asked for. */
static bool take_overview(struct ask *ask)
{
    bool gone = ask->progress->part.status == SCAN_UNKNOWN;
    bool findings =
        ask->progress->part.status == SCAN_DONE &&
        scan_count_between(&ask->progress->part, ask->session->scan_from, SEVERITY_COUNT) > 0;
    return gone || findings ? queue_report(ask) : end_target(ask);
}

static bool take_report(struct ask *ask, const struct http_reply *reply,
                        const struct harbor_reply *harbor_reply, enum harbor_answer *ret)
{
    struct scan report;
    bool there = false, gone = ask->progress->part.status == SCAN_UNKNOWN;
    next_report(ask->session);
    if (harbor_reply->status != 200) {
        *ret = harbor_reply->status == 401 || harbor_reply->status == 403 ? ANSWER_UNAUTHORIZED
               : harbor_reply->status == 429                              ? ANSWER_LATER
                                                                          : ANSWER_FAILED;
    } else {
        *ret = !vulnerability_report_read(reply->body, ask->session->scan_from, &ask->arena, &there,
                                          &report)
                   ? ANSWER_FAILED
               : there ? ANSWER_YES
                       : ANSWER_NO;
    }
    if (*ret == ANSWER_YES) {
        report.partial = ask->progress->part.partial;
        if (!gone)
            report.finished = ask->progress->part.finished;
        ask->progress->part = scan_copy(&report, &ask->arena);
    } else if (gone && *ret == ANSWER_NO) {
        ask->progress->part.status = SCAN_NONE;
    } else if (gone && *ret != ANSWER_UNAUTHORIZED) {
        return fail(ask, reply->retry_after);
    } else if (*ret != ANSWER_UNAUTHORIZED) {
        ask->progress->short_lived = true; /* only the numbers are known */
    }
    return end_target(ask);
}

static bool take_child(struct ask *ask, const struct http_reply *reply, enum harbor_answer answer)
{
    struct artifact_details details;
    if (answer == ANSWER_UNAUTHORIZED)
        return end_unauthorized(ask);
    if (answer != ANSWER_YES && answer != ANSWER_NO)
        return fail(ask, reply->retry_after);
    if (answer == ANSWER_YES && !artifact_details_read(reply->body, &ask->arena, &details))
        return fail(ask, 0);
    if (answer == ANSWER_YES)
        ask->progress->part = details.scan;
    else
        ask->progress->part = (struct scan){.status = SCAN_NONE}; /* it has never been pulled */
    return take_overview(ask);
}

/* --- the database --- */

static void copy_children(struct ask *ask, const struct artifact_details *details)
{
    ask->progress->index = details->child_count > 0;
    ask->progress->child_count = details->child_count;
    ask->progress->more_children = details->more_children;
    ask->progress->child_at = 0;
    ask->progress->children =
        arena_allocate(&ask->arena, details->child_count * sizeof(*ask->progress->children));
    for (size_t i = 0; i < details->child_count; i++)
        ask->progress->children[i] = arena_copy(&ask->arena, details->children[i]);
}

/* It is there. */
static bool take_details(struct ask *ask, const struct http_reply *reply)
{
    struct artifact_details details;
    if (!artifact_details_read(reply->body, &ask->arena, &details))
        return fail(ask, 0);
    ask->progress->fact.present = TRUTH_YES;
    ask->progress->fact.digest = arena_copy(&ask->arena, details.digest);
    ask->progress->fact.project_id = details.project_id;
    copy_children(ask, &details);
    if (!(ask->asked & FACT_SCAN))
        return next_pull_gate(ask);
    ask->progress->part = details.scan;
    bool speaks_for_all = details.scan.status == SCAN_RUNNING ||
                          (details.scan.status == SCAN_DONE && !details.scan.partial);
    ask->progress->target = ask->progress->index && !speaks_for_all ? TARGET_CHILD : TARGET_WHOLE;
    return ask->progress->target == TARGET_CHILD ? next_child(ask) : take_overview(ask);
}

/* It is not in the database. */
static bool take_absence(struct ask *ask)
{
    const struct project_state *project = map_get(&ask->session->projects, ask->key.project);
    long long now = clock_monotonic_ms();
    ask->progress->fact.present = TRUTH_NO;
    if (!(ask->asked & FACT_SERVABLE))
        return finish(ask, FACT_NEGATIVE_MS);
    if (project && project->quiet_until_ms > now)
        return fail(ask, (long)((project->quiet_until_ms - now) / 1000));
    ask->progress->head_reference = ask->key.reference;
    return send_head(ask, QUESTION_MANIFEST);
}

static bool take_artifact(struct ask *ask, const struct http_reply *reply,
                          enum harbor_answer answer)
{
    switch (answer) {
    case ANSWER_YES:
        return take_details(ask, reply);
    case ANSWER_NO:
        return take_absence(ask);
    case ANSWER_UNAUTHORIZED:
        return end_unauthorized(ask);
    case ANSWER_LATER:
        if (reply->retry_after)
            ask->session->quiet_until_ms = ask_quiet_until(reply->retry_after);
        break;
    case ANSWER_REFUSED:
    case ANSWER_FAILED:
        break;
    }
    return fail(ask, reply->retry_after);
}

static void send_artifact(struct ask *ask)
{
    struct buffer path = {0};
    ask->kind = QUESTION_ARTIFACT;
    if (ask->asked & FACT_SCAN)
        harbor_artifact_scan_path(&ask->key, &path);
    else
        harbor_artifact_path(&ask->key, &path);
    ask_send_path(ask, path.base, 0);
    buffer_done(&path);
}

void artifact_ask_begin(struct ask *ask)
{
    struct session *session = ask->session;
    struct buffer path = {0};
    ask->asked = ask->entry->asking;
    if (ask->progress) { /* another round */
        ask->progress->fact = (struct artifact_fact){0};
        ask->progress->short_lived = false;
    }
    if (!(ask->asked & FACT_SCAN) || !session_lacks_project(session, ask->key.project)) {
        send_artifact(ask);
        return;
    }
    ask->kind = QUESTION_PROJECT;
    harbor_project_path(ask->key.project, &path);
    ask_send_path(ask, path.base, 0);
    buffer_done(&path);
}

/* --- the steps --- */

bool artifact_ask_take(struct ask *ask, const struct http_reply *reply,
                       const struct harbor_reply *harbor_reply, enum harbor_answer *ret)
{
    if (!ask->progress)
        ask->progress = memory_allocate_zeroed(1, sizeof(*ask->progress));
    switch (ask->kind) {
    case QUESTION_PROJECT: /* whatever it says: the allowlist may stay unknown */
        *ret = session_take_project(ask->session, ask->key.project, harbor_reply);
        send_artifact(ask);
        return true;
    case QUESTION_ARTIFACT:
        *ret = harbor_read_artifact(harbor_reply);
        if (harbor_reply->status == 401)
            session_doubt_account(ask->session);
        return take_artifact(ask, reply, *ret);
    case QUESTION_CHILD:
        *ret = harbor_read_artifact(harbor_reply);
        return take_child(ask, reply, *ret);
    case QUESTION_REPORT:
        return take_report(ask, reply, harbor_reply, ret);
    case QUESTION_MANIFEST:
        *ret = harbor_read_manifest(harbor_reply);
        return take_manifest(ask, reply, *ret);
    case QUESTION_PULL_GATE:
        *ret = harbor_read_manifest(harbor_reply);
        return take_pull_gate(ask, reply, *ret);
    case QUESTION_FILTER:
        return take_filter(ask, reply, harbor_reply, ret);
    case QUESTION_TOKEN:
        return take_token(ask, harbor_reply, ret);
    case QUESTION_HEALTH:
    case QUESTION_ACCOUNT:
    case QUESTION_ALLOWLIST:
    case QUESTION_SCAN:
    case QUESTION_PROJECTS:
    case QUESTION_SUMMARY:
    case QUESTION_COUNT:
        break;
    }
    return false;
}
