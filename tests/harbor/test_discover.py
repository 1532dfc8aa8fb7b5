"""`discover: true`: which registries Harbor proxies is read from its projects and their summaries."""

import json
import subprocess
import threading
import time

import pytest

import fake_harbor as f
from asking import ask, reason_of
from conftest import HOST
from serverlib import select, wait

LISTED, SUMMARY, UNHEALTHY, NORMAL = 4079, 4082, 5143, 3044
PROJECT_POLL_SECONDS = 60


def listing(*names, proxy=True):
    """The page of 4079 with these projects, each as `docker-hub-proxy` stands there."""
    content = f.recording(LISTED).json()
    template = next(p for p in content if p["name"] == ("docker-hub-proxy" if proxy else "library"))
    return [{**template, "name": name} for name in names]


def pages(*listed):
    """Answers to page=1, page=2, …"""
    def send(talk):
        number = int(talk.request.target.partition("&page=")[2])
        content = listed[number - 1] if number <= len(listed) else []
        return f.play(f.recording(LISTED).with_json(content))(talk)
    return send


def summaries(**urls):
    """Answers by project, `_` for `-`: the endpoint's URL, or (URL, recording)."""
    def send(talk):
        known = urls.get(talk.request.project.replace("-", "_"))
        if known is None:
            return f.play(NORMAL)(talk)
        url, number = known if isinstance(known, tuple) else (known, SUMMARY)

        def change(summary):
            summary["registry"]["url"] = url
        return f.play_changed(number, change)(talk)
    return send


def start_discovering(places, fake, start):
    fake.answers.setdefault("artifact", f.PRESENT)
    return start(places.write_policies(fake.url, registries=None)).await_ready()


@pytest.fixture
def begin(places, fake, start):
    return lambda: start_discovering(places, fake, start)


def tell(fake, **urls):
    """Projects with endpoints at these URLs."""
    names = [name.replace("_", "-") for name in urls]
    fake.answers.update(projects=pages(listing(*names)), summary=summaries(**urls))
    fake.projects.update({name: f.play(4023) for name in names})


def registries(server, count=1):
    return server.event("harbor-projects", lambda line: "registries" in line, count=count)["registries"]


def upstreams(server):
    return {labels["project"]: value for labels, value in select(server.metrics(), "harborpilot_harbor_upstream_up")}


# --- any Harbor ---

def test_the_map_is_that_of_harbor(harbor, start):
    """All projects of this suite are for one upstream: the first of them by name is used, and the others are named."""
    domain, projects = harbor.discoverable()
    server = start(harbor.policies(discover=True)).await_ready()
    assert registries(server)[domain] == min(projects)
    text = b"".join(server.lines).decode()
    assert all(project in text for project in projects) and f" proxy `{domain}`: the first by name is used" in text
    assert upstreams(server).keys() >= projects


def test_a_plan_of_what_is_discovered(harbor, places):
    """--live knows the map, and what it records is enough for --facts."""
    domain, projects = harbor.discoverable()
    policies, facts = harbor.policies(discover=True), places.new_directory() / "facts.json"
    pods = [{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": f"p{i}", "namespace": "never-keep"},
             "spec": {"containers": [{"name": "c", "image": image}]}}
            for i, image in enumerate([f"{domain}/team/app:1", "nowhere.example.com/team/app:1"])]

    def plan(*args):
        done = subprocess.run([places.binary, "plan", "--policies", policies, "-o", "json", *args],
                              input="\n---\n".join(map(json.dumps, pods)), capture_output=True, text=True, timeout=120)
        assert done.returncode in (0, 3), done.stderr
        return [(i["result"], i["rewrite"]["reason"]) for i in json.loads(done.stdout)["images"]]
    live = plan("--live", "--record", facts)
    assert live == [(f"{HOST}/{min(projects)}/team/app:1", "rewritten"),
                    ("nowhere.example.com/team/app:1", "registry-not-proxied")]
    assert plan("--facts", facts) == live
    assert {reason for _, reason in plan()} == {"harbor-down"}


# --- the fake's ---

def test_the_recorded_projects(fake, begin):
    """As the least-rights robot saw them: all of one upstream, at a port of its own; others are no proxies."""
    fake.answers["summary"] = f.play(SUMMARY)
    server = begin()
    assert registries(server) == {"127.0.0.1:5010": "badsev"}
    asked = {r.project for r in fake.asked("summary")}
    recorded = f.recording(LISTED).json()
    assert asked == {p["name"] for p in recorded if p.get("registry_id")} and len(asked) < len(recorded)
    (listed,) = [r.target for r in fake.asked("projects")]
    assert listed == "/api/v2.0/projects?page_size=100&page=1"
    assert upstreams(server) == dict.fromkeys(asked, 1)


def test_domains_of_endpoints(fake, begin):
    urls = {"hub": "https://hub.docker.com", "ghcr": "https://ghcr.io/", "port": "http://registry.example.com:5000",
            "usual_port": "https://quay.io:443", "path": "https://registry.k8s.io/v2/", "ill": ("https://ill.example.com",
                                                                                                UNHEALTHY)}
    tell(fake, **urls)
    server = begin()
    assert registries(server) == {"docker.io": "hub", "ghcr.io": "ghcr", "registry.example.com:5000": "port",
                                  "quay.io": "usual-port", "registry.k8s.io": "path", "ill.example.com": "ill"}
    for image, result in {"nginx": "hub/library/nginx", "ghcr.io/a/b:1": "ghcr/a/b:1",
                          "registry.example.com:5000/x:2": "port/x:2"}.items():
        assert ask(server, image, "servable-keep").image == f"{HOST}/{result}"
    assert reason_of(server, "nowhere.example.com/a:1") == "registry-not-proxied"
    up = upstreams(server)
    assert up.pop("ill") == 0 and set(up.values()) == {1}


def test_two_projects_for_one_domain(fake, begin):
    tell(fake, b_hub="https://hub.docker.com", a_hub="https://registry-1.docker.io")
    server = begin()
    assert registries(server) == {"docker.io": "a-hub"}
    line = server.event("harbor-projects", lambda line: line["level"] == "warning")
    assert "`a-hub` and `b-hub` both proxy `docker.io`" in line["msg"]
    assert ask(server, "nginx:1").image == f"{HOST}/a-hub/library/nginx:1"


def test_three_projects_for_one_domain_are_one_line(fake, begin):
    tell(fake, b_hub="https://hub.docker.com", a_hub="https://registry-1.docker.io", c_hub="https://hub.docker.com",
         ghcr="https://ghcr.io")
    server = begin()
    assert registries(server) == {"docker.io": "a-hub", "ghcr.io": "ghcr"}
    (line,) = [line for line in server.events("harbor-projects") if line["level"] == "warning"]
    assert "projects `a-hub`, `b-hub` and `c-hub` all proxy `docker.io`" in line["msg"]


def test_a_project_for_a_part_of_its_registry_is_left_out(fake, begin):
    """It puts a path of its own before each image's: a rewrite for the whole registry would have both."""
    tell(fake, a_part="https://ghcr.io", whole="https://ghcr.io")
    part, whole = listing("a-part", "whole")
    part["metadata"] = {**part["metadata"], "proxy_cache_base_path": "my-org"}
    whole["metadata"] = {**whole["metadata"], "proxy_cache_base_path": ""}
    fake.answers["projects"] = pages([part, whole])
    server = begin()
    assert registries(server) == {"ghcr.io": "whole"}


def test_many_projects(fake, begin):
    """Pages of 100; what is no proxy counts for the page."""
    first = [*listing(*(f"plain-{i}" for i in range(60)), proxy=False), *listing(*(f"proxy-{i}" for i in range(40)))]
    second = listing(*(f"proxy-{i}" for i in range(40, 140)))
    fake.answers["projects"] = pages(first, second, listing("last"))
    urls = {f"proxy_{i}": f"https://r{i}.example.com" for i in range(140)}
    fake.answers["summary"] = summaries(**urls, last="https://last.example.com")
    server = begin()
    found = registries(server)
    assert len(found) == 141 and found["r139.example.com"] == "proxy-139" and found["last.example.com"] == "last"
    assert [r.target.partition("&page=")[2] for r in fake.asked("projects")] == ["1", "2", "3"]


@pytest.mark.parametrize("fault", [403, 404])
def test_a_summary_that_is_not_ours_to_read(fake, begin, fault):
    tell(fake, hub="https://hub.docker.com", secret="https://secret.example.com")
    readable = fake.answers["summary"]
    refused = f.play(6018 if fault == 403 else 4026)
    fake.answers["summary"] = lambda talk: (refused if talk.request.project == "secret" else readable)(talk)
    assert registries(begin()) == {"docker.io": "hub"}


@pytest.mark.background
@pytest.mark.parametrize("fault", [f.html("500 Internal Server Error"), f.html(), f.garbage, f.broken_json])
def test_until_the_projects_can_be_read(places, fake, start, fault):
    """Every image that has to be looked up stays; the map is asked for again soon."""
    tell(fake, hub="https://hub.docker.com")
    readable = fake.answers["projects"]
    fake.answers["projects"] = fault
    server = start_discovering(places, fake, start)
    assert reason_of(server, "nginx:1") == "harbor-down"
    assert reason_of(server, "nginx:1", "never-keep") == "harbor-down"
    fake.answers["projects"] = readable
    assert registries(server) == {"docker.io": "hub"}
    wait(lambda: ask(server, "nginx:1").moved, "the map counts")


@pytest.mark.background
def test_harbor_is_down_at_the_start(places, fake, start):
    tell(fake, hub="https://hub.docker.com")
    fake.refuse()
    server = start_discovering(places, fake, start)
    assert reason_of(server, "nginx:1", "servable-rewrite") == "harbor-down"
    fake.listen()
    assert registries(server) == {"docker.io": "hub"}
    wait(lambda: ask(server, "nginx:1").moved, "the map counts")


@pytest.mark.background
def test_the_map_stays_while_harbor_is_away(places, fake, start):
    tell(fake, hub="https://hub.docker.com")
    server = start_discovering(places, fake, start)
    fake.refuse()
    server.event("harbor-health", lambda line: not line["healthy"])
    assert ask(server, "nginx:1", "servable-rewrite").image == f"{HOST}/hub/library/nginx:1"
    assert ask(server, "nginx:1", "never-rewrite").moved


def test_ready_when_the_map_is_known(places, fake, start):
    held = threading.Event()
    tell(fake, hub="https://hub.docker.com")
    fake.answers["projects"] = f.hold(held, fake.answers["projects"])
    server = start(places.write_policies(fake.url, registries=None), ready=False)
    wait(lambda: fake.asked("projects"), "it is asked for")
    assert not server.events("ready")
    held.set()
    server.use_ports_of(server.event("ready"))
    server.await_ready()
    assert ask(server, "nginx:1", "never-rewrite").moved


@pytest.mark.background
def test_a_project_that_comes_later(places, fake, start):
    """Harbor tells nobody of it: the next poll finds it."""
    tell(fake, hub="https://hub.docker.com")
    began = time.monotonic()
    server = start_discovering(places, fake, start)
    assert reason_of(server, "quay.io/a/b:1") == "registry-not-proxied"
    tell(fake, hub="https://hub.docker.com", quay="https://quay.io")
    line = server._await_log(lambda: [r for r in server._events.get("harbor-projects", [])
                                      if "quay.io" in r.get("registries", {})], "the new map", 2 * PROJECT_POLL_SECONDS)
    assert line[0]["registries"] == {"docker.io": "hub", "quay.io": "quay"}
    assert time.monotonic() - began > PROJECT_POLL_SECONDS - 5
    wait(lambda: ask(server, "quay.io/a/b:1").moved, "it moves")
