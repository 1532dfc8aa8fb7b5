/* Fuzzes what Harbor says of scans: the body of an answer, read as an artifact, a report, an
 * allowlist, a project, an event. Nothing leaves its bounds, a list of findings is what it says to
 * be, and what goes into a path cannot end its segment. The text is also read as a time. */
#include "base/map.h"
#include "base/rfc3339.h"
#include "harbor/api.h"

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

/* Reads every byte, so that the address sanitizer sees one that is not ours. */
static void touch(struct slice text)
{
    CHECK(map_hash(text, 0) == map_hash(text, 0));
}

/* --- scans --- */

static void check_finding(const struct finding *f)
{
    CHECK(f->severity < SEVERITY_COUNT && !f->allowlisted);
    CHECK(f->id.len <= SCAN_MAX_TEXT && f->package.len <= SCAN_MAX_TEXT);
    CHECK(f->fix.len <= SCAN_MAX_TEXT);
    touch(f->id);
    touch(f->package);
    touch(f->fix);
}

/* Sorted: worst first, then those with a fix, then by id and package; none twice. */
static void check_order(const struct finding *before, const struct finding *f)
{
    CHECK(before->severity >= f->severity);
    if (before->severity > f->severity)
        return;
    CHECK(before->fix.len > 0 || f->fix.len == 0);
    if ((before->fix.len > 0) != (f->fix.len > 0))
        return;
    int order = slice_compare(before->id, f->id);
    CHECK(order < 0 || (order == 0 && slice_compare(before->package, f->package) < 0));
}

static void check_scan(const struct scan *scan)
{
    unsigned listed[SEVERITY_COUNT] = {0};
    CHECK(scan->status <= SCAN_DONE && scan->finished >= 0);
    CHECK(!scan->partial || scan->status == SCAN_DONE);
    CHECK(scan->listed || scan->finding_count == 0);
    CHECK(scan->finding_count <= SCAN_MAX_FINDINGS);
    for (size_t i = 0; i < scan->finding_count; i++) {
        const struct finding *f = &scan->findings[i];
        check_finding(f);
        CHECK(f->severity >= scan->listed_from);
        if (i > 0)
            check_order(f - 1, f);
        listed[f->severity]++;
    }
    for (int i = 0; i < SEVERITY_COUNT; i++) {
        CHECK(scan->counts[i] <= SCAN_MAX_COUNT && scan->counts[i] >= listed[i]);
        if (scan->listed && (enum severity)i >= scan->listed_from && scan->merged == 0)
            CHECK(scan->counts[i] == listed[i]);
    }
}

static bool is_same(const struct finding *a, const struct finding *b)
{
    return a->severity == b->severity && slice_equal(a->id, b->id) &&
           slice_equal(a->package, b->package) && slice_equal(a->fix, b->fix);
}

/* A scan merged with itself has the same findings, and with another the same in both orders. */
static void check_merging(const struct scan *scan, const struct scan *other, struct arena *arena)
{
    struct scan twice = {0}, one = {0}, two = {0};
    scan_merge(&twice, scan, arena);
    scan_merge(&twice, scan, arena);
    CHECK(twice.status == scan->status && twice.finished == scan->finished);
    CHECK(twice.finding_count == scan->finding_count && (twice.listed || !scan->listed));
    CHECK(!scan->listed || twice.listed_from == scan->listed_from);
    scan_merge(&one, scan, arena);
    scan_merge(&one, other, arena);
    scan_merge(&two, other, arena);
    scan_merge(&two, scan, arena);
    check_scan(&one);
    CHECK(one.status == two.status && one.partial == two.partial);
    CHECK(one.finished == two.finished && one.listed == two.listed);
    CHECK(!one.listed || one.listed_from == two.listed_from);
    CHECK(one.finding_count == two.finding_count);
    for (size_t i = 0; i < one.finding_count; i++)
        CHECK(is_same(&one.findings[i], &two.findings[i]));
    for (int i = 0; i < SEVERITY_COUNT; i++)
        CHECK(one.counts[i] == two.counts[i]);
    struct scan copy = scan_copy(&one, arena);
    check_scan(&copy);
}

/* --- answers --- */

static void check_digest(struct slice digest)
{
    CHECK(digest.len == 71 || digest.len == 103 || digest.len == 135);
    CHECK(slice_starts_with(digest, SLICE("sha")));
    for (size_t i = 7; i < digest.len; i++)
        CHECK((digest.base[i] >= '0' && digest.base[i] <= '9') ||
              (digest.base[i] >= 'a' && digest.base[i] <= 'f'));
}

static bool check_artifact(struct slice body, struct arena *arena, struct scan *ret)
{
    struct artifact_details details = {.child_count = 77};
    if (!artifact_details_read(body, arena, &details)) {
        CHECK(details.child_count == 77 && !details.children);
        return false;
    }
    CHECK(details.child_count <= SCAN_MAX_CHILDREN);
    CHECK(!details.more_children || details.child_count == SCAN_MAX_CHILDREN);
    check_digest(details.digest);
    for (size_t i = 0; i < details.child_count; i++) {
        check_digest(details.children[i]);
        for (size_t j = 0; j < i; j++)
            CHECK(!slice_equal(details.children[i], details.children[j]));
    }
    const struct scan *scan = &details.scan;
    CHECK(!scan->listed && scan->finding_count == 0 && scan->merged == 0);
    check_scan(scan);
    for (int i = 0; i < SEVERITY_COUNT; i++)
        CHECK(scan->status == SCAN_DONE || scan->counts[i] == 0);
    CHECK(details.has_overview || scan->status != SCAN_DONE);
    CHECK(!details.has_overview || scan->status != SCAN_NONE);
    CHECK(scan->status != SCAN_NOT_SCANNABLE || (!details.image && !details.vulnerabilities_link));
    *ret = *scan;
    return true;
}

/* Of two beginnings the lower one's list goes on where the higher one's ends. */
static bool check_report(struct slice body, struct arena *arena, struct scan *ret)
{
    struct scan all = {0}, high = {0};
    bool there = false, high_there = false;
    bool read = vulnerability_report_read(body, SEVERITY_NONE, arena, &there, &all);
    CHECK(read == vulnerability_report_read(body, SEVERITY_HIGH, arena, &high_there, &high));
    CHECK(there == high_there && (read || !there));
    if (!there)
        return false;
    CHECK(all.status == SCAN_DONE && !all.partial && high.status == SCAN_DONE);
    CHECK(!high.listed || high.listed_from >= SEVERITY_HIGH);
    check_scan(&all);
    check_scan(&high);
    CHECK(high.listed || !all.listed);
    CHECK(high.finished == all.finished);
    for (int i = 0; i < SEVERITY_COUNT; i++)
        CHECK(high.counts[i] == all.counts[i]);
    for (size_t i = 0; all.listed && i < high.finding_count; i++)
        CHECK(is_same(&high.findings[i], &all.findings[i]));
    *ret = all;
    return true;
}

static void check_allowlist(const struct cve_allowlist *list)
{
    CHECK(list->expires >= 0);
    for (size_t i = 0; i < list->count; i++) {
        CHECK(list->ids[i].len > 0 && list->ids[i].len <= SCAN_MAX_TEXT);
        CHECK(i == 0 || slice_compare(list->ids[i - 1], list->ids[i]) < 0);
        touch(list->ids[i]);
        CHECK(cve_allowlist_has(list, list->ids[i], 0));
        CHECK(list->expires == 0 || !cve_allowlist_has(list, list->ids[i], list->expires));
    }
}

static void check_others(struct slice body, struct arena *arena)
{
    struct cve_allowlist list = {0};
    struct harbor_project project = {.public_ = TRUTH_UNKNOWN};
    struct harbor_reply reply = {.status = 200, .json = true, .body = body};
    struct slice repository = {0};
    if (cve_allowlist_read(body, arena, &list))
        check_allowlist(&list);
    else
        CHECK(list.count == 0);
    if (harbor_read_project(&reply, arena, &project) == ANSWER_YES)
        check_allowlist(&project.allowlist);
    else
        CHECK(project.public_ == TRUTH_UNKNOWN && project.allowlist.count == 0);
    CHECK(!harbor_read_event(body, arena, &repository) || repository.len > 0);
    touch(repository);
    CHECK(harbor_read_scan_request(&reply) == SCAN_REQUEST_FAILED);
    reply.status = 409;
    CHECK(harbor_read_scan_request(&reply) == SCAN_REQUEST_UNDER_WAY ||
          harbor_read_scan_request(&reply) == SCAN_REQUEST_FAILED);
}

/* A time that is read is written as it was, apart from a fraction and an offset. */
static void check_time(struct slice text)
{
    long long seconds, again;
    char written[RFC3339_SIZE];
    if (rfc3339_parse(text, &seconds) && seconds >= RFC3339_GO_ZERO && seconds <= RFC3339_LAST) {
        rfc3339_format(seconds, written);
        CHECK(rfc3339_parse(slice_from(written), &again) && again == seconds);
        CHECK(text.len != RFC3339_SIZE - 1 || slice_equal(text, slice_from(written)));
    }
    if (date_parse(text, &seconds)) {
        rfc3339_format(seconds, written);
        CHECK(slice_starts_with(slice_from(written), text));
        CHECK(strcmp(written + 10, "T00:00:00Z") == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice text = slice_of((const char *)data, size);
    struct arena arena = {0};
    struct scan overview = {0}, report = {0};
    check_artifact(text, &arena, &overview);
    check_report(text, &arena, &report);
    check_merging(&overview, &report, &arena);
    check_merging(&report, &overview, &arena);
    check_others(text, &arena);
    check_time(text);
    arena_done(&arena);
    return 0;
}
