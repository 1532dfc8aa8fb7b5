/* Headers wait for their body and leave with it, also through a socket that takes a part only. */
#include "webhook/serve/gather.h"

#include "tests/unit/check.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { HEADERS = 200, ALERT = 24 };

struct ends {
    struct gather gather;
    int peer;
};

/* With SOCK_SEQPACKET what one system call sends is read as one piece. */
static struct ends connect_ends(int type)
{
    int sockets[2];
    assert_int_equal(socketpair(AF_UNIX, type | SOCK_NONBLOCK, 0, sockets), 0);
    return (struct ends){{.socket = sockets[0]}, sockets[1]};
}

static void close_ends(struct ends *e)
{
    close(e->gather.socket);
    close(e->peer);
}

static ssize_t push(struct ends *e, char fill, size_t size)
{
    static char record[64 * 1024];
    memset(record, fill, size);
    return gather_push(&e->gather, &(struct iovec){record, size}, 1);
}

static void expect_read(struct ends *e, const char *what, size_t size, char first, char last)
{
    static char got[128 * 1024];
    ssize_t n = read(e->peer, got, sizeof(got));
    check_number(what, "the size of what came at once", n, (long long)size);
    if (n > 0 && (got[0] != first || got[n - 1] != last))
        CHECK_FAIL("%s: it is %c…%c", what, got[0], got[n - 1]);
}

static void expect_nothing(struct ends *e, const char *what)
{
    char c;
    check_number(what, "what came", recv(e->peer, &c, 1, MSG_PEEK), -1);
}

static void test_together(void **state)
{
    (void)state;
    struct ends e = connect_ends(SOCK_SEQPACKET);
    for (int i = 0; i < 3; i++) {
        gather_answer(&e.gather);
        assert_int_equal(push(&e, 'h', HEADERS), HEADERS);
        expect_nothing(&e, "headers alone");
        assert_int_equal(push(&e, 'b', 3000), 3000);
        expect_read(&e, "both", HEADERS + 3000, 'h', 'b');
        gather_end(&e.gather);
        expect_nothing(&e, "after the answer");
    }
    close_ends(&e);
}

static void test_what_does_not_wait(void **state)
{
    (void)state;
    struct ends e = connect_ends(SOCK_SEQPACKET);
    assert_int_equal(push(&e, 'a', HEADERS), HEADERS);
    expect_read(&e, "nothing was said", HEADERS, 'a', 'a');

    gather_answer(&e.gather);
    assert_int_equal(push(&e, 'k', ALERT), ALERT);
    expect_read(&e, "too short for headers", ALERT, 'k', 'k');
    assert_int_equal(push(&e, 'h', HEADERS), HEADERS);
    expect_nothing(&e, "headers after it");
    assert_int_equal(push(&e, 'b', 10), 10);
    expect_read(&e, "a small body", HEADERS + 10, 'h', 'b');

    gather_answer(&e.gather);
    assert_int_equal(push(&e, 'h', GATHER_MOST + 1), GATHER_MOST + 1);
    expect_read(&e, "headers that have no room", GATHER_MOST + 1, 'h', 'h');
    assert_int_equal(push(&e, 'b', 100), 100);
    expect_read(&e, "their body", 100, 'b', 'b');
    close_ends(&e);
}

static void test_many_records(void **state)
{
    (void)state;
    struct ends e = connect_ends(SOCK_SEQPACKET);
    struct iovec records[20];
    for (size_t i = 0; i < COUNT(records); i++)
        records[i] = (struct iovec){(char *)"0123456789", 10};
    gather_answer(&e.gather);
    assert_int_equal(gather_push(&e.gather, records, COUNT(records)), 200);
    expect_nothing(&e, "headers of many records");
    assert_int_equal(gather_push(&e.gather, records, COUNT(records)), 200);
    expect_read(&e, "the headers by themselves", 200, '0', '9');
    expect_read(&e, "then all others", 200, '0', '9');
    gather_answer(&e.gather);
    assert_int_equal(gather_push(&e.gather, records, COUNT(records)), 200);
    assert_int_equal(gather_push(&e.gather, records, 5), 50);
    expect_read(&e, "both", 250, '0', '9');
    close_ends(&e);
}

/* Fills the socket, with what the reader then takes off. */
static size_t fill(struct ends *e)
{
    size_t all = 0;
    char c[100] = {0};
    for (ssize_t n; (n = write(e->gather.socket, c, sizeof(c))) > 0;)
        all += (size_t)n;
    return all;
}

static void test_full(void **state)
{
    (void)state;
    struct ends e = connect_ends(SOCK_SEQPACKET);
    size_t all = fill(&e);
    gather_answer(&e.gather);
    assert_int_equal(push(&e, 'h', HEADERS), HEADERS);
    for (int i = 0; i < 3; i++) {
        errno = 0;
        assert_int_equal(push(&e, 'b', 500), -1);
        assert_int_equal(errno, EAGAIN);
    }
    char c[100];
    for (; all; all -= sizeof(c))
        assert_int_equal(read(e.peer, c, sizeof(c)), sizeof(c));
    expect_nothing(&e, "no headers without their body");
    assert_int_equal(push(&e, 'b', 500), 500);
    expect_read(&e, "both", HEADERS + 500, 'h', 'b');
    close_ends(&e);
}

static void test_gone(void **state)
{
    (void)state;
    struct ends e = connect_ends(SOCK_SEQPACKET);
    gather_answer(&e.gather);
    assert_int_equal(push(&e, 'h', HEADERS), HEADERS);
    close(e.peer);
    assert_int_equal(push(&e, 'b', 500), -1); /* and no SIGPIPE */
    assert_int_equal(errno, EPIPE);
    gather_end(&e.gather);
    close(e.gather.socket);
}

static void test_end(void **state)
{
    (void)state;
    struct ends e = connect_ends(SOCK_SEQPACKET);
    gather_answer(&e.gather);
    gather_end(&e.gather);
    assert_int_equal(push(&e, 'h', HEADERS), HEADERS);
    expect_read(&e, "the answer had ended", HEADERS, 'h', 'h');

    gather_answer(&e.gather);
    assert_int_equal(push(&e, 'h', HEADERS), HEADERS);
    gather_end(&e.gather);
    expect_read(&e, "headers without a body", HEADERS, 'h', 'h');

    size_t all = fill(&e);
    gather_answer(&e.gather);
    assert_int_equal(push(&e, 'h', HEADERS), HEADERS);
    gather_end(&e.gather);
    char c[100];
    for (; all; all -= sizeof(c))
        assert_int_equal(read(e.peer, c, sizeof(c)), sizeof(c));
    check_number("what could not leave", "it ends the connection, read", read(e.peer, c, 1), 0);
    close_ends(&e);
}

/* --- a kernel that takes a few bytes at a time --- */

static struct {
    bool slow; /* sendmsg() is this one's, not the kernel's */
    char got[4 * 1024 * 1024];
    size_t len;
} kernel;

/* Instead of the C library's. */
ssize_t sendmsg(int socket, const struct msghdr *message, int flags)
{
    if (!kernel.slow)
        return syscall(SYS_sendmsg, socket, message, flags);
    size_t most = (size_t)rand() % 600, taken = 0;
    for (size_t i = 0; i < message->msg_iovlen; i++) {
        size_t left = most - taken, size = message->msg_iov[i].iov_len;
        size_t part = size < left ? size : left;
        memcpy(kernel.got + kernel.len, message->msg_iov[i].iov_base, part);
        kernel.len += part;
        taken += part;
    }
    errno = EAGAIN;
    return taken ? (ssize_t)taken : -1;
}

/* As GnuTLS: the same bytes again after EAGAIN, the rest after a part. */
static void send_record(struct gather *g, const char *record, size_t size)
{
    for (size_t sent = 0; sent < size;) {
        ssize_t n = gather_push(g, &(struct iovec){(char *)record + sent, size - sent}, 1);
        if (n < 0 && errno != EAGAIN)
            CHECK_FAIL("it is not a full socket: %d", errno);
        if (n == 0)
            CHECK_FAIL("nothing was taken at byte %zu, and no error said so", sent);
        sent += n > 0 ? (size_t)n : 0;
    }
}

static void test_slow_kernel(void **state)
{
    (void)state;
    static char expected[sizeof(kernel.got)];
    struct gather g = {.socket = -1};
    size_t at = 0;
    srand(1);
    for (size_t i = 0; i < sizeof(expected); i++)
        expected[i] = (char)rand();
    kernel.slow = true;
    for (int i = 0; i < 1000; i++) {
        size_t headers = 64 + (size_t)(rand() % 600), body = 1 + (size_t)(rand() % 3000);
        gather_answer(&g);
        send_record(&g, expected + at, headers);
        send_record(&g, expected + at + headers, body);
        gather_end(&g);
        at += headers + body;
        if (kernel.len != at || memcmp(kernel.got, expected, at) != 0)
            CHECK_FAIL("answer %d differs; %zu bytes of %zu", i, kernel.len, at);
    }
    kernel.slow = false;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_together),     cmocka_unit_test(test_what_does_not_wait),
        cmocka_unit_test(test_many_records), cmocka_unit_test(test_full),
        cmocka_unit_test(test_gone),         cmocka_unit_test(test_end),
        cmocka_unit_test(test_slow_kernel),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
