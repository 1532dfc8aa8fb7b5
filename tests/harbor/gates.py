"""What the gate shall say, worked out from what Harbor's API says: by rules of its own, in the words of docs/policies.md."""

import collections
import dataclasses
import datetime
import json

from harbors import overview_of, split
from reviews import container, debug, owner, pod, review
from serverlib import select
from web import REPORT

SEVERITIES = ["None", "Unknown", "Low", "Medium", "High", "Critical"]
FOR_EVER = "876000h"  # the recordings grow old
WARNINGS_AT_MOST = 8
CONTROLLER = "system:serviceaccount:kube-system:replicaset-controller"
ONE_OF_OURS = "system:serviceaccount:rollouts:controller"  # in trustedControllers


# --- settings ---

@dataclasses.dataclass
class Setting:
    name: str
    severity: str = "Critical"
    action: str = "deny"
    unscanned: str = "warn"
    unproxied: str = "warn"
    unavailable: str = "allow"
    fixable: bool = False
    pods: bool = False
    max_age: str = FOR_EVER
    allow: tuple = ()      # of CVE ids
    until: str = None
    mode: str = "enforce"
    more: str = ""         # of the Policy's spec

    @property
    def namespace(self):
        return "gate-" + self.name

    def policy(self):
        until = f", until: {self.until}" if self.until else ""
        allow = ", ".join(f"{{id: {cve}{until}, reason: a test}}" for cve in self.allow)
        return f"""\
---
apiVersion: harbor-pilot.io/v1alpha1
kind: Policy
metadata: {{name: {self.namespace}}}
spec:
  namespaces: [{self.namespace}]
  mode: {self.mode}
  {self.more}
  findings: {{severity: {self.severity}, action: {self.action}, unscanned: {self.unscanned}, unproxied: {self.unproxied},
    unavailable: {self.unavailable}, fixableOnly: {str(self.fixable).lower()},
    enforceOn: {"pods" if self.pods else "workloads"}, maxAge: {self.max_age}, allow: [{allow}]}}
"""

    def outcome(self, reason):
        return {"findings": self.action, "refused-by-harbor": self.action, "unproxied": self.unproxied,
                "unavailable": self.unavailable, **dict.fromkeys(
                    ("unscanned", "scanning", "scan-failed", "too-old"), self.unscanned)}.get(reason, "allow")


# --- facts ---

@dataclasses.dataclass
class Fact:
    """What is known of one image. `given`: the reason that follows from no scan."""
    given: str = None
    status: str = None     # of its scan, or the worst of its platforms'
    partial: bool = False  # of an index: scanned, but for a platform whose scan failed
    findings: tuple = ()   # of (id, severity, package, fix)
    accepted: frozenset = frozenset()
    digest: str = None
    project_id: int = 0


def findings_of(report):
    listed = (report.get(REPORT) or {}).get("vulnerabilities") or []
    return {(f["id"], "None" if f["severity"] == "Negligible" else f["severity"], f["package"], f["fix_version"] or "")
            for f in listed}


def accepted_of(harbor, domain):
    """The CVE ids that Harbor's allowlists hold for a project."""
    project = harbor.project(domain)
    reuses = project["metadata"].get("reuse_sys_cve_allowlist", "true") == "true"
    allowlist = harbor.system_allowlist() if reuses else project["cve_allowlist"]
    expires = allowlist.get("expires_at") or 0
    alive = not expires or datetime.datetime.now().timestamp() < expires
    return frozenset(item["cve_id"] for item in allowlist["items"] or [] if alive)


def fact_of(harbor, image):
    """Of an image that is cached."""
    artifact = harbor.artifact(image)
    overview = overview_of(artifact) or {}
    status, findings = overview.get("scan_status"), findings_of(harbor.vulnerabilities(image))
    partial = False
    domain, repository, _ = split(image)
    if artifact["references"] and (status != "Success" or overview.get("complete_percent") != 100):
        statuses = set()
        for reference in artifact["references"]:
            child = f"{domain}/{repository}@{reference['child_digest']}"
            statuses.add((overview_of(harbor.artifact(child)) or {}).get("scan_status"))
            findings |= findings_of(harbor.vulnerabilities(child))
        status = next(s for s in ("Running", "Error", None, "Success") if s in statuses)
        partial = statuses == {"Error", "Success"}
    return Fact(status=status, partial=partial, findings=tuple(sorted(findings)), accepted=accepted_of(harbor, domain),
                digest=artifact["digest"], project_id=artifact["project_id"])


def at_least(severity, threshold):
    return SEVERITIES.index(severity) >= SEVERITIES.index(threshold)


def bad_of(setting, fact):
    live = setting.allow if setting.until is None or setting.until >= str(datetime.date.today()) else ()
    matter = [f for f in fact.findings if at_least(f[1], setting.severity) and (f[3] or not setting.fixable)]
    return [f for f in matter if f[0] not in fact.accepted and f[0] not in live], matter


def reason_of(setting, fact):
    if fact.given:
        return fact.given
    bad, matter = bad_of(setting, fact)
    old = setting.max_age != FOR_EVER
    if fact.status != "Success" and not (old and fact.partial):
        missing = {None: "unscanned", "Running": "scanning", "Error": "scan-failed"}[fact.status]
        return "findings" if bad and not old else missing
    if old:
        return "too-old"
    if bad:
        return "findings"
    if not fact.findings:
        return "clean"
    return "allowlisted" if matter else "below-threshold"


# --- objects ---

def make(kind, template, name, namespace, metadata=None, group="apps"):
    spec = {"template": template}
    if kind == "CronJob":
        spec = {"schedule": "* * * * *", "jobTemplate": {"spec": spec}}
    obj = {"apiVersion": f"{group}/v1" if group else "v1", "kind": kind,
           "metadata": {"name": name, "namespace": namespace, **(metadata or {})}, "spec": spec}
    if kind == "PodTemplate":
        obj["template"] = obj.pop("spec")["template"]
    return obj


class Objects:
    """Reviews of each kind of object, for a list of containers. `judged`: whether the gate has a say, `spared`: whether a
    refusal becomes a warning."""

    judged = {"update-same": False, "pod-template": False, "controlled-replica-set": False}
    spared = {"controllers-pod", "trusted-pod"}
    names = ["deployment", "update-new", "update-same", "replica-set", "stateful-set", "daemon-set",
             "replication-controller", "job", "cron-job", "pod-template", "controlled-replica-set", "forged-replica-set",
             "pod", "controllers-pod", "trusted-pod", "forged-pod", "ephemeral-container", "volumes", "init-containers"]

    def __init__(self, namespace, containers):
        self.namespace, self.containers = namespace, containers
        self.template = {"spec": {"containers": containers}}

    def review(self, name, **how):
        return getattr(self, name.replace("-", "_"))(**how)

    def _made(self, kind, group="apps", owners=None, user="admin", **how):
        metadata = {"ownerReferences": owners} if owners else None
        return review(make(kind, self.template, "app", self.namespace, metadata, group),
                      userInfo={"username": user, "groups": []}, **how)

    def deployment(self, **how):
        return self._made("Deployment", **how)

    def _update(self, old_containers, **how):
        old = make("Deployment", {"spec": {"containers": old_containers}}, "app", self.namespace)
        return review(make("Deployment", self.template, "app", self.namespace), "UPDATE", old=old, **how)

    def update_new(self, **how):
        return self._update([container("c0", "docker.io/state/before:1")], **how)

    def update_same(self, **how):
        """The same images, another order, and other names."""
        return self._update([{**c, "name": "was-" + c["name"]} for c in reversed(self.containers)], **how)

    def replica_set(self, **how):
        return self._made("ReplicaSet", **how)

    def stateful_set(self, **how):
        return self._made("StatefulSet", **how)

    def daemon_set(self, **how):
        return self._made("DaemonSet", **how)

    def replication_controller(self, **how):
        return self._made("ReplicationController", group="", **how)

    def job(self, **how):
        return self._made("Job", group="batch", **how)

    def cron_job(self, **how):
        return self._made("CronJob", group="batch", **how)

    def pod_template(self, **how):
        return self._made("PodTemplate", group="", **how)

    def controlled_replica_set(self, **how):
        return self._made("ReplicaSet", owners=[owner("apps/v1", "Deployment", "app")],
                          user="system:serviceaccount:kube-system:deployment-controller", **how)

    def forged_replica_set(self, **how):
        return self._made("ReplicaSet", owners=[owner("apps/v1", "Deployment", "app")], **how)

    def _pod(self, user="admin", owned=True, **how):
        owners = [owner("apps/v1", "ReplicaSet", "app-5d4f")] if owned else None
        return review(pod(*self.containers, namespace=self.namespace, owners=owners),
                      userInfo={"username": user, "groups": []}, **how)

    def pod(self, **how):
        return self._pod(owned=False, **how)

    def controllers_pod(self, **how):
        return self._pod(CONTROLLER, **how)

    def trusted_pod(self, **how):
        return self._pod(ONE_OF_OURS, **how)

    def forged_pod(self, **how):
        return self._pod(**how)

    def ephemeral_container(self, **how):
        before = pod(container("old", "docker.io/state/before:1"), namespace=self.namespace)
        return debug(before, *self.containers, **how)

    def volumes(self, **how):
        listed = [{"name": c["name"], "image": {"reference": c["image"]}} for c in self.containers]
        return review(pod(namespace=self.namespace, volumes=listed), **how)

    def init_containers(self, **how):
        return review(pod(namespace=self.namespace, initContainers=self.containers), **how)


# --- asking ---

def counted(server):
    """{(policy, mode, outcome, reason): count} so far."""
    found = collections.Counter()
    for labels, value in select(server.metrics(), "harborpilot_gate_decisions_total"):
        found[labels["policy"], labels["mode"], labels["outcome"], labels["reason"]] += int(value)
    return found


@dataclasses.dataclass
class Verdict:
    response: dict
    decisions: dict          # {name: the decision}, of those that are warned about or refused
    counts: collections.Counter  # what it added to the metrics

    @property
    def allowed(self):
        return self.response["allowed"]

    @property
    def message(self):
        return self.response["status"]["message"]

    @property
    def warnings(self):
        return self.response.get("warnings", [])

    @property
    def reasons(self):
        """(outcome, reason) of each image that was judged."""
        return sorted((outcome, reason) for (_, _, outcome, reason) in self.counts.elements())

    @property
    def reason(self):
        (one,) = self.reasons
        return one


def send(server, sent, mode="enforce", timeout="10s", count=True):
    """The verdict of a review; nobody else may be asking, where it is to `count`."""
    before = count and counted(server)
    answer = server.post_again(f"/validate/{mode}?timeout={timeout}", sent)
    assert answer.status == 200, answer.text
    body = answer.json()
    response = body["response"]
    assert body.keys() == {"apiVersion", "kind", "response"} and response["uid"] == sent["request"]["uid"]
    assert "patch" not in response and ("status" in response) == (not response["allowed"]), response
    if not response["allowed"]:
        assert response["status"]["code"] == 403 and response["status"]["reason"] == "Forbidden"
    decisions = {key.partition("-")[2]: json.loads(value)
                 for key, value in response.get("auditAnnotations", {}).items() if key != "policy"}
    return Verdict(response, decisions, counted(server) - before if count else None)


def judge(server, image, namespace, kind="deployment", mode="enforce", timeout="10s", **how):
    """The verdict on one image."""
    objects = Objects(namespace, [container("c0", image)])
    return send(server, objects.review(kind, **how), mode, timeout)


def expected_of(setting, fact, kind):
    """(outcome, reason)"""
    reason = reason_of(setting, fact)
    outcome = setting.outcome(reason)
    spared = outcome == "deny" and kind in Objects.spared and not setting.pods
    return "warn" if spared else outcome, reason


def check_review(server, setting, kind, facts, mode="enforce", **how):
    """Sends all images in one object of this kind; says what is wrong with the answer, and what is to be counted.
    `facts`: {image: Fact}."""
    containers = [container(f"c{i}", image) for i, image in enumerate(facts)]
    judged = Objects.judged.get(kind, True)
    wanted = {f"c{i}": expected_of(setting, fact, kind) for i, fact in enumerate(facts.values()) if judged}
    effective = "audit" if "audit" in (mode, setting.mode) else "enforce"
    verdict = send(server, Objects(setting.namespace, containers).review(kind, **how), mode, count=False)
    problems = []

    def check(what, got, expected):
        if got != expected:
            problems.append(f"{setting.name}, {kind}, {mode}: {what}: {got}, expected {expected}")
    counts = collections.Counter((setting.namespace, effective, *pair) for pair in wanted.values())
    told = {name: pair for name, pair in wanted.items() if pair[0] != "allow"}
    said = {name: (d["gate"]["outcome"], d["gate"]["reason"]) for name, d in verdict.decisions.items()}
    check("audit annotations", dict(said.items() - told.items()), dict(told.items() - said.items()))
    for i, (image, fact) in enumerate(facts.items()):
        gate = verdict.decisions.get(f"c{i}", {}).get("gate", {})
        if gate.get("reason") == "findings":
            bad, _ = bad_of(setting, fact)
            check(f"{image}: CVEs", {cve["id"] for cve in gate["cves"]}, {f[0] for f in bad})
            check(f"{image}: digest", gate["digest"], fact.digest)
    outcomes = collections.Counter(outcome for outcome, _ in wanted.values())
    applied = effective == "enforce"
    check("allowed", verdict.allowed, not (applied and outcomes["deny"]))
    check("warnings", len(verdict.warnings), min(outcomes["warn"], WARNINGS_AT_MOST) if applied else 0)
    if not verdict.allowed:
        denied = outcomes["deny"]
        check("its beginning", verdict.message.partition(" refused")[0],
              "1 image is" if denied == 1 else f"{denied} images are")
    return problems, counts


def check_reviews(server, reviews):
    """`reviews`: the arguments of check_review, of each."""
    problems, expected, before = [], collections.Counter(), counted(server)
    for arguments, how in reviews:
        wrong, counts = check_review(server, *arguments, **how)
        problems += wrong
        expected += counts
    got = counted(server) - before
    assert not problems, "\n".join(problems[:10])
    assert got == expected, f"counted too often: {got - expected}; not counted: {expected - got}"
