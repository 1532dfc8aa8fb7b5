"""The proxy filter of Harbor 2.16: a proxy project that serves only some repositories. No recording has it (2.15.2 drops
the setting, 3016): the 404's body is the one that src/server/middleware/repoproxy/proxy.go (checkRepositoryFilter) and
src/lib/errors of goharbor/harbor c50c7ddd6e make, and the project is a recorded one with two more values of metadata."""

import json

import pytest

import fake_harbor as f
from asking import ask, reason_of
from gates import Setting, judge
from outcomes import NO, YES

FILTER = "outside-proxy-filter"
SETTINGS = [Setting("defaults"), Setting("deny", unproxied="deny", unscanned="deny"), Setting("allow", unproxied="allow")]
INSIDE, OUTSIDE = "docker.io/good/app:1", "docker.io/bad/app:1"
REFUSED = json.dumps({"errors": [{"code": "NOT_FOUND", "message": (
    'resource not found: repository "bad/app" does not match project repository filter')}]}).encode() + b"\n"


def with_filter(project):
    project["metadata"].update(proxy_cache_filter_pattern="good/**", proxy_cache_filter_kind="doublestar")


def refused(talk):
    """Whatever is asked of its manifests, by tag or by digest."""
    return f.to_token(f.status("404 Not Found", REFUSED))(talk)


@pytest.fixture
def server(places, fake, start):
    fake.projects["docker-hub-proxy"] = f.play_changed(4023, with_filter)
    return start(places.write_policies(fake.url, more="".join(s.policy() for s in SETTINGS))).await_ready()


def tell(fake, image, **answers):
    fake.images["docker-hub-proxy", image.split("/", 1)[1].rpartition(":")[0]] = answers


def manifests(fake):
    return [(r.method, r.reference[:6]) for r in fake.asked("manifest") if r.authorization]


def test_what_was_never_cached(fake, server):
    """A HEAD has no body, so the GET says why."""
    tell(fake, OUTSIDE, manifest=refused)
    assert reason_of(server, OUTSIDE) == FILTER
    assert manifests(fake) == [("HEAD", "1"), ("GET", "1")]
    assert reason_of(server, OUTSIDE) == FILTER
    assert len(manifests(fake)) == 2, "it is known"


def test_what_was_cached_before_the_filter(fake, server):
    """The database has it, and Harbor does not serve it."""
    tell(fake, OUTSIDE, artifact=f.PRESENT, vulnerabilities=f.NO_REPORT, manifest=refused)
    assert reason_of(server, OUTSIDE) == FILTER
    assert reason_of(server, OUTSIDE, "cached-keep") == FILTER
    assert reason_of(server, OUTSIDE, "never-keep") == YES
    assert manifests(fake) == [("HEAD", "sha256")]


def test_what_the_filter_lets_pass(fake, server):
    tell(fake, INSIDE, artifact=f.PRESENT, vulnerabilities=f.NO_REPORT, manifest=f.to_token(f.play(5025)))
    assert ask(server, INSIDE).moved
    assert judge(server, INSIDE, "gate-deny").reason == ("deny", "unscanned")


def test_what_its_upstream_has_not(fake, server):
    """A 404 that says nothing of a filter is an ordinary one."""
    tell(fake, INSIDE, manifest=f.to_token(f.NOT_SERVED))
    assert reason_of(server, INSIDE) == NO
    assert manifests(fake) == [("HEAD", "1"), ("GET", "1")]


def test_without_a_filter_nothing_more_is_asked(places, fake, start):
    server = start(places.write_policies(fake.url)).await_ready()
    tell(fake, OUTSIDE, manifest=refused)
    assert reason_of(server, OUTSIDE) == NO
    assert manifests(fake) == [("HEAD", "1")]


@pytest.mark.parametrize("name, outcome", [("defaults", "warn"), ("deny", "deny"), ("allow", "allow")])
def test_the_gate_takes_it_for_unproxied(fake, server, name, outcome):
    """Harbor does not serve it, whatever its scanner once found."""
    tell(fake, OUTSIDE, artifact=f.play(6034), vulnerabilities=f.play(6059), manifest=refused)
    verdict = judge(server, OUTSIDE, f"gate-{name}")
    assert verdict.reason == (outcome, "unproxied")
    assert outcome != "deny" or "the project's proxy filter refuses the repository" in verdict.message


def test_the_gate_and_what_was_never_cached(fake, server):
    """It asks no upstream: what is not in Harbor is unscanned, until a Pod is to be created from it."""
    tell(fake, OUTSIDE, manifest=refused)
    assert judge(server, OUTSIDE, "gate-deny").reason == ("deny", "unscanned")
    assert not manifests(fake)
    assert reason_of(server, OUTSIDE) == FILTER
