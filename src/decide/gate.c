/* gate_judge(): what the findings of an image mean under the rules of a Policy. */
#include "decide/gate.h"

#include "base/rfc3339.h"

#include <stdlib.h>

const char *gate_reason_name(enum gate_reason reason)
{
    static const char *const names[GATE_REASONS] = {
        [GATE_TOO_MANY] = "too-many",
        [GATE_CLEAN] = "clean",
        [GATE_BELOW_THRESHOLD] = "below-threshold",
        [GATE_ALLOWLISTED] = "allowlisted",
        [GATE_FINDINGS] = "findings",
        [GATE_UNSCANNED] = "unscanned",
        [GATE_SCANNING] = "scanning",
        [GATE_SCAN_FAILED] = "scan-failed",
        [GATE_NOT_SCANNABLE] = "not-scannable",
        [GATE_TOO_OLD] = "too-old",
        [GATE_UNPROXIED] = "unproxied",
        [GATE_UNAVAILABLE] = "unavailable",
        [GATE_REFUSED_BY_HARBOR] = "refused-by-harbor",
    };
    return names[reason];
}

bool gate_may_deny(const struct gate_rules *rules)
{
    return rules->action == GATE_DENY || rules->unscanned == GATE_DENY ||
           rules->unproxied == GATE_DENY || rules->unavailable == GATE_DENY;
}

static enum gate_outcome outcome_of(const struct gate_rules *rules, enum gate_reason reason)
{
    switch (reason) {
    case GATE_FINDINGS:
    case GATE_REFUSED_BY_HARBOR:
        return rules->action;
    case GATE_UNSCANNED:
    case GATE_SCANNING:
    case GATE_SCAN_FAILED:
    case GATE_TOO_OLD:
        return rules->unscanned;
    case GATE_UNPROXIED:
        return rules->unproxied;
    case GATE_UNAVAILABLE:
        return rules->unavailable;
    case GATE_TOO_MANY:
        return gate_may_deny(rules) ? GATE_DENY : GATE_WARN;
    case GATE_CLEAN:
    case GATE_BELOW_THRESHOLD:
    case GATE_ALLOWLISTED:
    case GATE_NOT_SCANNABLE:
    case GATE_REASONS:
        break;
    }
    return GATE_ALLOW;
}

void gate_set(const struct gate_rules *rules, enum gate_reason reason, const char *detail,
              struct verdict *ret)
{
    ret->judged = true;
    ret->reason = reason;
    ret->outcome = outcome_of(rules, reason);
    ret->detail = detail;
}

/* --- findings --- */

static bool is_alive(const struct cve_exception *exception, long long now)
{
    return exception->ends == 0 || now < exception->ends;
}

static int compare_id(const void *id, const void *exception)
{
    return slice_compare(*(const struct slice *)id, ((const struct cve_exception *)exception)->id);
}

static bool is_excepted(const struct gate_rules *rules, struct slice id, long long now)
{
    const struct cve_exception *exception =
        rules->allow_count
            ? bsearch(&id, rules->allow, rules->allow_count, sizeof(*rules->allow), compare_id)
            : NULL;
    return exception && is_alive(exception, now);
}

static bool may_except(const struct gate_rules *rules, long long now)
{
    bool alive = false;
    for (size_t i = 0; i < rules->allow_count && !alive; i++)
        alive = is_alive(&rules->allow[i], now);
    return alive;
}

/* Findings that count, of which only the number is known. */
static enum gate_reason judge_counts(const struct gate_rules *rules,
                                     const struct artifact_fact *fact, long long now,
                                     const char **ret_detail)
{
    if (rules->fixable_only || may_except(rules, now) || fact->has_allowlist != TRUTH_NO) {
        *ret_detail =
            "the list of findings cannot be read, so it is unknown which are accepted or fixable "
            "(does the account have artifact-addition:read?)";
        return GATE_UNAVAILABLE;
    }
    *ret_detail = "only the number of findings is known: their list cannot be read";
    return GATE_FINDINGS;
}

static enum gate_reason judge_findings(const struct gate_rules *rules,
                                       const struct artifact_fact *fact, long long now,
                                       struct arena *arena, struct verdict *ret)
{
    const struct scan *scan = &fact->scan;
    size_t accepted = 0;
    int listed_from = scan->listed ? (int)scan->listed_from : SEVERITY_COUNT;
    if (scan_count_between(scan, SEVERITY_NONE, SEVERITY_COUNT) == 0)
        return GATE_CLEAN;
    if (scan_count_between(scan, rules->severity, SEVERITY_COUNT) == 0)
        return GATE_BELOW_THRESHOLD;
    ret->bad = arena_allocate(arena, scan->finding_count * sizeof(*ret->bad));
    for (size_t i = 0; scan->listed && i < scan->finding_count; i++) {
        const struct finding *finding = &scan->findings[i];
        if (finding->severity < rules->severity || (rules->fixable_only && finding->fix.len == 0))
            continue;
        if (finding->allowlisted || is_excepted(rules, finding->id, now))
            accepted++;
        else
            ret->bad[ret->bad_count++] = finding;
    }
    if (ret->bad_count && fact->has_allowlist == TRUTH_UNKNOWN) {
        ret->bad_count = 0;
        ret->detail =
            "the project's CVE allowlist cannot be read, so it is unknown which findings are "
            "accepted (does the account have project:read?)";
        return GATE_UNAVAILABLE;
    }
    if (ret->bad_count)
        return GATE_FINDINGS;
    if (scan_count_between(scan, rules->severity, listed_from))
        return judge_counts(rules, fact, now, &ret->detail);
    if (accepted == 0)
        ret->detail =
            "no version fixes what was found, and the Policy counts only what can be fixed";
    return accepted ? GATE_ALLOWLISTED : GATE_BELOW_THRESHOLD;
}

static bool is_old(const struct gate_rules *rules, const struct scan *scan, long long now)
{
    return scan->finished && now - scan->finished > rules->max_age;
}

/* What a scan that is not there means; of an index, other platforms may have been scanned, and what
 * was found there is bad enough. */
static enum gate_reason judge_missing(const struct gate_rules *rules,
                                      const struct artifact_fact *fact, enum gate_reason reason,
                                      long long now, struct arena *arena, struct verdict *ret)
{
    struct verdict others = *ret;
    if (is_old(rules, &fact->scan, now))
        return reason;
    if (judge_findings(rules, fact, now, arena, &others) != GATE_FINDINGS)
        return reason;
    *ret = others;
    return GATE_FINDINGS;
}

static enum gate_reason judge_done(const struct gate_rules *rules, const struct artifact_fact *fact,
                                   long long now, struct arena *arena, struct verdict *ret)
{
    const struct scan *scan = &fact->scan;
    if (is_old(rules, scan, now))
        return GATE_TOO_OLD;
    enum gate_reason reason = judge_findings(rules, fact, now, arena, ret);
    /* what the failed child holds is not known; what the others hold is bad enough */
    if (scan->partial && reason != GATE_FINDINGS && reason != GATE_UNAVAILABLE) {
        ret->detail = "the scan of one of the image's platforms failed";
        return GATE_SCAN_FAILED;
    }
    return reason;
}

static enum gate_reason judge(const struct gate_rules *rules, const struct artifact_fact *fact,
                              long long now, struct arena *arena, struct verdict *ret)
{
    if (!fact)
        return GATE_UNAVAILABLE;
    if (fact->no_project) {
        ret->detail = "Harbor has no such project";
        return GATE_UNAVAILABLE;
    }
    if (fact->unauthorized) {
        ret->detail = "Harbor refuses our account";
        return GATE_UNAVAILABLE;
    }
    if (fact->refused_by_pull_gate)
        return GATE_REFUSED_BY_HARBOR;
    if (fact->outside_filter) {
        ret->detail = "the project's proxy filter refuses the repository";
        return GATE_UNPROXIED;
    }
    if (fact->present != TRUTH_YES) {
        ret->detail = "Harbor does not have it yet: it is scanned after the first pull";
        return GATE_UNSCANNED;
    }
    switch (fact->scan.status) {
    case SCAN_UNKNOWN:
        ret->detail = "Harbor does not say what its scanner found: is the scanner away?";
        return GATE_UNAVAILABLE;
    case SCAN_NONE:
        return judge_missing(rules, fact, GATE_UNSCANNED, now, arena, ret);
    case SCAN_RUNNING:
        return judge_missing(rules, fact, GATE_SCANNING, now, arena, ret);
    case SCAN_FAILED:
        return judge_missing(rules, fact, GATE_SCAN_FAILED, now, arena, ret);
    case SCAN_NOT_SCANNABLE:
        return GATE_NOT_SCANNABLE;
    case SCAN_DONE:
        break;
    }
    return judge_done(rules, fact, now, arena, ret);
}

void gate_judge(const struct gate_rules *rules, const struct artifact_fact *fact, long long now,
                struct arena *arena, struct verdict *ret)
{
    enum gate_reason reason = judge(rules, fact, now, arena, ret);
    gate_set(rules, reason, ret->detail, ret);
    if (!fact)
        return;
    ret->digest = fact->digest;
    ret->project_id = fact->project_id;
    ret->public_ = fact->public_ == TRUTH_YES;
    if (fact->present == TRUTH_YES &&
        (fact->scan.status == SCAN_DONE || ret->reason == GATE_FINDINGS))
        ret->scan = &fact->scan;
}

void gate_hide(struct verdict *verdict)
{
    if (verdict->public_)
        return;
    verdict->hidden = verdict->digest.len || verdict->scan || verdict->bad_count;
    verdict->digest = (struct slice){0};
    verdict->project_id = 0;
    verdict->scan = NULL;
    verdict->bad = NULL;
    verdict->bad_count = 0;
}

bool gate_is_unjudged(const struct verdict *verdict)
{
    return verdict->judged && verdict->outcome != GATE_DENY &&
           (verdict->reason == GATE_UNAVAILABLE || verdict->reason == GATE_TOO_MANY);
}

/* --- as JSON --- */

static void write_counts(struct json_writer *w, const struct scan *scan)
{
    json_key(w, "counts");
    json_begin_object(w);
    for (int severity = SEVERITY_CRITICAL; severity >= SEVERITY_NONE; severity--)
        if (scan->counts[severity])
            json_member_number(w, severity_name((enum severity)severity), scan->counts[severity]);
    json_end_object(w);
}

static void write_finding(struct json_writer *w, const struct finding *finding)
{
    json_begin_object(w);
    json_member(w, "id", finding->id);
    json_member_text(w, "severity", severity_name(finding->severity));
    json_member(w, "package", finding->package);
    if (finding->fix.len)
        json_member(w, "fix", finding->fix);
    json_end_object(w);
}

void gate_write(struct json_writer *w, const struct verdict *verdict)
{
    char time[RFC3339_SIZE];
    json_key(w, "gate");
    json_begin_object(w);
    if (!verdict->judged) {
        json_member_text(w, "outcome", "unknown");
        json_end_object(w);
        return;
    }
    json_member_text(w, "outcome", gate_outcome_name(verdict->outcome));
    json_member_text(w, "reason", gate_reason_name(verdict->reason));
    if (verdict->digest.len)
        json_member(w, "digest", verdict->digest);
    if (verdict->scan && verdict->scan->finished) {
        rfc3339_format(verdict->scan->finished, time);
        json_member_text(w, "scanned", time);
    }
    if (verdict->scan)
        write_counts(w, verdict->scan);
    if (verdict->bad_count) {
        json_key(w, "cves");
        json_begin_array(w);
        for (size_t i = 0; i < verdict->bad_count && i < GATE_MAX_CVES; i++)
            write_finding(w, verdict->bad[i]);
        json_end_array(w);
    }
    const char *detail = verdict->spared ? "it would be refused, but a controller's Pods are only "
                                           "warned about (enforceOn: workloads)"
                         : verdict->hidden ? GATE_HIDDEN
                                           : verdict->detail;
    if (detail)
        json_member_text(w, "detail", detail);
    json_end_object(w);
}
