/* A round of projects and their summaries, step by step. */
#include "harbor/upstreams.h"

#include <stdlib.h>

void upstreams_done(struct upstreams *round)
{
    arena_done(&round->arena);
    *round = (struct upstreams){0};
}

static int compare(const void *a, const void *b)
{
    const struct upstream *x = a, *y = b;
    int order = slice_compare(x->domain, y->domain);
    return order ? order : slice_compare(x->project, y->project);
}

static struct upstreams_step next_page(struct upstreams *round)
{
    struct upstreams_step step = {.kind = REQUEST_PROJECTS};
    buffer_append_format(&step.path, HARBOR_PROJECTS_PATH "%u", ++round->page);
    return step;
}

static struct upstreams_step next_summary(struct upstreams *round)
{
    struct upstreams_step step = {.kind = REQUEST_SUMMARY};
    if (round->project_at < round->project_count) {
        harbor_summary_path(round->projects[round->project_at], &step.path);
        return step;
    }
    if (round->found_count)
        qsort(round->found, round->found_count, sizeof(*round->found), compare);
    step.end = UPSTREAMS_FOUND;
    return step;
}

struct upstreams_step upstreams_begin(struct upstreams *round)
{
    return next_page(round);
}

static struct upstreams_step fail(const struct harbor_reply *reply)
{
    return (struct upstreams_step){.end = UPSTREAMS_FAILED, .answer = harbor_read_failure(reply)};
}

static struct upstreams_step take_page(struct upstreams *round, const struct harbor_reply *reply)
{
    struct slice *names;
    size_t count, on_page;
    if (!harbor_read_projects(reply, &round->arena, &names, &count, &on_page))
        return fail(reply);
    for (size_t i = 0; i < count && round->project_count < UPSTREAMS_MAX_PROJECTS; i++) {
        round->projects = arena_grow(&round->arena, round->projects, round->project_count,
                                     &round->project_capacity, sizeof(*round->projects));
        round->projects[round->project_count++] = names[i];
    }
    bool last = on_page < HARBOR_PROJECTS_PAGE || round->project_count == UPSTREAMS_MAX_PROJECTS;
    struct upstreams_step step = last ? next_summary(round) : next_page(round);
    step.answer = ANSWER_YES;
    return step;
}

static struct upstreams_step take_summary(struct upstreams *round, const struct harbor_reply *reply)
{
    struct harbor_upstream upstream;
    bool read = harbor_read_summary(reply, &round->arena, &upstream);
    /* else the project has just gone, or is not ours to read */
    if (!read && reply->status != 200 && reply->status != 403 && reply->status != 404)
        return fail(reply);
    if (read) {
        round->found = arena_grow(&round->arena, round->found, round->found_count,
                                  &round->found_capacity, sizeof(*round->found));
        round->found[round->found_count++] =
            (struct upstream){.project = round->projects[round->project_at],
                              .domain = upstream.domain,
                              .healthy = upstream.healthy};
    }
    round->project_at++;
    struct upstreams_step step = next_summary(round);
    step.answer = read ? ANSWER_YES : ANSWER_NO;
    return step;
}

struct upstreams_step upstreams_take(struct upstreams *round, enum request_kind kind,
                                     const struct harbor_reply *reply)
{
    return kind == REQUEST_PROJECTS ? take_page(round, reply) : take_summary(round, reply);
}
