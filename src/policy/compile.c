/* From documents to a policy set: resolves names, checks what needs several documents at once, and
 * builds the indexes that make a decision cost the same with ten Policies as with ten thousand. */
#include "base/digest.h"
#include "image/glob.h"
#include "policy/document.h"
#include "policy/set.h"

#include <stdlib.h>

struct compiler {
    struct documents *documents;
    struct diagnostics *diagnostics;
    struct policies *set;
    const struct discovered *discovered;
    size_t discovered_count;
};

#define ERROR(c, at, ...)   diagnostics_error((c)->diagnostics, at, __VA_ARGS__)
#define WARNING(c, at, ...) diagnostics_warning((c)->diagnostics, at, __VA_ARGS__)
#define PLACE(at)           SLICE_ARGS((at).file), (at).line

/* --- Harbors --- */

/* `discover`: the registries are those that Harbor was found to proxy, but for itself. */
static void set_discovered(struct compiler *c, struct harbor *harbor)
{
    if (harbor->registry_count)
        ERROR(c, harbor->at,
              "Harbor `%.*s` has `registries` and `discover: true`, expected one of them",
              SLICE_ARGS(harbor->name));
    if (harbor->api.url.len == 0)
        ERROR(c, harbor->at, "Harbor `%.*s` has `discover: true`, expected an `api` to ask",
              SLICE_ARGS(harbor->name));
    harbor->registry_count = 0;
    harbor->undiscovered = true;
    for (size_t i = 0; i < c->discovered_count; i++) {
        const struct discovered *found = &c->discovered[i];
        if (!slice_equal(found->harbor, harbor->name))
            continue;
        harbor->undiscovered = false;
        harbor->registries =
            arena_allocate(&c->set->arena, found->count * sizeof(*harbor->registries));
        for (size_t j = 0; j < found->count; j++) {
            struct slice domain = arena_copy(&c->set->arena, found->registries[j].upstream.domain);
            struct slice project = arena_copy(&c->set->arena, found->registries[j].project);
            if (!slice_equal(domain, harbor->host))
                harbor->registries[harbor->registry_count++] =
                    (struct registry){{domain, domain, {0}}, project, harbor->at};
        }
    }
}

/* --- renames --- */

/* The rename that has the name, which may be a registry's. */
static const struct rename *rename_of(const struct harbor *harbor, struct slice name)
{
    struct reference_prefix prefix;
    struct reference reference;
    if (!reference_prefix_parse(name, &prefix))
        return NULL;
    reference = (struct reference){.domain = prefix.domain, .path = prefix.path};
    return reference_find_prefix(&reference, harbor->renames, harbor->rename_count,
                                 sizeof(*harbor->renames), harbor->rename_longest);
}

/* An image that `first` renames to a name that `second` would rename; false where there is none,
 * also since another rename, with a longer name, takes all of them from `first`. */
static bool find_chain(const struct harbor *harbor, const struct rename *first,
                       const struct rename *second, struct arena *arena, struct slice *ret_rest)
{
    struct slice rest = {0}, old = first->from.text;
    if (!reference_prefix_covers(&second->from, &first->to)) {
        if (!reference_prefix_covers(&first->to, &second->from))
            return false;
        rest = slice_from_index(second->from.text, first->to.text.len);
    }
    if (rename_of(harbor, arena_join(arena, (struct slice[]){old, rest}, 2)) != first)
        return false;
    rest = arena_join(arena, (struct slice[]){rest, SLICE("/app")}, 2);
    while (rename_of(harbor, arena_join(arena, (struct slice[]){old, rest}, 2)) != first)
        rest = arena_join(arena, (struct slice[]){rest, SLICE("s")}, 2);
    *ret_rest = rest;
    return true;
}

static void check_chains(struct compiler *c, const struct harbor *harbor,
                         const struct rename *first)
{
    CLEANUP_ARENA struct arena scratch = {0};
    struct slice rest;
    for (size_t i = 0; i < harbor->rename_count; i++) {
        const struct rename *second = &harbor->renames[i];
        if (!find_chain(harbor, first, second, &scratch, &rest))
            continue;
        ERROR(c, first->at,
              "`%.*s%.*s` would become `%.*s%.*s`, which `%.*s` (%.*s:%d) renames again; expected "
              "the last name at once",
              SLICE_ARGS(first->from.text), SLICE_ARGS(rest), SLICE_ARGS(first->to.text),
              SLICE_ARGS(rest), SLICE_ARGS(second->from.text), PLACE(second->at));
        return;
    }
}

/* Whether the Harbor has a project for some image of that name. */
static bool is_proxied(const struct harbor *harbor, const struct reference_prefix *name)
{
    for (size_t i = 0; i < harbor->registry_count; i++)
        if (reference_prefix_covers(&harbor->registries[i].upstream, name) ||
            reference_prefix_covers(name, &harbor->registries[i].upstream))
            return true;
    return false;
}

static void check_renames(struct compiler *c, struct harbor *harbor)
{
    if (harbor->rename_count)
        qsort(harbor->renames, harbor->rename_count, sizeof(*harbor->renames),
              reference_prefix_compare);
    for (size_t i = 0; i < harbor->rename_count; i++)
        if (harbor->renames[i].from.path.len > harbor->rename_longest)
            harbor->rename_longest = harbor->renames[i].from.path.len;
    for (size_t i = 0; i < harbor->rename_count; i++) {
        const struct rename *rename = &harbor->renames[i];
        const struct reference_prefix *from = &rename->from, *to = &rename->to;
        if (slice_equal(from->domain, harbor->host) || slice_equal(to->domain, harbor->host))
            ERROR(c, rename->at,
                  "`%.*s` is this Harbor's own `host`; expected names of upstream registries",
                  SLICE_ARGS(harbor->host));
        else if (!harbor->undiscovered && !is_proxied(harbor, to))
            WARNING(c, rename->at,
                    "images are renamed to `%.*s`, for which Harbor `%.*s` has no project: they "
                    "stay as they are",
                    SLICE_ARGS(to->text), SLICE_ARGS(harbor->name));
        check_chains(c, harbor, rename);
    }
}

static void check_harbor(struct compiler *c, struct harbor *harbor)
{
    if (harbor->discover)
        set_discovered(c, harbor);
    for (size_t i = 0; i < harbor->registry_count; i++) {
        const struct registry *registry = &harbor->registries[i];
        if (registry->upstream.path.len > harbor->registry_longest)
            harbor->registry_longest = registry->upstream.path.len;
        if (slice_equal(registry->upstream.domain, harbor->host))
            ERROR(c, registry->at,
                  "`%.*s` is this Harbor's own `host`: its images would be rewritten again and "
                  "again; expected an upstream registry",
                  SLICE_ARGS(registry->upstream.domain));
    }
    if (harbor->registry_count)
        qsort(harbor->registries, harbor->registry_count, sizeof(*harbor->registries),
              reference_prefix_compare);
    check_renames(c, harbor);
}

static void compile_harbors(struct compiler *c)
{
    struct policies *set = c->set;
    struct map names = {0};
    set->harbors = c->documents->harbors;
    set->harbor_count = c->documents->harbor_count;
    for (size_t i = 0; i < set->harbor_count; i++) {
        struct harbor *harbor = &set->harbors[i];
        void **slot = map_put(&names, harbor->name);
        const struct harbor *first = *slot;
        if (first && harbor->name.len)
            ERROR(c, harbor->at,
                  "a Harbor named `%.*s` is already at %.*s:%d, expected another "
                  "name",
                  SLICE_ARGS(harbor->name), PLACE(first->at));
        *slot = harbor;
        check_harbor(c, harbor);
    }
    map_done(&names);
}

static void compile_protected(struct compiler *c, struct slice own_namespace)
{
    struct policies *set = c->set;
    static struct pattern here; /* any value will do: the map holds names */
    size_t globs = 0;
    for (size_t i = 0; i < set->harbor_count; i++)
        globs += set->harbors[i].protected_.count;
    set->protected_globs.items = arena_allocate(&set->arena, globs * sizeof(struct pattern));
    for (size_t i = 0; i < set->harbor_count; i++) {
        const struct pattern_list *list = &set->harbors[i].protected_;
        for (size_t j = 0; j < list->count; j++) {
            if (list->items[j].wildcard)
                set->protected_globs.items[set->protected_globs.count++] = list->items[j];
            else
                *map_put(&set->protected_names, list->items[j].text) = &here;
        }
    }
    if (own_namespace.len)
        *map_put(&set->protected_names, arena_copy(&set->arena, own_namespace)) = &here;
}

/* --- Policies --- */

static const struct harbor *find_harbor(struct compiler *c, const struct policy_document *document)
{
    const struct policies *set = c->set;
    struct slice wanted = document->harbor;
    if (wanted.len == 0) {
        if (set->harbor_count == 1)
            return &set->harbors[0];
        if (set->harbor_count == 0 && c->documents->unread)
            return NULL; /* it may be in what could not be read */
        if (set->harbor_count == 0)
            ERROR(c, document->policy.at,
                  "there is no Harbor document, expected one with `host` "
                  "and `registries`");
        else
            ERROR(c, document->policy.at,
                  "there are %zu Harbors and `harbor` does not say which, "
                  "expected `harbor: NAME`",
                  set->harbor_count);
        return NULL;
    }
    for (size_t i = 0; i < set->harbor_count; i++)
        if (slice_equal(set->harbors[i].name, wanted))
            return &set->harbors[i];
    if (c->documents->unread)
        return NULL;
    ERROR(c, document->harbor_at,
          "there is no Harbor named `%.*s`, expected the `metadata.name` "
          "of one",
          SLICE_ARGS(wanted));
    return NULL;
}

/* The registry whose key is that very text, or NULL. */
static const struct registry *find_key(const struct harbor *harbor, struct slice key)
{
    struct reference_prefix wanted;
    if (harbor->registry_count == 0 || !reference_prefix_parse(key, &wanted))
        return NULL;
    return bsearch(&wanted, harbor->registries, harbor->registry_count, sizeof(*harbor->registries),
                   reference_prefix_compare);
}

static void compile_registries(struct compiler *c, const struct policy_document *document,
                               struct policy *policy)
{
    const struct harbor *harbor = policy->harbor;
    policy->moves = arena_allocate(&c->set->arena, harbor->registry_count * sizeof(bool));
    for (size_t i = 0; i < harbor->registry_count && !document->has_registries; i++)
        policy->moves[i] = true;
    for (size_t i = 0; i < document->registries.count; i++) {
        const struct pattern *name = &document->registries.items[i];
        const struct registry *registry = find_key(harbor, name->text);
        if (registry)
            policy->moves[registry - harbor->registries] = true;
        else if (harbor->discover && !harbor->undiscovered)
            WARNING(c, name->at, "Harbor `%.*s` has no proxy-cache project for `%.*s`",
                    SLICE_ARGS(harbor->name), SLICE_ARGS(slice_head(name->text, 200)));
        else if (!harbor->discover)
            ERROR(c, name->at,
                  "`%.*s` is not among the `registries` of Harbor `%.*s`, expected "
                  "one that has a project there",
                  SLICE_ARGS(slice_head(name->text, 200)), SLICE_ARGS(harbor->name));
    }
}

/* Whether an image of the registry can begin as the pattern does. */
static bool can_begin(const struct reference_prefix *upstream, struct slice prefix)
{
    struct slice name = upstream->text;
    if (prefix.len <= name.len)
        return slice_starts_with(name, prefix);
    char next = prefix.base[name.len];
    return slice_starts_with(prefix, name) &&
           (next == '/' || (upstream->path.len && (next == ':' || next == '@')));
}

/* Whether an image of a registry that the Policy moves can begin as the pattern does. */
static bool can_exclude(const struct policy *policy, const struct pattern *pattern)
{
    struct slice text = pattern->text;
    size_t star = slice_find(text, '*'), question = slice_find(text, '?');
    struct slice prefix = slice_head(text, star < question ? star : question);
    for (size_t i = 0; i < policy->harbor->registry_count; i++)
        if (policy->moves[i] && can_begin(&policy->harbor->registries[i].upstream, prefix))
            return true;
    return false;
}

static void compile_exclude(struct compiler *c, struct policy *policy)
{
    for (size_t i = 0; i < policy->exclude.count; i++) {
        const struct pattern *pattern = &policy->exclude.items[i];
        struct slice text = pattern->text;
        glob_set_add(pattern->whole ? &policy->exclude_whole : &policy->exclude_names, text, i,
                     &c->set->arena);
        if (pattern->wildcard && !policy->harbor->discover && !can_exclude(policy, pattern))
            WARNING(c, pattern->at,
                    "`%.*s` excludes nothing that this Policy moves: images are compared "
                    "by their whole name; expected `docker.io/…`, or `*` in front",
                    SLICE_ARGS(text));
    }
}

/* Without `api` nothing is ever asked; with it, rewriting needs a servable image unless it is said
 * otherwise. */
static void compile_facts(struct compiler *c, const struct policy_document *document,
                          struct policy *policy)
{
    bool has_api = policy->harbor->api.url.len != 0;
    if (!document->has_require && has_api)
        policy->require = REQUIRE_SERVABLE;
    if (policy->require != REQUIRE_NEVER && !has_api)
        ERROR(c, document->require_at,
              "`requireInHarbor` asks Harbor, but Harbor `%.*s` has no `api`; "
              "expected `never`, or `api` there",
              SLICE_ARGS(policy->harbor->name));
    if (document->has_unavailable && !has_api)
        WARNING(c, document->unavailable_at,
                "`onHarborUnavailable` has no effect: Harbor `%.*s` has no "
                "`api`, so nobody knows",
                SLICE_ARGS(policy->harbor->name));
    if (policy->gate.on && !has_api)
        WARNING(c, document->findings_at,
                "`findings` asks Harbor, but Harbor `%.*s` has no `api`: every image will be "
                "`unavailable`",
                SLICE_ARGS(policy->harbor->name));
    if (policy->gate.on && policy->gate.unavailable == GATE_DENY)
        WARNING(c, document->gate_unavailable_at,
                "`unavailable: deny` refuses every new image while Harbor cannot be asked, at each "
                "of its upgrades too");
}

static int compare_policies(const void *x, const void *y)
{
    const struct policy *a = x, *b = y;
    if (a->priority != b->priority)
        return a->priority > b->priority ? -1 : 1;
    if (!a->selector.count != !b->selector.count)
        return a->selector.count ? -1 : 1;
    return (a->order > b->order) - (a->order < b->order);
}

static void compile_policies(struct compiler *c)
{
    struct policies *set = c->set;
    struct documents *documents = c->documents;
    struct map names = {0};
    set->policy_count = documents->policy_count;
    set->policies = arena_allocate(&set->arena, set->policy_count * sizeof(*set->policies));
    for (size_t i = 0; i < set->policy_count; i++) {
        const struct policy_document *document = &documents->policies[i];
        struct policy *policy = &set->policies[i];
        *policy = document->policy;
        void **slot = map_put(&names, policy->name);
        const struct policy_document *first = *slot;
        if (first && policy->name.len)
            ERROR(c, policy->at,
                  "a Policy named `%.*s` is already at %.*s:%d, expected another "
                  "name",
                  SLICE_ARGS(policy->name), PLACE(first->policy.at));
        *slot = (void *)document;
        policy->harbor = find_harbor(c, document);
        if (!policy->harbor)
            continue;
        compile_registries(c, document, policy);
        compile_exclude(c, policy);
        compile_facts(c, document, policy);
    }
    map_done(&names);
    if (set->policy_count)
        qsort(set->policies, set->policy_count, sizeof(*set->policies), compare_policies);
}

/* --- claims --- */

bool policy_pattern_can_match(const struct pattern *pattern)
{
    enum { LABEL_MAX = 63 };
    struct slice s = pattern->text;
    size_t least = 0;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.base[i];
        bool alphanumeric = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        bool inner = i > 0 && i + 1 < s.len;
        if (!alphanumeric && c != '*' && c != '?' && !(c == '-' && inner))
            return false;
        least += c != '*';
    }
    return s.len > 0 && least <= LABEL_MAX;
}

/* Whether a Pod can be claimed by both, of one priority and in one namespace, with neither before
 * the other; `ret_labels` are such a Pod's. */
static bool claim_same_pods(const struct policy *a, const struct policy *b, struct arena *arena,
                            struct slice *ret_labels)
{
    *ret_labels = (struct slice){0};
    return !a->selector.count == !b->selector.count &&
           selector_overlap(&a->selector, &b->selector, arena, ret_labels);
}

static void report_conflict(struct compiler *c, const struct claim *one, const struct claim *other,
                            struct slice example, struct slice labels)
{
    bool swap = other->policy->order < one->policy->order;
    const struct claim *first = swap ? other : one, *second = swap ? one : other;
    if (first->policy->selector.count)
        ERROR(c, second->pattern->at,
              "`%.*s` and `%.*s` of Policy `%.*s` (%.*s:%d) could both claim, in the namespace "
              "`%.*s` at priority %ld, a Pod with%s%.*s%s, expected different priorities or "
              "names, or a `podSelector` that excludes the other",
              SLICE_ARGS(second->pattern->text), SLICE_ARGS(first->pattern->text),
              SLICE_ARGS(first->policy->name), PLACE(first->pattern->at), SLICE_ARGS(example),
              first->policy->priority, labels.len ? " the labels `" : "out labels",
              SLICE_ARGS(labels), labels.len ? "`" : "");
    else
        ERROR(c, second->pattern->at,
              "`%.*s` and `%.*s` of Policy `%.*s` (%.*s:%d) could both claim the namespace `%.*s` "
              "at priority %ld, expected different priorities or names",
              SLICE_ARGS(second->pattern->text), SLICE_ARGS(first->pattern->text),
              SLICE_ARGS(first->policy->name), PLACE(first->pattern->at), SLICE_ARGS(example),
              first->policy->priority);
}

/* Appends the claim to those of the same name, which come in the order in which they are looked at;
 * after one without a selector nothing is left to claim. */
static void add_exact(struct compiler *c, const struct claim *claim)
{
    CLEANUP_ARENA struct arena scratch = {0};
    struct slice labels;
    void **slot = map_put(&c->set->exact, claim->pattern->text);
    const struct claim **end = (const struct claim **)slot;
    for (const struct claim *at = *end; at; at = at->next) {
        end = (const struct claim **)&at->next;
        if (at->policy == claim->policy) {
            WARNING(c, claim->pattern->at, "`%.*s` is here a second time",
                    SLICE_ARGS(claim->pattern->text));
            return;
        }
        if (at->policy->priority == claim->policy->priority &&
            claim_same_pods(at->policy, claim->policy, &scratch, &labels)) {
            report_conflict(c, at, claim, claim->pattern->text, labels);
            return;
        }
        if (at->policy->selector.count == 0)
            return;
    }
    struct claim *copy = arena_allocate(&c->set->arena, sizeof(*copy));
    *copy = *claim;
    *end = copy;
}

/* Quick no: what stands before the first wildcard has to agree. */
static bool prefixes_agree(struct slice a, struct slice b)
{
    for (size_t i = 0; i < a.len && i < b.len; i++) {
        if (a.base[i] == '*' || b.base[i] == '*')
            return true;
        if (a.base[i] != b.base[i] && a.base[i] != '?' && b.base[i] != '?')
            return false;
    }
    return true;
}

/* The same from the end. */
static bool suffixes_agree(struct slice a, struct slice b)
{
    for (size_t i = 1; i <= a.len && i <= b.len; i++) {
        char x = a.base[a.len - i], y = b.base[b.len - i];
        if (x == '*' || y == '*')
            return true;
        if (x != y && x != '?' && y != '?')
            return false;
    }
    return true;
}

static void check_glob_conflicts(struct compiler *c, const struct claim *claim)
{
    struct arena scratch = {0};
    for (size_t i = c->set->glob_count; i-- > 0;) {
        const struct claim *other = &c->set->globs[i];
        struct slice example, labels;
        if (other->policy->priority != claim->policy->priority)
            break;
        if (other->policy == claim->policy ||
            !prefixes_agree(other->pattern->text, claim->pattern->text) ||
            !suffixes_agree(other->pattern->text, claim->pattern->text))
            continue;
        if (glob_overlap(other->pattern->text, claim->pattern->text, &scratch, &example) &&
            claim_same_pods(other->policy, claim->policy, &scratch, &labels))
            report_conflict(c, other, claim, example, labels);
        arena_clear(&scratch);
    }
    arena_done(&scratch);
}

static void compile_claims(struct compiler *c)
{
    struct policies *set = c->set;
    size_t capacity = 0;
    for (size_t i = 0; i < set->policy_count; i++) {
        const struct policy *policy = &set->policies[i];
        for (size_t j = 0; j < policy->namespaces.count; j++) {
            struct claim claim = {policy, &policy->namespaces.items[j], NULL};
            if (!policy_pattern_can_match(claim.pattern))
                continue; /* warn_of_dead_policy says so */
            if (!claim.pattern->wildcard) {
                add_exact(c, &claim);
                continue;
            }
            check_glob_conflicts(c, &claim);
            set->globs =
                arena_grow(&set->arena, set->globs, set->glob_count, &capacity, sizeof(claim));
            glob_set_add(&set->glob_index, claim.pattern->text, set->glob_count, &set->arena);
            set->globs[set->glob_count++] = claim;
        }
    }
}

/* --- Policies without effect --- */

static bool is_protected_pattern(const struct policies *set, const struct pattern *pattern)
{
    if (!pattern->wildcard && policies_protects(set, pattern->text))
        return true;
    for (size_t i = 0; pattern->wildcard && i < set->protected_globs.count; i++)
        if (glob_covers(set->protected_globs.items[i].text, pattern->text))
            return true;
    return false;
}

/* Whether the other claim is looked at first, by its priority, and takes all of the Pods. */
static bool shadows(const struct claim *other, const struct claim *claim)
{
    return other->policy->priority > claim->policy->priority &&
           selector_covers(&other->policy->selector, &claim->policy->selector);
}

/* The claim that takes every Pod of `claim` first, or NULL. */
static const struct claim *shadow_of(const struct policies *set, const struct claim *claim)
{
    const struct claim *exact =
        claim->pattern->wildcard ? NULL : map_get(&set->exact, claim->pattern->text);
    for (; exact; exact = exact->next)
        if (shadows(exact, claim))
            return exact;
    for (size_t i = 0; i < set->glob_count; i++) {
        const struct claim *glob = &set->globs[i];
        if (glob->policy->priority <= claim->policy->priority)
            break;
        if (shadows(glob, claim) && glob_covers(glob->pattern->text, claim->pattern->text))
            return glob;
    }
    return NULL;
}

/* The Policy that claims the Pods of the claim's namespaces which no `podSelector` wants, or NULL.
 */
static const struct policy *rest_of(const struct policies *set, const struct claim *claim)
{
    const struct policy *found = NULL;
    const struct claim *exact =
        claim->pattern->wildcard ? NULL : map_get(&set->exact, claim->pattern->text);
    for (; exact; exact = exact->next)
        if (exact->policy->selector.count == 0)
            found = exact->policy;
    for (size_t i = 0; i < set->glob_count; i++) {
        const struct claim *glob = &set->globs[i];
        if (found && found->priority >= glob->policy->priority)
            break;
        if (glob->policy->selector.count == 0 &&
            glob_covers(glob->pattern->text, claim->pattern->text))
            return glob->policy;
    }
    return found;
}

/* Who writes the labels of a Pod decides which Policy judges it. */
static void warn_of_evasion(struct compiler *c, const struct claim *claim)
{
    const struct policy *policy = claim->policy;
    if (policy->selector.count == 0 || !policy->gate.on || policy->mode == MODE_DISABLED)
        return;
    const struct policy *rest = rest_of(c->set, claim);
    if (!rest || !rest->gate.on || rest->mode < policy->mode)
        WARNING(c, claim->pattern->at,
                "`findings` can be got round in `%.*s`: who writes a Pod's labels decides whether "
                "`podSelector` matches; expected `findings` in a Policy without `podSelector` for "
                "the other Pods, too",
                SLICE_ARGS(claim->pattern->text));
}

/* A glob that also matches what Harbor stands on: those namespaces stay as they are, but was it
 * meant? */
static void warn_of_protected(struct compiler *c, const struct policy *policy)
{
    for (size_t i = 0; i < policy->namespaces.count; i++) {
        const struct pattern *pattern = &policy->namespaces.items[i];
        const struct map *names = &c->set->protected_names;
        struct slice example = {0};
        size_t count = 0;
        if (!pattern->wildcard || is_protected_pattern(c->set, pattern))
            continue;
        for (size_t j = 0; j < names->capacity; j++) {
            const struct map_entry *entry = &names->entries[j];
            if (!entry->value || !glob_match(pattern->text, entry->key))
                continue;
            if (count++ == 0 || slice_compare(entry->key, example) < 0)
                example = entry->key;
        }
        if (count)
            WARNING(c, pattern->at,
                    "`%.*s` also matches %zu protected namespace%s, such as `%.*s`, which "
                    "stay as they are",
                    SLICE_ARGS(pattern->text), count, count == 1 ? "" : "s", SLICE_ARGS(example));
    }
}

static void warn_of_dead_selector(struct compiler *c, const struct policy *policy)
{
    CLEANUP_ARENA struct arena scratch = {0};
    struct slice example;
    if (!selector_overlap(&policy->selector, &policy->selector, &scratch, &example))
        WARNING(c, policy->selector.at,
                "`podSelector` can never match: what it asks of a label excludes itself");
}

static void warn_of_dead_policy(struct compiler *c, const struct policy *policy)
{
    size_t never = 0, protected_ = 0;
    for (size_t i = 0; i < policy->namespaces.count; i++) {
        struct claim claim = {policy, &policy->namespaces.items[i], NULL};
        const struct claim *shadow = shadow_of(c->set, &claim);
        struct position at = claim.pattern->at;
        struct slice text = claim.pattern->text;
        if (!policy_pattern_can_match(claim.pattern)) {
            WARNING(c, at,
                    "`%.*s` can never match: namespaces have lower-case letters, digits and "
                    "`-`, at most 63",
                    SLICE_ARGS(slice_head(text, 100)));
            never++;
        } else if (is_protected_pattern(c->set, claim.pattern)) {
            WARNING(c, at, "`%.*s` has no effect: the namespace is protected", SLICE_ARGS(text));
            protected_++;
        } else if (shadow) {
            WARNING(c, at,
                    "`%.*s` can never match: `%.*s` of Policy `%.*s` (%.*s:%d) has a higher "
                    "priority",
                    SLICE_ARGS(text), SLICE_ARGS(shadow->pattern->text),
                    SLICE_ARGS(shadow->policy->name), PLACE(shadow->pattern->at));
            never++;
        } else {
            warn_of_evasion(c, &claim);
        }
    }
    warn_of_protected(c, policy);
    warn_of_dead_selector(c, policy);
    if (never + protected_ == policy->namespaces.count)
        WARNING(c, policy->at, "Policy `%.*s` %s", SLICE_ARGS(policy->name),
                protected_ && !never ? "only claims protected namespaces"
                                     : "can never match a namespace");
}

/* --- the whole --- */

static void check_paths(struct compiler *c, const struct policy_source *sources, size_t count,
                        const size_t *documents)
{
    for (size_t i = 0; i < count;) {
        size_t first = i, there = 0;
        for (; i < count && slice_equal(sources[i].path, sources[first].path); i++)
            there += documents[i];
        if (there == 0)
            ERROR(c, (struct position){.file = sources[first].path},
                  "there is no document, expected Harbor and Policy documents (is the right "
                  "ConfigMap mounted here?)");
    }
}

static struct slice digest_of(struct arena *arena, const struct policy_source *sources,
                              size_t count)
{
    struct arena scratch = {0};
    struct slice *parts = arena_allocate(&scratch, 2 * count * sizeof(*parts));
    for (size_t i = 0; i < count; i++) {
        parts[2 * i] = arena_format(&scratch, "%zu\n", sources[i].text.len);
        parts[2 * i + 1] = sources[i].text;
    }
    char hex[DIGEST_SHA256_HEX_SIZE];
    digest_sha256_hex(arena_join(&scratch, parts, 2 * count), hex);
    arena_done(&scratch);
    return arena_format(arena, "sha256:%s", hex);
}

bool policies_load(const struct policy_source *sources, size_t count, struct slice own_namespace,
                   struct diagnostics *diagnostics, struct policies **ret)
{
    return policies_load_discovered(sources, count, own_namespace, NULL, 0, diagnostics, ret);
}

bool policies_load_discovered(const struct policy_source *sources, size_t count,
                              struct slice own_namespace, const struct discovered *discovered,
                              size_t discovered_count, struct diagnostics *diagnostics,
                              struct policies **ret)
{
    struct policies *set = memory_allocate_zeroed(1, sizeof(*set));
    struct documents documents = {.arena = &set->arena, .diagnostics = diagnostics};
    struct compiler c = {&documents, diagnostics, set, discovered, discovered_count};
    size_t errors_before = diagnostics->errors;
    atomic_init(&set->references, 1);
    set->digest = digest_of(&set->arena, sources, count);

    size_t *there = memory_allocate_zeroed(count, sizeof(*there));
    for (size_t i = 0; i < count; i++) {
        size_t before = documents.count, errors = diagnostics->errors;
        documents_read(&documents, &sources[i]);
        there[i] = documents.count - before + (diagnostics->errors - errors);
    }
    check_paths(&c, sources, count, there);
    free(there);

    compile_harbors(&c);
    compile_protected(&c, own_namespace);
    compile_policies(&c);
    compile_claims(&c);
    for (size_t i = 0; i < set->policy_count; i++)
        if (!documents.policies[set->policies[i].order].wrong)
            warn_of_dead_policy(&c, &set->policies[i]);

    diagnostics_sort(diagnostics);
    if (diagnostics->errors > errors_before) {
        policies_unref(set);
        return false;
    }
    *ret = set;
    return true;
}
