/* Paths to ask, and answers decoded. */
#include "harbor/api.h"

#include "json/pointer.h"
#include "json/scanner.h"

const char *const harbor_answer_names[ANSWER_COUNT] = {
    [ANSWER_YES] = "yes",         [ANSWER_NO] = "no",       [ANSWER_UNAUTHORIZED] = "unauthorized",
    [ANSWER_REFUSED] = "refused", [ANSWER_LATER] = "later", [ANSWER_FAILED] = "failed",
};

enum { TOKEN_SECONDS_DEFAULT = 60 };

/* --- paths --- */

static bool is_unreserved(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

/* One path segment, percent-encoded (RFC 3986); a slash becomes `slash`. ':' may stay (RFC
 * 3986 3.3). */
static void append_segment(struct buffer *out, struct slice text, const char *slash)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.base[i];
        if (c == '/')
            buffer_append_text(out, slash);
        else if (is_unreserved(c) || c == ':')
            buffer_append_char(out, c);
        else
            buffer_append_format(out, "%%%02X", (unsigned)(unsigned char)c);
    }
}

void harbor_project_path(struct slice project, struct buffer *out)
{
    buffer_append_text(out, "/api/v2.0/projects/");
    append_segment(out, project, "%2F");
}

void harbor_summary_path(struct slice project, struct buffer *out)
{
    harbor_project_path(project, out);
    buffer_append_text(out, "/summary");
}

void harbor_artifact_path(const struct artifact_key *key, struct buffer *out)
{
    harbor_project_path(key->project, out);
    buffer_append_text(out, "/repositories/");
    append_segment(out, key->repository, "%252F");
    buffer_append_text(out, "/artifacts/");
    append_segment(out, key->reference, "%2F");
}

void harbor_artifact_scan_path(const struct artifact_key *key, struct buffer *out)
{
    harbor_artifact_path(key, out);
    buffer_append_text(out, "?with_scan_overview=true");
}

void harbor_report_path(const struct artifact_key *key, struct buffer *out)
{
    harbor_artifact_path(key, out);
    buffer_append_text(out, "/additions/vulnerabilities");
}

void harbor_scan_path(const struct artifact_key *key, struct buffer *out)
{
    harbor_artifact_path(key, out);
    buffer_append_text(out, "/scan");
}

void harbor_manifest_path(const struct artifact_key *key, struct buffer *out)
{
    buffer_append_text(out, "/v2/");
    append_segment(out, key->project, "%2F");
    buffer_append_char(out, '/');
    append_segment(out, key->repository, "/");
    buffer_append_text(out, "/manifests/");
    append_segment(out, key->reference, "%2F");
}

static void append_query(struct buffer *out, struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.base[i];
        if (is_unreserved(c) || c == '/')
            buffer_append_char(out, c);
        else
            buffer_append_format(out, "%%%02X", (unsigned)(unsigned char)c);
    }
}

void harbor_existence_path(struct slice project, struct buffer *out)
{
    buffer_append_text(out, "/api/v2.0/projects?project_name=");
    append_query(out, project);
}

/* Path and query of a realm. */
static void append_realm_path(struct buffer *out, struct slice realm)
{
    const char *end_of_scheme = memmem(realm.base, realm.len, "://", 3);
    if (end_of_scheme)
        realm = slice_from_index(realm, (size_t)(end_of_scheme - realm.base) + 3);
    realm = slice_from_index(realm, slice_find(realm, '/'));
    if (realm.len == 0)
        buffer_append_char(out, '/');
    for (size_t i = 0; i < realm.len; i++) {
        unsigned char c = (unsigned char)realm.base[i];
        if (c <= ' ' || c >= 0x7f || c == '#')
            buffer_append_format(out, "%%%02X", (unsigned)c);
        else
            buffer_append_char(out, (char)c);
    }
}

void harbor_token_path(struct slice realm, struct slice service, const struct artifact_key *key,
                       struct buffer *out)
{
    append_realm_path(out, realm);
    bool has_query = slice_find(buffer_slice(out), '?') < out->len;
    buffer_append_text(out, has_query ? "&service=" : "?service=");
    append_query(out, service);
    buffer_append_text(out, "&scope=repository%3A");
    append_query(out, key->project);
    buffer_append_char(out, '/');
    append_query(out, key->repository);
    buffer_append_text(out, "%3Apull");
}

/* --- answers --- */

static bool is_whole_json(struct slice text)
{
    struct json_scanner s;
    json_scanner_init(&s, text);
    return json_skip(&s) && json_finish(&s);
}

static bool text_is(struct slice json, const char *pointer, const char *expected)
{
    struct arena arena = {0};
    bool same = slice_equal(json_find_text(json, pointer, &arena), slice_from(expected));
    arena_done(&arena);
    return same;
}

enum harbor_answer harbor_answer_by_status(long status)
{
    switch (status) {
    case 401:
    case 403:
        return ANSWER_UNAUTHORIZED;
    case 404:
        return ANSWER_NO;
    case 412:
        return ANSWER_REFUSED;
    case 429:
        return ANSWER_LATER;
    default:
        return ANSWER_FAILED;
    }
}

enum harbor_answer harbor_read_failure(const struct harbor_reply *reply)
{
    enum harbor_answer answer = harbor_answer_by_status(reply->status);
    return answer == ANSWER_UNAUTHORIZED || answer == ANSWER_LATER ? answer : ANSWER_FAILED;
}

enum harbor_answer harbor_read_artifact(const struct harbor_reply *reply)
{
    bool document = reply->json && is_whole_json(reply->body);
    struct slice digest;
    if (reply->status == 200)
        return document && json_find(reply->body, SLICE("/digest"), &digest) ? ANSWER_YES
                                                                             : ANSWER_FAILED;
    if (reply->status == 404)
        return document && text_is(reply->body, "/errors/0/code", "NOT_FOUND") ? ANSWER_NO
                                                                               : ANSWER_FAILED;
    return harbor_read_failure(reply); /* the pull gate is not asked here */
}

enum harbor_answer harbor_read_manifest(const struct harbor_reply *reply)
{
    if (reply->status == 200)
        return reply->manifest ? ANSWER_YES : ANSWER_FAILED;
    if (reply->status == 404)
        return reply->json ? ANSWER_NO : ANSWER_FAILED;
    if (reply->status == 401 && reply->challenge.len == 0)
        return ANSWER_FAILED;
    return harbor_answer_by_status(reply->status);
}

bool harbor_says_filtered(const struct harbor_reply *reply)
{
    struct arena arena = {0};
    const struct slice wanted = SLICE("does not match project repository filter");
    struct slice message = is_whole_json(reply->body)
                               ? json_find_text(reply->body, "/errors/0/message", &arena)
                               : (struct slice){0};
    bool found = false;
    for (size_t i = 0; !found && i + wanted.len <= message.len; i++)
        found = slice_starts_with(slice_from_index(message, i), wanted);
    arena_done(&arena);
    return found;
}

/* The components that pulling needs (docs/contracts.md#health); the others may be ill. */
static bool is_needed(struct slice name)
{
    return slice_equal(name, SLICE("core")) || slice_equal(name, SLICE("registry")) ||
           slice_equal(name, SLICE("database"));
}

bool harbor_read_health(const struct harbor_reply *reply, bool *ret_healthy)
{
    struct slice components, component;
    struct json_scanner s;
    size_t needed = 0;
    bool healthy = true;
    if (reply->status != 200 || !is_whole_json(reply->body) ||
        !json_find(reply->body, SLICE("/components"), &components))
        return false;
    json_scanner_init(&s, components);
    if (json_peek(&s) != SCAN_ARRAY)
        return false;
    struct arena arena = {0};
    json_array_begin(&s);
    while (json_array_next(&s) && json_skip_slice(&s, &component)) {
        if (!is_needed(json_find_text(component, "/name", &arena)))
            continue;
        needed++;
        healthy &= slice_equal(json_find_text(component, "/status", &arena), SLICE("healthy"));
    }
    arena_done(&arena);
    if (needed == 0)
        return false;
    *ret_healthy = healthy;
    return true;
}

struct slice harbor_read_ill_parts(const struct harbor_reply *reply, struct arena *arena)
{
    struct slice components, component, parts = {0};
    struct json_scanner s;
    if (!json_find(reply->body, SLICE("/components"), &components))
        return parts;
    json_scanner_init(&s, components);
    json_array_begin(&s);
    while (json_array_next(&s) && json_skip_slice(&s, &component)) {
        struct slice name = json_find_text(component, "/name", arena);
        if (!is_needed(name) ||
            slice_equal(json_find_text(component, "/status", arena), SLICE("healthy")))
            continue;
        parts =
            arena_join(arena, (struct slice[]){parts, parts.len ? SLICE(" and ") : parts, name}, 3);
    }
    return parts;
}

bool harbor_lacks_redis(const struct harbor_reply *reply)
{
    struct slice components, component;
    struct json_scanner s;
    bool ill = false;
    if (reply->status != 200 || !is_whole_json(reply->body) ||
        !json_find(reply->body, SLICE("/components"), &components))
        return false;
    json_scanner_init(&s, components);
    if (json_peek(&s) != SCAN_ARRAY)
        return false;
    json_array_begin(&s);
    while (json_array_next(&s) && json_skip_slice(&s, &component))
        ill |= text_is(component, "/name", "redis") && !text_is(component, "/status", "healthy");
    return ill;
}

enum harbor_answer harbor_read_existence(const struct harbor_reply *reply)
{
    if (reply->status == 200)
        return ANSWER_YES;
    if (reply->status == 404)
        return reply->json ? ANSWER_NO : ANSWER_FAILED;
    return harbor_read_failure(reply);
}

/* A flag of a project's metadata, all of which are strings (Harbor src/pkg/project/models
 * project.go: isTrue). */
static bool metadata_flag(struct slice project, const char *pointer, bool absent)
{
    struct arena arena = {0};
    struct slice value, text = json_find_text(project, pointer, &arena);
    bool there = json_find(project, slice_from(pointer), &value);
    bool flag = !there ? absent
                       : slice_equal(text, SLICE("1")) ||
                             (text.len == 4 && strncasecmp(text.base, "true", 4) == 0);
    arena_done(&arena);
    return flag;
}

static struct cve_allowlist project_allowlist(struct slice project, struct arena *arena)
{
    struct slice json;
    struct cve_allowlist list = {0};
    if (json_find(project, SLICE("/cve_allowlist"), &json))
        cve_allowlist_read(arena_copy(arena, json), arena, &list);
    return list;
}

enum harbor_answer harbor_read_project(const struct harbor_reply *reply, struct arena *arena,
                                       struct harbor_project *ret)
{
    struct slice registry;
    if (reply->status != 200)
        return reply->status == 404 ? ANSWER_NO : harbor_read_failure(reply);
    if (!is_whole_json(reply->body))
        return ANSWER_FAILED;
    struct slice name = json_find_text(reply->body, "/name", arena);
    if (name.len == 0)
        return ANSWER_FAILED;
    struct slice public_ = json_find_text(reply->body, "/metadata/public", arena);
    *ret = (struct harbor_project){
        .public_ = slice_equal(public_, SLICE("true")) ? TRUTH_YES : TRUTH_NO,
        .is_proxy = json_find(reply->body, SLICE("/registry_id"), &registry) && registry.len &&
                    registry.base[0] != '0' && registry.base[0] != 'n',
        .filter = json_find_text(reply->body, "/metadata/proxy_cache_filter_pattern", arena),
        .filter_kind = json_find_text(reply->body, "/metadata/proxy_cache_filter_kind", arena),
        .local_on_not_found =
            metadata_flag(reply->body, "/metadata/proxy_cache_local_on_not_found", false),
        .prevent_vul = metadata_flag(reply->body, "/metadata/prevent_vul", false),
        .auto_scan = metadata_flag(reply->body, "/metadata/auto_scan", false),
        .reuse_system_allowlist =
            metadata_flag(reply->body, "/metadata/reuse_sys_cve_allowlist", true),
        .allowlist = project_allowlist(reply->body, arena),
    };
    return ANSWER_YES;
}

/* An error in Harbor's own words; its code is in `ret_denied` compared with DENIED, which Harbor
 * says in read-only mode (9048). */
static bool is_harbor_error(const struct harbor_reply *reply, bool *ret_denied)
{
    struct slice code;
    *ret_denied = false;
    if (!reply->json || !is_whole_json(reply->body) ||
        !json_find(reply->body, SLICE("/errors/0/code"), &code))
        return false;
    *ret_denied = slice_equal(code, SLICE("\"DENIED\""));
    return true;
}

enum scan_request_answer harbor_read_scan_request(const struct harbor_reply *reply)
{
    bool denied, own = is_harbor_error(reply, &denied);
    if (reply->status == 202)
        return SCAN_REQUEST_ACCEPTED;
    if (harbor_answer_by_status(reply->status) == ANSWER_UNAUTHORIZED)
        return denied ? SCAN_REQUEST_FAILED : SCAN_REQUEST_UNAUTHORIZED;
    if (!own)
        return SCAN_REQUEST_FAILED;
    switch (reply->status) {
    case 409:
        return SCAN_REQUEST_UNDER_WAY;
    case 400:
    case 422:
        return SCAN_REQUEST_UNSUPPORTED;
    case 412:
        return SCAN_REQUEST_NO_SCANNER;
    case 404:
        return SCAN_REQUEST_NOT_FOUND;
    default:
        return SCAN_REQUEST_FAILED;
    }
}

bool harbor_read_projects(const struct harbor_reply *reply, struct arena *arena,
                          struct slice **ret_names, size_t *ret_count, size_t *ret_on_page)
{
    struct json_scanner s;
    struct slice project, registry;
    size_t count = 0, on_page = 0;
    if (reply->status != 200 || !is_whole_json(reply->body))
        return false;
    json_scanner_init(&s, reply->body);
    if (json_peek(&s) != SCAN_ARRAY)
        return false;
    struct slice *names = arena_allocate(arena, HARBOR_PROJECTS_PAGE * sizeof(*names));
    json_array_begin(&s);
    while (json_array_next(&s) && json_skip_slice(&s, &project)) {
        struct slice name = json_find_text(project, "/name", arena);
        bool proxy = json_find(project, SLICE("/registry_id"), &registry) && registry.len &&
                     registry.base[0] >= '1' && registry.base[0] <= '9';
        /* one that puts a path of its own before each image's is for a part of its registry */
        struct slice base = json_find_text(project, "/metadata/proxy_cache_base_path", arena);
        proxy = proxy && base.len == 0;
        on_page++;
        if (proxy && name.len && count < HARBOR_PROJECTS_PAGE)
            names[count++] = arena_copy(arena, name);
    }
    *ret_names = names;
    *ret_count = count;
    *ret_on_page = on_page;
    return true;
}

/* Hosts by which Docker Hub is asked; images say docker.io. */
static bool is_docker_hub(struct slice host)
{
    static const char *const hosts[] = {"hub.docker.com", "registry-1.docker.io", "index.docker.io",
                                        "docker.io", "registry.docker.io"};
    for (size_t i = 0; i < sizeof(hosts) / sizeof(*hosts); i++)
        if (slice_equal(host, slice_from(hosts[i])))
            return true;
    return false;
}

/* The host, with a port where it is not the scheme's, of an endpoint's URL. */
static struct slice url_domain(struct slice url)
{
    struct slice https = SLICE("https://"), http = SLICE("http://");
    bool secure = slice_starts_with(url, https);
    if (secure || slice_starts_with(url, http))
        url = slice_from_index(url, secure ? https.len : http.len);
    struct slice host = slice_head(url, slice_find(url, '/'));
    struct slice usual = secure ? SLICE(":443") : SLICE(":80");
    if (host.len > usual.len && slice_equal(slice_from_index(host, host.len - usual.len), usual))
        host.len -= usual.len;
    return host;
}

bool harbor_read_summary(const struct harbor_reply *reply, struct arena *arena,
                         struct harbor_upstream *ret)
{
    if (reply->status != 200 || !is_whole_json(reply->body))
        return false;
    struct slice url = json_find_text(reply->body, "/registry/url", arena);
    struct slice status = json_find_text(reply->body, "/registry/status", arena);
    struct slice domain = url_domain(url);
    if (domain.len == 0)
        return false;
    ret->domain = is_docker_hub(domain) ? SLICE("docker.io") : arena_copy(arena, domain);
    ret->healthy = slice_equal(status, SLICE("healthy"))     ? TRUTH_YES
                   : slice_equal(status, SLICE("unhealthy")) ? TRUTH_NO
                                                             : TRUTH_UNKNOWN;
    return true;
}

bool harbor_read_systeminfo(const struct harbor_reply *reply, struct arena *arena, bool *ret_known,
                            struct slice *ret_version)
{
    struct slice address;
    if (reply->status != 200 || !is_whole_json(reply->body))
        return false;
    *ret_known = json_find(reply->body, SLICE("/registry_url"), &address) ||
                 json_find(reply->body, SLICE("/external_url"), &address);
    *ret_version = json_find_text(reply->body, "/harbor_version", arena);
    return true;
}

bool harbor_read_event(struct slice body, struct arena *arena, struct slice *ret_repository)
{
    if (!is_whole_json(body))
        return false;
    struct slice name = json_find_text(body, "/event_data/repository/repo_full_name", arena);
    if (name.len == 0)
        name = json_find_text(body, "/data/repository/repo_full_name", arena);
    if (name.len == 0)
        return false;
    *ret_repository = name;
    return true;
}

/* --- challenges (RFC 9110 11.2 and 11.6.1) --- */

/* Takes the next item of a list off its head: up to a comma that stands in no quoted string. */
static struct slice take_item(struct slice *list)
{
    bool quoted = false;
    size_t end = 0;
    for (; end < list->len && (quoted || list->base[end] != ','); end++) {
        if (quoted && list->base[end] == '\\' && end + 1 < list->len)
            end++;
        else if (list->base[end] == '"')
            quoted = !quoted;
    }
    struct slice item = slice_head(*list, end);
    *list = slice_from_index(*list, end < list->len ? end + 1 : end);
    while (item.len && (item.base[0] == ' ' || item.base[0] == '\t'))
        item = slice_from_index(item, 1);
    return item;
}

/* Takes the scheme off an item that begins a challenge: a word with no '=' after it. */
static bool take_scheme(struct slice *item, struct slice *ret)
{
    size_t end = slice_find(*item, ' ');
    if (slice_find(*item, '=') < end)
        return false;
    *ret = slice_head(*item, end);
    while (end < item->len && item->base[end] == ' ')
        end++;
    *item = slice_from_index(*item, end);
    return true;
}

static bool is_name(struct slice text, const char *name)
{
    return text.len == strlen(name) && strncasecmp(text.base, name, text.len) == 0;
}

/* The value of name="value". */
static bool read_parameter(struct slice item, const char *name, struct arena *arena,
                           struct slice *ret)
{
    size_t equals = slice_find(item, '=');
    if (equals == item.len || !is_name(slice_head(item, equals), name))
        return false;
    struct slice value = slice_from_index(item, equals + 1);
    if (value.len == 0 || value.base[0] != '"')
        return false;
    value = slice_from_index(value, 1);
    *ret = arena_copy(arena, slice_head(value, slice_find(value, '"')));
    return true;
}

bool harbor_read_challenge(struct slice header, struct arena *arena, struct slice *ret_realm,
                           struct slice *ret_service)
{
    struct slice scheme, realm = {0}, service = {0};
    bool bearer = false;
    while (header.len) {
        struct slice item = take_item(&header);
        if (take_scheme(&item, &scheme)) {
            if (realm.len)
                break; /* the next challenge */
            bearer = is_name(scheme, "Bearer");
            service = (struct slice){0};
        }
        if (bearer && !read_parameter(item, "realm", arena, &realm))
            read_parameter(item, "service", arena, &service);
    }
    if (realm.len == 0)
        return false;
    *ret_realm = realm;
    *ret_service = service;
    return true;
}

bool harbor_read_token(const struct harbor_reply *reply, struct arena *arena,
                       struct slice *ret_token, long *ret_seconds)
{
    struct slice seconds;
    if (reply->status != 200 || !is_whole_json(reply->body))
        return false;
    struct slice token = json_find_text(reply->body, "/token", arena);
    if (token.len == 0)
        token = json_find_text(reply->body, "/access_token", arena);
    if (token.len == 0)
        return false;
    for (size_t i = 0; i < token.len; i++)
        if (token.base[i] <= ' ' || token.base[i] >= 0x7f)
            return false; /* it goes into a header */
    *ret_seconds = TOKEN_SECONDS_DEFAULT;
    if (json_find(reply->body, SLICE("/expires_in"), &seconds)) {
        long number = 0;
        for (size_t i = 0; i < seconds.len && i < 9; i++) {
            if (seconds.base[i] < '0' || seconds.base[i] > '9')
                break;
            number = number * 10 + (seconds.base[i] - '0');
        }
        if (number > 0)
            *ret_seconds = number;
    }
    *ret_token = token;
    return true;
}
