/* Looks for registries in other policies' text. They may be written in CEL, Rego or patterns, so it
 * is a search for the name, not a reading: it says where to look. */
#include "webhook/cli/rivals.h"

#include "image/glob.h"
#include "json/pointer.h"

/* What `*` does in the patterns of a kind, and whether a pattern for everything also takes the new
 * names: where the most specific one wins it does not help, since it is another rule. */
enum wildcards {
    WILDCARDS_NONE,   /* CEL, Rego, prefixes */
    WILDCARDS_CROSS,  /* `*` is any text, `/` too */
    WILDCARDS_STOP,   /* `*` ends at a `/`, `**` does not; a name without a domain is docker.io's */
    WILDCARDS_NEAREST /* `*` within the path, or any text: the nearest pattern wins */
};

static const struct rival {
    struct slice group, kind; /* an empty kind: any of the group */
    enum wildcards wildcards;
} rivals[] = {
    {{"admissionregistration.k8s.io", 28}, {"ValidatingAdmissionPolicy", 25}, WILDCARDS_NONE},
    {{"kyverno.io", 10}, {0}, WILDCARDS_CROSS},
    {{"policies.kyverno.io", 19}, {0}, WILDCARDS_CROSS},
    {{"templates.gatekeeper.sh", 23}, {0}, WILDCARDS_NONE},
    {{"constraints.gatekeeper.sh", 25}, {0}, WILDCARDS_NONE},
    {{"policy.sigstore.dev", 19}, {"ClusterImagePolicy", 18}, WILDCARDS_STOP},
    {{"portieris.cloud.ibm.com", 23}, {0}, WILDCARDS_NEAREST},
    {{"policies.kubewarden.io", 22}, {0}, WILDCARDS_CROSS},
};

static const struct rival *find_rival(const struct object *object)
{
    /* Connaisseur keeps its rules in a ConfigMap */
    static const struct rival connaisseur = {{0}, {"ConfigMap", 9}, WILDCARDS_NEAREST};
    for (size_t i = 0; i < sizeof(rivals) / sizeof(*rivals); i++)
        if (slice_equal(object->group, rivals[i].group) &&
            (rivals[i].kind.len == 0 || slice_equal(object->kind, rivals[i].kind)))
            return &rivals[i];
    bool named = slice_starts_with(object->name, SLICE("connaisseur"));
    return named && object->group.len == 0 && slice_equal(object->kind, connaisseur.kind)
               ? &connaisseur
               : NULL;
}

/* --- names in the text --- */

static bool is_name_character(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
}

/* Whether the domain stands in the text by itself, not as a part of a longer name. */
static bool names(struct slice text, struct slice domain)
{
    size_t from = 0;
    while (from + domain.len <= text.len) {
        const char *at = memmem(text.base + from, text.len - from, domain.base, domain.len);
        if (!at)
            return false;
        size_t begin = (size_t)(at - text.base), end = begin + domain.len;
        bool before =
            begin == 0 || (!is_name_character(text.base[begin - 1]) && text.base[begin - 1] != '.');
        bool after = end == text.len || !is_name_character(text.base[end]);
        if (end + 1 < text.len && text.base[end] == '.' && is_name_character(text.base[end + 1]))
            after = false; /* ghcr.io.example.com */
        if (before && after)
            return true;
        from = begin + 1;
    }
    return false;
}

/* --- patterns --- */

/* Sigstore's globs: `*` ends at a `/`, `**` does not. `reached[i]`: the pattern so far takes the
 * first i characters. */
static bool matches_by_part(struct slice pattern, struct slice text, struct arena *arena)
{
    bool *reached = arena_allocate(arena, (text.len + 1) * sizeof(*reached));
    reached[0] = true;
    for (size_t at = 0; at < pattern.len; at++) {
        if (pattern.base[at] == '*') {
            bool crosses = at + 1 < pattern.len && pattern.base[at + 1] == '*';
            for (size_t i = 1; i <= text.len; i++)
                reached[i] |= reached[i - 1] && (crosses || text.base[i - 1] != '/');
            at += crosses;
            continue;
        }
        for (size_t i = text.len; i > 0; i--)
            reached[i] = reached[i - 1] && text.base[i - 1] == pattern.base[at];
        reached[0] = false;
    }
    return reached[text.len];
}

/* Whether Sigstore takes the pattern for one of docker.io's: `*` is index.docker.io/library's. */
static bool is_docker_hubs(struct slice pattern)
{
    struct slice first = slice_head(pattern, slice_find(pattern, '/'));
    return slice_equal(first, SLICE("index.docker.io")) ||
           (!memmem(pattern.base, pattern.len, "**", 2) && slice_find(first, '.') == first.len &&
            slice_find(first, ':') == first.len && !slice_equal(first, SLICE("localhost")));
}

struct patterns {
    enum wildcards wildcards;
    struct slice new_name; /* of some image, in Harbor */
    bool cover;            /* a pattern takes the new name */
    bool docker_hub;       /* a pattern is of docker.io without its name */
};

/* `names_images`: it stands at a key that says so; else it may be a namespace's or a kind's. */
static void look_at_pattern(struct patterns *p, struct slice text, bool names_images,
                            struct arena *arena)
{
    bool glob = slice_find(text, '*') < text.len;
    names_images |= p->wildcards == WILDCARDS_CROSS && slice_find(text, '/') < text.len;
    if (!names_images || p->wildcards == WILDCARDS_NONE || p->wildcards == WILDCARDS_NEAREST)
        return;
    if (p->wildcards == WILDCARDS_CROSS)
        p->cover |= glob && glob_match(text, p->new_name);
    else if (is_docker_hubs(text))
        p->docker_hub = true;
    else
        p->cover |= glob && matches_by_part(text, p->new_name, arena);
}

static bool is_image_key(struct json_string key)
{
    static const char *const keys[] = {"glob", "image", "images", "imageReferences",
                                       "matchImageReferences"};
    for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++)
        if (json_string_is(key, slice_from(keys[i])))
            return true;
    return false;
}

/* Every string of the object that may be a pattern. */
static void look_at_patterns(struct patterns *p, struct json_scanner *s, bool names_images,
                             struct arena *arena)
{
    enum { LONGEST_PATTERN = 512 };
    struct json_string key;
    struct slice text;
    switch (json_peek(s)) {
    case SCAN_OBJECT:
        for (json_object_begin(s); json_object_next(s, &key);)
            look_at_patterns(p, s, is_image_key(key), arena);
        return;
    case SCAN_ARRAY:
        for (json_array_begin(s); json_array_next(s);)
            look_at_patterns(p, s, names_images, arena);
        return;
    case SCAN_STRING:
        if (json_read_text(s, arena, &text) && text.len <= LONGEST_PATTERN)
            look_at_pattern(p, text, names_images, arena);
        return;
    case SCAN_ERROR:
    case SCAN_NULL:
    case SCAN_FALSE:
    case SCAN_TRUE:
    case SCAN_NUMBER:
        break;
    }
    json_skip(s);
}

/* --- the warning --- */

static bool moves(const struct policies *policies, const struct harbor *harbor, size_t registry)
{
    for (size_t i = 0; i < policies_count(policies); i++) {
        const struct policy *policy = policies_at(policies, i);
        if (policy->harbor == harbor && policy->mode != MODE_DISABLED && policy->moves[registry])
            return true;
    }
    return false;
}

static void check_registry(const struct object *object, const struct rival *rival,
                           const struct harbor *harbor, const struct registry *registry,
                           struct position at, struct diagnostics *diagnostics)
{
    CLEANUP_ARENA struct arena arena = {0};
    struct json_scanner s;
    struct slice spec = object->json;
    struct patterns p = {.wildcards = rival->wildcards};
    p.new_name = arena_format(&arena, "%.*s/%.*s/library/name", SLICE_ARGS(harbor->host),
                              SLICE_ARGS(registry->project));
    json_find(object->json, SLICE("/spec"), &spec);
    json_scanner_init(&s, spec);
    look_at_patterns(&p, &s, false, &arena);
    bool hub = p.docker_hub && slice_equal(registry->upstream.domain, SLICE("docker.io"));
    if (p.cover || !(hub || names(object->json, registry->upstream.domain)))
        return;
    diagnostics_warning(diagnostics, at,
                        "%.*s `%.*s` names `%.*s`, whose images move to `%.*s/%.*s`: it may refuse "
                        "the new names, or, worse, skip them where it checks signatures; name "
                        "`%.*s/%.*s` there first",
                        SLICE_ARGS(object->kind), SLICE_ARGS(object->name),
                        SLICE_ARGS(registry->upstream.domain), SLICE_ARGS(harbor->host),
                        SLICE_ARGS(registry->project), SLICE_ARGS(harbor->host),
                        SLICE_ARGS(registry->project));
}

void rivals_check(const struct object *object, const struct policies *policies, struct position at,
                  struct diagnostics *diagnostics)
{
    const struct rival *rival = find_rival(object);
    for (size_t i = 0; rival && i < policies_harbor_count(policies); i++) {
        const struct harbor *harbor = policies_harbor_at(policies, i);
        if (names(object->json, harbor->host))
            continue;
        for (size_t j = 0; j < harbor->registry_count; j++) {
            const struct registry *registry = &harbor->registries[j];
            bool again = j > 0 && moves(policies, harbor, j - 1) && /* parts of one */
                         slice_equal(registry->upstream.domain, registry[-1].upstream.domain);
            if (!again && moves(policies, harbor, j))
                check_registry(object, rival, harbor, registry, at, diagnostics);
        }
    }
}
