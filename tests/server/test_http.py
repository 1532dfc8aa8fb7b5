"""What HTTP gets: routes, methods, types, refusals and their texts, connections that are kept."""

import json
import ssl
import threading

import pytest

from reviews import check_response, pod, review
from serverlib import Closed, request

PATHS = ("/mutate/enforce", "/mutate/audit", "/validate/enforce", "/validate/audit")
TEXT = "text/plain; charset=utf-8"


def body():
    return json.dumps(review(pod("nginx"))).encode()


def check_refusal(answer, status, *words):
    """A refusal is plain text that says what was expected; only 503 asks for another try (docs/contracts.md#retry-after)."""
    assert answer.status == status, (answer.status, answer.body)
    assert answer.header("Content-Type") == TEXT
    assert answer.header("Retry-After") == ("1" if status == 503 else None), answer.headers
    assert "expected" in answer.text, answer.text
    assert answer.text.endswith("\n") and answer.text.count("\n") == 1, answer.text
    for word in words:
        assert word in answer.text, f"{word!r} is not in {answer.text!r}"


# --- answers ---

@pytest.mark.parametrize("path", PATHS)
def test_headers_of_an_answer_exactly(server, path):
    answer = server.ask(path, body())
    assert (answer.status, answer.reason) == (200, "OK")
    assert answer.headers_without_date() == {"Content-Type": "application/json",
                                             "Content-Length": str(len(answer.body))}


def test_a_request_as_the_api_server_sends_it(server):
    """docs/contracts.md#request, header for header; the optional ones as well."""
    sent = body()
    with server.connect() as connection:
        connection.send(b"POST /mutate/enforce?timeout=2s HTTP/1.1\r\nHost: harbor-pilot.harbor-pilot.svc:443\r\n"
                        b"User-Agent: kube-apiserver-admission\r\nContent-Length: %d\r\nAccept: application/json, */*\r\n"
                        b"Content-Type: application/json\r\nTraceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
                        b"\r\nAuthorization: Bearer x\r\nAccept-Encoding: gzip\r\n\r\n%s" % (len(sent), sent))
        answer = connection.read()
    assert answer.headers_without_date() == {"Content-Type": "application/json", "Content-Length": str(len(answer.body))}
    check_response(json.loads(sent), answer)


@pytest.mark.parametrize("query", ["?timeout=2s", "?timeout=30s", "?timeout=", "?timeout=never", "?timeout=-5s",
                                   "?timeout=99999999999999999999h", "?", "?a=b&c=%00"])
def test_any_query_is_answered(server, query):
    assert server.ask("/mutate/enforce" + query, body()).status == 200


@pytest.mark.parametrize("content_type", ["application/json", "application/json; charset=utf-8", "Application/JSON",
                                          "application/json;charset=UTF-8", "application/vnd.kubernetes+json"])
def test_json_types_are_taken(server, content_type):
    assert server.ask("/mutate/enforce", body(), content_type=content_type).status == 200


# --- refusals ---

@pytest.mark.parametrize("content_type", ["text/plain", "application/jsonp", "application/xml", "json", "",
                                          "application/vnd.kubernetes.protobuf", "multipart/form-data; boundary=x"])
def test_other_types_are_415(server, content_type):
    check_refusal(server.ask("/mutate/enforce", body(), content_type=content_type), 415, "Content-Type",
                  "application/json")


def test_no_type_is_415(server):
    check_refusal(server.ask("/mutate/enforce", body(), content_type=None), 415, "missing", "application/json")


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "OPTIONS", "BREW"])
def test_other_methods_are_405(server, method):
    answer = server.ask("/mutate/enforce", method=method)
    check_refusal(answer, 405, "POST")
    assert answer.header("Allow") == "POST"


def test_head_is_405_without_a_body(server):
    with server.connect() as connection:
        answer = connection.ask("/mutate/enforce", method="HEAD")
        assert (answer.status, answer.header("Allow")) == (405, "POST")
        assert connection.post("/mutate/enforce", review(pod("nginx"))).status == 200


@pytest.mark.parametrize("path", ["/", "/mutate", "/mutate/", "/mutate/enforce/", "/mutate/audit/", "//mutate/enforce",
                                  "/mutate//enforce", "/Mutate/Enforce", "/mutate/disabled", "/mutate/enforce/x",
                                  "/validate", "/metrics", "/livez", "/readyz", "/mutate/../mutate/enforce",
                                  "/mutate/enforce;x", "/mutate/enforcex", "*"])
def test_other_paths_are_404(server, path):
    answer = server.ask(path, body())
    check_refusal(answer, 404, "/mutate/enforce", "/validate/audit")
    assert answer.header("Location") is None, "never a redirect: Go's client would follow it (docs/contracts.md#request)"


@pytest.mark.parametrize("path", ["/mutate%2Fenforce", "/mutate%2fenforce", "%2Fmutate/enforce", "/mutate/enforce%00",
                                  "/mutate/enforce%00/x", "/mutate/enforce%20", "/mutate/enforce%3Ftimeout=1s",
                                  "/mutate/enforce%2F"])
def test_an_encoded_path_is_not_the_decoded_one(server, path):
    assert server.ask(path, body()).status == 404


def test_a_path_in_a_refusal_is_quoted_short_and_clean(server):
    answer = server.ask("/%0d%0aSet-Cookie:%20x=y%1b[31m" + "a" * 3000, body())
    check_refusal(answer, 404)
    assert len(answer.body) < 500 and all(32 <= byte < 127 for byte in answer.body[:-1]), answer.body
    assert answer.header("Set-Cookie") is None


def edited(**members):
    sent = review(pod("nginx"))
    sent.update(members)
    return json.dumps({k: v for k, v in sent.items() if v is not None}).encode()


def without_uid(*value):
    sent = review(pod("nginx"))
    del sent["request"]["uid"]
    if value:
        sent["request"]["uid"] = value[0]
    return json.dumps(sent).encode()


NO_REVIEWS = {
    "empty": (b"", "JSON"),
    "white space": (b" \n\t ", "JSON"),
    "half": (body()[:-1], "JSON"),
    "more after it": (body() + b"{}", "JSON"),
    "a NUL after it": (body() + b"\0", "JSON"),
    "a comma too many": (body()[:-1] + b",}", "JSON"),
    "single quotes": (b"{'kind':'AdmissionReview'}", "JSON"),
    "a comment": (b"/* hello */" + body(), "JSON"),
    "NaN": (body().replace(b'"dryRun": false', b'"dryRun": NaN'), "JSON"),
    "a leading zero": (body().replace(b'"dryRun": false', b'"dryRun": 01'), "JSON"),
    "a raw newline in a text": (body().replace(b'"admin"', b'"ad\nmin"'), "JSON"),
    "a bad escape": (body().replace(b'"admin"', rb'"\x41dmin"'), "JSON"),
    "bad UTF-8": (body().replace(b'"admin"', b'"\xff"'), "JSON"),
    "overlong UTF-8": (body().replace(b'"admin"', b'"\xc0\xaf"'), "JSON"),
    "a surrogate in UTF-8": (body().replace(b'"admin"', b'"\xed\xa0\x80"'), "JSON"),
    "UTF-8 cut off": (body().replace(b'"admin"', b'"\xe6\x97"'), "JSON"),
    "BOM": (b"\xef\xbb\xbf" + body(), "JSON"),
    "UTF-16": (body().decode().encode("utf-16-le"), "JSON"),
    "nested without end": (b'{"request":' + b"[" * 100000 + b"]" * 100000 + b"}", "JSON"),
    "never closed": (b"[" * 1000000, "JSON"),
    "a list": (b"[]", "JSON"),
    "null": (b"null", "JSON"),
    "a text": (b'"AdmissionReview"', "JSON"),
    "gzip": (b"\x1f\x8b\x08" + b"\0" * 20, "JSON"),
    "an empty object": (b"{}", "AdmissionReview"),
    "another kind": (edited(kind="Pod"), "Pod"),
    "a kind that is no text": (edited(kind=5), "AdmissionReview"),
    "no kind": (edited(kind=None), "AdmissionReview"),
    "no version": (edited(apiVersion=None), "admission.k8s.io/v1"),
    "v2": (edited(apiVersion="admission.k8s.io/v2"), "admission.k8s.io/v2"),
    "v1beta2": (edited(apiVersion="admission.k8s.io/v1beta2"), "admission.k8s.io/v1beta2"),
    "another group": (edited(apiVersion="admissionregistration.k8s.io/v1"), "admission.k8s.io/v1"),
    "no request": (edited(request=None), "request"),
    "a request that is a list": (edited(request=[]), "request"),
    "an answer": (b'{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview",'
                  b'"response":{"uid":"x","allowed":true}}', "request"),
    "no uid": (without_uid(), "uid"),
    "an empty uid": (without_uid(""), "uid"),
    "a uid that is a number": (without_uid(5), "uid"),
}


@pytest.mark.parametrize("what", NO_REVIEWS)
@pytest.mark.parametrize("path", PATHS[:1] + PATHS[2:3])
def test_what_is_no_admission_review_is_400(server, path, what):
    sent, word = NO_REVIEWS[what]
    with server.connect() as connection:
        check_refusal(connection.ask(path, sent), 400, word)
        assert connection.post(path, review(pod("nginx"))).status == 200, "the connection goes on"


def test_what_the_sender_wrote_cannot_break_the_refusal(server):
    answer = server.ask("/mutate/enforce", edited(kind="a\r\nX: y\x1b[31m" + "b" * 5000))
    check_refusal(answer, 400)
    assert len(answer.body) < 1000 and all(byte >= 32 and byte != 127 for byte in answer.body[:-1]), answer.body


# --- connections ---

def test_many_requests_on_one_connection(server):
    with server.connect() as connection:
        for _ in range(500):
            sent = review(pod("nginx"))
            check_response(sent, connection.post("/mutate/enforce", sent))


def test_refusals_keep_the_connection(server):
    with server.connect() as connection:
        for path, how, status in (("/none", {}, 404), ("/mutate/enforce", {"method": "PUT"}, 405),
                                  ("/mutate/enforce", {"content_type": "text/plain"}, 415),
                                  ("/mutate/enforce", {}, 400)):
            assert connection.ask(path, b"{}", **how).status == status
        assert connection.post("/mutate/enforce", review(pod("nginx"))).status == 200


def test_pipelined_requests_are_answered_in_their_order(server):
    sent = [review(pod("nginx")) for _ in range(20)]
    with server.connect() as connection:
        connection.send(b"".join(request("/mutate/enforce", json.dumps(one).encode()) for one in sent))
        for one in sent:
            check_response(one, connection.read())


def test_a_request_in_single_bytes(server):
    sent = review(pod("nginx"))
    with server.connect() as connection:
        for byte in request("/mutate/enforce", json.dumps(sent).encode()):
            connection.send(bytes([byte]))
        check_response(sent, connection.read())


def test_64_connections_at_once(server):
    failures, together = [], threading.Barrier(64)

    def work():
        try:
            with server.connect() as connection:
                together.wait(60)  # all are open now
                for _ in range(5):
                    sent = review(pod("nginx"))
                    check_response(sent, connection.post("/mutate/enforce", sent))
        except BaseException as error:
            failures.append(error)
            together.abort()
    threads = [threading.Thread(target=work) for _ in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures[:3]


def test_http_1_0_and_connection_close(server):
    with server.connect() as connection:
        connection.send(request("/mutate/enforce", body(), headers={"Connection": "close"}))
        answer = connection.read()
        assert (answer.status, answer.header("Connection")) == (200, "close")
        assert connection.is_closed()
    with server.connect() as connection:
        connection.send(request("/mutate/enforce", body()).replace(b"HTTP/1.1", b"HTTP/1.0", 1))
        assert connection.read().status == 200
        assert connection.is_closed()


NONSENSE = {
    "word": b"HELLO\r\n\r\n", "zeros": b"\0" * 5000, "ones": b"\xff\xfe" * 5000, "no path": b"GET\r\n\r\n",
    "negative length": b"POST /mutate/enforce HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    "length past 64 bits": b"POST /mutate/enforce HTTP/1.1\r\nHost: x\r\nContent-Length: 18446744073709551616\r\n\r\n",
    "no chunk": b"POST /mutate/enforce HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "long header": b"POST /mutate/enforce HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 100000 + b"\r\n\r\n",
    "many headers": b"POST /mutate/enforce HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 20000 + b"\r\n",
    "long path": b"POST /" + b"y" * 100000 + b" HTTP/1.1\r\n\r\n",
    "HTTP/9.9": b"POST /mutate/enforce HTTP/9.9\r\nHost: x\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
}


@pytest.mark.parametrize("what", NONSENSE)
def test_nonsense_in_tls_harms_nobody(server, what):
    with server.connect() as connection:
        connection.sock.settimeout(1)
        try:
            connection.send(NONSENSE[what])
            status = connection.read().status
        except (Closed, ssl.SSLError, ConnectionError, TimeoutError):
            pass  # cut, or it waits for more
        else:
            assert 400 <= status < 600, f"{what} is answered with {status}"
    assert server.post("/mutate/enforce", review(pod("nginx"))).status == 200


def test_a_client_that_never_reads_disturbs_nobody(server):
    sent = request("/mutate/enforce", body()) * 50
    with server.connect() as deaf:
        deaf.sock.settimeout(1)
        try:
            for _ in range(2000):  # until the server takes no more of it
                deaf.send(sent)
        except (TimeoutError, ssl.SSLError, ConnectionError):
            pass
        for _ in range(20):
            assert server.post("/mutate/enforce", review(pod("nginx"))).status == 200
