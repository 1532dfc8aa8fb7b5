"""Warnings where another admission policy in the input may refuse the new names."""

import pytest

from clilib import HOST, OURS
from test_plan_input import dump

PATTERN = {"validate": {"pattern": {"spec": {"containers": [{"image": "ghcr.io/org/*"}]}}}}
RIVALS = [
    ("kyverno.io/v1", "ClusterPolicy", {"rules": [PATTERN]}),
    ("kyverno.io/v1", "Policy", {"rules": [PATTERN]}),
    (
        "kyverno.io/v2beta1",
        "ClusterPolicy",
        {"rules": [{"verifyImages": [{"imageReferences": ["ghcr.io/*"]}]}]},
    ),
    (
        "policies.kyverno.io/v1alpha1",
        "ImageValidatingPolicy",
        {"matchImageReferences": [{"glob": "ghcr.io/org/*"}]},
    ),
    (
        "constraints.gatekeeper.sh/v1beta1",
        "K8sAllowedRepos",
        {"parameters": {"repos": ["quay.io/", "ghcr.io/org"]}},
    ),
    (
        "templates.gatekeeper.sh/v1",
        "ConstraintTemplate",
        {
            "targets": [
                {"rego": 'violation[{"msg": "no"}] { not startswith(input.image, "ghcr.io/") }'}
            ]
        },
    ),
    (
        "admissionregistration.k8s.io/v1",
        "ValidatingAdmissionPolicy",
        {
            "validations": [
                {"expression": "object.spec.containers.all(c, c.image.startsWith('ghcr.io/'))"}
            ]
        },
    ),
    ("policy.sigstore.dev/v1beta1", "ClusterImagePolicy", {"images": [{"glob": "ghcr.io/org/**"}]}),
    ("portieris.cloud.ibm.com/v1", "ClusterImagePolicy", {"repositories": [{"name": "ghcr.io/org/*"}, {"name": "*"}]}),
    ("portieris.cloud.ibm.com/v1", "ImagePolicy", {"repositories": [{"name": "ghcr.io/*"}]}),
    (
        "policies.kubewarden.io/v1",
        "ClusterAdmissionPolicy",
        {"settings": {"signatures": [{"image": "ghcr.io/org/*", "githubActions": {"owner": "org"}}]}},
    ),
    ("policies.kubewarden.io/v1", "AdmissionPolicy", {"settings": {"registries": {"allow": ["ghcr.io"]}}}),
]


def rival(version, kind, spec):
    return {
        "apiVersion": version,
        "kind": kind,
        "metadata": {"name": "allowed-registries"},
        "spec": spec,
    }


@pytest.mark.parametrize("version, kind, spec", RIVALS, ids=[f"{v}-{k}" for v, k, _ in RIVALS])
def test_a_policy_that_names_a_registry(program, version, kind, spec):
    plan = program.plan("---\n" + dump(rival(version, kind, spec)))
    about = [w for w in plan["warnings"] if "`ghcr.io`" in w["message"]]
    assert len(about) == 1 and about[0]["document"] == "-:2"
    for part in (kind, "allowed-registries", HOST):
        assert part in about[0]["message"], about
    assert plan["images"] == plan["errors"] == []


def test_warnings_as_text(program):
    result = program("plan", "--policies", OURS, stdin=dump(rival(*RIVALS[0])))
    assert (
        "-:1:1: warning: ClusterPolicy `allowed-registries`" in result.err
        and "allowed-registries" not in result.out
    )


@pytest.mark.parametrize(
    "spec",
    [
        {"images": ["ghcr.io/org/*", f"{HOST}/*"]},  # names Harbor too
        {"images": ["gcr.io/*", "registry.example.com/*"]},  # none that a Policy moves
        {"images": ["my-ghcr.io/*", "ghcr.io.example.com/*", "xghcr.io", "ghcr.iox"]},
    ],
    ids=["Harbor too", "others", "longer names"],
)
def test_no_warning(program, spec):
    for version, kind, _ in RIVALS:
        assert program.plan(dump(rival(version, kind, spec)))["warnings"] == []


def docker_hub(version, kind, spec, program):
    plan = program.plan(dump(rival(version, kind, spec)))
    return [w["message"] for w in plan["warnings"] if "`docker.io`" in w["message"]]


@pytest.mark.parametrize(
    "globs, warned",
    [
        (["docker.io/library/*"], True),
        (["index.docker.io/**"], True),
        (["*"], True),  # of Sigstore: index.docker.io/library/*
        (["*/*"], True),
        (["nginx*"], True),
        (["docker.io/*", "**"], False),  # takes the new names, too
        (["docker.io/**", f"{HOST.split(':')[0]}:8443/*"], False),  # names Harbor
        (["docker.io/**", "harbor.*/*"], True),  # `*` ends at a `/`: HOST/PROJECT/… is longer
        (["docker.io/**", "harbor.*/**"], False),
        (["gcr.io/**"], False),
    ],
)
def test_globs_of_sigstore(program, globs, warned):
    spec = {"images": [{"glob": g} for g in globs]}
    assert len(docker_hub("policy.sigstore.dev/v1beta1", "ClusterImagePolicy", spec, program)) == warned


@pytest.mark.parametrize(
    "references, warned",
    [(["docker.io/*"], True), (["docker.io/*", "*"], False), (["docker.io/*", "harbor.*/*"], False), (["docker.io/*", "quay.io/*"], True)],
)
def test_globs_of_kyverno_and_kubewarden(program, references, warned):
    """A `*` crosses `/`."""
    rules = {"match": {"any": [{"resources": {"names": ["*"]}}]}, "verifyImages": [{"imageReferences": references}]}
    assert len(docker_hub("kyverno.io/v1", "ClusterPolicy", {"rules": [rules]}, program)) == warned
    signatures = {"settings": {"signatures": [{"image": r} for r in references]}}
    assert len(docker_hub("policies.kubewarden.io/v1", "ClusterAdmissionPolicy", signatures, program)) == warned


def test_the_nearest_pattern_is_another_rule(program):
    """Portieris and Connaisseur take the most specific one: a `*` beside it verifies otherwise."""
    spec = {"repositories": [{"name": "docker.io/*"}, {"name": "*"}]}
    assert docker_hub("portieris.cloud.ibm.com/v1", "ClusterImagePolicy", spec, program)
    rules = 'policy:\n- pattern: "*:*"\n- pattern: "docker.io/library/*:*"\n  validator: dockerhub\n'
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "connaisseur-app-config"}, "data": {"config.yaml": rules}}
    for name, warned in (("connaisseur-app-config", 1), ("other", 0)):
        config["metadata"]["name"] = name
        said = [w["message"] for w in program.plan(dump(config))["warnings"]]
        assert len(said) == warned and all("`docker.io`" in m and "skip them where it checks signatures" in m for m in said)


def test_a_pattern_that_was_made_to_take_for_ever(program):
    spec = {"images": [{"glob": "docker.io/" + "*a" * 240 + "b"}]}
    assert docker_hub("policy.sigstore.dev/v1beta1", "ClusterImagePolicy", spec, program)


def test_other_kinds_may_name_registries(program):
    others = [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "c"},
            "data": {"registry": "ghcr.io"},
        },
        {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "MutatingWebhookConfiguration",
            "metadata": {"name": "w", "annotations": {"a": "ghcr.io"}},
        },
    ]
    assert program.plan(dump(*others))["warnings"] == []


def test_only_registries_that_a_policy_moves(program, tmp_path):
    """With one Policy that moves docker.io alone, a rule about ghcr.io is no rival; a disabled
    Policy moves nothing."""
    harbor = (
        "apiVersion: harbor-pilot.io/v1alpha1\nkind: Harbor\nmetadata: {name: h}\n"
        "spec: {host: h.example.com, registries: {docker.io: hub, ghcr.io: ghcr}}\n---\n"
        "apiVersion: harbor-pilot.io/v1alpha1\nkind: Policy\nmetadata: {name: p}\n"
        "spec: {namespaces: [loki], registries: [docker.io], mode: %s}\n"
    )
    docker = rival("kyverno.io/v1", "ClusterPolicy", {"images": ["docker.io/*"]})
    for mode, expected in (("enforce", 1), ("audit", 1), ("disabled", 0)):
        (tmp_path / "p.yaml").write_text(harbor % mode)
        plan = program.plan(dump(rival(*RIVALS[0]), docker), policies=tmp_path / "p.yaml")
        assert len(plan["warnings"]) == expected, (mode, plan["warnings"])
