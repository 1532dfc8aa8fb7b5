"""`explain`: the text, byte for byte, and the JSON."""

import re

import pytest

from clilib import HOST, OURS, REASONS, check_decision
from test_facts import FACT_REASONS

DIGEST = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
OWNER = ["--owner", "apps/ReplicaSet/grafana-7d9c8b5f6d", "--pod-template-hash", "7d9c8b5f6d"]
# reason, image, namespace, options
QUESTIONS = [
    ("rewritten", "grafana/grafana:11.1.0", "monitoring", OWNER),
    ("rewritten", "nginx", "matrix", []),
    ("excluded", "busybox:1.36", "monitoring", []),
    ("protected", "nginx", "storage-a", []),
    ("no-policy", "nginx", "nobody", []),
    ("policy-disabled", "nginx", "vault", []),
    ("owned-by-operator", "nginx", "loki", ["--owner", "postgresql.cnpg.io/Cluster/db"]),
    ("pull-policy-never", "nginx", "loki", ["--pull-policy", "Never"]),
    ("placeholder", "auto", "loki", []),
    ("owned-by-operator", "nginx", "loki", ["--owner", "apps/DaemonSet/longhorn-manager"]),
    ("image-id", "sha256:" + "0123abcd" * 8, "loki", []),
    ("unparseable", "Nginx", "loki", []),
    ("already-in-harbor", f"{HOST}/hub/library/nginx:1", "loki", []),
    ("registry-not-proxied", "gcr.io/x/y:1", "loki", []),
    ("registry-not-proxied", "ghcr.io/x/y:1", "monitoring", []),
    ("not-in-rollout", "nginx", "team-blue", ["--owner", "apps/StatefulSet/web"]),
    ("too-long", "ghcr.io/" + "a/" * 118 + "b", "loki", []),
]
NOT_ON_THIS_COMMAND = {"policy-invalid", "mirror-pod", "opted-out"}


def explain(program, image, namespace, *args):
    return program("explain", image, "-n", namespace, "--policies", OURS, *args)


@pytest.mark.parametrize(
    "reason, image, namespace, args",
    QUESTIONS,
    ids=[f"{q[0]}-{n}" for n, q in enumerate(QUESTIONS)],
)
def test_text(program, golden, reason, image, namespace, args):
    number = [q[0] for q in QUESTIONS[: QUESTIONS.index((reason, image, namespace, args))]].count(
        reason
    )
    result = explain(program, image, namespace, *args)
    assert result.err == ""
    golden(f"explain-{reason}{number or ''}.txt", result.out)


@pytest.mark.parametrize(
    "reason, image, namespace, args",
    QUESTIONS,
    ids=[f"{q[0]}-{n}" for n, q in enumerate(QUESTIONS)],
)
def test_json(program, reason, image, namespace, args):
    said = explain(program, image, namespace, *args, "-o", "json").json()
    check_decision(said)
    assert said["image"] == image and said["rewrite"]["reason"] == reason
    assert said["field"] == "/spec/containers/0/image" and said["mode"] in (
        "disabled",
        "audit",
        "enforce",
    )
    assert ("reference" in said) == (reason not in ("unparseable", "image-id"))
    for one in said["considered"]:
        assert one.keys() >= {"policy", "source", "matched", "reason"} and one["reason"], one
        assert re.fullmatch(rf"{OURS}/10-waves\.yaml:\d+", one["source"]), one
    matched = [one for one in said["considered"] if one["matched"]]
    assert [one["policy"] for one in matched] == ([said["policy"]] if "policy" in said else [])
    if reason not in ("excluded", "protected", "no-policy"):
        assert matched[0]["source"] == said["source"]


def test_every_reason_that_can_be_asked_for_is_asked_for():
    assert {q[0] for q in QUESTIONS} == set(REASONS) - NOT_ON_THIS_COMMAND - set(FACT_REASONS)


@pytest.mark.parametrize(
    "image, reference",
    [
        ("postgres:16", {"domain": "docker.io", "path": "library/postgres", "tag": "16"}),
        ("index.docker.io/grafana/loki", {"domain": "docker.io", "path": "grafana/loki"}),
        ("localhost:5000/x@" + DIGEST, {"domain": "localhost:5000", "path": "x", "digest": DIGEST}),
        (
            "ghcr.io/a/b:1@" + DIGEST,
            {"domain": "ghcr.io", "path": "a/b", "tag": "1", "digest": DIGEST},
        ),
        (
            "registry-1.docker.io/library/nginx",
            {"domain": "registry-1.docker.io", "path": "library/nginx"},
        ),
    ],
)
def test_how_a_reference_is_read(program, image, reference):
    assert explain(program, image, "loki", "-o", "json").json()["reference"] == reference


def test_policies_are_considered_in_order(program):
    """By priority, then exact names before globs, and each says why it is not the one."""
    said = explain(program, "nginx", "team-blue", "-o", "json").json()
    assert [(c["policy"], c["matched"]) for c in said["considered"]][:2] == [
        ("one-team", True),
        ("operators", False),
    ]
    assert "priority 0 is lower" in said["considered"][1]["reason"]
    assert len(said["considered"]) == 8
    said = explain(program, "nginx", "team-red", "-o", "json").json()
    assert [c["policy"] for c in said["considered"]][:2] == ["one-team", "operators"]
    assert [c["matched"] for c in said["considered"]] == [False, True] + [False] * 6
    assert explain(program, "nginx", "kube-system", "-o", "json").json()["considered"] == []


def test_exact_names_come_before_globs(program, tmp_path):
    (tmp_path / "p.yaml").write_text(
        "apiVersion: harbor-pilot.io/v1alpha1\nkind: Harbor\nmetadata: {name: h}\n"
        "spec: {host: h.example.com, registries: {docker.io: hub}}\n"
        "---\napiVersion: harbor-pilot.io/v1alpha1\nkind: Policy\nmetadata: {name: globs}\n"
        "spec: {namespaces: ['a*']}\n"
        "---\napiVersion: harbor-pilot.io/v1alpha1\nkind: Policy\nmetadata: {name: exact}\n"
        "spec: {namespaces: [ab]}\n"
    )
    result = program(
        "explain", "nginx", "-n", "ab", "--policies", tmp_path / "p.yaml", "-o", "json", status=None
    )
    if result.status == 0:
        considered = [(c["policy"], c["matched"]) for c in result.json()["considered"]]
        assert considered == [("exact", True), ("globs", False)]
    else:  # two Policies of one priority that could both claim a namespace
        assert result.status == 2 and "could both claim" in result.err


def test_patterns_that_can_never_match(program, tmp_path):
    """They claim nothing, and explain says so of a namespace of that very name."""
    never = ["Upper*", "Upper_Case", "-a", "x" * 64, "*" + "y" * 64, "a.b", ""]
    (tmp_path / "p.yaml").write_text(
        "apiVersion: harbor-pilot.io/v1alpha1\nkind: Harbor\nmetadata: {name: h}\n"
        "spec: {host: h.example.com, registries: {docker.io: hub}}\n"
        "---\napiVersion: harbor-pilot.io/v1alpha1\nkind: Policy\nmetadata: {name: odd}\n"
        f"spec: {{namespaces: [apps, {', '.join(repr(n) for n in never[:-1])}]}}\n"
        "---\napiVersion: harbor-pilot.io/v1alpha1\nkind: Policy\nmetadata: {name: dead}\n"
        "spec: {namespaces: ['Never*']}\n"
    )
    for name in [n.replace("*", "") for n in never[:-1]] + ["Upperx", "Never", "apps", "other"]:
        said = program(
            "explain", "nginx", "-n", name, "--policies", tmp_path / "p.yaml", "-o", "json"
        ).json()
        matched = [c["policy"] for c in said["considered"] if c["matched"]]
        assert matched == (["odd"] if name == "apps" else []), (name, said)
        assert program("explain", "nginx", "-n", name, "--policies", tmp_path / "p.yaml").out


def test_modes(program):
    for namespace, asked, said in (
        ("loki", "audit", "audit"),
        ("loki", "enforce", "enforce"),
        ("matrix", "enforce", "audit"),
        ("vault", "audit", "disabled"),
    ):
        found = explain(program, "nginx", namespace, "--mode", asked, "-o", "json").json()
        assert found["mode"] == said, namespace
        assert f"(mode {said})" in explain(program, "nginx", namespace, "--mode", asked).out


def test_the_bucket_of_the_interface(program):
    said = explain(program, "grafana/grafana:11.1.0", "monitoring", *OWNER, "-o", "json").json()
    assert said["bucket"] == 74
    for owner, bucket in (("apps/StatefulSet/postgres", 30), ("batch/Job/backup-29384610", 24)):
        assert (
            explain(program, "nginx", "apps", "--owner", owner, "-o", "json").json()["bucket"]
            == bucket
        )


def test_the_own_namespace_is_protected(program):
    result = program(
        "explain",
        "nginx",
        "-n",
        "loki",
        "--policies",
        OURS,
        "-o",
        "json",
        env={"HARBOR_PILOT_NAMESPACE": "loki"},
    )
    assert result.json()["rewrite"]["reason"] == "protected"


def test_options_after_the_image_and_before(program):
    one = program("explain", "nginx", "-n", "loki", "--policies", OURS).out
    assert program("explain", "--policies=" + OURS, "-nloki", "nginx").out == one
    assert program("explain", "--policies", OURS, "--namespace=loki", "--", "nginx").out == one
