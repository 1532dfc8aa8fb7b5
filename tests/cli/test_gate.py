"""The gate (`findings`) in `plan`, `explain` and `check`: what each image counts as under each setting,
which objects are judged, facts files with scans, exit statuses, and what a Harbor says of scans."""

import contextlib
import http.server
import json
import re
import threading
import urllib.parse

import pytest

from clilib import HERE, check_decision, check_plan, pod, review
from test_plan_output import workload

GATE, FACTS = "gate", "gate/facts.json"
NOW, OLD = "2026-11-24T12:00:00Z", "2026-11-01T00:00:00Z"  # a scan of OLD is too old at NOW
IMAGE, KEY = "app:1", "hub/library/app:1"
DIGEST = "sha256:" + "1" * 64
CONTROLLER = "system:serviceaccount:kube-system:replicaset-controller"


def finding(id_="CVE-9", severity="Critical", fix="2.0", **more):
    return {"id": id_, "severity": severity, "package": "openssl", **({"fix": fix} if fix else {}), **more}


def scanned(*findings, finished="2026-11-24T11:00:00Z", **more):
    return {"present": True, "scan": {"finished": finished, "findings": list(findings), **more}}


def status(word):
    return {"present": True, "scan": {"status": word}}


def facts(artifact, key=KEY, recorded=NOW, **harbor):
    artifacts = {} if artifact is None else {key: artifact}
    return {"recorded": recorded, "harbors": {"h": {**harbor, "artifacts": artifacts}}}


BAD, CLEAN, DOWN, STRANGER = scanned(finding()), scanned(), {"healthy": False}, {"authorized": False}
UNSCANNED, ABSENT = {"present": True}, {"present": False, "servable": True}
UNFIXED, HIGH = scanned(finding(fix=None)), scanned(finding(severity="High"))
# namespace, what is known of the artifact, of the Harbor, and what the gate says
QUESTIONS = [
    ("usual", CLEAN, {}, "allow", "clean"),
    ("usual", HIGH, {}, "allow", "below-threshold"),
    ("usual", scanned(finding(severity="Unknown"), finding(severity="None")), {}, "allow", "below-threshold"),
    ("usual", BAD, {}, "deny", "findings"),
    ("usual", scanned(finding(severity="CRITICAL")), {}, "deny", "findings"),
    ("usual", UNFIXED, {}, "deny", "findings"),
    ("usual", scanned(finding(allowlisted=True)), {}, "allow", "allowlisted"),
    ("usual", scanned(finding(allowlisted=True), finding("CVE-8")), {}, "deny", "findings"),
    ("usual", UNSCANNED, {}, "warn", "unscanned"),
    ("usual", ABSENT, {}, "warn", "unscanned"),
    ("usual", {}, {}, "warn", "unscanned"),
    ("usual", status("Pending"), {}, "warn", "scanning"),
    ("usual", status("Scheduled"), {}, "warn", "scanning"),
    ("usual", status("Running"), {}, "warn", "scanning"),
    ("usual", status("Error"), {}, "warn", "scan-failed"),
    ("usual", status("Stopped"), {}, "warn", "scan-failed"),
    ("usual", scanned(partial=True), {}, "warn", "scan-failed"),
    ("usual", scanned(finding(), partial=True), {}, "deny", "findings"),
    ("usual", scanned(finding(), status="Running"), {}, "deny", "findings"),
    ("usual", status("None"), {}, "warn", "unscanned"),
    ("usual", status("Unknown"), {}, "allow", "unavailable"),
    ("usual", {**BAD, "allowlist": "unknown"}, {}, "allow", "unavailable"),
    ("usual", {**CLEAN, "allowlist": "unknown"}, {}, "allow", "clean"),
    ("usual", {"present": True, "scan": {"counts": {"Critical": 2}}}, {}, "deny", "findings"),
    ("fixable", {"present": True, "scan": {"counts": {"Critical": 2}}}, {}, "allow", "unavailable"),
    ("usual", {"present": True, "scannable": False}, {}, "allow", "not-scannable"),
    ("usual", scanned(finding(), finished=OLD), {}, "warn", "too-old"),
    ("usual", scanned(finished="2026-11-17T12:00:00Z"), {}, "allow", "clean"),
    ("usual", scanned(finished="2026-11-17T11:59:59Z"), {}, "warn", "too-old"),
    ("usual", {"present": True, "scan": {"findings": [finding()]}}, {}, "deny", "findings"),
    ("usual", {**CLEAN, "inProxyFilter": False}, {}, "warn", "unproxied"),
    ("usual", {**CLEAN, "pullGate": "refused"}, {}, "deny", "refused-by-harbor"),
    ("usual", {**CLEAN, "authorized": False}, {}, "allow", "unavailable"),
    ("usual", None, {}, "allow", "unavailable"),
    ("usual", BAD, DOWN, "allow", "unavailable"),
    ("usual", BAD, STRANGER, "allow", "unavailable"),
    ("warned", BAD, {}, "warn", "findings"),
    ("warned", {**CLEAN, "pullGate": "refused"}, {}, "warn", "refused-by-harbor"),
    ("warned", UNSCANNED, {}, "warn", "unscanned"),
    ("pods", BAD, {}, "deny", "findings"),
    ("strict", UNSCANNED, {}, "deny", "unscanned"),
    ("strict", status("Running"), {}, "deny", "scanning"),
    ("strict", status("Error"), {}, "deny", "scan-failed"),
    ("strict", scanned(finished=OLD), {}, "deny", "too-old"),
    ("strict", {**CLEAN, "inProxyFilter": False}, {}, "deny", "unproxied"),
    ("strict", CLEAN, {}, "allow", "clean"),
    ("strict", CLEAN, DOWN, "deny", "unavailable"),
    ("strict", None, {}, "deny", "unavailable"),
    ("warily", None, DOWN, "warn", "unavailable"),
    ("lenient", UNSCANNED, {}, "allow", "unscanned"),
    ("lenient", BAD, {}, "deny", "findings"),
    ("fixable", BAD, {}, "deny", "findings"),
    ("fixable", UNFIXED, {}, "allow", "below-threshold"),
    ("low", scanned(finding(severity="Low")), {}, "deny", "findings"),
    ("low", scanned(finding(severity="Negligible")), {}, "allow", "below-threshold"),
    ("high", HIGH, {}, "deny", "findings"),
    ("high", scanned(finding(severity="Medium")), {}, "allow", "below-threshold"),
    ("high", scanned(finished="2026-11-24T10:30:00Z"), {}, "allow", "clean"),
    ("high", scanned(finished="2026-11-24T10:29:59Z"), {}, "warn", "too-old"),
    ("accepting", scanned(finding("CVE-1"), finding("CVE-2")), {}, "allow", "allowlisted"),
    ("accepting", scanned(finding("CVE-1"), finding("CVE-12")), {}, "deny", "findings"),
    ("excluding", BAD, {}, "deny", "findings"),
    ("outside", BAD, {}, "deny", "findings"),
    ("never", BAD, {}, "deny", "findings"),
    ("never", CLEAN, DOWN, "allow", "unavailable"),
    ("watched", BAD, {}, "deny", "findings"),
]
KEPT = {"excluding": "excluded", "outside": "not-in-rollout"}


def expected_status(outcome, reason, rewrite):
    unknown = reason == "unavailable" or rewrite == "not-known-in-time"
    return 3 if unknown else 1 if outcome == "deny" else 0


@pytest.fixture
def folder(tmp_path):
    """The policies of gate/ with a place for facts and cases."""
    (tmp_path / "p").mkdir()
    for file in (HERE / GATE).glob("*.yaml"):
        (tmp_path / "p" / file.name).write_text(file.read_text())
    return tmp_path / "p"


def write(folder, known, name="facts.json"):
    (folder / name).write_text(json.dumps(known))
    return folder / name


@pytest.mark.parametrize("number", range(len(QUESTIONS)))
def test_what_an_image_counts_as(program, folder, number):
    """explain, plan and check say the same, and end with the status that follows from it."""
    namespace, artifact, harbor, outcome, reason = QUESTIONS[number]
    file = write(folder, facts(artifact, **harbor))
    given = ["--policies", folder, "--facts", file]
    asked = ["explain", IMAGE, "-n", namespace, *given]
    said = check_decision(program(*asked, "-o", "json", status=None).json())
    assert (said["gate"]["outcome"], said["gate"]["reason"]) == (outcome, reason), said
    assert said["rewrite"]["reason"] == KEPT.get(namespace, said["rewrite"]["reason"]), said
    wanted = expected_status(outcome, reason, said["rewrite"]["reason"])
    text = program(*asked, status=wanted).out
    assert re.search(rf"^gate       {outcome}: {reason}$", text, re.M), text
    assert f"judged as {KEY}" in text
    program(*asked, "-o", "json", status=wanted)
    plan = program.plan(json.dumps(pod(IMAGE, namespace=namespace)), "--facts", file, policies=folder, status=wanted)
    (planned,) = plan["images"]
    assert planned["gate"] == said["gate"] and planned["rewrite"] == said["rewrite"]
    table = program("plan", *given, stdin=json.dumps(pod(IMAGE, namespace=namespace)), status=wanted).out
    assert (f"\n      {outcome} {reason}: " in table) == (outcome != "allow"), table
    counts = f"; the gate refuses {int(outcome == 'deny')} and warns about {int(outcome == 'warn')}\n"
    assert table.endswith(counts), table
    rewrite = said["rewrite"]
    got = said["result"] if rewrite["reason"] == "rewritten" else f"keep:{rewrite['reason']}"
    case = f"deny:{reason}" if outcome == "deny" else got
    if namespace != "watched":  # a case is in `enforce`; so says its Policy's mode, too
        assert said["mode"] == "enforce"
    (folder / "20.cases").write_text(f"{namespace} {IMAGE} {case} facts=facts.json\n")
    checked = program("check", "--policies", folder, "-o", "json").json()
    assert checked["cases"] == {"passed": 1, "failed": []} and not checked["errors"], checked


def test_every_reason_of_the_gate_is_asked_for():
    from clilib import GATE_REASONS

    assert {reason for *_, reason in QUESTIONS} == set(GATE_REASONS) - {"too-many"}  # facts of a file are all there
    for reason, outcomes in GATE_REASONS.items():
        assert {o for *_, o, r in QUESTIONS if r == reason} <= outcomes


@pytest.mark.parametrize(
    "image, namespace, outcome, reason",
    [
        ("gcr.io/x/y:1", "usual", "warn", "unproxied"),
        ("gcr.io/x/y:1", "strict", "deny", "unproxied"),
        ("gcr.io/x/y:1", "lenient", "allow", "unproxied"),
        ("Nginx", "strict", "deny", "unproxied"),
        ("h.example.com/hub/library/bad:1", "usual", "deny", "findings"),
        ("h.example.com/hub/library/good:1", "strict", "allow", "clean"),
        ("docker.io/library/bad:1", "usual", "deny", "findings"),
        ("index.docker.io/bad:1", "usual", "deny", "findings"),
    ],
)
def test_what_is_judged_of_an_image_that_is_not_moved(program, image, namespace, outcome, reason):
    given = ["-n", namespace, "--policies", GATE, "--facts", FACTS, "-o", "json"]
    said = check_decision(program("explain", image, *given, status=int(outcome == "deny")).json())
    assert (said["gate"]["outcome"], said["gate"]["reason"]) == (outcome, reason), said


@pytest.mark.parametrize("namespace", ["plain", "retired", "nobody", "kube-system"])
def test_where_there_is_no_gate(program, namespace):
    """No `findings`, a Policy that is disabled, none at all, and a protected namespace."""
    said = program("explain", "bad:1", "-n", namespace, "--policies", GATE, "--facts", FACTS, "-o", "json")
    assert "gate" not in check_decision(said.json())
    text = program("explain", "bad:1", "-n", namespace, "--policies", GATE, "--facts", FACTS).out
    assert "\ngate  " not in text
    table = program("plan", "--policies", GATE, "--facts", FACTS, stdin=json.dumps(pod("bad:1", namespace=namespace)))
    assert "the gate" not in table.out


@pytest.mark.parametrize(
    "made",
    [
        pod("auto", namespace="strict"),
        {**pod("gcr.io/x/y:1", namespace="strict"), "metadata": {
            "name": "m", "namespace": "strict", "annotations": {"kubernetes.io/config.mirror": "x"}}},
    ],
    ids=["placeholder", "mirror-pod"],
)
def test_what_is_not_judged(program, made):
    plan = program.plan(json.dumps(made), "--facts", FACTS, policies=GATE)
    assert "gate" not in plan["images"][0] and plan["summary"]["deny"] == 0


def test_a_pod_that_opted_out_is_judged_all_the_same(program):
    made = pod("bad:1", namespace="usual")
    made["metadata"]["annotations"] = {"harbor-pilot.io/mode": "disabled"}
    plan = program.plan(json.dumps(made), "--facts", FACTS, policies=GATE, status=1)
    assert plan["images"][0]["rewrite"]["reason"] == "opted-out"
    assert plan["images"][0]["gate"]["outcome"] == "deny"


def test_what_is_told_of_findings(program):
    said = program(
        "explain", "bad:1", "-n", "usual", "--policies", GATE, "--facts", FACTS, "-o", "json", status=1
    ).json()["gate"]
    assert said["digest"] == DIGEST and said["scanned"] == "2026-11-24T11:00:00Z"
    assert said["counts"] == {"Critical": 4, "High": 1, "Low": 1}
    assert [(c["id"], c.get("fix")) for c in said["cves"]] == [
        ("CVE-1", "3.0.22"), ("CVE-2", "8.1"), ("CVE-6", "2.6"), ("CVE-3", None)
    ], "of one severity first those with a fix, then by id"
    said = program(
        "explain", "bad:1", "-n", "accepting", "--policies", GATE, "--facts", FACTS, "-o", "json", status=1
    ).json()["gate"]
    assert [c["id"] for c in said["cves"]] == ["CVE-6", "CVE-3"], "less what is accepted"
    assert said["counts"]["Critical"] == 4, "what Harbor counts, accepted or not"


def test_ten_findings_of_many(program, folder):
    file = write(folder, facts(scanned(*(finding(f"CVE-{n:02}") for n in range(30)))))
    given = ["explain", IMAGE, "-n", "usual", "--policies", folder, "--facts", file]
    said = check_decision(program(*given, "-o", "json", status=1).json())["gate"]
    assert len(said["cves"]) == 10 and said["counts"] == {"Critical": 30}
    assert "30 Critical: CVE-00" in program(*given, status=1).out


# --- golden texts ---


@pytest.mark.parametrize("columns", [80, 120])
def test_golden_tables(program, golden, columns):
    table = program(
        "plan", "--policies", GATE, "--facts", FACTS, "-f", "gate-apps.yaml", env={"COLUMNS": str(columns)}, status=1
    )
    golden(f"plan-gate-{columns}.txt", table.out)


def test_golden_json(program, golden):
    plan = program("plan", "--policies", GATE, "--facts", FACTS, "-f", "gate-apps.yaml", "-o", "json", status=1).json()
    check_plan(plan)
    plan["policies"] = "sha256:…"
    golden("plan-gate.json", json.dumps(plan, indent=1, ensure_ascii=False) + "\n")


@pytest.mark.parametrize(
    "name, image, namespace, args, status",
    [
        ("findings", "bad:1", "usual", [], 1),
        ("findings-excluded", "bad:1", "excluding", [], 1),
        ("findings-audit", "bad:1", "watched", [], 1),
        ("findings-pods", "bad:1", "pods", ["--owner", "apps/ReplicaSet/web-5d4f", "--pod-template-hash", "5d4f"], 1),
        ("refused-by-harbor", "gated:1", "usual", [], 1),
        ("allowlisted", "accepted:1", "usual", [], 0),
        ("below-threshold", "minor:1", "usual", [], 0),
        ("clean", "good:1", "usual", [], 0),
        ("unavailable", "nothing:1", "usual", [], 3),
    ],
)
def test_golden_explanations(program, golden, name, image, namespace, args, status):
    result = program(
        "explain", image, "-n", namespace, "--policies", GATE, "--facts", FACTS, *args, status=status
    )
    golden(f"explain-gate-{name}.txt", result.out)


def test_control_characters_of_findings_do_not_reach_the_terminal(program, folder):
    evil = scanned({"id": "CVE-\x1b[2J", "severity": "Critical", "package": "a\nb", "fix": "\x07"})
    given = ["--policies", folder, "--facts", write(folder, facts(evil))]
    for out in (
        program("explain", IMAGE, "-n", "usual", *given, status=1).out,
        program("plan", *given, stdin=json.dumps(pod(IMAGE, namespace="usual")), status=1).out,
    ):
        assert "\x1b" not in out and "\x07" not in out and "(Critical, a?b, fixed in ?)" in out


# --- which objects ---

KINDS = ["Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "Job", "CronJob"]


def owned(obj, kind="ReplicaSet", name="web-5d4f"):
    reference = {"apiVersion": "apps/v1", "kind": kind, "name": name, "uid": "1", "controller": True}
    return {**obj, "metadata": {**obj["metadata"], "ownerReferences": [reference]}}


def asked(obj, user, old=None, **members):
    """The review of a workload or Pod."""
    plural = {"Pod": "pods"}.get(obj["kind"], obj["kind"].lower() + "s")
    group, _, version = obj["apiVersion"].rpartition("/")
    return review(
        obj,
        operation="UPDATE" if old else "CREATE",
        kind={"group": group, "version": version, "kind": obj["kind"]},
        resource={"group": group, "version": version, "resource": plural},
        userInfo={"username": user},
        oldObject=old,
        **members,
    )


def gates(program, document, status=0, policies=GATE):
    plan = program.plan(json.dumps(document), "--facts", FACTS, policies=policies, status=status)
    return {i["image"]: i.get("gate", {}).get("outcome") for i in plan["images"]}


@pytest.mark.parametrize("kind", KINDS)
def test_workloads(program, kind):
    """As manifests and as reviews, whoever applies them; not those that another controls."""
    made = workload(kind, "web", "usual", "bad:1", "good:1")
    wanted = {"bad:1": "deny", "good:1": "allow"}
    assert gates(program, made, status=1) == wanted
    for user in ("alice", CONTROLLER):
        assert gates(program, asked(made, user), status=1) == wanted
    assert set(gates(program, owned(made)).values()) == {None}, "ownerReferences of manifests are believed"
    assert set(gates(program, asked(owned(made), CONTROLLER)).values()) == {None}
    assert gates(program, asked(owned(made), "alice"), status=1) == wanted, "those of anybody are not"


def test_a_replication_controller(program):
    made = workload("Deployment", "web", "usual", "bad:1")
    made.update(apiVersion="v1", kind="ReplicationController")
    assert gates(program, made, status=1) == gates(program, asked(made, "alice"), status=1) == {"bad:1": "deny"}


def test_of_a_changed_workload_the_new_images(program):
    old = workload("Deployment", "web", "usual", "bad:1", "minor:1")
    for images, wanted in (
        (["bad:1", "minor:1"], {}),
        (["bad:1", "good:1"], {"good:1": "allow"}),
        (["minor:1", "bad:1", "bad:1"], {}),
        (["bad:1", "gated:1"], {"gated:1": "deny"}),
    ):
        new = workload("Deployment", "web", "usual", *images)
        status = 1 if "deny" in wanted.values() else 0
        assert gates(program, asked(new, "alice", old), status=status) == wanted, images


def test_pods(program):
    """One with a controller is warned about, where it is believed and the Policy does not say `pods`."""
    bare, made = pod("bad:1", namespace="usual"), owned(pod("bad:1", namespace="usual"))
    assert gates(program, bare, status=1) == gates(program, asked(bare, CONTROLLER), status=1) == {"bad:1": "deny"}
    assert gates(program, made) == {"bad:1": "warn"}, "believed of a manifest"
    for user, outcome in (
        (CONTROLLER, "warn"),
        ("system:kube-controller-manager", "warn"),
        ("system:serviceaccount:operators:db", "warn"),  # of trustedControllers
        ("alice", "deny"),
        ("system:serviceaccount:usual:replicaset-controller", "deny"),
        ("system:serviceaccount:operators:dbx", "deny"),
    ):
        assert gates(program, asked(made, user), status=int(outcome == "deny")) == {"bad:1": outcome}, user
    every = owned(pod("bad:1", namespace="pods"))
    assert gates(program, every, status=1) == gates(program, asked(every, CONTROLLER), status=1) == {"bad:1": "deny"}


@pytest.mark.parametrize("kind, template", [("Deployment", "/spec/template"), ("CronJob", "/spec/jobTemplate/spec/template")])
def test_where_the_image_stands_in_a_review(program, kind, template):
    """In the object that the review holds; and nobody changes a workload's Pods in it."""
    text = json.dumps(asked(workload(kind, "web", "usual", "good:1"), "alice"))
    plan = program.plan(text, "--facts", FACTS, policies=GATE)
    assert [i["field"] for i in plan["images"]] == [template + "/spec/containers/0/image"]
    assert program("plan", "--policies", GATE, "--facts", FACTS, "-o", "patch", stdin=text).out == ""


def test_a_pod_template_is_not_judged(program):
    made = {"apiVersion": "v1", "kind": "PodTemplate", "metadata": {"name": "t", "namespace": "usual"},
            "template": {"spec": {"containers": [{"name": "a", "image": "bad:1"}]}}}
    plan = program.plan(json.dumps(made), "--facts", FACTS, policies=GATE)
    assert plan["images"] and "gate" not in plan["images"][0]


def test_a_pod_that_is_let_in_says_why(program):
    plan = program.plan(json.dumps(owned(pod("bad:1", namespace="usual"))), "--facts", FACTS, policies=GATE)
    (image,) = plan["images"]
    assert image["gate"]["reason"] == "findings" and "enforceOn: workloads" in image["gate"]["detail"]
    assert plan["summary"]["warn"] == 1 and plan["summary"]["deny"] == 0
    table = program("plan", "--policies", GATE, "--facts", FACTS, stdin=json.dumps(owned(pod("bad:1", namespace="usual"))))
    assert "warn findings: 4 Critical" in table.out and "(a controller's Pod: not refused)" in table.out


def test_an_operators_pod_that_is_not_rewritten_is_judged(program):
    made = owned(pod("bad:1", namespace="usual"), kind="Cluster", name="db")
    made["metadata"]["ownerReferences"][0]["apiVersion"] = "postgresql.cnpg.io/v1"
    for user, outcome in (("system:serviceaccount:cnpg-system:cnpg-manager", "deny"), (CONTROLLER, "warn")):
        plan = program.plan(
            json.dumps(asked(made, user)), "--facts", FACTS, policies=GATE, status=int(outcome == "deny")
        )
        assert plan["images"][0]["rewrite"]["reason"] == "owned-by-operator"
        assert plan["images"][0]["gate"]["outcome"] == outcome


def test_ephemeral_containers(program):
    old = pod("bad:1", namespace="usual")
    old["spec"]["ephemeralContainers"] = [{"name": "e0", "image": "bad:1"}]
    new = json.loads(json.dumps(old))
    new["spec"]["ephemeralContainers"] += [{"name": "e1", "image": "gated:1"}, {"name": "e2", "image": "good:1"}]
    sent = asked(new, "alice", old, subResource="ephemeralcontainers")
    assert gates(program, sent, status=1) == {"gated:1": "deny", "good:1": "allow"}


# --- modes ---


@pytest.mark.parametrize("namespace, mode", [("watched", "enforce"), ("usual", "audit")])
def test_in_audit_the_same_is_said(program, namespace, mode):
    """By the Policy's mode or the namespace's; the status too is that of `enforce`."""
    text = json.dumps(workload("Deployment", "web", namespace, "bad:1"))
    plan = program.plan(text, "--facts", FACTS, "--assume-mode", mode, policies=GATE, status=1)
    assert plan["images"][0]["mode"] == "audit" and plan["images"][0]["gate"]["outcome"] == "deny"
    patch = ["plan", "--policies", GATE, "--facts", FACTS, "--assume-mode", mode, "-o", "patch"]
    assert program(*patch, stdin=text, status=1).out == ""
    said = program(
        "explain", "bad:1", "-n", namespace, "--mode", mode, "--policies", GATE, "--facts", FACTS, "-o", "json", status=1
    ).json()
    assert said["mode"] == "audit" and said["gate"] == plan["images"][0]["gate"]


# --- exit statuses ---


def test_exit_statuses_of_plan(program):
    """2 before 3 before 1, and the output is there all the same."""
    fine, denied = (json.dumps(pod(i, namespace="usual")) for i in ("good:1", "bad:1"))
    warned, unknown = json.dumps(owned(json.loads(denied))), json.dumps(pod("nothing:1", namespace="never"))
    kept, broken = json.dumps(pod("quay.io/x/y:1", namespace="plain")), '{"kind": nonsense}'
    for parts, more, status in (
        ([fine, warned], [], 0),
        ([fine, denied], [], 1),
        ([fine, unknown], [], 3),  # the image is rewritten; what the gate would say is not known
        ([denied, unknown], [], 3),
        ([denied, unknown, broken], [], 2),
        ([denied, broken], [], 2),
        ([denied, kept], ["--expect-all-moved"], 1),
        ([fine, kept], ["--expect-all-moved"], 1),
        ([fine], ["--expect-all-moved"], 0),
    ):
        for output in ("json", "table", "patch"):
            command = ["plan", "--policies", GATE, "--facts", FACTS, "-o", output, *more]
            result = program(*command, stdin="\n".join(parts), status=status)
            if output == "json":
                assert len(check_plan(result.json())["images"]) == len([p for p in parts if p != broken])


def test_a_gate_that_nobody_could_judge_does_not_look_like_a_pass(program, folder):
    """Without --facts and --live: said once in the table, in JSON per image, and status 3 with
    --require-gate; where a Policy has no findings there is nothing to judge."""
    command = ["plan", "--policies", folder]
    for namespace, judged in (("usual", True), ("plain", False)):
        text = json.dumps(pod("app:1", "app:2", namespace=namespace))
        plan = check_plan(program(*command, "-o", "json", stdin=text).json())
        assert [i.get("gate") for i in plan["images"]] == [{"outcome": "unknown"} if judged else None] * 2
        assert plan["summary"].get("unknown", 0) == 2 * judged
        said = program(*command, stdin=text).out
        assert said.count("gate  not judged: Harbor was not asked (--live, or --facts FILE)") == judged
        program(*command, "--require-gate", stdin=text, status=3 if judged else 0)
        asked = ["explain", "app:1", "-n", namespace, "--policies", folder]
        assert ("\ngate       not judged: Harbor was not asked" in program(*asked).out) == judged
        decision = check_decision(program(*asked, "-o", "json").json())
        assert decision.get("gate") == ({"outcome": "unknown"} if judged else None)
        program(*asked, "--require-gate", status=3 if judged else 0)
    file = write(folder, facts(CLEAN))
    text = json.dumps(pod(IMAGE, namespace="usual"))
    program(*command, "--require-gate", "--facts", file, stdin=text)
    program("explain", IMAGE, "-n", "usual", "--policies", folder, "--require-gate", "--facts", file)


def test_exit_statuses_of_explain(program):
    given = ["--policies", GATE, "--facts", FACTS]
    for image, namespace, status in (
        ("good:1", "usual", 0),
        ("bad:1", "usual", 1),
        ("bad:1", "warned", 0),
        ("nothing:1", "usual", 3),
        ("nothing:1", "strict", 3),  # refused, for that it is not known
        ("gcr.io/x/y:1", "strict", 1),
    ):
        program("explain", image, "-n", namespace, *given, status=status)
    program("explain", "bad:1", "-n", "usual", "--policies", GATE, "--facts", "missing.json", status=2)


@pytest.mark.parametrize("namespace", ["usual", "strict"])
def test_without_facts_nothing_has_to_be_known(program, namespace):
    """Nobody asked: only what Harbor does not serve is judged."""
    said = program("explain", "bad:1", "-n", namespace, "--policies", GATE, "-o", "json").json()
    assert check_decision(said)["gate"] == {"outcome": "unknown"}
    assert said["rewrite"]["reason"] == "rewritten"
    outcome = {"usual": "warn", "strict": "deny"}[namespace]
    text = json.dumps(workload("Job", "j", namespace, "bad:1", "gcr.io/x/y:1"))
    plan = program.plan(text, policies=GATE, status=int(outcome == "deny"))
    assert [i.get("gate") for i in plan["images"]] == [
        {"outcome": "unknown"},
        {"outcome": outcome, "reason": "unproxied"},
    ]


# --- cases ---


def test_cases_that_fail(program, folder):
    write(folder, facts(BAD))
    result = "h.example.com/hub/library/app:1"
    (folder / "20.cases").write_text(
        f"usual {IMAGE} {result} facts=facts.json\n"
        f"usual {IMAGE} deny:unscanned facts=facts.json\n"
        f"usual {IMAGE} keep:excluded facts=facts.json\n"
        f"warned {IMAGE} deny:findings facts=facts.json\n"
        f"excluding {IMAGE} keep:excluded facts=facts.json\n"
        f"usual {IMAGE} deny:findings\n"
        f"usual {IMAGE} deny:findings facts=facts.json owner=apps/ReplicaSet/web-5d4f hash=5d4f\n"
    )
    said = program("check", "--policies", folder, "-o", "json", status=1).json()
    assert [(f["line"], f["expected"], f["got"]) for f in said["cases"]["failed"]] == [
        (1, result, "deny:findings"),
        (2, "deny:unscanned", "deny:findings"),
        (3, "keep:excluded", "deny:findings"),
        (4, "deny:findings", result),
        (5, "keep:excluded", "deny:findings"),
        (6, "deny:findings", result),
    ]
    assert said["cases"]["passed"] == 1, "a Pod's owner does not change what the gate says of its image"


@pytest.mark.parametrize(
    "expected, said",
    [
        ("deny:nonsense", "`nonsense` is not a reason to refuse"),
        ("deny:", "`` is not a reason to refuse"),
        ("deny:rewritten", "`rewritten` is not a reason to refuse"),
        ("deny:excluded", "`excluded` is not a reason to refuse"),
        ("keep:findings", "`findings` is not a reason to keep"),
    ],
)
def test_lines_that_are_no_cases(program, folder, expected, said):
    (folder / "20.cases").write_text(f"usual {IMAGE} {expected}\nusual auto keep:placeholder\n")
    found = program("check", "--policies", folder, "-o", "json", status=2).json()
    assert [(e["line"], said in e["message"]) for e in found["errors"]] == [(1, True)], found["errors"]
    assert found["cases"] == {"passed": 1, "failed": []}


# --- the time of the facts ---


def test_recorded_makes_old_facts_young(program, folder):
    """The ages of scans, and of what is accepted, are reckoned from when the facts were recorded."""
    for recorded, finished, reason in (
        ("2020-01-08T00:00:00Z", "2020-01-01T00:00:00Z", "clean"),
        ("2020-01-08T00:00:01Z", "2020-01-01T00:00:00Z", "too-old"),
        ("2020-01-01T00:00:00Z", "2020-06-01T00:00:00Z", "clean"),  # a clock that was wrong
    ):
        file = write(folder, facts(scanned(finished=finished), recorded=recorded))
        said = program("explain", IMAGE, "-n", "usual", "--policies", folder, "--facts", file, "-o", "json").json()
        assert said["gate"]["reason"] == reason, (recorded, finished)
    known = facts(scanned(finished="2020-01-01T00:00:00Z"))
    del known["recorded"]
    file = write(folder, known)
    said = program("explain", IMAGE, "-n", "usual", "--policies", folder, "--facts", file, "-o", "json").json()
    assert said["gate"]["reason"] == "too-old", "without it, from now"


@pytest.mark.parametrize(
    "recorded, reason",
    [
        ("2026-11-24T00:00:00Z", "allowlisted"),
        ("2026-11-24T23:59:59Z", "allowlisted"),
        ("2026-11-25T00:00:00Z", "findings"),
        ("2026-11-25T00:59:59+01:00", "allowlisted"),
    ],
)
def test_until_is_the_last_day(program, folder, recorded, reason):
    file = write(folder, facts(scanned(finding("CVE-1")), recorded=recorded))
    said = program(
        "explain", IMAGE, "-n", "accepting", "--policies", folder, "--facts", file, "-o", "json", status=None
    ).json()
    assert said["gate"]["reason"] == reason


# --- files that hold no facts ---


def with_artifact(members):
    return '{"harbors": {"h": {"artifacts": {"a/b:c": {%s}}}}}' % members


def with_finding(members):
    return with_artifact('"scan": {"findings": [{%s}]}' % members)


@pytest.mark.parametrize(
    "text, said",
    [
        ('{"recorded": 5, "harbors": {}}', "`recorded`"),
        ('{"recorded": "yesterday", "harbors": {}}', "2026-11-20T02:11:09Z"),
        (with_artifact('"digest": 5'), "`digest`"),
        (with_artifact('"scannable": "no"'), "`scannable`"),
        (with_artifact('"scan": "Success"'), "`scan`"),
        (with_artifact('"scan": {"status": "Fine"}'), '"Success"'),
        (with_artifact('"scan": {"status": true}'), "`status`"),
        (with_artifact('"scan": {"finished": "2026-11-20"}'), "`finished`"),
        (with_artifact('"scan": {"partial": 1}'), "`partial`"),
        (with_artifact('"scan": {"counts": [1]}'), "`counts`"),
        (with_artifact('"scan": {"counts": {"Grave": 1}}'), "`counts`"),
        (with_artifact('"allowlist": "empty"'), "`allowlist`"),
        (with_artifact('"scan": {"findings": {}}'), "`findings`"),
        (with_artifact('"scan": {"findings": ["CVE-1"]}'), "a finding"),
        (with_finding('"severity": "High", "package": "x"'), "without `id`"),
        (with_finding('"id": "CVE-1", "package": "x"'), "`severity`"),
        (with_finding('"id": "CVE-1", "severity": "Grave"'), "`severity`"),
        (with_finding('"id": 1, "severity": "High"'), "`id`"),
        (with_finding('"id": "CVE-1", "severity": "High", "fix": 3'), "`fix`"),
        (with_finding('"id": "CVE-1", "severity": "High", "package": []'), "`package`"),
        (with_finding('"id": "CVE-1", "severity": "High", "allowlisted": "yes"'), "`allowlisted`"),
        ('{"harbors": {"h": {"registries": ["docker.io"]}}}', "`registries`"),
        ('{"harbors": {"h": {"registries": {"docker.io": 3}}}}', "a project of `registries`"),
    ],
)
def test_wrong_facts(program, folder, text, said):
    file = folder / "wrong.json"
    file.write_text(text)
    for command in (["plan"], ["explain", IMAGE, "-n", "usual"]):
        result = program(*command, "--policies", folder, "--facts", file, stdin="", status=2)
        assert result.out == "" and said in result.err and "expected" in result.err, result.err
        assert re.search(rf"{re.escape(str(file))}: .* at byte \d+, expected ", result.err), result.err
    (folder / "20.cases").write_text(f"usual {IMAGE} deny:findings facts=wrong.json\nusual auto keep:placeholder\n")
    found = program("check", "--policies", folder, "-o", "json", status=2).json()
    assert [e["line"] for e in found["errors"]] == [1] and said in found["errors"][0]["message"]
    assert found["cases"] == {"passed": 1, "failed": []}, "the other case is still run"


# --- policies ---


@pytest.mark.parametrize(
    "findings, said",
    [
        ("{severity: Grave}", "`Low`, `Medium`, `High` or `Critical`"),
        ("{severity: None}", "`Low`, `Medium`, `High` or `Critical`"),
        ("{action: allow}", "`warn` or `deny`"),
        ("{enforceOn: nodes}", "`workloads` or `pods`"),
        ("{fixableOnly: 1}", "`true` or `false`"),
        ("{unscanned: refuse}", "`allow`, `warn` or `deny`"),
        ("{unproxied: {}}", "`allow`, `warn` or `deny`"),
        ("{unavailable: keep}", "`allow`, `warn` or `deny`"),
        ("{maxAge: week}", "`168h`"),
        ("{maxAge: 0s}", "a second or more"),
        ("{allow: CVE-1}", "`findings.allow`"),
        ("{allow: [CVE-1]}", "an entry of `findings.allow`"),
        ("{allow: [{until: 2027-01-31}]}", "`id`"),
        ("{allow: [{id: CVE-1, until: 2027-02-30}]}", "the last day"),
        ("{allow: [{id: CVE-1}, {id: CVE-1}]}", "a second time"),
        ("{minimum: High}", "unknown field `minimum`"),
        ("Critical", "`findings`"),
    ],
)
def test_findings_that_are_none(program, folder, findings, said):
    (folder / "30.yaml").write_text(
        "apiVersion: harbor-pilot.io/v1alpha1\nkind: Policy\nmetadata: {name: wrong}\n"
        f"spec: {{namespaces: [wrong], findings: {findings}}}\n"
    )
    found = program("check", "--policies", folder, "-o", "json", status=2).json()
    about = [e for e in found["errors"] if e["file"].endswith("30.yaml")]
    assert about == found["errors"] and about[0]["line"] == 4 and said in about[0]["message"], found["errors"]


def test_warnings_about_a_gate(program, folder):
    found = program("check", "--policies", folder, "-o", "json").json()
    assert len(found["warnings"]) == 1 and "`unavailable: deny` refuses" in found["warnings"][0]["message"]
    harbor = folder / "10-harbor.yaml"
    harbor.write_text("".join(line for line in harbor.read_text().splitlines(True) if "api:" not in line))
    waves = folder / "20-waves.yaml"
    waves.write_text(
        "apiVersion: harbor-pilot.io/v1alpha1\nkind: Policy\nmetadata: {name: usual}\n"
        "spec: {namespaces: [usual], findings: {}}\n"
    )
    found = program("check", "--policies", folder, "-o", "json").json()
    assert [("no `api`" in w["message"], w["line"]) for w in found["warnings"]] == [(True, 4)]
    said = program("explain", "bad:1", "-n", "usual", "--policies", folder, "--live", "-o", "json", status=3).json()
    assert said["gate"]["reason"] == "unavailable"


def test_the_example_with_a_gate(program):
    """No errors, no warnings, and cases for each of what is refused, accepted and not known."""
    example = HERE.parent.parent / "policies" / "gate"
    found = program("check", "--policies", example, "-o", "json").json()
    assert found["errors"] == found["warnings"] == [] and found["cases"]["passed"] > 8
    cases = (example / "20-applications.cases").read_text()
    assert "deny:findings" in cases and "deny:refused-by-harbor" in cases
    for file in example.glob("*.json"):
        assert "recorded" in json.loads(file.read_text()), "so that the cases do not rot"


# --- discover ---


@pytest.fixture
def discovering(folder):
    harbor = folder / "10-harbor.yaml"
    harbor.write_text(harbor.read_text().replace("registries: {docker.io: hub, quay.io: quay}", "discover: true"))
    waves = folder / "20-waves.yaml"
    waves.write_text(waves.read_text().replace("registries: [docker.io]", "rollout: 100"))
    return folder


def test_a_harbor_that_is_not_discovered_yet(program, discovering):
    file = write(discovering, facts(BAD))
    for more, status in ([], 0), (["--facts", file], 3):
        for namespace in ("usual", "strict"):
            given = ["explain", IMAGE, "-n", namespace, "--policies", discovering, *more, "-o", "json"]
            wanted = status or int(namespace == "strict")
            said = check_decision(program(*given, status=wanted).json())
            assert said["rewrite"]["reason"] == "harbor-down" and "not known yet" in said["rewrite"]["detail"]
            assert said["gate"]["reason"] == "unavailable" and "not known yet" in said["gate"]["detail"]
    said = program("explain", "h.example.com/hub/library/app:1", "-n", "usual", "--policies", discovering,
                   "--facts", file, "-o", "json", status=1).json()
    assert said["rewrite"]["reason"] == "already-in-harbor" and said["gate"]["reason"] == "findings"
    (discovering / "20.cases").write_text(f"usual {IMAGE} keep:harbor-down\nplain {IMAGE} keep:harbor-down\n")
    assert program("check", "--policies", discovering, "-o", "json").json()["cases"] == {"passed": 2, "failed": []}


def test_registries_of_a_facts_file(program, discovering):
    file = write(discovering, facts(BAD, registries={"docker.io": "hub", "h.example.com": "hub"}))
    given = ["--policies", discovering, "--facts", file, "-o", "json"]
    said = program("explain", IMAGE, "-n", "usual", *given, status=1).json()
    assert said["result"] == "h.example.com/hub/library/app:1" and said["gate"]["reason"] == "findings"
    said = program("explain", "quay.io/a/b:1", "-n", "usual", *given).json()
    assert said["rewrite"]["reason"] == "registry-not-proxied" and said["gate"]["reason"] == "unproxied"
    plan = program.plan(json.dumps(pod(IMAGE, namespace="plain")), "--facts", file, policies=discovering)
    assert plan["summary"]["reasons"] == {"rewritten": 1}
    for registries, reason in (({}, "harbor-down"), ({"quay.io": "quay"}, "registry-not-proxied")):
        file = write(discovering, facts(BAD, registries=registries))
        said = program("explain", IMAGE, "-n", "plain", "--policies", discovering, "--facts", file, "-o", "json").json()
        assert said["rewrite"]["reason"] == reason, registries


def test_registries_of_cases(program, discovering):
    """Each case by its own facts."""
    write(discovering, facts(BAD, registries={"docker.io": "hub"}))
    write(discovering, facts(BAD, key="other/library/app:1", registries={"docker.io": "other"}), "other.json")
    (discovering / "20.cases").write_text(
        f"usual {IMAGE} deny:findings facts=facts.json\nplain {IMAGE} h.example.com/other/library/app:1 facts=other.json\n"
        f"plain quay.io/a/b keep:registry-not-proxied facts=facts.json\nplain {IMAGE} keep:harbor-down\n"
    )
    assert program("check", "--policies", discovering, "-o", "json").json()["cases"] == {"passed": 4, "failed": []}


def test_a_policy_names_registries_of_a_discovering_harbor(program, discovering):
    """Whether they have a project is not known before; one that has none is a warning then."""
    (discovering / "30.yaml").write_text(
        "apiVersion: harbor-pilot.io/v1alpha1\nkind: Policy\nmetadata: {name: some}\n"
        "spec: {namespaces: [some], registries: [docker.io, ghcr.io]}\n"
    )
    said = program("check", "--policies", discovering, "-o", "json").json()
    assert not said["errors"] and not [w for w in said["warnings"] if "30.yaml" in w["file"]]
    file = write(discovering, facts(BAD, registries={"docker.io": "hub", "quay.io": "quay"}))
    given = ["-n", "some", "--policies", discovering, "--facts", file, "-o", "json"]
    for image, reason in ((IMAGE, "rewritten"), ("quay.io/a/b", "registry-not-proxied"), ("ghcr.io/a/b", "registry-not-proxied")):
        assert program("explain", image, *given).json()["rewrite"]["reason"] == reason


def test_registries_are_not_taken_where_nothing_is_discovered(program, folder):
    file = write(folder, facts(BAD, registries={"docker.io": "other"}))
    said = program("explain", IMAGE, "-n", "usual", "--policies", folder, "--facts", file, "-o", "json", status=1)
    assert said.json()["result"] == "h.example.com/hub/library/app:1"


@pytest.mark.parametrize(
    "harbor, said",
    [
        ("host: h.example.com, discover: true", "expected an `api`"),
        ("host: h.example.com, discover: true, registries: {a.io: a}, api: {url: 'https://a'}", "one of them"),
        ("host: h.example.com, discover: maybe, api: {url: 'https://a'}", "`true` or `false`"),
        ("host: h.example.com, discover: false, api: {url: 'https://a'}", "no `registries`"),
    ],
)
def test_discover_that_is_wrong(program, tmp_path, harbor, said):
    (tmp_path / "p.yaml").write_text(
        f"apiVersion: harbor-pilot.io/v1alpha1\nkind: Harbor\nmetadata: {{name: h}}\nspec: {{{harbor}}}\n"
    )
    found = program("check", "--policies", tmp_path / "p.yaml", "-o", "json", status=2).json()
    assert any(said in e["message"] for e in found["errors"]), found["errors"]


# --- --live ---

REPORT = "application/vnd.security.vulnerability.report; version=1.1"


class Harbor(http.server.BaseHTTPRequestHandler):
    """As much of a Harbor as the gate asks for: `bad` has findings of which the project accepts one and the system
    another, `filtered` is behind a proxy filter, `gated` is refused to nodes, `new` is at the upstream only."""

    protocol_version = "HTTP/1.1"
    PROJECTS = {"hub": "https://hub.docker.com", "quay": "https://quay.io"}
    FINDINGS = ["CVE-OURS", "CVE-SYSTEM", "CVE-OPEN"]

    def answer(self, code, body, kind="application/json"):
        body = json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def artifact(self, name):
        overview = {"scan_status": "Success", "end_time": "2026-11-24T11:00:00Z", "complete_percent": 100}
        overview["summary"] = {"total": 0, "summary": {}}
        if name == "bad":
            overview["summary"] = {"summary": {"Critical": 3, "Low": 1}}
        links = {"vulnerabilities": {"href": "/x"}}
        found = {"digest": DIGEST, "type": "IMAGE", "project_id": 3, "addition_links": links}
        return found if name == "unscanned" else {**found, "scan_overview": {REPORT: overview}}

    def report(self):
        found = [
            {"id": name, "package": "openssl", "version": "1", "fix_version": "2", "severity": "Critical"}
            for name in self.FINDINGS
        ]
        low = {"id": "CVE-LOW", "package": "bash", "version": "1", "fix_version": "", "severity": "Low"}
        return {REPORT: {"generated_at": "2026-11-24T11:00:00Z", "severity": "Critical", "vulnerabilities": [low, *found]}}

    def do_GET(self):
        path = urllib.parse.urlsplit(self.path).path
        name = path.partition("library%252F")[2].partition("/")[0] or path.partition("/library/")[2].partition("/")[0]
        self.server.asked.append(f"{self.command} {self.path}")
        if path.endswith("/health"):
            parts = [{"name": n, "status": "healthy"} for n in ("core", "registry", "database")]
            self.answer(200, {"status": "healthy", "components": parts})
        elif path.endswith("/systeminfo"):
            self.answer(200, {"harbor_version": "v2.14.0"})
        elif path.endswith("/system/CVEAllowlist"):
            self.answer(200, {"items": [{"cve_id": "CVE-SYSTEM"}]})
        elif path == "/api/v2.0/projects":
            self.answer(200, [{"name": "local", "project_id": 1}, *({"name": n, "registry_id": 1} for n in self.PROJECTS)])
        elif path.endswith("/summary"):
            self.answer(200, {"registry": {"url": self.PROJECTS[path.split("/")[-2]], "status": "healthy"}})
        elif "/additions/vulnerabilities" in path:
            self.answer(*((200, self.report()) if self.server.lists else (403, {"errors": [{"code": "FORBIDDEN"}]})))
        elif "/artifacts/" in path:
            absent = {"errors": [{"code": "NOT_FOUND", "message": "not found"}]}
            self.answer(*((404, absent) if name == "new" else (200, self.artifact(name))))
        elif path.startswith("/v2/"):
            if name == "gated":
                self.answer(412, {"errors": [{"code": "PROJECTPOLICYVIOLATION", "message": "current image…"}]})
            else:
                self.answer(200, {}, "application/vnd.oci.image.manifest.v1+json")
        else:
            self.answer(200, {
                "name": "hub", "registry_id": 1, "project_id": 3,
                "metadata": {"public": "true", "prevent_vul": "true", "reuse_sys_cve_allowlist": self.server.reuse},
                "cve_allowlist": {"items": [{"cve_id": name} for name in self.server.accepted]},
            })

    do_HEAD = do_GET

    def do_POST(self):
        self.server.asked.append(f"POST {self.path}")
        self.answer(202, {})

    def log_message(self, *unused):
        pass


@pytest.fixture
def harbor(folder):
    with contextlib.closing(http.server.ThreadingHTTPServer(("127.0.0.1", 0), Harbor)) as server:
        server.server_close, close = lambda: None, server.server_close
        server.close = close
        server.daemon_threads, server.asked, server.lists, server.reuse = True, [], True, "false"
        server.accepted = ["CVE-OURS"]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        file = folder / "10-harbor.yaml"
        file.write_text(file.read_text().replace("https://127.0.0.1:1", f"http://127.0.0.1:{server.server_port}"))
        yield server
        server.shutdown()
        close()


LIVE = ["bad:1", "clean:1", "unscanned:1", "gated:1", "new:1"]


def test_live(program, harbor, folder):
    """What is recorded gives the same plan; what the project accepts is marked, and does not count."""
    record = folder / "record.json"
    text = json.dumps(workload("Deployment", "web", "usual", *LIVE))
    given = ["plan", "--policies", folder, "-o", "json"]
    plan = check_plan(program(*given, "--live", "--record", record, stdin=text, status=1).json())
    said = {i["image"]: (i["gate"]["outcome"], i["gate"]["reason"]) for i in plan["images"]}
    assert said == {
        "bad:1": ("deny", "findings"),
        "clean:1": ("allow", "clean"),
        "unscanned:1": ("warn", "unscanned"),
        "gated:1": ("deny", "refused-by-harbor"),
        "new:1": ("warn", "unscanned"),
    }
    assert {c["id"] for c in plan["images"][0]["gate"]["cves"]} == {"CVE-SYSTEM", "CVE-OPEN"}
    assert plan["images"][3]["rewrite"]["reason"] == "refused-by-harbor"
    assert not [line for line in harbor.asked if line.startswith("POST")], "a plan makes Harbor scan nothing"
    recorded = json.loads(record.read_text())
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", recorded["recorded"])
    artifacts = recorded["harbors"]["h"]["artifacts"]
    assert "registries" not in recorded["harbors"]["h"]
    bad = artifacts["hub/library/bad:1"]
    assert bad["digest"] == DIGEST and bad["scan"]["status"] == "Success"
    assert bad["scan"]["finished"] == "2026-11-24T11:00:00Z"
    assert {(f["id"], f.get("allowlisted")) for f in bad["scan"]["findings"]} == {
        ("CVE-OURS", True), ("CVE-SYSTEM", None), ("CVE-OPEN", None), ("CVE-LOW", None)
    }, "also what is below the threshold, for other policies"
    assert artifacts["hub/library/gated:1"]["pullGate"] == "refused"
    assert artifacts["hub/library/unscanned:1"]["scan"] == {"status": "None", "findings": []}
    assert "scan" not in artifacts["hub/library/new:1"]
    again = check_plan(program(*given, "--facts", record, stdin=text, status=1).json())
    assert again["images"] == plan["images"]


def test_the_systems_allowlist(program, harbor, folder):
    """It counts where the project reuses it, in place of the project's own."""
    harbor.reuse = "true"
    said = program("explain", "bad:1", "-n", "usual", "--policies", folder, "--live", "-o", "json", status=1).json()
    assert {c["id"] for c in said["gate"]["cves"]} == {"CVE-OURS", "CVE-OPEN"}


@pytest.mark.parametrize("accepting", [True, False])
def test_a_list_of_findings_that_cannot_be_read(program, harbor, folder, accepting):
    """Where the project accepts some findings nobody knows whether it is those; else the numbers are enough, also
    when they are read from a record."""
    harbor.lists, harbor.accepted = False, ["CVE-OURS"] if accepting else []
    given = ["plan", "--policies", folder, "-o", "json"]
    text, record = json.dumps(workload("Deployment", "web", "strict", "bad:1", "clean:1")), folder / "record.json"
    status = 3 if accepting else 1
    plan = check_plan(program(*given, "--live", "--record", record, stdin=text, status=status).json())
    said = plan["images"][0]["gate"]
    assert said["outcome"] == "deny" and said["reason"] == ("unavailable" if accepting else "findings")
    if accepting:
        assert "artifact-addition:read" in said["detail"]
    assert "cves" not in said
    artifact = json.loads(record.read_text())["harbors"]["h"]["artifacts"]["hub/library/bad:1"]
    assert artifact["scan"]["counts"] == {"Critical": 3, "Low": 1} and "findings" not in artifact["scan"]
    again = check_plan(program(*given, "--facts", record, stdin=text, status=status).json())
    assert again["images"] == plan["images"]


def test_live_discovery(program, harbor, discovering):
    record = discovering / "record.json"
    text = json.dumps(workload("Deployment", "web", "usual", "bad:1", "quay.io/a/b:1", "gcr.io/a/b:1"))
    given = ["plan", "--policies", discovering, "-o", "json"]
    plan = check_plan(program(*given, "--live", "--record", record, stdin=text, status=1).json())
    assert [i["rewrite"]["reason"] for i in plan["images"]] == ["rewritten", "rewritten", "registry-not-proxied"]
    known = json.loads(record.read_text())["harbors"]["h"]
    assert known["registries"] == {"docker.io": "hub", "quay.io": "quay"}, "the proxy projects, not all"
    again = check_plan(program(*given, "--facts", record, stdin=text, status=1).json())
    assert again["images"] == plan["images"] and again["policies"] == plan["policies"]
    said = program("explain", "bad:1", "-n", "usual", "--policies", discovering, "--live", "-o", "json", status=1)
    assert said.json()["gate"]["reason"] == "findings"
