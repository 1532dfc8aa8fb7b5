/* References with the first and the last character of each class of distribution/reference v0.6.0
 * (regexp.go), and with the one before and the one after it. */
#include "image/reference.h"

#include "tests/unit/check.h"

static void check_parsed(const char *format, char c, bool accepted, const char *domain)
{
    struct arena arena = {0};
    struct reference r;
    char *text = arena_allocate(&arena, 300);
    size_t len = 0;
    for (const char *at = format; *at; at++)
        text[len++] = *at == '_' ? c : *at;
    struct slice exact = copy_exact(slice_of(text, len));
    bool parsed = reference_parse(exact, &arena, &r);
    check_number(text, "accepted", parsed, accepted);
    if (parsed && domain)
        check_text(text, "the domain", r.domain, domain);
    free((char *)exact.base);
    arena_done(&arena);
}

static bool is_in(char c, const char *characters)
{
    return c && strchr(characters, c);
}

#define LOWER  "abcdefghijklmnopqrstuvwxyz"
#define UPPER  "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"
#define ZEROS  "000000000000000000000000000000000000000000000000000000000000000"

/* One place of a reference, and every byte in it. */
static void test_every_byte_in_every_place(void **state)
{
    (void)state;
    static const struct {
        const char *format; /* `_`: the byte */
        const char *accepted;
    } cases[] = {
        {"x:_", LOWER UPPER DIGITS "_"}, /* TagRegexp: [\w][\w.-]{0,127} */
        {"x:a_", LOWER UPPER DIGITS "_.-"},
        {"a.b/_", LOWER DIGITS},  /* path components: alphanumerics, then separators */
        {"a.b/x_", LOWER DIGITS}, /* no empty tag, no empty digest */
        {"a.b/x_y", LOWER DIGITS "_.-/:"},
        {"a.b/x__y", LOWER DIGITS "_-"}, /* two of it: never "..", "//" or "::" */
        {"_a.b/x", LOWER UPPER DIGITS},  /* domain components */
        {"a_a.b/x", LOWER UPPER DIGITS "_-./"},
        {"a.b_/x", LOWER UPPER DIGITS},
        {"a.b:_/x", DIGITS},                      /* ports */
        {"[::_]/x", DIGITS "abcdefABCDEF:"},      /* ipv6address: [a-fA-F0-9:]+ */
        {"x@sha256:" ZEROS "_", DIGITS "abcdef"}, /* go-digest: lower-case hexadecimal */
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        for (int byte = 0; byte < 256; byte++) {
            char c = (char)byte;
            check_parsed(cases[i].format, c, is_in(c, cases[i].accepted), NULL);
        }
}

/* normalize.go splitDockerDomain: one upper-case letter makes the first component a domain. */
static void test_one_upper_case_letter_makes_a_domain(void **state)
{
    (void)state;
    for (const char *c = UPPER; *c; c++) {
        char domain[] = {*c, '\0'}, second[] = {'a', *c, '\0'};
        check_parsed("_/x", *c, true, domain);
        check_parsed("a_/x", *c, true, second);
        check_parsed("_", *c, false, NULL);
    }
    for (const char *c = LOWER DIGITS; *c; c++)
        check_parsed("_/x", *c, true, "docker.io");
}

/* regexp.go: the brackets of an IPv6 address hold one character or more. */
static void test_shortest_addresses(void **state)
{
    (void)state;
    check_parsed("[1]:5000/x", 'x', true, "[1]:5000");
    check_parsed("[:]/x", 'x', true, "[:]");
    check_parsed("[]:5000/x", 'x', false, NULL);
    assert_true(reference_is_domain(SLICE("[1]:5000")));
    assert_false(reference_is_domain(SLICE("[]:5000")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_byte_in_every_place),
        cmocka_unit_test(test_one_upper_case_letter_makes_a_domain),
        cmocka_unit_test(test_shortest_addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
