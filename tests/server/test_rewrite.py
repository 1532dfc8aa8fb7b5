"""What becomes of Pods: every reason, the patch, and all that must not change."""

import copy
import hashlib
import json

import pytest

from reviews import HARBOR, check_response, container, debug, images, mutate, owner, patch_of, pod, review
from serverlib import select

HUB = f"{HARBOR}/docker-hub-proxy"
LONG = "docker.io/" + "/".join(["a" * 60] * 4)[:235]  # a reference, but with Harbor's host and project it would be none

# the reasons of harbor-pilot-explain(1), in the order in which reasons win; those with facts (`api`) are not here
REASONS = ["policy-invalid", "protected", "no-policy", "policy-disabled", "mirror-pod", "opted-out", "owned-by-operator",
           "pull-policy-never", "placeholder", "image-id", "unparseable", "already-in-harbor", "registry-not-proxied", "excluded",
           "not-in-rollout", "too-long", "pull-secret-missing", "rewritten"]

MIRROR = {"kubernetes.io/config.mirror": "0b3c"}
NODE = {"username": "system:node:n1", "groups": ["system:nodes"]}
OPTED_OUT = {"harbor-pilot.io/mode": "disabled"}
OPERATOR = [owner("postgresql.cnpg.io/v1", "Cluster", "db")]


def ephemeral(*containers, **how):
    return debug(pod("harbor.example.com/x/y", **how), *containers)


# (reason, what is special, the review); each has one image that is asked about
CASES = [
    ("protected", "named", review(pod("nginx", namespace="kube-system"))),
    ("protected", "the namespace it runs in", review(pod("nginx", namespace="own"))),
    ("protected", "wins over any other", review(pod("UPPER:", namespace="harbor", annotations={**MIRROR, **OPTED_OUT}))),
    ("no-policy", "no Policy names it", review(pod("nginx", namespace="elsewhere"))),
    ("no-policy", "a glob that nearly matches", review(pod("nginx", namespace="plai"))),
    ("no-policy", "wins over the Pod's own", review(pod("nginx", namespace="elsewhere", annotations=OPTED_OUT))),
    ("policy-disabled", "", review(pod("nginx", namespace="retired"))),
    ("policy-disabled", "wins over a mirror Pod", review(pod("nginx", namespace="retired", annotations=MIRROR))),
    ("mirror-pod", "", review(pod("nginx", annotations=MIRROR), userInfo=NODE)),
    ("mirror-pod", "whatever its value", review(pod("nginx", annotations={"kubernetes.io/config.mirror": ""}), userInfo=NODE)),
    ("mirror-pod", "wins over opted-out", review(pod("nginx", annotations={**MIRROR, **OPTED_OUT}), userInfo=NODE)),
    ("opted-out", "", review(pod("nginx", annotations=OPTED_OUT))),
    ("opted-out", "wins over an operator's", review(pod("nginx", annotations=OPTED_OUT, owners=OPERATOR))),
    ("owned-by-operator", "", review(pod("nginx", owners=OPERATOR))),
    ("owned-by-operator", "a known kind of another group", review(pod("nginx", owners=[
        owner("apps.kruise.io/v1beta1", "StatefulSet", "x")]))),
    ("owned-by-operator", "a Node", review(pod("nginx", owners=[owner("v1", "Node", "n1")]))),
    ("owned-by-operator", "the controller counts, wherever it stands", review(pod("nginx", owners=[
        owner("apps/v1", "ReplicaSet", "x", controller=False), *OPERATOR]))),
    ("owned-by-operator", "wins over Never", review(pod(container(imagePullPolicy="Never"), owners=OPERATOR))),
    ("pull-policy-never", "", review(pod(container(imagePullPolicy="Never")))),
    ("pull-policy-never", "of a volume", review(pod(volumes=[
        {"name": "v", "image": {"reference": "quay.io/a/b:1", "pullPolicy": "Never"}}]))),
    ("pull-policy-never", "wins over the placeholder", review(pod(container(image="auto", imagePullPolicy="Never")))),
    ("placeholder", "Istio's", review(pod("auto"))),
    ("image-id", "64 hexadecimal digits", review(pod("a" * 64))),
    ("unparseable", "upper case", review(pod("docker.io/library/Nginx:1"))),
    ("unparseable", "white space", review(pod(" nginx"))),
    ("unparseable", "an empty tag", review(pod("nginx:"))),
    ("unparseable", "a short digest", review(pod("nginx@sha256:abc"))),
    ("unparseable", "control characters", review(pod("ngi\nnx\u2028"))),
    ("already-in-harbor", "", review(pod(f"{HUB}/library/nginx:1"))),
    ("already-in-harbor", "in a project of another kind", review(pod(f"{HARBOR}/mine/app@sha256:" + "a" * 64))),
    ("registry-not-proxied", "no project", review(pod("registry.gitlab.com/a/b:1"))),
    ("registry-not-proxied", "a port is another domain", review(pod("docker.io:443/library/nginx"))),
    ("registry-not-proxied", "Docker's other name is a domain of its own", review(pod("registry-1.docker.io/library/nginx"))),
    ("registry-not-proxied", "localhost", review(pod("localhost/nginx"))),
    ("registry-not-proxied", "not among the Policy's", review(pod("ghcr.io/a/b:1", namespace="monitoring"))),
    ("excluded", "", review(pod("busybox:1.36", namespace="monitoring"))),
    ("excluded", "by its whole name", review(pod("index.docker.io/library/busybox", namespace="monitoring"))),
    ("not-in-rollout", "", review(pod("nginx", namespace="later"))),
    ("not-in-rollout", "wins over too-long", review(pod(LONG, namespace="later"))),
    ("too-long", "", review(pod(LONG))),
    ("pull-secret-missing", "an ephemeral container", ephemeral(container("d", "busybox:1"), namespace="apps")),
    ("pull-secret-missing", "another secret is there", ephemeral(container("d", "busybox:1"), namespace="apps",
                                                                 imagePullSecrets=[{"name": "other"}])),
    ("rewritten", "", review(pod("nginx:1.27"))),
    ("rewritten", "no tag", review(pod("quay.io/a/b"))),
    ("rewritten", "a glob", review(pod("nginx", namespace="plain-7"))),
    ("rewritten", "owned, but not controlled", review(pod("nginx", owners=[
        owner("postgresql.cnpg.io/v1", "Cluster", "db", controller=False)]))),
    ("rewritten", "of a Job", review(pod("nginx", owners=[owner("batch/v1", "Job", "j-28374650")]))),
    ("rewritten", "of a ReplicationController", review(pod("nginx", owners=[owner("v1", "ReplicationController", "r")]))),
    ("rewritten", "of a DaemonSet", review(pod("nginx", owners=[owner("apps/v1", "DaemonSet", "d")]))),
    ("rewritten", "the annotation says something else", review(pod("nginx", annotations={"harbor-pilot.io/mode": "audit"}))),
    ("rewritten", "an ephemeral container", ephemeral(container("d", "busybox:1"))),
    ("rewritten", "an ephemeral container, with the secret", ephemeral(container("d", "busybox:1"), namespace="apps",
                                                                       imagePullSecrets=[{"name": "harbor-pull"}])),
    ("rewritten", "the annotation of a mirror Pod, by a person", review(pod("nginx", annotations=MIRROR))),
]


@pytest.fixture(scope="module")
def cases_server(places):
    own = places.start(env={"HARBOR_PILOT_NAMESPACE": "own"}).await_ready()
    yield own
    own.stop()


def counted(server, ask):
    """The answer of `ask`, and what it added to harborpilot_images_total: [(labels, n)]."""
    before = server.metrics()
    answer = ask()
    after = server.metrics()
    added = [(labels, value - sum(v for _, v in select(before, "harborpilot_images_total", **labels)))
             for labels, value in select(after, "harborpilot_images_total")]
    return answer, [(labels, n) for labels, n in added if n]


@pytest.mark.parametrize("reason,what,sent", CASES, ids=[f"{c[0]}: {c[1]}" if c[1] else c[0] for c in CASES])
def test_each_reason(cases_server, reason, what, sent):
    (response, after), added = counted(cases_server, lambda: mutate(cases_server, sent))
    assert [(labels["reason"], n) for labels, n in added] == [(reason, 1)], added
    rewritten = reason == "rewritten"
    assert added[0][0]["outcome"] == ("rewrite" if rewritten else "keep")
    assert ("patch" in response) == rewritten, response
    if not rewritten:
        assert after == sent["request"]["object"]


def broken(places, start):
    path = places.new_directory() / "broken.yaml"
    path.write_text("kind: Nothing\n")
    return start(path)


@pytest.mark.parametrize("sent", [review(pod("nginx")), review(pod("nginx", namespace="kube-system"))], ids=["", "protected"])
def test_policy_invalid(places, start, sent):
    server = broken(places, start)
    (response, _), added = counted(server, lambda: mutate(server, sent))
    assert [(labels["reason"], labels["outcome"], n) for labels, n in added] == [("policy-invalid", "keep", 1)]
    assert "patch" not in response


def test_every_reason_has_a_case():
    covered = {case[0] for case in CASES} | {"policy-invalid"}
    assert covered == set(REASONS)
    order = [case[0] for case in CASES]
    assert order == sorted(order, key=REASONS.index), "the table is in the order in which reasons win"


# --- the patch ---

def everything():
    """A Pod with an image in each place, and much that is nobody's business but its own."""
    return pod(
        container("app", "nginx:1.27@sha256:" + "a" * 64, imagePullPolicy="IfNotPresent", env=[{"name": "image", "value": "x"}]),
        container("sidecar", "quay.io/a/b"), container("kept", "registry.example.com/x:1"),
        container("here", f"{HUB}/library/redis:7"), {"name": "none"},
        initContainers=[container("init", "ghcr.io/a/init:2", restartPolicy="Always")],
        ephemeralContainers=[container("debug", "busybox")],
        volumes=[{"name": "v", "image": {"reference": "docker.io/a/model:1"}}, {"name": "w", "emptyDir": {}},
                 {"name": "ceph", "rbd": {"image": "nginx", "monitors": ["m"]}}, {"name": "y", "image": {}}],
        annotations={"a/b~c": "d", "x": "\u2028\x7f\"\\"}, labels={"app": "x"}, namespace="apps",
        imagePullSecrets=[{"name": "first"}])


def test_every_place_of_an_image(server):
    _, after = mutate(server, review(everything()))
    assert images(after) == {
        "init": f"{HARBOR}/ghcr-proxy/a/init:2", "app": f"{HUB}/library/nginx:1.27@sha256:" + "a" * 64,
        "sidecar": f"{HARBOR}/quay-proxy/a/b", "kept": "registry.example.com/x:1", "here": f"{HUB}/library/redis:7",
        "none": None, "debug": f"{HUB}/library/busybox", "volume/v": f"{HUB}/a/model:1", "volume/y": None,
    }


def test_originals_secret_and_pull_policy(server):
    _, after = mutate(server, review(everything()))
    originals = json.loads(after["metadata"]["annotations"]["harbor-pilot.io/original-images"])
    assert originals == {"init": "ghcr.io/a/init:2", "app": "nginx:1.27@sha256:" + "a" * 64, "sidecar": "quay.io/a/b",
                         "debug": "busybox", "volume/v": "docker.io/a/model:1"}
    assert after["spec"]["imagePullSecrets"] == [{"name": "first"}, {"name": "harbor-pull"}]
    policies = {c["name"]: c.get("imagePullPolicy") for c in after["spec"]["containers"]}
    assert policies == {"app": "Always", "sidecar": "Always", "kept": None, "here": None, "none": None}
    assert after["spec"]["volumes"][0]["image"]["pullPolicy"] == "Always"


def stripped(obj):
    """Without all that harbor-pilot may change."""
    rest = copy.deepcopy(obj)
    spec = rest["spec"]
    for key in ("containers", "initContainers", "ephemeralContainers"):
        for one in spec.get(key) or []:
            one.pop("image", None), one.pop("imagePullPolicy", None)
    for volume in spec.get("volumes") or []:
        for key in ("reference", "pullPolicy"):
            (volume.get("image") or {}).pop(key, None)
    spec["imagePullSecrets"] = [s for s in spec.get("imagePullSecrets") or [] if s != {"name": "harbor-pull"}]
    rest["metadata"]["annotations"] = {k: v for k, v in (rest["metadata"].get("annotations") or {}).items()
                                       if k != "harbor-pilot.io/original-images"}
    return rest


STRANGE = {"": "", "a/b~1": [1, [], {}, None, True], "image": "nginx", "\u65e5\U0001f600": "\u0001\u2028", "deep": [[[[{"x": [{}]}]]]]}


def test_fields_of_kubernetes_versions_to_come_survive(server):
    before = everything()
    before["future"] = before["metadata"]["future"] = before["spec"]["future"] = STRANGE
    before["spec"]["superContainers"] = [container("s", "nginx")]
    for one in (before["spec"]["containers"][0], before["spec"]["initContainers"][0], before["spec"]["volumes"][0],
                before["spec"]["volumes"][0]["image"]):
        one["future"] = STRANGE
    _, after = mutate(server, review(before))
    assert images(after)["app"].startswith(HARBOR)
    assert stripped(after) == stripped(before)
    assert after["spec"]["superContainers"] == [container("s", "nginx")]


@pytest.mark.parametrize("change", [
    {"annotations": None}, {"annotations": {}}, {"labels": None}, {"ownerReferences": None}, {"managedFields": None}],
    ids=str)
def test_null_and_empty_metadata(server, change):
    before = pod("nginx")
    before["metadata"].update(change)
    _, after = mutate(server, review(before))
    assert after["metadata"]["annotations"]["harbor-pilot.io/original-images"] == '{"c0":"nginx"}'
    assert stripped(after) == stripped(before)


@pytest.mark.parametrize("change", [
    {"imagePullSecrets": None}, {"imagePullSecrets": []}, {"initContainers": None}, {"volumes": None}, {"volumes": [{}]},
    {"volumes": [{"name": "v", "image": None}]}, {"initContainers": []}, {"ephemeralContainers": {}}], ids=str)
def test_null_and_empty_spec(server, change):
    before = pod(container("a", "nginx", imagePullPolicy=None), namespace="apps")
    before["spec"].update(change)
    _, after = mutate(server, review(before))
    assert images(after)["a"] == f"{HUB}/library/nginx"
    assert after["spec"]["containers"][0]["imagePullPolicy"] == "Always"
    assert after["spec"]["imagePullSecrets"] == [{"name": "harbor-pull"}]


@pytest.mark.parametrize("obj", [
    {"apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": "plain"}},
    {"apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": "plain"}, "spec": None},
    {"apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": "plain"}, "spec": {"containers": "nginx"}},
    {"apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": "plain"}, "spec": {"containers": ["nginx", None, 5]}},
    {"apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": "plain"}, "spec": {"containers": [{"image": 5}, {"image": ""}]}},
], ids=range(5))
def test_pods_that_the_api_server_would_refuse_are_allowed_unchanged(server, obj):
    assert "patch" not in check_response(sent := review(obj), server.post("/mutate/enforce", sent))


def test_a_second_pass_changes_nothing(server):
    for namespace in ("apps", "plain", "monitoring"):
        before = everything()
        before["metadata"]["namespace"] = namespace
        _, once = mutate(server, review(before))
        assert once != before
        response, twice = mutate(server, review(once))
        assert twice == once and "patch" not in response, patch_of(response)


def test_round_two_sees_what_came_in_between(server):
    """A sidecar that a later webhook added (reinvocation): only it is new, and the first originals stay."""
    _, once = mutate(server, review(pod(container("app", "nginx:1"))))
    once["spec"]["containers"].append(container("late", "quay.io/late/er:2"))
    _, twice = mutate(server, review(once))
    assert images(twice) == {"app": f"{HUB}/library/nginx:1", "late": f"{HARBOR}/quay-proxy/late/er:2"}
    assert json.loads(twice["metadata"]["annotations"]["harbor-pilot.io/original-images"]) == {
        "app": "nginx:1", "late": "quay.io/late/er:2"}


def test_only_new_ephemeral_containers_and_nothing_else_of_the_pod(server):
    before = pod("nginx:1", ephemeralContainers=[container("old", "busybox")])
    sent = debug(before, container("new", "quay.io/a/tools"))
    response, _ = mutate(server, sent)
    assert patch_of(response) == [{"op": "replace", "path": "/spec/ephemeralContainers/1/image",
                                   "value": f"{HARBOR}/quay-proxy/a/tools"}]


# --- what is not asked about ---

def other(api_version="apps/v1", kind="Deployment", namespace="plain"):
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": "x", "namespace": namespace},
            "spec": {"template": pod("nginx"), "containers": [container()]}}


NOT_ASKED = {
    "a Deployment": review(other()), "a Pod of another group": review(other("metrics.k8s.io/v1", "Pod")),
    "a Namespace": review({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "plain"}}),
    "UPDATE of a Pod": review(pod("nginx:2", name="x"), "UPDATE", old=pod("nginx:1", name="x")),
    "DELETE of a Pod": review(None, "DELETE", old=pod("nginx")),
    "CONNECT": review({"apiVersion": "v1", "kind": "PodExecOptions", "metadata": {"namespace": "plain"}}, "CONNECT",
                      sub_resource="exec"),
    "a subresource": review(pod("nginx"), "CREATE", sub_resource="binding"),
    "resize": review(pod("nginx"), "UPDATE", old=pod("nginx"), sub_resource="resize"),
    "no object": {**review(pod("nginx")), "request": {**review(pod("nginx"))["request"], "object": None}},
}


@pytest.mark.parametrize("path", ["/mutate/enforce", "/mutate/audit"])
@pytest.mark.parametrize("what", NOT_ASKED)
def test_all_else_is_allowed_unchanged(server, what, path):
    sent = NOT_ASKED[what]
    response, added = counted(server, lambda: check_response(sent, server.post(path, sent)))
    assert "patch" not in response and not added, (response, added)


@pytest.mark.parametrize("path", ["/validate/enforce", "/validate/audit"])
def test_validating_never_patches(server, path):
    sent = review(everything())
    assert "patch" not in check_response(sent, server.post(path, sent))


def test_v1beta1_is_answered_in_its_version(server):
    sent = review(pod("nginx"), version="v1beta1")
    response, after = mutate(server, sent)  # compares the versions
    assert images(after) == {"c0": f"{HUB}/library/nginx"}


@pytest.mark.parametrize("uid", ["x", "a" * 5000, "\u65e5\U0001f600", "quote\" back\\ slash/ \u2028\u2029\t\n\r\u0000\u001f\u007f"], ids=range(4))
def test_the_uid_comes_back_as_it_was(server, uid):
    for path in ("/mutate/enforce", "/validate/enforce"):
        sent = review(pod("nginx"), uid=uid)
        check_response(sent, server.post(path, sent))


def test_a_dry_run_gets_the_same_answer(server):
    sent = [review(pod("nginx", name="same"), uid="same", dryRun=dry) for dry in (False, True)]
    bodies = [server.post_again("/mutate/enforce", one).body for one in sent]
    assert bodies[0] == bodies[1]


# --- audit ---

@pytest.mark.parametrize("path,namespace", [("/mutate/audit", "plain"), ("/mutate/enforce", "watched"),
                                            ("/mutate/audit", "watched")])
def test_audit_changes_nothing_and_leaves_evidence(server, path, namespace):
    response, after = mutate(server, review(pod(container("app", "nginx:1"), namespace=namespace)), path)
    assert "patch" not in response
    decision = json.loads(response["auditAnnotations"]["image-app"])
    assert decision["rewrite"] == {"outcome": "rewrite", "reason": "rewritten"}
    assert (decision["image"], decision["result"]) == ("nginx:1", f"{HUB}/library/nginx:1")


def test_audit_annotations(server):
    """Keys and values as the man pages say; the first write wins, so round two says the same or nothing."""
    long = "n" * 63
    response, after = mutate(server, review(pod(
        container("app", "nginx:1"), container(long, "redis:7"), container("kept", "registry.example.com/x:1"),
        volumes=[{"name": "v", "image": {"reference": "quay.io/a/b:1"}}])))
    annotations = response["auditAnnotations"]
    assert annotations.keys() == {"policy", "image-app", "volume-v", "image-" + "n" * 39 + "-" + hashlib.sha256(long.encode()).hexdigest()[:8]}
    assert annotations["policy"] == "plain"
    decision = json.loads(annotations["image-app"])
    assert decision.pop("bucket") in range(100)
    assert decision == {"field": "/spec/containers/0/image", "container": "app", "image": "nginx:1",
                        "result": f"{HUB}/library/nginx:1", "rewrite": {"outcome": "rewrite", "reason": "rewritten"},
                        "policy": "plain", "source": "policies/20-waves.yaml:17"}
    volume = json.loads(annotations["volume-v"])
    assert (volume["volume"], volume["field"]) == ("v", "/spec/volumes/0/image/reference")
    for key, value in annotations.items():
        assert len(key) <= 63 and isinstance(value, str)
    again, _ = mutate(server, review(after))
    for key, value in again.get("auditAnnotations", {}).items():
        assert annotations.get(key) == value, f"{key} differs in round two"


def test_no_audit_annotation_without_a_policy(server):
    response, _ = mutate(server, review(pod("nginx", namespace="elsewhere")))
    assert "auditAnnotations" not in response


# --- buckets: three that are known ---

@pytest.mark.parametrize("namespace,bucket,workload", [
    ("monitoring", 74, {"owners": [owner("apps/v1", "ReplicaSet", "grafana-5d4f")], "labels": {"pod-template-hash": "5d4f"}}),
    ("apps", 30, {"owners": [owner("apps/v1", "StatefulSet", "postgres")]}),
    ("apps", 24, {"owners": [owner("batch/v1", "Job", "backup-28374650")]}),
])
def test_rollout_takes_a_workload_in_when_its_bucket_is_below(places, start, namespace, bucket, workload):
    path = places.new_directory() / "p.yaml"

    def text(rollout):
        return ("apiVersion: harbor-pilot.io/v1alpha1\nkind: Harbor\nmetadata: {name: h}\nspec:\n  host: harbor.example.com\n"
                "  registries: {docker.io: docker-hub-proxy}\n---\napiVersion: harbor-pilot.io/v1alpha1\nkind: Policy\n"
                f"metadata: {{name: p}}\nspec:\n  namespaces: [{namespace}]\n  rollout: {rollout}\n")
    path.write_text(text(bucket))
    server = start(path)
    response, after = mutate(server, review(pod("nginx", namespace=namespace, **workload)))
    assert images(after) == {"c0": "nginx"}, f"bucket {bucket} is not below {bucket}"
    path.write_text(text(bucket + 1))
    server.reload()
    response, after = mutate(server, review(pod("nginx", namespace=namespace, **workload)))
    assert images(after) == {"c0": f"{HUB}/library/nginx"}, f"bucket {bucket} is below {bucket + 1}"
    assert json.loads(response["auditAnnotations"]["image-c0"])["bucket"] == bucket
