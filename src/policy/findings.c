/* Reads `findings` of a Policy: the rules of the gate. */
#include "base/duration.h"
#include "base/rfc3339.h"
#include "policy/fields.h"

#include <stdlib.h>

enum { MAX_AGE_DEFAULT_SECONDS = 7 * SECONDS_PER_DAY };

static struct gate_rules *rules_of(void *target)
{
    return &((struct policy_document *)target)->policy.gate;
}

/* What stands there, for a message: "`x`", "a list". */
static struct slice shown(struct field_parser *p, const struct yaml_value *value)
{
    if (!field_is_scalar(value))
        return slice_from(yaml_kind_name(value));
    return arena_format(p->arena, "`%.*s`", SLICE_ARGS(slice_head(value->text, 40)));
}

static void read_severity(struct field_parser *p, const struct yaml_value *value, void *target)
{
    enum severity severity;
    if (field_is_scalar(value) && severity_from_text(value->text, &severity) &&
        severity >= SEVERITY_LOW)
        rules_of(target)->severity = severity;
    else
        FIELD_ERROR(p, value,
                    "`findings.severity` is %.*s, expected `Low`, `Medium`, `High` or `Critical`",
                    SLICE_ARGS(shown(p, value)));
}

static void read_action(struct field_parser *p, const struct yaml_value *value, void *target)
{
    int index = field_word(p, value, "`findings.action`", gate_outcome_names + GATE_WARN,
                           GATE_OUTCOMES - GATE_WARN);
    if (index >= 0)
        rules_of(target)->action = (enum gate_outcome)(GATE_WARN + index);
}

static void read_outcome(struct field_parser *p, const struct yaml_value *value, const char *what,
                         enum gate_outcome *ret)
{
    int index = field_word(p, value, what, gate_outcome_names, GATE_OUTCOMES);
    if (index >= 0)
        *ret = (enum gate_outcome)index;
}

static void read_unscanned(struct field_parser *p, const struct yaml_value *value, void *target)
{
    read_outcome(p, value, "`findings.unscanned`", &rules_of(target)->unscanned);
}

static void read_unproxied(struct field_parser *p, const struct yaml_value *value, void *target)
{
    read_outcome(p, value, "`findings.unproxied`", &rules_of(target)->unproxied);
}

static void read_unavailable(struct field_parser *p, const struct yaml_value *value, void *target)
{
    ((struct policy_document *)target)->gate_unavailable_at = value->at;
    read_outcome(p, value, "`findings.unavailable`", &rules_of(target)->unavailable);
}

static void read_enforce_on(struct field_parser *p, const struct yaml_value *value, void *target)
{
    static const char *const words[] = {"workloads", "pods"};
    rules_of(target)->pods = field_word(p, value, "`findings.enforceOn`", words, 2) == 1;
}

static void read_fixable_only(struct field_parser *p, const struct yaml_value *value, void *target)
{
    field_truth(p, value, "`findings.fixableOnly`", &rules_of(target)->fixable_only);
}

static void read_max_age(struct field_parser *p, const struct yaml_value *value, void *target)
{
    long long milliseconds;
    if (field_is_scalar(value) && strlen(value->text.base) == value->text.len &&
        duration_parse(value->text.base, &milliseconds) && milliseconds >= 1000)
        rules_of(target)->max_age = milliseconds / 1000;
    else
        FIELD_ERROR(p, value,
                    "`findings.maxAge` is %.*s, expected a duration of a second or more, such "
                    "as `168h` or `1h30m`",
                    SLICE_ARGS(shown(p, value)));
}

/* --- allow --- */

static void read_exception_id(struct field_parser *p, const struct yaml_value *value, void *target)
{
    struct cve_exception *exception = target;
    if (field_text(p, value, "`id`", &exception->id) && exception->id.len > SCAN_MAX_TEXT)
        FIELD_ERROR(p, value, "`id` has %zu characters, expected at most %d", exception->id.len,
                    SCAN_MAX_TEXT);
}

static void read_exception_until(struct field_parser *p, const struct yaml_value *value,
                                 void *target)
{
    long long begin;
    if (field_is_scalar(value) && date_parse(value->text, &begin))
        ((struct cve_exception *)target)->ends = begin + SECONDS_PER_DAY;
    else
        FIELD_ERROR(p, value,
                    "`until` is %.*s, expected the last day on which the finding is accepted "
                    "(UTC), such as `2027-01-31`",
                    SLICE_ARGS(shown(p, value)));
}

static void read_exception_reason(struct field_parser *p, const struct yaml_value *value,
                                  void *target)
{
    field_text(p, value, "`reason`", &((struct cve_exception *)target)->reason);
}

static int compare_exceptions(const void *a, const void *b)
{
    const struct cve_exception *x = a, *y = b;
    int order = slice_compare(x->id, y->id);
    return order ? order : x->at.line - y->at.line;
}

static const struct field exception_spec_fields[] = {
    REQUIRED_FIELD("id", read_exception_id),
    FIELD("until", read_exception_until),
    FIELD("reason", read_exception_reason),
};
static const struct field_table exception_fields = FIELD_TABLE(exception_spec_fields);

static void read_allow(struct field_parser *p, const struct yaml_value *value, void *target)
{
    struct gate_rules *rules = rules_of(target);
    if (!field_is_list(p, value, "`findings.allow`"))
        return;
    if (value->count > POLICY_MAX_EXCEPTIONS) {
        FIELD_ERROR(p, value, "`findings.allow` has %zu entries, expected at most %d", value->count,
                    POLICY_MAX_EXCEPTIONS);
        return;
    }
    rules->allow = arena_allocate(p->arena, value->count * sizeof(*rules->allow));
    for (size_t i = 0; i < value->count; i++) {
        struct cve_exception exception = {.at = value->items[i]->at};
        fields_read(p, value->items[i], "an entry of `findings.allow`", &exception_fields,
                    &exception);
        if (exception.id.len)
            rules->allow[rules->allow_count++] = exception;
    }
    if (rules->allow_count)
        qsort(rules->allow, rules->allow_count, sizeof(*rules->allow), compare_exceptions);
    for (size_t i = 1; i < rules->allow_count; i++)
        if (slice_equal(rules->allow[i - 1].id, rules->allow[i].id))
            diagnostics_error(p->diagnostics, rules->allow[i].at,
                              "`%.*s` is in `findings.allow` a second time, expected once",
                              SLICE_ARGS(rules->allow[i].id));
}

static const struct field findings_spec_fields[] = {
    FIELD("severity", read_severity),
    FIELD("action", read_action),
    FIELD("enforceOn", read_enforce_on),
    FIELD("fixableOnly", read_fixable_only),
    FIELD("unscanned", read_unscanned),
    FIELD("unproxied", read_unproxied),
    FIELD("unavailable", read_unavailable),
    FIELD("maxAge", read_max_age),
    {.key = "allow", .read = read_allow, .fields = &exception_fields},
};
const struct field_table findings_fields = FIELD_TABLE(findings_spec_fields);

void findings_read(struct field_parser *p, const struct yaml_value *value, void *target)
{
    ((struct policy_document *)target)->findings_at = value->at;
    *rules_of(target) = (struct gate_rules){
        .on = true,
        .severity = SEVERITY_CRITICAL,
        .action = GATE_DENY,
        .unscanned = GATE_WARN,
        .unproxied = GATE_WARN,
        .unavailable = GATE_ALLOW,
        .max_age = MAX_AGE_DEFAULT_SECONDS,
    };
    fields_read(p, value, "`findings`", &findings_fields, target);
}
