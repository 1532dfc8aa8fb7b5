"""`plan`, `explain` and `check` with --facts: what Harbor knows, written in a file."""

import json
import subprocess

import pytest

from conftest import HOST

IMAGE, KEY = "docker.io/team/app:1", "docker-hub-proxy/team/app:1"
RESULT = f"{HOST}/docker-hub-proxy/team/app:1"
THERE = {"present": True, "servable": True, "public": True}


def one(fact, **harbor):
    return {"harbors": {"default": {"healthy": True, **harbor, "artifacts": {KEY: fact}}}}


# facts, namespace, reason
FACTS = [
    (one(THERE), "servable-keep", "rewritten"),
    (one({"present": True}), "servable-keep", "rewritten"),
    (one({"present": False, "servable": True}), "servable-keep", "rewritten"),
    (one({"present": False, "servable": True}), "cached-keep", "not-in-harbor"),
    (one({"present": False, "servable": False}), "servable-keep", "not-in-harbor"),
    (one({"present": False}), "servable-keep", "not-in-harbor"),
    (one({}), "servable-keep", "not-in-harbor"),
    (one({"present": False}), "never-keep", "rewritten"),
    (one({**THERE, "public": False}), "servable-keep", "pull-secret-missing"),
    (one({**THERE, "authorized": False}), "servable-keep", "harbor-auth"),
    (one({**THERE, "authorized": False}), "servable-rewrite", "harbor-auth"),
    (one({**THERE, "inProxyFilter": False}), "servable-keep", "outside-proxy-filter"),
    (one({**THERE, "pullGate": "refused"}), "servable-keep", "refused-by-harbor"),
    (one({**THERE, "pullGate": "passed"}), "servable-keep", "rewritten"),
    (one(THERE, healthy=False), "servable-keep", "harbor-down"),
    (one(THERE, healthy=False), "servable-rewrite", "rewritten"),
    (one(THERE, healthy=False), "never-keep", "harbor-down"),
    (one(THERE, healthy=False), "never-rewrite", "rewritten"),
    (one(THERE, authorized=False), "never-keep", "rewritten"),
    (one({"noProject": True}), "servable-keep", "no-project"),
    (one(THERE, authorized=False), "servable-keep", "harbor-auth"),
    (one(THERE, authorized=False), "servable-rewrite", "harbor-auth"),
    ({"harbors": {"default": {"authorized": False, "healthy": True}}}, "servable-keep", "harbor-auth"),
    ({"harbors": {"default": {"authorized": False, "healthy": False}}}, "servable-keep", "harbor-down"),
    ({"harbors": {"default": {"healthy": True}}}, "servable-keep", "not-known-in-time"),
    ({"harbors": {"default": {"healthy": True}}}, "servable-rewrite", "not-known-in-time"),
    ({"harbors": {"default": {"artifacts": {KEY.replace(":1", ":2"): THERE}}}}, "servable-keep", "not-known-in-time"),
    ({"harbors": {"another": {"artifacts": {KEY: THERE}}}}, "servable-keep", "not-known-in-time"),
    ({"harbors": {}}, "servable-keep", "not-known-in-time"),
    ({"harbors": {}}, "never-keep", "rewritten"),
]
NAMES = [f"{i}-{namespace}-{reason}" for i, (_, namespace, reason) in enumerate(FACTS)]


@pytest.fixture(scope="module")
def policies(places):
    return places.write_policies("https://harbor.test", account=None, ca=None)


def run(places, *args, stdin=None):
    return subprocess.run([places.binary, *map(str, args)], input=stdin, capture_output=True, text=True, timeout=60)


def write(places, facts):
    path = places.new_directory() / "facts.json"
    path.write_text(facts if isinstance(facts, str) else json.dumps(facts))
    return path


@pytest.mark.parametrize("facts, namespace, reason", FACTS, ids=NAMES)
def test_explain(places, policies, facts, namespace, reason):
    done = run(places, "explain", IMAGE, "-n", namespace, "--policies", policies, "--facts", write(places, facts),
               "-o", "json")
    assert done.returncode == (3 if reason == "not-known-in-time" else 0), done.stderr
    decision = json.loads(done.stdout)
    assert decision["rewrite"]["reason"] == reason
    assert decision["result"] == (RESULT if reason == "rewritten" else IMAGE)


@pytest.mark.parametrize("facts, namespace, reason", FACTS, ids=NAMES)
def test_plan(places, policies, facts, namespace, reason):
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": namespace},
           "spec": {"containers": [{"name": "c", "image": IMAGE}]}}
    done = run(places, "plan", "--policies", policies, "--facts", write(places, facts), "-o", "json",
               stdin=json.dumps(pod))
    assert done.returncode == (3 if reason == "not-known-in-time" else 0), done.stderr
    plan = json.loads(done.stdout)
    assert plan["summary"]["reasons"] == {reason: 1}
    assert plan["images"][0]["result"] == (RESULT if reason == "rewritten" else IMAGE)


def test_check(places):
    """All of them as cases beside the policies, and a wrong one."""
    policies = places.write_policies("https://harbor.test", account=None, ca=None)
    lines = []
    for i, (facts, namespace, reason) in enumerate(FACTS):
        (policies.parent / f"facts-{i}.json").write_text(json.dumps(facts))
        lines.append(f"{namespace} {IMAGE} {RESULT if reason == 'rewritten' else 'keep:' + reason} facts=facts-{i}.json")
    cases = policies.parent / "facts.cases"
    cases.write_text("\n".join(lines) + "\n")
    done = run(places, "check", "--policies", policies.parent, "-o", "json")
    assert json.loads(done.stdout)["cases"] == {"passed": len(FACTS), "failed": []}, done.stdout
    assert done.returncode == 0
    cases.write_text(f"servable-keep {IMAGE} keep:harbor-down facts=facts-0.json\n")
    done = run(places, "check", "--policies", policies.parent, "-o", "json")
    assert done.returncode == 1
    (failed,) = json.loads(done.stdout)["cases"]["failed"]
    assert failed["expected"] == "keep:harbor-down" and failed["got"] == RESULT


DIGEST = "sha256:" + "0123456789abcdef" * 4


@pytest.mark.parametrize("image, key", [
    ("nginx", "docker-hub-proxy/library/nginx:latest"),
    ("nginx:1.27", "docker-hub-proxy/library/nginx:1.27"),
    (f"nginx@{DIGEST}", f"docker-hub-proxy/library/nginx@{DIGEST}"),
    (f"nginx:1.27@{DIGEST}", f"docker-hub-proxy/library/nginx@{DIGEST}"),
])
def test_the_key_of_an_image(places, policies, image, key):
    facts = write(places, {"harbors": {"default": {"artifacts": {key: THERE}}}})
    done = run(places, "explain", image, "-n", "servable-keep", "--policies", policies, "--facts", facts, "-o", "json")
    assert json.loads(done.stdout)["rewrite"]["reason"] == "rewritten", done.stdout + done.stderr


@pytest.mark.parametrize("text, said", [
    ("", "not JSON"), ("{", "not JSON"), ("[]", "an object"), ("{}", "`harbors` is missing"),
    ('{"harbors": []}', "`harbors`"), ('{"harbors": {"default": 1}}', "a Harbor"),
    ('{"harbors": {"default": {"healthy": "yes"}}}', "`healthy`"),
    ('{"harbors": {"default": {"artifacts": []}}}', "`artifacts`"),
    ('{"harbors": {"default": {"artifacts": {"a": []}}}}', "an artifact"),
    ('{"harbors": {"default": {"artifacts": {"a": {"present": 1}}}}}', "`present`"),
    ('{"harbors": {"default": {"artifacts": {"a": {"pullGate": "closed"}}}}}', '"refused" or "passed"'),
])
def test_a_file_that_is_none(places, policies, text, said):
    facts = write(places, text)
    for command in (["explain", IMAGE, "-n", "servable-keep"], ["plan"]):
        done = run(places, *command, "--policies", policies, "--facts", facts, stdin="")
        assert done.returncode == 2
        assert said in done.stderr and str(facts) in done.stderr, done.stderr
        assert done.stdout == ""
