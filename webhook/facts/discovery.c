/* Asks Harbor for its proxy-cache projects. */
#include "webhook/facts/discovery.h"

#include "webhook/common/log.h"
#include "webhook/facts/request.h"

#include "image/reference.h"

#include <stdlib.h>

void discovery_done(struct discovery *discovery)
{
    upstreams_done(&discovery->round);
    upstreams_done(&discovery->map);
}

static void send_step(struct request *request, struct upstreams_step *step)
{
    request_send(request, step->kind, step->path.base);
    buffer_done(&step->path);
}

void discovery_begin(struct session *session)
{
    struct upstreams_step step = upstreams_begin(&session->discovery.round);
    send_step(request_new(session, step.kind), &step);
}

/* --- the map --- */

static bool is_same_map(const struct discovery *d)
{
    const struct upstream *old = d->map.found, *new = d->round.found;
    bool same = d->known && d->map.found_count == d->round.found_count;
    for (size_t i = 0; same && i < d->map.found_count; i++)
        same = slice_equal(old[i].domain, new[i].domain) &&
               slice_equal(old[i].project, new[i].project);
    return same;
}

/* Projects of one domain. */
static void log_rivals(const struct upstream *upstreams, size_t count)
{
    CLEANUP_BUFFER struct buffer names = {0};
    for (size_t i = 0; i < count; i++)
        buffer_append_format(&names, "%s`%.*s`",
                             i == 0          ? ""
                             : i + 1 < count ? ", "
                                             : " and ",
                             SLICE_ARGS(upstreams[i].project));
    log_message(LOG_WARNING, EVENT_HARBOR_PROJECTS,
                "projects %.*s %s proxy `%.*s`: the first by name is used",
                SLICE_ARGS(buffer_slice(&names)), count == 2 ? "both" : "all",
                SLICE_ARGS(upstreams->domain));
}

static void log_map(const struct session *session)
{
    const struct upstream *found = session->discovery.map.found;
    size_t count = session->discovery.map.found_count;
    struct log_line line;
    log_begin(&line, LOG_INFO, EVENT_HARBOR_PROJECTS, "Harbor's proxy-cache projects are known");
    json_member(&line.w, "harbor", session->name);
    json_key(&line.w, "registries");
    json_begin_object(&line.w);
    for (size_t i = 0; i < count; i++)
        if (i == 0 || !slice_equal(found[i].domain, found[i - 1].domain)) {
            json_key_slice(&line.w, found[i].domain);
            json_slice(&line.w, found[i].project);
        }
    json_end_object(&line.w);
    log_end(&line);
    for (size_t i = 0, end; i < count; i = end) {
        end = i + 1;
        while (end < count && slice_equal(found[end].domain, found[i].domain))
            end++;
        if (end - i > 1)
            log_rivals(&found[i], end - i);
    }
}

/* The round has ended well. */
static void keep_map(struct session *session)
{
    struct discovery *d = &session->discovery;
    bool same = is_same_map(d);
    upstreams_done(&d->map);
    d->map = d->round;
    d->round = (struct upstreams){0};
    d->known = true;
    if (same)
        return;
    d->generation++;
    if (session->discovers)
        log_map(session);
}

struct registry *discovery_registries(const struct discovery *discovery, struct arena *arena,
                                      size_t *ret_count)
{
    struct registry *registries =
        arena_allocate(arena, discovery->map.found_count * sizeof(*registries));
    size_t count = 0;
    for (size_t i = 0; i < discovery->map.found_count; i++) {
        const struct upstream *upstream = &discovery->map.found[i];
        if (i > 0 && slice_equal(upstream->domain, discovery->map.found[i - 1].domain))
            continue;
        if (reference_is_domain(upstream->domain))
            registries[count++] =
                (struct registry){.upstream.domain = arena_copy(arena, upstream->domain),
                                  .project = arena_copy(arena, upstream->project)};
    }
    *ret_count = count;
    return registries;
}

bool discovery_take(struct request *request, const struct harbor_reply *reply,
                    enum harbor_answer *ret)
{
    struct session *session = request->session;
    struct discovery *d = &session->discovery;
    struct upstreams_step step = upstreams_take(&d->round, request->kind, reply);
    *ret = step.answer;
    if (step.end == UPSTREAMS_GO_ON) {
        send_step(request, &step);
        return true;
    }
    enum poll_event event = POLL_ENDED;
    if (step.end == UPSTREAMS_FAILED && session->discovers)
        event = POLL_FAILED;
    if (step.end == UPSTREAMS_FOUND && session->account_refused)
        event = POLL_FAILED; /* private ones were not shown */
    else if (step.end == UPSTREAMS_FOUND)
        keep_map(session);
    upstreams_done(&d->round);
    d->tried = true;
    session_tell_poll(session, POLL_UPSTREAMS, event);
    return false;
}
