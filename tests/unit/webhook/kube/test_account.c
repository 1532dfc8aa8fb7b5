/* The service account of a Pod: where it leads, and its token, which is replaced while we run. */
#include "webhook/kube/way.h"

#include "tests/unit/check.h"
#include "webhook/common/files.h"

#include <stdlib.h>
#include <unistd.h>

static char directory[] = "/tmp/harbor-pilot-test.XXXXXX";

static char *path_of(const char *name)
{
    static char path[100];
    snprintf(path, sizeof(path), "%s/%s", directory, name);
    return path;
}

static void write_token(const char *text)
{
    struct error error = {""};
    if (!file_write(path_of("token"), slice_from(text), &error))
        CHECK_FAIL("cannot write: %s", error.text);
}

static int begin(void **state)
{
    (void)state;
    return mkdtemp(directory) ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    unlink(path_of("token"));
    return rmdir(directory);
}

static void test_where_it_leads(void **state)
{
    (void)state;
    static const struct {
        const char *host, *port, *url;
    } cases[] = {
        {"10.0.0.1", "6443", "https://10.0.0.1:6443"},
        {"fd00::1", "443", "https://[fd00::1]:443"},
        {"kubernetes.default", NULL, "https://kubernetes.default:443"},
        {"10.0.0.1", "", "https://10.0.0.1:443"},
    };
    write_token("t\n");
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct account account;
        struct error error = {""};
        assert_true(account_open(&account, directory, cases[i].host, cases[i].port, &error));
        assert_string_equal(account.url, cases[i].url);
        assert_string_equal(account.authorization, "Authorization: Bearer t");
        assert_string_equal(account.ca_file, path_of("ca.crt"));
        account_done(&account);
    }
}

static void test_a_token_is_read_again(void **state)
{
    (void)state;
    struct account account;
    struct error error = {""};
    write_token("first");
    assert_true(account_open(&account, directory, "h", "1", &error));
    long long read = account.read_ms;
    write_token("second\n");
    account_refresh(&account, read + ACCOUNT_TOKEN_MS - 1);
    assert_string_equal(account.authorization, "Authorization: Bearer first");
    account_refresh(&account, read + ACCOUNT_TOKEN_MS);
    assert_string_equal(account.authorization, "Authorization: Bearer second");
    /* what cannot be used leaves the former, and is looked at again a minute later */
    unlink(path_of("token"));
    account_refresh(&account, read + 2 * ACCOUNT_TOKEN_MS);
    assert_string_equal(account.authorization, "Authorization: Bearer second");
    write_token("third");
    account_refresh(&account, read + 3 * ACCOUNT_TOKEN_MS);
    assert_string_equal(account.authorization, "Authorization: Bearer third");
    account_done(&account);
}

static void test_what_is_no_token(void **state)
{
    (void)state;
    static const char *const tokens[] = {"", "\n", "a\nX-Header: b"};
    for (size_t i = 0; i < COUNT(tokens); i++) {
        struct account account;
        struct error error = {""};
        write_token(tokens[i]);
        if (account_open(&account, directory, "h", "1", &error))
            CHECK_FAIL("taken: %s", tokens[i]);
        assert_non_null(strstr(error.text, "expected a token on one line"));
    }
}

static void test_whether_we_are_in_a_pod(void **state)
{
    (void)state;
    write_token("t");
    unsetenv("KUBERNETES_SERVICE_HOST");
    assert_false(account_is_there(directory));
    setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1", 1);
    assert_true(account_is_there(directory));
    unlink(path_of("token"));
    assert_false(account_is_there(directory));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_where_it_leads),
        cmocka_unit_test(test_a_token_is_read_again),
        cmocka_unit_test(test_what_is_no_token),
        cmocka_unit_test(test_whether_we_are_in_a_pod),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
