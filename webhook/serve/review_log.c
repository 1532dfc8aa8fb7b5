/* Logs reviews, and holds back those that repeat. */
#include "webhook/serve/review_log.h"

#include "base/map.h"
#include "webhook/common/log.h"

#include <pthread.h>
#include <time.h>

enum { REPEAT_SLOTS = 4096, REPEAT_SECONDS = 60, LINE_MOST = 64 * 1024 /* of images */ };

/* What was logged lately, by hash. Two workloads that fall into one slot take turns: at worst a
 * line too many. */
static struct {
    pthread_mutex_t lock;
    struct {
        uint64_t hash;
        time_t logged;
        unsigned long repeated;
    } slots[REPEAT_SLOTS];
} recent = {.lock = PTHREAD_MUTEX_INITIALIZER};

static uint64_t hash_of(const struct admission *admission)
{
    const struct decisions *decisions = &admission->decisions;
    uint64_t hash = (uint64_t)admission->webhook << 8 | (uint64_t)decisions->mode;
    hash = map_hash(admission->review.namespace_, hash);
    hash = map_hash(decisions->workload, hash);
    hash = map_hash(admission->review.kind, hash);
    for (size_t i = 0; i < decisions->count; i++) {
        hash = map_hash(decisions->items[i].field->name, hash);
        hash = map_hash(decisions->items[i].field->image, hash);
        hash = map_hash(decisions->items[i].result, hash);
        hash = hash * 31 + (uint64_t)decisions->items[i].verdict.reason;
        hash = hash * 31 + (uint64_t)decisions->items[i].verdict.outcome;
    }
    return hash;
}

/* Whether the line is to be written now, and how many were not since the last one. */
static bool take_turn(uint64_t hash, unsigned long *ret_repeated)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    pthread_mutex_lock(&recent.lock);
    size_t at = (size_t)(hash % REPEAT_SLOTS);
    bool same = recent.slots[at].hash == hash && recent.slots[at].logged != 0;
    bool write = !same || now.tv_sec - recent.slots[at].logged >= REPEAT_SECONDS;
    *ret_repeated = same ? recent.slots[at].repeated : 0;
    if (write) {
        recent.slots[at].hash = hash;
        recent.slots[at].logged = now.tv_sec + (now.tv_sec == 0);
        recent.slots[at].repeated = 0;
    } else {
        recent.slots[at].repeated++;
    }
    pthread_mutex_unlock(&recent.lock);
    return write;
}

static void write_owner(struct json_writer *w, const struct pod *pod, struct arena *arena)
{
    if (!pod->has_controller)
        return;
    const struct owner *owner = &pod->controller;
    struct slice group = owner->group.len ? owner->group : SLICE("core");
    struct slice text = arena_join(
        arena, (struct slice[]){group, SLICE("/"), owner->kind, SLICE("/"), owner->name}, 5);
    json_member(w, "owner", slice_head(text, DECISION_MAX_NAME));
}

/* Images that the gate lets in without knowing what is in them. */
static size_t count_unjudged(const struct admission *admission)
{
    const struct decisions *decisions = &admission->decisions;
    size_t count = 0;
    for (size_t i = 0; i < decisions->count && admission->webhook == ADMIT_VALIDATE; i++)
        count += gate_is_unjudged(&decisions->items[i].verdict);
    return count;
}

static const char *message_of(const struct admission *admission, size_t unjudged)
{
    const struct decisions *decisions = &admission->decisions;
    bool applied = admission->applied;
    if (admission->webhook == ADMIT_VALIDATE)
        return decisions->outcomes[GATE_DENY]
                   ? applied ? "images refused" : "audit: images would be refused"
               : unjudged
                   ? applied ? "images let in unjudged" : "audit: images would be let in unjudged"
               : applied ? "images let in with a warning"
                         : "audit: images would be let in with a warning";
    if (decisions->rewrites)
        return applied ? "images rewritten" : "audit: images would be rewritten";
    return applied ? "pull secret added" : "audit: a pull secret would be added";
}

/* Whether there is something to tell: what was changed, refused, warned about or let in unjudged,
 * or would be. */
static bool is_noteworthy(const struct admission *admission)
{
    const struct decisions *decisions = &admission->decisions;
    if (!admission->decided)
        return false;
    if (admission->webhook == ADMIT_VALIDATE)
        return decisions->outcomes[GATE_DENY] + decisions->outcomes[GATE_WARN] +
                   count_unjudged(admission) >
               0;
    return decisions->rewrites > 0 || admission->adds_pull_secret;
}

static void write_line(const struct admission *admission, double seconds, unsigned long repeated,
                       struct arena *arena)
{
    const struct review *review = &admission->review;
    const struct decisions *decisions = &admission->decisions;
    size_t unjudged = count_unjudged(admission);
    struct log_line line;
    log_begin(&line, unjudged ? LOG_WARNING : LOG_INFO, EVENT_REVIEW,
              message_of(admission, unjudged));
    struct json_writer *w = &line.w;
    json_member(w, "uid", slice_head(review->uid, DECISION_MAX_NAME));
    json_member_text(w, "webhook", admit_webhook_name(admission->webhook));
    json_member(w, "namespace", slice_head(review->namespace_, DECISION_MAX_NAME));
    struct slice pod = review->pod.name.len ? review->pod.name : review->pod.generate_name;
    json_member(w, "pod", slice_head(pod, DECISION_MAX_NAME));
    if (review_subject(review) == REVIEW_WORKLOAD)
        json_member(w, "kind", slice_head(review->kind, DECISION_MAX_NAME));
    write_owner(w, &review->pod, arena);
    json_member_text(w, "mode", mode_name(decisions->mode));
    json_member_bool(w, "applied", admission->applied);
    json_key(w, "images");
    json_begin_array(w);
    size_t shown = 0;
    for (; shown < decisions->count && line.text.len < LINE_MOST; shown++) {
        json_begin_object(w);
        decision_write_members(w, decisions, &decisions->items[shown],
                               admission_field(admission, &decisions->items[shown], arena));
        json_end_object(w);
    }
    json_end_array(w);
    if (shown < decisions->count)
        json_member_number(w, "imagesLeftOut", (long long)(decisions->count - shown));
    if (unjudged)
        json_member_number(w, "unjudged", (long long)unjudged);
    if (admission->adds_pull_secret)
        json_member(w, "pullSecret", decisions->policy->pull_secret);
    json_key(w, "durationSeconds");
    json_decimal(w, seconds);
    if (admission->originals_too_large)
        json_member_text(w, "detail",
                         "the annotation " ANNOTATION_ORIGINAL_IMAGES " is left out: "
                         "the Pod's annotations would pass 256 KiB");
    if (repeated)
        json_member_number(w, "repeated", (long long)repeated);
    log_end(&line);
}

/* A review about which there is nothing to decide, with the members that every line has. */
static void write_failed(const struct admission *admission, const char *message, const char *detail,
                         unsigned long repeated)
{
    const struct review *review = &admission->review;
    struct log_line line;
    log_begin(&line, LOG_WARNING, EVENT_REVIEW, message);
    struct json_writer *w = &line.w;
    struct slice pod = review->pod.name.len ? review->pod.name : review->pod.generate_name;
    json_member(w, "uid", slice_head(review->uid, DECISION_MAX_NAME));
    json_member_text(w, "webhook", admit_webhook_name(admission->webhook));
    json_member(w, "namespace", slice_head(review->namespace_, DECISION_MAX_NAME));
    json_member(w, "pod", slice_head(pod, DECISION_MAX_NAME));
    json_member_text(w, "mode", mode_name(admission->decisions.mode));
    json_member_bool(w, "applied", admission->denied);
    json_key(w, "images");
    json_begin_array(w);
    json_end_array(w);
    json_member_text(w, "detail", detail);
    if (repeated)
        json_member_number(w, "repeated", (long long)repeated);
    log_end(&line);
}

void review_log(const struct admission *admission, double seconds, struct arena *arena)
{
    unsigned long repeated;
    if (admission->too_many_images) {
        uint64_t hash = map_hash(admission->review.namespace_, (uint64_t)admission->webhook + 1);
        if (take_turn(hash, &repeated))
            write_failed(admission,
                         admission->denied ? "it has too many images and is refused"
                                           : "a Pod has too many images and is left alone",
                         "more than 4096 images", repeated);
        return;
    }
    if (is_noteworthy(admission) && take_turn(hash_of(admission), &repeated))
        write_line(admission, seconds, repeated, arena);
}

void review_log_invalid(const struct admission *admission, const struct error *error)
{
    static struct log_limit limit;
    unsigned long suppressed;
    if (log_limit_take(&limit, &suppressed)) /* anybody may send nonsense: not a line for each */
        write_failed(admission, "a call was not an AdmissionReview", error->text, suppressed);
}
