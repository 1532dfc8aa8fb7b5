"""The stand-in for a scanner speaks Harbor's scanner interface, version 1.1."""

import time

import pytest

import scanner_adapter
from scanner_adapter import FINDINGS, KINDS, Scanner, kind_of
from web import OLD_REPORT, REPORT, Web

DIGEST = "sha256:" + "ab" * 32


@pytest.fixture
def scanner():
    one = Scanner()
    yield one
    one.stop()


def scan(web, repository, tag="1", digest=DIGEST):
    """The path of the report."""
    artifact = {"repository": repository, "digest": digest, "tag": tag, "mime_type": scanner_adapter.CONSUMES[0]}
    registry = {"url": "https://x", "authorization": "Basic x"}
    begun = web.ask("POST", "/api/v1/scan", {"registry": registry, "artifact": artifact})
    return f"/api/v1/scan/{begun.expect(202).json()['id']}/report"


def test_it_says_what_it_is(scanner):
    answer = Web(scanner.url).get("/api/v1/metadata").expect(200)
    assert answer.headers["Content-Type"] == "application/vnd.scanner.adapter.metadata+json; version=1.1"
    assert "stand-in" in answer.json()["scanner"]["vendor"]
    (capability,) = answer.json()["capabilities"]
    assert "application/vnd.docker.distribution.manifest.v2+json" in capability["consumes_mime_types"], "Harbor insists"
    assert capability["produces_mime_types"] == [OLD_REPORT, REPORT]


@pytest.mark.parametrize("repository, tag, kind", [
    ("p/critical", "1", "critical"), ("p/critical-fixable", "1", "critical-fixable"), ("p/team/low", None, "low"),
    ("p/app", "critical-unfixable", "critical-unfixable"), ("p/low", "error", "error"), ("critical/app", "1", "clean"),
    ("p/lower", "1", "clean"), ("p/not-critical", "1", "clean"), ("p/index-critical", "", "clean")])
def test_kinds_by_name(repository, tag, kind):
    assert kind_of(repository, tag) == kind


@pytest.mark.parametrize("kind", FINDINGS)
@pytest.mark.parametrize("accepted", [OLD_REPORT, REPORT])
def test_reports(scanner, kind, accepted):
    web = Web(scanner.url)
    answer = web.get(scan(web, f"project/{kind}"), Accept=accepted).expect(200)
    assert answer.headers["Content-Type"] == accepted
    report = answer.json()
    assert report["vulnerabilities"] == FINDINGS[kind]
    assert report["severity"] == {"clean": "None", "low": "Low"}.get(kind, "Critical")
    assert scanner.requests[-1]["repository"] == f"project/{kind}"


def test_a_digest_may_be_of_a_kind(scanner):
    scanner.kinds[DIGEST] = "low"
    web = Web(scanner.url)
    assert web.get(scan(web, "project/critical")).json()["severity"] == "Low"
    assert web.get(scan(web, "project/critical", digest=DIGEST.replace("a", "c"))).json()["severity"] == "Critical"


def test_error_and_slow(scanner, monkeypatch):
    monkeypatch.setattr(scanner_adapter, "SLOW_SECONDS", 0.3)
    assert {"error", "slow"} < set(KINDS)
    web = Web(scanner.url)
    failed = web.get(scan(web, "project/error")).expect(500)
    assert failed.json()["error"]["message"]
    report = scan(web, "project/slow")
    answer = web.get(report).expect(302)
    assert (answer.headers["Location"], answer.headers["Refresh-After"], answer.body) == (report, "2", b"")
    time.sleep(0.4)
    assert web.get(report).expect(200).json()["vulnerabilities"] == []


def test_what_is_not_there(scanner):
    web = Web(scanner.url)
    assert web.get("/api/v1/scan/none/report").status == web.get("/").status == web.ask("POST", "/", {}).status == 404


def test_it_can_go_away_and_come_back(scanner):
    web = Web(scanner.url)
    report = scan(web, "project/low")
    scanner.stop()
    with pytest.raises(OSError):
        web.get(report)
    scanner.start()
    assert web.get(report).expect(200).json()["severity"] == "Low"
