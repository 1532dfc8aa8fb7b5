"""Which images and which Pods a document means: parts of registries, renames and selectors of Pods, by
`plan`, `explain` and cases."""

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


# --- podSelector ---

SELECTORS = """---
apiVersion: harbor-pilot.io/v1alpha1
kind: Policy
metadata: {name: rest}
spec: {namespaces: [shop], exclude: ["*"]}
---
apiVersion: harbor-pilot.io/v1alpha1
kind: Policy
metadata: {name: web}
spec: {namespaces: [shop], podSelector: {matchLabels: {tier: web}}}
---
apiVersion: harbor-pilot.io/v1alpha1
kind: Policy
metadata: {name: named}
spec:
  namespaces: ["*-only"]
  podSelector: {matchExpressions: [{key: app.kubernetes.io/name, operator: In, values: [a, b]}]}
"""


@pytest.fixture
def shop(tmp_path):
    (tmp_path / "p.yaml").write_text(HARBOR + SELECTORS)
    return tmp_path


def test_cases_with_labels(program, shop):
    (shop / "p.cases").write_text("""
        shop    redis:7  keep:excluded
        shop    redis:7  keep:excluded                           labels=tier=db
        shop    redis:7  h.example.com/official/library/redis:7  labels=tier=web
        shop    redis:7  h.example.com/official/library/redis:7  labels=x=y,tier=web,z=
        a-only  redis:7  keep:no-policy
        a-only  redis:7  keep:no-policy                          labels=app.kubernetes.io/name=c
        a-only  redis:7  h.example.com/official/library/redis:7  labels=app.kubernetes.io/name=b
    """)
    said = program("check", "--policies", shop, "-o", "json").json()
    assert said["cases"] == {"passed": 7, "failed": []}
    for wrong in ["labels=", "labels=tier", "labels=tier=web,", "labels=-=web", "labels=tier=a/b"]:
        (shop / "p.cases").write_text(f"shop redis:7 keep:excluded {wrong}\n")
        said = program("check", "--policies", shop, status=2)
        assert "expected NAME=VALUE such as `tier=web`" in said.out + said.err, wrong


def test_explain_with_labels(program, shop):
    said = explain(program, shop, "redis:7", "shop", "--label", "tier=web", "--label", "a=b", "-o", "json").json()
    assert said["policy"] == "web"
    assert [(c["policy"], c["matched"], c["reason"]) for c in said["considered"]] == [
        ("web", True, "claims the namespace by name: `shop`"),
        ("rest", False, "claims the namespace by name: `shop`, but one with a podSelector comes first"),
        ("named", False, "none of its namespaces is `shop`")]
    said = explain(program, shop, "redis:7", "shop", "-o", "json").json()
    assert said["policy"] == "rest"
    assert said["considered"][0]["reason"] == (
        "claims the namespace by name: `shop`, but not Pods with these labels (podSelector)")
    said = explain(program, shop, "redis:7", "a-only").out
    assert "keep: no-policy" in said and "Only Pods with other labels are claimed here" in said
    assert "name the namespace in `namespaces`" in explain(program, shop, "redis:7", "nobody").out
    said = program("explain", "x", "-n", "shop", "--policies", shop, "--label", "tier", status=2)
    assert "the label is `tier`, expected NAME=VALUE such as `tier=web`" in said.err


def test_plan_goes_by_the_labels_of_the_template(program, shop):
    def deployment(own, template):
        return {"apiVersion": "apps/v1", "kind": "Deployment",
                "metadata": {"name": "web", "namespace": "shop", "labels": own},
                "spec": {"template": {"metadata": {"labels": template},
                                      "spec": {"containers": [{"name": "c", "image": "redis:7"}]}}}}
    web = pod("redis:7", namespace="shop")
    web["metadata"]["labels"] = {"tier": "web"}
    items = [deployment({"tier": "web"}, {}), deployment({}, {"tier": "web"}),
             deployment({}, {"tier": "db"}), pod("redis:7", namespace="shop"), web]
    manifest = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
    plan = check_plan(program.plan(manifest, policies=shop))
    assert [i["policy"] for i in plan["images"]] == ["rest", "web", "rest", "rest", "web"]


def test_a_namespace_of_which_some_pods_are_claimed(program, shop):
    (shop / "namespaces.txt").write_text("shop a-only nobody")
    said = program("check", "--policies", shop, "--namespaces", shop / "namespaces.txt", "-o", "json").json()
    assert said["unclaimed"] == ["nobody"]


def test_a_gate_that_labels_get_round(program, shop):
    text = HARBOR.replace("  renames:", "  api: {url: 'https://h.example.com'}\n  renames:")
    text += SELECTORS.replace("{tier: web}}}", "{tier: web}}, findings: {}}")
    (shop / "p.yaml").write_text(text)
    warned = "`findings` can be got round in `shop`: who writes a Pod's labels"
    said = program("check", "--policies", shop)
    assert said.out.count(warned) + said.err.count(warned) == 1
    (shop / "p.yaml").write_text(text.replace('exclude: ["*"]', "findings: {severity: High}"))
    said = program("check", "--policies", shop)
    assert warned not in said.out + said.err
