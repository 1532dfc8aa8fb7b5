"""What plan reads out of a live cluster's objects besides images: labels, running Pods, Secrets, Harbor's own
workloads, and programs that are told their own image."""

import json
import re

import pytest

from clilib import OURS, check_plan, pod
from test_plan_input import dump, namespace, names
from test_plan_output import workload

GLOBBING = """
apiVersion: harbor-pilot.io/v1alpha1
kind: Harbor
metadata: {name: h}
spec: {host: h.example.com, registries: {docker.io: hub, quay.io: quay}}
---
apiVersion: harbor-pilot.io/v1alpha1
kind: Policy
metadata: {name: everything}
spec: {namespaces: ["*"], mode: MODE}
---
apiVersion: harbor-pilot.io/v1alpha1
kind: Policy
metadata: {name: named}
spec: {namespaces: [goharbor]}
"""


def table(program, text, *args, policies=OURS, **how):
    return program("plan", "--policies", policies, *args, stdin=text, **how).out


def owned(obj, kind, name, version="apps/v1", **labels):
    owner = {"apiVersion": version, "kind": kind, "name": name, "uid": "u", "controller": True}
    return {**obj, "metadata": {**obj["metadata"], "ownerReferences": [owner], "labels": labels}}


def live(obj, created="2026-11-20T02:11:09Z"):
    metadata = {**obj["metadata"], "uid": "705ab4f5", "creationTimestamp": created}
    return {**obj, "metadata": metadata, "status": {"phase": "Running"}}


def labelled(name, value, time):
    """A Namespace as `kubectl get --show-managed-fields` prints it."""
    obj = namespace(name, value)
    obj["metadata"]["managedFields"] = [
        {"manager": "kubectl-create", "time": "2025-01-01T00:00:00Z", "fieldsV1": {"f:metadata": {"f:labels": {"f:a": {}}}}},
        {"manager": "kubectl-label", "time": time,
         "fieldsV1": {"f:metadata": {"f:labels": {"f:harbor-pilot.io/mode": {}}}}},
    ]
    return obj


# --- labels of namespaces ---


def test_a_namespace_without_the_label(program):
    """It is said, with what would happen; of namespaces that no Policy claims there is nothing to say."""
    text = dump(namespace("loki", None), namespace("nobody", None), namespace("kube-system", None),
                *(pod("nginx", "gcr.io/x/y:1", namespace=n) for n in ("loki", "nobody", "kube-system")))
    plan = program.plan(text)
    assert plan["namespaces"] == [{"namespace": "loki", "label": "missing", "images": 2, "rewrite": 1}]
    assert {i["namespace"]: i.get("label") for i in plan["images"]}["loki"] == "missing"
    out = table(program, text)
    assert "loki Pod/web  enforce (label missing)  everything" in out
    assert ("label missing: namespace loki: nothing happens there; with harbor-pilot.io/mode=enforce 1 of 2 images "
            "would be rewritten\n") in out
    assert out.count("label missing:") == 1
    assert "6 images: 1 rewritten (1 of them once the namespace has its label), 5 kept" in out
    assert "mode=audit 1 of 2" in table(program, text, "--assume-mode", "audit")


def test_a_misspelled_label(program):
    """In the value, in the key, or as an annotation; what would happen is as with the right one."""
    wrong = namespace("loki", "enforced")
    capital = namespace("batch", None)
    capital["metadata"]["labels"] = {"harbor-pilot.io/Mode": "enforce"}
    annotated = namespace("monitoring", None)
    annotated["metadata"]["annotations"] = {"harbor-pilot.io/mode": "audit"}
    text = dump(wrong, capital, annotated, *(pod("nginx", namespace=n) for n in ("loki", "batch", "monitoring")))
    plan = program.plan(text)
    found = {n["namespace"]: (n["label"], n["written"], n["rewrite"]) for n in plan["namespaces"]}
    assert found == {
        "loki": ("misspelled", 'harbor-pilot.io/mode: "enforced"', 1),
        "batch": ("missing", 'harbor-pilot.io/Mode: "enforce"', 1),
        "monitoring": ("missing", 'harbor-pilot.io/mode: "audit"', 1),
    }
    assert {i["namespace"]: i["mode"] for i in plan["images"]}["loki"] == "disabled"
    out = table(program, text)
    assert 'label misspelled: namespace loki (it has `harbor-pilot.io/mode: "enforced"`): nothing happens there; ' in out


def test_labels_that_are_there(program):
    text = dump(namespace("loki", "audit"), namespace("batch", "enforce"), pod("nginx"), pod("nginx", namespace="batch"))
    assert [(n["namespace"], n["label"]) for n in program.plan(text)["namespaces"]] == [("loki", "audit"), ("batch", "enforce")]
    assert "label " not in table(program, text)
    assert program.plan(dump(pod("nginx")))["namespaces"] == [], "no Namespace is in the input"


# --- workloads and their Pods ---


def chain():
    """A Deployment, its ReplicaSet and two Pods, a CronJob's Job and Pod, and a Pod of a workload that is not there."""
    replica_set = owned(workload("ReplicaSet", "web-7d9c", "loki", "nginx"), "Deployment", "web")
    replica_set["spec"]["template"]["metadata"] = {"labels": {"pod-template-hash": "7d9c"}}
    pods = [owned(pod("nginx", name=f"web-7d9c-{n}"), "ReplicaSet", "web-7d9c", **{"pod-template-hash": "7d9c"}) for n in "ab"]
    return [
        workload("Deployment", "web", "loki", "nginx"), replica_set, *pods,
        workload("CronJob", "backup", "loki", "redis"),
        owned(workload("Job", "backup-29384610", "loki", "redis"), "CronJob", "backup", "batch/v1"),
        owned(pod("redis", name="backup-29384610-x"), "Job", "backup-29384610", "batch/v1"),
        owned(pod("postgres", name="db-0"), "StatefulSet", "db"),
    ]


def test_workloads_are_counted_once(program):
    plan = program.plan(dump(*chain()))
    counted = {i["name"]: i.get("countedWith") for i in plan["images"]}
    assert counted == {
        "web": None, "web-7d9c": "Deployment/web", "web-7d9c-a": "Deployment/web", "web-7d9c-b": "Deployment/web",
        "backup": None, "backup-29384610": "CronJob/backup", "backup-29384610-x": "CronJob/backup", "db-0": None,
    }
    assert plan["summary"]["images"] == 8 and plan["summary"]["countedWith"] == {"images": 5, "rewrite": 5}
    out = table(program, dump(*chain()))
    assert out.endswith("\n3 images: 3 rewritten, 0 kept; and 5 of their Pods, not counted again\n")
    assert re.search(r"^loki +everything +3 +3 +0$", out, re.M)


def test_the_same_name_in_another_namespace_is_another_workload(program):
    objects = [workload("Deployment", "web", "batch", "nginx"), *chain()[1:4]]
    assert all("countedWith" not in i for i in program.plan(dump(*objects))["images"])


# --- Pods that run ---


def test_running_pods_would_move_when_created_again(program):
    text = dump(live(pod("nginx", "gcr.io/x/y:1")), pod("nginx", name="new"))
    plan = program.plan(text)
    assert {i["name"]: i.get("live") for i in plan["images"]} == {"web": {"created": "2026-11-20T02:11:09Z"}, "new": None}
    out = table(program, text)
    assert "loki Pod/web  enforce (runs: would move when created again)  everything" in out
    assert "running Pods: 1 image would move when the Pods are created again\n" in out
    moved = live(pod("harbor.example.com:8443/hub/library/nginx:1"))
    assert "running" not in table(program, dump(moved)) and "live" not in program.plan(dump(moved))["images"][0]
    assert "running" not in table(program, text, "--assume-mode", "audit")


def test_pods_younger_than_the_label_were_missed(program):
    text = dump(labelled("loki", "enforce", "2026-11-20T00:00:00Z"),
                live(pod("nginx", name="old"), "2026-11-19T23:59:59Z"), live(pod("nginx", name="young"), "2026-11-20T00:00:01Z"))
    plan = program.plan(text)
    assert {i["name"]: i["live"]["missed"] for i in plan["images"]} == {"old": False, "young": True}
    assert {i["live"]["labelled"] for i in plan["images"]} == {"2026-11-20T00:00:00Z"}
    out = table(program, text)
    assert "1 running Pod is younger than the namespace's label and not moved: the webhook was not asked" in out
    assert "Pod/young  enforce (runs, and was not moved though it is younger than the label)" in out
    assert "Pod/old  enforce (runs: would move when created again)" in out


# --- Secrets ---


def secret(name, namespace_):
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": namespace_}}


def test_a_pull_secret_that_is_not_there(program):
    """Once a namespace, and only where the input holds Secrets."""
    pods = [pod("nginx", name=n, namespace="gitea") for n in "ab"]
    for secrets, warned in (([], 0), ([secret("harbor-pull", "gitea")], 0), ([secret("harbor-pull", "loki")], 1), ([secret("x", "gitea")], 1)):
        said = [w for w in program.plan(dump(*pods, *secrets))["warnings"] if "`harbor-pull`" in w["message"]]
        assert len(said) == warned, secrets
        assert all("namespace `gitea` has no Secret" in w["message"] and "`secretive`" in w["message"] for w in said)
    assert program.plan(dump(pod("nginx", namespace="loki"), secret("x", "loki")))["warnings"] == []


# --- Harbor's own namespace ---


@pytest.mark.parametrize("mode, namespace_, image, warned", [
    ("enforce", "registry", "goharbor/harbor-core:v2.11.1", True),
    ("audit", "registry", "quay.io/goharbor/registry-photon@sha256:" + "1" * 64, True),
    ("enforce", "goharbor", "goharbor/harbor-core:v2.11.1", False),  # a Policy names it
    ("disabled", "registry", "goharbor/harbor-core:v2.11.1", False),
    ("enforce", "kube-system", "goharbor/harbor-core:v2.11.1", False),
    ("enforce", "registry", "goharbor/harbor-corepack:1", False),
])
def test_a_glob_that_claims_harbors_own_namespace(program, tmp_path, mode, namespace_, image, warned):
    (tmp_path / "p.yaml").write_text(GLOBBING.replace("MODE", mode))
    text = dump(workload("Deployment", "core", namespace_, image), workload("Deployment", "two", namespace_, image))
    said = [w["message"] for w in program.plan(text, policies=tmp_path)["warnings"] if "Harbor itself" in w["message"]]
    assert len(said) == warned
    assert all(part in m for m in said for part in ("`registry`", "`*`", "`everything`", "`protected`"))


# --- its own image ---


def told(args=(), command=(), env=(), image="longhornio/longhorn-manager:v1.7.2", kind="DaemonSet"):
    obj = workload(kind, "manager", "loki", image)
    obj["spec"]["template"]["spec"]["containers"][0].update(args=list(args), command=list(command), env=list(env))
    return obj


OWN = "longhornio/longhorn-manager:v1.7.2"


@pytest.mark.parametrize("how, where", [
    ({"args": ["--x", OWN]}, f"argument `{OWN}`"),
    ({"command": ["manager", "--manager-image", OWN, "-d"]}, f"argument `{OWN}`"),
    ({"args": [f"--manager-image={OWN}"]}, f"argument `--manager-image={OWN}`"),
    ({"env": [{"name": "IMAGE", "value": OWN}]}, "environment variable `IMAGE`"),
    ({"args": ["--image", OWN + "-x"]}, None),
    ({"args": ["--image", "other:1"], "env": [{"name": "A"}, {"name": "B", "value": ""}]}, None),
])
def test_a_program_that_is_told_its_own_image(program, how, where):
    plan = program.plan(dump(told(**how)))
    said = [w["message"] for w in plan["warnings"]]
    assert plan["images"][0]["rewrite"]["reason"] == "rewritten"
    assert len(said) == (where is not None)
    assert all(m.startswith("DaemonSet `manager`: the " + where) and f"its own image `{OWN}`" in m for m in said)


def test_an_image_that_stays_is_no_surprise(program):
    assert program.plan(dump(told(args=["gcr.io/x/y:1"], image="gcr.io/x/y:1")))["warnings"] == []


def test_its_own_image_in_a_custom_kind(program):
    spec = {"spec": {"containers": [{"name": "a", "image": "nginx:1", "args": ["nginx:1"]}]}}
    obj = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "metadata": {"name": "r", "namespace": "loki"}, "spec": {"template": spec}}
    assert len(program.plan(dump(obj))["warnings"]) == 1
