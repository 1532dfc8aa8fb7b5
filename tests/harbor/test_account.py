"""Who we are to Harbor, and whom we believe that we talk to it."""

import json
import shutil
import signal
import threading
import time

import pytest

import fake_harbor as f
from asking import ask, reason_of, tags
from conftest import HOST, REGISTRIES
from fake_harbor import GOOD_ACCOUNT
from serverlib import select, wait


def test_the_account_goes_with_each_question_but_health(places, fake, start):
    fake.answers["manifest"] = f.to_token(f.SERVED)
    server = start(places.write_policies(fake.url)).await_ready()
    assert reason_of(server, "docker.io/team/app:1") == "rewritten"
    by_kind = {r.kind: r for r in fake.requests}
    for kind in ("account", "project", "artifact", "token"):
        assert fake.lives(by_kind[kind]), kind
    assert by_kind["manifest"].authorization.startswith("Bearer ")
    assert all(r.authorization is None for r in fake.asked("health"))
    assert by_kind["token"].target.startswith(
        "/service/token?service=harbor-registry&scope=repository%3Adocker-hub-proxy/team/app%3Apull")


def test_no_cookie_is_sent_back(places, fake, start):
    """Every answer of Harbor sets one; sent back on a POST it is a CSRF error (9032)."""
    fake.answers["manifest"] = f.to_token(f.SERVED)
    server = start(places.write_policies(fake.url)).await_ready()
    for i in range(5):
        ask(server, f"docker.io/team/app:{i}")
    assert len(fake.requests) > 10 and not [r.headers for r in fake.requests if "cookie" in r.headers]


def test_connections_are_kept(places, fake, start):
    fake.answers["artifact"] = f.PRESENT
    server = start(places.write_policies(fake.url)).await_ready()
    before = fake.connections
    for i in range(20):
        assert ask(server, f"docker.io/team/app:{i}").moved
    assert fake.connections == before


def naming(realm, scheme="Bearer"):
    """The proxy's challenge, with another realm."""
    return f.status("401 Unauthorized", Www_Authenticate=f'{scheme} realm="{realm}",service="harbor-registry"')


def test_a_token_service_on_another_host_is_asked_for_nothing(places, fake, start):
    """Harbor calls itself by another name than `api.url` does, or somebody between does: the token is asked for where
    the policy says that Harbor is."""
    other = places.fake()
    try:
        fake.answers["manifest"] = lambda talk: (
            f.SERVED if talk.request.authorization else naming(other.url + "/service/token"))(talk)
        server = start(places.write_policies(fake.url)).await_ready()
        assert reason_of(server, "docker.io/team/app:1") == "rewritten"
        assert other.connections == 0
        (request,) = fake.asked("token")
        assert fake.lives(request) and request.target.startswith("/service/token?service=harbor-registry&scope=")
    finally:
        other.stop()


def test_a_token_service_that_fails_is_not_believed_again(places, fake, start):
    """One wrong challenge, and then right ones: the next image moves."""
    fake.answers["manifest"] = f.times(1, naming(fake.url + "/dead"), f.to_token(f.SERVED))
    server = start(places.write_policies(fake.url)).await_ready()
    assert reason_of(server, "docker.io/team/app:1") == "not-known-in-time"
    assert reason_of(server, "docker.io/team/app:2") == "rewritten"


def test_a_token_service_that_moved_is_found_by_the_same_question(places, fake, start):
    fake.answers["manifest"] = f.to_token(f.SERVED)
    server = start(places.write_policies(fake.url)).await_ready()
    assert reason_of(server, "docker.io/team/app:1") == "rewritten"
    fake.answers.update(token=f.play(4034), manifest=lambda talk: (
        f.SERVED if talk.request.authorization else naming(fake.url + "/new/token"))(talk), other=f.TOKEN)
    assert reason_of(server, "docker.io/team/app:2") == "rewritten"
    assert [r.target for r in fake.asked("other")][-1].startswith("/new/token?service=")


@pytest.mark.parametrize("before, after", [(["Basic realm=\"proxy\""], []), ([], ["Basic realm=\"proxy\""]),
                                           (["Negotiate", "Basic realm=\"x\""], ["Digest realm=\"y\""])])
def test_of_several_challenges_the_one_for_tokens_counts(places, fake, start, before, after):
    challenge = f.recording(5007)
    own = [(n, v) for n, v in challenge.headers if n.lower() == "www-authenticate"]
    challenge.headers = [h for h in challenge.headers if h not in own]
    challenge.headers += [("Www-Authenticate", v) for v in before] + own + [("Www-Authenticate", v) for v in after]
    fake.answers["manifest"] = lambda talk: (f.SERVED if talk.request.authorization else f.play(challenge))(talk)
    server = start(places.write_policies(fake.url)).await_ready()
    assert reason_of(server, "docker.io/team/app:1") == "rewritten"


@pytest.mark.parametrize("realm", ["{url}.evil.example.com/token", "{url}@evil.example.com/token", "file:///etc/passwd",
                                   "gopher://127.0.0.1/x", "not a url"])
def test_a_strange_realm_gets_nothing(places, fake, start, realm):
    challenge = f.status("401 Unauthorized", Www_Authenticate=f'Bearer realm="{realm.format(url=fake.url)}"')
    fake.answers["manifest"] = challenge
    server = start(places.write_policies(fake.url)).await_ready()
    assert reason_of(server, "docker.io/team/app:1") == "not-known-in-time"
    assert not fake.asked("token")


def test_a_realm_of_another_protocol_is_not_called(places, fake, start):
    other = places.fake(tls=False)
    try:
        realm = other.url.replace("http://", "gopher://") + "/x"
        fake.answers["manifest"] = f.status("401 Unauthorized", Www_Authenticate=f'Bearer realm="{realm}"')
        server = start(places.write_policies(fake.url)).await_ready()
        assert reason_of(server, "docker.io/team/app:1") == "not-known-in-time"
        assert other.connections == 0
    finally:
        other.stop()


@pytest.mark.parametrize("kind", ["artifact", "manifest", "token", "account", "project"])
def test_redirects_are_not_followed(places, fake, start, kind):
    other = places.fake()
    try:
        fake.answers["manifest"] = f.to_token(f.SERVED)
        fake.answers[kind] = f.redirect(other.url + "/api/v2.0/health")
        server = start(places.write_policies(fake.url)).await_ready()
        ask(server, "docker.io/team/app:1")
        assert fake.asked(kind) and not other.requests and other.connections == 0
    finally:
        other.stop()


@pytest.mark.background
def test_only_the_given_authority_is_believed_and_a_new_one_is_noticed(places, fake, start):
    """The file is replaced in place, as a Secret that cert-manager renews; libcurl would keep the old one for a day."""
    directory = places.new_directory()
    ca = directory / "ca.crt"
    shutil.copy(places.other_authority, ca)
    fake.answers["artifact"] = f.PRESENT
    server = start(places.write_policies(fake.url, directory, ca=ca)).await_ready()
    assert reason_of(server, "docker.io/team/app:1") == "harbor-down"
    (line,) = server.events("harbor-health")
    assert "certificate" in line["detail"]
    assert not fake.requests, "nothing was said to one that is not believed"
    shutil.copy(places.harbor_certificates.ca, ca)
    wait(lambda: reason_of(server, f"docker.io/team/app:{next(tags)}") == "rewritten", "Harbor is believed", 15)


def test_the_name_in_the_certificate_counts(places, start):
    fake = places.fake(host="127.0.0.2")  # the certificate is for 127.0.0.1
    try:
        server = start(places.write_policies(fake.url)).await_ready()
        assert reason_of(server, "docker.io/team/app:1") == "harbor-down"
        assert fake.connections and not fake.requests
    finally:
        fake.stop()


def test_a_missing_ca_file_is_no_reason_to_believe_everybody(places, fake, start):
    server = start(places.write_policies(fake.url, ca="/nonexistent/ca.crt")).await_ready()
    assert reason_of(server, "docker.io/team/app:1") == "harbor-down"
    assert not fake.requests


def test_the_environment_names_no_proxy(places, fake, start):
    other = places.fake(tls=False)
    try:
        server = start(places.write_policies(fake.url), env={"https_proxy": other.url, "HTTPS_PROXY": other.url,
                                                             "ALL_PROXY": other.url}).await_ready()
        fake.answers["artifact"] = f.PRESENT
        assert reason_of(server, "docker.io/team/app:1") == "rewritten"
        assert other.connections == 0
    finally:
        other.stop()


@pytest.mark.background
def test_a_new_account_is_taken_from_the_files(places, fake, start):
    """The robot's secret is refreshed in Harbor first, and then in the mounted Secret."""
    fake.answers["artifact"] = f.PRESENT
    fake.wrong_secret_seconds = 0.3
    path = places.write_policies(fake.url)
    server = start(path, "--watch-interval", "200ms").await_ready()
    assert reason_of(server, "docker.io/team/app:1") == "rewritten"
    fake.account = ("robot$admission", "refreshed")
    # a private project answers 401 to the old secret: the account is doubted at once
    fake.images["private-proxy", "team/app"] = {"artifact": f.play(4034)}
    before = len(fake.asked("account"))
    ask(server, "private.example.com/team/app:1", imagePullSecrets=[{"name": "x"}])
    server.event("harbor-account", lambda line: line["level"] == "error")
    assert len(fake.asked("account")) > before
    assert reason_of(server, "docker.io/team/app:2") == "harbor-auth"
    places.write_account(path.parent, ("robot$admission", "refreshed\n"))
    server.event("harbor-account", lambda line: line["level"] == "info")
    assert reason_of(server, "docker.io/team/app:3") == "rewritten"
    assert "version" in server.events("harbor-account")[-1]


@pytest.mark.background
def test_an_answer_about_the_account_before_says_nothing_about_the_new_one(places, fake, start):
    gate, seen = threading.Event(), threading.Event()

    def late(talk):
        seen.set()
        gate.wait(30)
        return f.DEAD_ROBOT(talk)
    fake.answers["artifact"] = f.PRESENT
    path = places.write_policies(fake.url)
    server = start(path, "--watch-interval", "100ms").await_ready()
    fake.answers["account"] = late
    fake.images["private-proxy", "team/app"] = {"artifact": f.play(4034)}  # 401: the account is doubted
    ask(server, "private.example.com/team/app:1", imagePullSecrets=[{"name": "x"}])
    assert seen.wait(10)
    fake.account = ("robot$admission", "new")
    places.write_account(path.parent, fake.account)
    time.sleep(0.5)  # it is read
    del fake.answers["account"]
    asked = len(fake.asked("account"))
    gate.set()
    wait(lambda: len(fake.asked("account")) > asked, "the new account is asked for", 10)
    assert fake.lives(fake.asked("account")[-1])
    time.sleep(0.2)
    assert reason_of(server, "docker.io/team/app:1") == "rewritten"
    assert not [line for line in server.events("harbor-account") if line["level"] == "error"]


@pytest.mark.background
def test_a_dead_account_that_lives_again_in_harbor(places, fake, start):
    """Enabled again in Harbor, with no change of our files."""
    fake.answers["artifact"] = f.PRESENT
    fake.wrong_secret_seconds = 0
    fake.account = ("robot$admission", "another")
    server = start(places.write_policies(fake.url)).await_ready()
    assert reason_of(server, "docker.io/team/app:1") == "harbor-auth"
    fake.account = GOOD_ACCOUNT
    wait(lambda: reason_of(server, f"docker.io/team/app:{next(tags)}") == "rewritten", "it lives", 10)


@pytest.mark.background
def test_the_database_going_down_is_not_a_dead_account(places, fake, start):
    """/systeminfo looks anonymous then (1107)."""
    fake.answers.update(health=f.play(1105), account=f.play(1107), artifact=f.PRESENT)
    server = start(places.write_policies(fake.url)).await_ready()
    assert reason_of(server, "docker.io/team/app:1") == "harbor-down"
    fake.answers.update(health=f.HEALTHY)
    del fake.answers["account"]
    wait(lambda: reason_of(server, f"docker.io/team/app:{next(tags)}") == "rewritten", "Harbor is up", 10)
    assert not [line for line in server.events("harbor-account") if line["level"] == "error"]


OF_211 = {"auth_mode": "db_auth", "banner_message": "", "harbor_version": "v2.11.1-6b7ecba1", "oidc_provider_name": "",
          "primary_auth_mode": False, "self_registration": False}  # /systeminfo of 2.11.1 to anybody
OWN_OF_211 = {"external_url": "https://localhost", "registry_url": "localhost", "has_ca_root": False, "read_only": False}


def as_211(talk):
    live = talk.fake.lives(talk.request)
    return f.status("200 OK", json.dumps({**OF_211, **(OWN_OF_211 if live else {})}).encode())(talk)


@pytest.mark.background
def test_a_dead_account_of_an_old_harbor(places, fake, start):
    """2.11 and 2.12 show their version to everybody."""
    fake.answers.update(artifact=f.PRESENT, account=as_211)
    fake.wrong_secret_seconds = 0
    fake.account = ("robot$admission", "another")
    server = start(places.write_policies(fake.url)).await_ready()
    assert reason_of(server, "docker.io/team/app:1") == "harbor-auth"
    assert "no longer accepts the account" in server.event("harbor-account")["msg"]
    fake.account = GOOD_ACCOUNT
    wait(lambda: reason_of(server, f"docker.io/team/app:{next(tags)}") == "rewritten", "it lives", 10)
    assert server.event("harbor-account", count=2)["version"] == "v2.11.1-6b7ecba1"


@pytest.mark.background
def test_a_database_that_has_just_died_is_not_a_dead_account(places, fake, start):
    """Harbor's health is up to 10 s old; until then it looks as if it had forgotten the account."""
    fake.answers["artifact"] = f.PRESENT
    server = start(places.write_policies(fake.url)).await_ready()
    fake.answers["account"] = f.play(1107)
    fake.images["private-proxy", "team/app"] = {"artifact": f.play(4034)}  # 401: the account is doubted
    ask(server, "private.example.com/team/app:1", imagePullSecrets=[{"name": "x"}])
    wait(lambda: reason_of(server, f"docker.io/team/app:{next(tags)}") == "harbor-auth", "it is refused", 10)
    time.sleep(6)
    fake.answers["health"] = f.play(1105)
    wait(lambda: reason_of(server, f"docker.io/team/app:{next(tags)}") == "harbor-down", "it is ill", 15)
    time.sleep(6)
    fake.answers["health"] = f.HEALTHY  # for a moment, out of Harbor's own cache
    wait(lambda: server.events("harbor-health")[-1]["healthy"], "it looks well", 15)
    time.sleep(1)
    fake.answers["health"] = f.play(1105)
    wait(lambda: not server.events("harbor-health")[-1]["healthy"], "it is ill", 15)
    time.sleep(1)
    assert not server.events("harbor-account")


def test_without_an_account_nothing_is_sent_for_one(places, fake, start):
    fake.answers["artifact"] = f.PRESENT
    server = start(places.write_policies(fake.url, account=None)).await_ready()
    assert reason_of(server, "docker.io/team/app:1", "cached-keep") == "rewritten"
    assert all(r.authorization is None for r in fake.requests) and not fake.asked("account")


@pytest.mark.background
def test_account_files_that_are_not_there_are_said_once(places, fake, start):
    path = places.write_policies(fake.url)
    (path.parent / "password").unlink()
    server = start(path, "--watch-interval", "100ms").await_ready()
    time.sleep(1)
    assert len([line for line in server.events("harbor-account") if "password" in line["msg"]]) == 1
    places.write_account(path.parent)
    fake.answers["artifact"] = f.PRESENT
    wait(lambda: any(fake.lives(r) for r in fake.asked("account")), "the account is used", 10)
    assert reason_of(server, "docker.io/team/app:1") == "rewritten"


def test_a_project_whose_name_is_a_number_is_asked_for_by_name(places, fake, start):
    """/projects/2026 would be the one with that id (3024); a header says what is meant (3025)."""
    fake.projects["2026"] = lambda talk: f.play(
        3025 if talk.request.headers.get("x-is-resource-name") == "true" else 3024)(talk)
    server = start(places.write_policies(fake.url, registries={**REGISTRIES, "quay.io": "2026"})).await_ready()
    assert server.metric("harborpilot_harbor_questions_total", kind="project", answer="no") == 0
    assert server.metric("harborpilot_harbor_questions_total", kind="project", answer="yes") == 3


def test_plain_http_works_and_is_warned_about(places, start):
    fake = places.fake(tls=False)
    try:
        fake.answers["artifact"] = f.PRESENT
        server = start(places.write_policies(fake.url, ca=None)).await_ready()
        assert ask(server, "docker.io/team/app:1").image == f"{HOST}/docker-hub-proxy/team/app:1"
        assert any("https" in line["msg"] for line in server.events("policy"))
    finally:
        fake.stop()


def test_secrets_are_in_no_log_and_no_metric(places, fake, start):
    fake.account = ("robot$admission", "s3cr3t-of-the-robot")
    fake.answers["manifest"] = f.to_token(f.SERVED)
    server = start(places.write_policies(fake.url, account=fake.account)).await_ready()
    ask(server, "docker.io/team/app:1")
    fake.refuse()
    ask(server, "docker.io/team/app:2")
    text = b"".join(server.lines).decode() + server.admin("/metrics").text
    assert "s3cr3t" not in text and "Bearer" not in text and "Basic" not in text


# --- projects ---

@pytest.mark.background
def test_a_project_that_is_not_there(places, fake, start):
    """Mistyped, or not made yet: found out once, said once, and nothing more is asked; it counts when it is there."""
    fake.answers["artifact"] = f.PRESENT
    path = places.write_policies(fake.url, registries={**REGISTRIES, "quay.io": "quay-prxoy"})
    server = start(path).await_ready()
    for how in ({}, {"imagePullSecrets": [{"name": "x"}]}):
        assert reason_of(server, f"quay.io/team/app:{next(tags)}", **how) == "no-project"
    (line,) = server.events("harbor-project")
    assert (line["level"], line["harbor"], line["project"]) == ("error", "default", "quay-prxoy")
    assert [r.method for r in fake.asked("existence")] == ["HEAD"]
    assert not [r for r in fake.asked() if r.kind in ("artifact", "manifest") and r.project == "quay-prxoy"]
    assert reason_of(server, "docker.io/team/app:1") == "rewritten"
    fake.projects["quay-prxoy"] = f.play(4023)
    wait(lambda: reason_of(server, f"quay.io/team/app:{next(tags)}") == "rewritten", "it is there", 75)
    assert [line["level"] for line in server.events("harbor-project")] == ["error", "info"]


@pytest.mark.parametrize("answer", [f.html("404 Not Found"), f.status("500 Internal Server Error"), f.play(6017),
                                    f.status("200 OK")])
def test_a_project_that_the_account_may_not_read_is_not_a_missing_one(places, fake, start, answer):
    fake.projects["private-proxy"] = f.play(4025)
    fake.images["private-proxy", "team/app"] = {"artifact": f.play(4025)}
    fake.answers["existence"] = answer
    server = start(places.write_policies(fake.url)).await_ready()
    with_secret = {"imagePullSecrets": [{"name": "x"}]}
    assert reason_of(server, "private.example.com/team/app:1", **with_secret) == "harbor-auth"
    assert not server.events("harbor-project")


# --- the policies name another Harbor, or the same one otherwise ---

def questions(server):
    """{(kind, answer): count} of all Harbors; each stands there once."""
    found = {}
    for labels, value in select(server.metrics(), "harborpilot_harbor_questions_total"):
        key = labels["harbor"], labels["kind"], labels["answer"]
        assert key not in found, key
        found[key] = value
    return found


def change(places, server, path, url, directory):
    """The same Harbor's document with another place or account."""
    loaded = len(server.events("policies"))
    places.write_account(directory)
    text = path.read_text()
    start = text.index("api: ")
    path.write_text(text[:start] + f'api: {{url: "{url}", credentialsDirectory: "{directory}", '
                    f'caFile: "{places.harbor_certificates.ca}"}}' + text[text.index("\n", start):])
    server.signal(signal.SIGHUP)
    server.event("policies", count=loaded + 1)


@pytest.mark.background
@pytest.mark.parametrize("what", ["url", "credentialsDirectory"])
def test_another_place_of_the_same_harbor(places, fake, start, what):
    """The metrics show it once and go on counting; the old place is not asked any more, and forgotten in the end."""
    other = places.fake()
    try:
        fake.answers["artifact"] = other.answers["artifact"] = f.PRESENT
        path = places.write_policies(fake.url)
        server = start(path).await_ready()
        assert ask(server, "docker.io/team/kept:1").moved
        before, first = questions(server), path.parent
        change(places, server, path, other.url if what == "url" else fake.url, places.new_directory())
        wait(lambda: reason_of(server, f"docker.io/team/app:{next(tags)}") == "rewritten", "it is asked", 10)
        after = questions(server)
        assert all(after[key] >= count for key, count in before.items())
        assert len([labels for labels, _ in select(server.metrics(), "harborpilot_harbor_up")]) == 1
        time.sleep(38)  # longer than any review takes
        if what == "url":
            asked = len(fake.requests)
            time.sleep(6)
            assert len(fake.requests) == asked
        change(places, server, path, fake.url, first)
        wait(lambda: reason_of(server, f"docker.io/team/app:{next(tags)}") == "rewritten", "it is asked", 10)
        assert ask(server, "docker.io/team/kept:1").moved
        assert len(fake.asked("artifact", "team/kept")) == 2, "nothing of it was kept"
        assert all(questions(server)[key] >= count for key, count in after.items())
    finally:
        other.stop()
