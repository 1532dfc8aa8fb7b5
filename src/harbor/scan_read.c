/* Reads what Harbor says of scans: artifacts with their overviews, reports, allowlists. */
#include "harbor/scan.h"

#include "base/rfc3339.h"
#include "json/scanner.h"

#include <limits.h>
#include <stdlib.h>

/* Of a report's findings, of all severities, only so many are compared with each other; beyond,
 * each counts. It bounds memory, to a few MB. */
enum { MAX_COMPARED = 65536, MAX_ALLOWED = 10000 };

/* --- small readers: each passes one value --- */

/* A whole number from 0 on; what is larger than the maximum becomes it. False for other values. */
static bool parse_whole(struct slice text, unsigned long long maximum, unsigned long long *ret)
{
    unsigned long long number = 0;
    for (size_t i = 0; i < text.len; i++) {
        unsigned digit = (unsigned)(text.base[i] - '0');
        if (digit > 9)
            return false;
        number = number > (maximum - digit) / 10 ? maximum : number * 10 + digit;
    }
    *ret = number;
    return text.len > 0;
}

/* A whole number; 0 where it is none. */
static void read_number(struct json_scanner *s, long long *ret)
{
    struct slice text;
    unsigned long long number = 0;
    if (json_skip_slice(s, &text))
        parse_whole(text, LLONG_MAX, &number);
    *ret = (long long)number;
}

unsigned scan_count_from_text(struct slice text)
{
    unsigned long long number = 0;
    parse_whole(text, SCAN_MAX_COUNT, &number);
    return (unsigned)number;
}

static bool read_count(struct json_scanner *s, unsigned *ret)
{
    struct slice text;
    unsigned long long number;
    if (!json_skip_slice(s, &text) || !parse_whole(text, SCAN_MAX_COUNT, &number))
        return false;
    *ret = (unsigned)number;
    return true;
}

/* A time; 0 where it is not known, also for Go's zero time. */
static long long read_time(struct json_scanner *s, struct arena *arena)
{
    struct slice text;
    long long seconds;
    json_read_text(s, arena, &text);
    return rfc3339_parse(text, &seconds) && seconds > 0 ? seconds : 0;
}

/* A text, cut to SCAN_MAX_TEXT bytes but not within a character. */
static struct slice read_cut(struct json_scanner *s, struct arena *arena)
{
    struct slice text;
    json_read_text(s, arena, &text);
    size_t len = text.len;
    if (len > SCAN_MAX_TEXT) {
        len = SCAN_MAX_TEXT;
        while (len > 0 && ((unsigned char)text.base[len] & 0xc0) == 0x80)
            len--;
    }
    return slice_head(text, len);
}

/* Enters an object; passes anything else. */
static bool enter_object(struct json_scanner *s)
{
    if (json_peek(s) == SCAN_OBJECT)
        return json_object_begin(s);
    json_skip(s);
    return false;
}

static bool enter_array(struct json_scanner *s)
{
    if (json_peek(s) == SCAN_ARRAY)
        return json_array_begin(s);
    json_skip(s);
    return false;
}

/* A digest as registries write them (OCI image-spec descriptor.md): it goes into a path. */
static bool is_digest(struct slice text)
{
    static const struct {
        struct slice prefix;
        size_t digits;
    } algorithms[] = {{SLICE("sha256:"), 64}, {SLICE("sha384:"), 96}, {SLICE("sha512:"), 128}};
    for (size_t i = 0; i < sizeof(algorithms) / sizeof(algorithms[0]); i++) {
        size_t prefix = algorithms[i].prefix.len;
        if (text.len != prefix + algorithms[i].digits ||
            !slice_starts_with(text, algorithms[i].prefix))
            continue;
        while (prefix < text.len && ((text.base[prefix] >= '0' && text.base[prefix] <= '9') ||
                                     (text.base[prefix] >= 'a' && text.base[prefix] <= 'f')))
            prefix++;
        return prefix == text.len;
    }
    return false;
}

/* A severity in Harbor's own mouth. It turns a scanner's unknown words into "Unknown" (severity.go
 * ParseSeverityVersion3); a word that is not known here would be a newer Harbor's, and counts as
 * the highest, as in Harbor (Severity.Code). */
static enum severity harbor_severity(struct slice text)
{
    enum severity severity = SEVERITY_CRITICAL;
    if (text.len == 0)
        return SEVERITY_UNKNOWN;
    severity_from_text(text, &severity);
    return severity;
}

/* --- overviews --- */

enum scan_status scan_status_from_text(struct slice text)
{
    static const struct {
        struct slice text;
        enum scan_status status;
    } words[] = {
        {SLICE("Success"), SCAN_DONE},      {SLICE("Pending"), SCAN_RUNNING},
        {SLICE("Scheduled"), SCAN_RUNNING}, {SLICE("Running"), SCAN_RUNNING},
        {SLICE("Error"), SCAN_FAILED},      {SLICE("Stopped"), SCAN_FAILED},
    };
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (slice_equal(text, words[i].text))
            return words[i].status;
    return SCAN_UNKNOWN;
}

/* The object of severities and counts. False where it is none. */
static bool read_counts(struct json_scanner *s, struct arena *arena,
                        unsigned ret[static SEVERITY_COUNT])
{
    struct json_string key;
    unsigned count;
    bool good = true;
    if (!enter_object(s))
        return false;
    while (json_object_next(s, &key)) {
        enum severity severity = harbor_severity(json_string_decode(key, arena));
        if (read_count(s, &count))
            scan_add_count(&ret[severity], count);
        else
            good = false;
    }
    return good;
}

/* {"fixable":…,"summary":{…},"total":…}. False where the counts are not there. */
static bool read_summary(struct json_scanner *s, struct arena *arena,
                         unsigned ret[static SEVERITY_COUNT])
{
    struct json_string key;
    unsigned total = 1;
    bool counted = false, there = false;
    if (!enter_object(s))
        return false;
    while (json_object_next(s, &key)) {
        if (json_string_is(key, SLICE("summary"))) {
            memset(ret, 0, SEVERITY_COUNT * sizeof(*ret));
            counted = read_counts(s, arena, ret);
            there = true;
        } else if (json_string_is(key, SLICE("total"))) {
            if (!read_count(s, &total))
                total = 1;
        } else {
            json_skip(s);
        }
    }
    return counted || (!there && total == 0);
}

/* One overview, NativeReportSummary. */
static void read_overview(struct json_scanner *s, struct arena *arena, struct scan *ret)
{
    struct json_string key;
    struct slice status = {0};
    struct scan scan = {0};
    unsigned percent = 100;
    bool counted = false;
    json_object_begin(s);
    while (json_object_next(s, &key)) {
        if (json_string_is(key, SLICE("scan_status")))
            json_read_text(s, arena, &status);
        else if (json_string_is(key, SLICE("end_time")))
            scan.finished = read_time(s, arena);
        else if (json_string_is(key, SLICE("complete_percent")))
            percent = read_count(s, &percent) ? percent : 0;
        else if (json_string_is(key, SLICE("summary")))
            counted = read_summary(s, arena, scan.counts);
        else
            json_skip(s);
    }
    scan.status = scan_status_from_text(status);
    if (scan.status == SCAN_DONE && !counted)
        scan.status = SCAN_UNKNOWN; /* not clean: we cannot read what was found */
    if (scan.status == SCAN_DONE)
        scan.partial = percent < 100;
    else
        memset(scan.counts, 0, sizeof(scan.counts));
    *ret = scan;
}

/* Of the types that Harbor knows the newer one; its key holds the version. */
static bool is_preferred(struct json_string key)
{
    return json_string_is(key, SLICE("application/vnd.security.vulnerability.report; version=1.1"));
}

static void read_overviews(struct json_scanner *s, struct arena *arena,
                           struct artifact_details *details)
{
    struct json_string key;
    struct scan other;
    bool preferred = false;
    details->has_overview = false;
    details->scan = (struct scan){0};
    if (!enter_object(s))
        return;
    while (json_object_next(s, &key)) {
        if (json_peek(s) != SCAN_OBJECT) {
            json_skip(s);
        } else if (is_preferred(key)) {
            read_overview(s, arena, &details->scan);
            preferred = details->has_overview = true;
        } else {
            read_overview(s, arena, &other);
            if (!preferred)
                details->scan = other;
            details->has_overview = true;
        }
    }
}

/* --- artifacts --- */

static bool read_link(struct json_scanner *s)
{
    struct json_string key;
    bool found = false;
    if (!enter_object(s))
        return false;
    while (json_object_next(s, &key)) {
        if (json_string_is(key, SLICE("vulnerabilities")))
            found = json_peek(s) == SCAN_OBJECT;
        json_skip(s);
    }
    return found;
}

/* An attestation's platform is unknown/unknown (buildkit, docs/attestations). */
static bool read_platform_unknown(struct json_scanner *s, struct arena *arena)
{
    struct json_string key;
    struct slice system = {0}, architecture = {0};
    if (!enter_object(s))
        return false;
    while (json_object_next(s, &key)) {
        if (json_string_is(key, SLICE("os")))
            json_read_text(s, arena, &system);
        else if (json_string_is(key, SLICE("architecture")))
            json_read_text(s, arena, &architecture);
        else
            json_skip(s);
    }
    return slice_equal(system, SLICE("unknown")) && slice_equal(architecture, SLICE("unknown"));
}

static bool has_child(const struct artifact_details *details, struct slice digest)
{
    for (size_t i = 0; i < details->child_count; i++)
        if (slice_equal(details->children[i], digest))
            return true;
    return false;
}

/* False where it names no child: we cannot leave out what we cannot read. */
static bool read_reference(struct json_scanner *s, struct arena *arena,
                           struct artifact_details *details)
{
    struct json_string key;
    struct slice digest = {0};
    bool attestation = false;
    if (!enter_object(s))
        return false;
    while (json_object_next(s, &key)) {
        if (json_string_is(key, SLICE("child_digest")))
            json_read_text(s, arena, &digest);
        else if (json_string_is(key, SLICE("platform")))
            attestation = read_platform_unknown(s, arena);
        else
            json_skip(s);
    }
    if (!is_digest(digest))
        return false;
    if (attestation || has_child(details, digest))
        return true;
    if (details->child_count == SCAN_MAX_CHILDREN)
        details->more_children = true;
    else
        details->children[details->child_count++] = digest;
    return true;
}

static bool read_references(struct json_scanner *s, struct arena *arena,
                            struct artifact_details *details)
{
    bool good = true;
    details->child_count = 0;
    details->more_children = false;
    if (json_peek(s) == SCAN_NULL)
        return json_skip(s);
    if (!enter_array(s))
        return false;
    if (!details->children)
        details->children = arena_allocate(arena, SCAN_MAX_CHILDREN * sizeof(struct slice));
    while (json_array_next(s))
        good &= read_reference(s, arena, details);
    return good;
}

bool artifact_details_read(struct slice body, struct arena *arena, struct artifact_details *ret)
{
    struct artifact_details details = {0};
    struct json_scanner s;
    struct json_string key;
    struct slice type = {0};
    bool good = true;
    json_scanner_init(&s, body);
    json_object_begin(&s);
    while (json_object_next(&s, &key)) {
        if (json_string_is(key, SLICE("digest")))
            json_read_text(&s, arena, &details.digest);
        else if (json_string_is(key, SLICE("project_id")))
            read_number(&s, &details.project_id);
        else if (json_string_is(key, SLICE("type")))
            json_read_text(&s, arena, &type);
        else if (json_string_is(key, SLICE("addition_links")))
            details.vulnerabilities_link = read_link(&s);
        else if (json_string_is(key, SLICE("scan_overview")))
            read_overviews(&s, arena, &details);
        else if (json_string_is(key, SLICE("references")))
            good = read_references(&s, arena, &details);
        else
            json_skip(&s);
    }
    if (!json_finish(&s) || !good || !is_digest(details.digest))
        return false;
    details.image = slice_equal(type, SLICE("IMAGE"));
    if (!details.has_overview)
        details.scan.status = details.vulnerabilities_link ? SCAN_NONE
                              : details.image              ? SCAN_UNKNOWN
                                                           : SCAN_NOT_SCANNABLE;
    *ret = details;
    return true;
}

/* --- reports --- */

/* The findings of a report while it is read, on the heap. */
struct collected {
    struct finding *items;
    size_t count, capacity;
    unsigned uncompared[SEVERITY_COUNT]; /* beyond MAX_COMPARED */
};

static void collect(struct collected *all, struct finding finding)
{
    if (all->count == MAX_COMPARED) {
        scan_add_count(&all->uncompared[finding.severity], 1);
        return;
    }
    if (all->count == all->capacity) {
        all->capacity = all->capacity ? all->capacity * 2 : 64;
        all->items = memory_resize(all->items, all->capacity * sizeof(finding));
    }
    all->items[all->count++] = finding;
}

/* False where it is no finding. One without a name is one all the same. */
static bool read_finding(struct json_scanner *s, struct arena *arena, struct collected *all)
{
    struct json_string key;
    struct finding finding = {.severity = SEVERITY_UNKNOWN};
    struct slice severity = {0};
    if (!enter_object(s))
        return false;
    while (json_object_next(s, &key)) {
        if (json_string_is(key, SLICE("id")))
            finding.id = read_cut(s, arena);
        else if (json_string_is(key, SLICE("package")))
            finding.package = read_cut(s, arena);
        else if (json_string_is(key, SLICE("fix_version")))
            finding.fix = read_cut(s, arena);
        else if (json_string_is(key, SLICE("severity")))
            json_read_text(s, arena, &severity);
        else
            json_skip(s);
    }
    finding.severity = harbor_severity(severity);
    collect(all, finding);
    return true;
}

static bool read_findings(struct json_scanner *s, struct arena *arena, struct collected *all)
{
    bool good = true;
    if (json_peek(s) == SCAN_NULL)
        return json_skip(s); /* Go's empty list */
    if (!enter_array(s))
        return false;
    while (json_array_next(s))
        good &= read_finding(s, arena, all);
    return good;
}

/* What was not compared is not listed: the list begins above it. */
static void set_findings(const struct collected *all, enum severity from, struct arena *arena,
                         struct scan *scan)
{
    unsigned begin = from;
    for (unsigned i = 0; i < SEVERITY_COUNT; i++)
        if (i >= begin && all->uncompared[i] > 0)
            begin = i + 1;
    scan_set_findings(scan, (enum severity)begin, all->items, all->count, arena);
    for (int i = 0; i < SEVERITY_COUNT; i++)
        scan_add_count(&scan->counts[i], all->uncompared[i]);
}

/* One report, vuln.Report. */
static bool read_report(struct json_scanner *s, enum severity from, struct arena *arena,
                        struct scan *ret)
{
    struct json_string key;
    struct collected all = {0};
    struct scan scan = {.status = SCAN_DONE};
    bool good = false;
    if (!enter_object(s))
        return false;
    while (json_object_next(s, &key)) {
        if (json_string_is(key, SLICE("generated_at"))) {
            scan.finished = read_time(s, arena);
        } else if (json_string_is(key, SLICE("vulnerabilities"))) {
            all.count = 0;
            memset(all.uncompared, 0, sizeof(all.uncompared));
            good = read_findings(s, arena, &all);
        } else {
            json_skip(s);
        }
    }
    if (good)
        set_findings(&all, from, arena, &scan);
    free(all.items);
    *ret = scan;
    return good;
}

bool vulnerability_report_read(struct slice body, enum severity from, struct arena *arena,
                               bool *ret_there, struct scan *ret)
{
    struct json_scanner s;
    struct json_string key;
    struct scan scan = {0};
    bool there = false, preferred = false, good = false;
    json_scanner_init(&s, body);
    json_object_begin(&s);
    while (json_object_next(&s, &key)) {
        there = true;
        if (preferred || (good && !is_preferred(key))) {
            json_skip(&s);
            continue;
        }
        preferred = is_preferred(key);
        good = read_report(&s, from, arena, &scan);
    }
    if (!json_finish(&s) || (there && !good))
        return false;
    *ret_there = there;
    if (there)
        *ret = scan;
    return true;
}

/* --- allowlists --- */

static struct slice read_allowed(struct json_scanner *s, struct arena *arena)
{
    struct json_string key;
    struct slice id = {0};
    if (!enter_object(s))
        return id;
    while (json_object_next(s, &key)) {
        if (json_string_is(key, SLICE("cve_id")))
            json_read_text(s, arena, &id);
        else
            json_skip(s);
    }
    return id.len <= SCAN_MAX_TEXT ? id : (struct slice){0};
}

static bool read_ids(struct json_scanner *s, struct arena *arena, struct cve_allowlist *list)
{
    size_t capacity = 0;
    *list = (struct cve_allowlist){.expires = list->expires};
    if (json_peek(s) == SCAN_NULL)
        return json_skip(s);
    if (!enter_array(s))
        return false;
    while (json_array_next(s)) {
        struct slice id = read_allowed(s, arena);
        if (id.len == 0 || list->count == MAX_ALLOWED)
            continue; /* it allows nothing, or we allow no more */
        list->ids = arena_grow(arena, list->ids, list->count, &capacity, sizeof(*list->ids));
        list->ids[list->count++] = id;
    }
    return true;
}

/* Harbor's IsExpired: void from that second on, so for 0, too; null or absent is never. */
static bool read_expiry(struct json_scanner *s, long long *ret)
{
    struct slice text;
    unsigned long long seconds = 0;
    *ret = 0;
    if (json_peek(s) == SCAN_NULL)
        return json_skip(s);
    if (!json_skip_slice(s, &text))
        return false;
    if (!slice_starts_with(text, SLICE("-")) && !parse_whole(text, LLONG_MAX, &seconds))
        return false;
    *ret = seconds > 0 ? (long long)seconds : 1; /* long ago */
    return true;
}

bool cve_allowlist_read(struct slice json, struct arena *arena, struct cve_allowlist *ret)
{
    struct json_scanner s;
    struct json_string key;
    struct cve_allowlist list = {0};
    bool items = false, good = true;
    json_scanner_init(&s, json);
    json_object_begin(&s);
    while (json_object_next(&s, &key)) {
        if (json_string_is(key, SLICE("items")))
            items = read_ids(&s, arena, &list);
        else if (json_string_is(key, SLICE("expires_at")))
            good = read_expiry(&s, &list.expires);
        else
            json_skip(&s);
    }
    if (!json_finish(&s) || !items || !good)
        return false;
    cve_allowlist_sort(&list);
    *ret = list;
    return true;
}
