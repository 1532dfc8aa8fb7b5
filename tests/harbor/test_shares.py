"""Whoever asks for much makes nobody wait but themselves."""
import json
import threading

import fake_harbor as f
import pytest
from asking import ask, in_parallel, make_review
from reviews import check_response

SLOW = 0.1  # seconds that Harbor takes for an answer


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
    outcomes = [ask(server, f"docker.io/team/victim:{i}", "servable-rewrite", timeout="2s") for i in range(5)]
    assert [outcome.moved for outcome in outcomes] == [True] * 5
    for thread in attack:
        thread.join(30)


def test_who_is_in_a_crowd_too_is_asked_for_in_turn(places, fake, start):
    """An image that stands last among somebody's 250 is asked for as soon as somebody else wants it."""
    fake.answers["artifact"] = f.slow(SLOW, f.PRESENT)
    server = start(places.write_policies(fake.url)).await_ready()
    crowds = [threading.Thread(target=post, args=(server, crowd(f"all-{i}", 250), "20s")) for i in range(4)]
    for thread in crowds:
        thread.start()
    outcome = ask(server, "docker.io/team/all-3-249:1", "servable-rewrite", timeout="2s")
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
