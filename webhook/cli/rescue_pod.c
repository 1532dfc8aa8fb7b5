/* Judges what a Pod waits for by what Harbor says, and patches or deletes it. */
#include "webhook/cli/rescue_pod.h"

#include "base/rfc3339.h"
#include "webhook/common/clock.h"
#include "webhook/common/log.h"
#include "json/pointer.h"
#include "json/writer.h"

#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

enum {
    FACT_MS = 5000, /* for Harbor to say what it has */
    PATCH_TRIES = 4,
    CONFLICT = 409,
    INVALID = 422, /* also: a `test` of the patch does not hold */
    NOT_FOUND = 404,
};

const char *const rescue_results[RESCUE_RESULTS] = {
    [RESCUE_RESTORED] = "restored", [RESCUE_DELETED] = "deleted", [RESCUE_LEFT] = "left"};

/* What is to become of one item. */
struct judgement {
    enum rescue_result result;
    const char *reason;
    struct slice detail;
    bool passed_over; /* it is not waiting so that anybody should hear of it */
};

struct work {
    struct rescuer *rescuer;
    struct arena *arena;
    struct rescue_pod rescue;
    struct judgement *judgements; /* of each item */
};

static const struct judgement passed_over = {.passed_over = true};

static struct judgement leave(const char *reason, struct slice detail)
{
    return (struct judgement){.result = RESCUE_LEFT, .reason = reason, .detail = detail};
}

static struct judgement restore(const char *reason, struct slice detail)
{
    return (struct judgement){.result = RESCUE_RESTORED, .reason = reason, .detail = detail};
}

/* --- what Harbor says of an image --- */

static void set_flag(void *context)
{
    atomic_store((atomic_bool *)context, true);
}

/* Asks Harbor, and lets streams go on meanwhile. */
static void ask(struct rescuer *rescuer, const struct missing_fact *question,
                struct slice namespace_)
{
    atomic_bool answered = false;
    const struct fact_asker asker = {.namespace_ = namespace_};
    struct fact_waiter *waiter = facts_ask(rescuer->facts, &asker, question, 1,
                                           clock_monotonic_ms() + FACT_MS, set_flag, &answered);
    if (!waiter)
        return;
    while (!atomic_load(&answered))
        kube_wait(rescuer->kube, 20);
    facts_release(rescuer->facts, waiter);
}

/* Where the image is in Harbor; its path begins with the project. */
static struct artifact_key key_of(const struct reference *reference)
{
    size_t slash = slice_find(reference->path, '/');
    return (struct artifact_key){slice_head(reference->path, slash),
                                 slice_from_index(reference->path, slash + 1),
                                 reference->digest.len ? reference->digest
                                 : reference->tag.len  ? reference->tag
                                                       : SLICE("latest")};
}

/* The reason why Harbor would refuse a pull, or NULL. */
static const char *refusal(const struct work *work, const struct rescue_item *item,
                           const struct artifact_fact *fact)
{
    if (fact->no_project)
        return "no-project";
    if (fact->unauthorized)
        return "harbor-auth";
    if (fact->refused_by_pull_gate)
        return "refused-by-harbor";
    if (fact->outside_filter)
        return "outside-proxy-filter";
    if (fact->servable == TRUTH_NO)
        return "not-in-harbor";
    if (fact->public_ == TRUTH_NO && !item->harbor->nodes_have_credentials &&
        work->rescue.pod.pull_secret_count == 0)
        return "pull-secret-missing";
    return NULL;
}

static struct judgement judge_by_harbor(struct work *work, const struct rescue_item *item)
{
    const struct fact_source *source = facts_source(work->rescuer->facts);
    enum { NEEDS = FACT_PRESENT | FACT_SERVABLE };
    struct reference reference;
    struct artifact_fact fact = {0};
    if (!reference_parse(item->field->image, work->arena, &reference))
        return leave("not-ours", SLICE("its image is no reference"));
    struct missing_fact question = {item->harbor, key_of(&reference), NEEDS};
    long long now = (long long)time(NULL);
    bool known =
        source->artifact(source, item->harbor, &question.key, NEEDS, now, work->arena, &fact);
    if (!known) {
        ask(work->rescuer, &question, work->rescue.pod.namespace_);
        known =
            source->artifact(source, item->harbor, &question.key, NEEDS, now, work->arena, &fact);
    }
    if (!known)
        return leave("not-known-in-time",
                     SLICE("Harbor is healthy, and did not say in time whether it can serve the "
                           "image; --even-if-healthy puts it back all the same"));
    const char *reason = refusal(work, item, &fact);
    if (!reason)
        return leave("harbor-healthy",
                     SLICE("Harbor is healthy and says that it can serve the image: the kubelet "
                           "will try again; --even-if-healthy puts it back all the same"));
    return restore(reason, SLICE("Harbor says that a pull of it fails"));
}

/* --- what is to become of an item --- */

static struct slice debug_line(const struct work *work, const struct rescue_item *item)
{
    const struct pod *pod = &work->rescue.pod;
    if (item->original.len == 0)
        return SLICE("an ephemeral container cannot be changed; `kubectl debug` makes another");
    return arena_format(work->arena,
                        "an ephemeral container cannot be changed; this makes another: kubectl "
                        "debug -n %.*s %.*s --image=%.*s",
                        SLICE_ARGS(pod->namespace_), SLICE_ARGS(pod->name),
                        SLICE_ARGS(item->original));
}

static struct judgement judge_obstacle(const struct work *work, const struct rescue_item *item)
{
    switch (item->obstacle) {
    case RESCUE_PROTECTED:
        return leave("protected", SLICE("the namespace is protected: nothing in it is touched"));
    case RESCUE_EPHEMERAL:
        return leave("ephemeral", debug_line(work, item));
    case RESCUE_VOLUME:
        return leave("volume", SLICE("an image volume cannot be changed: delete the Pod, and let "
                                     "its controller, or make one yourself, create another"));
    case RESCUE_NOT_OURS:
        if (item->claimed.len)
            return leave("not-ours",
                         arena_format(work->arena,
                                      "the annotation says `%.*s`, which does not become this "
                                      "image, and the policies do not make it either",
                                      SLICE_ARGS(item->claimed)));
        return leave("not-ours", SLICE("neither the annotation nor the policies say that this "
                                       "image was another before"));
    case RESCUE_ENDING:
    case RESCUE_FREE:
        break;
    }
    return passed_over;
}

/* Whether a controller makes another Pod at once. A StatefulSet's stays Terminating until somebody
 * forces it. */
static bool is_replaced(const struct pod *pod)
{
    static const struct {
        const char *group, *kind;
    } replacing[] = {{"apps", "ReplicaSet"},
                     {"apps", "DaemonSet"},
                     {"batch", "Job"},
                     {"", "ReplicationController"}};
    for (size_t i = 0; pod->has_controller && i < sizeof(replacing) / sizeof(*replacing); i++)
        if (slice_equal(pod->controller.group, slice_from(replacing[i].group)) &&
            slice_equal(pod->controller.kind, slice_from(replacing[i].kind)))
            return true;
    return false;
}

/* Of a pull that has begun and brought nothing yet. Only where Harbor does not answer at all does
 * that mean that nothing will come: an account that it does not know says nothing of nodes. */
static struct judgement judge_pulling(const struct work *work, const struct rescue_item *item,
                                      enum harbor_health health)
{
    long long seconds = (long long)time(NULL) - item->since;
    bool hung = seconds * 1000 >= work->rescuer->hung_after_ms, down = health == HEALTH_DOWN;
    const char *detail;
    struct judgement judgement = {.result = RESCUE_LEFT};
    if (!hung && (!down || item->obstacle != RESCUE_FREE))
        return passed_over; /* as every Pod at its beginning */
    if (item->obstacle != RESCUE_FREE)
        return judge_obstacle(work, item);
    if (!down) {
        judgement.reason = "harbor-healthy";
        detail = "and Harbor is not known to be down: a Pod in its place would be moved as well";
    } else if (!hung) {
        judgement.reason = "pulling";
        detail = "and does not count as one that hangs yet (--hung-after)";
    } else if (is_replaced(&work->rescue.pod)) {
        judgement.result = RESCUE_DELETED;
        judgement.reason = "harbor-down";
        detail = "and no patch ends it";
    } else {
        judgement.reason = "hung";
        detail = "no patch ends it, and nothing replaces the Pod at once: decide whether to "
                 "`kubectl delete` it (with --force where it stays Terminating)";
    }
    judgement.detail =
        arena_format(work->arena, "the pull has gone on for %lld s, %s", seconds, detail);
    return judgement;
}

/* Of a pull that fails, and of what waits behind one. */
static struct judgement judge_failed(struct work *work, const struct rescue_item *item,
                                     enum harbor_health health)
{
    bool behind = item->wait == RESCUE_BEHIND; /* put back along with what fails, or not at all */
    if (item->obstacle != RESCUE_FREE)
        return behind ? passed_over : judge_obstacle(work, item);
    if (health == HEALTH_DOWN)
        return restore("harbor-down", SLICE("Harbor is down"));
    if (health == HEALTH_UNAUTHORIZED)
        return restore("harbor-auth", SLICE("Harbor does not know our account"));
    if (work->rescuer->even_if_healthy)
        return restore("even-if-healthy", SLICE("as --even-if-healthy says"));
    if (behind)
        return passed_over;
    if (health == HEALTH_UNKNOWN)
        return leave("harbor-unknown",
                     SLICE("whether Harbor is well is not known (has its document an `api`?); "
                           "--even-if-healthy puts it back all the same"));
    return judge_by_harbor(work, item);
}

static struct judgement judge(struct work *work, const struct rescue_item *item)
{
    const struct fact_source *source = facts_source(work->rescuer->facts);
    enum harbor_health health = source->health(source, item->harbor);
    if (item->obstacle == RESCUE_ENDING)
        return passed_over;
    return item->wait == RESCUE_PULLING ? judge_pulling(work, item, health)
                                        : judge_failed(work, item, health);
}

/* --- telling --- */

static struct slice with_doubt(const struct work *work, const struct rescue_item *item,
                               struct slice detail)
{
    if (!item->by_policies || item->original.len == 0)
        return detail;
    if (item->claimed.len == 0)
        return arena_format(work->arena, "%.*s; the original is what the policies say",
                            SLICE_ARGS(detail));
    return arena_format(work->arena,
                        "%.*s; the annotation says `%.*s`, which does not become this image: the "
                        "original is what the policies say",
                        SLICE_ARGS(detail), SLICE_ARGS(item->claimed));
}

static void tell(const struct work *work, size_t i)
{
    const struct rescue_item *item = &work->rescue.items[i];
    const struct judgement *judgement = &work->judgements[i];
    if (judgement->passed_over)
        return;
    const struct rescue_outcome outcome = {
        .result = judgement->result,
        .namespace_ = work->rescue.pod.namespace_,
        .name = work->rescue.pod.name,
        .container = item->field->name,
        .image = item->field->image,
        .original = item->original,
        .reason = judgement->reason,
        .detail = with_doubt(work, item, judgement->detail),
    };
    work->rescuer->tell(work->rescuer->context, &outcome);
}

/* --- doing --- */

static void write_event(const struct work *work, size_t i, struct buffer *out)
{
    const struct pod *pod = &work->rescue.pod;
    const struct rescue_item *item = &work->rescue.items[i];
    const struct judgement *judgement = &work->judgements[i];
    bool deleted = judgement->result == RESCUE_DELETED;
    char now[RFC3339_SIZE];
    rfc3339_format((long long)time(NULL), now);
    struct json_writer w = {.out = out};
    json_begin_object(&w);
    json_member_text(&w, "apiVersion", "v1");
    json_member_text(&w, "kind", "Event");
    json_key(&w, "metadata");
    json_begin_object(&w);
    json_member(&w, "namespace", pod->namespace_);
    json_member(&w, "name",
                arena_format(work->arena, "%.*s.%llx",
                             (int)(pod->name.len < 200 ? pod->name.len : 200), pod->name.base,
                             (unsigned long long)clock_monotonic_ms() << 8 | i));
    json_end_object(&w);
    json_key(&w, "involvedObject");
    json_begin_object(&w);
    json_member_text(&w, "apiVersion", "v1");
    json_member_text(&w, "kind", "Pod");
    json_member(&w, "namespace", pod->namespace_);
    json_member(&w, "name", pod->name);
    json_member(&w, "uid", work->rescue.uid);
    json_end_object(&w);
    json_member_text(&w, "type", "Normal");
    json_member_text(&w, "reason", deleted ? "RescuedByDeletion" : "Rescued");
    json_member(&w, "message",
                arena_format(work->arena, "Container %.*s waited for %.*s: %s (%.*s)",
                             SLICE_ARGS(item->field->name),
                             SLICE_ARGS(slice_head(item->field->image, 300)),
                             deleted ? "the Pod is deleted, its controller makes another"
                                     : "its original image is put back",
                             SLICE_ARGS(judgement->detail)));
    json_member_number(&w, "count", 1);
    json_member_text(&w, "firstTimestamp", now);
    json_member_text(&w, "lastTimestamp", now);
    json_key(&w, "source");
    json_begin_object(&w);
    json_member_text(&w, "component", "harbor-pilot");
    json_end_object(&w);
    json_end_object(&w);
}

/* For `kubectl describe pod`; that it could not be made keeps nothing from being done. */
static void post_event(const struct work *work, size_t i)
{
    CLEANUP_BUFFER struct buffer body = {0};
    CLEANUP_REPLY struct kube_reply reply = {0};
    struct error error;
    write_event(work, i, &body);
    struct slice path = arena_format(work->arena, "/api/v1/namespaces/%.*s/events",
                                     SLICE_ARGS(work->rescue.pod.namespace_));
    if (kube_do(work->rescuer->kube,
                &(struct kube_request){
                    .method = "POST", .path = path.base, .body = buffer_slice(&body)},
                &reply, &error) ||
        work->rescuer->events_refused)
        return;
    work->rescuer->events_refused = true;
    log_message(LOG_WARNING, EVENT_RESCUE_EVENT, "no Event can be made: %s", error.text);
}

static struct slice pod_path(struct arena *arena, struct slice namespace_, struct slice name)
{
    return arena_format(arena, "/api/v1/namespaces/%.*s/pods/%.*s", SLICE_ARGS(namespace_),
                        SLICE_ARGS(name));
}

static bool ask_patch(const struct work *work, struct kube_reply *reply, struct error *reterr)
{
    const struct pod *pod = &work->rescue.pod;
    CLEANUP_BUFFER struct buffer body = {0};
    const char *why = "";
    for (size_t i = 0; i < work->rescue.count; i++)
        if (work->rescue.items[i].restore)
            why = work->judgements[i].reason;
    rescue_write_patch(&work->rescue, slice_from(why), (long long)time(NULL), work->arena, &body);
    return kube_ask(
        work->rescuer->kube,
        &(struct kube_request){.method = "PATCH",
                               .path = pod_path(work->arena, pod->namespace_, pod->name).base,
                               .content_type = "application/json-patch+json",
                               .body = buffer_slice(&body)},
        reply, reterr);
}

static bool ask_delete(const struct work *work, struct kube_reply *reply, struct error *reterr)
{
    const struct pod *pod = &work->rescue.pod;
    CLEANUP_BUFFER struct buffer body = {0};
    struct json_writer w = {.out = &body};
    json_begin_object(&w);
    json_member_text(&w, "apiVersion", "v1");
    json_member_text(&w, "kind", "DeleteOptions");
    json_key(&w, "preconditions");
    json_begin_object(&w);
    json_member(&w, "uid", work->rescue.uid);
    json_member(&w, "resourceVersion", work->rescue.resource_version);
    json_end_object(&w);
    json_end_object(&w);
    return kube_ask(
        work->rescuer->kube,
        &(struct kube_request){.method = "DELETE",
                               .path = pod_path(work->arena, pod->namespace_, pod->name).base,
                               .body = buffer_slice(&body)},
        reply, reterr);
}

/* What is to become of the Pod as a whole: deleting it saves all its containers. */
static enum rescue_result judge_all(struct work *work)
{
    enum rescue_result result = RESCUE_LEFT;
    work->judgements = arena_allocate(work->arena, work->rescue.count * sizeof(*work->judgements));
    for (size_t i = 0; i < work->rescue.count; i++) {
        work->judgements[i] = judge(work, &work->rescue.items[i]);
        if (work->judgements[i].passed_over)
            continue;
        if (work->judgements[i].result == RESCUE_DELETED)
            result = RESCUE_DELETED;
        else if (work->judgements[i].result == RESCUE_RESTORED && result == RESCUE_LEFT)
            result = RESCUE_RESTORED;
    }
    for (size_t i = 0; i < work->rescue.count; i++) {
        struct judgement *judgement = &work->judgements[i];
        work->rescue.items[i].restore = result == RESCUE_RESTORED && !judgement->passed_over &&
                                        judgement->result == RESCUE_RESTORED;
        if (result == RESCUE_DELETED)
            judgement->passed_over |= judgement->result != RESCUE_DELETED;
    }
    return result;
}

/* Says what became of all items, and whether any still waits. */
static enum rescue_end tell_all(const struct work *work)
{
    enum rescue_end end = RESCUE_NOTHING;
    for (size_t i = 0; i < work->rescue.count; i++) {
        const struct judgement *judgement = &work->judgements[i];
        const struct rescue_item *item = &work->rescue.items[i];
        bool begins = item->wait == RESCUE_PULLING && item->obstacle != RESCUE_ENDING;
        enum rescue_end one = judgement->passed_over && begins   ? RESCUE_BEGINS
                              : judgement->passed_over           ? RESCUE_NOTHING
                              : judgement->result == RESCUE_LEFT ? RESCUE_WAITS
                                                                 : RESCUE_DONE;
        if (one > end)
            end = one;
        tell(work, i);
    }
    return end;
}

/* The API server refused, and not because the Pod has changed. */
static enum rescue_end tell_refusal(struct work *work, const struct kube_reply *reply)
{
    struct error error;
    kube_refusal(reply, &error);
    for (size_t i = 0; i < work->rescue.count; i++)
        if (!work->judgements[i].passed_over && work->judgements[i].result != RESCUE_LEFT)
            work->judgements[i] = leave("refused", arena_format(work->arena, "%s", error.text));
    return tell_all(work);
}

enum attempt { ATTEMPT_OVER, ATTEMPT_AGAIN };

/* Judges and does it once. ATTEMPT_AGAIN: the Pod has changed since it was read. */
static enum attempt attempt(struct work *work, bool last, enum rescue_end *ret,
                            struct error *reterr)
{
    CLEANUP_REPLY struct kube_reply reply = {0};
    enum rescue_result result = judge_all(work);
    *ret = RESCUE_UNKNOWN;
    if (work->rescuer->dry_run || result == RESCUE_LEFT) {
        *ret = tell_all(work);
        return ATTEMPT_OVER;
    }
    bool asked = result == RESCUE_DELETED ? ask_delete(work, &reply, reterr)
                                          : ask_patch(work, &reply, reterr);
    if (!asked)
        return ATTEMPT_OVER;
    if ((reply.status == CONFLICT || reply.status == INVALID) && !last)
        return ATTEMPT_AGAIN;
    if (reply.status == NOT_FOUND) {
        *ret = RESCUE_NOTHING;
    } else if (reply.status / 100 != 2) {
        *ret = tell_refusal(work, &reply);
    } else {
        *ret = tell_all(work);
        for (size_t i = 0; i < work->rescue.count; i++)
            if (!work->judgements[i].passed_over && work->judgements[i].result != RESCUE_LEFT)
                post_event(work, i);
    }
    return ATTEMPT_OVER;
}

/* The Pod as it is now, in `reply`; an empty `ret` where it is gone. By a list of one: so it needs
 * no right but `list`, and the API server reads one key for it as for a `get`. */
static MUST_CHECK bool read_pod(struct kube_client *kube, struct slice namespace_,
                                struct slice name, struct kube_reply *reply, struct slice *ret,
                                struct error *reterr)
{
    CLEANUP_ARENA struct arena arena = {0};
    struct slice path =
        arena_format(&arena, "/api/v1/namespaces/%.*s/pods?fieldSelector=metadata.name%%3D%.*s",
                     SLICE_ARGS(namespace_), SLICE_ARGS(name));
    if (!kube_do(kube, &(struct kube_request){.method = "GET", .path = path.base}, reply, reterr))
        return false;
    if (!json_find(buffer_slice(&reply->body), SLICE("/items/0"), ret))
        *ret = (struct slice){0};
    return true;
}

enum rescue_end rescue_pod(struct rescuer *rescuer, struct slice namespace_, struct slice name,
                           struct error *reterr)
{
    for (int tries = 1;; tries++) {
        CLEANUP_ARENA struct arena arena = {0};
        CLEANUP_REPLY struct kube_reply reply = {0};
        struct work work = {.rescuer = rescuer, .arena = &arena};
        struct slice json;
        enum rescue_end end;
        if (!read_pod(rescuer->kube, namespace_, name, &reply, &json, reterr))
            return RESCUE_UNKNOWN;
        rescue_read(rescuer->set, json, &arena, &work.rescue);
        if (work.rescue.count == 0)
            return RESCUE_NOTHING;
        if (attempt(&work, tries == PATCH_TRIES, &end, reterr) == ATTEMPT_OVER)
            return end;
    }
}

enum rescue_end rescue_preview(struct rescuer *rescuer, struct slice json)
{
    CLEANUP_ARENA struct arena arena = {0};
    struct work work = {.rescuer = rescuer, .arena = &arena};
    rescue_read(rescuer->set, json, &arena, &work.rescue);
    if (work.rescue.count == 0)
        return RESCUE_NOTHING;
    judge_all(&work);
    return tell_all(&work);
}
