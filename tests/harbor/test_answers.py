"""What Harbor answers about scans and allowlists, as far as its shape is relied on: the recordings that the fake replays
in `make test`, a real Harbor's answers in `make test-harbor`."""

import re

import pytest

from harbors import SCANNED, overview_of
from scanner_adapter import FINDINGS
from web import OLD_REPORT, REPORT

DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
SEVERITIES = {"None", "Unknown", "Negligible", "Low", "Medium", "High", "Critical"}
SUCCESSES = [kind for kind, status in SCANNED.items() if status == "Success"]
INDEXES = [kind for kind in SCANNED if kind.startswith("index")]


def critical_of(harbor, kind):
    """How many critical findings the stand-in gave, where the Harbor is real; None for a recording."""
    findings = FINDINGS.get("critical" if kind == "index-critical" else kind)
    return sum(f["severity"] == "Critical" for f in findings or []) if harbor.is_real else None


@pytest.mark.parametrize("kind", SCANNED)
def test_scan_status(harbor, kind):
    overview = overview_of(harbor.artifact(harbor.scanned_image(kind)))
    assert (overview or {}).get("scan_status") == SCANNED[kind]


@pytest.mark.parametrize("kind", SUCCESSES)
def test_the_overview_of_a_scan(harbor, kind):
    overview = overview_of(harbor.artifact(harbor.scanned_image(kind)))
    assert overview["complete_percent"] == (50 if kind == "index-child-failed" else 100)
    summary, counts = overview["summary"], overview["summary"].get("summary", {})
    assert summary["total"] == sum(counts.values()) >= summary.get("fixable", 0)
    assert counts.keys() <= SEVERITIES and overview["severity"] in SEVERITIES
    assert ("Critical" in counts) == (overview["severity"] == "Critical")
    assert TIME.fullmatch(overview["start_time"]) and TIME.fullmatch(overview["end_time"])
    assert overview["end_time"] > "2020" and overview["scanner"]["name"]
    expected = critical_of(harbor, kind)
    assert expected is None or counts.get("Critical", 0) == expected


@pytest.mark.parametrize("kind", ["slow", "error"])
def test_a_scan_without_a_result_has_no_summary(harbor, kind):
    overview = overview_of(harbor.artifact(harbor.scanned_image(kind)))
    assert "summary" not in overview and "severity" not in overview
    assert overview["end_time"].startswith("0001-") == (kind == "slow")


@pytest.mark.parametrize("kind", ["never-scanned", "index-never-scanned", "index-half-scanned"])
def test_never_scanned_is_told_by_a_link(harbor, kind):
    """It is there as long as the scanner could say something; without it, nothing may be said of the image."""
    artifact = harbor.artifact(harbor.scanned_image(kind))
    assert "scan_overview" not in artifact
    assert artifact["addition_links"]["vulnerabilities"]["href"].endswith("/additions/vulnerabilities")


def test_without_its_scanner_harbor_hides_the_verdict_and_not_the_report(harbor):
    """It looks like never scanned, but for the link: whoever takes it for that refuses what was found to be clean."""
    image = harbor.scanned_image("critical")
    with harbor.without_scanner(image):
        artifact, report = harbor.artifact(image), harbor.vulnerabilities(image)
    assert "scan_overview" not in artifact and "vulnerabilities" not in artifact["addition_links"]
    assert any(finding["severity"] == "Critical" for finding in report[REPORT]["vulnerabilities"])


@pytest.mark.parametrize("kind", SCANNED)
def test_the_report(harbor, kind):
    report = harbor.vulnerabilities(harbor.scanned_image(kind))
    if SCANNED[kind] != "Success":
        assert report == {}
        return
    assert report.keys() == {REPORT}
    for finding in report[REPORT]["vulnerabilities"] or []:
        assert re.fullmatch(r"CVE-\d+-\d+", finding["id"]) and finding["package"] and finding["version"]
        assert finding["severity"] in SEVERITIES and isinstance(finding["fix_version"], str)
        assert all(DIGEST.fullmatch(digest) for digest in finding["artifact_digests"])
    if harbor.is_real and kind in FINDINGS:
        found = {f["id"]: (f["severity"], f["fix_version"]) for f in report[REPORT]["vulnerabilities"] or []}
        assert found == {f["id"]: (f["severity"], f["fix_version"]) for f in FINDINGS[kind]}


@pytest.mark.parametrize("kind", [*INDEXES, "clean"])
def test_an_index_names_its_children(harbor, kind):
    artifact = harbor.artifact(harbor.scanned_image(kind))
    references = artifact["references"] or []
    assert len(references) == (2 if kind in INDEXES else 0)
    for reference in references:
        assert DIGEST.fullmatch(reference["child_digest"]) and reference["child_digest"] != artifact["digest"]
        assert reference["platform"]["os"] == "linux" and reference["platform"]["architecture"] in ("amd64", "arm64")
    assert DIGEST.fullmatch(artifact["digest"]) and artifact["type"] == "IMAGE"


@pytest.mark.parametrize("accepted, given", [
    (None, REPORT), (REPORT, REPORT), (OLD_REPORT, OLD_REPORT), (f"{REPORT}, {OLD_REPORT}", REPORT),
    ("application/nonsense", OLD_REPORT)])
def test_which_kind_of_overview_is_given(harbor, accepted, given):
    """One of them: the first that is accepted and has a report."""
    image = harbor.scanned_image("critical")
    harbor.overviews(image)
    path = harbor.artifact_path(image) + "?with_scan_overview=true"
    answer = harbor.web().get(path, X_Accept_Vulnerabilities=accepted)
    assert answer.expect(200).json()["scan_overview"].keys() == {given}


@pytest.mark.parametrize("kind", ["set", "expiring", "reusing the system's"])
def test_a_projects_allowlist(harbor, kind):
    with harbor.allowlist(kind):
        project = harbor.project("scanned.example.com")
    allowlist = project["cve_allowlist"]
    assert allowlist["items"] and all(item["cve_id"].startswith("CVE-") for item in allowlist["items"])
    assert isinstance(allowlist.get("expires_at", 0), int), "seconds since 1970; not there where it does not expire"
    assert ("expires_at" in allowlist) == (kind != "set")
    assert project["metadata"]["reuse_sys_cve_allowlist"] == ("true" if kind == "reusing the system's" else "false")


def test_a_project_without_an_allowlist(harbor):
    assert harbor.project("docker.io")["cve_allowlist"]["items"] == []


def test_the_systems_allowlist(harbor):
    """Any account that lives may read it. It is nobody's to change for a test."""
    allowlist = harbor.system_allowlist()
    assert isinstance(allowlist["items"], list) and isinstance(allowlist.get("expires_at", 0), int)


def test_a_finding_that_is_allowed_is_counted_all_the_same(harbor):
    image = harbor.scanned_image("critical")
    before = overview_of(harbor.artifact(image))["summary"]
    with harbor.allowlist("set"):
        assert overview_of(harbor.artifact(image))["summary"] == before
