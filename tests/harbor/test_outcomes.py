"""What becomes of an image, for every state of what Harbor knows and every setting that has a say: the fact states × (requireInHarbor
× onHarborUnavailable × mode × dryRun)."""

import collections

import pytest

import fake_harbor as f
from asking import Asker, in_parallel, reason_of, reasons, tags
from conftest import HOST
from outcomes import (AUTH, GATE, LATE, NO, SECRET, SETTINGS, YES, check_counts, check_row, check_rows,
                      expected_of)
from serverlib import Server

DOWN = "Harbor is down, and the Policy rewrites all the same"

# --- one image ---
#
# What Harbor answers about it, and the reason under `cached`, under `servable` where it may ask its upstream (enforce, no dry
# run), and under `servable` where it may not. `never` rewrites. onHarborUnavailable says nothing about a single image.
API, HEAD, TOKEN = "artifact", "manifest", "token"

EXPIRED = object()  # once 401 to a token, then served

IMAGES = {
    # name: (answers, cached, servable, servable asked of the database only)
    "in Harbor's database": ({API: f.PRESENT}, YES, YES, YES),
    "in Harbor's database, chunked": ({API: f.chunked(f.PRESENT)}, YES, YES, YES),
    "in the database, its upstream has deleted the tag": ({API: f.PRESENT, HEAD: f.NO_TAG}, YES, NO, YES),
    "in the database, its upstream is throttled": ({API: f.PRESENT, HEAD: f.play(5088)}, YES, YES, YES),
    "in the database, the registry is down": ({API: f.PRESENT, HEAD: f.play(1082)}, YES, YES, YES),
    "in the database, the account may not pull": ({API: f.PRESENT, HEAD: f.to_token(f.play(5042))}, YES, YES, YES),
    "in the database, the proxy: 404 HTML": ({API: f.PRESENT, HEAD: f.html("404 Not Found")}, YES, YES, YES),
    "in the database, the token service: 500": ({API: f.PRESENT, TOKEN: f.play(1109)}, YES, YES, YES),
    "its upstream has it": ({HEAD: f.SERVED}, NO, YES, YES),
    "its upstream has it, an index": ({HEAD: f.play(5052)}, NO, YES, YES),
    "by the upstream's index digest": ({API: f.play(6080), HEAD: f.play(5052)}, NO, YES, YES),
    "its upstream has it, the token had expired": ({HEAD: EXPIRED}, NO, YES, YES),
    "its upstream has no repository": ({}, NO, NO, YES),
    "its upstream has no tag": ({HEAD: f.play(5031)}, NO, NO, YES),
    "refused by Harbor's pull gate": ({HEAD: f.play(7002)}, NO, GATE, YES),
    "the database: 401": ({API: f.play(4034)}, AUTH, AUTH, AUTH),
    "the database: 403": ({API: f.play(4062)}, AUTH, AUTH, AUTH),
    "the proxy: 401 with a token": ({HEAD: f.CHALLENGE}, NO, AUTH, YES),
    "the proxy: 401 for a token without rights": ({HEAD: f.to_token(f.play(5042))}, NO, AUTH, YES),
    "the proxy: 403": ({HEAD: f.play(4062)}, NO, AUTH, YES),
    "the token service: 401": ({HEAD: f.CHALLENGE, TOKEN: f.play(4034)}, NO, AUTH, YES),
}
# An ill Harbor, or something ill before it: no answer that says anything.
ILL = {
    "the database: 500": {API: f.play(1109)},
    "the database: 412": {API: f.play(7002)},
    "the database: 429": {API: f.play(5088)},
    "the database: 503 of a proxy": {API: f.html("503 Service Unavailable")},
    "the database: 404 of a proxy": {API: f.html("404 Not Found")},
    "the database: 404 of Harbor's portal": {API: f.play(1018)},
    "the database: 404 of another kind": {API: f.status("404 Not Found", b'{"errors":[{"code":"WHAT"}]}')},
    "the database: 200 HTML": {API: f.html()},
    "the database: 200 and nothing": {API: f.status("200 OK")},
    "the database: 200 and another object": {API: f.status("200 OK", b'{"name":"docker-hub-proxy"}')},
    "the database: half a document": {API: f.broken_json},
    "the database: cut off": {API: f.cut_off(f.PRESENT)},
    "the database: reset": {API: f.reset},
    "the database: no HTTP": {API: f.garbage},
    "the database: a huge body": {API: f.huge_body(4 * 1024 * 1024)},
    "the database: huge headers": {API: f.huge_headers},
    "the database: a redirect": {API: f.redirect("https://elsewhere.example.com/")},
}
ILL_PROXY = {
    "the proxy: 502, the registry is down": {HEAD: f.play(1082)},
    "the proxy: 401 without a challenge, the database is down": {HEAD: f.play(1116)},
    "the proxy: 401 without a challenge, no such project": {HEAD: f.play(5037)},
    "the proxy: 429 of its upstream": {HEAD: f.play(5088)},
    "the proxy: 301": {HEAD: f.play(5069)},
    "the proxy: 200 HTML": {HEAD: f.html()},
    "the proxy: 404 HTML": {HEAD: f.html("404 Not Found")},
    "the proxy: reset": {HEAD: f.reset},
    "the token service: 400": {HEAD: f.CHALLENGE, TOKEN: f.play(5022)},
    "the token service: 500": {HEAD: f.CHALLENGE, TOKEN: f.play(1109)},
    "the token service: HTML": {HEAD: f.CHALLENGE, TOKEN: f.html()},
    "the token service: no token": {HEAD: f.CHALLENGE, TOKEN: f.status("200 OK", b'{"token":""}')},
    "the token service: a token of two lines": {HEAD: f.CHALLENGE,
                                                TOKEN: f.status("200 OK", b'{"token":"a\\r\\nX-Y: b"}')},
}
IMAGES |= {name: (answers, LATE, LATE, LATE) for name, answers in ILL.items()}
IMAGES |= {name: (answers, NO, LATE, YES) for name, answers in ILL_PROXY.items()}
PRIVATE = {
    "private, in Harbor's database": ({API: f.PRESENT}, SECRET, SECRET, SECRET),
    "private, its upstream has it": ({HEAD: f.SERVED}, SECRET, SECRET, SECRET),
    "private, its upstream has it not": ({}, SECRET, SECRET, SECRET),
}


@pytest.fixture(scope="module")
def shared(places):
    """One Harbor and one server for all states of single images."""
    fake = places.fake()
    server = None
    try:
        server = Server(places.binary, places.certificates, places.write_policies(fake.url)).await_ready()
        assert reason_of(server, "docker.io/team/first:1") == NO  # the token service is known from now on
        yield fake, server
    finally:
        if server:
            server.stop()
        fake.stop()


def run_rows(fake, server, name, state, domain, project):
    answers, verdicts = state[0], state[1:]
    repository = f"team/app-{next(tags)}"
    fake.images[project, "team/fine"] = {API: f.PRESENT}
    for row in range(len(SETTINGS)):
        fake.images[project, f"{repository}-{row}"] = {
            kind: f.to_token(f.times(1, f.CHALLENGE, f.SERVED)) if answer is EXPIRED else answer
            for kind, answer in answers.items()}

    def between(asker, expected):
        """So that failures of single images do not count as a Harbor that is down."""
        if LATE in verdicts:
            asker.ask(f"docker.io/team/fine:{next(tags)}", "cached-keep")
            expected["cached-keep", "enforce", YES] += 1
    check_rows(server, name, verdicts, [f"{domain}/{repository}-{row}:1" for row in range(len(SETTINGS))],
               [f"{HOST}/{project}/{repository}-{row}:1" for row in range(len(SETTINGS))], between)


@pytest.mark.parametrize("name", IMAGES)
def test_image(shared, name):
    fake, server = shared
    fake.images["docker-hub-proxy", "team/fine"] = {API: f.PRESENT}
    run_rows(fake, server, name, IMAGES[name], "docker.io", "docker-hub-proxy")


@pytest.mark.parametrize("name", PRIVATE)
def test_private_project_without_a_pull_secret(shared, name):
    fake, server = shared
    run_rows(fake, server, name, PRIVATE[name], "private.example.com", "private-proxy")


def test_private_project_with_a_pull_secret(shared):
    fake, server = shared
    fake.images["private-proxy", "team/with-secret"] = {API: f.PRESENT}
    for require in ("cached", "servable"):
        with Asker(server) as asker:
            outcome = asker.ask("private.example.com/team/with-secret:1", f"{require}-keep",
                                imagePullSecrets=[{"name": "any"}])
        assert outcome.image == f"{HOST}/private-proxy/team/with-secret:1"


def test_a_digest_is_asked_for_as_a_digest(shared):
    fake, server = shared
    digest = "sha256:" + "ab" * 32
    fake.images["docker-hub-proxy", "team/pinned"] = {HEAD: f.SERVED}
    with Asker(server) as asker:
        outcome = asker.ask(f"docker.io/team/pinned:1.2@{digest}")
    assert outcome.image == f"{HOST}/docker-hub-proxy/team/pinned:1.2@{digest}"
    assert {r.reference for r in fake.asked(repository="team/pinned") if r.kind != TOKEN} == {digest}


def test_the_repository_is_encoded_twice(shared):
    fake, server = shared
    fake.images["docker-hub-proxy", "library/nginx"] = {API: f.PRESENT}
    with Asker(server) as asker:
        assert asker.ask("nginx:1.27.9").moved
    (request,) = fake.asked("artifact", "library/nginx")
    assert request.target == "/api/v2.0/projects/docker-hub-proxy/repositories/library%252Fnginx/artifacts/1.27.9"
    with Asker(server) as asker:
        assert asker.ask("docker.io/library/nginx").moved
    assert fake.asked("artifact", "library/nginx")[-1].reference == "latest"


# --- Harbor that does not answer about an image in time ---

@pytest.mark.parametrize("name, answers", [("the database hangs", {API: f.hang}), ("the proxy hangs", {HEAD: f.hang}),
                                           ("the token service hangs", {HEAD: f.CHALLENGE, TOKEN: f.hang}),
                                           ("the database is slow", {API: f.slow(5, f.PRESENT)})])
def test_image_not_in_time(places, fake, start, name, answers):
    server = start(places.write_policies(fake.url)).await_ready()
    first = next(iter(answers))
    state = (answers, *((LATE,) * 3 if first == API else (NO, LATE, YES)))
    before, expected = reasons(server), collections.Counter()
    rows = []
    for row, (require, unavailable, mode, dry_run) in enumerate(SETTINGS):
        fake.images["docker-hub-proxy", f"team/late-{row}"] = answers
        rows.append((f"docker.io/team/late-{row}:1", f"{require}-{unavailable}", mode, dry_run))
        reason, detail = expected_of(state[1:], require, mode, dry_run)
        expected[rows[-1][1], mode, reason] += 1

    def run(row):
        with Asker(server) as asker:
            return asker.ask(*rows[row], timeout="1s")
    outcomes = in_parallel(run, len(rows))
    for (image, namespace, mode, dry_run), outcome in zip(rows, outcomes):
        reason, detail = expected_of(state[1:], namespace.split("-")[0], mode, dry_run)
        moved = image.replace("docker.io", HOST + "/docker-hub-proxy")
        assert check_row(outcome, reason, moved, image, mode, detail) is None, (name, namespace, mode, dry_run)
        assert outcome.seconds < 1, outcome
    check_counts(server, before, expected)


# --- Harbor as a whole ---

def set_health(number):
    return lambda fake: fake.answers.update(health=f.play(number))


def set_health_to(answer):
    return lambda fake: fake.answers.update(health=answer)


DEAD = {
    "nobody listens": lambda fake: fake.refuse(),
    "the registry is down": set_health(1071),
    "the database is down": set_health(1105),
    "health: 500": set_health(1109),
    "health: HTML": set_health_to(f.html()),
    "health: garbage": set_health_to(f.garbage),
    "health: a huge body": set_health_to(f.huge_body(2 * 1024 * 1024)),
    "health: an empty list": set_health_to(f.status("200 OK", b'{"status":"healthy","components":[]}')),
    "health: a redirect": set_health_to(f.redirect("/")),
    "health hangs": set_health_to(f.hang),
    "every connection is reset": lambda fake: setattr(fake, "everything", f.reset),
}
ILL_ELSEWHERE = {
    "the scanner is down": set_health(1020),
    "the jobservice is down": set_health(1054),
    "it has just started": set_health(1121),
}


def check_harbor(fake, server, expect):
    """All settings, about images that are in Harbor; expect(require, unavailable) → (reason, detail)."""
    fake.answers["artifact"] = f.PRESENT
    before, expected, problems = reasons(server), collections.Counter(), []
    with Asker(server) as asker:
        for require, unavailable, mode, dry_run in SETTINGS:
            image = f"docker.io/team/whole:{next(tags)}"
            reason, detail = expect(require, unavailable)
            expected[f"{require}-{unavailable}", mode, reason] += 1
            outcome = asker.ask(image, f"{require}-{unavailable}", mode, dry_run)
            moved = image.replace("docker.io", HOST + "/docker-hub-proxy")
            problem = check_row(outcome, reason, moved, image, mode, detail)
            if problem:
                problems.append(f"{require} {unavailable} {mode} dryRun={dry_run}: {problem}")
    assert not problems, "\n".join(problems)
    check_counts(server, before, expected)


@pytest.mark.parametrize("name", DEAD)
def test_harbor_is_down(places, fake, start, name):
    DEAD[name](fake)
    server = start(places.write_policies(fake.url)).await_ready()
    check_harbor(fake, server, lambda require, unavailable:
                 (YES, DOWN) if unavailable == "rewrite" else ("harbor-down", None))
    assert not fake.asked("artifact") and not fake.asked("manifest"), "a Harbor known to be down is not asked"
    assert any("cannot serve pulls" in line["msg"] for line in server.events("harbor-health"))


@pytest.mark.parametrize("name", ILL_ELSEWHERE)
def test_harbor_is_ill_where_pulls_do_not_need_it(places, fake, start, name):
    ILL_ELSEWHERE[name](fake)
    server = start(places.write_policies(fake.url)).await_ready()
    check_harbor(fake, server, lambda require, unavailable: (YES, None))


@pytest.mark.background
@pytest.mark.parametrize("name", ["systeminfo first", "health first"])
def test_harbor_does_not_know_the_account(places, fake, start, name):
    fake.wrong_secret_seconds = 0 if name == "systeminfo first" else 0.3
    if name == "systeminfo first":  # the order in which the two come must not matter
        fake.answers["health"] = f.slow(0.5, f.HEALTHY)
    server = start(places.write_policies(fake.url, account=("robot$admission", "wrong"))).await_ready()
    server.event("harbor-account", lambda line: line["level"] == "error" and "no longer accepts" in line["msg"])
    check_harbor(fake, server, lambda require, unavailable: (YES if require == "never" else "harbor-auth", None))
    assert not fake.asked("artifact")
    assert all(r.authorization is None for r in fake.asked("health")), \
        "health needs no account, and a dead one would make it 1.5 s slower than it is"
    assert reason_of(server, "docker.io/team/again:1") == "harbor-auth"
