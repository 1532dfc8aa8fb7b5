/* Asks Harbor for its proxy-cache projects. */
#include "webhook/facts/discovery.h"

#include "webhook/common/log.h"
#include "webhook/facts/request.h"

#include "image/reference.h"

#include <stdlib.h>

void discovery_done(struct discovery *discovery)
{
    arena_done(&discovery->round);
    arena_done(&discovery->arena);
}

static void end_round(struct session *session, enum poll_event event)
{
    session_tell_poll(session, POLL_UPSTREAMS, event);
    struct discovery *d = &session->discovery;
    arena_done(&d->round);
    d->round = (struct arena){0};
    d->projects = NULL;
    d->found = NULL;
    d->project_count = d->project_capacity = d->found_count = d->found_capacity = 0;
    d->tried = true;
}

static void send_page(struct request *request, unsigned page)
{
    request_send(request, REQUEST_PROJECTS,
                 arena_format(&request->arena, HARBOR_PROJECTS_PATH "%u", page).base);
}

void discovery_begin(struct session *session)
{
    struct discovery *d = &session->discovery;
    d->project_at = 0;
    d->page = 1;
    send_page(request_new(session, REQUEST_PROJECTS), d->page);
}

/* --- the map --- */

static int compare_upstreams(const void *a, const void *b)
{
    const struct upstream *x = a, *y = b;
    int order = slice_compare(x->domain, y->domain);
    return order ? order : slice_compare(x->project, y->project);
}

static bool is_same_map(const struct discovery *d)
{
    bool same = d->known && d->count == d->found_count;
    for (size_t i = 0; same && i < d->count; i++)
        same = slice_equal(d->upstreams[i].domain, d->found[i].domain) &&
               slice_equal(d->upstreams[i].project, d->found[i].project);
    return same;
}

static void log_map(const struct session *session)
{
    const struct discovery *d = &session->discovery;
    struct log_line line;
    log_begin(&line, LOG_INFO, EVENT_HARBOR_PROJECTS, "Harbor's proxy-cache projects are known");
    json_member(&line.w, "harbor", session->name);
    json_key(&line.w, "registries");
    json_begin_object(&line.w);
    for (size_t i = 0; i < d->count; i++)
        if (i == 0 || !slice_equal(d->upstreams[i].domain, d->upstreams[i - 1].domain)) {
            json_key_slice(&line.w, d->upstreams[i].domain);
            json_slice(&line.w, d->upstreams[i].project);
        }
    json_end_object(&line.w);
    log_end(&line);
    for (size_t i = 1; i < d->count; i++)
        if (slice_equal(d->upstreams[i].domain, d->upstreams[i - 1].domain))
            log_message(LOG_WARNING, EVENT_HARBOR_PROJECTS,
                        "projects `%.*s` and `%.*s` both proxy `%.*s`: the first by name is used",
                        SLICE_ARGS(d->upstreams[i - 1].project),
                        SLICE_ARGS(d->upstreams[i].project), SLICE_ARGS(d->upstreams[i].domain));
}

/* The round has ended well. */
static void keep_map(struct session *session)
{
    struct discovery *d = &session->discovery;
    if (d->found_count)
        qsort(d->found, d->found_count, sizeof(*d->found), compare_upstreams);
    bool same = is_same_map(d);
    arena_done(&d->arena);
    d->arena = d->round; /* what was found lives there */
    d->round = (struct arena){0};
    d->upstreams = d->found;
    d->count = d->found_count;
    d->known = true;
    if (!same) {
        d->generation++;
        if (session->discovers)
            log_map(session);
    }
    end_round(session, POLL_ENDED);
}

struct registry *discovery_registries(const struct discovery *discovery, struct arena *arena,
                                      size_t *ret_count)
{
    struct registry *registries = arena_allocate(arena, discovery->count * sizeof(*registries));
    size_t count = 0;
    for (size_t i = 0; i < discovery->count; i++) {
        const struct upstream *upstream = &discovery->upstreams[i];
        if (i > 0 && slice_equal(upstream->domain, discovery->upstreams[i - 1].domain))
            continue;
        if (reference_is_domain(upstream->domain))
            registries[count++] =
                (struct registry){.domain = arena_copy(arena, upstream->domain),
                                  .project = arena_copy(arena, upstream->project)};
    }
    *ret_count = count;
    return registries;
}

/* --- the steps --- */

static bool next_summary(struct request *request)
{
    struct discovery *d = &request->session->discovery;
    struct buffer path = {0};
    if (d->project_at == d->project_count) {
        keep_map(request->session);
        return false;
    }
    harbor_summary_path(d->projects[d->project_at], &path);
    request_send(request, REQUEST_SUMMARY, path.base);
    buffer_done(&path);
    return true;
}

static bool fail(struct request *request, const struct harbor_reply *reply, enum harbor_answer *ret)
{
    *ret = harbor_read_failure(reply);
    end_round(request->session, request->session->discovers ? POLL_FAILED : POLL_ENDED);
    return false;
}

static bool take_page(struct request *request, const struct harbor_reply *reply,
                      enum harbor_answer *ret)
{
    struct discovery *d = &request->session->discovery;
    struct slice *names;
    size_t count, on_page;
    if (!harbor_read_projects(reply, &request->arena, &names, &count, &on_page))
        return fail(request, reply, ret);
    *ret = ANSWER_YES;
    for (size_t i = 0; i < count && d->project_count < DISCOVERY_MAX_PROJECTS; i++) {
        d->projects = arena_grow(&d->round, d->projects, d->project_count, &d->project_capacity,
                                 sizeof(*d->projects));
        d->projects[d->project_count++] = arena_copy(&d->round, names[i]);
    }
    if (on_page < HARBOR_PROJECTS_PAGE || d->project_count == DISCOVERY_MAX_PROJECTS)
        return next_summary(request);
    send_page(request, ++d->page);
    return true;
}

static bool take_summary(struct request *request, const struct harbor_reply *reply,
                         enum harbor_answer *ret)
{
    struct discovery *d = &request->session->discovery;
    struct harbor_upstream upstream;
    bool read = harbor_read_summary(reply, &d->round, &upstream);
    if (!read && reply->status != 200 && reply->status != 403 && reply->status != 404)
        return fail(request, reply,
                    ret); /* else the project has just gone, or is not ours to read */
    *ret = read ? ANSWER_YES : ANSWER_NO;
    if (read) {
        d->found =
            arena_grow(&d->round, d->found, d->found_count, &d->found_capacity, sizeof(*d->found));
        d->found[d->found_count++] = (struct upstream){.project = d->projects[d->project_at],
                                                       .domain = upstream.domain,
                                                       .healthy = upstream.healthy};
    }
    d->project_at++;
    return next_summary(request);
}

bool discovery_take(struct request *request, const struct harbor_reply *reply,
                    enum harbor_answer *ret)
{
    return request->kind == REQUEST_PROJECTS ? take_page(request, reply, ret)
                                             : take_summary(request, reply, ret);
}
