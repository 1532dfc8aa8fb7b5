/* The inquiry about an artifact, step by step. */
#include "harbor/inquiry.h"

#include <stdlib.h>

const char *const request_kind_names[REQUEST_COUNT] = {
    [REQUEST_HEALTH] = "health",       [REQUEST_ACCOUNT] = "account",
    [REQUEST_PROJECT] = "project",     [REQUEST_ARTIFACT] = "artifact",
    [REQUEST_MANIFEST] = "manifest",   [REQUEST_TOKEN] = "token",
    [REQUEST_CHILD] = "child",         [REQUEST_REPORT] = "report",
    [REQUEST_PULL_GATE] = "pull-gate", [REQUEST_STORED_TAG] = "stored-tag",
    [REQUEST_ALLOWLIST] = "allowlist", [REQUEST_SCAN] = "scan",
    [REQUEST_FILTER] = "filter",       [REQUEST_PROJECTS] = "projects",
    [REQUEST_SUMMARY] = "summary",     [REQUEST_EXISTENCE] = "existence",
};

/* Texts are in the inquiry's arena. */
struct inquiry_progress {
    struct artifact_fact fact; /* what is known of it so far */
    bool of_child;             /* `part` is of a child of the index, not of the whole */
    struct scan part;
    bool index;             /* it has children, */
    bool more_children;     /* and more than are looked at */
    bool short_lived;       /* something could not be found out: ask again soon */
    struct slice *children; /* digests */
    size_t child_count, child_at;
    struct slice head_reference; /* of the manifest that is HEADed, */
    enum request_kind head_kind; /* and what for */
    struct slice token;          /* for its repository; empty: none yet */
    bool challenged;             /* the proxy has named its token service already: once is enough */
};

void inquiry_done(struct inquiry *q)
{
    free(q->progress);
    q->progress = NULL;
}

static struct inquiry_step request(struct inquiry *q, enum request_kind kind, struct buffer path)
{
    q->kind = kind;
    return (struct inquiry_step){.path = path};
}

/* --- the ends --- */

static struct inquiry_step finish(struct inquiry *q, long ms)
{
    struct artifact_fact *fact = &q->progress->fact;
    struct inquiry_step step = {.end = INQUIRY_KNOWN, .fact = fact, .knows = q->asked};
    if (fact->servable != TRUTH_UNKNOWN)
        step.knows |= FACT_SERVABLE;
    if (fact->unauthorized)
        step.knows |= FACT_ALL;
    step.live_ms = q->progress->short_lived ? FACT_FAILED_MS : ms;
    return step;
}

static struct inquiry_step fail(long retry_after)
{
    long wait = retry_after < FACT_RETRY_AFTER_MAX_S ? retry_after : FACT_RETRY_AFTER_MAX_S;
    return (struct inquiry_step){.end = INQUIRY_FAILED,
                                 .live_ms = wait ? wait * 1000 : FACT_FAILED_MS};
}

static struct inquiry_step end_unauthorized(struct inquiry *q)
{
    q->progress->fact = (struct artifact_fact){.unauthorized = true};
    return finish(q, FACT_NEGATIVE_MS);
}

/* How long what the database says is good for. */
static long lifetime(const struct inquiry *q)
{
    if (!(q->asked & FACT_SCAN))
        return FACT_POSITIVE_MS;
    switch (q->progress->fact.scan.status) {
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

static bool has_filter(const struct inquiry_view *view)
{
    return view->project && view->project->filter.len;
}

static struct inquiry_step request_token(struct inquiry *q, struct slice realm,
                                         struct slice service)
{
    struct buffer path = {0};
    harbor_token_path(realm, service, &q->key, &path);
    return request(q, REQUEST_TOKEN, path);
}

static struct inquiry_step request_manifest(struct inquiry *q, enum request_kind kind)
{
    struct buffer path = {0};
    struct artifact_key key = {q->key.project, q->key.repository, q->progress->head_reference};
    harbor_manifest_path(&key, &path);
    struct inquiry_step step = request(q, kind, path);
    step.token = q->progress->token;
    return step;
}

/* HEADs progress->head_reference as `kind`, by way of the token service once its place is known;
 * without a token its challenge names the token service. */
static struct inquiry_step request_head(struct inquiry *q, const struct inquiry_view *view,
                                        enum request_kind kind)
{
    q->progress->head_kind = kind;
    if (view->realm.len && q->progress->token.len == 0)
        return request_token(q, view->realm, view->service);
    return request_manifest(q, kind);
}

/* --- a tag that is stored: would Harbor serve it --- */

/* What is pinned is served from what is stored. To a tag Harbor says what its upstream says of it,
 * 404 too, unless the project is told otherwise (docs/contracts.md#a-tag-that-is-stored). */
static bool depends_on_upstream(const struct inquiry *q, const struct inquiry_view *view)
{
    const struct artifact_fact *fact = &q->progress->fact;
    return !artifact_is_by_digest(&q->key) && view->project && view->project->is_proxy &&
           !view->project->local_on_not_found && !fact->refused_by_pull_gate &&
           !fact->outside_filter;
}

static struct inquiry_step ask_upstream(struct inquiry *q, const struct inquiry_view *view)
{
    struct inquiry_progress *p = q->progress;
    if (view->copy_will_do || view->quiet_ms > 0) {
        p->fact.servable = TRUTH_YES;
        return finish(q, FACT_COPY_MS);
    }
    p->head_reference = q->key.reference;
    struct inquiry_step step = request_head(q, view, REQUEST_STORED_TAG);
    step.fact = &p->fact;
    step.knows = q->asked & ~(unsigned)FACT_SERVABLE;
    step.live_ms = FACT_COPY_MS;
    return step;
}

/* All else that was asked for is known: the end, or one more question, with what is known so far.
 * Whoever does not wait for its answer goes by the database. */
static struct inquiry_step end_stored(struct inquiry *q, const struct inquiry_view *view)
{
    struct inquiry_progress *p = q->progress;
    bool depends = depends_on_upstream(q, view);
    p->fact.servable = depends ? view->servable : TRUTH_YES;
    if (p->fact.servable == TRUTH_UNKNOWN && (q->asked & FACT_SERVABLE))
        return ask_upstream(q, view);
    bool remembered = depends && p->fact.servable != TRUTH_UNKNOWN;
    return finish(q,
                  remembered && view->servable_ms < lifetime(q) ? view->servable_ms : lifetime(q));
}

/* Only a no is one: to anything else Harbor serves its copy. */
static struct inquiry_step end_stored_tag(struct inquiry *q, enum harbor_answer answer)
{
    struct artifact_fact *fact = &q->progress->fact;
    long ms = answer == ANSWER_YES ? lifetime(q) : FACT_COPY_MS;
    fact->servable = answer == ANSWER_NO ? TRUTH_NO : TRUTH_YES;
    fact->refused_by_pull_gate = answer == ANSWER_REFUSED;
    struct inquiry_step step = finish(q, ms);
    step.servable_ms = answer == ANSWER_YES ? FACT_POSITIVE_MS : FACT_COPY_MS;
    return step;
}

static struct inquiry_step take_token(struct inquiry *q, const struct inquiry_view *view,
                                      const struct harbor_reply *reply, enum harbor_answer *ret)
{
    struct slice token;
    long seconds;
    if (harbor_read_token(reply, q->arena, &token, &seconds)) {
        *ret = ANSWER_YES;
        q->progress->token = arena_copy(q->arena, token);
        return request_head(q, view, q->progress->head_kind);
    }
    bool refused = harbor_answer_by_status(reply->status) == ANSWER_UNAUTHORIZED;
    *ret = refused ? ANSWER_UNAUTHORIZED : ANSWER_FAILED;
    if (!q->progress->challenged) /* the place was a remembered one: what is it now? */
        return request_manifest(q, q->progress->head_kind);
    if (q->progress->head_kind == REQUEST_PULL_GATE) {
        q->progress->short_lived = true; /* it is there; whether Harbor refuses it is not known */
        return end_stored(q, view);
    }
    if (q->progress->head_kind == REQUEST_STORED_TAG)
        return end_stored_tag(q, ANSWER_FAILED);
    return refused ? end_unauthorized(q) : fail(0);
}

/* A 401 that names the token service: once more, with a token. */
static bool follow_challenge(struct inquiry *q, const struct harbor_reply *reply,
                             struct inquiry_step *ret)
{
    struct slice realm, service;
    if (q->progress->challenged ||
        !harbor_read_challenge(reply->challenge, q->arena, &realm, &service))
        return false;
    q->progress->challenged = true;
    *ret = request_token(q, realm, service);
    ret->realm = realm;
    ret->service = service;
    return true;
}

static struct inquiry_step take_manifest(struct inquiry *q, const struct inquiry_view *view,
                                         const struct harbor_reply *reply,
                                         enum harbor_answer answer)
{
    struct inquiry_step step;
    switch (answer) {
    case ANSWER_YES:
        q->progress->fact.servable = TRUTH_YES;
        return finish(q, FACT_SERVABLE_MS);
    case ANSWER_NO:
        q->progress->fact.servable = TRUTH_NO;
        return has_filter(view) /* a HEAD has no body that says why */
                   ? request_manifest(q, REQUEST_FILTER)
                   : finish(q, FACT_NEGATIVE_MS);
    case ANSWER_UNAUTHORIZED:
        return follow_challenge(q, reply, &step) ? step : end_unauthorized(q);
    case ANSWER_REFUSED:
        q->progress->fact.refused_by_pull_gate = true;
        return finish(q, FACT_SERVABLE_MS);
    case ANSWER_LATER:
    case ANSWER_FAILED:
        break;
    }
    return fail(reply->retry_after);
}

static struct inquiry_step take_stored_tag(struct inquiry *q, const struct harbor_reply *reply,
                                           enum harbor_answer answer)
{
    struct inquiry_step step;
    if (answer == ANSWER_UNAUTHORIZED && follow_challenge(q, reply, &step))
        return step;
    return end_stored_tag(q, answer);
}

static struct inquiry_step take_filter(struct inquiry *q, const struct harbor_reply *reply,
                                       enum harbor_answer *ret)
{
    *ret = reply->status == 404 ? ANSWER_NO : ANSWER_FAILED;
    if (*ret == ANSWER_FAILED)
        return fail(reply->retry_after);
    q->progress->fact.outside_filter = harbor_says_filtered(reply);
    return finish(q, q->progress->fact.outside_filter ? FACT_SERVABLE_MS : FACT_NEGATIVE_MS);
}

/* What a node would pull from the database: the image, or the children of the index. Harbor's pull
 * gate passes indexes and refuses children (B7.6); its proxy filter refuses what it stores, too. */
static struct inquiry_step next_pull_gate(struct inquiry *q, const struct inquiry_view *view)
{
    struct inquiry_progress *p = q->progress;
    bool gated = view->project && view->project->prevent_vul, filtered = has_filter(view);
    size_t leaves = p->index ? p->child_count : p->fact.digest.len > 0;
    if (!gated && leaves > 1)
        leaves = 1; /* one tells of the repository */
    if ((!gated && !filtered) || p->fact.refused_by_pull_gate || p->fact.outside_filter ||
        p->child_at >= leaves)
        return end_stored(q, view);
    p->head_reference = p->index ? p->children[p->child_at] : p->fact.digest;
    p->child_at++;
    return request_head(q, view, REQUEST_PULL_GATE);
}

static struct inquiry_step take_pull_gate(struct inquiry *q, const struct inquiry_view *view,
                                          const struct harbor_reply *reply,
                                          enum harbor_answer answer)
{
    struct inquiry_step step;
    if (answer == ANSWER_UNAUTHORIZED && follow_challenge(q, reply, &step))
        return step;
    if (answer == ANSWER_REFUSED)
        q->progress->fact.refused_by_pull_gate = true;
    else if (answer == ANSWER_NO && has_filter(view))
        q->progress->fact.outside_filter = true; /* it is there, and Harbor says that it is not */
    else if (answer == ANSWER_FAILED || answer == ANSWER_LATER)
        q->progress->short_lived = true; /* not known; nothing is refused that Harbor does not */
    return next_pull_gate(q, view);
}

/* --- scans --- */

static struct artifact_key target_key(const struct inquiry *q)
{
    const struct inquiry_progress *p = q->progress;
    return (struct artifact_key){q->key.project, q->key.repository,
                                 p->of_child ? p->children[p->child_at] : p->fact.digest};
}

static struct inquiry_step next_child(struct inquiry *q, const struct inquiry_view *view)
{
    struct buffer path = {0};
    if (q->progress->child_at >= q->progress->child_count) {
        const struct scan unread = {.status = SCAN_FAILED};
        if (q->progress->more_children)
            scan_merge(&q->progress->fact.scan, &unread, q->arena);
        q->progress->child_at = 0;
        return next_pull_gate(q, view);
    }
    struct artifact_key key = target_key(q);
    harbor_artifact_scan_path(&key, &path);
    return request(q, REQUEST_CHILD, path);
}

/* The target's scan is known. */
static struct inquiry_step end_target(struct inquiry *q, const struct inquiry_view *view)
{
    if (!q->progress->of_child) {
        q->progress->fact.scan = q->progress->part;
        return next_pull_gate(q, view);
    }
    scan_merge(&q->progress->fact.scan, &q->progress->part, q->arena);
    q->progress->child_at++;
    return next_child(q, view);
}

/* The overview of the target is read: what else has to be asked for. */
static struct inquiry_step take_overview(struct inquiry *q, const struct inquiry_view *view)
{
    const struct scan *part = &q->progress->part;
    bool gone = part->status == SCAN_UNKNOWN;
    bool findings =
        part->status == SCAN_DONE && scan_count_between(part, view->scan_from, SEVERITY_COUNT) > 0;
    if (!gone && !findings)
        return end_target(q, view);
    struct buffer path = {0};
    struct artifact_key key = target_key(q);
    harbor_report_path(&key, &path);
    return request(q, REQUEST_REPORT, path);
}

static enum harbor_answer read_report(struct inquiry *q, const struct inquiry_view *view,
                                      const struct harbor_reply *reply, struct scan *ret)
{
    bool there = false;
    if (reply->status != 200)
        return harbor_read_failure(reply);
    if (!vulnerability_report_read(reply->body, view->scan_from, q->arena, &there, ret))
        return ANSWER_FAILED;
    return there ? ANSWER_YES : ANSWER_NO;
}

static struct inquiry_step take_report(struct inquiry *q, const struct inquiry_view *view,
                                       const struct harbor_reply *reply, enum harbor_answer *ret)
{
    struct scan report, *part = &q->progress->part;
    bool gone = part->status == SCAN_UNKNOWN;
    *ret = read_report(q, view, reply, &report);
    if (*ret == ANSWER_YES) {
        report.partial = part->partial;
        if (!gone)
            report.finished = part->finished;
        *part = scan_copy(&report, q->arena);
    } else if (gone && *ret == ANSWER_NO) {
        part->status = SCAN_NONE;
    } else if (*ret != ANSWER_UNAUTHORIZED) {
        q->progress->short_lived = true; /* only the numbers are known, or only that it is there:
                                            2.11 to 2.13 have no report while the scanner is away */
    }
    return end_target(q, view);
}

static struct inquiry_step take_child(struct inquiry *q, const struct inquiry_view *view,
                                      const struct harbor_reply *reply, enum harbor_answer answer)
{
    struct artifact_details details;
    if (answer == ANSWER_UNAUTHORIZED)
        return end_unauthorized(q);
    if (answer != ANSWER_YES && answer != ANSWER_NO)
        return fail(reply->retry_after);
    if (answer == ANSWER_YES && !artifact_details_read(reply->body, q->arena, &details))
        return fail(0);
    if (answer == ANSWER_YES)
        q->progress->part = details.scan;
    else
        q->progress->part = (struct scan){.status = SCAN_NONE}; /* it has never been pulled */
    return take_overview(q, view);
}

/* --- the database --- */

static void copy_children(struct inquiry *q, const struct artifact_details *details)
{
    struct inquiry_progress *p = q->progress;
    p->index = details->child_count > 0;
    p->child_count = details->child_count;
    p->more_children = details->more_children;
    p->child_at = 0;
    p->children = arena_allocate(q->arena, details->child_count * sizeof(*p->children));
    for (size_t i = 0; i < details->child_count; i++)
        p->children[i] = arena_copy(q->arena, details->children[i]);
}

/* It is there. */
static struct inquiry_step take_details(struct inquiry *q, const struct inquiry_view *view,
                                        const struct harbor_reply *reply)
{
    struct inquiry_progress *p = q->progress;
    struct artifact_details details;
    if (!artifact_details_read(reply->body, q->arena, &details))
        return fail(0);
    p->fact.present = TRUTH_YES;
    p->fact.digest = arena_copy(q->arena, details.digest);
    p->fact.project_id = details.project_id;
    copy_children(q, &details);
    if (!(q->asked & FACT_SCAN))
        return next_pull_gate(q, view);
    p->part = details.scan;
    bool speaks_for_all = details.scan.status == SCAN_RUNNING ||
                          (details.scan.status == SCAN_DONE && !details.scan.partial);
    p->of_child = p->index && !speaks_for_all;
    return p->of_child ? next_child(q, view) : take_overview(q, view);
}

/* It is not in the database. */
static struct inquiry_step take_absence(struct inquiry *q, const struct inquiry_view *view)
{
    q->progress->fact.present = TRUTH_NO;
    if (!(q->asked & FACT_SERVABLE))
        return finish(q, FACT_NEGATIVE_MS);
    if (view->quiet_ms > 0)
        return fail((long)(view->quiet_ms / 1000));
    q->progress->head_reference = q->key.reference;
    return request_head(q, view, REQUEST_MANIFEST);
}

static struct inquiry_step take_artifact(struct inquiry *q, const struct inquiry_view *view,
                                         const struct harbor_reply *reply,
                                         enum harbor_answer answer)
{
    if (answer == ANSWER_YES)
        return take_details(q, view, reply);
    if (answer == ANSWER_NO)
        return take_absence(q, view);
    return answer == ANSWER_UNAUTHORIZED ? end_unauthorized(q) : fail(reply->retry_after);
}

static struct inquiry_step request_artifact(struct inquiry *q)
{
    struct buffer path = {0};
    if (q->asked & FACT_SCAN)
        harbor_artifact_scan_path(&q->key, &path);
    else
        harbor_artifact_path(&q->key, &path);
    return request(q, REQUEST_ARTIFACT, path);
}

/* --- the steps --- */

struct inquiry_step inquiry_begin(struct inquiry *q, const struct inquiry_view *view,
                                  fact_needs needs)
{
    struct buffer path = {0};
    q->asked = needs;
    if (q->progress) { /* another round */
        q->progress->fact = (struct artifact_fact){0};
        q->progress->short_lived = false;
    }
    if (!(needs & FACT_SCAN) || !view->lacks_project)
        return request_artifact(q);
    harbor_project_path(q->key.project, &path);
    return request(q, REQUEST_PROJECT, path);
}

static struct inquiry_step take(struct inquiry *q, const struct inquiry_view *view,
                                const struct harbor_reply *reply, enum harbor_answer *ret)
{
    switch (q->kind) {
    case REQUEST_PROJECT: /* whatever it says: the allowlist may stay unknown */
        return request_artifact(q);
    case REQUEST_ARTIFACT:
        *ret = harbor_read_artifact(reply);
        return take_artifact(q, view, reply, *ret);
    case REQUEST_CHILD:
        *ret = harbor_read_artifact(reply);
        return take_child(q, view, reply, *ret);
    case REQUEST_REPORT:
        return take_report(q, view, reply, ret);
    case REQUEST_MANIFEST:
        *ret = harbor_read_manifest(reply);
        return take_manifest(q, view, reply, *ret);
    case REQUEST_PULL_GATE:
        *ret = harbor_read_manifest(reply);
        return take_pull_gate(q, view, reply, *ret);
    case REQUEST_STORED_TAG:
        *ret = harbor_read_manifest(reply);
        return take_stored_tag(q, reply, *ret);
    case REQUEST_FILTER:
        return take_filter(q, reply, ret);
    case REQUEST_TOKEN:
        return take_token(q, view, reply, ret);
    case REQUEST_HEALTH:
    case REQUEST_ACCOUNT:
    case REQUEST_ALLOWLIST:
    case REQUEST_SCAN:
    case REQUEST_PROJECTS:
    case REQUEST_SUMMARY:
    case REQUEST_EXISTENCE:
    case REQUEST_COUNT:
        break;
    }
    return fail(0);
}

struct inquiry_step inquiry_take(struct inquiry *q, const struct inquiry_view *view,
                                 const struct harbor_reply *reply)
{
    enum harbor_answer answer = ANSWER_FAILED;
    if (!q->progress)
        q->progress = memory_allocate_zeroed(1, sizeof(*q->progress));
    struct inquiry_step step = take(q, view, reply, &answer);
    step.answer = answer;
    return step;
}
