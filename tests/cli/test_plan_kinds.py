"""Kinds whose Pod templates plan finds by itself, and what it says of objects that it passes over."""

import json
import re

import pytest

from clilib import HERE, OURS, ROOT, check_plan, pod
from test_plan_input import dump, names

TEMPLATE = {"spec": {"containers": [{"name": "a", "image": "nginx"}]}}
AS_CONTAINERS = {"steps", "sidecars", "initContainers", "containers"}
AS_SPEC = {"predictor", "transformer", "explainer"}


def rows(program):
    tables = program("help", "--dump-interface").json()
    keys = ("podKindGroups", "podKinds", "podKindPointers", "podKindOwners")
    return list(zip(*(tables[key] for key in keys)))


def held(part):
    """What stands at a pointer with this end, and the image's pointer below it."""
    if part in AS_CONTAINERS:
        return TEMPLATE["spec"]["containers"], "/0/image"
    if part in AS_SPEC:
        return TEMPLATE["spec"], "/containers/0/image"
    if part in ("container", "script"):
        return TEMPLATE["spec"]["containers"][0], "/image"
    return TEMPLATE, "/spec/containers/0/image"


def made(group, kind, pointer, inner=None):
    """An object of the kind with one template, and the pointer of its image; `*` is made a list."""
    parts = pointer.split("/")[1:]
    value, image = (inner, "/spec/containers/0/image") if inner else held(parts[-1])
    for part in reversed(parts):
        value = [value] if part == "*" else {part: value}
    obj = {"apiVersion": f"{group}/v1", "kind": kind, "metadata": {"name": "web", "namespace": "loki"}}
    return {**obj, **value}, pointer.replace("*", "0") + image


def test_every_row_finds_its_image_and_says_whose_pod_it_is(program):
    built_in = {"apps/ReplicaSet", "apps/StatefulSet", "batch/Job", "core/ReplicationController"}
    table = [row for row in rows(program) if row[1] != "AppWrapper"]
    assert len(table) > 60 and len({row[:2] for row in table}) > 30
    for group, kind, pointer, owner in table:
        obj, field = made(group, kind, pointer)
        plan = program.plan(json.dumps(obj))
        assert [i["field"] for i in plan["images"]] == [field], (kind, pointer)
        reason = plan["images"][0]["rewrite"]["reason"]
        assert reason == ("rewritten" if owner in built_in else "owned-by-operator"), (kind, reason)
        assert plan["passedOver"] == [] and plan["warnings"] == []


def test_an_object_inside_another(program):
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "train"}, "spec": {"template": TEMPLATE}}
    obj, _ = made("workload.codeflare.dev", "AppWrapper", "/spec/components/*/template", inner=job)
    (image,) = program.plan(json.dumps(obj))["images"]
    assert image["field"] == "/spec/components/0/template/spec/template/spec/containers/0/image"
    assert (image["kind"], image["name"], image["namespace"]) == ("Job", "train", "loki")
    assert image["rewrite"]["reason"] == "rewritten"


def test_maps_are_gone_through_as_lists_are(program):
    replicas = {"Master": {"template": TEMPLATE}, "a/b~c": {"template": TEMPLATE}}
    obj = {"apiVersion": "kubeflow.org/v1", "kind": "PyTorchJob", "metadata": {"name": "t", "namespace": "loki"},
           "spec": {"pytorchReplicaSpecs": replicas}}
    plan = program.plan(json.dumps(obj))
    assert [i["field"] for i in plan["images"]] == [
        f"/spec/pytorchReplicaSpecs/{part}/template/spec/containers/0/image" for part in ("Master", "a~1b~0c")
    ]


def test_a_leader_worker_set_has_two(program):
    """Both are found; the leader's may be left out."""
    spec = {"leaderTemplate": TEMPLATE, "workerTemplate": TEMPLATE}
    obj = {"apiVersion": "leaderworkerset.x-k8s.io/v1", "kind": "LeaderWorkerSet",
           "metadata": {"name": "llm", "namespace": "loki"}, "spec": {"leaderWorkerTemplate": spec}}
    fields = [i["field"] for i in program.plan(json.dumps(obj))["images"]]
    assert [f.split("/")[3] for f in fields] == ["leaderTemplate", "workerTemplate"]
    del spec["leaderTemplate"]
    plan = program.plan(json.dumps(obj))
    assert len(plan["images"]) == 1 and plan["warnings"] == []


def test_several_templates_of_one_kind(program):
    """Both are read; one that no object has is named, and so is a kind that is not there."""
    obj = {"apiVersion": "example.com/v1", "kind": "Pair", "metadata": {"name": "p", "namespace": "team-red"},
           "spec": {"one": TEMPLATE, "two": TEMPLATE}}
    told = ["--template", "Pair.example.com=/spec/one", "--template", "Pair.example.com=/spec/two"]
    plan = program.plan(json.dumps(obj), *told)
    assert [i["field"].split("/")[2] for i in plan["images"]] == ["one", "two"] and not plan["warnings"]
    told[-1] += "o"
    plan = program.plan(json.dumps(obj), *told)
    assert len(plan["images"]) == 1
    assert ["Pair.example.com=/spec/twoo" in w["message"] for w in plan["warnings"]] == [True]
    plan = program.plan(json.dumps(obj), "--template", "Pear.example.com=/spec/one")
    assert ["no object of this kind" in w["message"] for w in plan["warnings"]] == [True]


def test_operators_md_lists_the_kinds_of_the_program(program):
    text = (ROOT / "docs" / "operators.md").read_text()
    section = re.search(r"^## Kinds that `plan` knows.*?(?=^## )", text, re.M | re.S)[0]
    described = re.findall(r"^\| `([\w.-]+)/(\w+)` \| (.+?) \| (.+?) \|$", section, re.M)
    said = {(g, k, p, o) for g, k, pointers, owners in described
            for p, o in zip(re.findall(r"`([^`]+)`", pointers), owners.split(", "))}
    assert said == {(g, k, p, f"`{o}`" if o else "itself") for g, k, p, o in rows(program)}


# --- what is passed over ---

FLUX = [
    {"apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease", "metadata": {"name": f"h{n}"},
     "spec": {"values": {"image": "nginx:1"}}} for n in range(3)
] + [{"apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization", "metadata": {"name": f"k{n}"}}
     for n in range(2)]
OPERATED = [
    {"apiVersion": "monitoring.coreos.com/v1", "kind": "Prometheus", "metadata": {"name": f"p{n}"},
     "spec": {"image": "prom/prometheus:v3", "thanos": {"image": "thanos:1"}, "x": [{"image": ""}, {"image": 1}]}}
    for n in range(2)
] + [{"apiVersion": "monitoring.coreos.com/v1", "kind": "Alertmanager", "metadata": {"name": "a"},
      "spec": {"image": "prom/alertmanager:v0.28"}}]
PLAIN_OBJECTS = [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"image": "nginx"}}]


def test_passed_over_in_json(program):
    plan = program.plan(dump(*FLUX, *OPERATED, *PLAIN_OBJECTS, pod("nginx")))
    passed = {row["kind"]: row for row in plan["passedOver"]}
    assert {k: (r["group"], r["objects"], r["images"]) for k, r in passed.items()} == {
        "HelmRelease": ("helm.toolkit.fluxcd.io", 3, 0),
        "Kustomization": ("kustomize.toolkit.fluxcd.io", 2, 0),
        "Prometheus": ("monitoring.coreos.com", 2, 4),
        "Alertmanager": ("monitoring.coreos.com", 1, 1),
        "ConfigMap": ("", 1, 0),
    }
    assert {k for k, r in passed.items() if "remedy" in r} == {"HelmRelease", "Kustomization"}
    assert passed["HelmRelease"]["remedy"].startswith("helm template ")
    assert passed["Kustomization"]["remedy"].startswith("flux build kustomization ")


def test_passed_over_as_text(program):
    out = program("plan", "--policies", OURS, stdin=dump(*FLUX, *OPERATED, *PLAIN_OBJECTS)).out
    assert "passed over: 3 HelmRelease, 2 Kustomization, 2 Prometheus, 1 Alertmanager, 1 ConfigMap\n" in out
    assert "HelmRelease: render it first:\n  helm template " in out
    assert "5 images in 3 Prometheus, Alertmanager: their operator makes the Pods\n" in out
    assert "passed over" not in program("plan", "--policies", OURS, stdin=dump(pod("nginx"))).out


def test_many_kinds_are_wrapped(program):
    many = [{"apiVersion": "example.com/v1", "kind": f"AKindOfAnOperator{n}", "metadata": {"name": "x"}} for n in range(20)]
    out = program("plan", "--policies", OURS, stdin=dump(*many), env={"COLUMNS": "80"}).out
    lines = out[out.index("passed over") :].splitlines()
    assert len(lines) > 5 and max(map(len, lines)) <= 80 and out.count("AKindOfAnOperator") == 20


def test_nothing_seen_of_what_is_expected_to_move(program):
    program("plan", "--policies", OURS, "--expect-all-moved", stdin=dump(*FLUX), status=3)


@pytest.mark.parametrize("group, kind", [("argoproj.io", "Application"), ("helm.cattle.io", "HelmChart")])
def test_remedies(program, group, kind):
    obj = {"apiVersion": f"{group}/v1", "kind": kind, "metadata": {"name": "x"}}
    assert program.plan(dump(obj))["passedOver"][0]["remedy"]


# --- input without a document ---

KUBECTL = "NAME    READY   STATUS    RESTARTS      AGE\nweb-0   1/1     Running   2 (3d ago)   9d\n"


@pytest.mark.parametrize("text", ["hello world\n", KUBECTL, "image: nginx\nreplicas: 1\n", "- a\n- b\n"])
def test_input_without_a_document(program, text):
    plan = program.plan(text, status=2)
    (error,) = plan["errors"]
    assert "expected objects of Kubernetes" in error["message"] and "-o json" in error["message"]
    assert error["document"] == "-:1"


def test_text_beside_manifests(program, tmp_path):
    """A file of text alone is an error; beside it, all is planned."""
    (tmp_path / "a.txt").write_text(KUBECTL)
    (tmp_path / "b.yaml").write_text(dump(pod("nginx")))
    result = program("plan", "--policies", OURS, "-o", "json", "-f", tmp_path / "a.txt", "-f", tmp_path / "b.yaml", status=2)
    plan = check_plan(result.json())
    assert names(plan) == ["web"] and [e["document"] for e in plan["errors"]] == [f"{tmp_path}/a.txt:1"]


def test_files_and_directories_as_kubectl_takes_them(program, tmp_path):
    for name in ("b.yaml", "a.yml", "c.json", "d.txt", ".hidden.yaml"):
        (tmp_path / name).write_text(json.dumps(pod("nginx", name=name[0])))
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "e.yaml").write_text(json.dumps(pod("nginx", name="e")))
    command = ["plan", "--policies", OURS, "-o", "json"]
    assert names(check_plan(program(*command, "-f", tmp_path).json())) == ["a", "b", "c"]
    plan = check_plan(program(*command, tmp_path / "c.json", tmp_path / "below").json())
    assert names(plan) == ["c", "e"]
    assert plan["images"][1]["document"] == f"{tmp_path}/below/e.yaml:1"


def test_one_image(program):
    out = program("plan", "--policies", OURS, stdin=dump(pod("nginx"))).out
    assert out.endswith("\n1 image: 1 rewritten, 0 kept\n")


def test_the_namespace_of_documents_without_one(program):
    bare = pod("nginx", name="bare")
    del bare["metadata"]["namespace"]
    plan = program.plan(dump(bare, pod("nginx", namespace="apps")), "-n", "loki")
    assert [i["namespace"] for i in plan["images"]] == ["loki", "apps"]
    assert program.plan(dump(bare), "--namespace=batch")["images"][0]["namespace"] == "batch"


# --- templates that were not rendered ---


@pytest.mark.parametrize(
    "document",
    [
        "kind: Deployment\nspec:\n  replicas: {{n}}\n",
        'kind: Pod\nmetadata: {name: "{{ .Release.Name }}-web"}\n',
        'kind: Pod\nmetadata: {name: web, namespace: "{{ns}}"}\n',
    ],
)
def test_a_template_that_was_not_rendered_is_an_error_of_its_document(program, document):
    text = "apiVersion: v1\n" + document + "---\n" + dump(pod("nginx", name="last"))
    plan = program.plan(text, status=2)
    assert names(plan) == ["last"] and len(plan["errors"]) == 1
    assert "not rendered" in plan["errors"][0]["message"]


def test_an_image_tagged_as_text_is_text(program):
    text = dump(pod("x")).replace("image: x", "image: !!str 16")
    assert "!!str 16" in text
    assert [i["image"] for i in program.plan(text)["images"]] == ["16"]
