"""The log: one JSON object a line, whatever a Pod is called; one line for a workload that repeats itself; and never in the
way of an answer."""

import json
import os
import re
import signal
import socket
import subprocess
import threading
import time

import pytest

from reviews import container, mutate, owner, pod, review
from serverlib import PATIENCE, small_pipe, wait

MAX_NAME, MAX_IMAGE = 256, 1024  # bytes: DECISION_MAX_NAME, DECISION_MAX_IMAGE
LINES_PER_SECOND = 5  # LOG_LIMIT_PER_SECOND

HOSTILE = {
    "newlines": "a\nb\r\nc\x0bd\x0ce\x85f",
    "quotes": "\"},\"event\":\"ready\",{'`\\\"\\",
    "control characters": "".join(map(chr, range(1, 32))) + "\x7f\x1b[31mred",
    "NUL": "a\0b",
    "line separators": "a\u2028b\u2029c",
    "other planes": "\u65e5\u672c\U0001f600\u202e",
    "JSON": '{"time":"x"}\n{"time":"y","level":"error","msg":"m","event":"ended"}',
    "format": "%s%n%99999d%%",
    "long": "x" * 20000,
}


def line_of(server, sent):
    uid = sent["request"]["uid"]
    return server.event("review", lambda line: line.get("uid") == uid)


def test_a_rewrite_is_logged_with_all_its_members(server):
    sent = review(pod(container("app", "nginx:1.27"), container("kept", "registry.example.com/a:1"), name="x-1",
                      owners=[owner("apps/v1", "ReplicaSet", "x-5d4f")], labels={"pod-template-hash": "5d4f"}))
    mutate(server, sent)
    line = line_of(server, sent)
    assert line.pop("durationSeconds") >= 0
    for key in ("time", "msg"):
        assert isinstance(line.pop(key), str)
    bucket = line["images"][0]["bucket"]
    assert bucket in range(100)
    common = {"policy": "plain", "source": "policies/20-waves.yaml:17", "bucket": bucket}
    assert line == {
        "level": "info", "event": "review", "uid": sent["request"]["uid"], "webhook": "mutate", "namespace": "plain",
        "pod": "x-1", "owner": "apps/ReplicaSet/x-5d4f", "mode": "enforce", "applied": True, "images": [
            {"field": "/spec/containers/0/image", "container": "app", "image": "nginx:1.27",
             "result": "harbor.example.com/docker-hub-proxy/library/nginx:1.27",
             "rewrite": {"outcome": "rewrite", "reason": "rewritten"}, **common},
            {"field": "/spec/containers/1/image", "container": "kept", "image": "registry.example.com/a:1",
             "result": "registry.example.com/a:1", "rewrite": {"outcome": "keep", "reason": "registry-not-proxied"},
             **common}]}


@pytest.mark.parametrize("path,namespace", [("/mutate/audit", "plain"), ("/mutate/enforce", "watched")])
def test_audit_is_logged_as_not_applied(server, path, namespace):
    sent = review(pod("nginx", namespace=namespace))
    mutate(server, sent, path)
    line = line_of(server, sent)
    assert (line["mode"], line["applied"]) == ("audit", False)
    assert line["images"][0]["rewrite"]["reason"] == "rewritten"


def test_generate_name_and_core_group(server):
    obj = pod("nginx", owners=[owner("v1", "ReplicationController", "rc")], metadata={"generateName": "rc-"})
    del obj["metadata"]["name"]
    sent = review(obj)
    mutate(server, sent)
    line = line_of(server, sent)
    assert (line["pod"], line["owner"]) == ("rc-", "core/ReplicationController/rc")


def test_the_exclusion_is_the_source(server):
    sent = review(pod("nginx", "busybox", namespace="monitoring"))
    mutate(server, sent)
    sources = {i["rewrite"]["reason"]: i["source"] for i in line_of(server, sent)["images"]}
    assert sources == {"rewritten": "policies/20-waves.yaml:1", "excluded": "policies/20-waves.yaml:7"}


def test_a_pod_that_is_kept_is_not_logged(server):
    kept = [review(pod("registry.example.com/x:1")), review(pod("nginx", namespace="elsewhere"))]
    for sent in kept:
        mutate(server, sent)
    mutate(server, last := review(pod("nginx")))
    line_of(server, last)
    uids = {line.get("uid") for line in server.events("review")}
    assert not uids & {sent["request"]["uid"] for sent in kept}


def test_a_review_that_failed_is_logged(server):
    """the man pages: a review in which an image was rewritten … or that failed."""
    before = len(server.events("review"))
    assert server.ask("/mutate/enforce", b'{"kind": "AdmissionReview"}').status == 400
    mutate(server, last := review(pod("nginx")))
    line_of(server, last)
    lines = server.events("review")[before:]
    assert len(lines) == 2, f"expected a line for the 400 and one for the Pod after it, got {lines}"


def test_many_that_failed_are_few_lines(start):
    """Anybody may send nonsense: 5 lines a second at most, each with what every review has; the others are counted."""
    server = start().await_ready()
    bad, began = 400, time.monotonic()
    with server.connect() as connection:
        for n in range(bad):
            body = b'{"kind": "AdmissionReview"}' if n % 2 else b"nonsense"
            path = "/validate/audit" if n % 4 > 1 else "/mutate/enforce"
            assert connection.ask(path, body).status == 400
        elapsed = time.monotonic() - began
        time.sleep(1.2)  # a second begins in which a line may be written again
        assert connection.ask("/mutate/enforce", b"[]").status == 400
        mutate(server, last := review(pod("nginx")))
    line_of(server, last)
    lines = server.events("review")[:-1]
    assert LINES_PER_SECOND < len(lines) <= LINES_PER_SECOND * (int(elapsed) + 2) + 1, (len(lines), elapsed)
    assert len(lines) + sum(line.get("repeated", 0) for line in lines) == bad + 1, "those without a line are counted"
    for line in lines:
        assert line.keys() - {"repeated"} == {"time", "level", "msg", "event", "uid", "webhook", "namespace", "pod", "mode",
                                              "applied", "images", "detail"}, line
        assert (line["level"], line["applied"], line["images"]) == ("warning", False, []), line
        assert (line["webhook"], line["mode"]) in (("mutate", "enforce"), ("validate", "audit")) and line["detail"], line
    assert server.metric("harborpilot_reviews_total", result="invalid") == bad + 1, "all are counted in the metrics"


AT_HARBOR = "harbor.example.com/docker-hub-proxy/library/nginx:1"


@pytest.mark.parametrize("path,mode", [("/mutate/enforce", "enforce"), ("/mutate/audit", "audit")])
def test_a_pod_that_only_gets_a_pull_secret_is_logged(server, path, mode):
    sent = review(pod(AT_HARBOR, namespace="apps"))
    _, after = mutate(server, sent, path)
    applied = mode == "enforce"
    assert after["spec"].get("imagePullSecrets") == ([{"name": "harbor-pull"}] if applied else None)
    line = line_of(server, sent)
    assert (line["pullSecret"], line["applied"], line["mode"]) == ("harbor-pull", applied, mode)
    assert "pull secret" in line["msg"] and ("audit" in line["msg"]) != applied
    assert [i["rewrite"]["reason"] for i in line["images"]] == ["already-in-harbor"]


def test_the_pull_secret_is_logged_with_a_rewrite_and_only_where_it_is_added(server):
    added = review(pod("nginx", namespace="apps"))
    there = review(pod("nginx", namespace="apps", imagePullSecrets=[{"name": "harbor-pull"}]))
    nothing = review(pod(AT_HARBOR, namespace="apps", imagePullSecrets=[{"name": "harbor-pull"}]))
    for sent in (added, there, nothing):
        mutate(server, sent)
    mutate(server, last := review(pod("nginx")))
    assert line_of(server, added)["pullSecret"] == "harbor-pull"
    assert "pullSecret" not in line_of(server, there) and "pullSecret" not in line_of(server, last)
    assert nothing["request"]["uid"] not in {line.get("uid") for line in server.events("review")}


def test_a_workload_that_repeats_itself_is_logged_once(server):
    def crash(image="nginx"):
        return review(pod(image, owners=[owner("apps/v1", "ReplicaSet", "crash-1")]))
    first = crash()
    for sent in (first, *(crash() for _ in range(200))):
        mutate(server, sent)
    mutate(server, other := crash("nginx:2"))
    line_of(server, first), line_of(server, other)
    of_it = [line for line in server.events("review") if line.get("owner") == "apps/ReplicaSet/crash-1"]
    assert [line["images"][0]["image"] for line in of_it] == ["nginx", "nginx:2"], "one line, and one for what is new"


@pytest.mark.skipif(not os.environ.get("SERVER_TESTS_SLOW"), reason="takes a minute: SERVER_TESTS_SLOW=1 runs it")
def test_a_minute_later_it_says_how_often(server):
    def crash():
        return review(pod("nginx", owners=[owner("apps/v1", "ReplicaSet", "crash-2")]))

    def of_it():
        return [line for line in server.events("review") if line.get("owner") == "apps/ReplicaSet/crash-2"]
    sent = 0

    def again():
        nonlocal sent
        mutate(server, crash())
        sent += 1
        return len(of_it()) == 2
    wait(again, "a second line after a minute", 100)
    assert "repeated" not in of_it()[0]
    assert sent - 4 <= of_it()[1]["repeated"] <= sent, "the lines in between are counted"


# --- hostile names ---

def cut(text, size):
    """As names and images are in a decision: a node takes none that is longer."""
    return text.encode()[:size].decode("utf-8", "replace")


@pytest.mark.parametrize("size", [MAX_NAME - 1, MAX_NAME, MAX_NAME + 1])
@pytest.mark.parametrize("letter", ["x", "\u00e9", "\u65e5", "\U0001f600"])
def test_names_are_cut_to_text(server, letter, size):
    """At so many bytes, wherever in a character that is."""
    text = letter * (size // len(letter.encode())) + "y" * (size % len(letter.encode()) + 5)
    sent = review(pod(container("a" + text, "nginx"), container(text, "registry.example.com/" + letter * MAX_IMAGE)))
    mutate(server, sent)
    for image, whole in zip(line_of(server, sent)["images"], ("a" + text, text)):
        name = image["container"]
        assert name.rstrip("\ufffd") == whole.encode()[:MAX_NAME].decode("utf-8", "ignore"), name
        assert len(image["image"].encode()) <= MAX_IMAGE + 9


@pytest.mark.parametrize("path", ["/mutate/enforce", "/mutate/audit"])
def test_audit_annotations_stay_small(server, path):
    """The API server writes them into its log, whatever the Pod holds."""
    sent = review(pod(container("kept", "registry.example.com/" + "x" * 20000), container("y" * 20000, "nginx"),
                      container("app", "nginx")))
    response, _ = mutate(server, sent, path)
    assert "image-app" in response["auditAnnotations"]
    for key, value in response["auditAnnotations"].items():
        assert len(key) <= 63 and len(value) < 4096, key


@pytest.mark.parametrize("what", HOSTILE)
def test_names_cannot_break_a_line(server, what):
    text = HOSTILE[what]
    obj = pod(container(text), container(image=text), name=text,
              owners=[owner("apps/v1", "ReplicaSet", text)], volumes=[
                  {"name": text, "image": {"reference": "quay.io/a/b:1", "pullPolicy": text}}], annotations={text: text})
    sent = review(obj, uid=f"{what} {text[:100]}", name=text)
    _, after = mutate(server, sent)
    assert after["spec"]["containers"][0]["image"].startswith("harbor.example.com/")
    line = line_of(server, sent)
    assert (line["pod"], line["owner"]) == (cut(text, MAX_NAME), cut(f"apps/ReplicaSet/{text}", MAX_NAME))
    assert [(i.get("container") or i["volume"]) for i in line["images"]] == [cut(text, MAX_NAME), "app", cut(text, MAX_NAME)]
    assert line["images"][1]["image"] == line["images"][1]["result"] == cut(text, MAX_IMAGE)
    raw = next(raw for raw in server.lines if json.loads(raw).get("uid") == sent["request"]["uid"])
    assert raw.endswith(b"}\n") and raw.startswith(b"{")
    assert not re.search("[\x00-\x1f\x7f\u2028\u2029]", raw[:-1].decode()), raw


def test_what_no_text_can_hold(server):
    """A lone surrogate is JSON, but no text: the line is UTF-8 all the same."""
    sent = review(pod(container("a\ud800b", "nginx")))
    mutate(server, sent)
    assert line_of(server, sent)["images"][0]["container"] == "a\ufffdb"


def test_hostile_names_in_text_form(start):
    server = start("policies", "--log-format", "text", ready=False)
    server.unchecked = True
    ready = server.line(b"adminBindAddress")
    server.use_ports_of(json.loads(ready[ready.index(b"{"):]))
    for text in HOSTILE.values():
        mutate(server, review(pod(container(text), name=text, owners=[owner("apps/v1", "ReplicaSet", text)])))
    server.line(b'"review"', count=len(HOSTILE))
    for line in server.lines:
        assert re.match(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (info|warning|error) +\S.*\{.*\}\n$", line), line
        assert not re.search("[\x00-\x1f\x7f\u2028\u2029]", line[:-1].decode()), line


@pytest.mark.parametrize("form", ["json", "text"])
def test_hostile_policies_cannot_break_a_line(places, start, form):
    path = places.new_directory() / "p.yaml"
    path.write_text('"bad\\nkey\\e[31m\\u2028": 1\nkind: "x\\ny\\0z"\n')
    server = start(path, "--log-format", form, ready=False)
    server.unchecked = form == "text"
    server.line(b"adminBindAddress")
    for line in server.lines:
        assert re.match(rb"\{.*\}\n$" if form == "json" else rb"\d{4}-\d\d-\d\dT[\d:.]+Z \w+ +\S.*\}\n$", line), line
        assert not re.search("[\x00-\x1f\x7f\u2028\u2029]", line[:-1].decode()), line


# --- limits ---

LINE_MOST = 64 * 1024  # of images


def test_a_line_of_many_images_is_cut(server):
    count = 1000
    sent = review(pod(*(container(f"c{i}", f"docker.io/team/{'long-' * 30}{i}:1") for i in range(count))))
    _, after = mutate(server, sent)
    assert len(after["spec"]["containers"]) == count
    line = line_of(server, sent)
    (text,) = [text for text in server.lines if sent["request"]["uid"].encode() in text]
    assert LINE_MOST < len(text) < LINE_MOST + 4096
    assert 0 < len(line["images"]) < count and line["imagesLeftOut"] == count - len(line["images"])
    assert [d["container"] for d in line["images"]] == [f"c{i}" for i in range(len(line["images"]))]


def test_more_images_than_any_pod_has(server):
    before = len(server.events("review"))
    sent = review(pod(*["nginx"] * 5000))
    _, after = mutate(server, sent)
    assert after == sent["request"]["object"], "left alone as a whole"
    server.event("review", count=before + 1)


def test_originals_that_would_not_fit_are_left_out_and_logged(server):
    sent = review(pod("nginx", annotations={"big": "x" * (256 * 1024 - 30)}))
    _, after = mutate(server, sent)
    assert after["spec"]["containers"][0]["image"].startswith("harbor.example.com/")
    assert after["metadata"]["annotations"].keys() == {"big"}
    assert "original-images" in line_of(server, sent)["detail"]


# --- nobody reads it ---

def many_reviews(server, count, size=1):
    """Thousands of Pods, each with a line of its own; all are answered."""
    failures = []

    def work():
        try:
            with server.connect() as connection:
                for _ in range(count // 4):
                    answer = connection.post("/mutate/enforce", review(pod(*["nginx"] * size)))
                    assert answer.status == 200, answer
        except BaseException as error:
            failures.append(error)
    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures


@pytest.fixture
def unread(places):
    """A server whose log nobody reads after its first lines; and the pipe's end to read it from."""
    reader, writer = small_pipe()
    server = places.start(stderr=writer)
    os.close(writer)
    text = b""
    while b'"ready"' not in text or not text.endswith(b"\n"):
        text += os.read(reader, 4096)
    server.use_ports_of(next(json.loads(line) for line in text.splitlines() if b'"ready"' in line))
    yield server, reader
    server.process.kill()
    server.process.wait()
    os.close(reader)


def test_a_log_that_nobody_reads_holds_no_answer_up(unread):
    server, reader = unread
    many_reviews(server, 4000, size=12)
    assert server.admin("/livez").status == 200
    assert server.metric("harborpilot_reviews_total") == 4000
    lines, dropped = [], 0
    watchdog = threading.Timer(PATIENCE, server.process.kill)
    watchdog.start()
    with os.fdopen(os.dup(reader), "rb") as stream:  # and when somebody reads again, the lines are whole
        for line in stream:
            lines.append(json.loads(line))
            if lines[-1].get("event") == "log-dropped":
                dropped += lines[-1]["lines"]
                server.signal(signal.SIGTERM)
            if lines[-1].get("event") == "ended":
                break
    watchdog.cancel()
    reviews = sum(line.get("event") == "review" for line in lines)
    assert dropped > 0, "no line says that some were dropped"
    assert reviews + dropped >= 4000, f"{reviews} lines are there and {dropped} are said to be dropped"
    assert all({"time", "level", "msg", "event"} <= line.keys() for line in lines), \
        [line for line in lines if not {"time", "level", "msg", "event"} <= line.keys()][:3]
    assert server.wait_end() == 0


def test_a_log_that_nobody_reads_does_not_keep_it_from_ending(unread):
    server, _ = unread
    many_reviews(server, 400, size=12)
    server.signal(signal.SIGTERM)
    assert server.wait_end() == 0


def test_a_reader_that_went_away(places):
    reader, writer = small_pipe()
    server = places.start(stderr=writer)
    os.close(writer)
    text = b""
    while b'"ready"' not in text or not text.endswith(b"\n"):
        text += os.read(reader, 4096)
    os.close(reader)
    server.use_ports_of(next(json.loads(line) for line in text.splitlines() if b'"ready"' in line))
    try:
        many_reviews(server, 200)
        server.signal(signal.SIGTERM)
        assert server.wait_end() == 0
    finally:
        server.process.kill()


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return listening.getsockname()[1]


@pytest.mark.parametrize("closed", [[2], [0, 1, 2]], ids=["stderr", "stdin, stdout and stderr"])
def test_closed_from_the_start(places, closed):
    """Descriptor 2 may become a socket or a file then: no log line may turn up in it."""
    port, admin_port = free_port(), free_port()
    server = places.start("policies", "--bind-address", f"127.0.0.1:{port}", "--admin-bind-address",
                          f"127.0.0.1:{admin_port}", stderr=subprocess.DEVNULL,
                          before_exec=lambda: [os.close(fd) for fd in closed])
    server.port, server.admin_port = port, admin_port

    def alive():
        assert server.process.poll() is None, f"it ended with {server.process.returncode}"
        try:
            return server.admin("/readyz").status == 200
        except ConnectionRefusedError:
            return False
    try:
        wait(alive, "it is ready")
        held = [server.connect() for _ in range(8)]
        for _ in range(3):
            for connection in held:
                sent = review(pod("nginx"))
                answer = connection.post("/mutate/enforce", sent)
                assert answer.json()["response"]["uid"] == sent["request"]["uid"]
        for connection in held:
            connection.close()
        for fd in closed:
            target = os.readlink(f"/proc/{server.process.pid}/fd/{fd}")
            assert target == "/dev/null", f"descriptor {fd} is {target}: log lines go there"
        server.signal(signal.SIGTERM)
        assert server.wait_end() == 0
    finally:
        server.process.kill()
