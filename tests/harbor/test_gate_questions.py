"""What the gate asks of Harbor, request by request, and what becomes of an image when an answer is none."""

import json
import threading

import pytest

import fake_harbor as f
from asking import in_parallel
from gates import Setting, counted, judge, send
from reviews import container, pod, review
from serverlib import wait

SECRET = "Bearer of-the-tests"
PROJECT = "docker-hub-proxy"
SETTINGS = [Setting("defaults"), Setting("deny", unscanned="deny", unavailable="deny"),
            Setting("warn", unavailable="warn", unscanned="allow")]
ONLY_COUNTS = "only the number of findings is known"
CLEAN, CRITICAL, UNSCANNED = (6028, 6064), (6034, 6059), (6004, 6015)


def tell(fake, name, artifact, report=6015, **more):
    """The image whose repository is this."""
    play = {kind: f.play(answer) if isinstance(answer, int) else answer
            for kind, answer in {"artifact": artifact, "vulnerabilities": report, **more}.items()}
    fake.images[PROJECT, f"team/{name}"] = play
    return f"docker.io/team/{name}:1"


@pytest.fixture
def server(places, fake, start):
    return make_server(places, fake, start)


def make_server(places, fake, start):
    fake.answers["scan"] = f.SCAN_ACCEPTED
    secret = places.new_directory() / "secret"
    secret.write_text(SECRET)
    policies = places.write_policies(fake.url, more="".join(s.policy() for s in SETTINGS))
    return start(policies, "--events-secret-file", secret).await_ready()


def asked(fake, name):
    """What was asked about a repository."""
    return [(r.method, r.kind) for r in fake.asked(repository=f"team/{name}")]


def notify(server, name, number=8023):
    """As a Harbor did, but about this repository."""
    sent = f.RECORDINGS.glob(f"{number}-*.http").__next__().read_bytes()
    event = json.loads(sent.split(b"\n=== RESPONSE ===\n")[0].split(b"\n\n", 1)[1])
    event["event_data"]["repository"]["repo_full_name"] = f"{PROJECT}/team/{name}"
    answer = server.ask("/harbor/events", json.dumps(event).encode(), headers={"Authorization": SECRET})
    assert answer.status == 200, answer.text


# --- how often ---

@pytest.mark.parametrize("answers, reason, requests", [
    (CLEAN, ("allow", "clean"), ["artifact"]),
    ((6038, 6065), ("allow", "below-threshold"), ["artifact"]),
    (CRITICAL, ("deny", "findings"), ["artifact", "vulnerabilities"]),
    ((6042, 6066), ("warn", "scan-failed"), ["artifact"]),
    ((6030, 6068), ("warn", "scanning"), ["artifact"]),
    ((7040, 7041), ("deny", "findings"), ["artifact", "vulnerabilities"]),
    ((6020, 6015), ("allow", "not-scannable"), ["artifact"]),
    ((6089, 6091), ("deny", "findings"), ["artifact", "vulnerabilities"]),
    ((4026, 4026), ("warn", "unscanned"), ["artifact"]),
])
def test_a_verdict_costs(fake, server, answers, reason, requests):
    """One request of a clean image, and one more where a list of findings matters; nothing while it is known."""
    image = tell(fake, "app", *answers)
    for _ in range(3):
        assert judge(server, image, "gate-defaults").reason == reason
    assert asked(fake, "app") == [("GET", kind) for kind in requests]
    (question, *_) = fake.asked("artifact")
    assert question.target.endswith("/artifacts/1?with_scan_overview=true")


def test_many_at_once_are_one_question_and_one_scan(fake, server):
    """200 replicas of an image that nobody has scanned; and not again for the Pods after them."""
    held = threading.Event()
    image = tell(fake, "app", f.hold(held, f.PRESENT))
    threads = []

    def run():
        threads.append(in_parallel(lambda i: ask_alone(server, image), 200))
    asking = threading.Thread(target=run)
    asking.start()
    wait(lambda: server.metric("harborpilot_connections") >= 200, "all have come")
    held.set()
    asking.join(60)
    assert threads and set(threads[0]) == {True}
    for _ in range(3):
        assert judge(server, image, "gate-defaults").reason == ("warn", "unscanned")
    wait(lambda: fake.asked("scan"), "it is asked to be scanned")
    assert sorted(asked(fake, "app")) == [("GET", "artifact"), ("POST", "scan")]
    (scan,) = fake.asked("scan")
    assert json.loads(scan.body)["scan_type"] == "vulnerability"


def ask_alone(server, image):
    sent = review(pod(container("c0", image), namespace="gate-defaults"))
    with server.connect() as connection:
        return connection.post("/validate/enforce?timeout=20s", sent).json()["response"]["allowed"]


@pytest.mark.parametrize("how", [{"mode": "audit"}, {"dryRun": True}])
def test_nothing_is_scanned_for_a_dry_run_or_for_an_audit(fake, server, how):
    image, other = tell(fake, "app", *UNSCANNED), tell(fake, "other", *UNSCANNED)
    assert judge(server, image, "gate-defaults", **how).reason == ("warn", "unscanned")
    assert judge(server, other, "gate-defaults").reason == ("warn", "unscanned")
    wait(lambda: fake.asked("scan"), "the other is asked to be scanned")
    assert asked(fake, "app") == [("GET", "artifact")]


@pytest.mark.parametrize("answer", [6025, 6024, 6019, 6130, 6018, 6016, 9048, f.status("500 Internal Server Error", b"{}"),
                                    f.html(), f.html("502 Bad Gateway"), f.garbage, f.reset])
def test_whatever_harbor_says_to_a_scan(fake, server, answer):
    """202, 409, 400, 412, 403, 404, read-only, and worse: it is asked once, and the review has its answer already."""
    image = tell(fake, "app", *UNSCANNED, scan=answer)
    assert judge(server, image, "gate-deny").reason == ("deny", "unscanned")
    wait(lambda: fake.asked("scan"), "it is asked to be scanned")
    for _ in range(3):
        assert judge(server, image, "gate-deny").reason == ("deny", "unscanned")
    # what finds no answer on a connection that was kept open, libcurl sends again on the next one
    assert len(fake.asked("scan")) == 1
    assert judge(server, tell(fake, "clean", *CLEAN), "gate-deny").reason == ("allow", "clean")
    assert server.metric("harborpilot_harbor_up", harbor="default") == 1


# --- reports ---

def test_few_reports_at_once(fake, server):
    """They can be large: at most two are read at a time, all in the end."""
    lock, now, most = threading.Lock(), [0], [0]

    def report(talk):
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        talk.fake.pause(0.1)
        with lock:
            now[0] -= 1
        return f.play(6059)(talk)
    images = [tell(fake, f"app-{i}", 6034, report) for i in range(8)]
    containers = [container(f"c{i}", image) for i, image in enumerate(images)]
    verdict = send(server, review(pod(*containers, namespace="gate-defaults")), timeout="20s")
    assert verdict.reasons == [("deny", "findings")] * len(images)
    assert most[0] == 2 and len(fake.asked("vulnerabilities")) == len(images)


def huge(talk):
    """A report of 17 MiB."""
    report = f.recording(6059).json()
    (content,) = report.values()
    content["vulnerabilities"][0]["description"] = "x" * (17 << 20)
    return f.play(f.recording(6059).with_json(report))(talk)


FAULTS = {
    "huge": huge, "cut off": f.cut_off(f.play(6059)), "broken": f.broken_json, "garbage": f.garbage, "reset": f.reset,
    "a portal": f.html(), "500": f.html("500 Internal Server Error"), "503": f.status("503 Service Unavailable"),
    "429": f.status("429 Too Many Requests", b"{}", Retry_After="30"), "empty": f.status("200 OK"), "404": f.play(6067),
    "403": f.play(6018), "{}": f.play(6015), "[]": f.status("200 OK", b"[]"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_report_that_cannot_be_read(fake, server, fault):
    """The numbers are enough for a refusal, where nothing is accepted; and Harbor is not taken for ill."""
    image = tell(fake, "app", 6034, FAULTS[fault])
    verdict = judge(server, image, "gate-defaults", timeout="20s")
    assert verdict.reason == ("deny", "findings"), verdict.response
    assert f"2 Critical; {ONLY_COUNTS}" in verdict.message and "CVE-2099" not in verdict.message
    for i in range(6):
        assert judge(server, tell(fake, f"more-{i}", 6034, FAULTS[fault]), "gate-defaults", timeout="20s").reason == (
            "deny", "findings")
    assert judge(server, tell(fake, "clean", *CLEAN), "gate-deny").reason == ("allow", "clean")
    assert server.metric("harborpilot_harbor_up", harbor="default") == 1


@pytest.mark.parametrize("fault", ["500", "garbage", "huge", "a portal"])
def test_neither_overview_nor_report(fake, server, fault):
    """While the scanner is away only the report speaks; without it, nothing is known."""
    image = tell(fake, "app", 7040, FAULTS[fault])
    assert judge(server, image, "gate-deny", timeout="20s").reason == ("deny", "unavailable")
    assert judge(server, tell(fake, "app-2", 7040, FAULTS[fault]), "gate-warn", timeout="20s").reason == (
        "warn", "unavailable")


def test_a_report_that_was_lost_while_the_scanner_is_away(fake, server):
    """`{}`: there is none, so nobody has scanned it."""
    assert judge(server, tell(fake, "app", 7040, 6015), "gate-deny").reason == ("deny", "unscanned")


def test_a_report_that_does_not_come_in_time(fake, server):
    image = tell(fake, "app", 6034, f.hang)
    verdict = judge(server, image, "gate-deny", timeout="1s")
    assert verdict.reason == ("deny", "unavailable") and "did not say in time" in verdict.message
    assert judge(server, image, "gate-defaults", timeout="1s").reason == ("allow", "unavailable")
    assert len(fake.asked("vulnerabilities")) == 1
    fake.released.set()


# --- an index ---

def three_children(fake, *answers):
    """An index of three children, of which each answers what is given: (artifact, report)."""
    digests = ["sha256:" + letter * 64 for letter in "abc"]

    def change(index):
        first = index["references"][0]
        index["references"] = [{**first, "child_digest": digest} for digest in digests]
    image = tell(fake, "index", f.play_changed(6105, change), 6083)
    for digest, numbers in zip(digests, answers):
        def own(artifact, digest=digest):
            artifact["digest"] = digest
        fake.images[PROJECT, "team/index", digest] = {
            "artifact": f.play_changed(numbers[0], own) if numbers[0] != 4026 else f.ABSENT,
            "vulnerabilities": f.play(numbers[1])}
    return image


@pytest.mark.parametrize("answers, reason, reports", [
    ((CLEAN, CLEAN, CLEAN), ("allow", "clean"), 0),
    ((CLEAN, CLEAN, CRITICAL), ("deny", "findings"), 1),
    ((UNSCANNED, CRITICAL, (6042, 6066)), ("deny", "findings"), 1),
    ((CLEAN, UNSCANNED, CLEAN), ("deny", "unscanned"), 0),
    ((CLEAN, (6042, 6066), CLEAN), ("deny", "scan-failed"), 0),
    ((CLEAN, (6030, 6068), UNSCANNED), ("deny", "scanning"), 0),
    ((CLEAN, (4026, 4026), CLEAN), ("deny", "unscanned"), 0),
    ((CRITICAL, CRITICAL, CRITICAL), ("deny", "findings"), 3),
])
def test_an_index_that_does_not_speak_for_its_children(fake, server, answers, reason, reports):
    """Each child is asked about, once."""
    image = three_children(fake, *answers)
    for _ in range(2):
        assert judge(server, image, "gate-deny").reason == reason
    kinds = [kind for _, kind in asked(fake, "index") if kind != "scan"]
    assert kinds.count("artifact") == 4 and kinds.count("vulnerabilities") == reports
    assert len({r.reference for r in fake.asked("artifact")}) == 4


# --- allowlists ---

@pytest.mark.parametrize("fault", [f.html("500 Internal Server Error"), f.play(6018), f.garbage])
def test_an_allowlist_that_cannot_be_read(places, fake, start, fault):
    """What it may accept is not refused; what is clean is."""
    fake.answers["allowlist"] = fault
    server = start(places.write_policies(fake.url, more="".join(s.policy() for s in SETTINGS))).await_ready()
    image = tell(fake, "app", *CRITICAL)
    verdict = judge(server, image, "gate-deny")
    assert verdict.reason == ("deny", "unavailable") and "CVE allowlist cannot be read" in verdict.message
    assert judge(server, image, "gate-defaults").reason == ("allow", "unavailable")
    assert judge(server, tell(fake, "clean", *CLEAN), "gate-deny").reason == ("allow", "clean")
    assert judge(server, tell(fake, "low", 6038, 6065), "gate-deny").reason == ("allow", "below-threshold")


def test_ready_when_the_allowlists_are_known(places, fake, start):
    held = threading.Event()
    fake.answers["allowlist"] = f.hold(held, f.NO_ALLOWLIST)
    server = start(places.write_policies(fake.url, more=SETTINGS[0].policy()), ready=False)
    wait(lambda: fake.asked("allowlist"), "it is asked for")
    assert not server.events("ready")
    held.set()
    server.use_ports_of(server.event("ready"))
    server.await_ready()
    assert judge(server, tell(fake, "app", *CRITICAL), "gate-defaults").reason == ("deny", "findings")


def test_without_a_gate_nothing_of_it_is_asked(places, fake, start):
    server = start(places.write_policies(fake.url)).await_ready()
    assert judge(server, tell(fake, "app", *CRITICAL), "servable-keep").reasons == []
    assert not fake.asked("allowlist") and not fake.asked(repository="team/app")


# --- what changes ---

@pytest.mark.parametrize("before, after, verdicts", [
    (UNSCANNED, CRITICAL, [("warn", "unscanned"), ("deny", "findings")]),
    (CRITICAL, CLEAN, [("deny", "findings"), ("allow", "clean")]),
    (CLEAN, CRITICAL, [("allow", "clean"), ("deny", "findings")]),
])
def test_a_notification_makes_the_new_verdict_count(fake, server, before, after, verdicts):
    image = tell(fake, "app", *before)
    assert judge(server, image, "gate-defaults").reason == verdicts[0]
    tell(fake, "app", *after)
    assert judge(server, image, "gate-defaults").reason == verdicts[0], "a verdict is believed for a minute"
    notify(server, "app")
    assert judge(server, image, "gate-defaults").reason == verdicts[1]


def pending(digest):
    """6102, a re-scan that has just begun, of the artifact with this digest."""
    def change(artifact):
        artifact["digest"] = digest
    return f.play_changed(6102, change)


@pytest.mark.parametrize("before, verdict", [(CLEAN, ("allow", "clean")), (CRITICAL, ("deny", "findings"))])
def test_a_verdict_survives_its_re_scan(fake, server, before, verdict):
    """Harbor hides it meanwhile. Of another digest it says nothing."""
    image = tell(fake, "app", *before)
    assert judge(server, image, "gate-defaults").reason == verdict
    tell(fake, "app", pending(f.recording(before[0]).json()["digest"]), 6068)
    notify(server, "app")
    assert judge(server, image, "gate-defaults").reason == verdict
    tell(fake, "app", pending("sha256:" + "ab" * 32), 6068)
    notify(server, "app")
    assert judge(server, image, "gate-defaults").reason == ("warn", "scanning")


def test_a_verdict_survives_the_scanners_absence(fake, server):
    image = tell(fake, "app", *CRITICAL)
    assert judge(server, image, "gate-defaults").reason == ("deny", "findings")
    tell(fake, "app", 7040, 7041)
    notify(server, "app")
    verdict = judge(server, image, "gate-defaults")
    assert verdict.reason == ("deny", "findings") and "CVE-2099-0001" in verdict.message


@pytest.mark.background
def test_harbor_down_is_known_at_once(places, fake, start):
    """Nothing is waited for, and nothing that is known counts."""
    server = make_server(places, fake, start)
    known = tell(fake, "known", *CRITICAL)
    assert judge(server, known, "gate-defaults").reason == ("deny", "findings")
    fake.refuse()
    server.event("harbor-health", lambda line: not line["healthy"])
    before = fake.asked()
    for image in (known, "docker.io/team/new:1"):
        for name, outcome in (("defaults", "allow"), ("warn", "warn"), ("deny", "deny")):
            verdict = judge(server, image, f"gate-{name}", timeout="30s")
            assert verdict.reason == (outcome, "unavailable")
            assert outcome != "deny" or "Harbor is down" in verdict.message
    assert fake.asked() == before
    fake.listen()
    server.event("harbor-health", lambda line: line["healthy"], count=2)
    assert judge(server, known, "gate-defaults").reason == ("deny", "findings")
    assert sum(counted(server).values()) == 8


# --- what nobody could judge ---

def unjudged(server):
    return {(mode, reason): int(server.metric("harborpilot_unjudged_total", mode=mode, reason=reason))
            for mode in ("audit", "enforce") for reason in ("unavailable", "too-many")
            if server.metric("harborpilot_unjudged_total", mode=mode, reason=reason)}


@pytest.mark.parametrize("mode", ["enforce", "audit"])
@pytest.mark.parametrize("setting, outcome", [("defaults", "allow"), ("warn", "warn"), ("deny", "deny")])
def test_what_is_let_in_unjudged_is_said_and_counted(fake, server, mode, setting, outcome):
    image = tell(fake, "app", f.status("500 Internal Server Error", b"{}"))
    for _ in range(3):  # a crash-looping Pod
        verdict = judge(server, image, f"gate-{setting}", mode=mode)
        assert verdict.reason == (outcome, "unavailable")
    lines = [server.event("review")]
    judge(server, tell(fake, "other", *CLEAN), f"gate-{setting}", mode=mode)
    assert server.events("review") == lines, "said once"
    if outcome == "deny":
        assert "unjudged" not in lines[0] and not unjudged(server)
    else:
        assert lines[0]["unjudged"] == 1 and lines[0]["level"] == "warning" and "unjudged" in lines[0]["msg"]
        assert lines[0]["applied"] == (mode == "enforce")
        assert unjudged(server) == {(mode, "unavailable"): 3}


def test_who_has_too_many_images_is_counted_where_nothing_refuses(places, fake, start):
    fake.answers["artifact"] = f.play(CLEAN[0])
    soft = Setting("soft", action="warn")
    server = start(places.write_policies(fake.url, more=soft.policy())).await_ready()
    images = [container(f"c{i}", f"docker.io/team/many-{i}:1") for i in range(300)]
    send(server, review(pod(*images, namespace=soft.namespace)))
    assert server.event("review")["unjudged"] == 44 and unjudged(server) == {("enforce", "too-many"): 44}
    images = [container(f"c{i}", "docker.io/team/app:1") for i in range(4097)]
    assert send(server, review(pod(*images, namespace=soft.namespace))).allowed
    assert unjudged(server) == {("enforce", "too-many"): 45}
