/* Policy files: from YAML to documents. Each kind is a table of its fields; a field is one reader
 * function. What needs several fields or documents at once is checked in compile.c. */
#include "image/reference.h"
#include "policy/fields.h"

#define API_VERSION "harbor-pilot.io/v1alpha1"

/* --- kind: Harbor --- */

static void read_host(struct field_parser *p, const struct yaml_value *value, void *target)
{
    struct harbor *harbor = target;
    struct slice host;
    if (!field_text(p, value, "`host`", &host))
        return;
    if (!reference_is_domain(host) || slice_equal(host, SLICE("docker.io")))
        FIELD_ERROR(p, value,
                    "`host` is `%.*s`, expected a host name with a dot or a port, without "
                    "scheme and path, as in front of an image: `harbor.example.com`",
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

/* A registry's domain, or that and the beginning of a path. */
static bool read_prefix(struct field_parser *p, const struct yaml_value *value,
                        struct reference_prefix *ret)
{
    struct slice text, hub = SLICE("index.docker.io");
    if (!field_text(p, value, "an upstream registry", &text))
        return false;
    if (reference_prefix_parse(text, ret))
        return true;
    if (slice_equal(slice_head(text, slice_find(text, '/')), hub))
        FIELD_ERROR(p, value, "`index.docker.io` is read as `docker.io`, expected that name");
    else
        FIELD_ERROR(p, value,
                    "`%.*s` is not a registry's domain, expected one like `docker.io` or "
                    "`registry.example.com:5000`, or a part of one like `ghcr.io/my-org`",
                    SLICE_ARGS(slice_head(text, 200)));
    return false;
}

static void read_registries(struct field_parser *p, const struct yaml_value *value, void *target)
{
    struct harbor *harbor = target;
    if (!field_is_map(p, value, "`registries`"))
        return;
    harbor->registries = arena_allocate(p->arena, value->count * sizeof(*harbor->registries));
    for (size_t i = 0; i < value->count; i++) {
        const struct yaml_value *key = value->pairs[i].key, *project = value->pairs[i].value;
        struct registry registry = {.at = key->at};
        if (!read_prefix(p, key, &registry.upstream) ||
            !field_text(p, project, "a project", &registry.project))
            continue;
        if (field_has_key(value, i, registry.upstream.text))
            FIELD_ERROR(p, key, "`%.*s` is here a second time, expected once",
                        SLICE_ARGS(slice_head(registry.upstream.text, 200)));
        else if (!is_project(registry.project))
            FIELD_ERROR(p, project,
                        "`%.*s` is not a Harbor project, expected lower-case letters, "
                        "digits and single `.`, `_` or `-` between them",
                        SLICE_ARGS(slice_head(registry.project, 200)));
        else
            harbor->registries[harbor->registry_count++] = registry;
    }
}

static void read_renames(struct field_parser *p, const struct yaml_value *value, void *target)
{
    struct harbor *harbor = target;
    if (!field_is_map(p, value, "`renames`"))
        return;
    harbor->renames = arena_allocate(p->arena, value->count * sizeof(*harbor->renames));
    for (size_t i = 0; i < value->count; i++) {
        const struct yaml_value *key = value->pairs[i].key;
        struct rename rename = {.at = key->at};
        if (!read_prefix(p, key, &rename.from) ||
            !read_prefix(p, value->pairs[i].value, &rename.to))
            continue;
        if (field_has_key(value, i, rename.from.text))
            FIELD_ERROR(p, key, "`%.*s` is here a second time, expected once",
                        SLICE_ARGS(slice_head(rename.from.text, 200)));
        else
            harbor->renames[harbor->rename_count++] = rename;
    }
}

static void read_discover(struct field_parser *p, const struct yaml_value *value, void *target)
{
    field_truth(p, value, "`discover`", &((struct harbor *)target)->discover);
}

static void read_protected(struct field_parser *p, const struct yaml_value *value, void *target)
{
    struct harbor *harbor = target;
    harbor->protected_by_default = false;
    field_patterns(p, value, "`protected`", &harbor->protected_);
}

static void read_nodes_have_credentials(struct field_parser *p, const struct yaml_value *value,
                                        void *target)
{
    field_truth(p, value, "`nodesHaveCredentials`",
                &((struct harbor *)target)->nodes_have_credentials);
}

static void read_trusted_controllers(struct field_parser *p, const struct yaml_value *value,
                                     void *target)
{
    struct harbor *harbor = target;
    struct pattern_list names = {0};
    field_patterns(p, value, "`trustedControllers`", &names);
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
static void read_api_url(struct field_parser *p, const struct yaml_value *value, void *target)
{
    struct harbor_api *api = &((struct harbor *)target)->api;
    struct slice url, https = SLICE("https://"), http = SLICE("http://");
    if (!field_text(p, value, "`api.url`", &url))
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
        FIELD_ERROR(p, value, "`api.url` is `%.*s`, expected `https://HOST` or `https://HOST:PORT`",
                    SLICE_ARGS(slice_head(url, 200)));
        return;
    }
    api->url = slice_head(url, (size_t)(host.base - url.base) + host.len);
    if (!secure)
        diagnostics_warning(p->diagnostics, value->at,
                            "`api.url` is not https: the account's "
                            "password crosses the network in the clear");
}

static void read_api_credentials(struct field_parser *p, const struct yaml_value *value,
                                 void *target)
{
    field_text(p, value, "`api.credentialsDirectory`",
               &((struct harbor *)target)->api.credentials_directory);
}

static void read_api_ca_file(struct field_parser *p, const struct yaml_value *value, void *target)
{
    field_text(p, value, "`api.caFile`", &((struct harbor *)target)->api.ca_file);
}

static const struct field api_spec_fields[] = {
    REQUIRED_FIELD("url", read_api_url),
    FIELD("credentialsDirectory", read_api_credentials),
    FIELD("caFile", read_api_ca_file),
};
static const struct field_table api_fields = FIELD_TABLE(api_spec_fields);

static const struct field harbor_spec_fields[] = {
    REQUIRED_FIELD("host", read_host),
    FIELD("registries", read_registries),
    FIELD("renames", read_renames),
    FIELD("discover", read_discover),
    FIELD("protected", read_protected),
    FIELD("nodesHaveCredentials", read_nodes_have_credentials),
    FIELD("trustedControllers", read_trusted_controllers),
    {.key = "api", .fields = &api_fields},
};
const struct field_table harbor_fields = FIELD_TABLE(harbor_spec_fields);

/* --- kind: Policy --- */

static void read_harbor_name(struct field_parser *p, const struct yaml_value *value, void *target)
{
    struct policy_document *document = target;
    field_name(p, value, "`harbor`", &document->harbor);
    document->harbor_at = value->at;
}

static void read_namespaces(struct field_parser *p, const struct yaml_value *value, void *target)
{
    field_patterns(p, value, "`namespaces`",
                   &((struct policy_document *)target)->policy.namespaces);
}

static void read_priority(struct field_parser *p, const struct yaml_value *value, void *target)
{
    field_integer(p, value, "`priority`", -POLICY_MAX_PRIORITY, POLICY_MAX_PRIORITY,
                  &((struct policy_document *)target)->policy.priority);
}

static void read_mode(struct field_parser *p, const struct yaml_value *value, void *target)
{
    int index = field_word(p, value, "`mode`", mode_names, MODE_COUNT);
    if (index >= 0)
        ((struct policy_document *)target)->policy.mode = (enum mode)index;
}

static void read_rollout(struct field_parser *p, const struct yaml_value *value, void *target)
{
    long percent;
    if (field_integer(p, value, "`rollout`", 0, 100, &percent))
        ((struct policy_document *)target)->policy.rollout = (unsigned)percent;
}

static void read_policy_registries(struct field_parser *p, const struct yaml_value *value,
                                   void *target)
{
    struct policy_document *document = target;
    document->has_registries = true;
    field_patterns(p, value, "`registries`", &document->registries);
}

/* A pattern without a domain, such as `busybox`, would match nothing: it is compared with the
 * normalised reference. */
static void warn_of_short_pattern(struct field_parser *p, const struct pattern *pattern)
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

static void read_exclude(struct field_parser *p, const struct yaml_value *value, void *target)
{
    struct pattern_list *exclude = &((struct policy_document *)target)->policy.exclude;
    field_patterns(p, value, "`exclude`", exclude);
    for (size_t i = 0; i < exclude->count; i++) {
        struct pattern *pattern = &exclude->items[i];
        size_t slash = slice_find_last(pattern->text, '/');
        struct slice last =
            slash < pattern->text.len ? slice_from_index(pattern->text, slash + 1) : pattern->text;
        pattern->whole = slice_find(last, ':') < last.len || slice_find(last, '@') < last.len;
        warn_of_short_pattern(p, pattern);
    }
}

static void read_owners_include(struct field_parser *p, const struct yaml_value *value,
                                void *target)
{
    struct policy *policy = &((struct policy_document *)target)->policy;
    struct pattern_list names = {0};
    field_patterns(p, value, "`owners.include`", &names);
    policy->owners = arena_allocate(p->arena, names.count * sizeof(*policy->owners));
    for (size_t i = 0; i < names.count; i++) {
        struct slice text = names.items[i].text;
        size_t slash = slice_find(text, '/');
        struct group_kind owner = {slice_head(text, slash), slice_from_index(text, slash + 1)};
        if (names.items[i].wildcard || owner.group.len == 0 || owner.kind.len == 0 ||
            slice_find(owner.kind, '/') < owner.kind.len) {
            diagnostics_error(
                p->diagnostics, names.items[i].at,
                "`%.*s` is not a kind of owner, expected GROUP/KIND without version and "
                "wildcards, such as `tekton.dev/TaskRun` (`core` for the core group)",
                SLICE_ARGS(slice_head(text, 200)));
            continue;
        }
        if (slice_equal(owner.group, SLICE("core")))
            owner.group = (struct slice){0};
        policy->owners[policy->owner_count++] = owner;
    }
}

static const struct field owners_spec_fields[] = {FIELD("include", read_owners_include)};
static const struct field_table owners_fields = FIELD_TABLE(owners_spec_fields);

static void read_require_in_harbor(struct field_parser *p, const struct yaml_value *value,
                                   void *target)
{
    struct policy_document *document = target;
    int index = field_word(p, value, "`requireInHarbor`", require_names, REQUIRE_COUNT);
    document->require_at = value->at;
    document->has_require = true;
    if (index >= 0)
        document->policy.require = (enum require)index;
}

static void read_unavailable(struct field_parser *p, const struct yaml_value *value, void *target)
{
    static const char *const words[] = {"keep", "rewrite"};
    struct policy_document *document = target;
    document->unavailable_at = value->at;
    document->has_unavailable = true;
    document->policy.rewrite_when_down =
        field_word(p, value, "`onHarborUnavailable`", words, 2) == 1;
}

static void read_pull_secret(struct field_parser *p, const struct yaml_value *value, void *target)
{
    field_name(p, value, "`pullSecret`", &((struct policy_document *)target)->policy.pull_secret);
}

static void read_pull_policy(struct field_parser *p, const struct yaml_value *value, void *target)
{
    int index = field_word(p, value, "`pullPolicy`", pull_policy_names + PULL_POLICY_KEEP + 1,
                           PULL_POLICY_COUNT - 1);
    if (index >= 0)
        ((struct policy_document *)target)->policy.pull_policy =
            (enum pull_policy)(PULL_POLICY_KEEP + 1 + index);
}

static const struct field policy_spec_fields[] = {
    FIELD("harbor", read_harbor_name),
    REQUIRED_FIELD("namespaces", read_namespaces),
    FIELD("priority", read_priority),
    FIELD("mode", read_mode),
    FIELD("rollout", read_rollout),
    FIELD("registries", read_policy_registries),
    FIELD("exclude", read_exclude),
    {.key = "podSelector", .read = selector_read, .fields = &selector_fields},
    {.key = "owners", .fields = &owners_fields},
    FIELD("requireInHarbor", read_require_in_harbor),
    FIELD("onHarborUnavailable", read_unavailable),
    FIELD("pullSecret", read_pull_secret),
    FIELD("pullPolicy", read_pull_policy),
    {.key = "findings", .read = findings_read, .fields = &findings_fields},
};
const struct field_table policy_fields = FIELD_TABLE(policy_spec_fields);

/* --- documents --- */

struct header {
    struct slice name;
    const struct yaml_value *kind, *spec;
};

static void read_metadata_name(struct field_parser *p, const struct yaml_value *value, void *target)
{
    field_name(p, value, "`metadata.name`", &((struct header *)target)->name);
}

static void pass_over(struct field_parser *p, const struct yaml_value *value, void *target)
{
    (void)p, (void)value, (void)target; /* labels and annotations are for other tools */
}

static void read_metadata(struct field_parser *p, const struct yaml_value *value, void *target)
{
    static const struct field fields[] = {
        REQUIRED_FIELD("name", read_metadata_name),
        FIELD("labels", pass_over),
        FIELD("annotations", pass_over),
    };
    static const struct field_table table = FIELD_TABLE(fields);
    fields_read(p, value, "`metadata`", &table, target);
}

static void read_api_version(struct field_parser *p, const struct yaml_value *value, void *target)
{
    (void)target;
    struct slice version;
    if (field_text(p, value, "`apiVersion`", &version) && !slice_equal(version, SLICE(API_VERSION)))
        FIELD_ERROR(p, value, "`apiVersion` is `%.*s`, expected `" API_VERSION "`",
                    SLICE_ARGS(slice_head(version, 100)));
}

static void keep_kind(struct field_parser *p, const struct yaml_value *value, void *target)
{
    (void)p;
    ((struct header *)target)->kind = value;
}

static void keep_spec(struct field_parser *p, const struct yaml_value *value, void *target)
{
    (void)p;
    ((struct header *)target)->spec = value;
}

/* `registries` is required where they are not discovered. */
static void require_registries(struct field_parser *p, const struct yaml_value *spec,
                               const struct harbor *harbor)
{
    if (!harbor->discover && spec->kind == YAML_MAP && !field_holds(spec, "registries"))
        FIELD_ERROR(p, spec, "`spec` has no `registries`, expected one");
}

static void add_harbor(struct field_parser *p, const struct yaml_value *root,
                       const struct header *header)
{
    struct documents *d = p->documents;
    struct harbor harbor = {.name = header->name, .at = root->at, .protected_by_default = true};
    static const char *const standard[] = {"kube-system", "kube-public", "kube-node-lease"};
    enum { STANDARD = sizeof(standard) / sizeof(*standard) };
    harbor.protected_.items = arena_allocate(p->arena, STANDARD * sizeof(struct pattern));
    harbor.protected_.count = STANDARD;
    for (size_t i = 0; i < STANDARD; i++)
        harbor.protected_.items[i] =
            (struct pattern){.text = slice_from(standard[i]), .at = root->at};
    fields_read(p, header->spec, "`spec`", &harbor_fields, &harbor);
    require_registries(p, header->spec, &harbor);
    d->harbors =
        arena_grow(p->arena, d->harbors, d->harbor_count, &d->harbor_capacity, sizeof(*d->harbors));
    d->harbors[d->harbor_count++] = harbor;
}

static void add_policy(struct field_parser *p, const struct yaml_value *root,
                       const struct header *header)
{
    struct documents *d = p->documents;
    struct policy_document document = {
        .policy = {.name = header->name, .at = root->at, .mode = MODE_ENFORCE, .rollout = 100}};
    size_t errors = p->diagnostics->errors;
    fields_read(p, header->spec, "`spec`", &policy_fields, &document);
    document.wrong = p->diagnostics->errors > errors;
    document.policy.order = d->policy_count;
    d->policies = arena_grow(p->arena, d->policies, d->policy_count, &d->policy_capacity,
                             sizeof(*d->policies));
    d->policies[d->policy_count++] = document;
}

static void read_document(struct field_parser *p, const struct yaml_value *root)
{
    static const struct field fields[] = {
        REQUIRED_FIELD("apiVersion", read_api_version),
        REQUIRED_FIELD("kind", keep_kind),
        REQUIRED_FIELD("metadata", read_metadata),
        REQUIRED_FIELD("spec", keep_spec),
    };
    static const struct field_table table = FIELD_TABLE(fields);
    static const char *const kinds[] = {"Harbor", "Policy"};
    struct header header = {0};
    p->documents->count++;
    fields_read(p, root, "the document", &table, &header);
    int kind = header.kind ? field_word(p, header.kind, "`kind`", kinds, 2) : -1;
    p->documents->unread |= header.kind && (kind < 0 || (kind == 0 && !header.spec));
    if (!header.spec)
        return;
    if (kind == 0)
        add_harbor(p, root, &header);
    else if (kind == 1)
        add_policy(p, root, &header);
}

void documents_read(struct documents *documents, const struct policy_source *source)
{
    struct field_parser p = {documents, documents->arena, documents->diagnostics};
    struct slice file = arena_copy(p.arena, source->file);
    if (source->text.len > POLICY_MAX_FILE_SIZE) {
        diagnostics_error(p.diagnostics, (struct position){.file = file},
                          "the file has %zu bytes, expected at most %d", source->text.len,
                          POLICY_MAX_FILE_SIZE);
        documents->unread = true;
        return;
    }
    struct yaml_reader *reader = yaml_reader_new(source->text, file, 1, p.arena);
    struct yaml_value *root;
    size_t errors = p.diagnostics->errors;
    for (; yaml_next(reader, p.diagnostics, &root); errors = p.diagnostics->errors)
        read_document(&p, root);
    documents->unread |= p.diagnostics->errors > errors;
    yaml_reader_free(reader);
}
