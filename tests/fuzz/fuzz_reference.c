/* Fuzzes image references: what is read is written as something that is read as the same, never
 * longer than it may be, and is at home in Harbor after one rewriting. */
#include "image/reference.h"
#include "policy/policy.h"
#include "tests/fuzz/check.h"

static void check_same(const struct reference *a, const struct reference *b)
{
    CHECK(slice_equal(a->domain, b->domain));
    CHECK(slice_equal(a->path, b->path));
    CHECK(slice_equal(a->tag, b->tag));
    CHECK(slice_equal(a->digest, b->digest));
    CHECK(slice_equal(a->suffix, b->suffix));
}

static void check_parts(struct slice text, const struct reference *r)
{
    size_t suffix = (r->tag.len ? r->tag.len + 1 : 0) + (r->digest.len ? r->digest.len + 1 : 0);
    CHECK(r->suffix.len == suffix && suffix <= text.len);
    CHECK(slice_equal(slice_from_index(text, text.len - suffix), r->suffix)); /* byte for byte */
    CHECK(r->path.len > 0 && reference_is_path(r->path));
    CHECK(r->domain.len == 0 || reference_is_domain(r->domain));
    CHECK(r->domain.len + (r->domain.len ? 1 : 0) + r->path.len <= REFERENCE_MAX_NAME);
    CHECK(!slice_equal(r->domain, SLICE("docker.io")) || slice_find(r->path, '/') < r->path.len);
    CHECK(r->tag.len <= 128);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct harbor harbor = {.host = {"harbor.example.com:8443", 23}};
    struct slice text = slice_of((const char *)data, size);
    struct arena arena = {0};
    struct reference r, again, moved;
    if (reference_parse(text, &arena, &r)) {
        check_parts(text, &r);
        struct slice normal = reference_format(&r, &arena);
        CHECK(reference_parse(normal, &arena, &again));
        check_same(&r, &again);

        struct registry registry = {.upstream.domain = r.domain, .project = SLICE("p.q_r-s")};
        struct slice result = harbor_rewrite(&harbor, &registry, &r, &arena);
        bool fits = result.len - r.suffix.len <= REFERENCE_MAX_NAME;
        CHECK(reference_parse(result, &arena, &moved) == fits);
        if (fits) {
            CHECK(slice_equal(moved.domain, harbor.host));
            CHECK(slice_equal(slice_from_index(moved.path, registry.project.len + 1), r.path));
            CHECK(slice_equal(moved.suffix, r.suffix));
            CHECK(slice_equal(reference_format(&moved, &arena), result));
        }
    }
    if (reference_is_domain(text)) {
        struct slice image = arena_join(&arena, (struct slice[]){text, SLICE("/x/y")}, 2);
        if (image.len <= REFERENCE_MAX_NAME) {
            CHECK(reference_parse(image, &arena, &r));
            CHECK(slice_equal(r.domain, text));
        }
    }
    arena_done(&arena);
    return 0;
}
