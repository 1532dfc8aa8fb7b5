"""Harbor's slowness and death never reach a Pod create: reviews are answered in time, whatever Harbor does, and what Harbor knows
counts again when it is back."""

import collections
import json
import os
import signal
import socket
import statistics
import threading
import time

import pytest

import fake_harbor as f
from asking import Asker, ask, in_parallel, make_review, reason_of, reasons, tags
from conftest import HOST
from reviews import apply, check_response, images, patch_of
from serverlib import Server, request, wait

FAULT_SECONDS = 2.5
DEADLINE = 2.0      # what the reviews give: `?timeout=2s`
WITH_FACTS, WITHOUT_FACTS = 16, 2  # clients
SLOW = bool(os.environ.get("HARBOR_PILOT_SLOW"))  # a sanitized program: its speed says nothing


def be_slow(fake):
    fake.answers.update(artifact=f.slow(5, f.PRESENT), manifest=f.slow(5, f.SERVED))


def be_slow_altogether(fake):
    fake.everything = lambda talk: f.slow(5, f.HEALTHY if talk.request.kind == "health" else f.PRESENT)(talk)


FAULTS = {
    "dead": f.FakeHarbor.refuse,
    "slow": be_slow,
    "slow altogether": be_slow_altogether,
    "hanging": f.FakeHarbor.hang_all,
    "flapping": lambda fake: fake.flap(0.5),
    "resetting": lambda fake: setattr(fake, "everything", f.reset),
}
IN_BACKGROUND = ("hanging", "slow")  # it takes the 10 s of a question until Harbor can be asked again


class Load:
    """Clients that ask one review after the other: each image is new where facts are needed."""

    def __init__(self, server):
        self.stop = threading.Event()
        self.seconds = collections.defaultdict(list)  # namespace → of each answer
        self.moved = collections.Counter()
        self.failures = []
        clients = ["servable-keep"] * WITH_FACTS + ["never-rewrite"] * WITHOUT_FACTS
        self.threads = [threading.Thread(target=self._run, args=(server, namespace), daemon=True)
                        for namespace in clients]
        for thread in self.threads:
            thread.start()

    def _run(self, server, namespace):
        try:
            with Asker(server) as asker:
                while not self.stop.is_set():
                    outcome = asker.ask(f"docker.io/team/load:{next(tags)}", namespace)
                    self.seconds[namespace].append(outcome.seconds)
                    self.moved[namespace] += outcome.moved
                    if not outcome.moved or namespace == "never-rewrite":
                        time.sleep(0.01)
        except BaseException as error:
            self.failures.append(error)

    def end(self):
        self.stop.set()
        for thread in self.threads:
            thread.join(30)
            assert not thread.is_alive(), "a review is not answered"
        if self.failures:
            raise self.failures[0]


@pytest.mark.parametrize("fault", [pytest.param(name, marks=pytest.mark.background) if name in IN_BACKGROUND else name
                                   for name in FAULTS])
def test_under_load(places, fake, start, fault):
    fake.answers["artifact"] = f.PRESENT
    server = start(places.write_policies(fake.url)).await_ready()
    assert ask(server, f"docker.io/team/load:{next(tags)}").moved
    load = Load(server)
    time.sleep(0.3)
    FAULTS[fault](fake)
    time.sleep(FAULT_SECONDS)
    load.end()
    slowest = max(load.seconds["servable-keep"])
    assert slowest < DEADLINE, f"a review took {slowest:.3f} s of its 2 s"
    assert load.moved["never-rewrite"] == len(load.seconds["never-rewrite"]), "a review that needs no fact was kept"
    if not SLOW:
        assert statistics.median(load.seconds["never-rewrite"]) < 0.1
        assert max(load.seconds["never-rewrite"]) < 0.9, "a review that needs no fact waited like one that does"
    # Harbor is back: so are the facts. What hung goes on hanging
    fake.answers.update(artifact=f.PRESENT, manifest=None)
    fake.everything = None
    if fault != "hanging":
        fake.well()
    wait(lambda: ask(server, f"docker.io/team/load:{next(tags)}").moved, "an image is moved again", 25)
    assert {reason for (_, _, reason) in reasons(server)} <= {"rewritten", "harbor-down", "not-known-in-time"}


@pytest.mark.background
def test_a_harbor_that_comes_back_is_asked_for_what_it_could_not_say(places, fake, start):
    """Projects and the account were not known at the start: a private project counts as one as soon as Harbor is back."""
    fake.refuse()
    server = start(places.write_policies(fake.url)).await_ready()
    assert reason_of(server, "docker.io/team/app:1") == "harbor-down"
    fake.answers["artifact"] = f.PRESENT
    fake.listen()
    server.event("harbor-health", lambda line: line["healthy"])
    wait(lambda: len(fake.asked("project")) >= 2 and fake.asked("account"), "projects and account are asked for", 5)
    wait(lambda: reason_of(server, f"private.example.com/team/app:{next(tags)}") == "pull-secret-missing",
         "the private project is known", 5)


@pytest.mark.background
def test_a_project_that_was_not_told_is_asked_for_again(places, fake, start):
    fake.answers["artifact"] = f.PRESENT
    fake.projects["private-proxy"] = f.times(1, f.play(1108), f.play(4024))
    server = start(places.write_policies(fake.url)).await_ready()
    assert reason_of(server, "private.example.com/team/app:0") == "not-known-in-time", "it may be private"
    wait(lambda: reason_of(server, f"private.example.com/team/app:{next(tags)}") == "pull-secret-missing",
         "the private project is known", 10)


@pytest.mark.background
def test_failures_in_a_row_open_the_breaker(places, fake, start):
    """Before the next health poll, which would say that all is well."""
    fake.answers["artifact"] = f.play(1109)
    server = start(places.write_policies(fake.url)).await_ready()
    found = [reason_of(server, f"docker.io/team/app:{i}") for i in range(7)]
    assert found == ["not-known-in-time"] * 4 + ["harbor-down"] * 3, "the fifth is decided again when Harbor is down"
    assert len(fake.asked("artifact")) == 5
    fake.answers["artifact"] = f.PRESENT
    wait(lambda: reason_of(server, f"docker.io/team/app:{next(tags)}") == "rewritten", "Harbor is up again", 10)


@pytest.mark.parametrize("answer, detail", [
    (f.play(1105), "its database is not healthy"),
    (f.html("502 Bad Gateway"), "HTTP 502 in place of a health report"),
])
def test_the_log_says_what_is_ill(places, fake, start, answer, detail):
    fake.answers["health"] = answer
    server = start(places.write_policies(fake.url)).await_ready()
    assert server.event("harbor-health")["detail"] == detail


def test_redis_away_is_said_and_counted(places, fake, start):
    """Harbor pulls without it, slowly."""
    fake.answers.update(artifact=f.PRESENT, health=f.play(1088))
    server = start(places.write_policies(fake.url)).await_ready()
    assert server.event("harbor-redis")["level"] == "warning"
    assert server.metric("harborpilot_harbor_redis_up", harbor="default") == 0
    assert server.metric("harborpilot_harbor_up", harbor="default") == 1
    assert reason_of(server, "docker.io/team/app:1") == "rewritten"
    fake.answers["health"] = f.HEALTHY
    wait(lambda: len(server.events("harbor-redis")) == 2, "redis is back", 10)
    assert server.metric("harborpilot_harbor_redis_up", harbor="default") == 1
    assert server.events("harbor-redis")[1]["level"] == "info"


@pytest.mark.background
def test_one_bad_poll_is_none(places, fake, start):
    server = start(places.write_policies(fake.url)).await_ready()
    fake.answers.update(artifact=f.PRESENT, health=f.times(1, f.play(1105), f.HEALTHY))
    polls = len(fake.asked("health"))
    wait(lambda: len(fake.asked("health")) >= polls + 2, "two polls more", 15)
    assert reason_of(server, "docker.io/team/app:1") == "rewritten"
    assert len(server.events("harbor-health")) == 1, "the state has not changed"


@pytest.mark.background
def test_health_is_polled_before_questions_that_wait(places, fake, start):
    """32 questions hang and 200 wait for their turn; health is asked for all the same, and says that Harbor is up."""
    fake.answers["artifact"] = f.hang
    server = start(places.write_policies(fake.url)).await_ready()

    def many(i):
        with server.connect() as connection:
            sent = make_review(f"docker.io/team/many:{i}", "servable-keep")
            sent["request"]["object"]["spec"]["containers"] = [
                {"name": f"c{j}", "image": f"docker.io/team/many-{i}-{j}:1"} for j in range(30)]
            return check_response(sent, connection.post("/mutate/enforce?timeout=12s", sent))
    reviews = threading.Thread(target=in_parallel, args=(many, 8))
    reviews.start()
    wait(lambda: server.metric("harborpilot_harbor_questions_pending") > 200, "they wait")
    polls = len(fake.asked("health"))
    wait(lambda: len(fake.asked("health")) > polls, "a poll", 7)
    assert server.metric("harborpilot_reviews_suspended") == 8, "they still wait"
    reviews.join(30)
    assert server.metric("harborpilot_harbor_questions_pending") <= 32, "for nobody nothing is asked"


@pytest.mark.background
def test_retry_after(places, fake, start):
    """429 of Harbor: nothing is asked until it may be. 429 of an upstream: only its project's HEADs are held back."""
    fake.images["docker-hub-proxy", "team/limited"] = {
        "manifest": f.play(f.recording(5088).and_header("Retry-After", "2"))}
    server = start(places.write_policies(fake.url)).await_ready()
    assert reason_of(server, "docker.io/team/limited:1") == "not-known-in-time"
    began, heads = time.monotonic(), len(fake.asked("manifest"))
    assert reason_of(server, "docker.io/team/other:1") == "not-known-in-time"
    assert len(fake.asked("artifact", "team/other")) == 1 and len(fake.asked("manifest")) == heads
    fake.images["docker-hub-proxy", "team/there"] = {"artifact": f.PRESENT}
    assert reason_of(server, "docker.io/team/there:1") == "rewritten"
    fake.images["docker-hub-proxy", "team/later"] = {"manifest": f.SERVED}
    wait(lambda: reason_of(server, f"docker.io/team/later:{next(tags)}") == "rewritten", "HEADs are sent again", 6)
    assert time.monotonic() - began > 1

    fake.answers["artifact"] = f.play(f.recording(5088).and_header("Retry-After", "2"))
    assert reason_of(server, "docker.io/team/harbor-limits:1") == "not-known-in-time"
    fake.answers["artifact"] = f.PRESENT
    asked = len(fake.asked("artifact"))
    assert reason_of(server, "docker.io/team/harbor-limits-too:1") == "not-known-in-time"
    assert len(fake.asked("artifact")) == asked
    wait(lambda: reason_of(server, f"docker.io/team/free:{next(tags)}") == "rewritten", "Harbor is asked again", 6)


@pytest.mark.background
@pytest.mark.parametrize("wait_for", ["315360000", "99999999999999999999999", "-5", "Wed, 21 Oct 2099 07:28:00 GMT"])
def test_retry_after_of_years_is_a_minute_at_most_and_health_goes_on(places, fake, start, wait_for):
    fake.answers["artifact"] = f.times(1, f.play(f.recording(5088).and_header("Retry-After", wait_for)), f.PRESENT)
    server = start(places.write_policies(fake.url)).await_ready()
    assert reason_of(server, "docker.io/team/limited:1") == "not-known-in-time"
    began, polls = time.monotonic(), len(fake.asked("health"))
    fake.answers["health"] = f.play(1105)
    wait(lambda: server.events("harbor-health")[-1]["healthy"] is False, "its illness is seen meanwhile", 15)
    assert time.monotonic() - began < 30 and len(fake.asked("health")) > polls
    fake.answers["health"] = f.HEALTHY
    wait(lambda: reason_of(server, f"docker.io/team/free:{next(tags)}") == "rewritten", "Harbor is asked again", 70)


def test_reviews_that_wait_take_a_quarter_of_the_connections_for_one_address(places, fake, start):
    """The others of that address are answered at once, with what is known; somebody else's may still wait."""
    fake.answers["artifact"] = f.hang
    server = start(places.write_policies(fake.url), "--max-connections", "256").await_ready()
    seconds = in_parallel(lambda i: ask(server, f"docker.io/team/app:{i}", timeout="6s").seconds, 80)
    assert sum(one > 3 for one in seconds) == 256 // 4
    assert server.metric("harborpilot_reviews_suspended") == 0


# --- one question for all ---

CONNECTIONS, PER_CONNECTION = 200, 5


def test_a_thousand_reviews_of_one_image_make_one_question(places, fake, start):
    """1,000 Pods of one image on 200 connections, pipelined: the first 200 wait at once."""
    gate = threading.Event()
    fake.answers["artifact"] = f.hold(gate, f.PRESENT)
    server = start(places.write_policies(fake.url)).await_ready()
    sent = [[make_review("docker.io/team/one:1", "servable-keep") for _ in range(PER_CONNECTION)]
            for _ in range(CONNECTIONS)]
    context = server.certificates.context()
    connections = in_parallel(lambda i: [server.connect(context) for _ in range(CONNECTIONS // 8)], 8)
    connections = [connection for some in connections for connection in some]
    for connection, reviews in zip(connections, sent):
        connection.send(b"".join(request("/mutate/enforce?timeout=30s", json.dumps(one).encode()) for one in reviews))
    wait(lambda: server.metric("harborpilot_reviews_suspended") == CONNECTIONS, f"{CONNECTIONS} reviews wait")
    assert len(fake.asked("artifact")) == 1
    gate.set()
    for connection, reviews in zip(connections, sent):
        for one in reviews:
            response = check_response(one, connection.read())
            changed = apply(one["request"]["object"], patch_of(response))
            assert images(changed)["c0"] == f"{HOST}/docker-hub-proxy/team/one:1"
        connection.close()
    assert len(fake.asked("artifact")) == 1 and not fake.asked("manifest")
    assert server.metric("harborpilot_harbor_questions_total", kind="artifact") == 1
    assert server.metric("harborpilot_reviews_suspended") == 0


def test_all_questions_of_a_pod_go_out_at_once(places, fake, start):
    fake.answers["artifact"] = f.slow(0.4, f.PRESENT)
    server = start(places.write_policies(fake.url)).await_ready()
    sent = make_review("docker.io/team/a:1", "servable-keep")
    sent["request"]["object"]["spec"]["containers"] = [
        {"name": f"c{i}", "image": f"docker.io/team/part-{i}:1"} for i in range(20)]
    began = time.monotonic()
    response = check_response(sent, server.post("/mutate/enforce?timeout=10s", sent))
    assert time.monotonic() - began < (4 if SLOW else 2), "20 questions of 0.4 s"
    changed = apply(sent["request"]["object"], patch_of(response))
    assert all(image.startswith(HOST) for image in images(changed).values())


def test_an_audit_review_that_joins_does_not_make_the_question_deeper(places, fake, start):
    gate = threading.Event()
    fake.answers.update(artifact=f.hold(gate, f.ABSENT), manifest=f.SERVED)
    server = start(places.write_policies(fake.url)).await_ready()
    rows = [("audit", False), ("audit", True), ("enforce", True)]
    answers = []
    thread = threading.Thread(target=lambda: answers.extend(in_parallel(
        lambda i: ask(server, "docker.io/team/joined:1", "servable-keep", *rows[i], timeout="30s"), len(rows))))
    thread.start()
    wait(lambda: server.metric("harborpilot_reviews_suspended") == len(rows), "they wait")
    gate.set()
    thread.join(30)
    assert len(answers) == len(rows)
    assert len(fake.asked("artifact")) == 1 and not fake.asked("manifest") and not fake.asked("token")


def test_dry_runs_and_audit_ask_the_database_only(places, fake, start):
    fake.answers.update(manifest=f.SERVED)
    server = start(places.write_policies(fake.url)).await_ready()
    with Asker(server) as asker:
        for namespace in ("never-keep", "cached-keep", "servable-keep", "servable-rewrite"):
            for mode, dry_run in (("audit", False), ("audit", True), ("enforce", True)):
                for answer in (f.ABSENT, f.PRESENT, f.play(1109)):
                    fake.answers["artifact"] = answer
                    asker.ask(f"docker.io/team/dry:{next(tags)}", namespace, mode, dry_run)
    assert len(fake.asked("artifact")) == 3 * 3 * 3
    assert not [r.target for r in fake.requests if r.target.startswith(("/v2", "/service"))]
    assert {r.method for r in fake.requests} == {"GET"}


def test_only_get_and_head_are_ever_sent(places, fake, start):
    fake.answers.update(manifest=f.to_token(f.SERVED))
    server = start(places.write_policies(fake.url)).await_ready()
    assert reason_of(server, "docker.io/team/all:1") == "rewritten"
    assert {r.method for r in fake.requests} == {"GET", "HEAD"}
    assert all(r.body == b"" for r in fake.requests)


# --- places that cannot be reached ---

def check_deadlines(server, count=6):
    def run(i):
        with Asker(server) as asker:
            for _ in range(3):
                outcome = asker.ask(f"docker.io/team/far:{next(tags)}", "servable-keep")
                assert outcome.seconds < DEADLINE and not outcome.moved
                outcome = asker.ask(f"docker.io/team/far:{next(tags)}", "never-rewrite")
                assert outcome.moved and outcome.seconds < 0.9
    in_parallel(run, count)


def test_without_authorities_it_says_so_at_the_start(places, fake, start):
    missing = places.new_directory() / "ca.crt"
    server = start(places.write_policies(fake.url, ca=missing))
    (said,) = server.events("harbor-authorities")
    assert said["level"] == "error" and f"no authority is known: `{missing}` is not there" in said["msg"]
    trusting = start(places.write_policies(fake.url))
    assert not trusting.events("harbor-authorities")


@pytest.mark.background
def test_an_address_that_nobody_has(places, start):
    server = start(places.write_policies("https://192.0.2.1"), ready=False)  # TEST-NET-1 (RFC 5737)
    server.use_ports_of(server.event("ready"))
    check_deadlines(server)


@pytest.mark.background
def test_a_name_server_that_drops_packets(places, start):
    """In a mount namespace of its own, so that only this process asks that name server."""
    if os.geteuid() != 0 or os.system("unshare -m true 2>/dev/null") != 0:
        pytest.skip("needs root and `unshare -m`, to give one process another /etc/resolv.conf")
    directory = places.new_directory()
    address = f"127.0.{1 + os.getpid() // 250 % 250}.{1 + os.getpid() % 250}"  # another for each run of the suite
    (directory / "resolv.conf").write_text(f"nameserver {address}\noptions timeout:10 attempts:3\n")
    program = directory / "harbor-pilot"
    program.write_text(f'#!/bin/sh\nexec unshare -m sh -c \'mount --bind {directory}/resolv.conf /etc/resolv.conf && '
                       f'exec "$0" "$@"\' {places.binary} "$@"\n')
    program.chmod(0o755)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as hole:
        hole.bind((address, 53))
        server = Server(program, places.certificates, places.write_policies("https://harbor.dropped.example.com"))
        try:
            hole.settimeout(5)
            assert b"dropped" in hole.recv(512), "the name server was asked"
            check_deadlines(server)
            assert reason_of(server, "docker.io/team/far:0") == "harbor-down"
        finally:
            began = time.monotonic()
            server.stop()
    assert time.monotonic() - began < 5, "the end waits for the name server"


# --- the end ---

@pytest.mark.parametrize("how", ["at once", "drained"])
def test_the_end_while_reviews_wait(places, fake, start, how):
    gate = threading.Event()
    fake.answers["artifact"] = f.hold(gate, f.PRESENT)
    server = start(places.write_policies(fake.url), "--shutdown-timeout", "20s").await_ready()
    answers = []

    def run():
        answers.extend(in_parallel(lambda i: ask(server, f"docker.io/team/end:{i % 7}", timeout="30s"), 24))
    thread = threading.Thread(target=run)
    thread.start()
    wait(lambda: server.metric("harborpilot_reviews_suspended") == 24, "all wait")
    server.signal(signal.SIGTERM)
    server.event("draining")
    if how == "at once":
        server.signal(signal.SIGINT)
    else:
        time.sleep(0.2)
        assert server.process.poll() is None and thread.is_alive()
        gate.set()
    thread.join(30)
    status = server.wait_end(15)
    gate.set()
    assert status == 0
    assert len(answers) == 24, "all are answered"
    assert {outcome.moved for outcome in answers} == {how == "drained"}


def test_the_end_while_questions_wait(places, fake, start):
    """Questions in flight with nobody waiting for them any more, and others whose turn has not come."""
    fake.answers["artifact"] = f.hang
    server = start.verified(places.write_policies(fake.url)).await_ready()
    in_parallel(lambda i: ask(server, f"docker.io/team/left:{i}", timeout="1s"), 48)
    waiting = threading.Thread(target=in_parallel, daemon=True, args=(
        lambda i: ask(server, f"docker.io/team/here:{i}", timeout="30s"), 20))
    waiting.start()
    wait(lambda: server.metric("harborpilot_harbor_questions_pending") >= 52, "they wait")
    server.signal(signal.SIGTERM)
    server.signal(signal.SIGINT)
    assert server.wait_end(10) == 0


def test_reviews_whose_caller_has_gone(places, fake, start):
    gate = threading.Event()
    fake.answers["artifact"] = f.hold(gate, f.PRESENT)
    server = start(places.write_policies(fake.url)).await_ready()
    for i in range(10):
        connection = server.connect()
        body = json.dumps(make_review(f"docker.io/team/gone:{i}", "servable-keep")).encode()
        connection.send(request("/mutate/enforce?timeout=30s", body))
        wait(lambda: server.metric("harborpilot_reviews_suspended") == i + 1, "it waits")
        connection.close()
    gate.set()
    wait(lambda: server.metric("harborpilot_reviews_suspended") == 0, "they are gone")
    server.await_no_connections()
    assert reason_of(server, "docker.io/team/gone:0") == "rewritten"


@pytest.mark.background
def test_a_reload_while_reviews_wait(places, fake, start):
    """The Harbor and its Policies are others when the answer comes: the review is decided by what is in force then."""
    gate = threading.Event()
    fake.answers["artifact"] = f.hold(gate, f.PRESENT)
    path = places.write_policies(fake.url)
    server = start(path).await_ready()
    answers = []
    thread = threading.Thread(target=lambda: answers.extend(
        in_parallel(lambda i: ask(server, f"docker.io/team/turn:{i}", timeout="4s"), 8)))
    thread.start()
    wait(lambda: server.metric("harborpilot_reviews_suspended") == 8, "they wait")
    text = path.read_text()
    path.write_text(text.replace(HOST, "other.example.com"))
    server.reload()
    gate.set()
    thread.join(30)
    assert len(answers) == 8 and all(o.image.startswith("other.example.com/") for o in answers)
    path.write_text(text.replace(fake.url, "https://127.0.0.1:1"))  # a Harbor that is another
    server.reload()
    wait(lambda: reason_of(server, f"docker.io/team/turn:{next(tags)}") == "harbor-down", "the other one is asked", 10)
    path.write_text(text)
    server.reload()
    wait(lambda: reason_of(server, f"docker.io/team/turn:{next(tags)}") == "rewritten", "the first one is asked", 10)


def test_a_place_that_becomes_free_is_used_at_once(places, fake, start):
    """40 questions, 32 at once: all 32 are answered in one moment, and nothing else happens that would wake the thread
    that asks."""
    gate = threading.Event()
    fake.answers["artifact"] = f.hold(gate, f.PRESENT)
    server = start(places.write_policies(fake.url)).await_ready()
    sent = make_review("docker.io/team/a:1", "servable-keep")
    sent["request"]["object"]["spec"]["containers"] = [
        {"name": f"c{i}", "image": f"docker.io/team/place-{i}:1"} for i in range(40)]
    thread = threading.Thread(target=server.post, args=("/mutate/enforce?timeout=30s", sent), daemon=True)
    thread.start()
    wait(lambda: len(fake.asked("artifact")) == 32, "32 questions")
    server.signal(signal.SIGSTOP)
    gate.set()
    time.sleep(0.3)  # all answers are in the sockets
    server.signal(signal.SIGCONT)
    began = time.monotonic()
    wait(lambda: len(fake.asked("artifact")) == 40, "the other 8")
    took = fake.asked("artifact")[-1].began - began
    thread.join(30)
    assert took < 0.6, f"the next question went out {took:.3f} s after a place was free"


@pytest.mark.parametrize("kind", ["artifact", "manifest"])
def test_an_endless_answer_is_cut_short(places, fake, start, kind):
    """1 MiB of body or 64 KiB of headers, not what comes within 10 s."""
    fake.answers[kind] = f.endless
    server = start(places.write_policies(fake.url)).await_ready()
    outcome = ask(server, "docker.io/team/endless:1", timeout="9s")
    assert not outcome.moved and outcome.seconds < 5
    assert server.metric("harborpilot_harbor_questions_total", kind=kind, answer="failed") == 1


def test_a_kept_connection_that_harbor_has_closed(places, fake, start):
    fake.answers["artifact"] = f.PRESENT
    server = start(places.write_policies(fake.url)).await_ready()
    for i in range(5):
        assert reason_of(server, f"docker.io/team/kept:{i}") == "rewritten"
        fake.hang_up()


@pytest.mark.parametrize("timeout, least, most", [("1s", 0.4, 0.9), ("2s", 0.9, 1.9), ("3s", 1.9, 2.9), ("0s", 0, 0.5),
                                                  ("nonsense", 0.9, 1.9), ("-5s", 0, 1.9), ("", 0.9, 1.9)])
def test_the_deadline_is_the_callers(places, fake, start, timeout, least, most):
    fake.answers["artifact"] = f.hang
    server = start(places.write_policies(fake.url)).await_ready()
    outcome = ask(server, "docker.io/team/deadline:1", timeout=timeout)
    assert not outcome.moved and least <= outcome.seconds < (most + 1 if SLOW else most)
    assert server.metric("harborpilot_reviews_late_total") == 1


@pytest.mark.background
def test_facts_live_for_a_while(places, fake, start):
    """What is there stays known; what is not there is asked for again after 15 s, what failed after 2 s."""
    server = start(places.write_policies(fake.url)).await_ready()
    fake.images.update({("docker-hub-proxy", "team/yes"): {"artifact": f.PRESENT},
                        ("docker-hub-proxy", "team/fails"): {"artifact": f.times(1, f.play(1109), f.PRESENT)}})
    began = time.monotonic()
    with Asker(server) as asker:
        def moved(name):
            return asker.ask(f"docker.io/team/{name}:1").moved

        assert moved("yes") and not moved("no") and not moved("fails")
        fake.answers["artifact"] = f.PRESENT  # it has been pulled meanwhile
        assert not moved("fails") and len(fake.asked("artifact", "team/fails")) == 1
        wait(lambda: moved("fails"), "what failed is asked for again", 5)
        assert not moved("no") and len(fake.asked("artifact", "team/no")) == 1
        wait(lambda: moved("no"), "what was not there is asked for again", 30)
        assert 14 < time.monotonic() - began < 25
        assert moved("yes") and len(fake.asked("artifact", "team/yes")) == 1


@pytest.mark.background
def test_one_image_that_always_fails_is_not_a_harbor_that_is_down(places, fake, start):
    """A crash-looping Pod asks about it again and again; everybody else's facts are cached."""
    fake.images["docker-hub-proxy", "team/bad"] = {"artifact": f.play(1109)}
    server = start(places.write_policies(fake.url)).await_ready()
    with Asker(server) as asker:
        for _ in range(7):
            assert not asker.ask("docker.io/team/bad:1").moved
            time.sleep(2.2)
    assert len(fake.asked("artifact", "team/bad")) == 7
    assert len(server.events("harbor-health")) == 1, "it was up all the time"


@pytest.mark.background
def test_heads_are_sent_at_a_limited_rate(places, fake, start):
    """Each makes Harbor ask its upstream twice: 50 at once, then 50 a second."""
    fake.answers["manifest"] = f.SERVED
    server = start(places.write_policies(fake.url)).await_ready()

    def many(i):
        with server.connect() as connection:
            sent = make_review("docker.io/team/rate:1", "servable-keep")
            sent["request"]["object"]["spec"]["containers"] = [
                {"name": f"c{j}", "image": f"docker.io/team/rate-{i}-{j}:1"} for j in range(30)]
            response = check_response(sent, connection.post("/mutate/enforce?timeout=20s", sent))
            changed = apply(sent["request"]["object"], patch_of(response))
            assert all(image.startswith(HOST) for image in images(changed).values())
    before = time.monotonic()
    in_parallel(many, 5)
    began = sorted(request.began for request in fake.asked("manifest"))
    assert len(began) == 150
    for i, one in enumerate(began):
        # none before its turn, however late a busy machine lets it come
        assert one >= before + (i + 1 - 50) / 50 - 0.02, (i, one - before)
