/* The gate, fact by fact and setting by setting: the cross product of what can be known of an
 * artifact and of what a Policy can say about it, against the rules of docs/policies.md and
 * its reasons as they are written there, slowly, in expected_reason(). Which objects
 * and images are judged at all is in tests/unit/admit/test_gate_objects.c. */
#include "decide/decide.h"

#include "tests/unit/check.h"

/* 2026-11-20T12:00:00Z; the day ends 12 hours later */
#define NOW      1795176000LL
#define HALF_DAY (12 * 60 * 60)
#define MAX_AGE  (7 * 24 * 60 * 60) /* the default */

/* --- what can be known --- */

enum { COUNTS_ONLY = -1, AGE_UNKNOWN = -1 };

/* Findings are letters: C H M L for the severities, U Unknown, N None; small where no version
 * repairs it. A '*' behind one: a CVE allowlist of Harbor's holds it. The id is "CVE-" and the
 * letter. */
struct known {
    const char *name;
    enum harbor_health health;
    bool silent; /* Harbor does not say it in time */
    bool unauthorized, outside_filter, refused;
    enum truth present;
    enum scan_status status;
    bool partial;
    long long age;
    const char *findings;
    int listed_from; /* the list holds this severity and above; COUNTS_ONLY: it cannot be read */
    enum { LIST_EMPTY, LIST_USED, LIST_UNKNOWN } allowlist; /* Harbor's, of CVEs */
    enum gate_reason by_default; /* what a Policy with `findings: {}` is told, by hand */
};

#define UP      .health = HEALTH_UP
#define HERE    UP, .present = TRUTH_YES
#define SCANNED HERE, .status = SCAN_DONE
#define DONE    .present = TRUTH_YES, .status = SCAN_DONE

static const struct known rows[] = {
    {"down", .health = HEALTH_DOWN, .present = TRUTH_YES, .by_default = GATE_UNAVAILABLE},
    {"down, and it was clean", DONE, .health = HEALTH_DOWN, .findings = "",
     .by_default = GATE_UNAVAILABLE},
    {"our account", .health = HEALTH_UNAUTHORIZED, .by_default = GATE_UNAVAILABLE},
    {"health unknown, and in time", DONE, .health = HEALTH_UNKNOWN, .findings = "C",
     .by_default = GATE_FINDINGS},
    {"health unknown, and too late", .health = HEALTH_UNKNOWN, .silent = true,
     .by_default = GATE_UNAVAILABLE},
    {"too late", UP, .silent = true, .by_default = GATE_UNAVAILABLE},
    {"401 or 403", UP, .unauthorized = true, .by_default = GATE_UNAVAILABLE},
    {"401 or 403 beside a scan", SCANNED, .unauthorized = true, .findings = "C",
     .by_default = GATE_UNAVAILABLE},
    {"outside the proxy filter", UP, .outside_filter = true, .by_default = GATE_UNPROXIED},
    {"outside it, and cached before", SCANNED, .outside_filter = true, .findings = "C",
     .by_default = GATE_UNPROXIED},
    {"412", SCANNED, .refused = true, .findings = "C", .by_default = GATE_REFUSED_BY_HARBOR},
    {"412, unscanned", HERE, .refused = true, .status = SCAN_NONE,
     .by_default = GATE_REFUSED_BY_HARBOR},
    {"412, all is allowlisted here", SCANNED, .refused = true, .findings = "C*",
     .by_default = GATE_REFUSED_BY_HARBOR},
    {"412 and outside the filter", HERE, .refused = true, .outside_filter = true,
     .by_default = GATE_REFUSED_BY_HARBOR},
    {"401 and 412", HERE, .refused = true, .unauthorized = true, .by_default = GATE_UNAVAILABLE},
    {"not there", UP, .present = TRUTH_NO, .by_default = GATE_UNSCANNED},
    {"whether it is there is not known", UP, .present = TRUTH_UNKNOWN,
     .by_default = GATE_UNSCANNED},
    {"not there, whatever a scan says", UP, .present = TRUTH_NO, .status = SCAN_DONE,
     .findings = "C", .by_default = GATE_UNSCANNED},
    {"Harbor does not say", HERE, .status = SCAN_UNKNOWN, .by_default = GATE_UNAVAILABLE},
    {"not scannable", HERE, .status = SCAN_NOT_SCANNABLE, .by_default = GATE_NOT_SCANNABLE},
    {"never scanned", HERE, .status = SCAN_NONE, .by_default = GATE_UNSCANNED},
    {"scanning", HERE, .status = SCAN_RUNNING, .by_default = GATE_SCANNING},
    {"scan failed", HERE, .status = SCAN_FAILED, .by_default = GATE_SCAN_FAILED},
    {"a child is critical, one is unscanned", HERE, .status = SCAN_NONE, .findings = "C",
     .by_default = GATE_FINDINGS},
    {"a child is critical, one is running", HERE, .status = SCAN_RUNNING, .findings = "C",
     .by_default = GATE_FINDINGS},
    {"a child is critical, one failed", HERE, .status = SCAN_FAILED, .findings = "C",
     .by_default = GATE_FINDINGS},
    {"a child is high, one is unscanned", HERE, .status = SCAN_NONE, .findings = "H",
     .by_default = GATE_UNSCANNED},
    {"a child's is accepted, one is running", HERE, .status = SCAN_RUNNING, .findings = "C*",
     .by_default = GATE_SCANNING},
    {"a child's may be accepted, one failed", HERE, .status = SCAN_FAILED, .findings = "C",
     .allowlist = LIST_UNKNOWN, .by_default = GATE_SCAN_FAILED},
    {"a child was critical long ago, one is running", HERE, .status = SCAN_RUNNING, .findings = "C",
     .age = MAX_AGE + 1, .by_default = GATE_SCANNING},
    {"a child was critical a week ago, one is unscanned", HERE, .status = SCAN_NONE,
     .findings = "C", .age = MAX_AGE, .by_default = GATE_FINDINGS},
    {"a child is critical by counts, one is unscanned", HERE, .status = SCAN_NONE, .findings = "C",
     .listed_from = COUNTS_ONLY, .by_default = GATE_FINDINGS},
    {"clean", SCANNED, .findings = "", .by_default = GATE_CLEAN},
    {"clean at the last second", SCANNED, .findings = "", .age = MAX_AGE, .by_default = GATE_CLEAN},
    {"clean, and too old", SCANNED, .findings = "", .age = MAX_AGE + 1, .by_default = GATE_TOO_OLD},
    {"critical at the last second", SCANNED, .findings = "C", .age = MAX_AGE,
     .by_default = GATE_FINDINGS},
    {"critical, and too old", SCANNED, .findings = "C", .age = MAX_AGE + 1,
     .by_default = GATE_TOO_OLD},
    {"nobody knows how old", SCANNED, .findings = "C", .age = AGE_UNKNOWN,
     .by_default = GATE_FINDINGS},
    {"from the future, as clocks differ", SCANNED, .findings = "", .age = -3600,
     .by_default = GATE_CLEAN},
    {"high", SCANNED, .findings = "HMLUN", .by_default = GATE_BELOW_THRESHOLD},
    {"negligible", SCANNED, .findings = "N", .by_default = GATE_BELOW_THRESHOLD},
    {"unknown", SCANNED, .findings = "U", .by_default = GATE_BELOW_THRESHOLD},
    {"critical", SCANNED, .findings = "CH", .by_default = GATE_FINDINGS},
    {"critical without a fix", SCANNED, .findings = "ch", .by_default = GATE_FINDINGS},
    {"Harbor accepts it", SCANNED, .findings = "C*", .allowlist = LIST_USED,
     .by_default = GATE_ALLOWLISTED},
    {"Harbor accepts one of two", SCANNED, .findings = "C*c", .allowlist = LIST_USED,
     .by_default = GATE_FINDINGS},
    {"the allowlist is not known", SCANNED, .findings = "C", .allowlist = LIST_UNKNOWN,
     .by_default = GATE_UNAVAILABLE},
    {"the allowlist is not known and not needed", SCANNED, .findings = "H",
     .allowlist = LIST_UNKNOWN, .by_default = GATE_BELOW_THRESHOLD},
    {"counts", SCANNED, .findings = "C", .listed_from = COUNTS_ONLY, .by_default = GATE_FINDINGS},
    {"counts, an allowlist", SCANNED, .findings = "C", .listed_from = COUNTS_ONLY,
     .allowlist = LIST_USED, .by_default = GATE_UNAVAILABLE},
    {"counts, the allowlist is not known", SCANNED, .findings = "C", .listed_from = COUNTS_ONLY,
     .allowlist = LIST_UNKNOWN, .by_default = GATE_UNAVAILABLE},
    {"counts, below", SCANNED, .findings = "HN", .listed_from = COUNTS_ONLY,
     .allowlist = LIST_UNKNOWN, .by_default = GATE_BELOW_THRESHOLD},
    {"counts, clean", SCANNED, .findings = "", .listed_from = COUNTS_ONLY,
     .by_default = GATE_CLEAN},
    {"counts, too old", SCANNED, .findings = "C", .listed_from = COUNTS_ONLY, .age = MAX_AGE + 1,
     .by_default = GATE_TOO_OLD},
    {"listed from high on", SCANNED, .findings = "cHMl", .listed_from = SEVERITY_HIGH,
     .by_default = GATE_FINDINGS},
    {"listed from critical on, and some", SCANNED, .findings = "C*H",
     .listed_from = SEVERITY_CRITICAL, .allowlist = LIST_USED, .by_default = GATE_ALLOWLISTED},
    {"partial, clean", SCANNED, .partial = true, .findings = "", .by_default = GATE_SCAN_FAILED},
    {"partial, below", SCANNED, .partial = true, .findings = "H", .by_default = GATE_SCAN_FAILED},
    {"partial, accepted", SCANNED, .partial = true, .findings = "C*",
     .by_default = GATE_SCAN_FAILED},
    {"partial, critical", SCANNED, .partial = true, .findings = "C", .by_default = GATE_FINDINGS},
    {"partial, too old", SCANNED, .partial = true, .findings = "", .age = MAX_AGE + 1,
     .by_default = GATE_TOO_OLD},
    {"partial, nobody knows what is accepted", SCANNED, .partial = true, .findings = "C",
     .allowlist = LIST_UNKNOWN, .by_default = GATE_UNAVAILABLE},
};

static enum severity severity_of(char letter)
{
    static const char letters[] = "NULMHC";
    const char *at = strchr(letters, letter >= 'a' ? letter - 'a' + 'A' : letter);
    assert_non_null(at);
    return (enum severity)(at - letters);
}

static void set_findings(const struct known *known, struct arena *arena, struct scan *scan)
{
    const char *text = known->findings ? known->findings : "";
    struct finding *findings = arena_allocate(arena, strlen(text) * sizeof(*findings));
    size_t count = 0;
    for (; *text; text++) {
        if (*text == '*') {
            findings[count - 1].allowlisted = true;
            continue;
        }
        bool fixed = *text < 'a';
        findings[count++] =
            (struct finding){arena_format(arena, "CVE-%c", *text), SLICE("package"),
                             fixed ? SLICE("1.2") : (struct slice){0}, severity_of(*text), false};
    }
    enum severity from =
        known->listed_from == COUNTS_ONLY ? SEVERITY_NONE : (enum severity)known->listed_from;
    scan_set_findings(scan, from, findings, count, arena);
    if (known->listed_from == COUNTS_ONLY) {
        scan->listed = false;
        scan->findings = NULL;
        scan->finding_count = 0;
    }
}

static struct artifact_fact fact_of(const struct known *known, struct arena *arena)
{
    struct artifact_fact fact = {.present = known->present,
                                 .servable = TRUTH_YES,
                                 .public_ = TRUTH_YES,
                                 .unauthorized = known->unauthorized,
                                 .outside_filter = known->outside_filter,
                                 .refused_by_pull_gate = known->refused,
                                 .has_allowlist = known->allowlist == LIST_UNKNOWN ? TRUTH_UNKNOWN
                                                  : known->allowlist == LIST_USED  ? TRUTH_YES
                                                                                   : TRUTH_NO,
                                 .digest = SLICE("sha256:d"),
                                 .project_id = 7};
    fact.scan.status = known->status;
    fact.scan.partial = known->partial;
    fact.scan.finished = known->age == AGE_UNKNOWN ? 0 : NOW - known->age;
    set_findings(known, arena, &fact.scan);
    return fact;
}

/* --- what a Policy can say --- */

enum exceptions { NO_EXCEPTIONS, LIVE, EXPIRED, EXCEPTIONS };

struct settings {
    enum severity severity;
    bool fixable_only;
    enum exceptions exceptions;
    enum gate_outcome action, unscanned, unproxied, unavailable;
    bool pods;
};

/* LIVE accepts CVE-C without an end and CVE-h to the end of today; EXPIRED did until yesterday. */
static const char *const exception_text[EXCEPTIONS] = {
    "", ", allow: [{id: CVE-h, until: 2026-11-20}, {id: CVE-C}]",
    ", allow: [{id: CVE-C, until: 2026-11-19}, {id: CVE-h, until: 2026-11-19, reason: x}]"};

enum { REASON_SETTINGS = 4 * 2 * EXCEPTIONS, OUTCOME_SETTINGS = 2 * 3 * 3 * 3 * 2 };
enum { SETTINGS = REASON_SETTINGS * OUTCOME_SETTINGS };

static unsigned digit(unsigned *number, unsigned base)
{
    unsigned d = *number % base;
    *number /= base;
    return d;
}

/* One of SETTINGS; those of one `number / OUTCOME_SETTINGS` differ in outcomes only. */
static struct settings settings_of(unsigned number)
{
    struct settings s;
    s.action = digit(&number, 2) ? GATE_DENY : GATE_WARN;
    s.unscanned = (enum gate_outcome)digit(&number, 3);
    s.unproxied = (enum gate_outcome)digit(&number, 3);
    s.unavailable = (enum gate_outcome)digit(&number, 3);
    s.pods = digit(&number, 2);
    s.severity = (enum severity)(SEVERITY_LOW + digit(&number, 4));
    s.fixable_only = digit(&number, 2);
    s.exceptions = (enum exceptions)digit(&number, EXCEPTIONS);
    return s;
}

static const char *const words[] = {"allow", "warn", "deny"};

#define HARBOR                                                                                     \
    "apiVersion: harbor-pilot.io/v1alpha1\nkind: Harbor\nmetadata: {name: h}\nspec:\n"             \
    "  host: harbor.example.com\n  registries: {docker.io: hub, quay.io: quay}\n"                  \
    "  api: {url: 'https://harbor.example.com'}\n"
#define POLICY                                                                                     \
    "---\napiVersion: harbor-pilot.io/v1alpha1\nkind: Policy\nmetadata: {name: p-%u}\nspec:\n"     \
    "  namespaces: [n-%u]\n"

/* A set in which Policy and namespace `n-7` have the seventh settings. */
static struct policies *load_all_settings(void)
{
    struct buffer text = {0};
    struct arena arena = {0};
    struct slice findings; /* `unavailable: deny` is warned about */
    buffer_append_text(&text, HARBOR);
    for (unsigned i = 0; i < SETTINGS; i++) {
        struct settings s = settings_of(i);
        buffer_append_format(&text,
                             POLICY "  findings: {severity: %s, action: %s, enforceOn: %s, "
                                    "fixableOnly: %s, unscanned: %s, unproxied: %s, "
                                    "unavailable: %s%s}\n",
                             i, i, severity_name(s.severity), words[s.action],
                             s.pods ? "pods" : "workloads", s.fixable_only ? "true" : "false",
                             words[s.unscanned], words[s.unproxied], words[s.unavailable],
                             exception_text[s.exceptions]);
    }
    buffer_append_char(&text, '\0');
    struct policies *policies = load_text(buffer_slice(&text).base, NULL, &arena, &findings);
    if (!policies)
        CHECK_FAIL("%.*s", SLICE_ARGS(findings));
    buffer_done(&text);
    arena_done(&arena);
    return policies;
}

/* --- what the documents say --- */

static bool is_excepted(const struct settings *s, char letter)
{
    return s->exceptions == LIVE && (letter == 'C' || letter == 'h');
}

/* Of the findings that are known: clean, below-threshold, allowlisted, findings, or that nobody
 * knows. `ret_bad`: how many count and can be named. */
static enum gate_reason expected_verdict(const struct settings *s, const struct known *known,
                                         size_t *ret_bad)
{
    size_t all = 0, high_enough = 0, numbers = 0, bad = 0, accepted = 0;
    *ret_bad = 0;
    for (const char *f = known->findings ? known->findings : ""; *f; f++) {
        if (*f == '*')
            continue;
        all++;
        if (severity_of(*f) < s->severity)
            continue;
        high_enough++;
        if (known->listed_from == COUNTS_ONLY || (int)severity_of(*f) < known->listed_from)
            numbers++;
        else if (s->fixable_only && *f >= 'a')
            continue;
        else if (f[1] == '*' || is_excepted(s, *f))
            accepted++;
        else
            bad++;
    }
    if (all == 0)
        return GATE_CLEAN;
    if (high_enough == 0)
        return GATE_BELOW_THRESHOLD;
    if (bad && known->allowlist == LIST_UNKNOWN)
        return GATE_UNAVAILABLE;
    *ret_bad = bad;
    if (bad)
        return GATE_FINDINGS; /* what else there is, of which only the number is known, or not */
    if (numbers) {
        /* a number says nothing of what is accepted or can be repaired */
        bool some_may_not_count =
            s->fixable_only || s->exceptions == LIVE || known->allowlist != LIST_EMPTY;
        return some_may_not_count ? GATE_UNAVAILABLE : GATE_FINDINGS;
    }
    return accepted ? GATE_ALLOWLISTED : GATE_BELOW_THRESHOLD;
}

static enum gate_reason expected_reason(const struct settings *s, const struct known *known,
                                        size_t *ret_bad)
{
    *ret_bad = 0;
    if (known->health == HEALTH_DOWN || known->health == HEALTH_UNAUTHORIZED || known->silent ||
        known->unauthorized)
        return GATE_UNAVAILABLE; /* Harbor cannot be asked */
    if (known->refused)
        return GATE_REFUSED_BY_HARBOR;
    if (known->outside_filter)
        return GATE_UNPROXIED; /* an image that Harbor does not serve */
    if (known->present != TRUTH_YES)
        return GATE_UNSCANNED;
    if (known->status == SCAN_UNKNOWN)
        return GATE_UNAVAILABLE;
    if (known->status == SCAN_NOT_SCANNABLE)
        return GATE_NOT_SCANNABLE;
    bool too_old = known->age != AGE_UNKNOWN && known->age > MAX_AGE; /* it counts as unscanned */
    if (known->status == SCAN_DONE && too_old)
        return GATE_TOO_OLD;
    size_t bad;
    enum gate_reason verdict = expected_verdict(s, known, &bad);
    if (verdict == GATE_FINDINGS && !too_old) {
        *ret_bad = bad;
        return verdict; /* whatever else is missing */
    }
    switch (known->status) {
    case SCAN_NONE:
        return GATE_UNSCANNED;
    case SCAN_RUNNING:
        return GATE_SCANNING;
    case SCAN_FAILED:
        return GATE_SCAN_FAILED;
    case SCAN_UNKNOWN:
    case SCAN_NOT_SCANNABLE:
    case SCAN_DONE:
        break;
    }
    return known->partial && verdict != GATE_UNAVAILABLE ? GATE_SCAN_FAILED : verdict;
}

static enum gate_outcome expected_outcome(const struct settings *s, enum gate_reason reason)
{
    const enum gate_outcome outcomes[GATE_REASONS] = {
        [GATE_CLEAN] = GATE_ALLOW,           [GATE_BELOW_THRESHOLD] = GATE_ALLOW,
        [GATE_ALLOWLISTED] = GATE_ALLOW,     [GATE_FINDINGS] = s->action,
        [GATE_UNSCANNED] = s->unscanned,     [GATE_SCANNING] = s->unscanned,
        [GATE_SCAN_FAILED] = s->unscanned,   [GATE_NOT_SCANNABLE] = GATE_ALLOW,
        [GATE_TOO_OLD] = s->unscanned,       [GATE_UNPROXIED] = s->unproxied,
        [GATE_UNAVAILABLE] = s->unavailable, [GATE_REFUSED_BY_HARBOR] = s->action,
    };
    return outcomes[reason];
}

/* --- asking --- */

struct fake_facts {
    struct fact_source source;
    enum harbor_health health;
    bool silent;
    struct artifact_fact fact;
    fact_needs asked;
    unsigned questions;
    struct artifact_key key; /* of the last question */
};

static enum harbor_health fake_health(const struct fact_source *self, const struct harbor *harbor)
{
    (void)harbor;
    return ((const struct fake_facts *)self)->health;
}

static bool fake_artifact(const struct fact_source *self, const struct harbor *harbor,
                          const struct artifact_key *key, fact_needs needs, long long now,
                          struct arena *arena, struct artifact_fact *ret)
{
    struct fake_facts *fake = (struct fake_facts *)self;
    (void)harbor;
    (void)arena;
    check_number("facts", "now", now, NOW);
    fake->key = *key;
    fake->asked |= needs;
    fake->questions++;
    if (!fake->silent)
        *ret = fake->fact;
    return !fake->silent;
}

static struct pod *read_pod(const char *json, struct arena *arena)
{
    struct pod *pod = arena_allocate(arena, sizeof(*pod));
    struct json_scanner s;
    json_scanner_init(&s, slice_from(json));
    pod_read(&s, arena, pod);
    if (!json_finish(&s))
        CHECK_FAIL("the test's Pod is no JSON: %s", json);
    return pod;
}

static const char plain_pod[] =
    "{\"metadata\":{\"name\":\"p\"},\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":\"x\"}]}}";

static struct policies *all_settings;
static struct arena fixtures;
static struct pod *the_pod;

static int set_up(void **state)
{
    (void)state;
    all_settings = load_all_settings();
    the_pod = read_pod(plain_pod, &fixtures);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    policies_unref(all_settings);
    arena_done(&fixtures);
    return 0;
}

static struct decide_request request_of(struct slice namespace_, const struct fact_source *facts,
                                        bool controlled)
{
    return (struct decide_request){.mode = MODE_ENFORCE,
                                   .subject = REVIEW_POD_CREATE,
                                   .namespace_ = namespace_,
                                   .pod = the_pod,
                                   .facts = facts,
                                   .now = NOW,
                                   .purpose = PURPOSE_VALIDATE,
                                   .owned = controlled,
                                   .user_name = controlled ? SLICE("system:kube-controller-manager")
                                                           : SLICE("alice"),
                                   .last_chance = true};
}

/* --- the cross product --- */

static void describe(const struct known *known, unsigned number, char *text, size_t size)
{
    struct settings s = settings_of(number);
    snprintf(text, size,
             "`%s` (status %d%s, age %lld, findings %s, listed from %d, allowlist %d) under "
             "%s, action %s, unscanned %s, unproxied %s, unavailable %s, %s, fixableOnly %d, "
             "exceptions %d",
             known->name, known->status, known->partial ? " partial" : "", known->age,
             known->findings ? known->findings : "", known->listed_from, known->allowlist,
             severity_name(s.severity), words[s.action], words[s.unscanned], words[s.unproxied],
             words[s.unavailable], s.pods ? "pods" : "workloads", s.fixable_only, s.exceptions);
}

/* Compares what is said of one fact under one of the settings. */
static void check_one(const struct known *known, const struct artifact_fact *fact, unsigned number,
                      bool controlled, bool *seen)
{
    struct arena arena = {0};
    struct settings s = settings_of(number);
    struct fake_facts fake = {
        {fake_health, fake_artifact}, known->health, known->silent, *fact, 0, 0, {{0}, {0}, {0}}};
    struct decide_request request =
        request_of(arena_format(&arena, "n-%u", number), &fake.source, controlled);
    struct decisions decisions;
    size_t bad;
    decide(all_settings, &request, &arena, &decisions);
    const struct verdict *verdict = &decisions.items[0].verdict;
    enum gate_reason reason = expected_reason(&s, known, &bad);
    enum gate_outcome outcome = expected_outcome(&s, reason);
    bool spared = controlled && !s.pods && outcome == GATE_DENY;
    bool knows_scan = known->present == TRUTH_YES && known->status == SCAN_DONE && !known->silent &&
                      known->health != HEALTH_DOWN && known->health != HEALTH_UNAUTHORIZED;
    if (spared)
        outcome = GATE_WARN;
    if (!verdict->judged || verdict->reason != reason || verdict->outcome != outcome ||
        verdict->spared != spared || verdict->bad_count != bad || decisions.judged != 1 ||
        decisions.outcomes[outcome] != 1 || decisions.missing_count != 0 ||
        (verdict->scan != NULL) != (knows_scan || reason == GATE_FINDINGS)) {
        char text[500];
        describe(known, number, text, sizeof(text));
        CHECK_FAIL("%s, %s:\n  %s, %s%s, %zu named, %s a scan\nexpected\n  %s, %s%s, %zu named",
                   text, controlled ? "controlled" : "by a person",
                   gate_reason_name(verdict->reason), words[verdict->outcome],
                   verdict->spared ? " (spared)" : "", verdict->bad_count,
                   verdict->scan ? "with" : "without", gate_reason_name(reason), words[outcome],
                   spared ? " (spared)" : "", bad);
    }
    for (size_t i = 0; i < verdict->bad_count; i++) {
        assert_true(verdict->bad[i]->severity >= s.severity && !verdict->bad[i]->allowlisted);
        assert_true(i == 0 || verdict->bad[i - 1]->severity >= verdict->bad[i]->severity);
    }
    if (seen)
        seen[reason] = true;
    arena_done(&arena);
}

/* Every row under all settings, by a person and by a controller. */
static void test_rows_under_all_settings(void **state)
{
    (void)state;
    bool seen[GATE_REASONS] = {false};
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct arena arena = {0};
        struct artifact_fact fact = fact_of(&rows[i], &arena);
        for (unsigned number = 0; number < SETTINGS; number++) {
            check_one(&rows[i], &fact, number, false, seen);
            check_one(&rows[i], &fact, number, true, seen);
        }
        arena_done(&arena);
    }
    for (int i = 0; i < GATE_REASONS; i++)
        if (!seen[i] && i != GATE_TOO_MANY) /* which is about no fact: test_too_many */
            CHECK_FAIL("nothing has the reason `%s`", gate_reason_name((enum gate_reason)i));
}

/* Every combination of what a scan can say, under all that changes the reason; the settings that
 * change only the outcome take turns. */
static void test_all_scans(void **state)
{
    (void)state;
    static const enum scan_status statuses[] = {SCAN_UNKNOWN, SCAN_NONE,          SCAN_RUNNING,
                                                SCAN_FAILED,  SCAN_NOT_SCANNABLE, SCAN_DONE};
    static const char *const findings[] = {"",    "N",   "U",  "L",      "m",       "H",  "h",
                                           "h*",  "C",   "c",  "C*",     "c*",      "Ch", "C*h*",
                                           "cH*", "C*c", "HM", "CHMLUN", "c*h*m*l*"};
    static const int listings[] = {SEVERITY_NONE, SEVERITY_LOW,      SEVERITY_MEDIUM,
                                   SEVERITY_HIGH, SEVERITY_CRITICAL, COUNTS_ONLY};
    static const long long ages[] = {60, 0, MAX_AGE, MAX_AGE + 1, AGE_UNKNOWN};
    size_t checked = 0;
    unsigned turn = 0;
    for (unsigned n = 0;; n++) {
        unsigned rest = n;
        struct known known = {.name = "generated", HERE};
        known.status = statuses[digit(&rest, COUNT(statuses))];
        known.findings = findings[digit(&rest, COUNT(findings))];
        known.listed_from = listings[digit(&rest, COUNT(listings))];
        known.allowlist = digit(&rest, 3);
        known.age = ages[digit(&rest, COUNT(ages))];
        known.partial = digit(&rest, 2);
        if (rest)
            break;
        if (known.status != SCAN_DONE && known.partial)
            continue; /* it has not ended */
        struct arena arena = {0};
        struct artifact_fact fact = fact_of(&known, &arena);
        for (unsigned reasons = 0; reasons < REASON_SETTINGS; reasons++, checked++) {
            turn = (turn + 37) % OUTCOME_SETTINGS;
            check_one(&known, &fact, reasons * OUTCOME_SETTINGS + turn, n % 3 == 0, NULL);
        }
        arena_done(&arena);
    }
    assert_true(checked > 100000);
}

/* What `findings: {}` says, with the reasons written down by hand. */
static void test_defaults(void **state)
{
    (void)state;
    const struct settings defaults = {SEVERITY_CRITICAL, false,     NO_EXCEPTIONS, GATE_DENY,
                                      GATE_WARN,         GATE_WARN, GATE_ALLOW,    false};
    struct policies *policies =
        load_right(HARBOR "---\napiVersion: harbor-pilot.io/v1alpha1\nkind: Policy\n"
                          "metadata: {name: p}\nspec:\n  namespaces: [apps]\n  findings: {}\n");
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct arena arena = {0};
        struct fake_facts fake = {{fake_health, fake_artifact},
                                  rows[i].health,
                                  rows[i].silent,
                                  fact_of(&rows[i], &arena),
                                  0,
                                  0,
                                  {{0}, {0}, {0}}};
        struct decide_request request = request_of(SLICE("apps"), &fake.source, false);
        struct decisions decisions;
        decide(policies, &request, &arena, &decisions);
        const struct verdict *verdict = &decisions.items[0].verdict;
        check_text(rows[i].name, "the reason", slice_from(gate_reason_name(verdict->reason)),
                   gate_reason_name(rows[i].by_default));
        check_number(rows[i].name, "the outcome", verdict->outcome,
                     expected_outcome(&defaults, rows[i].by_default));
        arena_done(&arena);
    }
    policies_unref(policies);
}

/* --- exceptions and their last second --- */

static void test_an_exception_ends_at_midnight(void **state)
{
    (void)state;
    static const struct known critical = {"critical", SCANNED, .findings = "C"};
    static const struct {
        long long now;
        enum gate_reason reason;
    } cases[] = {
        {NOW, GATE_ALLOWLISTED},         {NOW + HALF_DAY - 1, GATE_ALLOWLISTED}, /* 23:59:59 */
        {NOW + HALF_DAY, GATE_FINDINGS}, {NOW + HALF_DAY + 1, GATE_FINDINGS},
        {0, GATE_ALLOWLISTED},
    };
    struct gate_rules rules = {.on = true,
                               .severity = SEVERITY_CRITICAL,
                               .action = GATE_DENY,
                               .max_age = 10 * MAX_AGE,
                               .allow_count = 5};
    /* among others, before and behind it */
    struct cve_exception allow[] = {{.id = SLICE("A")},
                                    {.id = SLICE("CVE-B")},
                                    {.id = SLICE("CVE-C"), .ends = NOW + HALF_DAY},
                                    {.id = SLICE("CVE-C1")},
                                    {.id = SLICE("CVE-D")}};
    struct arena arena = {0};
    struct artifact_fact fact = fact_of(&critical, &arena);
    rules.allow = allow;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct verdict verdict = {0};
        gate_judge(&rules, &fact, cases[i].now, &arena, &verdict);
        check_number("an exception", "the reason", verdict.reason, cases[i].reason);
        check_number("an exception", "the outcome", verdict.outcome,
                     cases[i].reason == GATE_FINDINGS ? GATE_DENY : GATE_ALLOW);
    }
    arena_done(&arena);
}

/* Each of many exceptions is found, and none that is not there. */
static void test_each_exception_is_found(void **state)
{
    (void)state;
    enum { MOST = 17 };
    struct cve_exception allow[MOST];
    char names[MOST][8];
    for (int count = 0; count <= MOST; count++) {
        struct gate_rules rules = {.on = true,
                                   .severity = SEVERITY_LOW,
                                   .action = GATE_DENY,
                                   .max_age = MAX_AGE,
                                   .allow = allow,
                                   .allow_count = (size_t)count};
        for (int i = 0; i < count; i++) {
            snprintf(names[i], sizeof(names[i]), "C-%02d", i * 2);
            allow[i] = (struct cve_exception){.id = slice_from(names[i])};
        }
        for (int i = -1; i <= 2 * count; i++) {
            struct arena arena = {0};
            struct finding finding = {.id = arena_format(&arena, "C-%02d", i < 0 ? 99 : i),
                                      .severity = SEVERITY_HIGH};
            struct artifact_fact fact = {.present = TRUTH_YES, .has_allowlist = TRUTH_NO};
            struct verdict verdict = {0};
            fact.scan.status = SCAN_DONE;
            scan_set_findings(&fact.scan, SEVERITY_NONE, &finding, 1, &arena);
            gate_judge(&rules, &fact, NOW, &arena, &verdict);
            bool excepted = i >= 0 && i % 2 == 0 && i < 2 * count;
            check_text(finding.id.base, "the reason", slice_from(gate_reason_name(verdict.reason)),
                       excepted ? "allowlisted" : "findings");
            arena_done(&arena);
        }
    }
}

/* Ids are compared letter by letter, as Harbor does. */
static void test_ids_are_whole(void **state)
{
    (void)state;
    static const char *const others[] = {"cve-1", "CVE-11", "CVE-", "", "CVE-1 "};
    struct cve_exception allow = {.id = SLICE("CVE-1")};
    struct gate_rules rules = {.on = true,
                               .severity = SEVERITY_LOW,
                               .max_age = MAX_AGE,
                               .allow = &allow,
                               .allow_count = 1};
    for (size_t i = 0; i < COUNT(others); i++) {
        struct arena arena = {0};
        struct finding finding = {.id = slice_from(others[i]), .severity = SEVERITY_HIGH};
        struct artifact_fact fact = {.present = TRUTH_YES, .has_allowlist = TRUTH_NO};
        struct verdict verdict = {0};
        fact.scan.status = SCAN_DONE;
        scan_set_findings(&fact.scan, SEVERITY_NONE, &finding, 1, &arena);
        gate_judge(&rules, &fact, NOW, &arena, &verdict);
        check_text(others[i], "the reason", slice_from(gate_reason_name(verdict.reason)),
                   "findings");
        arena_done(&arena);
    }
}

/* --- what is asked --- */

static void test_questions(void **state)
{
    (void)state;
    static const struct {
        const char *image;
        const char *project, *repository, *reference; /* NULL: nothing is asked */
    } images[] = {
        {"x", "hub", "library/x", "latest"},
        {"x:1@sha256:0000000000000000000000000000000000000000000000000000000000000000", "hub",
         "library/x", "sha256:0000000000000000000000000000000000000000000000000000000000000000"},
        {"quay.io/a/b/c:v1", "quay", "a/b/c", "v1"},
        {"harbor.example.com/own/a/b:2", "own", "a/b", "2"},
        {"harbor.example.com/hub/library/x", "hub", "library/x", "latest"},
        {"harbor.example.com/one", NULL, NULL, NULL},
        {"ghcr.io/a/b", NULL, NULL, NULL},
        {"No", NULL, NULL, NULL},
        {"auto", NULL, NULL, NULL},
    };
    static const enum harbor_health healths[] = {HEALTH_UNKNOWN, HEALTH_UP, HEALTH_DOWN,
                                                 HEALTH_UNAUTHORIZED};
    for (size_t i = 0; i < COUNT(images); i++)
        for (size_t h = 0; h < COUNT(healths); h++)
            for (int last = 0; last < 2; last++) {
                struct arena arena = {0};
                struct fake_facts fake = {
                    .source = {fake_health, fake_artifact}, .health = healths[h], .silent = true};
                struct decide_request request = request_of(SLICE("n-0"), &fake.source, false);
                struct decisions decisions;
                request.pod = read_pod(
                    arena_format(&arena,
                                 "{\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":\"%s\"}]}}",
                                 images[i].image)
                        .base,
                    &arena);
                request.last_chance = last;
                decide(all_settings, &request, &arena, &decisions);
                bool well = healths[h] == HEALTH_UP || healths[h] == HEALTH_UNKNOWN;
                bool asks = images[i].project && well && !last;
                const char *name = images[i].image;
                check_number(name, "the questions", (long long)decisions.missing_count, asks);
                if (asks) {
                    const struct missing_fact *q = &decisions.missing[0];
                    check_text(name, "the project", q->key.project, images[i].project);
                    check_text(name, "the repository", q->key.repository, images[i].repository);
                    check_text(name, "the reference", q->key.reference, images[i].reference);
                    check_number(name, "what is asked", q->needs, FACT_PRESENT | FACT_SCAN);
                }
                const struct verdict *verdict = &decisions.items[0].verdict;
                check_number(name, "judged", verdict->judged, strcmp(name, "auto") != 0);
                if (verdict->judged)
                    check_text(name, "the reason", slice_from(gate_reason_name(verdict->reason)),
                               images[i].project ? "unavailable" : "unproxied");
                arena_done(&arena);
            }
}

/* The rewrite and the gate ask of one artifact each what they need; the mutating webhook asks
 * nothing for the gate. */
static void test_who_asks_what(void **state)
{
    (void)state;
    static const struct {
        enum purpose purpose;
        fact_needs needs[2];
        size_t count;
    } cases[] = {
        {PURPOSE_MUTATE, {FACT_PRESENT | FACT_SERVABLE}, 1},
        {PURPOSE_VALIDATE, {FACT_PRESENT | FACT_SCAN}, 1},
        {PURPOSE_PREVIEW, {FACT_PRESENT | FACT_SERVABLE, FACT_PRESENT | FACT_SCAN}, 2},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct arena arena = {0};
        struct fake_facts fake = {
            .source = {fake_health, fake_artifact}, .health = HEALTH_UP, .silent = true};
        struct decide_request request = request_of(SLICE("n-0"), &fake.source, false);
        struct decisions decisions;
        request.purpose = cases[i].purpose;
        request.last_chance = false;
        decide(all_settings, &request, &arena, &decisions);
        check_number("questions", "how many", (long long)decisions.missing_count,
                     (long long)cases[i].count);
        for (size_t j = 0; j < cases[i].count; j++)
            check_number("questions", "needs", decisions.missing[j].needs, cases[i].needs[j]);
        check_number("questions", "judged", (long long)decisions.judged,
                     cases[i].purpose != PURPOSE_MUTATE);
        arena_done(&arena);
    }
}

/* Nobody was asked: nothing can be said but of images that Harbor serves in no case. */
static void test_without_facts(void **state)
{
    (void)state;
    static const struct {
        const char *image;
        bool judged;
    } cases[] = {
        {"x", false},
        {"harbor.example.com/hub/library/x", false},
        {"harbor.example.com/one", true},
        {"ghcr.io/x", true},
        {"UPPER", true},
        {"auto", false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct arena arena = {0};
        struct decide_request request = request_of(SLICE("n-0"), NULL, false);
        struct decisions decisions;
        request.pod = read_pod(
            arena_format(&arena, "{\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":\"%s\"}]}}",
                         cases[i].image)
                .base,
            &arena);
        decide(all_settings, &request, &arena, &decisions);
        const struct verdict *verdict = &decisions.items[0].verdict;
        check_number(cases[i].image, "judged", verdict->judged, cases[i].judged);
        check_number(cases[i].image, "counted", (long long)decisions.judged, cases[i].judged);
        if (verdict->judged)
            check_text(cases[i].image, "the reason", slice_from(gate_reason_name(verdict->reason)),
                       "unproxied");
        arena_done(&arena);
    }
}

/* Why Harbor cannot be asked, and what an upstream that is not asked means for the rewrite. */
static void test_details_of_decisions(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        enum harbor_health health;
        bool silent, audit;
        const char *gate, *rewrite; /* NULL: none */
    } cases[] = {
        {"down", HEALTH_DOWN, false, false, "Harbor is down", NULL},
        {"our account", HEALTH_UNAUTHORIZED, false, false, "Harbor refuses our account", NULL},
        {"too late", HEALTH_UP, true, false, "Harbor did not say in time", NULL},
        {"the gate alone", HEALTH_UP, false, false,
         "Harbor does not have it yet: it is scanned after the first pull",
         "not in Harbor yet; its upstream is not asked here"},
        {"audit", HEALTH_UP, false, true,
         "Harbor does not have it yet: it is scanned after the first pull",
         "not in Harbor yet; enforce would ask whether its upstream has it"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct arena arena = {0};
        struct fake_facts fake = {.source = {fake_health, fake_artifact},
                                  .health = cases[i].health,
                                  .silent = cases[i].silent,
                                  .fact = {.present = TRUTH_NO, .public_ = TRUTH_YES}};
        struct decide_request request = request_of(SLICE("n-0"), &fake.source, false);
        struct decisions decisions;
        request.purpose = cases[i].audit ? PURPOSE_PREVIEW : PURPOSE_VALIDATE;
        request.mode = cases[i].audit ? MODE_AUDIT : MODE_ENFORCE;
        decide(all_settings, &request, &arena, &decisions);
        const struct decision *decision = &decisions.items[0];
        check_text(cases[i].name, "the gate's detail", slice_from(decision->verdict.detail),
                   cases[i].gate);
        check_text(cases[i].name, "the rewrite's detail", slice_from(decision->detail),
                   cases[i].rewrite);
        arena_done(&arena);
    }
}

static void test_null_fact(void **state)
{
    (void)state;
    struct arena arena = {0};
    const struct gate_rules rules = {.on = true, .unavailable = GATE_WARN};
    struct verdict verdict = {.key = {SLICE("p"), SLICE("r"), SLICE("t")}};
    gate_judge(&rules, NULL, NOW, &arena, &verdict);
    assert_true(verdict.judged);
    assert_int_equal(verdict.reason, GATE_UNAVAILABLE);
    assert_int_equal(verdict.outcome, GATE_WARN);
    assert_null(verdict.scan);
    check_text("the key", "project", verdict.key.project, "p"); /* it is not touched */
    arena_done(&arena);
}

/* A Policy without `findings` has no gate. */
static void test_no_gate(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct policies *policies =
        load_right(HARBOR "---\napiVersion: harbor-pilot.io/v1alpha1\nkind: Policy\n"
                          "metadata: {name: p}\nspec:\n  namespaces: [apps]\n");
    struct fake_facts fake = {
        .source = {fake_health, fake_artifact}, .health = HEALTH_UP, .silent = true};
    struct decide_request request = request_of(SLICE("apps"), &fake.source, false);
    struct decisions decisions;
    request.last_chance = false;
    decide(policies, &request, &arena, &decisions);
    assert_false(decisions.items[0].verdict.judged);
    assert_int_equal(decisions.judged, 0);
    assert_int_equal(decisions.missing_count, 0);
    policies_unref(policies);
    arena_done(&arena);
}

/* A Harbor whose proxy projects are not known yet: nobody can say what it serves, but for what is
 * at its host already. */
static void test_not_discovered_yet(void **state)
{
    (void)state;
    static const struct {
        const char *image;
        enum gate_reason reason;
    } cases[] = {
        {"x", GATE_UNAVAILABLE},
        {"ghcr.io/a/b", GATE_UNAVAILABLE},
        {"UPPER", GATE_UNPROXIED},
        {"harbor.example.com/hub/library/x", GATE_FINDINGS},
    };
    static const struct known critical = {"critical", SCANNED, .findings = "C"};
    struct policies *policies =
        load_right("apiVersion: harbor-pilot.io/v1alpha1\nkind: Harbor\nmetadata: {name: h}\n"
                   "spec:\n  host: harbor.example.com\n  discover: true\n"
                   "  api: {url: 'https://harbor.example.com'}\n"
                   "---\napiVersion: harbor-pilot.io/v1alpha1\nkind: Policy\n"
                   "metadata: {name: p}\nspec:\n  namespaces: [apps]\n  findings: {}\n");
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct arena arena = {0};
        struct fake_facts fake = {.source = {fake_health, fake_artifact},
                                  .health = HEALTH_UP,
                                  .fact = fact_of(&critical, &arena)};
        struct decide_request request = request_of(SLICE("apps"), &fake.source, false);
        struct decisions decisions;
        request.pod = read_pod(
            arena_format(&arena, "{\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":\"%s\"}]}}",
                         cases[i].image)
                .base,
            &arena);
        decide(policies, &request, &arena, &decisions);
        check_text(cases[i].image, "the reason",
                   slice_from(gate_reason_name(decisions.items[0].verdict.reason)),
                   gate_reason_name(cases[i].reason));
        check_number(cases[i].image, "is asked", fake.questions > 0,
                     cases[i].reason == GATE_FINDINGS);
        arena_done(&arena);
    }
    policies_unref(policies);
}

/* --- as JSON --- */

static struct slice written(const struct gate_rules *rules, const struct artifact_fact *fact,
                            bool spared, struct arena *arena)
{
    struct verdict verdict = {0};
    struct buffer out = {0};
    struct json_writer w = {.out = &out};
    gate_judge(rules, fact, NOW, arena, &verdict);
    verdict.spared = spared;
    json_begin_object(&w);
    gate_write(&w, &verdict);
    json_member_bool(&w, "more", true);
    json_end_object(&w);
    struct slice text = arena_copy(arena, buffer_slice(&out));
    buffer_done(&out);
    return text;
}

static const struct gate_rules strict = {.on = true,
                                         .severity = SEVERITY_MEDIUM,
                                         .action = GATE_DENY,
                                         .unscanned = GATE_WARN,
                                         .max_age = MAX_AGE};

#define GATE(members) "{\"gate\":{" members "},\"more\":true}"
#define SCAN_WRITTEN  "\"digest\":\"sha256:d\",\"scanned\":\"2026-11-20T12:00:00Z\","

static void test_as_json(void **state)
{
    (void)state;
    static const struct {
        struct known known;
        bool spared;
        const char *json;
    } cases[] = {
        {{"clean", SCANNED, .findings = ""},
         false,
         GATE("\"outcome\":\"allow\",\"reason\":\"clean\"," SCAN_WRITTEN "\"counts\":{}")},
        {{"every severity", SCANNED, .findings = "CcHMLUN"},
         false,
         GATE("\"outcome\":\"deny\",\"reason\":\"findings\"," SCAN_WRITTEN
              "\"counts\":{\"Critical\":2,\"High\":1,\"Medium\":1,\"Low\":1,\"Unknown\":1,"
              "\"None\":1},\"cves\":["
              "{\"id\":\"CVE-C\",\"severity\":\"Critical\",\"package\":\"package\",\"fix\":\"1.2\"}"
              ",{\"id\":\"CVE-c\",\"severity\":\"Critical\",\"package\":\"package\"},"
              "{\"id\":\"CVE-H\",\"severity\":\"High\",\"package\":\"package\",\"fix\":\"1.2\"},"
              "{\"id\":\"CVE-M\",\"severity\":\"Medium\",\"package\":\"package\",\"fix\":\"1.2\"}"
              "]")},
        {{"spared", SCANNED, .findings = "H", .age = AGE_UNKNOWN},
         true,
         GATE("\"outcome\":\"deny\",\"reason\":\"findings\",\"digest\":\"sha256:d\","
              "\"counts\":{\"High\":1},\"cves\":[{\"id\":\"CVE-H\",\"severity\":\"High\","
              "\"package\":\"package\",\"fix\":\"1.2\"}],\"detail\":\"it would be refused, but a "
              "controller's Pods are only warned about (enforceOn: workloads)\"")},
        {{"never", HERE, .status = SCAN_NONE},
         false,
         GATE("\"outcome\":\"warn\",\"reason\":\"unscanned\",\"digest\":\"sha256:d\"")},
        {{"too old", SCANNED, .findings = "L", .age = MAX_AGE + 1},
         false,
         GATE("\"outcome\":\"warn\",\"reason\":\"too-old\",\"digest\":\"sha256:d\","
              "\"scanned\":\"2026-11-13T11:59:59Z\",\"counts\":{\"Low\":1}")},
        {{"counts", SCANNED, .findings = "CH", .listed_from = COUNTS_ONLY},
         false,
         GATE("\"outcome\":\"deny\",\"reason\":\"findings\"," SCAN_WRITTEN
              "\"counts\":{\"Critical\":1,\"High\":1},\"detail\":\"only the number of findings is "
              "known: their list cannot be read\"")},
        {{"partial", SCANNED, .partial = true, .findings = "L"},
         false,
         GATE("\"outcome\":\"warn\",\"reason\":\"scan-failed\"," SCAN_WRITTEN
              "\"counts\":{\"Low\":1},\"detail\":\"the scan of one of the image's platforms "
              "failed\"")},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct arena arena = {0};
        struct artifact_fact fact = fact_of(&cases[i].known, &arena);
        check_text(cases[i].known.name, "the JSON",
                   written(&strict, &fact, cases[i].spared, &arena), cases[i].json);
        arena_done(&arena);
    }
}

/* The sentence for people is there where the reason alone would not explain itself. */
static void test_details(void **state)
{
    (void)state;
    static const struct {
        struct known known;
        bool fixable_only;
        const char *detail; /* NULL: none */
    } cases[] = {
        {{"unfixable", SCANNED, .findings = "ch"},
         true,
         "no version fixes what was found, and the Policy counts only what can be fixed"},
        {{"accepted", SCANNED, .findings = "C*h"}, true, NULL},
        {{"accepted", SCANNED, .findings = "C*"}, false, NULL},
        {{"below", SCANNED, .findings = "L"}, true, NULL},
        {{"clean", SCANNED, .findings = ""}, true, NULL},
        {{"bad", SCANNED, .findings = "C"}, true, NULL},
        {{"fixable by counts", SCANNED, .findings = "C", .listed_from = COUNTS_ONLY},
         true,
         "the list of findings cannot be read, so it is unknown which are accepted or fixable (does "
         "the account have artifact-addition:read?)"},
        {{"the allowlist", SCANNED, .findings = "C", .allowlist = LIST_UNKNOWN},
         false,
         "the project's CVE allowlist cannot be read, so it is unknown which findings are accepted "
         "(does the account have project:read?)"},
        {{"401", UP, .unauthorized = true}, false, "Harbor refuses our account"},
        {{"filtered", UP, .outside_filter = true},
         false,
         "the project's proxy filter refuses the repository"},
        {{"not there", UP, .present = TRUTH_NO},
         false,
         "Harbor does not have it yet: it is scanned after the first pull"},
        {{"silent", HERE, .status = SCAN_UNKNOWN},
         false,
         "Harbor does not say what its scanner found: is the scanner away?"},
        {{"412", HERE, .refused = true}, false, NULL},
        {{"never", HERE, .status = SCAN_NONE}, false, NULL},
        {{"another child may be bad", HERE, .status = SCAN_NONE, .findings = "C",
          .allowlist = LIST_UNKNOWN},
         false,
         NULL},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct arena arena = {0};
        struct artifact_fact fact = fact_of(&cases[i].known, &arena);
        struct gate_rules rules = strict;
        struct verdict verdict = {0};
        rules.fixable_only = cases[i].fixable_only;
        gate_judge(&rules, &fact, NOW, &arena, &verdict);
        check_number(cases[i].known.name, "a detail", verdict.detail != NULL,
                     cases[i].detail != NULL);
        if (cases[i].detail)
            check_text(cases[i].known.name, "the detail", slice_from(verdict.detail),
                       cases[i].detail);
        arena_done(&arena);
    }
}

/* Of many findings the worst ten are named, and all are counted. */
static void test_ten_are_named(void **state)
{
    (void)state;
    for (size_t count = 9; count <= 12; count++) {
        struct arena arena = {0};
        struct finding *findings = arena_allocate(&arena, count * sizeof(*findings));
        struct artifact_fact fact = {.present = TRUTH_YES, .has_allowlist = TRUTH_NO};
        for (size_t i = 0; i < count; i++)
            findings[i] = (struct finding){.id = arena_format(&arena, "CVE-%zu", i),
                                           .package = SLICE("a\"\n\x01"),
                                           .severity = i ? SEVERITY_HIGH : SEVERITY_CRITICAL};
        fact.scan.status = SCAN_DONE;
        scan_set_findings(&fact.scan, SEVERITY_NONE, findings, count, &arena);
        struct slice json = written(&strict, &fact, false, &arena);
        const char *text = arena_copy(&arena, json).base;
        size_t named = 0;
        for (const char *at = text; (at = strstr(at, "\"id\"")); at++)
            named++;
        check_number(text, "findings that are named", (long long)named, count < 10 ? 9 : 10);
        assert_non_null(strstr(text, "\"cves\":[{\"id\":\"CVE-0\",\"severity\":\"Critical\","
                                     "\"package\":\"a\\\"\\n\\u0001\"}"));
        struct slice high = arena_format(&arena, "\"High\":%zu}", count - 1);
        assert_non_null(strstr(text, high.base));
        arena_done(&arena);
    }
}

/* More images than Harbor is asked about at once: refused wherever the rules can refuse. */
static void test_too_many(void **state)
{
    (void)state;
    for (unsigned number = 0; number < 81; number++) {
        struct verdict verdict = {0};
        struct gate_rules rules = {.on = true,
                                   .action = number % 3 == 0 ? GATE_WARN : GATE_DENY,
                                   .unscanned = (enum gate_outcome)(number / 3 % 3),
                                   .unproxied = (enum gate_outcome)(number / 9 % 3),
                                   .unavailable = (enum gate_outcome)(number / 27 % 3)};
        bool denies = rules.action == GATE_DENY || rules.unscanned == GATE_DENY ||
                      rules.unproxied == GATE_DENY || rules.unavailable == GATE_DENY;
        gate_set(&rules, GATE_TOO_MANY, "x", &verdict);
        assert_int_equal(verdict.outcome, denies ? GATE_DENY : GATE_WARN);
    }
}

/* The names of the man pages, in their order. */
static void test_reason_names(void **state)
{
    (void)state;
    static const char *const names[] = {
        "too-many",  "clean",       "below-threshold",  "allowlisted",   "findings",
        "unscanned", "scanning",    "scan-failed",      "not-scannable", "too-old",
        "unproxied", "unavailable", "refused-by-harbor"};
    assert_int_equal(COUNT(names), GATE_REASONS);
    for (size_t i = 0; i < COUNT(names); i++)
        assert_string_equal(gate_reason_name((enum gate_reason)i), names[i]);
    for (size_t i = 0; i < COUNT(words); i++)
        assert_string_equal(gate_outcome_name((enum gate_outcome)i), words[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows_under_all_settings),
        cmocka_unit_test(test_all_scans),
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_an_exception_ends_at_midnight),
        cmocka_unit_test(test_each_exception_is_found),
        cmocka_unit_test(test_ids_are_whole),
        cmocka_unit_test(test_questions),
        cmocka_unit_test(test_who_asks_what),
        cmocka_unit_test(test_without_facts),
        cmocka_unit_test(test_details_of_decisions),
        cmocka_unit_test(test_null_fact),
        cmocka_unit_test(test_no_gate),
        cmocka_unit_test(test_not_discovered_yet),
        cmocka_unit_test(test_as_json),
        cmocka_unit_test(test_details),
        cmocka_unit_test(test_ten_are_named),
        cmocka_unit_test(test_too_many),
        cmocka_unit_test(test_reason_names),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
