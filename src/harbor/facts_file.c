/* Reads facts from JSON, and writes them. */
#include "harbor/facts_file.h"

#include "base/map.h"
#include "base/rfc3339.h"
#include "json/scanner.h"
#include "json/writer.h"

#include <stdlib.h>

struct harbor_facts {
    enum harbor_health health;
    struct facts_registry *registries;
    size_t registry_count;
    struct map artifacts; /* key as written → struct artifact_fact * */
};

struct facts_file {
    struct fact_source source; /* the first member: decide() gets its address */
    struct arena arena;
    long long recorded; /* Unix seconds; 0: it does not say */
    struct map harbors; /* name → struct harbor_facts * */
};

struct reader {
    struct json_scanner s;
    struct facts_file *file;
    struct error *error;
    bool failed;
};

/* --- reading --- */

static void fail_here(struct reader *r, const char *what, const char *expected)
{
    if (!r->failed)
        error_set(r->error, "%s at byte %zu, expected %s", what, (size_t)(r->s.at - r->s.begin),
                  expected);
    r->failed = true;
}

/* The same, and passes the value over. */
static void fail(struct reader *r, const char *what, const char *expected)
{
    fail_here(r, what, expected);
    json_skip(&r->s);
}

static bool enter(struct reader *r, const char *what)
{
    if (json_peek(&r->s) == SCAN_OBJECT)
        return json_object_begin(&r->s);
    fail(r, what, "an object");
    return false;
}

static enum truth read_truth(struct reader *r, const char *what)
{
    bool value = false;
    enum scan_type type = json_peek(&r->s);
    if (type == SCAN_TRUE || type == SCAN_FALSE) {
        json_read_bool(&r->s, &value);
        return value ? TRUTH_YES : TRUTH_NO;
    }
    fail(r, what, "true or false");
    return TRUTH_UNKNOWN;
}

static void read_pull_gate(struct reader *r, struct artifact_fact *fact)
{
    struct json_string value;
    if (json_peek(&r->s) != SCAN_STRING) {
        fail(r, "`pullGate`", "\"refused\" or \"passed\"");
    } else if (json_read_string(&r->s, &value)) {
        fact->refused_by_pull_gate = json_string_is(value, SLICE("refused"));
        if (!fact->refused_by_pull_gate && !json_string_is(value, SLICE("passed")))
            fail_here(r, "`pullGate`", "\"refused\" or \"passed\"");
    }
}

/* A string; anything else is an error, and the empty slice. */
static struct slice read_text(struct reader *r, const char *what)
{
    struct json_string value;
    struct arena *arena = &r->file->arena;
    if (json_peek(&r->s) != SCAN_STRING)
        fail(r, what, "text");
    else if (json_read_string(&r->s, &value))
        return arena_copy(arena, json_string_decode(value, arena));
    return (struct slice){0};
}

static long long read_time(struct reader *r, const char *what)
{
    long long seconds = 0;
    struct slice text = read_text(r, what);
    if (!r->failed && !rfc3339_parse(text, &seconds))
        fail_here(r, what, "a time such as \"2026-11-20T02:11:09Z\"");
    return seconds;
}

static void read_finding(struct reader *r, struct finding *finding)
{
    struct json_string key;
    bool has_severity = false;
    if (!enter(r, "a finding"))
        return;
    while (json_object_next(&r->s, &key)) {
        if (json_string_is(key, SLICE("id")))
            finding->id = read_text(r, "`id`");
        else if (json_string_is(key, SLICE("severity")))
            has_severity = severity_from_text(read_text(r, "`severity`"), &finding->severity);
        else if (json_string_is(key, SLICE("package")))
            finding->package = read_text(r, "`package`");
        else if (json_string_is(key, SLICE("fix")))
            finding->fix = read_text(r, "`fix`");
        else if (json_string_is(key, SLICE("allowlisted")))
            finding->allowlisted = read_truth(r, "`allowlisted`") == TRUTH_YES;
        else
            json_skip(&r->s);
    }
    if (finding->id.len == 0)
        fail_here(r, "a finding without `id`", "one such as \"CVE-2026-1\"");
    else if (!has_severity)
        fail_here(r, "a finding's `severity`", "\"Low\", \"Medium\", \"High\" or \"Critical\"");
}

static void read_findings(struct reader *r, struct scan *scan)
{
    size_t capacity = 0;
    scan->findings = NULL; /* a key that stands twice: the last counts */
    scan->finding_count = 0;
    if (json_peek(&r->s) != SCAN_ARRAY) {
        fail(r, "`findings`", "a list");
        return;
    }
    json_array_begin(&r->s);
    while (json_array_next(&r->s)) {
        struct finding finding = {0};
        read_finding(r, &finding);
        scan->findings = arena_grow(&r->file->arena, scan->findings, scan->finding_count, &capacity,
                                    sizeof(finding));
        scan->findings[scan->finding_count++] = finding;
    }
}

static void read_scan_status(struct reader *r, struct scan *scan)
{
    struct slice text = read_text(r, "`status`");
    scan->status = slice_equal(text, SLICE("None")) ? SCAN_NONE : scan_status_from_text(text);
    if (!r->failed && scan->status == SCAN_UNKNOWN && !slice_equal(text, SLICE("Unknown")))
        fail_here(r, "`status` of a scan",
                  "\"Success\", \"Error\", \"Stopped\", \"Pending\", \"Scheduled\", "
                  "\"Running\", or \"None\" or \"Unknown\"");
}

/* Numbers by severity, where there is no list. */
static void read_counts(struct reader *r, struct scan *scan)
{
    struct json_string key;
    if (!enter(r, "`counts`"))
        return;
    while (json_object_next(&r->s, &key)) {
        enum severity severity;
        struct slice number;
        bool known = severity_from_text(json_string_decode(key, &r->file->arena), &severity);
        if (!known || json_peek(&r->s) != SCAN_NUMBER)
            fail(r, "`counts`", "numbers by severity, such as {\"Critical\": 2}");
        else if (json_skip_slice(&r->s, &number))
            scan->counts[severity] = scan_count_from_text(number);
    }
    scan->listed = false;
}

static void read_scan(struct reader *r, struct scan *scan)
{
    struct json_string key;
    *scan = (struct scan){.status = SCAN_DONE, .listed = true}; /* a file holds all there is */
    if (!enter(r, "`scan`"))
        return;
    while (json_object_next(&r->s, &key)) {
        if (json_string_is(key, SLICE("status")))
            read_scan_status(r, scan);
        else if (json_string_is(key, SLICE("finished")))
            scan->finished = read_time(r, "`finished`");
        else if (json_string_is(key, SLICE("partial")))
            scan->partial = read_truth(r, "`partial`") == TRUTH_YES;
        else if (json_string_is(key, SLICE("findings")))
            read_findings(r, scan);
        else if (json_string_is(key, SLICE("counts")))
            read_counts(r, scan);
        else
            json_skip(&r->s);
    }
    if (!scan->listed && scan->findings)
        fail_here(r, "`counts` beside `findings`", "one of them");
    if (scan->listed)
        scan_set_findings(scan, SEVERITY_NONE, scan->findings, scan->finding_count,
                          &r->file->arena);
}

static enum truth read_truth_or_null(struct reader *r, const char *what)
{
    if (json_peek(&r->s) != SCAN_NULL)
        return read_truth(r, what);
    json_skip(&r->s);
    return TRUTH_UNKNOWN;
}

static void read_allowlist(struct reader *r, struct artifact_fact *fact)
{
    if (!slice_equal(read_text(r, "`allowlist`"), SLICE("unknown")))
        fail_here(r, "`allowlist`",
                  "\"unknown\", or nothing: each finding says whether it is "
                  "`allowlisted`");
    fact->has_allowlist = TRUTH_UNKNOWN;
}

static void read_artifact(struct reader *r, struct artifact_fact *fact)
{
    bool not_scannable = false;
    struct json_string key;
    fact->present = TRUTH_NO;
    fact->public_ = TRUTH_YES;      /* a file that does not say so was written by hand */
    fact->has_allowlist = TRUTH_NO; /* each finding says whether it is allowlisted */
    fact->scan.status = SCAN_NONE;
    if (!enter(r, "an artifact"))
        return;
    while (json_object_next(&r->s, &key)) {
        if (json_string_is(key, SLICE("present")))
            fact->present = read_truth(r, "`present`");
        else if (json_string_is(key, SLICE("servable")))
            fact->servable = read_truth(r, "`servable`");
        else if (json_string_is(key, SLICE("public")))
            fact->public_ = read_truth_or_null(r, "`public`");
        else if (json_string_is(key, SLICE("allowlist")))
            read_allowlist(r, fact);
        else if (json_string_is(key, SLICE("authorized")))
            fact->unauthorized = read_truth(r, "`authorized`") == TRUTH_NO;
        else if (json_string_is(key, SLICE("noProject")))
            fact->no_project = read_truth(r, "`noProject`") == TRUTH_YES;
        else if (json_string_is(key, SLICE("inProxyFilter")))
            fact->outside_filter = read_truth(r, "`inProxyFilter`") == TRUTH_NO;
        else if (json_string_is(key, SLICE("pullGate")))
            read_pull_gate(r, fact);
        else if (json_string_is(key, SLICE("digest")))
            fact->digest = read_text(r, "`digest`");
        else if (json_string_is(key, SLICE("scannable")))
            not_scannable = read_truth(r, "`scannable`") == TRUTH_NO;
        else if (json_string_is(key, SLICE("scan")))
            read_scan(r, &fact->scan);
        else
            json_skip(&r->s);
    }
    if (not_scannable)
        fact->scan.status = SCAN_NOT_SCANNABLE;
    if (fact->servable == TRUTH_UNKNOWN)
        fact->servable = fact->present;
}

static void read_artifacts(struct reader *r, struct harbor_facts *harbor)
{
    struct arena *arena = &r->file->arena;
    struct json_string key;
    if (!enter(r, "`artifacts`"))
        return;
    while (json_object_next(&r->s, &key)) {
        struct artifact_fact *fact = arena_allocate(arena, sizeof(*fact));
        *map_put(&harbor->artifacts, arena_copy(arena, json_string_decode(key, arena))) = fact;
        read_artifact(r, fact);
    }
}

static void read_registries(struct reader *r, struct harbor_facts *harbor)
{
    struct arena *arena = &r->file->arena;
    struct json_string key;
    size_t capacity = 0;
    harbor->registry_count = 0;
    if (!enter(r, "`registries`"))
        return;
    while (json_object_next(&r->s, &key)) {
        struct facts_registry registry = {.domain =
                                              arena_copy(arena, json_string_decode(key, arena))};
        registry.project = read_text(r, "a project of `registries`");
        harbor->registries = arena_grow(arena, harbor->registries, harbor->registry_count,
                                        &capacity, sizeof(registry));
        harbor->registries[harbor->registry_count++] = registry;
    }
}

static void read_harbor(struct reader *r, struct harbor_facts *harbor)
{
    struct json_string key;
    bool healthy = true, authorized = true;
    if (!enter(r, "a Harbor"))
        return;
    while (json_object_next(&r->s, &key)) {
        if (json_string_is(key, SLICE("healthy")))
            healthy = read_truth(r, "`healthy`") == TRUTH_YES;
        else if (json_string_is(key, SLICE("authorized")))
            authorized = read_truth(r, "`authorized`") == TRUTH_YES;
        else if (json_string_is(key, SLICE("artifacts")))
            read_artifacts(r, harbor);
        else if (json_string_is(key, SLICE("registries")))
            read_registries(r, harbor);
        else
            json_skip(&r->s);
    }
    harbor->health = !healthy ? HEALTH_DOWN : !authorized ? HEALTH_UNAUTHORIZED : HEALTH_UP;
}

static void read_harbors(struct reader *r)
{
    struct arena *arena = &r->file->arena;
    struct json_string key;
    if (!enter(r, "`harbors`"))
        return;
    while (json_object_next(&r->s, &key)) {
        struct slice name = arena_copy(arena, json_string_decode(key, arena));
        struct harbor_facts *harbor = map_get(&r->file->harbors, name);
        if (!harbor) { /* else it stands there twice: what the second says is added */
            harbor = arena_allocate(arena, sizeof(*harbor));
            *map_put(&r->file->harbors, name) = harbor;
        }
        read_harbor(r, harbor);
    }
}

/* --- asking --- */

enum harbor_health facts_file_health(const struct facts_file *file, struct slice harbor)
{
    const struct harbor_facts *facts = map_get(&file->harbors, harbor);
    return facts ? facts->health : HEALTH_UNKNOWN;
}

bool facts_file_artifact(const struct facts_file *file, struct slice harbor,
                         const struct artifact_key *key, struct artifact_fact *ret)
{
    char text[ARTIFACT_KEY_MAX];
    struct slice name = artifact_key_text(key, text);
    const struct harbor_facts *facts = map_get(&file->harbors, harbor);
    const struct artifact_fact *fact = facts && name.len ? map_get(&facts->artifacts, name) : NULL;
    if (fact)
        *ret = *fact;
    return fact != NULL;
}

static const struct facts_file *file_of(const struct fact_source *source)
{
    return (const struct facts_file *)source;
}

static enum harbor_health source_health(const struct fact_source *self, const struct harbor *harbor)
{
    enum harbor_health health = facts_file_health(file_of(self), harbor->name);
    return health == HEALTH_UNKNOWN ? HEALTH_UP : health; /* nobody says that it is ill */
}

/* A file holds all that will ever be known. */
static bool source_artifact(const struct fact_source *self, const struct harbor *harbor,
                            const struct artifact_key *key, fact_needs needs, long long now,
                            struct arena *arena, struct artifact_fact *ret)
{
    (void)needs, (void)now, (void)arena;
    return facts_file_artifact(file_of(self), harbor->name, key, ret);
}

bool facts_file_parse(struct slice text, struct facts_file **ret, struct error *reterr)
{
    struct reader r = {.file = memory_allocate_zeroed(1, sizeof(*r.file)), .error = reterr};
    struct json_string key;
    bool found = false;
    json_scanner_init(&r.s, text);
    if (enter(&r, "the facts"))
        while (json_object_next(&r.s, &key)) {
            if (json_string_is(key, SLICE("harbors"))) {
                read_harbors(&r);
                found = true;
            } else if (json_string_is(key, SLICE("recorded"))) {
                r.file->recorded = read_time(&r, "`recorded`");
            } else {
                json_skip(&r.s);
            }
        }
    if (!json_finish(&r.s)) {
        error_set(reterr, "not JSON: at byte %zu, expected %s", (size_t)(r.s.error_at - r.s.begin),
                  r.s.expected);
        r.failed = true;
    } else if (!found && !r.failed) {
        error_set(reterr, "`harbors` is missing, expected what `plan --live --record` writes");
        r.failed = true;
    }
    r.file->source = (struct fact_source){source_health, source_artifact};
    if (r.failed) {
        facts_file_free(r.file);
        return false;
    }
    *ret = r.file;
    return true;
}

void facts_file_free(struct facts_file *file)
{
    if (!file)
        return;
    for (size_t i = 0; i < file->harbors.capacity; i++) {
        struct harbor_facts *harbor = file->harbors.entries[i].value;
        if (harbor)
            map_done(&harbor->artifacts);
    }
    map_done(&file->harbors);
    arena_done(&file->arena);
    free(file);
}

const struct facts_registry *facts_file_registries(const struct facts_file *file,
                                                   struct slice harbor, size_t *ret_count)
{
    const struct harbor_facts *facts = map_get(&file->harbors, harbor);
    *ret_count = facts ? facts->registry_count : 0;
    return facts ? facts->registries : NULL;
}

const struct fact_source *facts_file_source(const struct facts_file *file)
{
    return &file->source;
}

long long facts_file_recorded(const struct facts_file *file)
{
    return file->recorded;
}

/* --- writing --- */

/* Where the list cannot be read. */
static void write_counts(struct json_writer *w, const struct scan *scan)
{
    json_key(w, "counts");
    json_begin_object(w);
    for (int severity = 0; severity < SEVERITY_COUNT; severity++)
        if (scan->counts[severity])
            json_member_number(w, severity_name((enum severity)severity), scan->counts[severity]);
    json_end_object(w);
}

static void write_scan(struct json_writer *w, const struct scan *scan)
{
    static const char *const statuses[] = {[SCAN_UNKNOWN] = "Unknown",
                                           [SCAN_NONE] = "None",
                                           [SCAN_RUNNING] = "Running",
                                           [SCAN_FAILED] = "Error",
                                           [SCAN_DONE] = "Success"};
    char time[RFC3339_SIZE];
    json_key(w, "scan");
    json_begin_object(w);
    json_member_text(w, "status", statuses[scan->status]);
    if (scan->finished) {
        rfc3339_format(scan->finished, time);
        json_member_text(w, "finished", time);
    }
    if (scan->partial)
        json_member_bool(w, "partial", true);
    if (!scan->listed && scan_count_between(scan, SEVERITY_NONE, SEVERITY_COUNT)) {
        write_counts(w, scan);
        json_end_object(w);
        return;
    }
    json_key(w, "findings");
    json_begin_array(w);
    for (size_t i = 0; i < scan->finding_count; i++) {
        const struct finding *finding = &scan->findings[i];
        json_begin_object(w);
        json_member(w, "id", finding->id);
        json_member_text(w, "severity", severity_name(finding->severity));
        json_member(w, "package", finding->package);
        if (finding->fix.len)
            json_member(w, "fix", finding->fix);
        if (finding->allowlisted)
            json_member_bool(w, "allowlisted", true);
        json_end_object(w);
    }
    json_end_array(w);
    json_end_object(w);
}

static void write_fact(struct json_writer *w, const struct artifact_fact *fact, bool scanned)
{
    json_begin_object(w);
    if (fact->digest.len)
        json_member(w, "digest", fact->digest);
    if (fact->scan.status == SCAN_NOT_SCANNABLE)
        json_member_bool(w, "scannable", false);
    else if (scanned && fact->present == TRUTH_YES)
        write_scan(w, &fact->scan);
    /* which findings it accepts is said of each, where they are listed */
    if (scanned && (fact->has_allowlist == TRUTH_UNKNOWN ||
                    (fact->has_allowlist == TRUTH_YES && !fact->scan.listed &&
                     fact->scan.status == SCAN_DONE)))
        json_member_text(w, "allowlist", "unknown");
    json_member_bool(w, "present", fact->present == TRUTH_YES);
    if (fact->servable != TRUTH_UNKNOWN)
        json_member_bool(w, "servable", fact->servable == TRUTH_YES);
    json_key(w, "public");
    if (fact->public_ == TRUTH_UNKNOWN)
        json_write_null(w);
    else
        json_bool(w, fact->public_ == TRUTH_YES);
    if (fact->no_project)
        json_member_bool(w, "noProject", true);
    if (fact->unauthorized)
        json_member_bool(w, "authorized", false);
    if (fact->outside_filter)
        json_member_bool(w, "inProxyFilter", false);
    if (fact->refused_by_pull_gate)
        json_member_text(w, "pullGate", "refused");
    json_end_object(w);
}

static void write_registries(struct json_writer *w, const struct harbor *harbor)
{
    json_key(w, "registries");
    json_begin_object(w);
    for (size_t i = 0; i < harbor->registry_count; i++) {
        json_key_slice(w, harbor->registries[i].upstream.text);
        json_slice(w, harbor->registries[i].project);
    }
    json_end_object(w);
}

static void write_artifacts(struct json_writer *w, const struct fact_source *source,
                            const struct facts_record *record, long long now)
{
    CLEANUP_ARENA struct arena arena = {0};
    CLEANUP_MAP struct map written = {0};
    char text[ARTIFACT_KEY_MAX];
    json_key(w, "artifacts");
    json_begin_object(w);
    for (size_t i = 0; i < record->key_count; i++) {
        const struct artifact_key *artifact = &record->keys[i];
        struct artifact_fact fact;
        struct slice key = artifact_key_text(artifact, text);
        if (map_get(&written, key))
            continue;
        bool scanned = source->artifact(source, record->harbor, artifact, FACT_PRESENT | FACT_SCAN,
                                        now, &arena, &fact);
        if (!scanned &&
            !source->artifact(source, record->harbor, artifact, FACT_PRESENT, now, &arena, &fact))
            continue;
        *map_put(&written, arena_copy(&arena, key)) = &written;
        json_key_slice(w, key);
        write_fact(w, &fact, scanned);
    }
    json_end_object(w);
}

void facts_file_write(const struct fact_source *source, const struct facts_record *records,
                      size_t count, long long now, struct buffer *out)
{
    struct json_writer w = {.out = out};
    char time[RFC3339_SIZE];
    rfc3339_format(now, time);
    json_begin_object(&w);
    json_member_text(&w, "recorded", time);
    json_key(&w, "harbors");
    json_begin_object(&w);
    for (size_t i = 0; i < count; i++) {
        const struct harbor *harbor = records[i].harbor;
        enum harbor_health health = source->health(source, harbor);
        json_key_slice(&w, harbor->name);
        json_begin_object(&w);
        json_member_bool(&w, "healthy", health == HEALTH_UP || health == HEALTH_UNAUTHORIZED);
        if (health == HEALTH_UNAUTHORIZED)
            json_member_bool(&w, "authorized", false);
        if (harbor->discover)
            write_registries(&w, harbor);
        write_artifacts(&w, source, &records[i], now);
        json_end_object(&w);
    }
    json_end_object(&w);
    json_end_object(&w);
    buffer_append_char(out, '\n');
}
