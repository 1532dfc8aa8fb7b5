"""Bodies: how large, in which form, how slow, and how many at once."""

import json
import threading
import time

import pytest

from reviews import apply, check_response, mutate, patch_of, pod, review
from serverlib import Closed, request, wait

LIMIT = 7 * 1024 * 1024
BODY_SECONDS = 10
SMALL = 256 * 1024  # HOLD_SMALL: served also past the budget
LATE = 2  # seconds, of an answer that takes milliseconds; an API server waits as long


def padded(sent, size):
    """A valid review of exactly so many bytes: white space is allowed between its parts."""
    text = json.dumps(sent).encode()
    return text[:-1] + b" " * (size - len(text)) + b"}"


def chunked(body, size):
    parts = [body[i:i + size] for i in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


def test_7_mib_exactly_is_answered(server):
    sent = review(pod("nginx"))
    check_response(sent, server.ask("/mutate/enforce", padded(sent, LIMIT)))


@pytest.mark.parametrize("size", [LIMIT + 1, 2 * LIMIT])
def test_more_than_7_mib_is_413(server, size):
    with server.connect() as connection:
        answer = connection.ask("/mutate/enforce", padded(review(pod("nginx")), size))
        assert answer.status == 413, answer.body
        assert "7 MiB" in answer.text and "expected" in answer.text, answer.text
        assert answer.header("Retry-After") is None, "the same body would be as large the next time"
    assert server.post("/mutate/enforce", review(pod("nginx"))).status == 200


def test_more_than_7_mib_in_chunks_is_413(server):
    with server.connect() as connection:
        connection.send(request("/mutate/enforce", length=False, headers={"Transfer-Encoding": "chunked"}) +
                        chunked(padded(review(pod("nginx")), LIMIT + 1), 60000))
        assert connection.read().status == 413


def test_a_large_pod_is_rewritten(server):
    """3 MiB, as large as the API server takes."""
    sent = review(pod("nginx:1.27", metadata={"managedFields": ["x" * 1000] * 3000}))
    _, after = mutate(server, sent)
    assert after["spec"]["containers"][0]["image"] == "harbor.example.com/docker-hub-proxy/library/nginx:1.27"


@pytest.mark.parametrize("size", [1, 7, 1000, 10 ** 6])
def test_chunked(server, size):
    sent = review(pod("nginx"))
    with server.connect() as connection:
        for _ in range(2):
            connection.send(request("/mutate/enforce", length=False, headers={"Transfer-Encoding": "chunked"}) +
                            chunked(json.dumps(sent).encode(), size))
            check_response(sent, connection.read())


def test_expect_100_continue(server):
    sent = review(pod("nginx"))
    body = json.dumps(sent).encode()
    with server.connect() as connection:
        connection.send(request("/mutate/enforce", length=False,
                                headers={"Content-Length": len(body), "Expect": "100-continue"}))
        assert connection.read().status == 100
        connection.send(body)
        check_response(sent, connection.read())


def test_connections_closed_in_the_middle_are_forgotten(start):
    server = start().await_ready()
    half = request("/mutate/enforce", json.dumps(review(pod("nginx"))).encode())
    for cut in (10, 100, len(half) - 200, len(half) - 1):
        for _ in range(5):
            with server.connect() as connection:
                connection.send(half[:cut])
    with server.connect() as connection:  # TCP's end without TLS' own
        connection.send(half[:-1])
        connection.sock.detach()
    assert server.post("/mutate/enforce", review(pod("nginx"))).status == 200
    reviews = server.metric("harborpilot_reviews_total")
    assert reviews == 1, f"a part of a body is no review, but {reviews} were counted"


def test_past_the_budget_is_503_with_retry_after(start):
    """The memory for all bodies is limited: many that are nearly there, and the next large one is asked to come again. A
    small one, as nearly all reviews are, is served all the same."""
    server = start().await_ready()
    held = []

    def hold(size):
        held.append(server.connect())
        held[-1].send(request("/mutate/enforce", padded(review(pod("nginx")), size))[:-1])

    def ask(size):
        return server.ask("/mutate/enforce", padded(review(pod("nginx")), size))
    try:
        for _ in range(20):
            served = ask(SMALL + 1).status == 200
            assert served or len(held) >= 4, "the budget is for more than a handful of large bodies"
            hold(LIMIT)
        for _ in range(40):  # and what is left is used up by such as are asked for below
            hold(300 * 1024)
        answer = wait(lambda: (refused := ask(300 * 1024)).status == 503 and refused,
                      "a body past the budget is refused")
        assert answer.header("Retry-After") == "1"
        assert "expected" in answer.text, answer.text
        for _ in range(20):
            sent = review(pod("nginx"))
            check_response(sent, server.post("/mutate/enforce", sent))
            check_response(sent, server.ask("/mutate/enforce", padded(sent, SMALL)))
            assert ask(300 * 1024).status == 503, "the budget is still exhausted"
    finally:
        for connection in held:
            connection.close()
    wait(lambda: ask(300 * 1024).status == 200, "large bodies are taken again")


# --- Pods that are made to take long ---

def of_size(size, item):
    """{key: value} of so many bytes of JSON."""
    found, total = {}, 0
    while total < size:
        key, value = item(len(found))
        found[key] = value
        total += len(json.dumps(key)) + len(json.dumps(value)) + 4
    return found


def same_hash(number):
    """Keys that the usual hashes of strings (times 33, times 31) do not tell apart."""
    return "".join(("Ez", "FY")[number >> bit & 1] for bit in range(20)), "x"


OURS = "harbor-pilot.io/original-images"
ANNOTATIONS = {
    "ordinary": of_size(3 << 20, lambda n: (f"example.com/key-{n}", "some value")),
    "short keys": of_size(3 << 20, lambda n: (f"{n:x}", "")),
    "of one hash": of_size(3 << 20, same_hash),
    "of one beginning": of_size(3 << 20, lambda n: ("a" * 200 + str(n), "")),
    "like our own": of_size(3 << 20, lambda n: (f"{OURS}{n}", "{}")),
    "NUL and surrogates": of_size(3 << 20, lambda n: (f"\0\ud800{n}", "\ud83d\ude00")),
    "one long key": {"k" * (3 << 20): "x"},
    "one long value": {"k": "\n" * (3 << 19)},
    "our own, with many names": {OURS: json.dumps(of_size(3 << 20, lambda n: (f"c{n}", "nginx")))},
    "our own, of one hash": {OURS: json.dumps(of_size(3 << 20, same_hash))},
    "our own, no JSON": {OURS: "{" * (3 << 20)},
}


def answered_in_time(server, sent, body=None):
    body = body or json.dumps(sent).encode()
    with server.connect() as connection:
        began = time.monotonic()
        response = check_response(sent, connection.ask("/mutate/enforce", body))
        took = time.monotonic() - began
    assert took < LATE, f"{len(body)} bytes took {took:.2f} s"
    return response


@pytest.mark.parametrize("what", ANNOTATIONS)
def test_3_mib_of_annotations_are_answered_in_time(server, what):
    sent = review(pod("nginx", annotations=ANNOTATIONS[what]))
    assert len(json.dumps(sent)) >= 3 << 20
    response = answered_in_time(server, sent)
    assert apply(sent["request"]["object"], patch_of(response))["spec"]["containers"][0]["image"].startswith("harbor.")


def test_one_key_again_and_again_is_answered_in_time(server):
    """JSON lets a name stand several times; json.dumps does not make it."""
    sent = review(pod("nginx", annotations={"a": "b"}))
    body = json.dumps(sent).encode()
    again = b'"annotations": {' + b", ".join([b'"a": "b"'] * 300000) + b"}"
    assert body.count(b'"annotations": {"a": "b"}') == 1
    answered_in_time(server, sent, body.replace(b'"annotations": {"a": "b"}', again))


@pytest.mark.parametrize("key", ["containers", "initContainers", "ephemeralContainers", "volumes", "imagePullSecrets"])
@pytest.mark.parametrize("where", ["before", "after"])
def test_4096_containers_and_empty_lists_are_answered_in_time(server, key, where):
    """A list that stands again and again, empty, beside the most images that are looked at."""
    sent = review(pod(*["nginx"] * 4096, namespace="apps"))
    body = json.dumps(sent).encode()
    empty = b", ".join([b'"%s": []' % key.encode()] * 200000)
    mark = b'"spec": {"containers": ['
    assert body.count(mark) == 1
    if where == "before":
        body = body.replace(mark, b'"spec": {' + empty + b', "containers": [')
    else:
        end = body.index(b"]}", body.index(mark)) + 1
        body = body[:end] + b", " + empty + body[end:]
    assert json.loads(body)["request"]["uid"] == sent["request"]["uid"] and len(body) < LIMIT
    answered_in_time(server, sent, body)
    assert server.post_again("/mutate/enforce", review(pod("nginx"))).status == 200


# --- slow senders ---

def cut_of(connection, trickle):
    """Waits until the server closes the connection; sends `trickle` now and then."""
    for byte in trickle:
        try:
            connection.send(byte)
            connection.sock.settimeout(0.5)
            answer = connection.read()
        except TimeoutError:
            continue
        except (Closed, BrokenPipeError, ConnectionResetError, OSError):
            return
        assert 400 <= answer.status < 500, f"an unfinished body was answered with {answer.status}"
        return
    raise AssertionError(f"not cut after {len(trickle) / 2} s; SERVER_BODY_SECONDS is {BODY_SECONDS}")


def slow_senders(places):
    """Each sends in its own way a body that does not come to its end; others are served meanwhile."""
    server = places.start().await_ready()
    body = json.dumps(review(pod("nginx"))).encode()
    head = request("/mutate/enforce", length=False, headers={"Content-Length": 10 ** 6})
    in_chunks = request("/mutate/enforce", length=False, headers={"Transfer-Encoding": "chunked"})
    ways = {
        "one byte now and then": (head, [b" "] * 60),
        "silence after half of it": (head + body[:100], [b""] * 60),
        "silence after the headers": (head, [b""] * 60),
        "one chunk now and then": (in_chunks, [b"1\r\n \r\n"] * 60),
        "where the answer is clear already": (head.replace(b"/mutate", b"/nowhere"), [b" "] * 60),
    }
    results, ended = {}, threading.Event()

    def run(way, first, trickle):
        try:
            with server.connect() as connection:
                connection.send(first)
                cut_of(connection, trickle)
        except BaseException as error:
            results[way] = error
    threads = [threading.Thread(target=run, args=(way, *parts)) for way, parts in ways.items()]
    for thread in threads:
        thread.start()
    served = 0
    while any(thread.is_alive() for thread in threads):
        assert server.post("/mutate/enforce", review(pod("nginx"))).status == 200
        served += 1
        ended.wait(0.2)
    server.stop()
    assert served > 10
    assert not results, "\n".join(f"{way}: {error}" for way, error in results.items())


@pytest.mark.background(run=slow_senders)
def test_slow_senders_are_cut_and_disturb_nobody(background):
    background.result()


def slow_headers(places):
    """The same where not even the headers come to their end."""
    server = places.start().await_ready()
    with server.connect() as connection:
        connection.send(b"POST /mutate/enforce HTTP/1.1\r\n")
        try:
            cut_of(connection, [b"X"] * 60)
        finally:
            server.stop()


@pytest.mark.background(run=slow_headers)
def test_slow_headers_are_cut(background):
    background.result()


def quiet_connections(places):
    """What an API server keeps in its pool: connections that were used, and such as were opened for a call that another
    one then took. Closing one that is about to be used loses a call (docs/contracts.md#connections), so neither may go before 90 s; here
    it is long enough to tell them from slow senders."""
    server = places.start().await_ready()
    with server.connect() as used, server.connect() as fresh:
        assert used.post("/mutate/enforce", review(pod("nginx"))).status == 200
        time.sleep(BODY_SECONDS + 10)
        for what, connection in (("used", used), ("fresh", fresh)):
            try:
                assert connection.post("/mutate/enforce", review(pod("nginx"))).status == 200
            except (Closed, OSError) as error:
                raise AssertionError(f"a {what} connection was closed within {BODY_SECONDS + 10} s: {error}") from error
    server.stop()


@pytest.mark.background(run=quiet_connections)
def test_quiet_connections_are_kept(background):
    background.result()
