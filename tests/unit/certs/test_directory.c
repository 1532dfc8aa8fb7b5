/* certs_init_directory: the four files, refusing and replacing, and what failures leave behind; the
 * result as other programs (openssl, certtool) see it. */
#include "certs/authority.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { FILE_COUNT = 4, TEXT_SIZE = 4096 };
static const char *const names[] = {"ca.crt", "ca.key", "tls.crt", "tls.key"};
static const char host[] = "harbor-pilot.harbor-pilot.svc";

static char root[64];       /* a new directory for each test */
static char directory[128]; /* root/certs, not there yet */
static struct certs_request request;

static int setup(void **state)
{
    (void)state;
    static const char *const dns_names[] = {host};
    static const char *const ip_addresses[] = {"192.0.2.10"};
    request = (struct certs_request){.dns_names = dns_names,
                                     .dns_count = 1,
                                     .ip_addresses = ip_addresses,
                                     .ip_count = 1,
                                     .days = 10,
                                     .ca_days = 20,
                                     .now = time(NULL)};
    snprintf(root, sizeof(root), "/tmp/test_directory.XXXXXX");
    if (!mkdtemp(root))
        return -1;
    snprintf(directory, sizeof(directory), "%s/certs", root);
    return 0;
}

static const char *path_of(const char *name)
{
    static char path[512];
    snprintf(path, sizeof(path), "%s/%s", directory, name);
    return path;
}

/* Removes DIRECTORY, one level of directories in it included, and ROOT. */
static int teardown(void **state)
{
    (void)state;
    DIR *d = opendir(directory);
    for (struct dirent *e; d && (e = readdir(d));) {
        char inner[1024];
        snprintf(inner, sizeof(inner), "%s/x", path_of(e->d_name));
        unlink(inner);
        if (unlink(path_of(e->d_name)) < 0 && e->d_name[0] != '.')
            rmdir(path_of(e->d_name));
    }
    if (d)
        closedir(d);
    if (rmdir(directory) < 0)
        unlink(directory);
    return rmdir(root);
}

static size_t count_entries(void)
{
    size_t count = 0;
    DIR *d = opendir(directory);
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));)
        count += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
    closedir(d);
    return count;
}

static void put(const char *name, const char *content)
{
    FILE *f = fopen(path_of(name), "w");
    assert_non_null(f);
    fputs(content, f);
    fclose(f);
}

static struct slice get(const char *name, char text[static TEXT_SIZE])
{
    FILE *f = fopen(path_of(name), "r");
    assert_non_null(f);
    size_t len = fread(text, 1, TEXT_SIZE, f);
    fclose(f);
    return slice_of(text, len);
}

static void assert_content(const char *name, const char *expected)
{
    char text[TEXT_SIZE];
    assert_true(slice_equal(get(name, text), slice_from(expected)));
}

static void assert_complete(void)
{
    char certificate[TEXT_SIZE], key[TEXT_SIZE];
    time_t end;
    assert_int_equal(count_entries(), FILE_COUNT);
    for (size_t i = 0; i < FILE_COUNT; i++) {
        struct stat status;
        assert_int_equal(lstat(path_of(names[i]), &status), 0);
        assert_int_equal(status.st_mode, S_IFREG | 0600);
        assert_int_equal(status.st_nlink, 1);
    }
    assert_true(certs_check_pair(get("ca.crt", certificate), get("ca.key", key), NULL));
    assert_true(certs_expiry(get("ca.crt", certificate), &end, NULL));
    assert_int_equal(end, request.now + 20 * 86400);
    assert_true(certs_check_pair(get("tls.crt", certificate), get("tls.key", key), NULL));
    assert_true(certs_expiry(get("tls.crt", certificate), &end, NULL));
    assert_int_equal(end, request.now + 10 * 86400);
}

static void assert_made(bool force)
{
    struct error error = {""};
    if (!certs_init_directory(directory, &request, force, &error))
        fail_msg("%s", error.text);
    assert_complete();
}

/* Fails with this text, in which % stands for the directory. */
static void assert_refused(bool force, const char *expected)
{
    struct error error = {""};
    char text[1024];
    const char *at = strchr(expected, '%');
    assert_non_null(at);
    snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - expected), expected, directory, at + 1);
    assert_false(certs_init_directory(directory, &request, force, &error));
    assert_string_equal(error.text, text);
}

static void test_new_directory(void **state)
{
    (void)state;
    struct stat status;
    mode_t old = umask(0);
    assert_made(false);
    umask(old);
    assert_int_equal(stat(directory, &status), 0);
    assert_int_equal(status.st_mode, S_IFDIR | 0700);
}

static void test_existing_directory_keeps_its_mode(void **state)
{
    (void)state;
    struct stat status;
    assert_int_equal(mkdir(directory, 0755), 0);
    mode_t old = umask(0377); /* takes away what the files must have */
    assert_made(false);
    umask(old);
    assert_int_equal(stat(directory, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0755);
}

static void test_refuses_to_overwrite(void **state)
{
    (void)state;
    mkdir(directory, 0700);
    put("other", "stays");
    for (size_t i = 0; i < FILE_COUNT; i++) {
        char expected[256];
        snprintf(expected, sizeof(expected),
                 "`%%/%s` exists: expected none of the four files; replace them with --force",
                 names[i]);
        put(names[i], "mine");
        assert_refused(false, expected);
        assert_content(names[i], "mine");
        assert_int_equal(count_entries(), 2);
        unlink(path_of(names[i]));
    }
    assert_int_equal(symlink("nowhere", path_of("tls.key")), 0); /* a dangling link exists too */
    assert_refused(false, "`%/tls.key` exists: expected none of the four files; replace them with "
                          "--force");
}

static void test_force_replaces(void **state)
{
    (void)state;
    char old[TEXT_SIZE], new[TEXT_SIZE];
    assert_made(true); /* with nothing to replace */
    struct slice before = get("tls.key", old);
    assert_made(true);
    assert_false(slice_equal(before, get("tls.key", new)));

    unlink(path_of("ca.key"));
    chmod(path_of("ca.crt"), 0666);
    assert_made(true);
}

static void test_force_replaces_a_link_not_its_target(void **state)
{
    (void)state;
    mkdir(directory, 0700);
    put("target", "stays");
    assert_int_equal(symlink("target", path_of("ca.key")), 0);
    assert_true(certs_init_directory(directory, &request, true, NULL));
    assert_content("target", "stays");
    unlink(path_of("target"));
    assert_complete();
}

/* The last of the four cannot be replaced. */
static void test_what_cannot_be_replaced_keeps_all_four(void **state)
{
    (void)state;
    mkdir(directory, 0700);
    put("ca.crt", "old ca.crt");
    put("tls.key", "old tls.key");
    mkdir(path_of("tls.crt"), 0700);
    put("tls.crt/x", "");
    assert_refused(true, "cannot replace `%/tls.crt`: Is a directory");
    assert_int_equal(count_entries(), 3); /* no ca.key, no temporary files */
    assert_content("ca.crt", "old ca.crt");
    assert_content("tls.key", "old tls.key");
    assert_content("tls.crt/x", "");
}

static void test_write_failure(void **state)
{
    (void)state;
    struct rlimit old, low;
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &old);
    low = old;
    low.rlim_cur = 300; /* a key fits, a certificate does not */
    struct error error = {""}, error_existing = {""};
    setrlimit(RLIMIT_FSIZE, &low);
    bool missing = certs_init_directory(directory, &request, false, &error);
    bool gone = access(directory, F_OK) < 0;
    mkdir(directory, 0700);
    bool existing = certs_init_directory(directory, &request, true, &error_existing);
    setrlimit(RLIMIT_FSIZE, &old);
    signal(SIGXFSZ, handler);

    assert_false(missing);
    assert_true(gone); /* a directory that it made goes, another stays */
    assert_false(existing);
    assert_int_equal(count_entries(), 0);
    assert_non_null(strstr(error.text, ".new`: File too large"));
    assert_non_null(strstr(error_existing.text, "cannot write `"));
}

static void test_bad_directories(void **state)
{
    (void)state;
    struct error error;
    FILE *f = fopen(directory, "w"); /* a file where the directory should be */
    assert_non_null(f);
    fclose(f);
    assert_refused(false, "cannot open the directory `%`: Not a directory");
    unlink(directory);

    snprintf(directory, sizeof(directory), "%s/missing/certs", root);
    assert_refused(false, "cannot create the directory `%`: No such file or directory; expected "
                          "its parent to exist");
    assert_false(certs_init_directory("", &request, false, &error));
    assert_string_equal(error.text, "cannot create the directory ``: No such file or directory; "
                                    "expected its parent to exist");
}

static void test_unwritable_directory(void **state)
{
    (void)state;
    struct error error = {""};
    mkdir(directory, 0555);
    chmod(root, 0755);
    bool was_root = geteuid() == 0; /* whom modes do not stop */
    if (was_root)
        assert_int_equal(seteuid(65534), 0);
    bool made = certs_init_directory(directory, &request, false, &error);
    if (was_root)
        assert_int_equal(seteuid(0), 0);
    chmod(directory, 0755);
    assert_false(made);
    assert_non_null(strstr(error.text, "cannot create `"));
    assert_non_null(strstr(error.text, ".new`: Permission denied"));
    assert_int_equal(count_entries(), 0);
}

static void test_bad_request_touches_nothing(void **state)
{
    (void)state;
    struct error error = {""};
    request.ca_days = 1;
    assert_false(certs_init_directory(directory, &request, true, &error));
    assert_int_equal(access(directory, F_OK), -1);
}

static void test_one_at_a_time(void **state)
{
    (void)state;
    mkdir(directory, 0700);
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    assert_refused(false, "another process is writing `%`: try again when it is done");
    close(fd);
    assert_made(false);
}

/* Runs a program quietly; its exit status, or 127 where there is none. */
static int run(char *const *argv)
{
    pid_t pid = fork();
    if (pid == 0) {
        int null = open("/dev/null", O_RDWR);
        dup2(null, 0);
        dup2(null, 1);
        dup2(null, 2);
        execvp(argv[0], argv);
        _exit(127);
    }
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

#define RUN(...) run((char *const[]){__VA_ARGS__, NULL})

static void test_openssl_program(void **state)
{
    (void)state;
    char authority[256], leaf[256];
    assert_made(false);
    snprintf(authority, sizeof(authority), "%s/ca.crt", directory);
    snprintf(leaf, sizeof(leaf), "%s/tls.crt", directory);
    if (RUN("openssl", "version") == 127)
        skip();
#define VERIFY(name, value)                                                                        \
    RUN("openssl", "verify", "-x509_strict", "-purpose", "sslserver", "-CAfile", authority, name,  \
        value, leaf)
    assert_int_equal(VERIFY("-verify_hostname", "harbor-pilot.harbor-pilot.svc"), 0);
    assert_int_equal(VERIFY("-verify_ip", "192.0.2.10"), 0);
    assert_int_not_equal(VERIFY("-verify_hostname", "other.svc"), 0);
}

/* GnuTLS is what serves them. */
static void test_certtool_program(void **state)
{
    (void)state;
    char authority[256], leaf[256], key[256];
    assert_made(false);
    snprintf(authority, sizeof(authority), "%s/ca.crt", directory);
    snprintf(leaf, sizeof(leaf), "%s/tls.crt", directory);
    snprintf(key, sizeof(key), "%s/tls.key", directory);
    if (RUN("certtool", "--version") == 127)
        skip();
#define CERTTOOL(name)                                                                             \
    RUN("certtool", "--verify", "--load-ca-certificate", authority, "--infile", leaf,              \
        "--verify-hostname", name, "--verify-purpose", "1.3.6.1.5.5.7.3.1")
    assert_int_equal(CERTTOOL("harbor-pilot.harbor-pilot.svc"), 0);
    assert_int_not_equal(CERTTOOL("other.svc"), 0);
    assert_int_equal(RUN("certtool", "--key-info", "--infile", key), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_new_directory),
        TEST(test_existing_directory_keeps_its_mode),
        TEST(test_refuses_to_overwrite),
        TEST(test_force_replaces),
        TEST(test_force_replaces_a_link_not_its_target),
        TEST(test_what_cannot_be_replaced_keeps_all_four),
        TEST(test_write_failure),
        TEST(test_bad_directories),
        TEST(test_unwritable_directory),
        TEST(test_bad_request_touches_nothing),
        TEST(test_one_at_a_time),
        TEST(test_openssl_program),
        TEST(test_certtool_program),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
