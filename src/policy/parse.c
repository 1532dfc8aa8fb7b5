/* Policy files: from YAML to documents. Each kind is a table of its fields; a field is one reader
 * function. What needs several fields or documents at once is checked in compile.c. */
#include "base/buffer.h"
#include "image/glob.h"
#include "image/reference.h"
#include "policy/document.h"
#include "yaml/yaml.h"

#include <errno.h>
#include <stdlib.h>

#define API_VERSION "harbor-pilot.io/v1alpha1"

struct parser {
    struct documents *documents;
    struct arena *arena;
    struct diagnostics *diagnostics;
};

/* Reads the value of one field into its target; reports what is wrong with it. */
typedef void field_reader(struct parser *p, const struct yaml_value *value, void *target);

struct field {
    const char *key;
    field_reader *read; /* NULL: a field that is known and not built yet */
    bool required;
};

#define ERROR(p, value, ...) diagnostics_error((p)->diagnostics, (value)->at, __VA_ARGS__)

/* --- maps and their keys --- */

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Levenshtein distance, for keys of a reasonable length. */
static size_t distance(struct slice a, struct slice b)
{
    enum { LONGEST = 32 };
    size_t row[LONGEST + 1];
    if (a.len > LONGEST || b.len > LONGEST)
        return LONGEST;
    for (size_t j = 0; j <= b.len; j++)
        row[j] = j;
    for (size_t i = 1; i <= a.len; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b.len; j++) {
            size_t above = row[j];
            size_t change = diagonal + (a.base[i - 1] != b.base[j - 1]);
            row[j] = smaller(change, smaller(above, row[j - 1]) + 1);
            diagonal = above;
        }
    }
    return row[b.len];
}

static void report_unknown(struct parser *p, const struct yaml_value *key,
                           const struct field *fields, size_t count)
{
    const char *nearest = NULL;
    size_t best = smaller(4, key->text.len / 3 + 2); /* further away is no typing error */
    for (size_t i = 0; i < count; i++) {
        size_t d = distance(key->text, slice_from(fields[i].key));
        if (d < best && d < key->text.len) {
            best = d;
            nearest = fields[i].key;
        }
    }
    if (nearest) {
        ERROR(p, key, "unknown field `%.*s`, did you mean `%s`?",
              SLICE_ARGS(slice_head(key->text, 100)), nearest);
        return;
    }
    struct buffer known = {0};
    for (size_t i = 0; i < count; i++)
        buffer_append_format(&known, "%s`%s`", i ? ", " : "", fields[i].key);
    ERROR(p, key, "unknown field `%.*s`, expected one of %.*s",
          SLICE_ARGS(slice_head(key->text, 100)), SLICE_ARGS(buffer_slice(&known)));
    buffer_done(&known);
}

static bool is_scalar(const struct yaml_value *value)
{
    return value->kind == YAML_PLAIN || value->kind == YAML_QUOTED;
}

static bool has_key(const struct yaml_value *map, size_t before, struct slice key)
{
    for (size_t i = 0; i < before; i++)
        if (is_scalar(map->pairs[i].key) && slice_equal(map->pairs[i].key->text, key))
            return true;
    return false;
}

static bool expect_map(struct parser *p, const struct yaml_value *value, const char *what)
{
    if (value->kind == YAML_MAP)
        return true;
    ERROR(p, value, "%s is %s, expected a map", what, yaml_kind_name(value));
    return false;
}

static const struct field *find_field(const struct field *fields, size_t count, struct slice key)
{
    for (size_t i = 0; i < count; i++)
        if (slice_equal(slice_from(fields[i].key), key))
            return &fields[i];
    return NULL;
}

/* Reads each pair of the map by its field. A field whose value is nothing counts as left out, as in
 * Kubernetes. */
static void read_fields(struct parser *p, const struct yaml_value *map, const char *what,
                        const struct field *fields, size_t count, void *target)
{
    if (!expect_map(p, map, what))
        return;
    for (size_t i = 0; i < map->count; i++) {
        const struct yaml_value *key = map->pairs[i].key, *value = map->pairs[i].value;
        if (!is_scalar(key)) {
            ERROR(p, key, "a key of %s is %s, expected a name", what, yaml_kind_name(key));
            continue;
        }
        const struct field *field = find_field(fields, count, key->text);
        if (!field)
            report_unknown(p, key, fields, count);
        else if (has_key(map, i, key->text))
            ERROR(p, key, "`%s` stands here a second time, expected once", field->key);
        else if (value->kind == YAML_NULL)
            continue;
        else if (!field->read)
            ERROR(p, key, "`%s` is not built yet, expected it to be left out", field->key);
        else
            field->read(p, value, target);
    }
    for (size_t i = 0; i < count; i++) {
        bool there = false;
        for (size_t j = 0; fields[i].required && j < map->count; j++)
            there |= map->pairs[j].value->kind != YAML_NULL && is_scalar(map->pairs[j].key) &&
                     slice_equal(map->pairs[j].key->text, slice_from(fields[i].key));
        if (fields[i].required && !there)
            ERROR(p, map, "%s has no `%s`, expected one", what, fields[i].key);
    }
}

/* --- scalars --- */

/* True for unquoted text that YAML tools read as a number or a truth value. */
static bool is_typed(struct slice text)
{
    static const char *const words[] = {"true", "false", "True", "False", "TRUE", "FALSE"};
    for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
        if (slice_equal(text, slice_from(words[i])))
            return true;
    char *end;
    if (strspn(text.base, "+-.0123456789abcdefxABCDEFX") != text.len)
        return slice_equal(text, SLICE(".inf")) || slice_equal(text, SLICE(".nan"));
    strtod(text.base, &end); /* NUL-terminated by the reader */
    return text.len && end == text.base + text.len;
}

/* What stands there, for a message: "a list", "`25` in quotes", "`x`". */
static struct slice describe(struct parser *p, const struct yaml_value *value)
{
    if (!is_scalar(value))
        return slice_from(yaml_kind_name(value));
    return arena_format(p->arena, "`%.*s`%s", SLICE_ARGS(slice_head(value->text, 40)),
                        value->kind == YAML_QUOTED ? " in quotes" : "");
}

static bool read_text(struct parser *p, const struct yaml_value *value, const char *what,
                      struct slice *ret)
{
    if (!is_scalar(value)) {
        ERROR(p, value, "%s is %s, expected text", what, yaml_kind_name(value));
        return false;
    }
    if (value->kind == YAML_PLAIN && is_typed(value->text)) {
        ERROR(p, value,
              "%s is %.*s, which YAML reads as a number or truth value; expected text: "
              "put it in quotes",
              what, SLICE_ARGS(slice_head(value->text, 40)));
        return false;
    }
    if (value->text.len == 0) {
        ERROR(p, value, "%s is empty, expected text", what);
        return false;
    }
    *ret = value->text;
    return true;
}

static bool read_integer(struct parser *p, const struct yaml_value *value, const char *what,
                         long least, long most, long *ret)
{
    char *end = NULL;
    errno = 0;
    long number = value->kind == YAML_PLAIN ? strtol(value->text.base, &end, 10) : 0;
    if (!end || end != value->text.base + value->text.len || errno || number < least ||
        number > most) {
        ERROR(p, value, "%s is %.*s, expected a whole number from %ld to %ld", what,
              SLICE_ARGS(describe(p, value)), least, most);
        return false;
    }
    *ret = number;
    return true;
}

static bool read_truth(struct parser *p, const struct yaml_value *value, const char *what,
                       bool *ret)
{
    bool yes = value->kind == YAML_PLAIN && slice_equal(value->text, SLICE("true"));
    bool no = value->kind == YAML_PLAIN && slice_equal(value->text, SLICE("false"));
    if (yes || no)
        *ret = yes;
    else
        ERROR(p, value, "%s is %.*s, expected `true` or `false`", what,
              SLICE_ARGS(describe(p, value)));
    return yes || no;
}

/* The index of the value among `count` words, or -1 and an error that lists them. */
static int read_word(struct parser *p, const struct yaml_value *value, const char *what,
                     const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (is_scalar(value) && slice_equal(value->text, slice_from(words[i])))
            return (int)i;
    struct slice list = {0};
    for (size_t i = 0; i < count; i++)
        list = arena_format(p->arena, "%.*s%s`%s`", SLICE_ARGS(list),
                            i == 0           ? ""
                            : i + 1 == count ? " or "
                                             : ", ",
                            words[i]);
    if (is_scalar(value))
        ERROR(p, value, "%s is `%.*s`, expected %.*s", what,
              SLICE_ARGS(slice_head(value->text, 40)), SLICE_ARGS(list));
    else
        ERROR(p, value, "%s is %s, expected %.*s", what, yaml_kind_name(value), SLICE_ARGS(list));
    return -1;
}

/* RFC 1123 labels joined by dots, as Kubernetes wants them of object names. */
static bool is_object_name(struct slice s, size_t most)
{
    if (s.len == 0 || s.len > most)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.base[i];
        bool alphanumeric = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        bool edge = i == 0 || i + 1 == s.len || s.base[i - 1] == '.' || s.base[i + 1] == '.';
        if (!alphanumeric && (edge || (c != '-' && c != '.')))
            return false;
    }
    return true;
}

static bool read_name(struct parser *p, const struct yaml_value *value, const char *what,
                      struct slice *ret)
{
    struct slice name;
    if (!read_text(p, value, what, &name))
        return false;
    if (!is_object_name(name, POLICY_MAX_NAME)) {
        ERROR(p, value, "%s is `%.*s`, expected lower-case letters, digits, `-` and `.`", what,
              SLICE_ARGS(slice_head(name, 100)));
        return false;
    }
    *ret = name;
    return true;
}

/* --- lists --- */

static bool expect_list(struct parser *p, const struct yaml_value *value, const char *what)
{
    if (value->kind == YAML_LIST)
        return true;
    ERROR(p, value, "%s is %s, expected a list", what, yaml_kind_name(value));
    return false;
}

static void read_patterns(struct parser *p, const struct yaml_value *value, const char *what,
                          struct pattern_list *ret)
{
    if (!expect_list(p, value, what))
        return;
    ret->items = arena_allocate(p->arena, value->count * sizeof(*ret->items));
    ret->count = 0;
    for (size_t i = 0; i < value->count; i++) {
        const struct yaml_value *item = value->items[i];
        struct pattern pattern = {.at = item->at};
        if (!read_text(p, item, what, &pattern.text))
            continue;
        if (pattern.text.len > POLICY_MAX_PATTERN) {
            ERROR(p, item, "%s: a pattern has %zu characters, expected at most %d", what,
                  pattern.text.len, POLICY_MAX_PATTERN);
            continue;
        }
        pattern.wildcard = glob_has_wildcard(pattern.text);
        ret->items[ret->count++] = pattern;
    }
}

/* --- kind: Harbor --- */

static void read_host(struct parser *p, const struct yaml_value *value, void *target)
{
    struct harbor *harbor = target;
    struct slice host;
    if (!read_text(p, value, "`host`", &host))
        return;
    if (!reference_is_domain(host) || slice_equal(host, SLICE("docker.io")))
        ERROR(p, value,
              "`host` is `%.*s`, expected a host name with a dot or a port, without "
              "scheme and path, as it stands in front of an image: `harbor.example.com`",
              SLICE_ARGS(slice_head(host, 200)));
    else
        harbor->host = host;
}

/* Harbor 2.16, src/server/v2.0/handler/project.go: ^[a-z0-9]+(?:[._-][a-z0-9]+)*$ */
static bool is_project(struct slice s)
{
    bool separated = true;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.base[i];
        bool alphanumeric = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        if (!alphanumeric && (separated || (c != '.' && c != '_' && c != '-')))
            return false;
        separated = !alphanumeric;
    }
    return !separated;
}

static void read_registries(struct parser *p, const struct yaml_value *value, void *target)
{
    struct harbor *harbor = target;
    if (!expect_map(p, value, "`registries`"))
        return;
    harbor->registries = arena_allocate(p->arena, value->count * sizeof(*harbor->registries));
    for (size_t i = 0; i < value->count; i++) {
        const struct yaml_value *key = value->pairs[i].key, *project = value->pairs[i].value;
        struct registry registry = {.at = key->at};
        if (!read_text(p, key, "an upstream domain", &registry.domain) ||
            !read_text(p, project, "a project", &registry.project))
            continue;
        if (slice_equal(registry.domain, SLICE("index.docker.io")))
            ERROR(p, key, "`index.docker.io` is read as `docker.io`, expected that name");
        else if (!reference_is_domain(registry.domain))
            ERROR(p, key,
                  "`%.*s` is no registry's domain, expected one like `docker.io` or "
                  "`registry.example.com:5000`",
                  SLICE_ARGS(slice_head(registry.domain, 200)));
        else if (has_key(value, i, registry.domain))
            ERROR(p, key, "`%.*s` stands here a second time, expected once",
                  SLICE_ARGS(slice_head(registry.domain, 200)));
        else if (!is_project(registry.project))
            ERROR(p, project,
                  "`%.*s` is no project of Harbor, expected lower-case letters, "
                  "digits and single `.`, `_` or `-` between them",
                  SLICE_ARGS(slice_head(registry.project, 200)));
        else
            harbor->registries[harbor->registry_count++] = registry;
    }
}

static void read_protected(struct parser *p, const struct yaml_value *value, void *target)
{
    read_patterns(p, value, "`protected`", &((struct harbor *)target)->protected_);
}

static void read_nodes_have_credentials(struct parser *p, const struct yaml_value *value,
                                        void *target)
{
    read_truth(p, value, "`nodesHaveCredentials`",
               &((struct harbor *)target)->nodes_have_credentials);
}

static void read_trusted_controllers(struct parser *p, const struct yaml_value *value, void *target)
{
    struct harbor *harbor = target;
    struct pattern_list names = {0};
    read_patterns(p, value, "`trustedControllers`", &names);
    struct name_list *ret = &harbor->trusted_controllers;
    ret->items = arena_allocate(p->arena, names.count * sizeof(*ret->items));
    for (size_t i = 0; i < names.count; i++) {
        if (names.items[i].wildcard)
            diagnostics_error(p->diagnostics, names.items[i].at,
                              "`%.*s` has a wildcard, expected a whole user name",
                              SLICE_ARGS(slice_head(names.items[i].text, 200)));
        else
            ret->items[ret->count++] = names.items[i].text;
    }
}

/* https://host[:port]; a path or a query would be lost when the API's own paths are appended. */
static void read_api_url(struct parser *p, const struct yaml_value *value, void *target)
{
    struct harbor_api *api = target;
    struct slice url, https = SLICE("https://"), http = SLICE("http://");
    if (!read_text(p, value, "`api.url`", &url))
        return;
    bool secure = slice_starts_with(url, https);
    struct slice host = slice_from_index(url, secure ? https.len : http.len);
    if (host.len && host.base[host.len - 1] == '/')
        host.len--;
    bool good = secure || slice_starts_with(url, http);
    for (size_t i = 0; i < host.len; i++) {
        char c = host.base[i];
        good &= (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                strchr(".-:[]_", c) != NULL;
    }
    if (!good || host.len == 0) {
        ERROR(p, value, "`api.url` is `%.*s`, expected `https://HOST` or `https://HOST:PORT`",
              SLICE_ARGS(slice_head(url, 200)));
        return;
    }
    api->url = slice_head(url, (size_t)(host.base - url.base) + host.len);
    if (!secure)
        diagnostics_warning(p->diagnostics, value->at,
                            "`api.url` is not https: the account's "
                            "password crosses the network in the clear");
}

static void read_api_credentials(struct parser *p, const struct yaml_value *value, void *target)
{
    read_text(p, value, "`api.credentialsDirectory`",
              &((struct harbor_api *)target)->credentials_directory);
}

static void read_api_ca_file(struct parser *p, const struct yaml_value *value, void *target)
{
    read_text(p, value, "`api.caFile`", &((struct harbor_api *)target)->ca_file);
}

static void read_api(struct parser *p, const struct yaml_value *value, void *target)
{
    static const struct field fields[] = {
        {"url", read_api_url, true},
        {"credentialsDirectory", read_api_credentials, false},
        {"caFile", read_api_ca_file, false},
    };
    read_fields(p, value, "`api`", fields, 3, &((struct harbor *)target)->api);
}

static const struct field harbor_spec_fields[] = {
    {"host", read_host, true},
    {"registries", read_registries, true},
    {"discover", NULL, false},
    {"protected", read_protected, false},
    {"nodesHaveCredentials", read_nodes_have_credentials, false},
    {"trustedControllers", read_trusted_controllers, false},
    {"api", read_api, false},
};

/* --- kind: Policy --- */

static void read_harbor_name(struct parser *p, const struct yaml_value *value, void *target)
{
    struct policy_document *document = target;
    read_name(p, value, "`harbor`", &document->harbor);
    document->harbor_at = value->at;
}

static void read_namespaces(struct parser *p, const struct yaml_value *value, void *target)
{
    read_patterns(p, value, "`namespaces`", &((struct policy_document *)target)->policy.namespaces);
}

static void read_priority(struct parser *p, const struct yaml_value *value, void *target)
{
    read_integer(p, value, "`priority`", -POLICY_MAX_PRIORITY, POLICY_MAX_PRIORITY,
                 &((struct policy_document *)target)->policy.priority);
}

static void read_mode(struct parser *p, const struct yaml_value *value, void *target)
{
    static const char *const words[] = {"disabled", "audit", "enforce"};
    int index = read_word(p, value, "`mode`", words, 3);
    if (index >= 0)
        ((struct policy_document *)target)->policy.mode = (enum mode)index;
}

static void read_rollout(struct parser *p, const struct yaml_value *value, void *target)
{
    long percent;
    if (read_integer(p, value, "`rollout`", 0, 100, &percent))
        ((struct policy_document *)target)->policy.rollout = (unsigned)percent;
}

static void read_policy_registries(struct parser *p, const struct yaml_value *value, void *target)
{
    struct policy_document *document = target;
    document->has_registries = true;
    read_patterns(p, value, "`registries`", &document->registries);
}

/* A pattern without a domain, such as `busybox`, would match nothing: it is compared with the
 * normalised reference. */
static void warn_of_short_pattern(struct parser *p, const struct pattern *pattern)
{
    struct reference reference;
    if (pattern->wildcard || !reference_parse(pattern->text, p->arena, &reference))
        return;
    struct slice normal = reference_format(&reference, p->arena);
    if (!slice_equal(normal, pattern->text))
        diagnostics_warning(p->diagnostics, pattern->at,
                            "`%.*s` matches nothing, since images are compared by their whole "
                            "name; expected `%.*s`",
                            SLICE_ARGS(pattern->text), SLICE_ARGS(normal));
}

static void read_exclude(struct parser *p, const struct yaml_value *value, void *target)
{
    struct pattern_list *exclude = &((struct policy_document *)target)->policy.exclude;
    read_patterns(p, value, "`exclude`", exclude);
    for (size_t i = 0; i < exclude->count; i++) {
        struct pattern *pattern = &exclude->items[i];
        size_t slash = slice_find_last(pattern->text, '/');
        struct slice last =
            slash < pattern->text.len ? slice_from_index(pattern->text, slash + 1) : pattern->text;
        pattern->whole = slice_find(last, ':') < last.len || slice_find(last, '@') < last.len;
        warn_of_short_pattern(p, pattern);
    }
}

static void read_owners_include(struct parser *p, const struct yaml_value *value, void *target)
{
    struct policy *policy = &((struct policy_document *)target)->policy;
    struct pattern_list names = {0};
    read_patterns(p, value, "`owners.include`", &names);
    policy->owners = arena_allocate(p->arena, names.count * sizeof(*policy->owners));
    for (size_t i = 0; i < names.count; i++) {
        struct slice text = names.items[i].text;
        size_t slash = slice_find(text, '/');
        struct owner owner = {.group = slice_head(text, slash),
                              .kind = slice_from_index(text, slash + 1)};
        if (names.items[i].wildcard || owner.group.len == 0 || owner.kind.len == 0 ||
            slice_find(owner.kind, '/') < owner.kind.len) {
            diagnostics_error(p->diagnostics, names.items[i].at,
                              "`%.*s` is no kind of owner, expected GROUP/KIND without version and "
                              "wildcards, such as `tekton.dev/TaskRun` (`core` for the core group)",
                              SLICE_ARGS(slice_head(text, 200)));
            continue;
        }
        if (slice_equal(owner.group, SLICE("core")))
            owner.group = (struct slice){0};
        policy->owners[policy->owner_count++] = owner;
    }
}

static void read_owners(struct parser *p, const struct yaml_value *value, void *target)
{
    static const struct field fields[] = {{"include", read_owners_include, false}};
    read_fields(p, value, "`owners`", fields, 1, target);
}

static void read_require_in_harbor(struct parser *p, const struct yaml_value *value, void *target)
{
    static const char *const words[] = {"never", "cached", "servable"};
    struct policy_document *document = target;
    int index = read_word(p, value, "`requireInHarbor`", words, 3);
    document->require_at = value->at;
    document->has_require = true;
    if (index >= 0)
        document->policy.require = (enum require)index;
}

static void read_unavailable(struct parser *p, const struct yaml_value *value, void *target)
{
    static const char *const words[] = {"keep", "rewrite"};
    struct policy_document *document = target;
    document->unavailable_at = value->at;
    document->has_unavailable = true;
    document->policy.rewrite_when_down =
        read_word(p, value, "`onHarborUnavailable`", words, 2) == 1;
}

static void read_pull_secret(struct parser *p, const struct yaml_value *value, void *target)
{
    read_name(p, value, "`pullSecret`", &((struct policy_document *)target)->policy.pull_secret);
}

static void read_pull_policy(struct parser *p, const struct yaml_value *value, void *target)
{
    static const char *const words[] = {"IfNotPresent", "Always"};
    int index = read_word(p, value, "`pullPolicy`", words, 2);
    if (index >= 0)
        ((struct policy_document *)target)->policy.pull_policy =
            index == 0 ? PULL_POLICY_IF_NOT_PRESENT : PULL_POLICY_ALWAYS;
}

static const struct field policy_spec_fields[] = {
    {"harbor", read_harbor_name, false},
    {"namespaces", read_namespaces, true},
    {"priority", read_priority, false},
    {"mode", read_mode, false},
    {"rollout", read_rollout, false},
    {"registries", read_policy_registries, false},
    {"exclude", read_exclude, false},
    {"owners", read_owners, false},
    {"requireInHarbor", read_require_in_harbor, false},
    {"onHarborUnavailable", read_unavailable, false},
    {"pullSecret", read_pull_secret, false},
    {"pullPolicy", read_pull_policy, false},
    {"findings", NULL, false},
};

/* --- documents --- */

struct header {
    struct slice name;
    const struct yaml_value *kind, *spec;
};

static void read_metadata_name(struct parser *p, const struct yaml_value *value, void *target)
{
    read_name(p, value, "`metadata.name`", &((struct header *)target)->name);
}

static void pass_over(struct parser *p, const struct yaml_value *value, void *target)
{
    (void)p, (void)value, (void)target; /* labels and annotations are for other tools */
}

static void read_metadata(struct parser *p, const struct yaml_value *value, void *target)
{
    static const struct field fields[] = {
        {"name", read_metadata_name, true},
        {"labels", pass_over, false},
        {"annotations", pass_over, false},
    };
    read_fields(p, value, "`metadata`", fields, sizeof(fields) / sizeof(*fields), target);
}

static void read_api_version(struct parser *p, const struct yaml_value *value, void *target)
{
    (void)target;
    struct slice version;
    if (read_text(p, value, "`apiVersion`", &version) && !slice_equal(version, SLICE(API_VERSION)))
        ERROR(p, value, "`apiVersion` is `%.*s`, expected `" API_VERSION "`",
              SLICE_ARGS(slice_head(version, 100)));
}

static void keep_kind(struct parser *p, const struct yaml_value *value, void *target)
{
    (void)p;
    ((struct header *)target)->kind = value;
}

static void keep_spec(struct parser *p, const struct yaml_value *value, void *target)
{
    (void)p;
    ((struct header *)target)->spec = value;
}

static void add_harbor(struct parser *p, const struct yaml_value *root, const struct header *header)
{
    struct documents *d = p->documents;
    struct harbor harbor = {.name = header->name, .at = root->at};
    static const char *const standard[] = {"kube-system", "kube-public", "kube-node-lease"};
    enum { STANDARD = sizeof(standard) / sizeof(*standard) };
    harbor.protected_.items = arena_allocate(p->arena, STANDARD * sizeof(struct pattern));
    harbor.protected_.count = STANDARD;
    for (size_t i = 0; i < STANDARD; i++)
        harbor.protected_.items[i] =
            (struct pattern){.text = slice_from(standard[i]), .at = root->at};
    read_fields(p, header->spec, "`spec`", harbor_spec_fields,
                sizeof(harbor_spec_fields) / sizeof(*harbor_spec_fields), &harbor);
    d->harbors =
        arena_grow(p->arena, d->harbors, d->harbor_count, &d->harbor_capacity, sizeof(*d->harbors));
    d->harbors[d->harbor_count++] = harbor;
}

static void add_policy(struct parser *p, const struct yaml_value *root, const struct header *header)
{
    struct documents *d = p->documents;
    struct policy_document document = {
        .policy = {.name = header->name, .at = root->at, .mode = MODE_ENFORCE, .rollout = 100}};
    read_fields(p, header->spec, "`spec`", policy_spec_fields,
                sizeof(policy_spec_fields) / sizeof(*policy_spec_fields), &document);
    document.policy.order = d->policy_count;
    d->policies = arena_grow(p->arena, d->policies, d->policy_count, &d->policy_capacity,
                             sizeof(*d->policies));
    d->policies[d->policy_count++] = document;
}

static void read_document(struct parser *p, const struct yaml_value *root)
{
    static const struct field fields[] = {
        {"apiVersion", read_api_version, true},
        {"kind", keep_kind, true},
        {"metadata", read_metadata, true},
        {"spec", keep_spec, true},
    };
    static const char *const kinds[] = {"Harbor", "Policy"};
    struct header header = {0};
    p->documents->count++;
    read_fields(p, root, "the document", fields, sizeof(fields) / sizeof(*fields), &header);
    if (!header.kind || !header.spec)
        return;
    int kind = read_word(p, header.kind, "`kind`", kinds, 2);
    if (kind == 0)
        add_harbor(p, root, &header);
    else if (kind == 1)
        add_policy(p, root, &header);
}

void documents_read(struct documents *documents, const struct policy_source *source)
{
    struct parser p = {documents, documents->arena, documents->diagnostics};
    struct slice file = arena_copy(p.arena, source->file);
    if (source->text.len > POLICY_MAX_FILE_SIZE) {
        diagnostics_error(p.diagnostics, (struct position){.file = file},
                          "the file has %zu bytes, expected at most %d", source->text.len,
                          POLICY_MAX_FILE_SIZE);
        return;
    }
    struct yaml_reader *reader = yaml_reader_new(source->text, file, 1, p.arena);
    struct yaml_value *root;
    while (yaml_next(reader, p.diagnostics, &root))
        read_document(&p, root);
    yaml_reader_free(reader);
}
