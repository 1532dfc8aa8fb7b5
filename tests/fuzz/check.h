/* What the fuzz targets share: a check that aborts, and one request's way through admit() and back.
 */
#pragma once

#include "admit/admit.h"
#include "tests/unit/json_patch.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                        \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static inline bool is_one_of(struct slice text, const char *const *words)
{
    for (; *words; words++)
        if (slice_equal(text, slice_from(*words)))
            return true;
    return false;
}

/* Replaces the one index in a path by N. */
static inline struct slice without_index(struct slice path, struct arena *arena)
{
    for (size_t i = 0; i + 1 < path.len; i++) {
        size_t end = i + 1;
        while (end < path.len && path.base[end] >= '0' && path.base[end] <= '9')
            end++;
        if (path.base[i] == '/' && end > i + 1 && (end == path.len || path.base[end] == '/'))
            return arena_join(
                arena,
                (struct slice[]){slice_head(path, i + 1), SLICE("N"), slice_from_index(path, end)},
                3);
    }
    return path;
}

/* Only what docs/policies.md allows to be changed, each only in the way it allows. */
static inline void check_operation(const struct json_node *operation, struct arena *arena)
{
    static const char *const replaced_only[] = {
        "/spec/containers/N/image", "/spec/initContainers/N/image",
        "/spec/ephemeralContainers/N/image", "/spec/volumes/N/image/reference", NULL};
    static const char *const either[] = {"/spec/containers/N/imagePullPolicy",
                                         "/spec/initContainers/N/imagePullPolicy",
                                         "/spec/ephemeralContainers/N/imagePullPolicy",
                                         "/spec/volumes/N/image/pullPolicy",
                                         "/metadata/annotations/harbor-pilot.io~1original-images",
                                         NULL};
    static const char *const added_only[] = {"/spec/imagePullSecrets", "/spec/imagePullSecrets/-",
                                             "/metadata/annotations", NULL};
    struct slice op = node_member_text(operation, "op");
    struct slice path = node_member_text(operation, "path");
    bool replace = slice_equal(op, SLICE("replace"));
    CHECK(replace || slice_equal(op, SLICE("add")));
    struct slice plain = without_index(path, arena);
    CHECK(is_one_of(plain, either) || is_one_of(plain, replace ? replaced_only : added_only));
}

/* Answers the review, checks the answer's shape, and gives its decoded patch, or NULL. */
static inline struct json_node *answer_and_check(const struct policies *policies, enum mode mode,
                                                 struct slice body, struct arena *arena,
                                                 struct admission *ret, bool *ret_answered)
{
    struct buffer out = {0};
    struct error error = {""};
    const struct admit_request request = {
        .policies = policies, .webhook = ADMIT_MUTATE, .mode = mode, .body = body};
    size_t before = arena_size(arena);
    *ret_answered = admit(&request, arena, &out, ret, &error);
    CHECK(*ret_answered == (error.text[0] == '\0'));
    CHECK(arena_size(arena) + out.capacity <=
          before + ADMIT_MEMORY_TIMES * body.len + ADMIT_MEMORY_FIXED);
    CHECK(*ret_answered == (ret->result != ADMIT_INVALID));
    if (!*ret_answered) {
        CHECK(out.len == 0);
        return NULL;
    }
    struct json_node *answer = node_parse(arena_copy(arena, buffer_slice(&out)), arena);
    buffer_done(&out);
    CHECK(answer);
    const struct json_node *response = node_member(answer, SLICE("response"));
    const struct json_node *allowed = node_member(response, SLICE("allowed"));
    const struct json_node *patch = node_member(response, SLICE("patch"));
    const struct json_node *type = node_member(response, SLICE("patchType"));
    CHECK(slice_equal(node_member_text(response, "uid"), ret->review.uid));
    CHECK(allowed && allowed->type == SCAN_TRUE);
    CHECK(slice_equal(node_member_text(answer, "kind"), SLICE("AdmissionReview")));
    CHECK(slice_equal(node_member_text(answer, "apiVersion"), ret->review.api_version));
    CHECK((patch != NULL) == (type != NULL));
    CHECK((patch != NULL) == (ret->result == ADMIT_PATCHED));
    const struct json_node *annotations = node_member(response, SLICE("auditAnnotations"));
    for (const struct json_node *a = annotations ? annotations->first : NULL; a; a = a->next) {
        CHECK(a->type == SCAN_STRING && a->key.len > 0 && a->key.len <= 63);
        CHECK(slice_find(a->key, '/') == a->key.len);
    }
    if (!patch)
        return NULL;
    struct slice decoded;
    CHECK(mode == MODE_ENFORCE);
    CHECK(slice_equal(node_member_text(response, "patchType"), SLICE("JSONPatch")));
    CHECK(base64_decode(patch->text, arena, &decoded));
    struct json_node *operations = node_parse(decoded, arena);
    CHECK(operations && operations->type == SCAN_ARRAY && operations->first);
    for (const struct json_node *o = operations->first; o; o = o->next)
        check_operation(o, arena);
    return operations;
}

/* A whole round: in enforce, with the patch applied a second pass has none, and audit has none. */
static inline void check_round(const struct policies *policies, struct slice body)
{
    struct arena arena = {0};
    struct admission admission;
    bool answered;
    struct json_node *patch =
        answer_and_check(policies, MODE_ENFORCE, body, &arena, &admission, &answered);
    if (patch) {
        struct json_node *review = node_parse(body, &arena);
        CHECK(review);
        struct json_node *object =
            node_member(node_member(review, SLICE("request")), SLICE("object"));
        const char *problem = json_patch_apply(object, patch, &arena);
        if (problem)
            fprintf(stderr, "%s\n", problem);
        CHECK(!problem);
        struct buffer second = {0};
        node_write(review, &second);
        CHECK(!answer_and_check(policies, MODE_ENFORCE, buffer_slice(&second), &arena, &admission,
                                &answered));
        CHECK(answered);
        CHECK(admission.decisions.rewrites == 0);
        buffer_done(&second);
    }
    bool in_audit;
    answer_and_check(policies, MODE_AUDIT, body, &arena, &admission, &in_audit);
    CHECK(!admission.applied);
    arena_done(&arena);
}
