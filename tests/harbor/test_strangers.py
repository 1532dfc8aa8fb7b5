"""Who asks was not verified: what a private project holds is not told, and Harbor is asked half as much."""

import json
import threading
import time

import fake_harbor as f
import pytest
from asking import Asker
from gates import Setting, judge
from test_gate_questions import CRITICAL, UNSCANNED

PRIVATE, PUBLIC = "private.example.com/team/app:1", "docker.io/team/app:1"
SETTINGS = [Setting("defaults"), Setting("warning", action="warn"), Setting("audited", mode="audit")]


def begin(places, fake, start, verified):
    for project in ("docker-hub-proxy", "private-proxy"):
        fake.images[project, "team/app"] = {"artifact": f.play(CRITICAL[0]), "vulnerabilities": f.play(CRITICAL[1])}
    policies = places.write_policies(fake.url, more="".join(s.policy() for s in SETTINGS))
    return (start.verified if verified else start)(policies).await_ready()


def secrets_of(fake):
    """What nobody shall read: of the recordings that are played."""
    artifact = f.recording(CRITICAL[0]).json()
    (report,) = f.recording(CRITICAL[1]).json().values()
    return [artifact["digest"], f"/projects/{artifact['project_id']}/", "counts"] + [
        v["id"] for v in report["vulnerabilities"] if v["severity"] == "Critical"]


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda s: s.name)
def test_of_a_private_project_only_the_log_tells(places, fake, start, setting):
    server = begin(places, fake, start, verified=False)
    verdict = judge(server, PRIVATE, setting.namespace)
    assert verdict.reasons == [(setting.action, "findings")]
    text, log = json.dumps(verdict.response), json.dumps(server.event("review"))
    told = [secret for secret in secrets_of(fake) if secret in text]
    assert not told, text
    assert "harbor-pilot's log" in text and PRIVATE in text
    assert all(secret in log for secret in secrets_of(fake) if "projects" not in secret)
    public = judge(server, PUBLIC, setting.namespace)
    assert secrets_of(fake)[-1] in json.dumps(public.response)


def test_a_project_that_cannot_be_read_counts_as_private(places, fake, start):
    fake.projects["private-proxy"] = f.play(4025)
    server = begin(places, fake, start, verified=False)
    fake.images["private-proxy", "team/app"] = {"artifact": f.play(UNSCANNED[0]), "vulnerabilities": f.play(UNSCANNED[1])}
    verdict = judge(server, PRIVATE, "gate-defaults")
    assert verdict.reason == ("warn", "unscanned")
    assert "sha256:" not in json.dumps(verdict.response) and "sha256:" in json.dumps(server.event("review"))


def test_who_is_verified_is_told_all(places, fake, start):
    server = begin(places, fake, start, verified=True)
    text = json.dumps(judge(server, PRIVATE, "gate-defaults").response)
    assert all(secret in text for secret in secrets_of(fake))


@pytest.mark.parametrize("verified, most", [(False, 16), (True, 32)])
def test_harbor_is_asked_half_as_much_for_strangers(places, fake, start, verified, most):
    gate = threading.Event()
    fake.answers["artifact"] = f.hold(gate, f.PRESENT)
    server = begin(places, fake, start, verified)
    threads = [threading.Thread(target=ask_some, args=(server, i)) for i in range(4)]
    for thread in threads:
        thread.start()
    time.sleep(1)
    assert len(fake.asked("artifact")) == most
    gate.set()
    for thread in threads:
        thread.join(30)
    assert len(fake.asked("artifact")) == 40


def ask_some(server, i):
    sent = {"containers": [{"name": f"c{j}", "image": f"docker.io/team/many-{i}-{j}:1"} for j in range(1, 10)]}
    with Asker(server) as asker:
        asker.ask(f"docker.io/team/many-{i}:1", timeout="20s", **{"initContainers": sent["containers"]})


@pytest.mark.parametrize("verified, most", [(False, 30), (True, 60)])
def test_scans_that_strangers_have_made_a_minute(places, fake, start, verified, most):
    fake.answers.update(scan=f.SCAN_ACCEPTED, artifact=f.play(UNSCANNED[0]), vulnerabilities=f.play(UNSCANNED[1]))
    server = begin(places, fake, start, verified)
    for i in range(70):
        judge(server, f"docker.io/team/new-{i}:1", "gate-defaults")
    assert len(fake.asked("scan")) == most
