"""Whoever asks for much makes nobody wait but themselves."""
import contextlib
import itertools
import json
import socket
import threading
import time

import fake_harbor as f
import pytest
from asking import ask, make_review
from reviews import check_response
from serverlib import Closed, wait

SLOW = 0.1  # seconds that Harbor takes for an answer
EVERYWHERE = """---
apiVersion: harbor-pilot.io/v1alpha1
kind: Policy
metadata: {name: everywhere}
spec: {namespaces: ['made-up-*'], requireInHarbor: servable, onHarborUnavailable: keep}
"""


def crowd(name, count):
    """A review of a Pod with so many images."""
    sent = make_review(f"docker.io/team/{name}:1", "servable-keep")
    sent["request"]["object"]["spec"]["containers"] = [
        {"name": f"c{i}", "image": f"docker.io/team/{name}-{i}:1"} for i in range(count)]
    return sent


def post(server, sent, timeout):
    with server.connect() as connection:
        return check_response(sent, connection.post(f"/mutate/enforce?timeout={timeout}", sent))


@pytest.mark.parametrize("dry_run", [True, False], ids=["dry runs", "creations"])
def test_many_images_of_one_keep_nobody_else_waiting(places, fake, start, dry_run):
    """Four reviews of 250 images each come first; then somebody else's with one."""
    fake.answers["artifact"] = f.slow(SLOW, f.PRESENT)
    server = start(places.write_policies(fake.url)).await_ready()
    attack = []
    for i in range(4):
        sent = crowd(f"much-{i}", 250)
        sent["request"]["dryRun"] = dry_run
        attack.append(threading.Thread(target=post, args=(server, sent, "20s")))
        attack[-1].start()
    outcomes = [ask(server, f"docker.io/team/victim:{i}", "servable-keep", timeout="2s") for i in range(5)]
    assert [outcome.moved for outcome in outcomes] == [True] * 5, outcomes
    for thread in attack:
        thread.join(30)


def test_who_is_in_a_crowd_too_is_asked_for_in_turn(places, fake, start):
    """An image that stands last among somebody's 250 is asked for as soon as somebody else wants it."""
    fake.answers["artifact"] = f.slow(SLOW, f.PRESENT)
    server = start(places.write_policies(fake.url)).await_ready()
    crowds = [threading.Thread(target=post, args=(server, crowd(f"all-{i}", 250), "20s")) for i in range(4)]
    for thread in crowds:
        thread.start()
    outcome = ask(server, "docker.io/team/all-3-249:1", "servable-keep", timeout="2s")
    assert outcome.moved
    for thread in crowds:
        thread.join(30)


def test_dry_runs_come_last(places, fake, start):
    """In one namespace, too."""
    fake.answers["artifact"] = f.slow(SLOW, f.PRESENT)
    server = start(places.write_policies(fake.url)).await_ready()
    tried, created = crowd("tried", 250), crowd("created", 100)
    tried["request"]["dryRun"] = True
    first = threading.Thread(target=post, args=(server, tried, "20s"))
    first.start()
    patch = post(server, created, "3s")["patch"]
    assert patch and first.is_alive()
    first.join(30)


def test_more_images_than_are_asked_for_at_once(places, fake, start):
    """What is beyond the cap is this review's own trouble; the next one finds the others known."""
    fake.answers["artifact"] = f.PRESENT
    server = start(places.write_policies(fake.url)).await_ready()
    sent = crowd("beyond", 300)
    first = json.dumps(post(server, sent, "20s")["auditAnnotations"])
    assert len(fake.asked("artifact")) == 256
    assert first.count('\\"rewritten\\"') == 256
    again = json.dumps(post(server, sent, "20s")["auditAnnotations"])
    assert len(fake.asked("artifact")) == 300
    assert again.count('\\"rewritten\\"') == 300


def post_from(server, address, body, timeout):
    sock = socket.create_connection(("127.0.0.1", server.port), 30, source_address=(address, 0))
    with server.connect_over(sock) as connection:
        return connection.ask(f"/mutate/enforce?timeout={timeout}", body).status


class Attack:
    """Posts one body after the other from some addresses, from so many threads, until it is over."""

    def __init__(self, server, bodies, addresses):
        self.over, self.turns = threading.Event(), itertools.count()
        self.threads = [threading.Thread(target=self.run, args=(server, body, f"127.0.0.{2 + i % addresses}"))
                        for i, body in enumerate(bodies)]

    def run(self, server, body, address):
        while not self.over.is_set():
            with contextlib.suppress(OSError, Closed):
                post_from(server, address, body.replace(b"TURN", b"%d" % next(self.turns)), "20s")

    def __enter__(self):
        for thread in self.threads:
            thread.start()

    def __exit__(self, *unused):
        self.over.set()
        for thread in self.threads:
            thread.join(60)


def test_who_waits_with_large_bodies_leaves_memory_for_others(places, fake, start):
    """What waits for Harbor cannot be closed for another, so all that requests may hold would be held by a few Pods'."""
    fake.answers["artifact"] = f.slow(10, f.PRESENT)
    server = start(places.write_policies(fake.url)).await_ready()

    large = make_review("docker.io/team/large:TURN", "servable-keep")
    large["request"]["object"]["metadata"]["annotations"] = {"much": "x" * 250 * 1024}
    with Attack(server, [json.dumps(large).encode()] * 330, 8):
        wait(lambda: server.metric("harborpilot_reviews_suspended") > 60, "some of them to wait for Harbor")
        time.sleep(5)
        for i in range(20):
            sent = json.dumps(make_review(f"docker.io/team/victim:{i}", "servable-keep")).encode()
            assert post_from(server, "127.0.0.1", sent, "2s") == 200


def test_many_namespaces_of_a_few_callers_keep_nobody_else_waiting(places, fake, start):
    """A namespace is what a review says, and many can be made up; an address is not."""
    fake.answers["artifact"] = lambda talk: (f.PRESENT if "victim" in talk.request.target else f.ABSENT)(talk)
    server = start(places.write_policies(fake.url, more=EVERYWHERE)).await_ready()

    def crowd_of(i):
        sent = crowd(f"many-{i}-TURN", 20)
        sent["request"]["namespace"] = sent["request"]["object"]["metadata"]["namespace"] = f"made-up-{i}"
        return json.dumps(sent).encode()
    with Attack(server, [crowd_of(i) for i in range(240)], 2):
        wait(lambda: server.metric("harborpilot_reviews_suspended") > 100, "them to wait for Harbor")
        outcomes = [ask(server, f"docker.io/team/victim:{i}", "servable-keep", timeout="2s") for i in range(5)]
    assert [outcome.moved for outcome in outcomes] == [True] * 5, outcomes
