/* What an index's children make together: a table of statuses, and properties of random children.
 */
#include "harbor/scan.h"

#include "tests/unit/check.h"

/* A status as a letter: Unknown, None, Running, Failed, Not scannable, Done, and Partial. */
static struct scan child_of(char letter)
{
    static const char letters[] = "UNRFXD";
    struct scan scan = {.finished = letter == 'N' || letter == 'X' ? 0 : 50};
    if (letter == 'P') {
        scan.status = SCAN_DONE;
        scan.partial = true;
    } else {
        scan.status = (enum scan_status)(strchr(letters, letter) - letters);
    }
    return scan;
}

static void swap(char *a, char *b)
{
    char c = *a;
    *a = *b;
    *b = c;
}

/* Checks all orders of the letters. */
static void check_orders(const char *name, char *letters, size_t from, enum scan_status status,
                         bool partial)
{
    size_t len = strlen(letters);
    if (from < len) {
        for (size_t i = from; i < len; i++) {
            swap(&letters[from], &letters[i]);
            check_orders(name, letters, from + 1, status, partial);
            swap(&letters[from], &letters[i]);
        }
        return;
    }
    struct arena arena = {0};
    struct scan whole = {0};
    for (size_t i = 0; i < len; i++) {
        struct scan child = child_of(letters[i]);
        scan_merge(&whole, &child, &arena);
    }
    check_number(letters, "the status", whole.status, status);
    check_number(letters, "partial", whole.partial, partial);
    /* the same of two halves, each an index of its own */
    for (size_t half = 1; half < len; half++) {
        struct scan one = {0}, other = {0}, both = {0};
        for (size_t i = 0; i < len; i++) {
            struct scan child = child_of(letters[i]);
            scan_merge(i < half ? &one : &other, &child, &arena);
        }
        scan_merge(&both, &one, &arena);
        scan_merge(&both, &other, &arena);
        check_number(letters, "the status of halves", both.status, status);
        check_number(letters, "partial", both.partial, partial);
    }
    arena_done(&arena);
}

static void test_statuses(void **state)
{
    (void)state;
    static const struct {
        const char *children;
        enum scan_status status;
        bool partial;
    } cases[] = {
        {"", SCAN_UNKNOWN, false},
        {"U", SCAN_UNKNOWN, false},
        {"N", SCAN_NONE, false},
        {"R", SCAN_RUNNING, false},
        {"F", SCAN_FAILED, false},
        {"X", SCAN_NOT_SCANNABLE, false},
        {"D", SCAN_DONE, false},
        {"P", SCAN_DONE, true},
        {"DD", SCAN_DONE, false},
        {"DP", SCAN_DONE, true},
        {"XX", SCAN_NOT_SCANNABLE, false},
        {"DX", SCAN_DONE, false},
        {"FX", SCAN_FAILED, false},
        {"NX", SCAN_NONE, false},
        {"UX", SCAN_UNKNOWN, false},
        {"RX", SCAN_RUNNING, false},
        {"DN", SCAN_NONE, false},
        {"DF", SCAN_DONE, true},
        {"DU", SCAN_UNKNOWN, false},
        {"DR", SCAN_RUNNING, false},
        {"FN", SCAN_FAILED, false},
        {"FU", SCAN_UNKNOWN, false},
        {"FR", SCAN_RUNNING, false},
        {"NU", SCAN_UNKNOWN, false},
        {"NR", SCAN_RUNNING, false},
        {"RU", SCAN_RUNNING, false},
        {"DDF", SCAN_DONE, true},
        {"DFF", SCAN_DONE, true},
        {"DFX", SCAN_DONE, true},
        {"DFN", SCAN_FAILED, false}, /* not DONE beside what was never scanned */
        {"PN", SCAN_FAILED, false},
        {"DFU", SCAN_UNKNOWN, false},
        {"DFR", SCAN_RUNNING, false},
        {"DFNRX", SCAN_RUNNING, false},
        {"DFNUX", SCAN_UNKNOWN, false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct arena arena = {0};
        char *letters = (char *)arena_copy(&arena, slice_from(cases[i].children)).base;
        check_orders(cases[i].children, letters, 0, cases[i].status, cases[i].partial);
        arena_done(&arena);
    }
}

static void test_finished(void **state)
{
    (void)state;
    static const struct {
        long long times[3];
        enum scan_status statuses[3];
        long long finished;
    } cases[] = {
        {{5, 3, 9}, {SCAN_DONE, SCAN_DONE, SCAN_DONE}, 3},
        {{5, 0, 9}, {SCAN_DONE, SCAN_DONE, SCAN_DONE}, 0}, /* as old as it may be */
        {{5, 0, 9}, {SCAN_DONE, SCAN_NONE, SCAN_DONE}, 5},
        {{5, 0, 9}, {SCAN_DONE, SCAN_NOT_SCANNABLE, SCAN_DONE}, 5},
        {{5, 4, 9}, {SCAN_DONE, SCAN_FAILED, SCAN_DONE}, 4},
        {{0, 0, 0}, {SCAN_RUNNING, SCAN_NONE, SCAN_FAILED}, 0},
    };
    static const size_t orders[][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                       {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    for (size_t i = 0; i < COUNT(cases); i++)
        for (size_t j = 0; j < COUNT(orders); j++) {
            struct arena arena = {0};
            struct scan whole = {0};
            for (size_t k = 0; k < 3; k++) {
                struct scan child = {.status = cases[i].statuses[orders[j][k]],
                                     .finished = cases[i].times[orders[j][k]]};
                scan_merge(&whole, &child, &arena);
            }
            const char *name = arena_format(&arena, "case %zu, order %zu", i, j).base;
            check_number(name, "finished", whole.finished, cases[i].finished);
            arena_done(&arena);
        }
}

/* --- random children --- */

static unsigned random_below(unsigned *seed, unsigned limit)
{
    *seed = *seed * 1664525 + 1013904223;
    return (*seed >> 8) % limit;
}

static struct slice name_of(const char *prefix, unsigned number, struct arena *arena)
{
    return number ? arena_format(arena, "%s%u", prefix, number) : (struct slice){0};
}

/* A DONE child with a few findings out of few names, so that many are in several children. */
static struct scan random_child(unsigned *seed, enum severity from, struct arena *arena)
{
    struct finding findings[12];
    struct scan scan = {.status = random_below(seed, 8) ? SCAN_DONE : SCAN_FAILED,
                        .finished = 1 + random_below(seed, 1000)};
    size_t count = random_below(seed, COUNT(findings) + 1);
    if (scan.status == SCAN_FAILED)
        return scan;
    for (size_t i = 0; i < count; i++)
        findings[i] = (struct finding){
            .id = name_of("CVE-", random_below(seed, 5), arena),
            .package = name_of("p", random_below(seed, 2), arena),
            .fix = name_of("1.", random_below(seed, 3), arena),
            .severity = (enum severity)random_below(seed, SEVERITY_COUNT),
            .allowlisted = random_below(seed, 2) != 0,
        };
    scan_set_findings(&scan, from, findings, count, arena);
    if (random_below(seed, 30) == 0) { /* only its overview could be read */
        scan.listed = false;
        scan.findings = NULL;
        scan.finding_count = 0;
    }
    return scan;
}

static bool is_same(const struct finding *a, const struct finding *b)
{
    return a->severity == b->severity && slice_equal(a->id, b->id) &&
           slice_equal(a->package, b->package);
}

static void check_list(const struct scan *scan)
{
    unsigned listed[SEVERITY_COUNT] = {0};
    assert_true(scan->listed || scan->finding_count == 0);
    for (size_t i = 0; i < scan->finding_count; i++) {
        const struct finding *f = &scan->findings[i], *before = i ? f - 1 : f;
        listed[f->severity]++;
        assert_true(f->severity >= scan->listed_from);
        assert_true(before->severity >= f->severity);
        if (i > 0 && before->severity == f->severity) {
            assert_true(before->fix.len > 0 || f->fix.len == 0);
            if ((before->fix.len > 0) == (f->fix.len > 0))
                assert_true(slice_compare(before->id, f->id) <= 0);
        }
        for (size_t j = 0; j < i; j++)
            assert_false(is_same(&scan->findings[j], f));
    }
    for (int i = 0; i < SEVERITY_COUNT; i++)
        assert_true(scan->counts[i] >= listed[i]);
}

static void check_equal(const struct scan *a, const struct scan *b)
{
    assert_int_equal(a->status, b->status);
    assert_int_equal(a->partial, b->partial);
    assert_int_equal(a->finished, b->finished);
    assert_int_equal(a->listed, b->listed);
    assert_true(!a->listed || a->listed_from == b->listed_from);
    assert_memory_equal(a->counts, b->counts, sizeof(a->counts));
    assert_int_equal(a->finding_count, b->finding_count);
    for (size_t i = 0; i < a->finding_count; i++) {
        const struct finding *f = &a->findings[i], *g = &b->findings[i];
        assert_true(is_same(f, g));
        assert_true(slice_equal(f->fix, g->fix));
        assert_int_equal(f->allowlisted, g->allowlisted);
    }
}

/* What is in a child is in the whole, with a fix where the child has one; and the other way round:
 * nothing else is. */
static void check_members(const struct scan *whole, const struct scan *children, size_t count)
{
    size_t found = 0;
    for (size_t i = 0; i < whole->finding_count; i++) {
        const struct finding *f = &whole->findings[i];
        bool there = false, allowlisted = true, fixed = false;
        for (size_t c = 0; c < count; c++)
            for (size_t j = 0; j < children[c].finding_count; j++)
                if (is_same(&children[c].findings[j], f)) {
                    there = true;
                    allowlisted &= children[c].findings[j].allowlisted;
                    fixed |= children[c].findings[j].fix.len > 0;
                }
        assert_true(there);
        assert_int_equal(f->allowlisted, allowlisted);
        assert_int_equal(f->fix.len > 0, fixed);
        found++;
    }
    if (!whole->listed)
        return;
    for (size_t c = 0; c < count; c++)
        for (size_t j = 0; j < children[c].finding_count; j++) {
            bool there = children[c].findings[j].severity < whole->listed_from;
            for (size_t i = 0; i < found; i++)
                there |= is_same(&whole->findings[i], &children[c].findings[j]);
            assert_true(there);
        }
}

/* From which severity on the findings of all children are known. */
static void check_listed_from(const struct scan *whole, const struct scan *children, size_t count)
{
    int known = 0;
    bool done = false;
    for (size_t c = 0; c < count; c++) {
        if (children[c].status != SCAN_DONE)
            continue;
        done = true;
        int from = children[c].listed ? (int)children[c].listed_from : SEVERITY_COUNT;
        while (!children[c].listed && from > 0 && children[c].counts[from - 1] == 0)
            from--;
        known = from > known ? from : known;
    }
    assert_int_equal(whole->listed, done && known < SEVERITY_COUNT);
    if (whole->listed)
        assert_int_equal(whole->listed_from, known);
}

static void test_random_children(void **state)
{
    (void)state;
    unsigned seed = 1;
    for (int round = 0; round < 3000; round++) {
        struct arena arena = {0};
        struct scan children[6], first = {0};
        size_t order[COUNT(children)], count = 1 + random_below(&seed, COUNT(children));
        enum severity from = (enum severity)random_below(&seed, SEVERITY_COUNT);
        for (size_t i = 0; i < count; i++) {
            children[i] = random_child(&seed, from, &arena);
            check_list(&children[i]);
            order[i] = i;
        }
        for (int shuffle = 0; shuffle < 4; shuffle++) {
            struct scan whole = {0}, left = {0}, right = {0}, nested = {0};
            for (size_t i = 0; i < count; i++) {
                scan_merge(&whole, &children[order[i]], &arena);
                scan_merge(i < count / 2 ? &left : &right, &children[order[i]], &arena);
            }
            check_list(&whole);
            check_members(&whole, children, count);
            check_listed_from(&whole, children, count);
            if (shuffle == 0)
                first = whole;
            check_equal(&first, &whole);
            if (left.merged)
                scan_merge(&nested, &left, &arena);
            scan_merge(&nested, &right, &arena);
            check_equal(&first, &nested);
            for (size_t i = count - 1; i > 0; i--) {
                size_t j = random_below(&seed, (unsigned)i + 1), kept = order[i];
                order[i] = order[j];
                order[j] = kept;
            }
        }
        arena_done(&arena);
    }
}

/* --- limits --- */

static void make_findings(struct finding *ret, size_t from, size_t count, struct arena *arena)
{
    for (size_t i = 0; i < count; i++)
        ret[i] = (struct finding){.id = arena_format(arena, "CVE-%06zu", from + i),
                                  .severity = SEVERITY_HIGH};
}

static void test_long_lists(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct finding *findings = memory_allocate(SCAN_MAX_FINDINGS * sizeof(*findings));
    struct scan most = {.status = SCAN_DONE}, rest = most, one_more = most, none = {0};
    make_findings(findings, 0, SCAN_MAX_FINDINGS - 10, &arena);
    scan_set_findings(&most, SEVERITY_LOW, findings, SCAN_MAX_FINDINGS - 10, &arena);
    make_findings(findings, SCAN_MAX_FINDINGS - 1000, 1000, &arena);
    scan_set_findings(&rest, SEVERITY_LOW, findings, 1000, &arena);
    make_findings(findings, SCAN_MAX_FINDINGS, 1, &arena);
    scan_set_findings(&one_more, SEVERITY_LOW, findings, 1, &arena);
    free(findings);

    struct scan whole = none;
    scan_merge(&whole, &most, &arena);
    scan_merge(&whole, &rest, &arena);
    assert_true(whole.listed);
    assert_int_equal(whole.finding_count, SCAN_MAX_FINDINGS);
    assert_int_equal(whole.counts[SEVERITY_HIGH], SCAN_MAX_FINDINGS - 10 + 1000);
    /* the same again adds nothing to the list, which stays as it is */
    const struct finding *list = whole.findings;
    scan_merge(&whole, &most, &arena);
    assert_ptr_equal(whole.findings, list);
    scan_merge(&whole, &one_more,
               &arena); /* too many: those that are worse, of which there is none */
    assert_true(whole.listed);
    assert_int_equal(whole.listed_from, SEVERITY_CRITICAL);
    assert_int_equal(whole.finding_count, 0);
    /* for good: what was left out is not there any more */
    scan_merge(&whole, &one_more, &arena);
    assert_int_equal(whole.listed_from, SEVERITY_CRITICAL);

    whole = none;
    scan_merge(&whole, &one_more, &arena);
    scan_merge(&whole, &most, &arena);
    assert_int_equal(whole.listed_from, SEVERITY_LOW);
    scan_merge(&whole, &rest, &arena);
    assert_int_equal(whole.listed_from, SEVERITY_CRITICAL);
    arena_done(&arena);
}

/* A child of which only the overview is known, as it has nothing that matters, takes nothing from
 * what is known of the others. */
static void test_without_list(void **state)
{
    (void)state;
    struct finding critical = {.id = SLICE("a"), .severity = SEVERITY_CRITICAL};
    static const struct {
        unsigned counts[SEVERITY_COUNT]; /* of the child without a list */
        int from;                        /* of the whole; SEVERITY_COUNT: not listed */
        size_t findings;
    } cases[] = {
        {{0}, SEVERITY_MEDIUM, 1},
        {{5, 5, 5}, SEVERITY_MEDIUM, 1},
        {{0, 0, 0, 5}, SEVERITY_HIGH, 1},
        {{0, 0, 0, 0, 5}, SEVERITY_CRITICAL, 1},
        {{0, 0, 0, 0, 0, 5}, SEVERITY_COUNT, 0},
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        for (int order = 0; order < 2; order++) {
            struct arena arena = {0};
            struct scan listed = {.status = SCAN_DONE}, other = listed, whole = {0};
            scan_set_findings(&listed, SEVERITY_MEDIUM, &critical, 1, &arena);
            memcpy(other.counts, cases[i].counts, sizeof(other.counts));
            scan_merge(&whole, order ? &listed : &other, &arena);
            scan_merge(&whole, order ? &other : &listed, &arena);
            const char *name = arena_format(&arena, "case %zu", i).base;
            check_number(name, "listed", whole.listed, cases[i].from < SEVERITY_COUNT);
            if (whole.listed)
                check_number(name, "listed from", whole.listed_from, cases[i].from);
            check_number(name, "findings", (long long)whole.finding_count,
                         (long long)cases[i].findings);
            check_number(name, "critical ones", whole.counts[SEVERITY_CRITICAL],
                         1 + cases[i].counts[SEVERITY_CRITICAL]);
            arena_done(&arena);
        }
}

/* Lists that begin at different severities have in common what is of the higher one and above. */
static void test_different_beginnings(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct finding findings[] = {{.id = SLICE("a"), .severity = SEVERITY_LOW},
                                 {.id = SLICE("b"), .severity = SEVERITY_HIGH}};
    struct scan low = {.status = SCAN_DONE}, high = low;
    scan_set_findings(&low, SEVERITY_LOW, findings, 2, &arena);
    scan_set_findings(&high, SEVERITY_HIGH, findings, 2, &arena);
    assert_int_equal(low.finding_count, 2);
    assert_int_equal(high.finding_count, 1);
    assert_int_equal(high.counts[SEVERITY_LOW], 1);
    for (int order = 0; order < 2; order++) {
        struct scan whole = {0};
        scan_merge(&whole, order ? &low : &high, &arena);
        scan_merge(&whole, order ? &high : &low, &arena);
        assert_true(whole.listed);
        assert_int_equal(whole.listed_from, SEVERITY_HIGH);
        assert_int_equal(whole.finding_count, 1);
        assert_int_equal(whole.counts[SEVERITY_LOW], 2);
    }
    arena_done(&arena);
}

static void test_large_counts(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct scan child = {.status = SCAN_DONE, .counts = {1, 0, 0, 0, 999999, UINT32_MAX}},
                whole = {0};
    for (int i = 0; i < 100; i++)
        scan_merge(&whole, &child, &arena);
    assert_int_equal(whole.counts[SEVERITY_NONE], 100);
    assert_int_equal(whole.counts[SEVERITY_HIGH], SCAN_MAX_COUNT);
    assert_int_equal(whole.counts[SEVERITY_CRITICAL], SCAN_MAX_COUNT);
    arena_done(&arena);
}

/* A copy shares nothing with what it was made of. */
static void test_copy(void **state)
{
    (void)state;
    struct arena arena = {0}, other = {0};
    unsigned seed = 5;
    for (int round = 0; round < 200; round++) {
        struct scan scan = random_child(&seed, SEVERITY_LOW, &arena), same = scan;
        struct scan copy = scan_copy(&scan, &other);
        check_equal(&scan, &copy);
        for (size_t i = 0; i < same.finding_count; i++)
            assert_ptr_not_equal(copy.findings[i].id.base, same.findings[i].id.base);
        arena_clear(&arena);
        check_list(&copy);
    }
    arena_done(&arena);
    arena_done(&other);
}

static void test_status_words(void **state)
{
    (void)state;
    static const struct {
        const char *word;
        enum scan_status status;
    } cases[] = {
        {"Success", SCAN_DONE},       {"Pending", SCAN_RUNNING}, {"Scheduled", SCAN_RUNNING},
        {"Running", SCAN_RUNNING},    {"Error", SCAN_FAILED},    {"Stopped", SCAN_FAILED},
        {"success", SCAN_UNKNOWN},    {"", SCAN_UNKNOWN},        {"Success ", SCAN_UNKNOWN},
        {"NotScanned", SCAN_UNKNOWN},
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        check_number(cases[i].word, "the status", scan_status_from_text(slice_from(cases[i].word)),
                     cases[i].status);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_statuses),        cmocka_unit_test(test_finished),
        cmocka_unit_test(test_random_children), cmocka_unit_test(test_long_lists),
        cmocka_unit_test(test_without_list),    cmocka_unit_test(test_different_beginnings),
        cmocka_unit_test(test_large_counts),    cmocka_unit_test(test_copy),
        cmocka_unit_test(test_status_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
