"""What has to do with a Harbor that can be asked, as far as no Harbor is needed: that it is down, and its
notifications. A stand-in for one that answers is in tests/cli/test_facts.py."""

import json
import socket

import pytest

from reviews import images, mutate, pod, review
from serverlib import select

SECRET = "Basic c2VjcmV0OnNlY3JldA=="
EVENT = {"type": "PUSH_ARTIFACT", "event_data": {"repository": {"repo_full_name": "docker-hub-proxy/library/nginx"}}}


@pytest.fixture
def nobody():
    """A port at which nobody listens."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


@pytest.fixture
def asking(policies, nobody):
    """The policies, with a Harbor that cannot be reached."""
    harbor = policies / "10-harbor.yaml"
    harbor.write_text(harbor.read_text() + f"  api: {{url: 'https://127.0.0.1:{nobody}'}}\n")
    waves = policies / "20-waves.yaml"
    waves.write_text(waves.read_text() + "---\napiVersion: harbor-pilot.io/v1alpha1\nkind: Policy\n"
                     "metadata: {name: anyway}\nspec: {namespaces: [anyway], onHarborUnavailable: rewrite}\n")
    return policies


def test_while_harbor_is_down_images_are_kept(asking, start):
    """It is ready, says so, and answers as the Policy wants it."""
    server = start(asking).await_ready()
    line = server.event("harbor-health")
    assert (line["harbor"], line["healthy"], line["level"]) == ("default", False, "warning") and line["detail"]
    for namespace, moved in (("plain", False), ("anyway", True)):
        response, after = mutate(server, review(pod("nginx", namespace=namespace)))
        assert images(after)["c0"].startswith("harbor.example.com/") == moved, namespace
    assert select(server.metrics(), "harborpilot_harbor_up") == [({"harbor": "default"}, 0)]
    assert server.metric("harborpilot_harbor_questions_total", harbor="default", kind="health", answer="failed") >= 1
    assert server.metric("harborpilot_images_total", reason="harbor-down", policy="plain") == 1
    assert server.metric("harborpilot_reviews_waited_total") == server.metric("harborpilot_reviews_suspended") == 0


def test_a_reload_that_takes_the_api_away_asks_nobody_any_more(asking, start):
    server = start(asking).await_ready()
    server.event("harbor-health")
    harbor = asking / "10-harbor.yaml"
    harbor.write_text("".join(line for line in harbor.read_text().splitlines(True) if "api: {" not in line))
    waves = asking / "20-waves.yaml"
    waves.write_text(waves.read_text().replace(", onHarborUnavailable: rewrite", ""))
    server.reload()
    _, after = mutate(server, review(pod("nginx")))
    assert images(after)["c0"].startswith("harbor.example.com/")
    assert not select(server.metrics(), "harborpilot_harbor_up")


# --- notifications ---

@pytest.fixture
def secret(places):
    path = places.new_directory() / "secret"
    path.write_text(SECRET + "\n")
    return path


def notify(server, body=EVENT, authorization=SECRET, **how):
    headers = {} if authorization is None else {"Authorization": authorization}
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    return server.ask("/harbor/events", body, headers=headers, **how)


def test_notifications(start, secret):
    server = start("policies", "--events-secret-file", secret).await_ready()
    assert (notify(server).status, notify(server).body) == (200, b"ok")
    cloud = {"specversion": "1.0", "type": "harbor.artifact.pushed", "data": EVENT["event_data"]}
    assert notify(server, cloud).status == 200
    assert notify(server, cloud, content_type="application/cloudevents+json").status == 200
    for wrong in (None, "", SECRET + "x", SECRET[:-1], SECRET.lower(), "Bearer " + SECRET):
        assert notify(server, authorization=wrong).status == 401, wrong
    for body in (b"", b"nonsense", b"{}", b"[]", json.dumps(EVENT).encode()[:-1], {"event_data": {"repository": {}}}):
        answer = notify(server, body)
        assert answer.status == 400 and "expected" in answer.text, body
    assert notify(server, content_type="text/plain").status == 415
    assert notify(server, method="PUT").status == 405
    assert server.post("/mutate/enforce", review(pod("nginx"))).status == 200, "reviews need no secret"
    assert server.metric("harborpilot_reviews_total") == 1, "a notification is no review"
    assert server.metric("harborpilot_wrong_secrets_total", option="events-secret-file") == 6
    server.event("wrong-secret")
    assert len(server.events("wrong-secret")) == 1, "at most a line a minute"


def test_the_secret_may_change(start, secret):
    server = start("policies", "--events-secret-file", secret).await_ready()
    secret.write_text("other")
    assert notify(server).status == 401 and notify(server, authorization="other").status == 200
    secret.write_text("")
    assert notify(server, authorization="").status == 401 and notify(server, authorization="other").status == 200
    secret.unlink()
    assert notify(server, authorization="other").status == 200, "the last good one stays in use"


def test_without_a_secret_there_is_no_such_path(server):
    answer = notify(server)
    assert answer.status == 404 and "/mutate/enforce" in answer.text


@pytest.mark.parametrize("text", [None, "", " \n"])
def test_a_start_without_the_secret_ends(places, start, text):
    path = places.new_directory() / "secret"
    if text is not None:
        path.write_text(text)
    server = places.start("policies", "--events-secret-file", path, ready=False)
    assert server.wait_end() == 2
    assert str(path) in server.event("start-failed")["msg"]
