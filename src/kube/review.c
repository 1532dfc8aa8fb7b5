/* Reads an AdmissionReview in one pass over its bytes. */
#include "kube/review.h"

#include "kube/workload.h"
#include "json/scanner.h"

enum { OBJECTS_MOST = 2 };

struct review_reader {
    struct json_scanner s;
    struct arena *arena;
    struct review review;
    struct slice top_kind;
    bool has_request;
    unsigned objects; /* that were read: of more than two the memory would add up */
};

static void read_text(struct review_reader *r, struct slice *ret)
{
    json_read_text(&r->s, r->arena, ret);
}

static bool enter_object(struct review_reader *r)
{
    if (json_peek(&r->s) == SCAN_OBJECT)
        return json_object_begin(&r->s);
    json_skip(&r->s);
    return false;
}

static void read_group_kind(struct review_reader *r)
{
    struct json_string key;
    r->review.group = r->review.kind = (struct slice){0};
    if (!enter_object(r))
        return;
    while (json_object_next(&r->s, &key)) {
        if (json_string_is(key, SLICE("group")))
            read_text(r, &r->review.group);
        else if (json_string_is(key, SLICE("kind")))
            read_text(r, &r->review.kind);
        else
            json_skip(&r->s);
    }
}

static void read_user_info(struct review_reader *r)
{
    struct json_string key;
    r->review.user_name = (struct slice){0};
    if (!enter_object(r))
        return;
    while (json_object_next(&r->s, &key)) {
        if (json_string_is(key, SLICE("username")))
            read_text(r, &r->review.user_name);
        else
            json_skip(&r->s);
    }
}

static void read_dry_run(struct review_reader *r)
{
    enum scan_type type = json_peek(&r->s);
    r->review.dry_run = false;
    if (type == SCAN_TRUE || type == SCAN_FALSE)
        json_read_bool(&r->s, &r->review.dry_run);
    else
        json_skip(&r->s);
}

/* Reads request.object or oldObject as a Pod, and keeps its text: of a workload it is only the
 * metadata that a Pod has, too. */
static void read_object(struct review_reader *r, struct pod *pod, struct slice *ret_text)
{
    const char *begin = r->s.at;
    if (json_peek(&r->s) == SCAN_OBJECT && ++r->objects > OBJECTS_MOST)
        json_skip(&r->s);
    else
        pod_read(&r->s, r->arena, pod);
    *ret_text = slice_of(begin, (size_t)(r->s.at - begin));
}

/* The plain text members of request, by name. */
static struct slice *request_text(struct review_reader *r, struct json_string key)
{
    struct review *review = &r->review;
    if (json_string_is(key, SLICE("uid")))
        return &review->uid;
    if (json_string_is(key, SLICE("subResource")))
        return &review->sub_resource;
    if (json_string_is(key, SLICE("namespace")))
        return &review->namespace_;
    if (json_string_is(key, SLICE("name")))
        return &review->name;
    if (json_string_is(key, SLICE("operation")))
        return &review->operation;
    return NULL;
}

static void read_request_member(struct review_reader *r, struct json_string key)
{
    struct slice *text = request_text(r, key);
    if (text)
        read_text(r, text);
    else if (json_string_is(key, SLICE("kind")))
        read_group_kind(r);
    else if (json_string_is(key, SLICE("userInfo")))
        read_user_info(r);
    else if (json_string_is(key, SLICE("object")))
        read_object(r, &r->review.pod, &r->review.object);
    else if (json_string_is(key, SLICE("oldObject")))
        read_object(r, &r->review.old_pod, &r->review.old_object);
    else if (json_string_is(key, SLICE("dryRun")))
        read_dry_run(r);
    else
        json_skip(&r->s);
}

static void read_request(struct review_reader *r)
{
    struct json_string key;
    struct slice api_version = r->review.api_version;
    r->review = (struct review){.api_version = api_version};
    r->has_request = json_peek(&r->s) == SCAN_OBJECT;
    if (!enter_object(r))
        return;
    while (json_object_next(&r->s, &key))
        read_request_member(r, key);
}

static bool is_known_version(struct slice version)
{
    return slice_equal(version, SLICE("admission.k8s.io/v1")) ||
           slice_equal(version, SLICE("admission.k8s.io/v1beta1"));
}

static MUST_CHECK bool read_top(struct review_reader *r, struct error *reterr)
{
    struct json_string key;
    json_object_begin(&r->s);
    while (json_object_next(&r->s, &key)) {
        if (json_string_is(key, SLICE("kind")))
            read_text(r, &r->top_kind);
        else if (json_string_is(key, SLICE("apiVersion")))
            read_text(r, &r->review.api_version);
        else if (json_string_is(key, SLICE("request")))
            read_request(r);
        else
            json_skip(&r->s);
    }
    if (!json_finish(&r->s))
        return error_set(reterr, "the body is not JSON: at byte %zu, expected %s",
                         (size_t)(r->s.error_at - r->s.begin), r->s.expected);
    return true;
}

bool review_parse(struct slice body, struct arena *arena, struct review *ret, struct error *reterr)
{
    struct review_reader r = {.arena = arena};
    json_scanner_init(&r.s, body);
    if (!read_top(&r, reterr))
        return false;
    if (!slice_equal(r.top_kind, SLICE("AdmissionReview")))
        return error_set(reterr, "kind is `%.*s`, expected `AdmissionReview`",
                         SLICE_ARGS(slice_head(r.top_kind, 100)));
    if (!is_known_version(r.review.api_version))
        return error_set(reterr,
                         "apiVersion is `%.*s`, expected `admission.k8s.io/v1` or "
                         "`admission.k8s.io/v1beta1`",
                         SLICE_ARGS(slice_head(r.review.api_version, 100)));
    if (!r.has_request)
        return error_set(reterr, "the AdmissionReview has no `request` object: expected the call "
                                 "of an API server, not an answer");
    if (r.objects > OBJECTS_MOST)
        return error_set(reterr,
                         "there are %u objects, expected `request.object` and "
                         "`request.oldObject` once",
                         r.objects);
    if (r.review.uid.len == 0)
        return error_set(reterr, "`request.uid` is missing: expected a text to answer with");
    *ret = r.review;
    return true;
}

enum review_subject review_subject(const struct review *review)
{
    bool create = slice_equal(review->operation, SLICE("CREATE"));
    bool update = slice_equal(review->operation, SLICE("UPDATE"));
    if (workload_is_built_in(review->group, review->kind))
        return (create || update) && review->sub_resource.len == 0 ? REVIEW_WORKLOAD : REVIEW_OTHER;
    if (review->group.len || !slice_equal(review->kind, SLICE("Pod")))
        return REVIEW_OTHER;
    if (create && review->sub_resource.len == 0)
        return REVIEW_POD_CREATE;
    if (update && slice_equal(review->sub_resource, SLICE("ephemeralcontainers")))
        return REVIEW_EPHEMERAL_CONTAINERS;
    if (update && review->sub_resource.len == 0)
        return REVIEW_POD_UPDATE;
    return REVIEW_OTHER;
}

/* The Pod of a template in the object's text; one without images where there is none. */
static void read_template(const struct review *review, struct slice text, struct arena *arena,
                          struct pod *ret, struct slice *ret_pointer)
{
    const struct object nameless = {.group = review->group, .kind = review->kind};
    struct object object;
    struct workload workload;
    bool missing;
    *ret = (struct pod){0};
    if (!object_read(text, &nameless, arena, &object))
        return;
    object.group = review->group; /* what the API server calls it, whatever the text says */
    object.kind = review->kind;
    if (workload_read(&object, NULL, 0, arena, &workload, &missing)) {
        *ret = workload.pod;
        *ret_pointer = workload.pointer;
    }
}

void review_templates(const struct review *review, struct arena *arena, struct pod *ret,
                      struct pod *ret_old, struct slice *ret_pointer)
{
    struct slice old_pointer;
    *ret_pointer = (struct slice){0};
    read_template(review, review->object, arena, ret, ret_pointer);
    *ret_old = (struct pod){0};
    if (review->old_object.len)
        read_template(review, review->old_object, arena, ret_old, &old_pointer);
}
