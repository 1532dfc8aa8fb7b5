"""What holds on any Harbor: the program beside the fake in `make test`, beside a real one in `make test-harbor`."""

import json
import subprocess

import pytest

from asking import ask, in_parallel, reason_of
from conftest import HOST
from harbors import ACCOUNTS, STATES
from outcomes import AUTH, GATE, NO, NO_PROJECT, SECRET, SETTINGS, YES, check_rows
from serverlib import wait

CACHED_WITHIN = 60          # seconds from a pull until Harbor's API knows of it
FACT_NEGATIVE_SECONDS = 15  # for so long "not there" is believed
EVENT_SECRET = "Bearer of-the-tests"

# For each state of an image the reason under `cached`, under `servable` where the upstream may be asked, and where not.
VERDICTS = {
    "its upstream has it": (NO, YES, YES),
    "its upstream has it, by digest": (NO, YES, YES),
    "its upstream has it, an index": (NO, YES, YES),
    "by an index's digest": (NO, YES, YES),
    "its upstream has no repository": (NO, NO, YES),
    "its upstream has no tag": (NO, NO, YES),
    "private, its upstream has it": (SECRET, SECRET, SECRET),
    "private, its upstream has it not": (SECRET, SECRET, SECRET),
    "no such project": (NO_PROJECT, NO_PROJECT, NO_PROJECT),
    "in Harbor": (YES, YES, YES),
    "private, in Harbor": (SECRET, SECRET, SECRET),
    "in Harbor, an index": (YES, YES, YES),
    "in Harbor, refused by its pull gate": (GATE, GATE, GATE),
}


def test_health(harbor, on_harbor):
    assert on_harbor.metric("harborpilot_harbor_up", harbor="default") == 1
    line = on_harbor.event("harbor-health")
    assert line["healthy"] and line["level"] == "info", line


@pytest.mark.parametrize("account", ACCOUNTS)
def test_account(harbor, start, account):
    """A dead account must not look alive, whatever Harbor shows to everybody."""
    good = account == "good"
    server = start(harbor.policies(account)).await_ready()
    if not good:
        server.event("harbor-account", lambda line: line["level"] == "error" and "no longer accepts" in line["msg"])
    (image,) = harbor.images("its upstream has it")
    assert reason_of(server, image, "servable-rewrite") == (YES if good else AUTH)
    assert reason_of(server, image, "never-keep") == YES
    assert bool([line for line in server.events("harbor-account") if line["level"] == "error"]) != good


def test_an_account_that_is_disabled_and_enabled_again(harbor, start):
    """Noticed at a 401 about a private project; public ones answer a dead account as they answer everybody."""
    harbor.enable_account(True)
    try:
        server = start(harbor.policies("disabled")).await_ready()
        private, again = harbor.images("private, its upstream has it", 2)
        public = harbor.images("its upstream has it", 2)
        with_secret = {"imagePullSecrets": [{"name": "any"}]}
        assert reason_of(server, private, **with_secret) == YES
        harbor.enable_account(False)
        assert not ask(server, again, timeout="10s", **with_secret).moved
        server.event("harbor-account", lambda line: line["level"] == "error")
        assert reason_of(server, public[0]) == AUTH
        harbor.enable_account(True)
        server.event("harbor-account", lambda line: line["level"] == "info" and line["version"])
        assert reason_of(server, public[1]) == YES
    finally:
        harbor.enable_account(False)


def test_only_the_given_authority_is_believed(harbor, places, start):
    server = start(harbor.policies(ca=places.other_authority)).await_ready()
    assert "certificate" in server.event("harbor-health")["detail"]
    (image,) = harbor.images("its upstream has it")
    assert reason_of(server, image) == "harbor-down"


def test_many_at_once(harbor, start):
    """A node that comes back: each image is decided within its review's time."""
    server = start(harbor.policies()).await_ready()
    images = harbor.images("its upstream has it", 40)
    outcomes = in_parallel(lambda i: ask(server, images[i], timeout="5s"), len(images))
    assert [outcome.image for outcome in outcomes] == [harbor.result(image, HOST) for image in images]
    assert max(outcome.seconds for outcome in outcomes) < 4


@pytest.mark.parametrize("state", VERDICTS)
def test_image(harbor, on_harbor, state):
    images = harbor.images(state, len(SETTINGS))
    check_rows(on_harbor, state, VERDICTS[state], images, [harbor.result(image, HOST) for image in images])


def test_a_cached_index_by_its_upstreams_digest(harbor, start):
    """Harbor stores it under a digest of its own: its database does not know the one that Pods name, its proxy does."""
    server = start(harbor.policies()).await_ready()
    (image,) = harbor.images("in Harbor, by its index's digest")
    assert harbor.ask_artifact(image).status == 404
    assert reason_of(server, image, "cached-keep") == NO
    assert reason_of(server, image) == YES


def test_a_private_project_with_a_pull_secret(harbor, on_harbor):
    (image,) = harbor.images("private, its upstream has it")
    outcome = ask(on_harbor, image, imagePullSecrets=[{"name": "any"}])
    assert outcome.image == harbor.result(image, HOST)


def test_no_such_project_with_a_pull_secret(harbor, on_harbor):
    """Of the artifact Harbor says that the account has no right, whether the project is there or not."""
    (image,) = harbor.images("no such project")
    assert reason_of(on_harbor, image, imagePullSecrets=[{"name": "any"}]) == NO_PROJECT
    line = on_harbor.event("harbor-project")
    assert line["level"] == "error" and line["project"] == harbor.projects["missing.example.com"]


def test_without_an_account(harbor, start):
    """Public projects can be asked about by everybody."""
    server = start(harbor.policies(account=None)).await_ready()
    (image,) = harbor.images("its upstream has it")
    assert reason_of(server, image) == YES


def test_an_image_is_cached_after_its_pull(harbor, start):
    """Harbor takes 15 to 25 s for it. Who asked before, and heard that it is not there, asks again after 15 s."""
    server = start(harbor.policies()).await_ready()
    (image,) = harbor.images("its upstream has it")
    assert reason_of(server, image, "cached-keep") == NO
    harbor.pull(image)
    harbor.await_cached(image, CACHED_WITHIN)
    another = start(harbor.policies()).await_ready()
    assert reason_of(another, image, "cached-keep") == YES
    if harbor.is_real:  # of the fake it is shown elsewhere, without the wait
        wait(lambda: ask(server, image, "cached-keep").moved, "it counts as cached", FACT_NEGATIVE_SECONDS + 2)


def test_a_notification_makes_the_next_question_a_new_one(harbor, places, start):
    """"Not there" is believed for 15 s; what Harbor says of a pull ends that at once. By digest: Harbor attaches the tag
    later, and says nothing of that."""
    secret = places.new_directory() / "secret"
    secret.write_text(EVENT_SECRET)
    server = start(harbor.policies(), "--events-secret-file", secret).await_ready()
    with harbor.notifying("docker.io", server, EVENT_SECRET) as times:
        for image in harbor.images("its upstream has it, by digest", 3):
            assert not ask(server, image, "cached-keep").moved
            harbor.pull(image)
            # asked all the time, so that "not there" is fresh whenever Harbor says otherwise
            wait(lambda: times or ask(server, image, "cached-keep").moved, "Harbor says so", CACHED_WITHIN)
            if times:  # else the 15 s were over in the moment before: with another image, then
                break
            wait(lambda: times, "Harbor says so", CACHED_WITHIN)
            times.clear()
        assert times, "each image was found before Harbor said so"
        wait(lambda: ask(server, image, "cached-keep").moved, f"{image} counts as cached", 3)


def test_the_pull_gate(harbor, on_harbor):
    """prevent_vul: the first pull passes, the second of an image without a verdict does not. The rewrite would be the
    reason that the Pod does not start."""
    (image,) = harbor.images("in Harbor, refused by its pull gate")
    assert harbor.ask_artifact(image).status == 200
    answer = harbor.pull_again(image)
    assert answer.status == 412 and answer.error() == "PROJECTPOLICYVIOLATION"
    assert reason_of(on_harbor, image) == GATE


def test_plan_live_and_plan_with_what_it_recorded(harbor, places):
    """The same images in one run that asks, and in one that reads what the first wrote."""
    pods, states = [], list(STATES)
    for i, state in enumerate(states):
        (image,) = harbor.images(state)
        pods.append({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": f"p{i}", "namespace": "servable-keep"},
                     "spec": {"containers": [{"name": "c", "image": image}]}})
    facts = places.new_directory() / "facts.json"
    policies = harbor.policies()

    def plan(*args):
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": pods})
        done = subprocess.run([places.binary, "plan", "--policies", policies, "-o", "json", *args], input=text,
                              capture_output=True, text=True, timeout=120)
        assert done.returncode in (0, 3), done.stderr
        return {i["name"]: (i["result"], i["rewrite"]["reason"]) for i in json.loads(done.stdout)["images"]}
    live = plan("--live", "--record", facts)
    reasons = {state: live[f"p{i}"][1] for i, state in enumerate(states)}
    assert reasons == {state: VERDICTS.get(state, (NO, YES, YES))[1] for state in states}
    assert plan("--facts", facts) == live
    recorded = json.loads(facts.read_text())["harbors"]["default"]
    assert recorded["healthy"] is True and len(recorded["artifacts"]) == len(states)
