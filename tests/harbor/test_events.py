"""What Harbor tells by itself: what a notification names counts as not known from then on."""

import json
import threading
import time

import pytest

import fake_harbor as f
from asking import ask
from serverlib import wait

IMAGE, PROJECT, REPOSITORY = "docker.io/team/app:1", "docker-hub-proxy", "team/app"
SECRET = "Bearer of-the-tests"
FACT_NEGATIVE_SECONDS = 15  # for so long "not there" is believed


@pytest.fixture
def server(places, fake, start):
    secret = places.new_directory() / "secret"
    secret.write_text(SECRET)
    return start(places.write_policies(fake.url), "--events-secret-file", secret).await_ready()


def tell(server, kind="PUSH_ARTIFACT", repository=f"{PROJECT}/{REPOSITORY}"):
    event = {"type": kind, "occur_at": 1, "operator": "x", "event_data": {"repository": {"repo_full_name": repository}}}
    answer = server.ask("/harbor/events", json.dumps(event).encode(), headers={"Authorization": SECRET})
    assert answer.status == 200, answer.text


@pytest.mark.parametrize("before, after, moves", [(f.ABSENT, f.PRESENT, True), (f.PRESENT, f.ABSENT, False)])
def test_an_answer_that_was_made_before_the_event_is_not_believed(fake, server, before, after, moves):
    """The question is on its way, and Harbor has looked already, when the event comes: the answer is old when it is
    there. Whoever waits gets the new one."""
    gate, outcomes = threading.Event(), []
    fake.answers["artifact"] = f.hold(gate, before)
    waiting = threading.Thread(target=lambda: outcomes.append(ask(server, IMAGE, "cached-keep", timeout="10s")))
    waiting.start()
    wait(lambda: fake.asked("artifact"), "Harbor is asked")
    fake.answers["artifact"] = after
    tell(server, "PUSH_ARTIFACT" if moves else "DELETE_ARTIFACT")
    gate.set()
    waiting.join(30)
    assert [outcome.moved for outcome in outcomes] == [moves]
    assert ask(server, IMAGE, "cached-keep").moved == moves
    assert len(fake.asked("artifact")) == 2


def test_an_event_about_another_repository_changes_nothing(fake, server):
    fake.answers["artifact"] = f.ABSENT
    assert not ask(server, IMAGE, "cached-keep").moved
    for other in (f"{PROJECT}/{REPOSITORY}-2", f"{PROJECT}/team", f"{PROJECT}/{REPOSITORY}/more", f"x/{REPOSITORY}"):
        tell(server, repository=other)
    fake.answers["artifact"] = f.PRESENT
    assert not ask(server, IMAGE, "cached-keep").moved
    assert len(fake.asked("artifact")) == 1


@pytest.mark.background
def test_the_tag_comes_after_the_event(places, fake, start):
    """Of a pull through a proxy project Harbor tells when the manifest is stored; its tag it attaches up to 10 s later,
    and tells nobody (5174, 5175): "not there" is believed for a moment only, after an event."""
    secret = places.new_directory() / "secret"
    secret.write_text(SECRET)
    server = start(places.write_policies(fake.url), "--events-secret-file", secret).await_ready()
    fake.answers["artifact"] = f.play(5174)
    assert not ask(server, IMAGE, "cached-keep").moved
    tell(server)
    assert not ask(server, IMAGE, "cached-keep").moved
    assert len(fake.asked("artifact")) == 2
    fake.answers["artifact"] = f.PRESENT
    began = time.monotonic()
    wait(lambda: ask(server, IMAGE, "cached-keep").moved, "it counts as cached")
    assert time.monotonic() - began < FACT_NEGATIVE_SECONDS - 3
