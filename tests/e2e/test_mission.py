"""The main job on a real Kubernetes: Pods of opted-in namespaces are created with Harbor's names and run from there, and
nothing else changes. harbor-pilot runs in the cluster from its container image with the manifests of deploy/."""

import base64
import collections
import concurrent.futures
import copy
import json
import pathlib
import signal
import threading
import time

import pytest

from harness import Creator, images, nobody_schedules, once, originals, pod, pod_spec, wait, workload

WEB, API, SETUP, SINGLE, TOOL = ("web:1", "ghcr.io/team/api:2.0", "quay.io/team/setup:1", "docker.io/library/single:1",
                                 "example/tools/tool:1")


@pytest.fixture(scope="module", autouse=True)
def pushed(cluster):
    cluster.push(WEB, API, SETUP, SINGLE, TOOL)


def test_the_pods_hold_no_power(cluster):
    pods = cluster.harbor_pilot_pods()
    assert len(pods) == 2
    for item in pods:
        # neither a token nor anything else that the manifests do not name
        assert {volume["name"] for volume in item["spec"]["volumes"]} == {"policies", "tls", "harbor"}
        pids = cluster.processes(item)
        assert len(pids) == 1
        status = dict(line.split(":", 1) for line in pathlib.Path(f"/proc/{pids[0]}/status").read_text().splitlines())
        assert set(status["Uid"].split()) == set(status["Gid"].split()) == {"65532"}
        assert int(status["CapEff"], 16) == int(status["CapBnd"], 16) == 0
        assert status["NoNewPrivs"].strip() == "1" and status["Seccomp"].strip() == "2"
        for path, expected in (("/livez", "ok"), ("/readyz", "ok")):
            assert cluster.admin(item, path) == (200, expected) or cluster.admin(item, path) == (200, expected + "\n")


def test_installing_again_changes_nothing(cluster, install):
    def state():
        found = {}
        for what in ("namespace/harbor-pilot", "serviceaccount/harbor-pilot", "configmap/harbor-pilot-policies",
                     "secret/harbor-pilot-tls", "service/harbor-pilot", "networkpolicy/harbor-pilot",
                     "poddisruptionbudget/harbor-pilot", "deployment/harbor-pilot",
                     "mutatingwebhookconfiguration/zz-harbor-pilot", "validatingwebhookconfiguration/harbor-pilot"):
            item = json.loads(cluster.kubectl("-n", "harbor-pilot", "get", what, "-o", "json").stdout)
            # what counts is what somebody wrote; a Deployment's and a budget's status move by themselves
            found[what] = {key: value for key, value in item.items() if key not in ("metadata", "status")}
            if what != "networkpolicy/harbor-pilot":  # whom it lets in is found out, and tried, at each installation
                found[what]["generation"] = item["metadata"].get("generation")
        return found
    before = state()
    # a caBundle that went away and came back would show in the generation
    install()
    assert state() == before
    for what in ("mutatingwebhookconfiguration/zz-harbor-pilot", "validatingwebhookconfiguration/harbor-pilot"):
        assert all(entry["clientConfig"]["caBundle"] for entry in before[what]["webhooks"])


def test_rewritten_pods_run_from_harbor(cluster):
    namespace = cluster.namespace("e2e-run", "enforce")
    since = cluster.log_positions()
    deployment, bare = cluster.create(
        namespace,
        workload("Deployment", "web", pod_spec(WEB, API, initContainers=[once("setup", SETUP)]), replicas=2),
        pod("single", pod_spec(SINGLE)))

    moved = {"app": cluster.rewritten(WEB), "app-1": cluster.rewritten(API), "setup": cluster.rewritten(SETUP)}
    for item in cluster.running(namespace, 2, app="web"):
        assert images(item) == moved
        assert originals(item) == {"app": WEB, "app-1": API, "setup": SETUP}
    (item,) = cluster.running(namespace, 1, app="single")
    assert images(item) == {"app": cluster.rewritten(SINGLE)}

    # both ends: the registry that stands for Harbor was asked for exactly these, the upstream for nothing
    assert cluster.pulled("harbor", since) == {"docker-hub-proxy/library/web:1", "ghcr-proxy/team/api:2.0",
                                               "quay-proxy/team/setup:1", "docker-hub-proxy/library/single:1"}
    assert not cluster.pulled("upstream", since)
    # no workload was touched
    after = cluster.api.get(f"/apis/apps/v1/namespaces/{namespace}/deployments/web")
    assert after["spec"] == deployment["spec"] and after["metadata"]["generation"] == 1


def test_what_is_excluded_stays(cluster):
    namespace = cluster.namespace("e2e-excluded", "enforce")
    since = cluster.log_positions()
    cluster.create(namespace, pod("both", pod_spec(WEB, TOOL)))
    (item,) = cluster.running(namespace)
    assert images(item) == {"app": cluster.rewritten(WEB), "app-1": TOOL}
    assert originals(item) == {"app": WEB}
    assert cluster.pulled("upstream", since) == {"example/tools/tool:1"}


def test_no_policy_no_rewrite(cluster):
    """The label alone is not enough: both opt-ins must agree."""
    namespace = cluster.namespace("labelled-only", "enforce")
    made = cluster.create(namespace, pod("web", nobody_schedules(pod_spec(WEB))))
    assert images(made) == {"app": WEB} and originals(made) is None


def test_dry_run_shows_the_rewrite(cluster):
    namespace = cluster.namespace("e2e-dry-run", "enforce")
    shown = cluster.kubectl("-n", namespace, "create", "--dry-run=server", "-o", "json", "-f", "-",
                            input=pod("web", pod_spec(WEB))).stdout
    assert images(json.loads(shown)) == {"app": cluster.rewritten(WEB)}
    assert not cluster.pods(namespace)


def comparable(item):
    """A Pod without what differs between any two: uid, times, names, its namespace."""
    item = copy.deepcopy(item)
    metadata = item["metadata"]
    for key in ("uid", "resourceVersion", "creationTimestamp", "managedFields", "namespace"):
        metadata.pop(key, None)
    if "generateName" in metadata:
        metadata.pop("name")
    for owner in metadata.get("ownerReferences", []):
        owner.pop("uid")
    item.pop("status")
    return item


def test_audit_changes_nothing_and_leaves_evidence(cluster):
    audited, plain = cluster.namespace("e2e-audited", "audit"), cluster.namespace("e2e-plain")
    since = cluster.log_positions()
    objects = [workload("Deployment", "web", pod_spec(WEB, TOOL, initContainers=[once("setup", SETUP)])),
               pod("single", pod_spec(SINGLE), annotations={"mine": "stays"}), pod("many-", pod_spec(API))]
    for namespace in (audited, plain):
        cluster.create(namespace, *objects)
    for name in ("web", "single", "many"):
        (left,), (right,) = cluster.running(audited, 1, app=name), cluster.running(plain, 1, app=name)
        assert comparable(left) == comparable(right)
        assert [state["image"] for state in left["status"]["containerStatuses"]] == \
            [state["image"] for state in right["status"]["containerStatuses"]]
    assert not cluster.pulled("harbor", since)

    # the API server's own log: what enforce would have done, and nothing about the namespace that did not opt in
    events = cluster.audit_events(audited)
    assert len(events) == 3
    found = {}
    for event in events:
        ours = {key.partition("/")[2]: value for key, value in event["annotations"].items()
                if key.startswith("mutate-audit.harbor-pilot.io/")}
        assert ours["policy"] == "everything"
        found.update({key: json.loads(value) for key, value in ours.items() if key.startswith("image-")})
        assert not any(key.startswith(("mutate-enforce.", "failed-open.")) for key in event["annotations"])
        rounds = [json.loads(value) for key, value in event["annotations"].items()
                  if key.startswith("mutation.webhook.admission.k8s.io/") and "zz-harbor-pilot" in value]
        assert [(entry["webhook"], entry["mutated"]) for entry in rounds] == [("mutate-audit.harbor-pilot.io", False)]
    assert set(found) == {"image-app", "image-setup"}  # the excluded one is not in it; app is one of three here
    assert found["image-setup"]["field"] == "/spec/initContainers/0/image"
    assert found["image-setup"]["container"] == "setup"
    assert found["image-setup"]["image"] == SETUP
    assert found["image-setup"]["result"] == cluster.rewritten(SETUP)
    assert found["image-setup"]["rewrite"]["outcome"] == "rewrite"
    assert found["image-setup"]["rewrite"]["reason"] == "rewritten"
    assert found["image-setup"]["policy"] == "everything"
    plain_events = cluster.audit_events(plain)
    assert len(plain_events) == 3
    assert not any("harbor-pilot" in key + value for event in plain_events
                   for key, value in event.get("annotations", {}).items())


def test_label_on_and_off_while_pods_are_created(cluster):
    """absent, audit, enforce, absent: each stage in force at once, no create fails, and what runs moves, there and back,
    when it is next created; its Deployment stays as it was."""
    namespace = cluster.namespace("e2e-wave")
    deployment = cluster.create(namespace, workload("Deployment", "web", pod_spec(WEB)))
    cluster.running(namespace, 1, app="web")
    creator = Creator(cluster, namespace, lambda: pod("wave-", nobody_schedules(pod_spec(WEB, TOOL))), pause=0.01)
    creator.start()
    moved = cluster.rewritten(WEB)
    stages = []
    for mode, expected in ((None, WEB), ("audit", WEB), ("enforce", moved), (None, WEB)):
        cluster.set_mode(namespace, mode)
        time.sleep(0.5)  # the API server's own copy of the namespace is a watch behind
        began = time.monotonic()
        since = cluster.log_positions()
        (old,) = cluster.live_pods(namespace, app="web")
        cluster.api.delete(f"/api/v1/namespaces/{namespace}/pods/{old['metadata']['name']}")
        wait("its successor", lambda: [item for item in cluster.live_pods(namespace, app="web")
                                       if item["metadata"]["uid"] != old["metadata"]["uid"]])
        (item,) = cluster.running(namespace, 1, app="web")
        assert images(item) == {"app": expected}
        # the image is on the node; a node that has it does not ask again. What it runs is what the Pod says:
        assert item["status"]["containerStatuses"][0]["image"] == (moved if expected == moved else "docker.io/library/web:1")
        wait("20 Pods in this stage", lambda: sum(start > began for start, *_ in creator.made) >= 20)
        stages.append((mode, expected, began, time.monotonic(), since))
    made = creator.stop()

    audited = {event["responseObject"]["metadata"]["name"]: event.get("annotations", {})
               for event in cluster.audit_events(namespace)}
    for mode, expected, began, ended, _ in stages:
        inside = [answer for start, end, _, answer in made if began <= start and end <= ended]
        assert len(inside) >= 20
        for item in inside:
            assert images(item) == {"app": expected, "app-1": TOOL}
            assert originals(item) == ({"app": WEB} if expected == moved else None)
            said = {key for key in audited[item["metadata"]["name"]] if "harbor-pilot.io/" in key}
            assert said == ({f"mutate-{mode}.harbor-pilot.io/policy", f"mutate-{mode}.harbor-pilot.io/image-app"}
                            if mode else set())
    after = cluster.api.get(f"/apis/apps/v1/namespaces/{namespace}/deployments/web")
    assert after["spec"] == deployment["spec"] and after["metadata"]["generation"] == 1


def ca_bundle(cluster):
    """The one authority that is trusted for all entries."""
    (bundle,) = {entry["clientConfig"]["caBundle"] for kind, name in (("mutating", "zz-harbor-pilot"), ("validating", "harbor-pilot"))
                 for entry in cluster.api.get(f"/apis/admissionregistration.k8s.io/v1/{kind}webhookconfigurations/{name}")["webhooks"]}
    assert base64.b64decode(bundle).count(b"BEGIN CERTIFICATE") == 1
    return bundle


def created_during(cluster, namespace, count, workers, at, action):
    """Creates count Pods over that many connections and calls action() when a share of them (at) is there. Returns the
    Pods; none may have failed."""
    path = f"/api/v1/namespaces/{namespace}/pods"
    body = pod("crowd-", nobody_schedules(pod_spec(WEB)))
    done, acted = collections.deque(), threading.Event()

    def one(_):
        answer = cluster.api.ask("POST", path, body)
        done.append(answer)
        if len(done) >= count * at and not acted.is_set():
            acted.set()
            action()
        return answer
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        answers = list(pool.map(one, range(count)))
    failed = [(status, answer.get("message")) for status, answer in answers if status != 201]
    assert not failed, f"{len(failed)} of {count} creates failed: {failed[:3]}"
    return [answer for _, answer in answers]


def test_killed_during_a_thousand_creates(cluster):
    namespace = cluster.namespace("e2e-killed", "enforce")
    victims = cluster.harbor_pilot_pods()
    restarts = {item["metadata"]["name"]: item["status"]["containerStatuses"][0]["restartCount"] for item in victims}
    killed = []

    def kill():
        for item in victims:
            cluster.kill(item)
        killed.append(time.monotonic())
    made = created_during(cluster, namespace, 1000, 4, 0.3, kill)
    assert killed
    counts = collections.Counter(images(item)["app"] for item in made)
    gone = cluster.failed_open(namespace)
    # it did hit: some were created while nobody answered. They are as they were written, and all others are rewritten
    assert gone and counts == {cluster.rewritten(WEB): 1000 - len(gone), WEB: len(gone)}
    assert {item["metadata"]["name"] for item in made if images(item)["app"] == WEB} == gone

    def back():
        pods = cluster.harbor_pilot_pods()
        return all(item["status"]["containerStatuses"][0]["ready"] and
                   item["status"]["containerStatuses"][0]["restartCount"] > restarts[item["metadata"]["name"]] for item in pods)
    wait("both Pods to serve again", back, 30)
    assert images(cluster.create(namespace, pod("after", nobody_schedules(pod_spec(WEB))))) == {"app": cluster.rewritten(WEB)}


def test_a_webhook_that_hangs_holds_up_nobody_for_long(cluster):
    """Stopped programs keep their connections open and never answer: the time-outs are what the API server waits."""
    namespace = cluster.namespace("e2e-hangs", "enforce")
    made = pod("web-", nobody_schedules(pod_spec(WEB)))
    assert images(cluster.create(namespace, made)) == {"app": cluster.rewritten(WEB)}
    stopped = cluster.harbor_pilot_pods()
    try:
        for item in stopped:
            cluster.kill(item, signal.SIGSTOP)
        began = time.monotonic()
        answer = cluster.create(namespace, made)
        took = time.monotonic() - began
    finally:
        for item in stopped:
            cluster.kill(item, signal.SIGCONT)
    assert images(answer) == {"app": WEB}
    assert took < 2 + 5 + 1  # timeoutSeconds of the mutating and of the validating configuration
    wait("harbor-pilot to answer again",
         lambda: images(cluster.create(namespace, made)) == {"app": cluster.rewritten(WEB)})


def test_an_upgrade_with_a_new_certificate_loses_no_answer(cluster, install):
    """A rolling update replaces both Pods: they end on SIGTERM while the API server's connections are open. The new ones
    have a certificate from a new authority. Every Pod that is created meanwhile is rewritten all the same."""
    namespace = cluster.namespace("e2e-upgrade", "enforce")
    before = {item["metadata"]["name"] for item in cluster.harbor_pilot_pods()}
    creator = Creator(cluster, namespace, lambda: pod("steady-", nobody_schedules(pod_spec(WEB))), pause=0.02)
    creator.start()
    bundle = ca_bundle(cluster)
    install("--renew-certificate")
    # the preStop sleep, then SIGTERM with the new Pods serving and the old connections still open
    time.sleep(8)
    made = creator.stop()
    assert ca_bundle(cluster) != bundle
    assert not before & {item["metadata"]["name"] for item in cluster.harbor_pilot_pods()}
    assert not cluster.failed_open(namespace)
    assert collections.Counter(images(answer)["app"] for *_, answer in made) == {cluster.rewritten(WEB): len(made)}
