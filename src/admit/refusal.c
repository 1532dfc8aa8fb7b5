/* Texts of the gate. Names of images and of findings come from outside: they are shortened, and
 * control characters in them become '?'. */
#include "admit/refusal.h"

#include "base/buffer.h"
#include "base/rfc3339.h"

enum { NAME_MAX_SHOWN = 200, WARNING_NAME_SHOWN = 100, TEXT_MAX_SHOWN = 60, CVES_SHOWN = 5 };

static void append_clean(struct buffer *out, struct slice text, size_t most)
{
    struct slice head = slice_head(text, most);
    for (size_t i = 0; i < head.len; i++) {
        unsigned char c = (unsigned char)head.base[i];
        buffer_append_char(out, c < 0x20 || c >= 0x7f ? '?' : (char)c);
    }
    if (head.len < text.len)
        buffer_append_text(out, "...");
}

/* "2 Critical, 1 High", from the threshold on. */
static void append_counts(struct buffer *out, const struct verdict *verdict, enum severity from)
{
    unsigned counts[SEVERITY_COUNT] = {0};
    const char *comma = "";
    for (size_t i = 0; i < verdict->bad_count; i++)
        counts[verdict->bad[i]->severity]++;
    for (int severity = SEVERITY_CRITICAL; severity >= (int)from; severity--) {
        unsigned count = verdict->bad_count ? counts[severity] : verdict->scan->counts[severity];
        if (count == 0)
            continue;
        buffer_append_format(out, "%s%u %s", comma, count, severity_name((enum severity)severity));
        comma = ", ";
    }
}

static void append_cves(struct buffer *out, const struct verdict *verdict, size_t most)
{
    for (size_t i = 0; i < verdict->bad_count && i < most; i++) {
        const struct finding *finding = verdict->bad[i];
        buffer_append_text(out, i ? ", " : ": ");
        append_clean(out, finding->id, TEXT_MAX_SHOWN);
        buffer_append_format(out, " (%s, ", severity_name(finding->severity));
        append_clean(out, finding->package, TEXT_MAX_SHOWN);
        if (finding->fix.len) {
            buffer_append_text(out, ", fixed in ");
            append_clean(out, finding->fix, TEXT_MAX_SHOWN);
            buffer_append_char(out, ')');
        } else {
            buffer_append_text(out, ", no fix yet)");
        }
    }
    if (verdict->bad_count > most)
        buffer_append_format(out, " and %zu more", verdict->bad_count - most);
}

static void append_findings(struct buffer *out, const struct verdict *verdict,
                            const struct gate_rules *rules, size_t most_cves)
{
    if (verdict->hidden) {
        buffer_append_format(out, "findings of severity %s%s; " GATE_HIDDEN,
                             severity_name(rules->severity),
                             rules->severity < SEVERITY_CRITICAL ? " or above" : "");
        return;
    }
    append_counts(out, verdict, rules->severity);
    append_cves(out, verdict, most_cves);
}

static void append_reason(struct buffer *out, const struct verdict *verdict,
                          const struct gate_rules *rules, size_t most_cves)
{
    char time[RFC3339_SIZE];
    switch (verdict->reason) {
    case GATE_FINDINGS:
        append_findings(out, verdict, rules, most_cves);
        break;
    case GATE_UNSCANNED:
        buffer_append_text(out, "not scanned yet");
        break;
    case GATE_SCANNING:
        buffer_append_text(out, "its scan is under way");
        break;
    case GATE_SCAN_FAILED:
        buffer_append_text(out, "its scan failed");
        break;
    case GATE_TOO_OLD:
        if (verdict->hidden) {
            buffer_append_text(out, "its last scan is too old");
            break;
        }
        rfc3339_format(verdict->scan->finished, time);
        buffer_append_format(out, "its last scan, of %s, is too old", time);
        break;
    case GATE_UNPROXIED:
        buffer_append_text(out, "Harbor does not serve it, so nobody has scanned it");
        break;
    case GATE_TOO_MANY:
        buffer_append_text(out, "Harbor was not asked about it");
        break;
    case GATE_UNAVAILABLE:
        buffer_append_text(out, "what Harbor found in it cannot be read");
        break;
    case GATE_REFUSED_BY_HARBOR:
        buffer_append_text(out,
                           "Harbor itself refuses to serve it (\"Prevent vulnerable images from "
                           "running\" of its project)");
        break;
    case GATE_CLEAN:
    case GATE_BELOW_THRESHOLD:
    case GATE_ALLOWLISTED:
    case GATE_NOT_SCANNABLE:
    case GATE_REASONS:
        break;
    }
    if (verdict->detail) {
        buffer_append_text(out, "; ");
        buffer_append_text(out, verdict->detail);
    }
}

/* The artifact's page in Harbor's portal (2.11 to 2.16, src/portal/src/app/base/harbor-routing):
 * what is not known of the place is left out from there on. */
static void append_page(struct buffer *out, const struct harbor *harbor,
                        const struct verdict *verdict)
{
    buffer_append_text(out, "\n  ");
    buffer_append_format(out, "https://%.*s/harbor/projects", SLICE_ARGS(harbor->host));
    if (verdict->project_id == 0)
        return;
    buffer_append_format(out, "/%lld/repositories/", verdict->project_id);
    for (size_t i = 0; i < verdict->key.repository.len; i++) {
        char c = verdict->key.repository.base[i]; /* a reference's path: nothing else needs it */
        if (c == '/')
            buffer_append_text(out, "%2F");
        else
            buffer_append_char(out, c);
    }
    if (verdict->digest.len)
        buffer_append_format(out, "/artifacts-tab/artifacts/%.*s", SLICE_ARGS(verdict->digest));
}

static void append_image(struct buffer *out, const struct decision *decision, size_t most)
{
    buffer_append_format(out, "%s ", image_kinds[decision->field->kind].noun);
    append_clean(out, decision->field->name, TEXT_MAX_SHOWN);
    buffer_append_text(out, ": ");
    append_clean(out, decision->field->image, most);
    buffer_append_text(out, ": ");
}

/* What can be done about a reason, each once. */
static void append_advice(struct buffer *out, const struct verdict *verdict)
{
    switch (verdict->reason) {
    case GATE_FINDINGS:
        buffer_append_format(
            out,
            "use an image without these findings; or have them accepted: in the CVE allowlist "
            "of project `%.*s` in Harbor, or in `findings.allow` of the Policy",
            SLICE_ARGS(verdict->key.project));
        break;
    case GATE_REFUSED_BY_HARBOR:
        buffer_append_format(out,
                             "use another image; or have its findings accepted in the CVE "
                             "allowlist of project `%.*s` in Harbor",
                             SLICE_ARGS(verdict->key.project));
        break;
    case GATE_UNSCANNED:
    case GATE_SCANNING:
    case GATE_SCAN_FAILED:
    case GATE_TOO_OLD:
        buffer_append_text(out, "have it scanned in Harbor (an image is there after its first "
                                "pull through Harbor) and try again; or set `findings.unscanned` "
                                "of the Policy to `warn`");
        break;
    case GATE_UNPROXIED:
        buffer_append_text(out, "use an image of a registry that Harbor serves; or set "
                                "`findings.unproxied` of the Policy to `warn`");
        break;
    case GATE_TOO_MANY:
        buffer_append_text(out,
                           "try again, when more of the images are known; or split the object");
        break;
    case GATE_UNAVAILABLE:
        buffer_append_text(out, "try again when Harbor answers; or set `findings.unavailable` "
                                "of the Policy to `warn`");
        break;
    case GATE_CLEAN:
    case GATE_BELOW_THRESHOLD:
    case GATE_ALLOWLISTED:
    case GATE_NOT_SCANNABLE:
    case GATE_REASONS:
        break;
    }
}

/* Reasons that get the same advice. */
static enum gate_reason advice_of(enum gate_reason reason)
{
    return reason == GATE_SCANNING || reason == GATE_SCAN_FAILED || reason == GATE_TOO_OLD
               ? GATE_UNSCANNED
               : reason;
}

static bool is_denied(const struct verdict *verdict)
{
    return verdict->judged && verdict->outcome == GATE_DENY;
}

/* Whether an image before this one gets the same advice. */
static bool is_advised(const struct decisions *decisions, size_t index)
{
    const struct verdict *verdict = &decisions->items[index].verdict;
    enum gate_reason advice = advice_of(verdict->reason);
    bool names_project = advice == GATE_FINDINGS || advice == GATE_REFUSED_BY_HARBOR;
    for (size_t i = 0; i < index; i++) {
        const struct verdict *other = &decisions->items[i].verdict;
        if (is_denied(other) && advice_of(other->reason) == advice &&
            (!names_project || slice_equal(other->key.project, verdict->key.project)))
            return true;
    }
    return false;
}

struct slice refusal_reason(const struct decisions *decisions, const struct decision *decision,
                            size_t most_cves, struct arena *arena)
{
    struct buffer out = {.arena = arena};
    append_reason(&out, &decision->verdict, &decisions->policy->gate, most_cves);
    return buffer_take(&out);
}

struct slice refusal_advice(const struct verdict *verdict, struct arena *arena)
{
    struct buffer out = {.arena = arena};
    append_advice(&out, verdict);
    return buffer_take(&out);
}

/* An operator's service account that nobody has named counts as a person. */
static void append_doubt(struct buffer *out, const struct decisions *decisions)
{
    if (decisions->policy->gate.pods ||
        !slice_starts_with(decisions->doubted, SLICE("system:serviceaccount:")))
        return;
    buffer_append_text(out, "\n- if `");
    append_clean(out, decisions->doubted, NAME_MAX_SHOWN);
    buffer_append_format(
        out,
        "` is a controller whose Pods must come back whatever is found, name it in "
        "`trustedControllers` of Harbor `%.*s`",
        SLICE_ARGS(decisions->policy->harbor->name));
}

/* Where somebody with the right to it finds what is not told. */
static void append_whereabouts(struct buffer *out, const struct decisions *decisions)
{
    bool hidden = false;
    for (size_t i = 0; i < decisions->count; i++)
        hidden |= is_denied(&decisions->items[i].verdict) && decisions->items[i].verdict.hidden;
    if (hidden)
        buffer_append_text(out, "\n- see harbor-pilot's log, event `review`, for what is not told "
                                "here: nobody has verified who asks (--client-ca-file)");
}

struct slice refusal_message(const struct decisions *decisions, struct arena *arena)
{
    struct buffer out = {.arena = arena};
    const struct policy *policy = decisions->policy;
    size_t denied = decisions->outcomes[GATE_DENY], shown = 0, advised = 0;
    buffer_append_format(&out, "%zu image%s refused by Policy `%.*s` (%.*s:%d):", denied,
                         denied == 1 ? " is" : "s are", SLICE_ARGS(policy->name),
                         SLICE_ARGS(policy->at.file), policy->at.line);
    for (size_t i = 0; i < decisions->count && shown < REFUSAL_MAX_IMAGES; i++) {
        const struct decision *decision = &decisions->items[i];
        if (!is_denied(&decision->verdict))
            continue;
        shown++;
        buffer_append_text(&out, "\n- ");
        append_image(&out, decision, NAME_MAX_SHOWN);
        append_reason(&out, &decision->verdict, &policy->gate, CVES_SHOWN);
        if (decision->verdict.digest.len)
            append_page(&out, policy->harbor, &decision->verdict);
    }
    if (denied > shown)
        buffer_append_format(&out, "\n- and %zu more image%s", denied - shown,
                             denied - shown == 1 ? "" : "s");
    buffer_append_text(&out, "\nWhat can be done:");
    for (size_t i = 0; i < decisions->count && advised < REFUSAL_MAX_IMAGES; i++) {
        const struct verdict *verdict = &decisions->items[i].verdict;
        if (!is_denied(verdict) || is_advised(decisions, i))
            continue;
        advised++;
        buffer_append_text(&out, "\n- ");
        append_advice(&out, verdict);
    }
    append_whereabouts(&out, decisions);
    append_doubt(&out, decisions);
    return buffer_take(&out);
}

size_t refusal_warnings(const struct decisions *decisions, struct arena *arena, struct slice **ret)
{
    size_t count = 0, left = decisions->outcomes[GATE_WARN];
    struct slice *warnings = arena_allocate(arena, WARNING_MAX_COUNT * sizeof(*warnings));
    for (size_t i = 0; i < decisions->count && count < WARNING_MAX_COUNT; i++) {
        const struct decision *decision = &decisions->items[i];
        struct buffer out = {.arena = arena};
        if (!decision->verdict.judged || decision->verdict.outcome != GATE_WARN)
            continue;
        left--;
        buffer_append_text(&out, "harbor-pilot: ");
        if (count + 1 == WARNING_MAX_COUNT && left)
            buffer_append_format(&out, "%zu more images, such as ", left + 1);
        append_image(&out, decision, WARNING_NAME_SHOWN);
        append_reason(&out, &decision->verdict, &decisions->policy->gate, 1);
        if (decision->verdict.spared)
            buffer_append_text(&out, "; let in, since a controller made the Pod");
        warnings[count++] = arena_copy(arena, slice_head(buffer_slice(&out), WARNING_MAX_LENGTH));
        buffer_done(&out);
    }
    *ret = warnings;
    return count;
}
