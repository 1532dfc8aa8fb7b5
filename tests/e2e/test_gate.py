"""The gate on a real Kubernetes: what has findings in Harbor is refused where a person applies it, and nothing that runs is
kept from coming back."""

import json
import re

import pytest

from harbor import CRITICAL, NAME
from harness import (batch, controlled_by, images, nobody_schedules, pod, pod_spec, replication_controller, wait, workload)

GOOD, BAD, AGING, NEW, LISTED, UNPROXIED = ("clean:1", "team/bad:1", "aging:1", "new:1", "quay.io/team/listed:1",
                                            "ghcr.io/team/elsewhere:1")
FIXED_IN = ("3.0.1-9", "1.2.13")  # of the two critical findings
APPS = ("Deployment", "ReplicaSet", "StatefulSet", "DaemonSet")
UNAVAILABLE = ("allow", "warn", "deny")
PLURALS = {kind: kind.lower() + "s" for kind in (*APPS, "ReplicationController", "Job", "CronJob", "Pod")}


def policy(name, namespaces, **findings):
    spec = {"harbor": NAME, "namespaces": namespaces, "findings": findings}
    return f"---\napiVersion: harbor-pilot.io/v1alpha1\nkind: Policy\nmetadata: {{name: {name}}}\nspec: {json.dumps(spec)}\n"


POLICIES = "".join([
    policy("gate", ["gate-workloads", "gate-audit"], severity="Critical"),
    policy("gate-pods", ["gate-pods", "gate-pods-audit"], enforceOn="pods"),
    policy("gate-strict", ["gate-strict"], unscanned="deny", unproxied="deny"),
    policy("gate-pardon", ["gate-pardon"], allow=[{"id": each, "until": "2999-12-31", "reason": "a test"} for each in CRITICAL]),
    *(policy(f"gate-{setting}", [f"gate-{setting}"], unavailable=setting) for setting in UNAVAILABLE)])
ENFORCED = ("gate-workloads", "gate-pods", "gate-strict", "gate-pardon", *(f"gate-{setting}" for setting in UNAVAILABLE))
AUDITED = ("gate-audit", "gate-pods-audit")


@pytest.fixture(scope="module", autouse=True)
def day(cluster, harbor, load_asked):
    """The first day: GOOD and AGING have no findings, and are deployed."""
    cluster.push(GOOD, BAD, AGING, NEW, LISTED)
    cluster.script("image", f"{cluster.upstream}/team/elsewhere:1")
    harbor.set_scan(GOOD, "clean")
    harbor.set_scan(AGING, "clean")
    harbor.set_scan(BAD, "critical")
    harbor.set_scan(LISTED, "critical")
    harbor.set_scan(NEW, "unscanned")
    load_asked(POLICIES)
    for name in ENFORCED:
        cluster.namespace(name, "enforce")
    for name in AUDITED:
        cluster.namespace(name, "audit")
    for namespace in ("gate-workloads", "gate-pods"):
        done = cluster.apply(namespace, workload("Deployment", "aging", pod_spec(AGING)))
        assert done.returncode == 0 and "Warning" not in done.stderr, done.stderr
        cluster.running(namespace, 1, app="aging")
    yield
    kinds = ",".join(PLURALS.values())
    for namespace in (*ENFORCED, *AUDITED):  # the registries' logs belong to the tests that come
        cluster.kubectl("-n", namespace, "delete", kinds, "--all", "--wait=false", "--grace-period=1")
    wait("the Pods to be gone", lambda: not any(cluster.pods(namespace) for namespace in (*ENFORCED, *AUDITED)), 120)


@pytest.fixture(scope="module")
def night(cluster, harbor, day):
    """The next day: AGING has turned critical, somebody has put LISTED's findings on its project's list, and harbor-pilot knows.
    (It remembers what Harbor said for minutes: other Pods of it do not.)"""
    harbor.set_scan(AGING, "critical")
    harbor.set_allowlist("quay.io", *CRITICAL)
    cluster.replace_harbor_pilot()
    wait("Harbor to be known as up", harbor.is_up, 60)


def of_kind(kind, name, image):
    spec = pod_spec(image)
    if kind in APPS:
        return workload(kind, name, spec, **({"serviceName": name} if kind == "StatefulSet" else {}))
    if kind == "ReplicationController":
        return replication_controller(name, spec)
    return pod(name, spec) if kind == "Pod" else batch(kind, name, spec)


def said(cluster, namespace, kind, name, entry="validate-enforce", verb="create"):
    """The gate's part of what the API server's audit log has about one object's `app`, the last time; None where nothing was said."""
    event = cluster.audit_events(namespace, name, verb, PLURALS[kind])[-1]
    decision = event.get("annotations", {}).get(f"{entry}.harbor-pilot.io/image-app")
    return event, decision and json.loads(decision)["gate"]


def exists(cluster, namespace, kind, name):
    return cluster.kubectl("-n", namespace, "get", kind.lower(), name, check=False).returncode == 0


def check_refusal(cluster, harbor, namespace, kind, name, done, image=BAD):
    """A message that a person can act on: what, why, where to look, and what to do."""
    assert done.returncode == 1
    text = done.stderr
    assert 'admission webhook "validate-enforce.harbor-pilot.io" denied the request' in text
    assert image in text and re.search(r"\b2 critical|critical[:=]? ?2\b", text.lower())
    assert all(each in text for each in (*CRITICAL, *FIXED_IN))
    assert re.search(r"https://\S+/harbor/projects/\d+/repositories/\S+/artifacts-tab/artifacts/sha256:[0-9a-f]{64}", text)
    assert "allowlist" in text.lower()
    assert len(text.splitlines()) <= 20 and len(text) < 4096
    assert not exists(cluster, namespace, kind, name)
    event, gate = said(cluster, namespace, kind, name)
    assert event["responseStatus"]["code"] == 403
    assert (gate["outcome"], gate["reason"], gate["counts"]["Critical"]) == ("deny", "findings", 2)
    assert {each["id"] for each in gate["cves"]} >= set(CRITICAL)


# ---- where a person applies it ----

@pytest.mark.parametrize("kind", PLURALS)
def test_findings_are_refused_at_apply(cluster, harbor, kind):
    before = cluster.total("harborpilot_gate_decisions_total", policy="gate", outcome="deny", reason="findings", mode="enforce")
    done = cluster.apply("gate-workloads", of_kind(kind, "bad", BAD))
    check_refusal(cluster, harbor, "gate-workloads", kind, "bad", done)
    after = cluster.total("harborpilot_gate_decisions_total", policy="gate", outcome="deny", reason="findings", mode="enforce")
    assert after == before + 1
    assert not [item for item in cluster.pods("gate-workloads") if item["metadata"]["name"].startswith("bad")]


@pytest.mark.parametrize("kind", PLURALS)
def test_without_findings_it_is_accepted(cluster, kind):
    done = cluster.apply("gate-workloads", of_kind(kind, f"good-{kind.lower()}", GOOD), dry_run=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_one_refusal_names_every_bad_image(cluster):
    done = cluster.apply("gate-workloads", workload("Deployment", "many", pod_spec(GOOD, BAD, LISTED)))
    assert done.returncode == 1
    assert BAD in done.stderr and LISTED in done.stderr and GOOD not in done.stderr


def test_an_update_with_another_image_is_judged(cluster):
    assert cluster.apply("gate-workloads", workload("Deployment", "updated", pod_spec(GOOD))).returncode == 0
    done = cluster.kubectl("-n", "gate-workloads", "set", "image", "deployment/updated", f"app={BAD}", check=False)
    assert done.returncode == 1 and BAD in done.stderr and "denied the request" in done.stderr
    (item,) = cluster.running("gate-workloads", 1, app="updated")
    assert images(item) == {"app": cluster.rewritten(GOOD)}


def reviews(cluster):
    return cluster.total("harborpilot_reviews_total", webhook="validate")


def test_a_running_pods_image_is_changed(cluster):
    """To a bad one it is refused; to another name of the same artifact, as a rescue does, it is not; no other change is sent."""
    cluster.create("gate-workloads", pod("swapped", pod_spec(GOOD)))
    cluster.running("gate-workloads", 1, app="swapped")
    before = reviews(cluster)
    for change in (["label", "pod/swapped", "changed=yes"], ["annotate", "pod/swapped", "changed=yes"]):
        cluster.kubectl("-n", "gate-workloads", *change)
    assert reviews(cluster) == before
    done = cluster.kubectl("-n", "gate-workloads", "set", "image", "pod/swapped", f"app={BAD}", check=False)
    assert done.returncode == 1 and BAD in done.stderr and "denied the request" in done.stderr
    cluster.kubectl("-n", "gate-workloads", "set", "image", "pod/swapped", f"app=docker.io/library/{GOOD}")
    assert reviews(cluster) == before + 2
    (item,) = cluster.live_pods("gate-workloads", app="swapped")
    assert images(item) == {"app": f"docker.io/library/{GOOD}"}
    cluster.kubectl("-n", "gate-workloads", "delete", "pod", "swapped", "--wait=false", "--grace-period=1")


@pytest.mark.parametrize("kind", ["containers", "initContainers"])
def test_an_image_that_is_changed_in_a_running_pod(cluster, kind):
    """What is there stays, and can be labelled; only another image is judged."""
    name = f"changed-{kind.lower()}"
    spec = pod_spec(GOOD)
    spec["initContainers"] = [{"name": "first", "image": GOOD, "command": ["/sleeper", "0"]}] if kind == "initContainers" else []
    cluster.create("gate-workloads", pod(name, nobody_schedules(spec)))
    container = "app" if kind == "containers" else "first"
    done = cluster.kubectl("-n", "gate-workloads", "set", "image", f"pod/{name}", f"{container}={BAD}", check=False)
    assert done.returncode == 1 and BAD in done.stderr and "denied the request" in done.stderr
    cluster.kubectl("-n", "gate-workloads", "label", "pod", name, "another=label")
    done = cluster.kubectl("-n", "gate-workloads", "set", "image", f"pod/{name}", f"{container}={GOOD}", check=False)
    assert done.returncode == 0, done.stderr
    item = cluster.api.get(f"/api/v1/namespaces/gate-workloads/pods/{name}")
    assert item["spec"][kind][0]["image"] == GOOD and item["metadata"]["labels"]["another"] == "label"


def test_an_ephemeral_container(cluster):
    cluster.create("gate-workloads", pod("debugged", pod_spec(GOOD)))
    cluster.running("gate-workloads", 1, app="debugged")
    done = cluster.debug("gate-workloads", "debugged", BAD, "bad", check=False)
    assert done.returncode == 1 and BAD in done.stderr and "denied the request" in done.stderr
    cluster.debug("gate-workloads", "debugged", GOOD, "good")
    (item,) = cluster.running("gate-workloads", 1, app="debugged")
    assert images(item) == {"app": cluster.rewritten(GOOD), "good": cluster.rewritten(GOOD)}


@pytest.mark.parametrize("image, reason", [(NEW, "unscanned"), (UNPROXIED, "unproxied")])
def test_what_nothing_is_known_of_is_warned_about_or_refused_as_set(cluster, image, reason):
    item = workload("Deployment", reason, nobody_schedules(pod_spec(image)))
    done = cluster.apply("gate-workloads", item)
    assert done.returncode == 0
    assert "Warning: " in done.stderr and image in done.stderr
    _, gate = said(cluster, "gate-workloads", "Deployment", reason)
    assert (gate["outcome"], gate["reason"]) == ("warn", reason)
    done = cluster.apply("gate-strict", item)
    assert done.returncode == 1 and image in done.stderr and not exists(cluster, "gate-strict", "Deployment", reason)
    _, gate = said(cluster, "gate-strict", "Deployment", reason)
    assert (gate["outcome"], gate["reason"]) == ("deny", reason)


def test_the_policys_own_list(cluster):
    done = cluster.apply("gate-pardon", workload("Deployment", "bad", nobody_schedules(pod_spec(BAD))))
    assert (done.returncode, done.stderr) == (0, "")


def test_a_dry_run_says_the_same(cluster):
    done = cluster.apply("gate-workloads", workload("Deployment", "tried", pod_spec(BAD)), dry_run=True)
    assert done.returncode == 1 and BAD in done.stderr


# ---- the gate's way round: an annotation that exempts what a node mirrors ----

MIRROR = {"kubernetes.io/config.mirror": "e2e"}


@pytest.mark.parametrize("kind", [kind for kind in PLURALS if kind != "Pod"])
def test_a_workload_that_says_it_is_a_mirror_is_refused(cluster, harbor, kind):
    item = of_kind(kind, "mirror", BAD)
    item["metadata"]["annotations"] = MIRROR
    check_refusal(cluster, harbor, "gate-workloads", kind, "mirror", cluster.apply("gate-workloads", item))


def test_a_template_that_says_it_is_a_mirror_is_refused(cluster, harbor):
    item = of_kind("Deployment", "mirrors", BAD)
    item["spec"]["template"]["metadata"]["annotations"] = MIRROR
    item["spec"]["template"]["spec"]["nodeName"] = "127.0.0.1"  # the API server's own condition for the annotation
    check_refusal(cluster, harbor, "gate-workloads", "Deployment", "mirrors", cluster.apply("gate-workloads", item))


def mirror_pod(name):
    spec = {**pod_spec(BAD), "nodeName": "127.0.0.1", "tolerations": [{"operator": "Exists"}]}
    return pod(name, spec, MIRROR)


def test_a_persons_pod_that_says_it_is_a_mirror_is_refused(cluster, harbor):
    check_refusal(cluster, harbor, "gate-workloads", "Pod", "forged-mirror", cluster.apply("gate-workloads", mirror_pod("forged-mirror")))


def test_a_nodes_mirror_pod_is_not_even_sent(cluster):
    done = cluster.kubectl("-n", "gate-workloads", "create", "-f", "-", "--as=system:node:127.0.0.1", "--as-group=system:masters",
                           input=mirror_pod("static-web"), check=False)
    assert done.returncode == 0, done.stderr
    (event,) = cluster.audit_events("gate-workloads", "static-web")
    assert event["responseObject"]["spec"]["containers"][0]["image"] == BAD
    assert not [key for key in event.get("annotations", {}) if "harbor-pilot.io" in key]


# ---- enforceOn: pods ----

@pytest.mark.parametrize("kind", ["Pod", "Deployment", "CronJob"])
def test_with_pods_it_is_refused_at_apply_as_well(cluster, harbor, kind):
    check_refusal(cluster, harbor, "gate-pods", kind, "bad", cluster.apply("gate-pods", of_kind(kind, "bad", BAD)))


# ---- audit ----

@pytest.mark.parametrize("namespace", AUDITED)
@pytest.mark.parametrize("kind", PLURALS)
def test_audit_refuses_nothing_and_leaves_evidence(cluster, namespace, kind):
    name = f"bad-{kind.lower()}"
    item = of_kind(kind, name, BAD)
    done = cluster.apply(namespace, item)
    assert (done.returncode, done.stderr) == (0, "")  # and no warnings
    assert exists(cluster, namespace, kind, name)
    event, gate = said(cluster, namespace, kind, name, "validate-audit")
    assert event["responseStatus"]["code"] == 201
    assert (gate["outcome"], gate["reason"]) == ("deny", "findings")
    assert not any(key.startswith("validate-enforce.") for key in event.get("annotations", {}))


@pytest.mark.parametrize("namespace, outcome", [("gate-audit", "warn"), ("gate-pods-audit", "deny")])
def test_audit_of_a_workloads_pods(cluster, namespace, outcome):
    assert cluster.apply(namespace, workload("Deployment", "watched", pod_spec(BAD))).returncode == 0
    (item,) = cluster.running(namespace, 1, app="watched")
    assert images(item) == {"app": BAD}
    _, gate = said(cluster, namespace, "Pod", item["metadata"]["name"], "validate-audit")
    assert (gate["outcome"], gate["reason"]) == (outcome, "findings")


# ---- Harbor away ----

@pytest.fixture
def away(cluster, harbor, day):
    harbor.stop()
    wait("Harbor to be known as away", lambda: harbor.is_up(False), 60)
    yield
    harbor.come_back()
    wait("Harbor to be known as up", harbor.is_up, 60)


def test_harbor_away(cluster, away):
    for setting in UNAVAILABLE:
        namespace, image = f"gate-{setting}", f"never-asked-for-{setting}:1"
        done = cluster.apply(namespace, workload("Deployment", "web", nobody_schedules(pod_spec(image))))
        assert done.returncode == (1 if setting == "deny" else 0), done.stderr
        assert exists(cluster, namespace, "Deployment", "web") == (setting != "deny")
        if setting == "allow":
            assert done.stderr == ""
        else:
            assert image in done.stderr and "Harbor" in done.stderr
            assert ("Warning: " in done.stderr) == (setting == "warn")
            _, gate = said(cluster, namespace, "Deployment", "web")
            assert (gate["outcome"], gate["reason"]) == (setting, "unavailable")
        assert cluster.total("harborpilot_gate_decisions_total", policy=namespace, outcome=setting, reason="unavailable") >= 1


# ---- the morning after: these come last, harbor-pilot is restarted for them ----

def test_allowlisted_in_harbor_it_is_accepted(cluster, harbor, request):
    item = workload("Deployment", "listed", pod_spec(LISTED))
    check_refusal(cluster, harbor, "gate-workloads", "Deployment", "listed", cluster.apply("gate-workloads", item), LISTED)
    request.getfixturevalue("night")
    done = cluster.apply("gate-workloads", item)
    assert (done.returncode, done.stderr) == (0, "")
    (running,) = cluster.running("gate-workloads", 1, app="listed")
    assert images(running) == {"app": cluster.rewritten(LISTED)}


def test_what_turned_critical_overnight_can_be_scaled_and_changed(cluster, night):
    cluster.kubectl("-n", "gate-workloads", "scale", "deployment/aging", "--replicas=2")
    cluster.running("gate-workloads", 2, app="aging")
    cluster.kubectl("-n", "gate-workloads", "label", "deployment/aging", "changed=yes")
    cluster.kubectl("-n", "gate-workloads", "scale", "deployment/aging", "--replicas=1")
    cluster.running("gate-workloads", 1, app="aging")


def test_the_moved_name_in_git_is_nothing_new(cluster, night):
    change = ["set", "image", "deployment/aging", "--dry-run=server"]
    done = cluster.kubectl("-n", "gate-workloads", *change, f"app={cluster.rewritten(AGING)}", check=False)
    assert (done.returncode, done.stderr) == (0, "")
    done = cluster.kubectl("-n", "gate-workloads", *change, f"app={cluster.rewritten(BAD)}", check=False)
    assert done.returncode == 1 and "denied the request" in done.stderr


def test_what_turned_critical_overnight_is_refused_when_it_is_new(cluster, harbor, night):
    done = cluster.apply("gate-workloads", workload("Deployment", "copy", pod_spec(AGING)))
    check_refusal(cluster, harbor, "gate-workloads", "Deployment", "copy", done, AGING)


def delete_pod_of(cluster, namespace):
    (old,) = cluster.running(namespace, 1, app="aging")
    cluster.api.delete(f"/api/v1/namespaces/{namespace}/pods/{old['metadata']['name']}")
    wait("the Pod to be gone", lambda: old["metadata"]["uid"] not in {item["metadata"]["uid"] for item in cluster.pods(namespace)})


def test_a_replacement_pod_starts_is_warned_about_and_counted(cluster, night):
    labels = {"policy": "gate", "outcome": "warn", "reason": "findings", "mode": "enforce"}
    before = cluster.total("harborpilot_gate_decisions_total", **labels)
    delete_pod_of(cluster, "gate-workloads")
    (item,) = cluster.running("gate-workloads", 1, app="aging")
    assert images(item) == {"app": cluster.rewritten(AGING)}
    event, gate = said(cluster, "gate-workloads", "Pod", item["metadata"]["name"])
    assert event["user"]["username"] == "system:serviceaccount:kube-system:replicaset-controller"
    assert (gate["outcome"], gate["reason"]) == ("warn", "findings")
    assert cluster.total("harborpilot_gate_decisions_total", **labels) == before + 1


def test_a_bare_pod_that_claims_a_replicaset_is_refused(cluster, harbor, night):
    """The same as its replacement in all but who asks."""
    (owner,) = cluster.api.get("/apis/apps/v1/namespaces/gate-workloads/replicasets?labelSelector=app=aging")["items"]
    forged = pod("forged", pod_spec(AGING), ownerReferences=controlled_by({**owner, "apiVersion": "apps/v1", "kind": "ReplicaSet"}),
                 labels=owner["spec"]["template"]["metadata"]["labels"])
    done = cluster.kubectl("-n", "gate-workloads", "create", "-f", "-", input=forged, check=False)
    check_refusal(cluster, harbor, "gate-workloads", "Pod", "forged", done, AGING)


def test_with_pods_a_replacement_is_refused(cluster, night):
    delete_pod_of(cluster, "gate-pods")

    def refusal():
        events = cluster.api.get("/api/v1/namespaces/gate-pods/events?fieldSelector=reason=FailedCreate")["items"]
        return [event["message"] for event in events if event["involvedObject"]["name"].startswith("aging-")]
    (message, *_) = wait("the ReplicaSet to say why there is no Pod", refusal, 60)
    assert "denied the request" in message and AGING in message
    assert not cluster.live_pods("gate-pods", app="aging")
