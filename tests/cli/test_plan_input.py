"""Manifests as people have them: what `plan` reads, and what it passes over."""

import json
import textwrap

import pytest
import yaml

from clilib import HOST, OURS, check_plan, images, pod, review

POD = (
    "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, namespace: loki}}\n"
    "spec: {{containers: [{{name: app, image: {image}}}]}}\n"
)


def yaml_pod(name="web", image="nginx:1.27"):
    return POD.format(name=name, image=image)


def dump(*objects):
    return yaml.safe_dump_all(objects, sort_keys=False)


def names(plan):
    return [image["name"] for image in plan["images"]]


# --- YAML ---


def test_documents_and_their_lines(program):
    text = (
        "# a comment before all\n---\n# and one inside\n"
        + yaml_pod("one")
        + "--- # with a comment\n"
        + yaml_pod("two")
        + "---\n---\n\n--- \n"
        + yaml_pod("three")
        + "...\n---\t\n"
        + yaml_pod("four")
    )
    plan = program.plan(text)
    assert names(plan) == ["one", "two", "three", "four"]
    lines = text.splitlines()
    assert [i["document"] for i in plan["images"]] == [
        f"-:{n}" for n, line in enumerate(lines, 1) if line.startswith("apiVersion")
    ]


def test_a_document_on_the_line_of_its_separator(program):
    plan = program.plan(
        yaml_pod("one") + "--- {apiVersion: v1, kind: Pod, metadata: {name: two, namespace: loki}, "
        "spec: {containers: [{name: app, image: redis}]}}\n"
    )
    assert names(plan) == ["one", "two"]


@pytest.mark.parametrize(
    "change",
    [
        lambda t: "\ufeff" + t,
        lambda t: t.replace("\n", "\r\n"),
        lambda t: t.rstrip("\n"),
        lambda t: "\n\n" + t,
        lambda t: "\ufeff---\r\n" + t.replace("\n", "\r\n"),
    ],
    ids=["byte order mark", "CRLF", "no end of line", "empty lines", "all of them"],
)
def test_how_editors_write(program, change):
    plan = program.plan(change(yaml_pod("one") + "---\n" + yaml_pod("two")))
    assert names(plan) == ["one", "two"] and not plan["errors"]
    assert images(plan)[0] == ("/spec/containers/0/image", "nginx:1.27")


def test_block_scalars_are_text(program):
    text = textwrap.dedent("""\
        apiVersion: v1
        kind: Pod
        metadata:
          name: web
          namespace: loki
          annotations:
            script: |
              apiVersion: v1
              kind: Pod
              --- not a separator, since it is indented
              image: evil:1
            folded: >-
              image: evil:2
              {{ .Values.image }}
        spec:
          containers:
          - name: app
            image: >-
              nginx:1.27
          - name: other
            image: |-
              redis:7
          - {name: "quoted", image: "postgres:16"}
          - {name: single, image: 'memcached:1'}
        """)
    assert [image for _, image in images(program.plan(text))] == [
        "nginx:1.27",
        "redis:7",
        "postgres:16",
        "memcached:1",
    ]


def test_anchors_aliases_and_merge_keys(program):
    """As the merge type of YAML 1.1 says: its own key wins, then the earlier of several maps."""
    text = textwrap.dedent("""\
        x-defaults: &defaults {image: nginx:1.27, imagePullPolicy: Always, name: merged}
        x-other: &other {image: redis:7, name: other}
        x-nested: &nested
          <<: *defaults
        apiVersion: v1
        kind: Pod
        metadata: {name: web, namespace: loki}
        spec:
          initContainers: &list
          - {name: init, image: &image busybox:1}
          containers:
          - <<: *defaults
          - {<<: *defaults, image: own:1}
          - {image: own:2, <<: *defaults}
          - {<<: [*defaults, *other]}
          - {<<: [*other, *defaults]}
          - {<<: *nested, image: own:3}
          - {image: own:4, <<: *nested}
          - {name: alias, image: *image}
          - *defaults
          ephemeralContainers: *list
        """)
    found = images(program.plan(text))
    assert [image for field, image in found if field.startswith("/spec/containers")] == [
        "nginx:1.27",
        "own:1",
        "own:2",
        "nginx:1.27",
        "redis:7",
        "own:3",
        "own:4",
        "busybox:1",
        "nginx:1.27",
    ]
    assert ("/spec/initContainers/0/image", "busybox:1") in found
    assert ("/spec/ephemeralContainers/0/image", "busybox:1") in found


def test_anchors_end_with_their_document(program):
    plan = program.plan(
        "a: &a {b: c}\nkind: ConfigMap\n---\nkind: Pod\nspec: *a\n---\n" + yaml_pod("last"),
        status=2,
    )
    assert names(plan) == ["last"] and len(plan["errors"]) == 1


def test_values_that_are_no_text_are_no_images(program):
    text = dump(pod("nginx")) + textwrap.dedent("""\
        ---
        apiVersion: v1
        kind: Pod
        metadata: {name: odd, namespace: loki}
        spec:
          containers: [{name: a, image: 1.10}, {name: b, image: null}, {name: c},
                       {name: d, image: true},
                       {name: e, image: ""},
                       {name: f, image: [nginx]}, text, {name: g, image: "1.10"}]
        """)
    assert [(i["name"], i["container"]) for i in program.plan(text)["images"]] == [
        ("web", "c0"),
        ("odd", "g"),
    ]


def test_values_files_and_other_maps_are_passed_over(program):
    values = "image: {repository: grafana/grafana, tag: 11.1.0}\nreplicas: 1\n"
    values += "containers: [{name: a, image: nginx}]\n"
    plan = program.plan(
        values
        + "---\n"
        + "- a list\n- image: nginx\n"
        + "---\n"
        + "a text\n"
        + "---\n42\n---\nnull\n---\n"
        + yaml_pod("one")
    )
    assert names(plan) == ["one"] and not plan["errors"] and not plan["warnings"]


def test_unknown_kinds_are_passed_over(program):
    others = [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "c"},
            "data": {"image": "nginx"},
        },
        {
            "apiVersion": "example.com/v1",
            "kind": "Pod",
            "metadata": {"name": "not-a-pod"},
            "spec": {"containers": [{"name": "a", "image": "nginx"}]},
        },
        {"apiVersion": "example.com/v1", "kind": "Deployment", "spec": {"template": pod("nginx")}},
        {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": "x"},
        },
        {
            "apiVersion": "example.com/v1alpha1",
            "kind": "Rollout",
            "spec": {"template": pod("nginx")},
        },
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "without-a-template"},
            "spec": {},
        },
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "without-a-spec"}},
    ]
    plan = program.plan(dump(*others, pod("nginx", name="one")))
    assert names(plan) == ["one"] and not plan["errors"]


# --- JSON ---


def test_json_lists_and_their_lines(program):
    listed = {
        "apiVersion": "v1",
        "kind": "List",
        "metadata": {"resourceVersion": ""},
        "items": [
            pod("nginx", name="one"),
            {"apiVersion": "v1", "kind": "List", "items": [pod("redis", name="two")]},
            pod("postgres", name="three"),
        ],
    }
    text = json.dumps(listed, indent=4)
    plan = program.plan(text)
    assert names(plan) == ["one", "two", "three"]
    lines = [int(i["document"].removeprefix("-:")) for i in plan["images"]]
    for image, line in zip(plan["images"], lines):
        rest = "\n".join(text.splitlines()[line - 1 :])
        assert rest.lstrip().startswith("{") and rest.index('"name": "' + image["name"]) < 200, line


def test_yaml_lists_and_their_lines(program):
    listed = {
        "apiVersion": "v1",
        "items": [pod("nginx", name="one"), pod("redis", name="two")],
        "kind": "List",
    }
    text = yaml.safe_dump(listed)
    plan = program.plan(text)
    starts = [n for n, line in enumerate(text.splitlines(), 1) if line.startswith("- apiVersion")]
    assert [i["document"] for i in plan["images"]] == [f"-:{n}" for n in starts]


@pytest.mark.parametrize("form", [json.dumps, yaml.safe_dump], ids=["JSON", "YAML"])
def test_typed_lists(program, form):
    """The items of a typed list do not say what they are."""
    bare = {"metadata": {"name": "one", "namespace": "loki"}, "spec": pod("nginx")["spec"]}
    template = {
        "metadata": {"name": "two", "namespace": "loki"},
        "spec": {"template": {"spec": pod("redis")["spec"]}},
    }
    for version, kind, item, field in (
        ("v1", "PodList", bare, "/spec/containers/0/image"),
        ("apps/v1", "DeploymentList", template, "/spec/template/spec/containers/0/image"),
    ):
        plan = program.plan(form({"apiVersion": version, "kind": kind, "items": [item]}))
        assert [(i["kind"], i["field"]) for i in plan["images"]] == [
            (kind.removesuffix("List"), field)
        ]
    assert program.plan(form({"apiVersion": "v1", "kind": "PodList", "items": []}))["images"] == []
    assert (
        program.plan(form({"apiVersion": "v1", "kind": "PodList", "items": None}))["images"] == []
    )


@pytest.mark.parametrize(
    "between",
    ["\n", "", " ", "\n\n", "\r\n", "\n---\n"],
    ids=["lines", "nothing", "a space", "empty lines", "CRLF", "separators"],
)
def test_several_json_documents(program, between):
    plan = program.plan(
        between.join(json.dumps(pod("nginx", name=name)) for name in ("one", "two", "three"))
    )
    assert names(plan) == ["one", "two", "three"] and not plan["errors"]


def test_json_and_yaml_in_one_file(program):
    one, two = json.dumps(pod("nginx", name="one"), indent=2), yaml_pod("two")
    assert names(program.plan(two + "---\n" + one + "\n")) == ["two", "one"]
    assert names(program.plan(one + "\n---\n" + two)) == ["one", "two"]


def test_json_strings(program):
    """Escapes are decoded, in keys too; of a key that stands twice the last counts."""
    text = (
        json.dumps(pod("nginx", name="one"))
        .replace('"nginx"', '"quay.io\\/a\\u002fb:1"')
        .replace('"image"', '"im\\u0061ge"')
    )
    assert [image for _, image in images(program.plan(text))] == ["quay.io/a/b:1"]
    twice = json.dumps(pod("nginx")).replace(
        '"image": "nginx"', '"image": "nginx", "image": "redis"'
    )
    assert [image for _, image in images(program.plan(twice))] == ["redis"]


# --- AdmissionReviews ---


def test_admission_reviews(program):
    created = review(pod("nginx", "gcr.io/x/y:1", name="one"))
    before, after = pod("nginx", name="two"), pod("nginx", name="two")
    before["spec"]["ephemeralContainers"] = [{"name": "old", "image": "busybox:1"}]
    after["spec"]["ephemeralContainers"] = [
        *before["spec"]["ephemeralContainers"],
        {"name": "new", "image": "busybox:2"},
    ]
    debugged = review(after, "UPDATE", oldObject=before, subResource="ephemeralcontainers")
    deleted = review(None or pod("nginx", name="gone"), "DELETE")
    generated = review({**pod("nginx"), "metadata": {"generateName": "web-", "namespace": "loki"}})
    plan = program.plan("\n".join(map(json.dumps, (created, debugged, deleted, generated))))
    assert [(i["name"], i["field"], i["rewrite"]["reason"]) for i in plan["images"]] == [
        ("one", "/spec/containers/0/image", "rewritten"),
        ("one", "/spec/containers/1/image", "registry-not-proxied"),
        ("two", "/spec/ephemeralContainers/1/image", "rewritten"),
        ("web-", "/spec/containers/0/image", "rewritten"),
    ]
    assert {i["kind"] for i in plan["images"]} == {"Pod"}


def test_an_admission_review_that_is_none(program):
    broken = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview"}
    plan = program.plan(
        json.dumps(broken, indent=1) + "\n" + json.dumps(pod("nginx", name="one")), status=2
    )
    assert names(plan) == ["one"] and [e["document"] for e in plan["errors"]] == ["-:1"]


# --- workloads ---

TEMPLATE = {
    "metadata": {"labels": {"app": "x"}},
    "spec": {
        "initContainers": [{"name": "init", "image": "busybox:1"}],
        "containers": [{"name": "app", "image": "nginx:1.27"}],
        "volumes": [
            {"name": "data", "image": {"reference": "quay.io/org/data:1"}},
            {"name": "tmp", "emptyDir": {}},
            {"name": "ceph", "rbd": {"image": "not-an-image"}},
        ],
    },
}
SPEC = {"template": TEMPLATE}
KINDS = [
    ("v1", "Pod", TEMPLATE["spec"], ""),
    ("v1", "ReplicationController", SPEC, "/spec/template"),
    ("apps/v1", "Deployment", SPEC, "/spec/template"),
    ("apps/v1", "ReplicaSet", SPEC, "/spec/template"),
    ("apps/v1", "StatefulSet", SPEC, "/spec/template"),
    ("apps/v1", "DaemonSet", SPEC, "/spec/template"),
    ("batch/v1", "Job", SPEC, "/spec/template"),
    ("batch/v1", "CronJob", {"jobTemplate": {"spec": SPEC}}, "/spec/jobTemplate/spec/template"),
]


@pytest.mark.parametrize("version, kind, spec, pointer", KINDS, ids=[k[1] for k in KINDS])
def test_built_in_workloads(program, version, kind, spec, pointer):
    obj = {
        "apiVersion": version,
        "kind": kind,
        "metadata": {"name": "x", "namespace": "loki"},
        "spec": spec,
    }
    plan = program.plan(dump(obj))
    assert sorted(images(plan)) == sorted(
        [
            (f"{pointer}/spec/containers/0/image", "nginx:1.27"),
            (f"{pointer}/spec/initContainers/0/image", "busybox:1"),
            (f"{pointer}/spec/volumes/0/image/reference", "quay.io/org/data:1"),
        ]
    )
    assert {
        (i["kind"], i["name"], i["namespace"], i["rewrite"]["reason"]) for i in plan["images"]
    } == {(kind, "x", "loki", "rewritten")}
    assert {i.get("container", i.get("volume")) for i in plan["images"]} == {"app", "init", "data"}


def test_pod_templates(program):
    obj = {
        "apiVersion": "v1",
        "kind": "PodTemplate",
        "metadata": {"name": "x", "namespace": "loki"},
        "template": TEMPLATE,
    }
    assert ("/template/spec/containers/0/image", "nginx:1.27") in images(program.plan(dump(obj)))


@pytest.mark.parametrize(
    "namespace, kind, name, bucket",
    [
        ("monitoring", "Deployment", "grafana", 74),
        ("apps", "StatefulSet", "postgres", 30),
        ("apps", "CronJob", "backup", 24),
    ],
)
def test_buckets(program, namespace, kind, name, bucket):
    """The examples of the interface, from the workload itself and from what it makes."""
    group = "batch/v1" if kind == "CronJob" else "apps/v1"
    spec = {"jobTemplate": {"spec": SPEC}} if kind == "CronJob" else SPEC
    workload = {
        "apiVersion": group,
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace},
        "spec": spec,
    }
    owner = {
        "Deployment": ("apps/v1", "ReplicaSet", f"{name}-7d9c8b5f6d"),
        "StatefulSet": ("apps/v1", kind, name),
        "CronJob": ("batch/v1", "Job", f"{name}-29384610"),
    }[kind]
    made = pod("nginx", name=f"{name}-0", namespace=namespace)
    made["metadata"]["labels"] = {"pod-template-hash": "7d9c8b5f6d"}
    made["metadata"]["ownerReferences"] = [
        {"apiVersion": owner[0], "kind": owner[1], "name": owner[2], "uid": "u", "controller": True}
    ]
    replica_set = {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {"name": f"{name}-7d9c8b5f6d", "namespace": namespace},
        "spec": {
            "template": {**TEMPLATE, "metadata": {"labels": {"pod-template-hash": "7d9c8b5f6d"}}}
        },
    }
    objects = [workload, made] + ([replica_set] if kind == "Deployment" else [])
    assert {i["bucket"] for i in program.plan(dump(*objects))["images"]} == {bucket}


ROLLOUT = {
    "apiVersion": "argoproj.io/v1alpha1",
    "kind": "Rollout",
    "metadata": {"name": "web", "namespace": "loki"},
    "spec": SPEC,
}
CLONE_SET = {
    "apiVersion": "apps.kruise.io/v1alpha1",
    "kind": "CloneSet",
    "metadata": {"name": "web", "namespace": "loki"},
    "spec": SPEC,
}


def test_templates_of_custom_kinds(program):
    """Argo Rollouts makes ReplicaSets; a CloneSet owns its Pods, so a Policy has to name it."""
    options = [
        "--template",
        "Rollout.argoproj.io=/spec/template",
        "--template",
        "CloneSet.apps.kruise.io=/spec/template",
    ]
    allowed = {**CLONE_SET, "metadata": {"name": "web", "namespace": "team-red"}}
    plan = program.plan(dump(ROLLOUT, CLONE_SET, allowed), *options)
    found = {
        (i["kind"], i["namespace"]): i["rewrite"]["reason"]
        for i in plan["images"]
        if i["field"] == "/spec/template/spec/containers/0/image"
    }
    assert found == {
        ("Rollout", "loki"): "rewritten",
        ("CloneSet", "loki"): "owned-by-operator",
        ("CloneSet", "team-red"): "rewritten",
    }
    assert program.plan(dump(ROLLOUT, CLONE_SET, allowed))["images"] == plan["images"]
    fleets = [{**o, "apiVersion": "example.com/v1"} for o in (ROLLOUT, CLONE_SET)]
    assert program.plan(dump(*fleets))["images"] == []
    assert len(program.plan(dump(*fleets), options[0], "Rollout.example.com=/spec/template")["images"]) == 3


def test_templates_elsewhere(program):
    """The pointer may lead anywhere, into lists and past escaped characters."""
    obj = {
        "apiVersion": "example.com/v1",
        "kind": "Fleet",
        "metadata": {"name": "f", "namespace": "team-red"},
        "spec": {"a/b~c": [{"no": 1}, {"pod": TEMPLATE}]},
    }
    plan = program.plan(dump(obj), "--template", "Fleet.example.com=/spec/a~1b~0c/1/pod")
    assert "/spec/a~1b~0c/1/pod/spec/containers/0/image" in [i["field"] for i in plan["images"]]


@pytest.mark.parametrize(
    "pointer", ["/spec/tmplate", "/spec/template/x", "/nowhere", "/spec/template/spec/containers/9"]
)
def test_templates_that_are_not_there(program, pointer):
    """A pointer that leads nowhere is a warning with the object's line, since its images are not
    seen; everything else is still done."""
    text = dump(pod("nginx", name="one"), ROLLOUT, pod("nginx", name="two"))
    plan = program.plan(text, "--template", f"Rollout.argoproj.io={pointer}")
    assert names(plan) == ["one", "two"] and not plan["errors"]
    line = text[: text.index("apiVersion: argoproj")].count("\n") + 1
    assert [w["document"] for w in plan["warnings"]] == [f"-:{line}"], plan["warnings"]
    said = plan["warnings"][0]["message"]
    assert "Rollout" in said and f"`{ROLLOUT['metadata']['name']}`" in said and "no Pod template" in said
    result = program(
        "plan", "--policies", OURS, "--template", f"Rollout.argoproj.io={pointer}", stdin=text
    )
    assert f"-:{line}:" in result.err and "warning: Rollout" in result.err, result.err


def test_built_in_kinds_without_a_template(program):
    bare = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "bare"}, "spec": {}}
    plan = program.plan(dump(bare, pod("nginx", name="one")))
    assert names(plan) == ["one"] and not plan["errors"]
    assert ["`bare`" in w["message"] for w in plan["warnings"]] == [True], plan["warnings"]


@pytest.mark.parametrize(
    "wrong",
    [
        "Rollout=/spec/template",
        "Rollout.=/spec/template",
        "Rollout.argoproj.io",
        "Rollout.argoproj.io=",
        "=/spec",
        "Rollout.argoproj.io=spec/template",
        "Rollout.argoproj.io=/spec/~2",
    ],
)
def test_templates_that_are_none(program, wrong):
    result = program("plan", "--policies", OURS, "--template", wrong, status=2)
    assert (
        wrong in result.err
        and "Rollout.argoproj.io=/spec/template" in result.err
        and result.out == ""
    )


# --- names and namespaces ---


def test_without_a_namespace(program):
    obj = pod("nginx")
    del obj["metadata"]["namespace"]
    assert [i["namespace"] for i in program.plan(dump(obj))["images"]] == ["default"]


def test_generated_names(program):
    obj = {**pod("nginx"), "metadata": {"generateName": "web-", "namespace": "loki"}}
    assert names(program.plan(dump(obj))) == ["web-"]


def namespace(name, mode):
    labels = {"harbor-pilot.io/mode": mode} if mode else {}
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": name, "labels": {"a": "b", **labels}},
    }


def test_labels_of_namespaces_decide_the_mode(program, tmp_path):
    """Before or after the Pods, and in another file; without one --assume-mode, else enforce."""
    first = [
        namespace("loki", "audit"),
        pod("nginx", namespace="loki"),
        pod("nginx", namespace="monitoring"),
    ]
    second = [
        pod("nginx", namespace="batch"),
        namespace("batch", None),
        namespace("monitoring", "enforce"),
        pod("nginx", namespace="default"),
    ]
    (tmp_path / "first.yaml").write_text(dump(*first))
    (tmp_path / "second.json").write_text(
        json.dumps({"apiVersion": "v1", "kind": "List", "items": second})
    )
    command = [
        "plan",
        "--policies",
        OURS,
        "-o",
        "json",
        "-f",
        tmp_path / "first.yaml",
        "-f",
        tmp_path / "second.json",
    ]
    for assumed, unlabelled in (
        ([], "enforce"),
        (["--assume-mode", "audit"], "audit"),
        (["--assume-mode=enforce"], "enforce"),
    ):
        plan = check_plan(program(*command, *assumed).json())
        assert {i["namespace"]: i["mode"] for i in plan["images"]} == {
            "loki": "audit",
            "monitoring": "enforce",
            "batch": unlabelled,
            "default": unlabelled,
        }


@pytest.mark.parametrize("value", ["disabled", "Enforce", "enforce ", "true", "", "AUDIT", "off"])
def test_another_value_of_the_label_is_nobodys(program, value):
    """The API server calls nobody for such a namespace: the mode is `disabled`, whatever is assumed,
    and there is no patch. One without the label is as assumed."""
    labelled = namespace("loki", None)
    labelled["metadata"]["labels"]["harbor-pilot.io/mode"] = value
    text = dump(pod("nginx", namespace="loki"), labelled, pod("nginx", name="b", namespace="batch"))
    for assumed in ("audit", "enforce"):
        plan = program.plan(text, "--assume-mode", assumed)
        found = {i["namespace"]: i["mode"] for i in plan["images"]}
        assert found == {"loki": "disabled", "batch": assumed}
    lines = program("plan", "--policies", OURS, "-o", "patch", stdin=text).out.splitlines()
    assert [json.loads(line)["namespace"] for line in lines] == ["batch"]


def test_the_weaker_mode_is_the_effective_one(program):
    """`matrix` is claimed by a Policy in audit, `vault` by a disabled one."""
    text = dump(*[pod("nginx", namespace=n) for n in ("matrix", "vault", "loki")])
    found = {
        assumed: {
            i["namespace"]: (i["mode"], i["rewrite"]["reason"])
            for i in program.plan(text, "--assume-mode", assumed)["images"]
        }
        for assumed in ("audit", "enforce")
    }
    assert found["enforce"] == {
        "matrix": ("audit", "rewritten"),
        "vault": ("disabled", "policy-disabled"),
        "loki": ("enforce", "rewritten"),
    }
    assert found["audit"] == {**found["enforce"], "loki": ("audit", "rewritten")}


# --- where it comes from ---


def test_standard_input_and_files(program, tmp_path):
    (tmp_path / "a.yaml").write_text(yaml_pod("a"))
    (tmp_path / "b.json").write_text(json.dumps(pod("nginx", name="b")))
    command = ["plan", "--policies", OURS, "-o", "json"]
    for args, wanted in (
        ([], ["c"]),
        (["-f", "-"], ["c"]),
        (["--filename=-"], ["c"]),
        (["-f", tmp_path / "b.json", "-f", "-", "-f", tmp_path / "a.yaml"], ["b", "c", "a"]),
        ([f"-f{tmp_path}/a.yaml"], ["a"]),
    ):
        plan = check_plan(program(*command, *args, stdin=yaml_pod("c")).json())
        assert names(plan) == wanted, args
    assert plan["images"][0]["document"] == f"{tmp_path}/a.yaml:1"


def test_all_members_of_an_image(program):
    plan = program.plan("---\n" + dump(pod("nginx", name="web")))
    assert plan["images"] == [
        {
            "document": "-:2",
            "kind": "Pod",
            "namespace": "loki",
            "name": "web",
            "mode": "enforce",
            "field": "/spec/containers/0/image",
            "container": "c0",
            "image": "nginx",
            "result": f"{HOST}/hub/library/nginx",
            "rewrite": {"outcome": "rewrite", "reason": "rewritten"},
            "policy": "everything",
            "source": "policies/10-waves.yaml:2",
            "bucket": plan["images"][0]["bucket"],
        }
    ]
    assert plan["summary"] == {
        "images": 1,
        "rewrite": 1,
        "keep": 0,
        "deny": 0,
        "warn": 0,
        "reasons": {"rewritten": 1},
    }


def test_nothing_to_plan(program):
    for text in ("", "\n", "# nothing\n", "---\n---\n", "{}", "[]\n", "null\n"):
        plan = program.plan(text)
        assert plan["images"] == plan["errors"] == [] and plan["summary"]["reasons"] == {}, text


def test_a_pod_with_too_many_images_is_left_alone(program):
    """As the server does: it patches no Pod with more than 4,096."""
    plan = program.plan(json.dumps(pod(*["nginx"] * 4097)))
    assert plan["summary"]["rewrite"] == 0
    assert program.plan(json.dumps(pod(*["nginx"] * 4096)))["summary"]["rewrite"] == 4096
