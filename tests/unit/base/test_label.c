/* Labels: which of several of one name counts, and what Kubernetes takes for a name or a value. */
#include "base/label.h"

#include "tests/unit/check.h"

#define X60  "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
#define X240 X60 X60 X60 X60

static void test_find(void **state)
{
    (void)state;
    static const struct label labels[] = {
        {{"a", 1}, {"1", 1}}, {{"b", 1}, {NULL, 0}}, {{"a", 1}, {"2", 1}}, {{"ab", 2}, {"3", 1}}};
    check_text("a", "the last of it", *label_find(labels, 4, SLICE("a")), "2");
    check_text("a", "of the first two", *label_find(labels, 2, SLICE("a")), "1");
    check_text("b", "no value", *label_find(labels, 4, SLICE("b")), "");
    assert_null(label_find(labels, 4, SLICE("c")));
    assert_null(label_find(labels, 3, SLICE("ab")));
    assert_null(label_find(NULL, 0, SLICE("a")));
}

static void test_names_and_values(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool name, value, subdomain;
    } cases[] = {
        {"a", true, true, true},
        {"", false, true, false},
        {"A", true, true, false},
        {"0", true, true, true},
        {"a-b", true, true, true},
        {"a_b", true, true, false},
        {"a.b", true, true, true},
        {"a..b", true, true, false},
        {"a.-b", true, true, false},
        {"a-.b", true, true, false},
        {"-a", false, false, false},
        {"a-", false, false, false},
        {"_a", false, false, false},
        {"a.", false, false, false},
        {".a", false, false, false},
        {"a b", false, false, false},
        {"a,b", false, false, false},
        {"\303\274", false, false, false},
        {"example.com/a_B", true, false, false},
        {"Example.com/a", false, false, false},
        {"example.com/", false, false, false},
        {"/a", false, false, false},
        {"a/b/c", false, false, false},
        {"a./b", false, false, false},
        {X60 "abc", true, true, true},
        {X60 "abcd", false, false, true},
        {"a.b/" X60 "abc", true, false, false},
        {"a.b/" X60 "abcd", false, false, false},
        {X240 "abcdefghijklm/a", true, false, false},
        {X240 "abcdefghijklmn/a", false, false, false},
        {X240 "abcdefghijklm", false, false, true},
        {X240 "abcdefghijklmn", false, false, false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct slice text = copy_exact(slice_from(cases[i].text));
        check_number(cases[i].text, "a name", label_is_name(text), cases[i].name);
        check_number(cases[i].text, "a value", label_is_value(text), cases[i].value);
        check_number(cases[i].text, "a subdomain", label_is_subdomain(text), cases[i].subdomain);
        free((char *)text.base);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_find),
        cmocka_unit_test(test_names_and_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
