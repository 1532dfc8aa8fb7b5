/* What a scanner found in an artifact, as Harbor tells it: scan overviews, vulnerability reports,
 * CVE allowlists. Data and decoding, no transport: Harbor 2.11 to 2.16 (docs/contracts.md#scan),
 * by the
 * recordings in tests/data/harbor. */
#pragma once

#include "base/memory.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>

/* Harbor src/pkg/scan/vuln/severity.go, in rising order; Harbor counts Negligible as None. */
enum severity {
    SEVERITY_NONE,
    SEVERITY_UNKNOWN,
    SEVERITY_LOW,
    SEVERITY_MEDIUM,
    SEVERITY_HIGH,
    SEVERITY_CRITICAL,
    SEVERITY_COUNT,
};

enum scan_status {
    SCAN_UNKNOWN,       /* not asked, or Harbor did not say */
    SCAN_NONE,          /* never scanned */
    SCAN_RUNNING,       /* Pending, Scheduled, Running; a former verdict is hidden meanwhile */
    SCAN_FAILED,        /* Error, Stopped */
    SCAN_NOT_SCANNABLE, /* no image: a chart, a signature */
    SCAN_DONE,
};

struct finding {
    struct slice id, package, fix; /* `fix` is empty where no version repairs it */
    enum severity severity;
    bool allowlisted; /* Harbor's allowlists hold it; set by who knows them, not by the decoders */
};

struct scan {
    enum scan_status status;
    bool partial; /* of an index: a child's scan failed; the findings are those of the others */
    long long finished; /* Unix seconds; 0: not known */
    unsigned counts[SEVERITY_COUNT];
    bool listed; /* `findings` holds all findings of `listed_from` and above */
    enum severity listed_from;
    struct finding *findings; /* worst first; of one severity first those with a fix, then by id */
    size_t finding_count;
    unsigned merged; /* scan_merge's own: which statuses it has seen */
};

/* More than real reports hold at the severities that a gate asks for. A longer list begins at a
 * higher severity, and is none where there are more critical findings alone: what it would leave
 * out could be what matters. Larger counts become SCAN_MAX_COUNT, so that sums of them fit. */
enum {
    SCAN_MAX_FINDINGS = 10000,
    SCAN_MAX_TEXT = 256, /* bytes */
    SCAN_MAX_CHILDREN = 64,
    SCAN_MAX_COUNT = 1000000,
};

static inline void scan_add_count(unsigned *count, unsigned more)
{
    *count = more > SCAN_MAX_COUNT - *count ? SCAN_MAX_COUNT : *count + more;
}

/* CVEs that somebody has decided to live with. */
struct cve_allowlist {
    struct slice *ids; /* sorted, by slice_compare */
    size_t count;
    long long expires; /* Unix seconds, from which on the list is void; 0: never */
};

/* "Critical", as Harbor and policies write it; any case is read, and "Negligible" as NONE. */
const char *severity_name(enum severity severity);
bool severity_from_text(struct slice text, enum severity *ret);

/* "Success", "Error", "Running", …, as Harbor writes it; SCAN_UNKNOWN for other words. */
enum scan_status scan_status_from_text(struct slice text);

/* A number of findings as JSON writes it; SCAN_MAX_COUNT at most, 0 for what is no whole number. */
unsigned scan_count_from_text(struct slice text);

/* How many findings there are from one severity up to below another. */
unsigned scan_count_between(const struct scan *scan, enum severity from, int below);

/* The same scan in the arena, with its findings and their texts. */
struct scan scan_copy(const struct scan *scan, struct arena *arena);

/* Makes `findings` (which it sorts; their texts are not copied) those of a scan: each once per id,
 * package and severity, all of them counted, those of `from` and above listed (of a higher
 * severity, `listed_from`, where they are too many; SEVERITY_COUNT lists none). */
void scan_set_findings(struct scan *scan, enum severity from, struct finding *findings,
                       size_t count, struct arena *arena);

/* Adds what was found in a child of an index to what is known of the index; the order of children
 * does not matter. The first call takes a zeroed `whole`. Counts of DONE children add up and their
 * findings are joined (once per id, package and severity), listed from where all are known: a child
 * without a list knows all from where it counts none. The oldest `finished` counts, and is not
 * known where that of a DONE child is not. Of statuses the worst wins where they differ: RUNNING,
 * UNKNOWN, FAILED, NONE, DONE, and NOT_SCANNABLE children do not count. But FAILED children beside
 * none but DONE ones give DONE and `partial`. Texts are not copied, nor is a list that stays as it
 * is. */
void scan_merge(struct scan *whole, const struct scan *child, struct arena *arena);

/* What GET of an artifact says besides that it is there. */
struct artifact_details {
    struct slice digest;
    long long project_id;      /* 0: it does not say */
    bool image;                /* `type` is IMAGE */
    bool vulnerabilities_link; /* addition_links.vulnerabilities: without overview, not scanned */
    bool has_overview;
    struct scan scan;       /* of the overview: status, counts, finished, partial; never a list */
    struct slice *children; /* digests of an index's children that can run: no attestations */
    size_t child_count;     /* at most SCAN_MAX_CHILDREN, the first */
    bool more_children;     /* than those */
};

/* Reads the body of an artifact that is there (200). Slices are in the body or the arena; digests
 * can stand in a path. False for what is none. What cannot be read is not taken for good news: a
 * success without counts is SCAN_UNKNOWN, a child without a digest makes it no artifact. */
bool artifact_details_read(struct slice body, struct arena *arena, struct artifact_details *ret);

/* Reads a body of additions/vulnerabilities (200). `ret_there` is false, and `ret` untouched, for
 * `{}`: there is no report. Else `ret` is a SCAN_DONE with all findings of `from` and above (of
 * `listed_from`, where they are too many), and counts of all. False for what is no report. Texts,
 * cut to SCAN_MAX_TEXT, are in the body or the arena. They may hold control characters: a package's
 * name comes out of the image. */
bool vulnerability_report_read(struct slice body, enum severity from, struct arena *arena,
                               bool *ret_there, struct scan *ret);

/* Reads an object with `items` and `expires_at`: system/CVEAllowlist, or `cve_allowlist` of a
 * project. Slices are in the text or the arena. */
bool cve_allowlist_read(struct slice json, struct arena *arena, struct cve_allowlist *ret);

/* Sorts the ids, and leaves each once: for a list that was not read by cve_allowlist_read. */
void cve_allowlist_sort(struct cve_allowlist *list);

/* Whether the list, which is sorted, still holds and has the id, in just these letters (Harbor
 * src/pkg/allowlist/models: IsExpired, Contains). */
bool cve_allowlist_has(const struct cve_allowlist *list, struct slice id, long long now);
