"""Which images and which Pods a document means: parts of registries and renames, by `plan`, `explain`
and cases."""

import json

import pytest

from clilib import check_decision, check_plan, pod

HARBOR = """apiVersion: harbor-pilot.io/v1alpha1
kind: Harbor
metadata: {name: h}
spec:
  host: h.example.com
  registries:
    docker.io: hub
    docker.io/library: official
    ghcr.io/my-org: org
    quay.io: quay
  renames:
    docker.io/bitnami: docker.io/bitnamilegacy
    k8s.gcr.io: quay.io/k8s
"""
POLICY = """---
apiVersion: harbor-pilot.io/v1alpha1
kind: Policy
metadata: {name: all}
spec: {namespaces: [all]}
---
apiVersion: harbor-pilot.io/v1alpha1
kind: Policy
metadata: {name: some}
spec:
  namespaces: [some]
  registries: [docker.io, ghcr.io/my-org]
  exclude: ["docker.io/bitnami/*"]
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "p.yaml").write_text(HARBOR + POLICY)
    return tmp_path


def explain(program, folder, image, namespace, *args):
    return program("explain", image, "-n", namespace, "--policies", folder, *args)


def test_parts_of_registries(program, folder):
    (folder / "p.cases").write_text("""
        all   grafana/grafana:11     h.example.com/hub/grafana/grafana:11
        all   nginx:1                h.example.com/official/library/nginx:1
        all   ghcr.io/my-org/app:1   h.example.com/org/my-org/app:1
        all   ghcr.io/other/app:1    keep:registry-not-proxied
        all   ghcr.io/my-organ/a:1   keep:registry-not-proxied
        some  grafana/grafana:11     h.example.com/hub/grafana/grafana:11
        some  nginx:1                keep:registry-not-proxied
        some  ghcr.io/my-org/app:1   h.example.com/org/my-org/app:1
        some  quay.io/a/b            keep:registry-not-proxied
    """)
    said = program("check", "--policies", folder, "-o", "json").json()
    assert said["cases"] == {"passed": 9, "failed": []}
    said = explain(program, folder, "nginx:1", "some").out
    assert "To move it: add `docker.io/library` to `registries` of Policy `some`." in said


def test_renames(program, folder):
    (folder / "p.cases").write_text("""
        all   bitnami/redis:7        h.example.com/hub/bitnamilegacy/redis:7
        all   bitnamilegacy/redis:7  h.example.com/hub/bitnamilegacy/redis:7
        all   k8s.gcr.io/pause:3.9   h.example.com/quay/k8s/pause:3.9
        some  bitnami/redis:7        keep:excluded
        some  bitnamilegacy/redis:7  h.example.com/hub/bitnamilegacy/redis:7
        some  k8s.gcr.io/pause:3.9   keep:registry-not-proxied
    """)
    said = program("check", "--policies", folder, "-o", "json").json()
    assert said["cases"] == {"passed": 6, "failed": []}


def test_renames_are_shown(program, folder):
    said = check_decision(explain(program, folder, "bitnami/redis:7", "all", "-o", "json").json())
    assert said["image"] == "bitnami/redis:7"
    assert said["renamed"] == "docker.io/bitnamilegacy/redis:7"
    assert said["result"] == "h.example.com/hub/bitnamilegacy/redis:7"
    text = explain(program, folder, "bitnami/redis:7", "all").out
    assert f"renamed    docker.io/bitnamilegacy/redis:7 ({folder}/p.yaml:12)\n" in text
    assert "renamed" not in explain(program, folder, "redis:7", "all").out
    assert "renamed" not in explain(program, folder, "bitnami/redis:7", "some").out
    text = explain(program, folder, "k8s.gcr.io/pause:3.9", "some").out
    assert f"renamed    quay.io/k8s/pause:3.9 ({folder}/p.yaml:13)\n" in text

    manifest = json.dumps(pod("bitnami/redis:7", "redis:7", "k8s.gcr.io/pause", namespace="all"))
    plan = check_plan(program.plan(manifest, policies=folder))
    assert [i.get("renamed") for i in plan["images"]] == [
        "docker.io/bitnamilegacy/redis:7", None, "quay.io/k8s/pause"]
    table = program("plan", "--policies", folder, "-f", "-", stdin=manifest, env={"COLUMNS": "200"}).out
    lines = table.splitlines()
    assert lines[1].split() == [
        "bitnami/redis:7", "→", "h.example.com/hub/bitnamilegacy/redis:7"]
    assert lines[2] == (f"      renamed: docker.io/bitnami is now docker.io/bitnamilegacy "
                        f"({folder}/p.yaml:12)")
    assert lines[3].split() == ["redis:7", "→", "h.example.com/official/library/redis:7"]
    patch = program("plan", "--policies", folder, "-f", "-", "-o", "patch", stdin=manifest).json()
    originals = [o["value"] for o in patch["patch"] if "original-images" in json.dumps(o)][0]
    assert "bitnami/redis:7" in json.dumps(originals) and "bitnamilegacy" not in json.dumps(originals)


def test_chains_are_errors(program, folder):
    (folder / "p.yaml").write_text(HARBOR.replace("quay.io/k8s", "docker.io/bitnami/k8s"))
    said = program("check", "--policies", folder, status=2)
    assert ("p.yaml:13:5: `k8s.gcr.io/app` would become `docker.io/bitnami/k8s/app`, which "
            "`docker.io/bitnami` (") in said.out + said.err
