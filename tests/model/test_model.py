"""The model tested against the vectors of the documents, and then the binary against the model.

    pytest-3 tests/model                       # a few thousand rounds
    ROUNDS=100000 pytest-3 tests/model         # more; SEED=n begins with another seed
"""

import base64
import collections
import json
import os
import random
import re
import subprocess

import pytest
import yaml

import differential
import generate
import model

ROUNDS = int(os.environ.get("ROUNDS") or 3000)
SEED = int(os.environ.get("SEED") or 1)

needs_binary = pytest.mark.skipif(not differential.BINARY.exists(),
                                  reason=f"{differential.BINARY} is not built")

SHA256 = "sha256:" + "f" * 64


# --- references -----------------------------------------------------------------------------------
# distribution/reference at 0965666a: normalize_test.go, reference_test.go, and fuzz corpora's kin

@pytest.mark.parametrize("text, domain, path, tag, digest", [
    ("nginx", "docker.io", "library/nginx", None, None),
    ("nginx:1.2", "docker.io", "library/nginx", "1.2", None),
    ("test_com", "docker.io", "library/test_com", None, None),
    ("test.com:tag", "docker.io", "library/test.com", "tag", None),
    ("test.com:5000", "docker.io", "library/test.com", "5000", None),
    ("test.com/repo:tag", "test.com", "repo", "tag", None),
    ("test:5000/repo", "test:5000", "repo", None, None),
    ("test:5000/repo:tag", "test:5000", "repo", "tag", None),
    ("test:5000/repo@" + SHA256, "test:5000", "repo", None, SHA256),
    ("test:5000/repo:tag@" + SHA256, "test:5000", "repo", "tag", SHA256),
    ("lowercase:Uppercase", "docker.io", "library/lowercase", "Uppercase", None),
    ("sub-dom1.foo.com/bar/baz/quux:some-long-tag", "sub-dom1.foo.com", "bar/baz/quux",
     "some-long-tag", None),
    ("b.gcr.io/test.example.com/my-app:test.example.com", "b.gcr.io", "test.example.com/my-app",
     "test.example.com", None),
    ("xn--n3h.com/myimage:xn--n3h.com", "xn--n3h.com", "myimage", "xn--n3h.com", None),
    ("foo_bar.com:8080", "docker.io", "library/foo_bar.com", "8080", None),
    ("foo/foo_bar.com:8080", "docker.io", "foo/foo_bar.com", "8080", None),
    ("192.168.1.1", "docker.io", "library/192.168.1.1", None, None),
    ("192.168.1.1:5000/repo:5050", "192.168.1.1:5000", "repo", "5050", None),
    ("[2001:db8::1]/repo", "[2001:db8::1]", "repo", None, None),
    ("[2001:db8:1:2:3:4:5:6]/repo:tag", "[2001:db8:1:2:3:4:5:6]", "repo", "tag", None),
    ("[2001:db8::1]:5000/repo:tag@" + SHA256, "[2001:db8::1]:5000", "repo", "tag", SHA256),
    ("localhost/library/debian", "localhost", "library/debian", None, None),
    ("localhost/debian", "localhost", "debian", None, None),
    ("LOCALDOMAIN/debian", "LOCALDOMAIN", "debian", None, None),
    ("docker.io/docker/docker", "docker.io", "docker/docker", None, None),
    ("docker.io/debian", "docker.io", "library/debian", None, None),
    ("index.docker.io/debian", "docker.io", "library/debian", None, None),
    ("index.docker.io/library/debian", "docker.io", "library/debian", None, None),
    ("registry-1.docker.io/library/x", "registry-1.docker.io", "library/x", None, None),
    ("registry-1.docker.io/x", "registry-1.docker.io", "x", None, None),
    ("QUAY.IO/x", "QUAY.IO", "x", None, None),
    ("Docker/docker", "Docker", "docker", None, None),
    ("docker---rules/docker", "docker.io", "docker---rules/docker", None, None),
    ("dock__er/docker", "docker.io", "dock__er/docker", None, None),
    ("docker.io/" + "1a3f5e7d" * 8, "docker.io", "library/" + "1a3f5e7d" * 8, None, None),
    ("1a3f5e7d" * 8 + ":x", "docker.io", "library/" + "1a3f5e7d" * 8, "x", None),
    ("1a3f5e7d" * 7 + "1a3f5e7", "docker.io", "library/" + "1a3f5e7d" * 7 + "1a3f5e7", None, None),
    ("docker.io/library/foo/bar", "docker.io", "library/foo/bar", None, None),
    ("docker.io:443/foo", "docker.io:443", "foo", None, None),
    ("under_score.io/foo", "", "under_score.io/foo", None, None),
    ("x:" + "t" * 128, "docker.io", "library/x", "t" * 128, None),
    ("x@sha384:" + "0" * 96, "docker.io", "library/x", None, "sha384:" + "0" * 96),
    ("x@sha512:" + "0" * 128, "docker.io", "library/x", None, "sha512:" + "0" * 128),
    ("a.b/" + "a" * 251, "a.b", "a" * 251, None, None),
    ("a" * 237, "docker.io", "library/" + "a" * 237, None, None),
])
def test_reference(text, domain, path, tag, digest):
    assert model.parse_reference(text) == model.Reference(domain, path, tag, digest)


@pytest.mark.parametrize("text", [
    "", ":justtag", "@" + SHA256, "repo@sha256:" + "f" * 34, "validname@invaliddigest:" + "f" * 64,
    "Uppercase:tag", "test:5000/Uppercase/lowercase:tag", "aa/asdf$$^/aa",
    "[2001:db8::1]", "[2001:db8::1]:5000", "[2001:db8::1]:tag", "fc00::1:5000/debian",
    "[fe80::1%eth0]:5000/repo", "[fe80::1%@invalidzone]:5000/repo",
    "[2001:db8:3:4::192.0.2.33]:5000/debian", "https://github.com/docker/docker",
    "docker/Docker", "-docker", "-docker/docker", "-docker.io/docker/docker", "docker///docker",
    "docker.io/docker/Docker", "docker.io/docker///docker", "1a3f5e7d" * 8,
    "docker-/docker", "-docker-/docker", "____/____", "_docker/_docker", "dock..er/docker",
    "dock_.er/docker", "dock-.er/docker", "docker/", "/docker", "nginx:", "nginx@", "nginx:1@",
    "nginx ", " nginx", "nginx\n", "ngïnx", "nginx:१", "x:" + "t" * 129, "x:-t",
    "x@sha256:" + "F" * 64, "x@SHA256:" + "f" * 64, "x@md5:" + "f" * 32, "x@sha256:" + "f" * 65,
    "x@sha512:" + "f" * 64, "x@" + SHA256 + ":1", "a:b/c", "docker.io./x", "docker.io:/x",
    "user@docker.io/x", "a.b/" + "a" * 252, "a" * 238,
])
def test_no_reference(text):
    assert model.parse_reference(text) is None


# --- buckets, globs, patterns ---------------------------------------------------------------------

@pytest.mark.parametrize("workload, bucket", [
    ("monitoring/Deployment/grafana", 74), ("apps/StatefulSet/postgres", 30),
    ("apps/CronJob/backup", 24)])
def test_bucket(workload, bucket):
    assert model.bucket_of(workload) == bucket


def pod_of(owner=None, template_hash=None, **metadata):
    if owner:
        api_version, kind, name = owner
        metadata["ownerReferences"] = [
            {"apiVersion": "v1", "kind": "ConfigMap", "name": "x"},
            {"apiVersion": api_version, "kind": kind, "name": name, "controller": True}]
    if template_hash is not None:
        metadata["labels"] = {"pod-template-hash": template_hash}
    return {"metadata": metadata, "spec": {}}


@pytest.mark.parametrize("pod, workload", [
    (pod_of(("apps/v1", "ReplicaSet", "web-5d4f"), "5d4f"), "n/Deployment/web"),
    (pod_of(("apps/v1", "ReplicaSet", "web-5d4f")), "n/ReplicaSet/web-5d4f"),
    (pod_of(("apps/v1", "ReplicaSet", "web-5d4f"), "d4f"), "n/ReplicaSet/web-5d4f"),
    (pod_of(("apps/v1", "ReplicaSet", "web-5d4f"), ""), "n/ReplicaSet/web-5d4f"),
    (pod_of(("apps/v1", "StatefulSet", "web-5d4f"), "5d4f"), "n/StatefulSet/web-5d4f"),
    (pod_of(("batch/v1", "Job", "backup-29381230")), "n/CronJob/backup"),
    (pod_of(("batch/v1", "Job", "backup-12-29381230")), "n/CronJob/backup-12"),
    (pod_of(("batch/v1", "Job", "backup-2938123")), "n/Job/backup-2938123"),
    (pod_of(("batch/v1", "Job", "backup-x29381230")), "n/Job/backup-x29381230"),
    (pod_of(("batch/v1", "Job", "29381230")), "n/Job/29381230"),
    (pod_of(name="bare"), "n/Pod/bare"),
    (pod_of(name="bare-x1", generateName="bare-"), "n/Pod/bare-x1"),
    (pod_of(generateName="bare-"), "n/Pod/bare-"),
])
def test_workload(pod, workload):
    assert model.workload_of("n", pod) == workload


@pytest.mark.parametrize("pattern, text, matches", [
    ("*", "", True), ("?", "", False), ("a*c", "abbc", True), ("a*c", "ac", True),
    ("*a*", "bab", True), ("a?c", "abc", True), ("a?c", "ac", False),
    ("*/debug/*", "a/debug/b", True),
    ("*/debug/*", "a/debug", False), ("a*", "a/b/c", True), ("a.c", "abc", False)])
def test_glob(pattern, text, matches):
    assert model.glob_matches(pattern, text) is matches


@pytest.mark.parametrize("pattern, image, excluded", [
    ("docker.io/library/busybox", "busybox", True),
    ("docker.io/library/busybox", "busybox:1.36", True),
    ("docker.io/library/busybox", "busybox:1@" + SHA256, True),
    ("busybox", "busybox", False),
    ("*:latest", "busybox", False),
    ("*:latest", "busybox:latest", True),
    ("*:latest", "busybox:latest@" + SHA256, False),
    ("*@sha256:*", "busybox:latest@" + SHA256, True),
    ("localhost:5000/*", "localhost:5000/a/b:c", True),
    ("*:5000/x", "localhost:5000/x", True),
    ("*:5000/x", "localhost:5000/x:y", True),
])
def test_exclude(pattern, image, excluded):
    policy = model.Policy("p", None, [], exclude=[pattern])
    assert model.is_excluded(policy, model.parse_reference(image)) is excluded


@pytest.mark.parametrize("one, other, overlap", [
    ("a*", "*b", True), ("a*", "b*", False), ("a?", "ab", True), ("*", "?", True),
    ("a?", "a", False), ("*a*b", "b*a", False), ("*a*b", "b*b", True),
    ("grafana-?", "grafana-*", True)])
def test_globs_overlap(one, other, overlap):
    assert generate.globs_overlap(one, other) is overlap
    assert generate.globs_overlap(other, one) is overlap


# --- whole reviews --------------------------------------------------------------------------------

POLICIES = """
apiVersion: harbor-pilot.io/v1alpha1
kind: Harbor
metadata: {name: default}
spec:
  host: harbor.example.com
  registries: {docker.io: hub, quay.io: quay}
  protected: [kube-system, "*-system"]
---
apiVersion: harbor-pilot.io/v1alpha1
kind: Policy
metadata: {name: wave}
spec:
  namespaces: [apps, "grafana-*"]
  exclude: ["*/debug/*"]
  owners: {include: [tekton.dev/TaskRun, core/Node]}
  registries: [docker.io]
  pullSecret: pull
  pullPolicy: IfNotPresent
---
apiVersion: harbor-pilot.io/v1alpha1
kind: Policy
metadata: {name: late}
spec: {namespaces: [late], rollout: 0}
---
apiVersion: harbor-pilot.io/v1alpha1
kind: Policy
metadata: {name: dead}
spec: {namespaces: [dead], mode: disabled}
---
apiVersion: harbor-pilot.io/v1alpha1
kind: Policy
metadata: {name: looking}
spec: {namespaces: ["grafana-eu", "*"], mode: audit, priority: -1}
---
apiVersion: harbor-pilot.io/v1alpha1
kind: Policy
metadata: {name: first}
spec: {namespaces: ["grafana-us*"], priority: 7}
"""


def policies():
    return model.load_policies({"p.yaml": POLICIES})


def request_of(image="nginx", namespace="apps", pod=None, **container):
    pod = pod or pod_of(name="bare")
    if "containers" not in pod["spec"]:
        pod["spec"]["containers"] = [{"name": "app", "image": image, **container}]
    return {"uid": "1", "kind": generate.POD_KIND, "resource": generate.POD_RESOURCE,
            "namespace": namespace, "operation": "CREATE", "object": pod, "oldObject": None}


def ephemeral_request(names_before=(), **spec):
    pod = pod_of(name="bare")
    pod["spec"] = {"containers": [{"name": "app", "image": "nginx"}],
                   "ephemeralContainers": [{"name": n, "image": "busybox"} for n in ("d1", "d2")],
                   **spec}
    old = json.loads(json.dumps(pod))
    old["spec"]["ephemeralContainers"] = [
        c for c in old["spec"]["ephemeralContainers"] if c["name"] in names_before]
    return {**request_of(pod=pod), "operation": "UPDATE", "subResource": "ephemeralcontainers",
            "oldObject": old}


def pod_with(request, **metadata):
    request["object"]["metadata"].update(metadata)
    return request


@pytest.mark.parametrize("reason, request_", [
    ("protected", request_of(namespace="kube-system")),
    ("protected", request_of(namespace="longhorn-system")),
    ("no-policy", None),
    ("policy-disabled", request_of(namespace="dead")),
    ("mirror-pod", {"userInfo": {"username": "system:node:n"}, **pod_with(request_of(), annotations={
        "kubernetes.io/config.mirror": "", "harbor-pilot.io/mode": "disabled"})}),
    ("rewritten", pod_with(request_of(), annotations={"kubernetes.io/config.mirror": ""})),
    ("opted-out", pod_with(request_of(), annotations={"harbor-pilot.io/mode": "disabled"})),
    ("rewritten", pod_with(request_of(), annotations={"harbor-pilot.io/mode": "Disabled"})),
    ("owned-by-operator", request_of(pod=pod_of(("v1", "ReplicaSet", "x")))),
    ("owned-by-operator", request_of(pod=pod_of(("apps/v1", "Job", "x")))),
    ("owned-by-operator", request_of(pod=pod_of(("apps.kruise.io/v1", "StatefulSet", "x")))),
    ("rewritten", request_of(pod=pod_of(("tekton.dev/v1", "TaskRun", "x")))),
    ("rewritten", request_of(pod=pod_of(("v1", "Node", "x")))),
    ("rewritten", request_of(pod=pod_of(("v1", "ReplicationController", "x")))),
    ("rewritten", request_of(pod=pod_of(("apps/v1", "DaemonSet", "x")))),
    ("pull-policy-never", request_of("auto", imagePullPolicy="Never")),
    ("placeholder", request_of("auto")),
    ("unparseable", request_of("auto:")),
    ("rewritten", request_of("auto:latest")),
    ("already-in-harbor", request_of("harbor.example.com/debug/debug/x")),
    ("registry-not-proxied", request_of("harbor.example.com.evil/x")),
    ("registry-not-proxied", request_of("quay.io/debug/x")),
    ("registry-not-proxied", request_of("ghcr.io/x")),
    ("excluded", request_of("team/debug/x")),
    ("not-in-rollout", request_of("a/" + "b" * 243, "late")),
    ("already-in-harbor", request_of("harbor.example.com/hub/x", "late")),
    ("too-long", request_of("a/" + "b" * 231)),
    ("rewritten", request_of("a/" + "b" * 230)),
    ("pull-secret-missing", ephemeral_request(["d1"])),
    ("rewritten", ephemeral_request(["d1"], imagePullSecrets=[{"name": "pull"}])),
    ("rewritten", request_of()),
])
def test_reason(reason, request_):
    known = policies()
    if reason == "no-policy":
        known.policies = known.policies[:1]
        request_ = request_of(namespace="nobody")
    decisions = model.review(known, "enforce", request_).decisions
    assert [d["rewrite"]["reason"] for d in decisions] == [reason]
    assert (decisions[0]["result"] != decisions[0]["image"]) == (reason == "rewritten")


def test_reason_when_no_policies_could_be_loaded():
    answer = model.review(None, "enforce", request_of(namespace="kube-system"))
    assert answer.decisions == [{
        "field": "/spec/containers/0/image", "container": "app", "image": "nginx",
        "result": "nginx", "rewrite": {"outcome": "keep", "reason": "policy-invalid"}}]
    assert answer.audit_annotations == {}


@pytest.mark.parametrize("namespace, policy, mode", [
    ("apps", "wave", "enforce"), ("grafana-eu", "wave", "enforce"),
    ("grafana-us", "first", "enforce"), ("nobody", "looking", "audit")])
def test_choice_of_policy(namespace, policy, mode):
    assert model.choose_policy(policies(), namespace, {}).name == policy
    assert model.review(policies(), "enforce", request_of(namespace=namespace)).mode == mode
    assert model.review(policies(), "audit", request_of(namespace=namespace)).mode == "audit"


def test_exact_goes_before_glob():
    text = POLICIES.replace("priority: -1", "priority: 0")
    known = model.load_policies({"p.yaml": text})
    assert model.choose_policy(known, "grafana-eu", {}).name == "looking"
    assert model.choose_policy(known, "apps", {}).name == "wave"


def test_everything_that_changes():
    pod = {"metadata": {"generateName": "x-", "namespace": "apps", "annotations": None}, "spec": {
        "initContainers": [{"name": "i", "image": "index.docker.io/a/b:1@" + SHA256}],
        "containers": [{"name": "app", "image": "nginx", "imagePullPolicy": "Always"},
                       {"name": "kept", "image": "ghcr.io/x", "imagePullPolicy": "Always"},
                       {"name": "bare"}, {"name": "empty", "image": ""}],
        "volumes": [{"name": "model", "image": {"reference": "org/model:v1"}},
                    {"name": "r", "rbd": {"image": "nginx"}}, {"name": "e", "image": {}}]}}
    answer = model.review(policies(), "enforce", request_of(pod=pod))
    moved = json.loads(answer.pod["metadata"]["annotations"].pop(model.ORIGINALS_ANNOTATION))
    assert moved == {"i": "index.docker.io/a/b:1@" + SHA256, "app": "nginx",
                     "volume/model": "org/model:v1"}
    assert answer.pod == {
        "metadata": {"generateName": "x-", "namespace": "apps", "annotations": {}}, "spec": {
            "imagePullSecrets": [{"name": "pull"}],
            "initContainers": [{"name": "i", "image": "harbor.example.com/hub/a/b:1@" + SHA256,
                                "imagePullPolicy": "IfNotPresent"}],
            "containers": [{"name": "app", "image": "harbor.example.com/hub/library/nginx",
                            "imagePullPolicy": "IfNotPresent"},
                           {"name": "kept", "image": "ghcr.io/x", "imagePullPolicy": "Always"},
                           {"name": "bare"}, {"name": "empty", "image": ""}],
            "volumes": [{"name": "model", "image": {
                "reference": "harbor.example.com/hub/org/model:v1", "pullPolicy": "IfNotPresent"}},
                {"name": "r", "rbd": {"image": "nginx"}}, {"name": "e", "image": {}}]}}
    assert sorted(answer.audit_annotations) == ["image-app", "image-i", "policy", "volume-model"]


def test_audit_changes_nothing_and_says_what_would():
    answer = model.review(policies(), "audit", request_of())
    assert answer.pod == request_of()["object"]
    assert answer.audit_annotations["image-app"]["result"] == "harbor.example.com/hub/library/nginx"
    assert model.review(policies(), "enforce", request_of()).audit_annotations \
        == answer.audit_annotations


def test_pull_secret_for_an_image_that_was_there_before():
    request = request_of("harbor.example.com/hub/x")
    assert model.review(policies(), "enforce", request).pod["spec"]["imagePullSecrets"] \
        == [{"name": "pull"}]
    request["object"]["spec"]["imagePullSecrets"] = [{"name": "mine"}, {"name": "pull"}]
    assert model.review(policies(), "enforce", request).pod == request["object"]
    pod_with(request, annotations={"harbor-pilot.io/mode": "disabled"})
    del request["object"]["spec"]["imagePullSecrets"]
    assert model.review(policies(), "enforce", request).pod == request["object"]


def test_ephemeral_containers():
    request = ephemeral_request(["d1"], imagePullSecrets=[{"name": "pull"}])
    answer = model.review(policies(), "enforce", request)
    assert [d["container"] for d in answer.decisions] == ["d2"]
    assert answer.pod["metadata"] == request["object"]["metadata"]
    assert answer.pod["spec"]["ephemeralContainers"] == [
        {"name": "d1", "image": "busybox"},
        {"name": "d2", "image": "harbor.example.com/hub/library/busybox",
         "imagePullPolicy": "IfNotPresent"}]
    assert answer.pod["spec"]["containers"] == request["object"]["spec"]["containers"]


@pytest.mark.parametrize("before, kept", [
    ('{"side": "busybox:1", "gone": "nginx", "app": "x", "other": "nginx"}', {"side": "busybox:1"}),
    ('{"side": "quay.io/library/busybox:1"}', {}),
    ('{"side": "docker.io/library/busybox:1"}', {"side": "docker.io/library/busybox:1"}),
    ('{"side": "busybox:1", "n": 1}', {}), ("[]", {}), ("{", {}), ("", {}), ("{}", {}),
    ('{"side": NaN}', {})])
def test_existing_originals(before, kept):
    pod = pod_of(annotations={model.ORIGINALS_ANNOTATION: before, "x": "y"})
    pod["spec"]["containers"] = [
        {"name": "app", "image": "nginx"}, {"name": "other", "image": "ghcr.io/a"},
        {"name": "side", "image": "harbor.example.com/hub/library/busybox:1"}]
    after = model.review(policies(), "enforce", request_of(pod=pod)).pod["metadata"]["annotations"]
    assert json.loads(after.pop(model.ORIGINALS_ANNOTATION)) == {**kept, "app": "nginx"}
    assert after == {"x": "y"}
    del pod["spec"]["containers"][0]
    assert model.review(policies(), "enforce", request_of(pod=pod)).pod["metadata"] \
        == pod["metadata"]


@pytest.mark.parametrize("over", [0, 1])
def test_annotations_limit(over):
    ours = len(model.ORIGINALS_ANNOTATION) + len('{"app":"nginx"}')
    filler = "ü" + "f" * (262144 - ours - len("k") - 2 + over)
    answer = model.review(policies(), "enforce",
                          pod_with(request_of(), annotations={"k": filler}))
    assert (model.ORIGINALS_ANNOTATION in answer.pod["metadata"]["annotations"]) is (over == 0)
    assert answer.pod["spec"]["containers"][0]["image"] == "harbor.example.com/hub/library/nginx"


@pytest.mark.parametrize("length, key", [
    (48, "image-" + "a" * 48), (49, "image-" + "a" * 39 + "-8f9bec6a")])
def test_long_names_in_audit_keys(length, key):
    request = request_of()
    request["object"]["spec"]["containers"][0]["name"] = "a" * length
    answer = model.review(policies(), "enforce", request)
    assert sorted(answer.audit_annotations) == [key, "policy"]


@pytest.mark.parametrize("change", [
    {"operation": "UPDATE"}, {"operation": "DELETE"}, {"subResource": "binding"},
    {"operation": "UPDATE", "subResource": "status"},
    {"kind": {"group": "apps", "version": "v1", "kind": "Deployment"}}])
def test_other_requests_do_not_concern_us(change):
    answer = model.review(policies(), "enforce", {**request_of(), **change})
    assert (answer.decisions, answer.audit_annotations) == ([], {})
    assert answer.pod == request_of()["object"]


# --- the generator --------------------------------------------------------------------------------

def test_generated_policies_are_yaml_and_reproducible():
    for seed in range(30):
        files = generate.generate_policies(random.Random(str(seed)))
        assert files == generate.generate_policies(random.Random(str(seed)))
        for text in files.values():
            for document in yaml.safe_load_all(text):
                assert document["kind"] in ("Harbor", "Policy")


def test_generated_bodies_are_what_they_encode():
    for seed in range(10):
        known = model.load_policies(generate.generate_policies(random.Random(str(seed))))
        for i in range(20):
            path_mode, review = generate.generate_review(random.Random(f"{seed}/{i}"), known)
            assert json.loads(generate.encode(random.Random(str(i)), review)) == review
            assert generate.generate_review(random.Random(f"{seed}/{i}"), known) \
                == (path_mode, review)


def test_every_reason_is_generated_often():
    reasons = collections.Counter()
    for seed in range(11, 27):      # 20: the set of broken policies
        the_set = differential.Set(seed)
        for _, path_mode, review, _ in the_set.reviews():
            answer = model.review(the_set.policies, path_mode, review["request"])
            reasons.update(d["rewrite"]["reason"] for d in answer.decisions)
    assert set(reasons) == set(model.REASONS)
    assert min(reasons.values()) >= 10, reasons


# --- the patch applier ----------------------------------------------------------------------------

def test_patch():
    document = {"a": [{"b/c": 1}], "d~e": None}
    assert differential.apply_patch(document, [
        {"op": "replace", "path": "/a/0/b~1c", "value": 2},
        {"op": "add", "path": "/a/-", "value": 3}, {"op": "add", "path": "/a/0", "value": 0},
        {"op": "replace", "path": "/d~0e", "value": {}},
        {"op": "add", "path": "/d~0e/f", "value": 4},
    ]) == {"a": [0, {"b/c": 2}, 3], "d~e": {"f": 4}}
    assert document == {"a": [{"b/c": 1}], "d~e": None}


@pytest.mark.parametrize("operation", [
    {"op": "replace", "path": "/x", "value": 1}, {"op": "replace", "path": "/a/1", "value": 1},
    {"op": "replace", "path": "/a/-", "value": 1}, {"op": "add", "path": "/x/y", "value": 1},
    {"op": "add", "path": "/a/2", "value": 1}, {"op": "add", "path": "/n/y", "value": 1},
    {"op": "test", "path": "/a", "value": [1]}, {"op": "remove", "path": "/a"},
    {"op": "add", "path": "a", "value": 1}, {"op": "add", "path": "/a~2", "value": 1},
    {"op": "add", "path": "", "value": 1}, {"op": "add", "path": "/a/00", "value": 1},
    {"op": "add", "path": "/a"}, {"op": "add", "path": "/b", "value": 1, "from": "/a"}])
def test_patch_that_would_be_refused(operation):
    with pytest.raises(ValueError):
        differential.apply_patch({"a": [1], "n": None}, [operation])


# --- the comparison finds what is wrong -----------------------------------------------------------

def answer_of(review, patch=None, annotations=None, **response):
    response = {"uid": review["request"]["uid"], "allowed": True, **response}
    if patch is not None:
        response.update(patchType="JSONPatch",
                        patch=base64.b64encode(json.dumps(patch).encode()).decode())
    if annotations is not None:
        response["auditAnnotations"] = annotations
    return json.dumps({"apiVersion": review["apiVersion"], "kind": "AdmissionReview",
                       "response": response}).encode()


def test_comparison():
    request = request_of(namespace="nobody-at-all")
    request["namespace"] = "grafana-us"
    review = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}
    model_says = model.review(policies(), "enforce", request)
    decision = dict(model_says.audit_annotations["image-app"], source="p.yaml:1")
    annotations = {"policy": "first", "image-app": json.dumps(decision)}
    good = [{"op": "replace", "path": "/spec/containers/0/image",
             "value": "harbor.example.com/hub/library/nginx"},
            {"op": "add", "path": "/metadata/annotations",
             "value": {model.ORIGINALS_ANNOTATION: "{ \"app\" : \"nginx\" }"}}]

    def found(body):
        return [d.partition(":")[0]
                for d in differential.compare(review, "enforce", model_says, 200, body)[0]]

    assert found(answer_of(review, good, annotations)) == []
    assert found(answer_of(review, good, annotations, allowed=False)) == ["allowed"]
    assert found(answer_of(review, good[:1], annotations)) == ["pod"]
    assert found(answer_of(review, None, annotations)) == ["patch", "pod"]
    assert found(answer_of(review, good, {"policy": "first"})) == ["auditAnnotations"]
    assert found(answer_of(review, good, {**annotations, "policy": "wave"})) == ["auditAnnotations"]
    assert found(answer_of(review, [], annotations)) == ["answer"]
    assert found(answer_of(review, good, annotations, uid="2")) == ["answer"]
    assert found(answer_of(review, good, annotations).replace(b"/v1", b"/v1beta1")) == ["answer"]
    assert found(b"{}") == ["answer"]
    assert found(b"{") == ["answer"]


# --- the gate -------------------------------------------------------------------------------------
# docs/policies.md, the gate; and the facts file

GATE_POLICIES = """\
apiVersion: harbor-pilot.io/v1alpha1
kind: Harbor
metadata: {name: default}
spec:
  host: harbor.example.com
  registries: {docker.io: hub, quay.io: quay}
  trustedControllers: ["system:serviceaccount:argo:argo-rollouts"]
  api: {url: "https://harbor.example.com"}
---
apiVersion: harbor-pilot.io/v1alpha1
kind: Policy
metadata: {name: p}
spec:
  namespaces: [apps]
  registries: [docker.io]
  exclude: ["docker.io/library/excluded"]
  findings: FINDINGS
"""
CRITICAL = {"id": "CVE-1", "severity": "Critical", "package": "openssl", "fix": "3.0"}
MANAGER = "system:kube-controller-manager"


def gate_of(artifact, findings="{}", image="x:1", owner=None, user=None, kind="Pod", harbor=None,
            now=generate.NOW):
    """The model's gate for one image, as `outcome reason`, or None."""
    policies = model.load_policies({"p.yaml": GATE_POLICIES.replace("FINDINGS", findings)})
    metadata = {"name": "web", "namespace": "apps"}
    if owner:
        metadata["ownerReferences"] = [{"apiVersion": "apps/v1", "kind": owner, "name": "o",
                                        "controller": True}]
    spec = {"containers": [{"name": "c", "image": image}]}
    thing = {"apiVersion": "v1" if kind == "Pod" else "apps/v1", "kind": kind, "metadata": metadata,
             "spec": spec if kind == "Pod" else {"template": {"spec": spec}}}
    if user is not None:
        thing = {"kind": "AdmissionReview", "request": {
            "kind": {"group": "" if kind == "Pod" else "apps", "kind": kind}, "namespace": "apps",
            "operation": "CREATE", "userInfo": {"username": user}, "object": thing}}
    artifacts = {} if artifact is None else {"hub/library/x:1": artifact, "quay/x:1": artifact,
                                             "hub/library/excluded:latest": artifact}
    facts = model.Facts({"harbors": {"default": dict(harbor or {}, artifacts=artifacts)}}, now)
    [decision] = model.plan(policies, "enforce", thing, facts)
    gate = decision.get("gate")
    return gate and f"{gate['outcome']} {gate['reason']}"


def scanned(*findings, age=60, **scan):
    finished = generate.time_text(generate.NOW - age)
    return {"present": True, "scan": dict({"finished": finished, "findings": list(findings)}, **scan)}


@pytest.mark.parametrize("artifact, findings, expected", [
    (scanned(), "{}", "allow clean"),
    (scanned(CRITICAL), "{}", "deny findings"),
    (scanned(CRITICAL), "{action: warn}", "warn findings"),
    (scanned(dict(CRITICAL, severity="High")), "{}", "allow below-threshold"),
    (scanned(dict(CRITICAL, severity="High")), "{severity: high}", "deny findings"),
    (scanned(dict(CRITICAL, allowlisted=True)), "{}", "allow allowlisted"),
    (scanned(CRITICAL), "{allow: [{id: CVE-1}]}", "allow allowlisted"),
    (scanned(CRITICAL), "{allow: [{id: CVE-1, until: 2026-11-20}]}", "allow allowlisted"),
    (scanned(CRITICAL), "{allow: [{id: CVE-1, until: 2026-11-19}]}", "deny findings"),
    (scanned(dict(CRITICAL, fix="")), "{fixableOnly: true}", "allow below-threshold"),
    (scanned(CRITICAL, age=168 * 3600), "{}", "deny findings"),
    (scanned(CRITICAL, age=168 * 3600 + 1), "{}", "warn too-old"),
    (scanned(CRITICAL, age=5401), "{maxAge: 1h30m, unscanned: deny}", "deny too-old"),
    (scanned(partial=True), "{}", "warn scan-failed"),
    (scanned(CRITICAL, partial=True), "{}", "deny findings"),
    (scanned(CRITICAL, status="Running"), "{}", "deny findings"),
    (scanned(status="Running"), "{unscanned: allow}", "allow scanning"),
    (scanned(status="Error"), "{}", "warn scan-failed"),
    (scanned(CRITICAL, status="Running", age=168 * 3600 + 1), "{}", "warn scanning"),
    (scanned(CRITICAL, status="None"), "{}", "deny findings"),
    (scanned(status="Unknown"), "{unavailable: warn}", "warn unavailable"),
    (scanned(CRITICAL) | {"allowlist": "unknown"}, "{}", "allow unavailable"),
    ({"present": True, "scan": {"counts": {"Critical": 2}}}, "{}", "deny findings"),
    ({"present": True, "scan": {"counts": {"High": 2}}}, "{}", "allow below-threshold"),
    ({"present": True, "scan": {"counts": {}}}, "{}", "allow clean"),
    ({"present": True, "scan": {"counts": {"Critical": 2}}}, "{fixableOnly: true}",
     "allow unavailable"),
    ({"present": True, "scan": {"counts": {"Critical": 2}}}, "{allow: [{id: X}]}",
     "allow unavailable"),
    ({"present": True, "scan": {"counts": {"Critical": 2}}}, "{allow: [{id: X, until: 2020-01-01}]}",
     "deny findings"),
    ({"present": True}, "{}", "warn unscanned"),
    ({"present": False, "servable": True}, "{unscanned: deny}", "deny unscanned"),
    ({"present": True, "scannable": False}, "{unscanned: deny}", "allow not-scannable"),
    ({"present": True, "pullGate": "refused"}, "{}", "deny refused-by-harbor"),
    ({"inProxyFilter": False}, "{}", "warn unproxied"),
    ({"authorized": False}, "{}", "allow unavailable"),
    (None, "{unavailable: warn}", "warn unavailable"),
])
def test_gate_of_a_bare_pod(artifact, findings, expected):
    assert gate_of(artifact, findings) == expected


@pytest.mark.parametrize("arguments, expected", [
    ({"image": "auto"}, None),
    ({"image": "ghcr.io/x"}, "warn unproxied"),
    ({"image": "NO"}, "warn unproxied"),
    ({"image": "excluded"}, "deny findings"),
    ({"image": "quay.io/x:1"}, "deny findings"),
    ({"image": "harbor.example.com/hub/library/x:1"}, "deny findings"),
    ({"image": "harbor.example.com/x"}, "warn unproxied"),
    ({"harbor": {"healthy": False}}, "allow unavailable"),
    ({"harbor": {"authorized": False}}, "allow unavailable"),
    ({"owner": "ReplicaSet"}, "warn findings"),
    ({"owner": "ReplicaSet", "user": MANAGER}, "warn findings"),
    ({"owner": "ReplicaSet", "user": "alice"}, "deny findings"),
    ({"owner": "ReplicaSet", "user": "system:serviceaccount:argo:argo-rollouts"}, "warn findings"),
    ({"owner": "ReplicaSet", "user": MANAGER, "findings": "{enforceOn: pods}"}, "deny findings"),
    ({"user": MANAGER}, "deny findings"),
    ({"kind": "Deployment"}, "deny findings"),
    ({"kind": "ReplicaSet", "owner": "Deployment"}, None),
    ({"kind": "ReplicaSet", "owner": "Deployment", "user": "alice"}, "deny findings"),
    ({"kind": "ReplicaSet", "owner": "Deployment", "user": MANAGER}, None),
])
def test_gate_of_objects(arguments, expected):
    assert gate_of(scanned(CRITICAL), **arguments) == expected


def test_ten_cves_are_shown_and_all_are_counted():
    artifact = scanned(*[dict(CRITICAL, id=f"CVE-{i:02}") for i in range(12)], CRITICAL | {"fix": ""},
                       dict(CRITICAL, severity="low"))
    policies = model.load_policies({"p.yaml": GATE_POLICIES.replace("FINDINGS", "{}")})
    gate = model.judge(policies.policies[0], "x:1", False, model.Facts(
        {"recorded": "2026-11-20T12:00:00Z",
         "harbors": {"default": {"artifacts": {"hub/library/x:1": artifact}}}}))
    assert gate["counts"] == {"Critical": 13, "Low": 1}
    assert [c["id"] for c in gate["cves"]] == [f"CVE-{i:02}" for i in range(10)]
    assert gate["scanned"] == "2026-11-20T11:59:00Z"


def test_gate_sets_hold_everything():
    """The generator reaches each reason and outcome, and repeats itself."""
    assert generate.generate_gate_set(5) == generate.generate_gate_set(5)
    reasons = collections.Counter()
    for seed in range(1, 17):
        files, documents, facts = generate.generate_gate_set(seed)
        policies = model.load_policies(files)
        for document in documents:
            for decision in model.plan(policies, "enforce", document, model.Facts(facts)):
                gate = decision.get("gate", {"reason": None, "outcome": None})
                reasons[gate["reason"]] += 1
    assert set(reasons) == {None, "clean", "below-threshold", "allowlisted", "findings", "unscanned",
                            "scanning", "scan-failed", "not-scannable", "too-old", "unproxied",
                            "unavailable", "refused-by-harbor"}
    assert min(reasons.values()) >= 10, reasons


def test_gate_differences_are_found(monkeypatch):
    """A binary that says something else is noticed."""
    files, documents, facts = generate.generate_gate_set(5)
    policies = model.load_policies(files)

    def plan_of_the_model(self, files, documents, facts, mode, spoil=None):
        images = collections.defaultdict(dict)
        for number, document in enumerate(documents):
            for decision in model.plan(policies, mode, document, model.Facts(facts)):
                images[number][decision["field"]] = decision
        judged = [d for i in images.values() for d in i.values() if "gate" in d]
        counts = collections.Counter(d["gate"]["outcome"] for d in judged)
        if spoil:
            spoil(judged)
        return {"errors": [], "summary": {k: counts[k] for k in ("deny", "warn")}}, images

    def differ(spoil):
        run = differential.GateRun(keep_going=True)
        monkeypatch.setattr(differential.GateRun, "plan", lambda self, f, d, x, m:
                            plan_of_the_model(self, f, d, x, m, spoil))
        run.run_set(5)
        return run.mismatches

    assert differ(None) == []
    assert differ(lambda judged: judged[0]["gate"].update(reason="x"))
    assert differ(lambda judged: judged[0].pop("gate"))

    def with_cves(judged):
        return next(d["gate"] for d in judged if d["gate"].get("cves"))

    assert differ(lambda judged: with_cves(judged)["cves"].pop())
    assert differ(lambda judged: with_cves(judged)["counts"].update(High=99))


@needs_binary
def test_the_gate_of_plan_agrees_with_the_model():
    the_run = differential.run_gate(ROUNDS, SEED)
    print(f"{the_run.rounds} documents from seed {SEED} on, {the_run.images} images: "
          f"{dict(the_run.reasons)}")
    assert the_run.images > the_run.rounds


# --- the binary -----------------------------------------------------------------------------------

@needs_binary
def test_binary_agrees_with_the_model():
    the_run = differential.run(ROUNDS, SEED)
    print(f"{the_run.rounds} rounds from seed {SEED} on, {the_run.logged} log lines compared: "
          f"{dict(the_run.reasons)}")
    assert the_run.logged > 0


def has_command(name):
    if not differential.BINARY.exists():
        return False
    return subprocess.run([differential.BINARY, name, "--help"], capture_output=True,
                          timeout=60).returncode == 0


def documents_of(the_set):
    """(manifest, model's answer) for the Pods that are created in enforce."""
    for _, path_mode, review, _ in the_set.reviews():
        request = review["request"]
        if path_mode == "enforce" and model.concerns_us(request) \
                and request["operation"] == "CREATE":
            # A manifest says its namespace itself; without one it would be `default`.
            request["object"]["metadata"]["namespace"] = request["namespace"]
            request["userInfo"] = {"username": "system:node:n"}  # a manifest's mirror Pod is believed
            yield request["object"], model.review(the_set.policies, path_mode, request)


@needs_binary
@pytest.mark.skipif(not has_command("plan"), reason="there is no `plan` yet")
def test_plan_agrees_with_the_model(tmp_path):
    for seed in range(SEED, SEED + 3):
        the_set = differential.Set(seed)
        if the_set.policies is None:
            continue
        directory = tmp_path / str(seed)
        directory.mkdir()
        for name, text in the_set.files.items():
            (directory / name).write_text(text, encoding="utf-8")
        expected, lines = {}, []
        for pod, answer in documents_of(the_set):
            lines += ["---", json.dumps(pod)]
            for decision in answer.decisions:
                expected[len(lines), decision["field"]] = decision
        environment = dict(os.environ, HARBOR_PILOT_NAMESPACE=the_set.own_namespace or "")
        result = subprocess.run(
            [differential.BINARY, "plan", "--policies", directory, "-f", "-", "-o", "json"],
            input="\n".join(lines).encode(), capture_output=True, timeout=60, env=environment)
        got = {(int(image["document"].rpartition(":")[2]), image["field"]):
               differential.comparable(image) for image in json.loads(result.stdout)["images"]}
        assert got == expected, f"seed {seed}"


@needs_binary
@pytest.mark.skipif(not has_command("explain"), reason="there is no `explain` yet")
def test_explain_agrees_with_the_model(tmp_path):
    the_set = differential.Set(SEED if differential.Set(SEED).policies else SEED + 1)
    for name, text in the_set.files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    environment = dict(os.environ, HARBOR_PILOT_NAMESPACE=the_set.own_namespace or "")
    rng = random.Random(f"{SEED}/explain")
    for _ in range(100):
        namespace = rng.choice(generate.NAMESPACES)
        harbor = rng.choice(the_set.policies.harbors)
        image = generate.generate_image(rng, harbor, the_set.policies.harbors).replace("\0", "")
        api_version, kind = rng.choice(generate.BUILT_IN_OWNERS + generate.OTHER_OWNERS)
        request = request_of(image, namespace, pod_of((api_version, kind, "web-5d4f"), "5d4f"))
        [decision] = model.review(the_set.policies, "enforce", request).decisions
        group = api_version.partition("/")[0] if "/" in api_version else "core"
        result = subprocess.run(
            [differential.BINARY, "explain", "-n", namespace, "--policies", tmp_path,
             "--owner", f"{group}/{kind}/web-5d4f", "--pod-template-hash", "5d4f", "-o", "json",
             "--", image],
            capture_output=True, timeout=60, env=environment)
        got = differential.comparable(json.loads(result.stdout))
        for key in ("image", "result", "rewrite", "policy", "bucket"):
            assert got.get(key) == decision.get(key), (image, namespace, result.stdout)
