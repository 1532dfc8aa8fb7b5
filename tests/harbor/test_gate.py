"""The gate: each state of an image, under each setting, in each kind of object. What is expected is worked out in gates.py
from what Harbor's API says, so that the same tests hold on the fake and on a real Harbor."""

import datetime
import itertools
import json
import subprocess
import time

import pytest

from conftest import HOST
from gates import (ONE_OF_OURS, Fact, Objects, Setting, accepted_of, bad_of, check_reviews, counted,
                   expected_of, fact_of, judge, reason_of, send)
from harbors import SCANNED, overview_of, split
from reviews import container, debug, pod
from serverlib import Server, wait

STAYS = [kind for kind in SCANNED if kind != "slow"]  # a scan that runs ends some time
NOT_PROXIED = ["nowhere.example.com/team/app:1", "UPPER//case", f"{HOST}/nothing-but-a-name:1", HOST.split(".")[0] + "/A:1"]
# images that are not scanned, by the states of harbors.STATES
GIVEN = {
    "its upstream has it": "unscanned", "its upstream has no repository": "unscanned",
    "in Harbor": None, "in Harbor, an index": None, "private, in Harbor": None,
    "in Harbor, refused by its pull gate": "refused-by-harbor", "no such project": "unavailable",
}
TRUSTED = f"trustedControllers: ['{ONE_OF_OURS}']"


def all_settings(cves):
    """`cves`: those of an image with critical findings."""
    yield Setting("defaults")
    for severity in ("Low", "Medium", "High"):
        yield Setting(severity.lower(), severity=severity)
    yield Setting("warn", action="warn")
    for field, outcome in itertools.product(("unscanned", "unproxied", "unavailable"), ("allow", "warn", "deny")):
        yield Setting(f"{field}-{outcome}", **{field: outcome})
    yield Setting("all-deny", unscanned="deny", unproxied="deny", unavailable="deny")
    yield Setting("fixable", fixable=True)
    yield Setting("fixable-low", fixable=True, severity="Low")
    yield Setting("pods", pods=True)
    yield Setting("pods-all-deny", pods=True, unscanned="deny", unproxied="deny", unavailable="deny")
    yield Setting("old", max_age="1s", unscanned="deny")
    yield Setting("allow-one", allow=cves[:1])
    yield Setting("allow-all", allow=cves)
    yield Setting("allow-today", allow=cves, until=str(datetime.datetime.now(datetime.timezone.utc).date()))
    yield Setting("allow-no-more", allow=cves, until="2026-01-01")
    yield Setting("excluded", more="exclude: ['scanned.example.com/*', '*/state/*']")
    yield Setting("outside-the-rollout", more="rollout: 0")
    yield Setting("other-registries", more="registries: [private.example.com]")
    yield Setting("never-asks-for-a-rewrite", more="requireInHarbor: never")
    yield Setting("audited", mode="audit", unscanned="deny")


class Gate:
    """A server with a Policy for each setting, and the images of every state."""

    def __init__(self, harbor):
        self.images = {kind: harbor.scanned_image(kind) for kind in STAYS}
        self.facts = {image: fact_of(harbor, image) for image in self.images.values()}
        critical = self.facts[self.images["critical"]]
        self.cves = tuple(sorted(f[0] for f in critical.findings if f[1] == "Critical"))
        for state, reason in GIVEN.items():
            (image,) = harbor.images(state)
            self.facts[image] = Fact(given=reason) if reason else fact_of(harbor, image)
        for image in NOT_PROXIED:
            self.facts[image] = Fact(given="unproxied")
        for kind in ("critical", "clean"):  # as it is after the rewrite
            at_harbor = harbor.result(self.images[kind], HOST)
            self.facts[at_harbor] = self.facts[self.images[kind]]
        self.settings = {setting.name: setting for setting in all_settings(self.cves)}
        self.policies = harbor.policies(more="".join(s.policy() for s in self.settings.values()), harbor=TRUSTED)


@pytest.fixture(scope="module")
def gate(harbor):
    return Gate(harbor)


@pytest.fixture(scope="module")
def server(places, harbor, gate):
    one = Server(places.binary, places.certificates, gate.policies).await_ready()
    time.sleep(2)  # the last scan is older than the smallest maxAge
    yield one
    one.stop()


def some(gate, **how):
    """A file of policies with these settings alone."""
    return "".join(Setting(name, **settings).policy() for name, settings in how.items())


# --- everything at once ---

@pytest.mark.parametrize("kind", Objects.names)
def test_every_state_under_every_setting(gate, server, kind):
    check_reviews(server, [((setting, kind, gate.facts, mode), {"dryRun": mode == "enforce" and setting.pods})
                           for setting in gate.settings.values() for mode in ("enforce", "audit")])


def test_the_states_are_all_different(gate):
    """What the test above relies on: every reason is there, by the rules of gates.py."""
    reasons = {reason_of(setting, fact) for setting in gate.settings.values() for fact in gate.facts.values()}
    assert reasons == {"clean", "below-threshold", "allowlisted", "findings", "unscanned", "scan-failed", "too-old",
                       "unproxied", "unavailable", "refused-by-harbor"}


# --- what is said ---

@pytest.mark.parametrize("kind", ["critical", "critical-fixable", "critical-unfixable", "index-critical"])
def test_a_refusal_says_what_was_found_and_where(gate, server, kind):
    image, setting = gate.images[kind], gate.settings["defaults"]
    fact = gate.facts[image]
    bad, _ = bad_of(setting, fact)
    verdict = judge(server, image, setting.namespace)
    message = verdict.message
    assert verdict.reason == ("deny", "findings")
    assert f"Policy `{setting.namespace}` (" in message and "policies.yaml:" in message
    assert f"container c0: {image}: {len(bad)} Critical: " in message
    for cve, severity, package, fix in bad:
        assert f"{cve} ({severity}, {package}, {f'fixed in {fix}' if fix else 'no fix yet'})" in message
    for cve in {f[0] for f in fact.findings} - {f[0] for f in bad}:
        assert cve not in message
    _, repository, _ = split(image)
    assert (f"https://{HOST}/harbor/projects/{fact.project_id}/repositories/{repository.replace('/', '%2F')}"
            f"/artifacts-tab/artifacts/{fact.digest}") in message
    assert "CVE allowlist of project `" in message and "`findings.allow`" in message


@pytest.mark.parametrize("name, reason, said, advice", [
    ("never-scanned", "unscanned", "not scanned yet", "`findings.unscanned`"),
    ("error", "scan-failed", "its scan failed", "`findings.unscanned`"),
    ("nowhere.example.com/team/app:1", "unproxied", "Harbor does not serve it", "`findings.unproxied`"),
    ("no such project", "unavailable", "cannot be read", "`findings.unavailable`"),
    ("in Harbor, refused by its pull gate", "refused-by-harbor", "Harbor itself refuses to serve it", "CVE allowlist"),
])
def test_a_refusal_without_findings_says_why(harbor, gate, server, name, reason, said, advice):
    image = gate.images.get(name) or (harbor.images(name)[0] if name in GIVEN else name)
    verdict = judge(server, image, "gate-all-deny")
    assert verdict.reason == ("deny", reason)
    assert f"container c0: {image}: " in verdict.message
    assert said in verdict.message and advice in verdict.message


def test_a_scan_that_is_too_old_says_of_when_it_is(harbor, gate, server):
    verdict = judge(server, gate.images["clean"], "gate-old")
    assert verdict.reason == ("deny", "too-old")
    ended = overview_of(harbor.artifact(gate.images["clean"]))["end_time"][:19]
    assert f"its last scan, of {ended}Z, is too old" in verdict.message
    assert verdict.decisions["c0"]["gate"]["scanned"] == ended + "Z"


def test_a_warning_names_the_image_and_the_worst(gate, server):
    image = gate.images["critical"]
    verdict = judge(server, image, "gate-warn")
    (warning,) = verdict.warnings
    assert verdict.allowed and verdict.reason == ("warn", "findings")
    assert warning.startswith(f"harbor-pilot: container c0: {image}: {len(gate.cves)} Critical: ")
    assert any(cve in warning for cve in gate.cves) and len(warning) <= 240


def test_the_annotation_and_the_log_hold_the_decision(gate, server):
    image, setting = gate.images["critical"], gate.settings["high"]
    fact = gate.facts[image]
    sent = Objects(setting.namespace, [container("c0", image)]).review("deployment")
    verdict = send(server, sent)
    decision = verdict.decisions["c0"]
    bad, _ = bad_of(setting, fact)
    listed = {(cve["id"], cve["severity"], cve["package"], cve.get("fix", "")) for cve in decision["gate"]["cves"]}
    counts = {}
    for _, severity, _, _ in fact.findings:
        counts[severity] = counts.get(severity, 0) + 1
    assert listed == set(bad) and decision["gate"]["counts"] == counts
    assert decision["image"] == image and decision["policy"] == setting.namespace
    assert decision["field"] == "/spec/template/spec/containers/0/image"
    assert verdict.response["auditAnnotations"]["policy"] == setting.namespace
    line = server.event("review", lambda line: line["uid"] == sent["request"]["uid"])
    assert line["webhook"] == "validate" and line["applied"] is True and line["mode"] == "enforce"
    assert [i["gate"] for i in line["images"]] == [decision["gate"]]


def test_a_pod_that_is_spared_is_told_so(gate, server):
    verdict = judge(server, gate.images["critical"], "gate-defaults", "controllers-pod")
    assert verdict.allowed and verdict.reason == ("warn", "findings") and len(verdict.warnings) == 1
    assert "enforceOn: workloads" in verdict.decisions["c0"]["gate"]["detail"]


def test_an_ephemeral_container_does_not_answer_for_the_others(gate, server):
    """Only what is new is asked about: what runs already may be as bad as it likes."""
    before = pod(container("old", gate.images["critical"]), namespace="gate-defaults")
    verdict = send(server, debug(before, container("debug", gate.images["clean"])))
    assert verdict.allowed and verdict.reason == ("allow", "clean")


def test_an_update_with_a_good_image_beside_a_bad_one(gate, server):
    objects = Objects("gate-defaults", [container("a", gate.images["critical"]), container("b", gate.images["clean"])])
    old = [container("a", gate.images["critical"])]
    assert send(server, objects._update(old)).reason == ("allow", "clean")
    assert send(server, objects._update([container("b", gate.images["clean"])])).reason == ("deny", "findings")


# --- other facts than a scan ---

@pytest.mark.parametrize("kind", ["set", "expiring", "expired", "reusing the system's"])
def test_harbors_allowlists_count(harbor, gate, start, kind):
    """All of an image's findings may be accepted, or some of them."""
    with harbor.allowlist(kind):
        server = start(gate.policies).await_ready()
        accepted = accepted_of(harbor, "scanned.example.com")
        assert bool(accepted) == (kind in ("set", "expiring") or (not harbor.is_real and kind != "expired"))
        facts = {image: Fact(**{**vars(fact), "accepted": accepted}) if split(image)[0] == "scanned.example.com" else fact
                 for image, fact in gate.facts.items() if not image.startswith(HOST + "/")}
        check_reviews(server, [((gate.settings[name], "deployment", facts), {})
                               for name in ("defaults", "low", "fixable", "pods")])
        if accepted:
            reasons = {reason_of(gate.settings["defaults"], fact) for fact in facts.values()}
            assert "allowlisted" in reasons


def test_an_image_of_a_project_that_no_policy_names(harbor, gate, start):
    """It is at Harbor's host already, so it is judged, by its project's allowlist."""
    image = harbor.result(gate.images["critical-fixable"], HOST)
    policies = harbor.policies(without=["scanned.example.com"], more=some(gate, defaults={}, warn={"action": "warn"}))
    with harbor.allowlist("empty"):
        server = start(policies).await_ready()
        assert judge(server, image, "gate-defaults").reason == ("deny", "findings")
        assert judge(server, gate.images["critical"], "gate-defaults").reason == ("warn", "unproxied")
    with harbor.allowlist("set"):
        fact = Fact(**{**vars(gate.facts[gate.images["critical-fixable"]]),
                       "accepted": accepted_of(harbor, "scanned.example.com")})
        server = start(policies).await_ready()
        assert judge(server, image, "gate-defaults").reason == expected_of(Setting("defaults"), fact, "deployment")


def test_without_the_right_to_read_reports(harbor, gate, start):
    """The numbers are known: they are enough for a refusal where nothing could be accepted or fixed."""
    image = harbor.private_critical()
    server = start.verified(harbor.policies("counts only", more=some(
        gate, defaults={}, fixable={"fixable": True, "unavailable": "deny"},
        allow={"allow": gate.cves[:1], "unavailable": "warn"}))).await_ready()
    verdict = judge(server, image, "gate-defaults")
    assert verdict.reason == ("deny", "findings")
    assert f"{len(gate.cves)} Critical; only the number of findings is known" in verdict.message
    assert "cves" not in verdict.decisions["c0"]["gate"] and verdict.decisions["c0"]["gate"]["counts"]["Critical"]
    verdict = judge(server, image, "gate-fixable")
    assert verdict.reason == ("deny", "unavailable") and "artifact-addition:read" in verdict.message
    assert judge(server, image, "gate-allow").reason == ("warn", "unavailable")


def test_a_scan_that_runs(harbor, gate, start):
    """Of an image that was not scanned before, or not by what this server knows."""
    policies = harbor.policies(more=some(gate, defaults={}, deny={"unscanned": "deny"}, allow={"unscanned": "allow"}))
    image = harbor.scanned_image("slow")
    server = start(policies).await_ready()
    verdict = judge(server, image, "gate-deny")
    assert verdict.reason == ("deny", "scanning") and "its scan is under way" in verdict.message
    assert judge(server, image, "gate-defaults").reason == ("warn", "scanning")
    assert judge(server, image, "gate-allow").reason == ("allow", "scanning")


def test_while_the_scanner_is_away(harbor, gate, start):
    """The overview is gone and the report is not: what was found still counts, and what is clean stays clean."""
    policies = harbor.policies(more=some(gate, defaults={}, deny={"unscanned": "deny", "unavailable": "deny"}))
    image = gate.images["critical"]
    with harbor.without_scanner(image):
        server = start(policies).await_ready()
        verdict = judge(server, image, "gate-defaults")
    assert verdict.reason == ("deny", "findings")
    assert all(cve in verdict.message for cve in gate.cves)


def test_a_wrong_account_makes_everything_unavailable(harbor, gate, start):
    server = start(harbor.policies("wrong secret", more=some(gate, defaults={}, deny={"unavailable": "deny"})))
    server.await_ready()
    server.event("harbor-account", lambda line: line["level"] == "error")
    for kind in ("clean", "critical", "never-scanned"):
        verdict = judge(server, gate.images[kind], "gate-deny")
        assert verdict.reason == ("deny", "unavailable") and "Harbor refuses our account" in verdict.message
        assert judge(server, gate.images[kind], "gate-defaults").reason == ("allow", "unavailable")


def test_an_unscanned_image_is_scanned_on_demand(harbor, gate, start):
    """The first who brings it is warned, and Harbor is asked to scan it: the next one gets a verdict."""
    server = start(harbor.policies("scanning", more=some(gate, defaults={}))).await_ready()
    image = harbor.unscanned_image()
    assert judge(server, image, "gate-defaults", dryRun=True).reason == ("warn", "unscanned")
    assert judge(server, image, "gate-defaults", mode="audit").reason == ("warn", "unscanned")
    assert overview_of(harbor.artifact(image)) is None, "neither a dry run nor audit mode changes anything"
    assert judge(server, image, "gate-defaults").reason == ("warn", "unscanned")
    wait(lambda: judge(server, image, "gate-defaults").reason == ("allow", "clean"), "it has been scanned", 60)


def test_the_account_may_not_have_scanned(harbor, gate, start):
    """403: the image stays unscanned, and nothing else happens."""
    server = start(harbor.policies(more=some(gate, defaults={}))).await_ready()
    for _ in range(3):
        assert judge(server, gate.images["never-scanned"], "gate-defaults").reason == ("warn", "unscanned")
    assert not [line for line in server.events("harbor-account") if line["level"] == "error"]
    assert overview_of(harbor.artifact(gate.images["never-scanned"])) is None


def test_plan_judges_as_the_server_does_and_so_does_a_plan_of_what_it_recorded(harbor, gate, places):
    """`--live`, `--record`, and `--facts`: for somebody who applies a Deployment."""
    facts = places.new_directory() / "facts.json"
    names = ["defaults", "low", "fixable", "all-deny", "allow-one", "old", "excluded"]
    containers = [container(f"c{i}", image) for i, image in enumerate(gate.facts)]
    items = [Objects(f"gate-{name}", containers).review("deployment")["request"]["object"] for name in names]

    def plan(*args):
        done = subprocess.run([places.binary, "plan", "--policies", gate.policies, "-o", "json", *args], text=True,
                              input=json.dumps({"apiVersion": "v1", "kind": "List", "items": items}), timeout=120,
                              capture_output=True)
        assert done.returncode in (1, 3), done.stderr
        return json.loads(done.stdout)
    live = plan("--live", "--record", facts)
    expected = [expected_of(gate.settings[name], fact, "deployment") for name in names for fact in gate.facts.values()]
    got = [(i["gate"]["outcome"], i["gate"]["reason"]) for i in live["images"]]
    wrong = [(image["namespace"], image["image"], pair, wanted)
             for image, pair, wanted in zip(live["images"], got, expected, strict=True) if pair != wanted]
    assert not wrong
    assert live["summary"]["deny"] == sum(outcome == "deny" for outcome, _ in expected)
    assert plan("--facts", facts) == live


def test_counters_name_no_image(gate, server):
    judge(server, gate.images["critical"], "gate-defaults")
    assert all(policy in {s.namespace for s in gate.settings.values()} for policy, _, _, _ in counted(server))
