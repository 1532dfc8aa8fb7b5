/* Severities, lists of findings, allowlists, and what an index's children make together. Reading
 * them from Harbor's answers is in scan_read.c. */
#include "harbor/scan.h"

#include <stdlib.h>

/* --- severities --- */

static const char *const severity_names[SEVERITY_COUNT] = {
    "None", "Unknown", "Low", "Medium", "High", "Critical",
};

const char *severity_name(enum severity severity)
{
    return severity_names[severity];
}

static bool is_word(struct slice text, const char *word)
{
    return text.len == strlen(word) && strncasecmp(text.base, word, text.len) == 0;
}

bool severity_from_text(struct slice text, enum severity *ret)
{
    for (int i = 0; i < SEVERITY_COUNT; i++)
        if (text.len && is_word(text, severity_names[i])) {
            *ret = (enum severity)i;
            return true;
        }
    if (!text.len || !is_word(text, "Negligible"))
        return false;
    *ret = SEVERITY_NONE;
    return true;
}

/* --- lists of findings --- */

static int compare_numbers(size_t a, size_t b)
{
    return (a > b) - (a < b);
}

/* 0 for what counts as one finding: id, package and severity. */
static int compare_same(const struct finding *a, const struct finding *b)
{
    int order = compare_numbers(b->severity, a->severity);
    if (order == 0)
        order = slice_compare(a->id, b->id);
    return order ? order : slice_compare(a->package, b->package);
}

/* Brings together what is the same; of those first the one with a fix. */
static int compare_together(const void *one, const void *other)
{
    const struct finding *a = one, *b = other;
    int order = compare_same(a, b);
    if (order == 0)
        order = compare_numbers(a->fix.len == 0, b->fix.len == 0);
    return order ? order : slice_compare(a->fix, b->fix);
}

/* The order of a `struct scan`. */
static int compare_listed(const void *one, const void *other)
{
    const struct finding *a = one, *b = other;
    int order = compare_numbers(b->severity, a->severity);
    if (order == 0)
        order = compare_numbers(a->fix.len == 0, b->fix.len == 0);
    return order ? order : compare_together(a, b);
}

/* Leaves each finding once, in the order of compare_together. Returns how many there are. */
static size_t join_same(struct finding *findings, size_t count)
{
    size_t kept = 0;
    if (count > 1)
        qsort(findings, count, sizeof(*findings), compare_together);
    for (size_t i = 0; i < count; i++)
        if (kept > 0 && compare_same(&findings[kept - 1], &findings[i]) == 0)
            findings[kept - 1].allowlisted &= findings[i].allowlisted;
        else
            findings[kept++] = findings[i];
    return kept;
}

static void clear_list(struct scan *scan)
{
    scan->listed = false;
    scan->findings = NULL;
    scan->finding_count = 0;
}

static bool is_listed_already(const struct scan *scan, const struct finding *sorted, size_t count)
{
    bool same = scan->findings && scan->finding_count == count;
    for (size_t i = 0; same && i < count; i++)
        same = compare_listed(&scan->findings[i], &sorted[i]) == 0 &&
               scan->findings[i].allowlisted == sorted[i].allowlisted;
    return same;
}

/* Makes the first `count` of joined findings the list of a scan: those of `from` and above, or,
 * where they are too many, of the next severity from which on they are not. Sorts them. */
static void set_list(struct scan *scan, unsigned from, struct finding *joined, size_t count,
                     struct arena *arena)
{
    while (count > 0 && (joined[count - 1].severity < from || count > SCAN_MAX_FINDINGS)) {
        if (joined[count - 1].severity >= from)
            from = joined[count - 1].severity + 1;
        count--;
    }
    if (from >= SEVERITY_COUNT) {
        clear_list(scan);
        return;
    }
    scan->listed = true;
    scan->listed_from = (enum severity)from;
    if (count > 1)
        qsort(joined, count, sizeof(*joined), compare_listed);
    if (is_listed_already(scan, joined, count))
        return; /* an index's children mostly share their findings */
    scan->findings = NULL;
    scan->finding_count = count;
    if (count > 0) {
        scan->findings = arena_allocate(arena, count * sizeof(*joined));
        memcpy(scan->findings, joined, count * sizeof(*joined));
    }
}

void scan_set_findings(struct scan *scan, enum severity from, struct finding *findings,
                       size_t count, struct arena *arena)
{
    memset(scan->counts, 0, sizeof(scan->counts));
    count = join_same(findings, count);
    for (size_t i = 0; i < count; i++)
        scan_add_count(&scan->counts[findings[i].severity], 1);
    clear_list(scan);
    set_list(scan, from, findings, count, arena);
}

/* --- merging --- */

/* A DONE child of which it is not known when it was finished. */
enum { MERGED_TIMELESS = 1 << 8 };

static unsigned bit(enum scan_status status)
{
    return 1U << status;
}

/* What a child says, as bits: its status, or those of its own children. */
static unsigned merged_of(const struct scan *child)
{
    unsigned merged = child->merged ? child->merged : bit(child->status);
    if (child->merged == 0 && child->status == SCAN_DONE) {
        if (child->partial)
            merged |= bit(SCAN_FAILED);
        if (child->finished == 0)
            merged |= MERGED_TIMELESS;
    }
    return merged;
}

static enum scan_status merged_status(unsigned merged)
{
    if (merged & bit(SCAN_RUNNING))
        return SCAN_RUNNING;
    if (merged & bit(SCAN_UNKNOWN))
        return SCAN_UNKNOWN;
    if (merged & bit(SCAN_NONE))
        return merged & bit(SCAN_FAILED) ? SCAN_FAILED : SCAN_NONE;
    if (merged & bit(SCAN_DONE))
        return SCAN_DONE;
    return merged & bit(SCAN_FAILED) ? SCAN_FAILED : SCAN_NOT_SCANNABLE;
}

/* From which severity on all findings of a scan are known: that of its list, or that from which on
 * it counts none. SEVERITY_COUNT: none are. */
static unsigned known_from(const struct scan *scan)
{
    unsigned from = SEVERITY_COUNT;
    if (scan->listed)
        return scan->listed_from;
    while (from > 0 && scan->counts[from - 1] == 0)
        from--;
    return from;
}

/* Joins the child's findings to those of the children before it, whose counts are those of `whole`
 * still. */
static void merge_lists(struct scan *whole, const struct scan *child, struct arena *arena)
{
    unsigned ours = known_from(whole), theirs = known_from(child);
    size_t count = whole->finding_count + child->finding_count;
    struct finding *all = memory_allocate(count * sizeof(*all));
    for (size_t i = 0; i < count; i++)
        all[i] = i < whole->finding_count ? whole->findings[i]
                                          : child->findings[i - whole->finding_count];
    set_list(whole, ours > theirs ? ours : theirs, all, join_same(all, count), arena);
    free(all);
}

void scan_merge(struct scan *whole, const struct scan *child, struct arena *arena)
{
    unsigned theirs = merged_of(child);
    whole->merged |= theirs;
    whole->status = merged_status(whole->merged);
    whole->partial = whole->status == SCAN_DONE && (whole->merged & bit(SCAN_FAILED));
    if (child->finished > 0 && (whole->finished == 0 || child->finished < whole->finished))
        whole->finished = child->finished;
    if (whole->merged & MERGED_TIMELESS)
        whole->finished = 0;
    if (!(theirs & bit(SCAN_DONE)))
        return;
    merge_lists(whole, child, arena);
    for (int i = 0; i < SEVERITY_COUNT; i++)
        scan_add_count(&whole->counts[i], child->counts[i]);
}

/* --- allowlists --- */

static int compare_ids(const void *one, const void *other)
{
    return slice_compare(*(const struct slice *)one, *(const struct slice *)other);
}

void cve_allowlist_sort(struct cve_allowlist *list)
{
    size_t kept = 0;
    if (list->count > 1)
        qsort(list->ids, list->count, sizeof(*list->ids), compare_ids);
    for (size_t i = 0; i < list->count; i++)
        if (kept == 0 || !slice_equal(list->ids[kept - 1], list->ids[i]))
            list->ids[kept++] = list->ids[i];
    list->count = kept;
}

bool cve_allowlist_has(const struct cve_allowlist *list, struct slice id, long long now)
{
    if (list->count == 0 || (list->expires != 0 && now >= list->expires))
        return false;
    return bsearch(&id, list->ids, list->count, sizeof(id), compare_ids) != NULL;
}

/* --- counting and copying --- */

unsigned scan_count_between(const struct scan *scan, enum severity from, int below)
{
    unsigned count = 0;
    for (int severity = (int)from; severity < below; severity++)
        count += scan->counts[severity];
    return count;
}

struct scan scan_copy(const struct scan *scan, struct arena *arena)
{
    struct scan copy = *scan;
    copy.findings = arena_allocate(arena, scan->finding_count * sizeof(*copy.findings));
    for (size_t i = 0; i < scan->finding_count; i++) {
        const struct finding *from = &scan->findings[i];
        copy.findings[i] =
            (struct finding){arena_copy(arena, from->id), arena_copy(arena, from->package),
                             arena_copy(arena, from->fix), from->severity, from->allowlisted};
    }
    return copy;
}
