"""/metrics: names, types and labels as in the man pages; and the numbers add up."""

import re
import shutil
import ssl
import subprocess
import time

import pytest

from reviews import mutate, pod, review
from serverlib import parse_metrics, select, total, wait

FAMILIES = {
    "harborpilot_reviews_total": ("counter", {"webhook", "mode", "result"}),
    "harborpilot_images_total": ("counter", {"policy", "outcome", "reason", "mode", "registry"}),
    "harborpilot_unjudged_total": ("counter", {"mode", "reason"}),
    "harborpilot_review_duration_seconds": ("histogram", {"webhook"}),
    "harborpilot_policy_generation": ("gauge", set()),
    "harborpilot_policy_last_reload_successful": ("gauge", set()),
    "harborpilot_policy_last_reload_success_timestamp_seconds": ("gauge", set()),
    "harborpilot_certificate_expiry_timestamp_seconds": ("gauge", set()),
    "harborpilot_connections": ("gauge", set()),
    "harborpilot_connections_closed_total": ("counter", {"port", "reason"}),
    "harborpilot_wrong_secrets_total": ("counter", {"option"}),
    "harborpilot_build_info": ("gauge", {"version", "commit"}),
    "harborpilot_harbor_up": ("gauge", {"harbor"}),
    "harborpilot_harbor_redis_up": ("gauge", {"harbor"}),
    "harborpilot_harbor_questions_total": ("counter", {"harbor", "kind", "answer"}),
    "harborpilot_harbor_questions_pending": ("gauge", set()),
    "harborpilot_facts_cached": ("gauge", {"harbor"}),
    "harborpilot_fact_hits_total": ("counter", set()),
    "harborpilot_fact_misses_total": ("counter", set()),
    "harborpilot_reviews_waited_total": ("counter", set()),
    "harborpilot_reviews_late_total": ("counter", set()),
    "harborpilot_reviews_suspended": ("gauge", set()),
    "process_cpu_seconds_total": ("counter", set()),
    "process_resident_memory_bytes": ("gauge", set()),
    "process_virtual_memory_bytes": ("gauge", set()),
    "process_open_fds": ("gauge", set()),
    "process_max_fds": ("gauge", set()),
    "process_start_time_seconds": ("gauge", set()),
}
OPEN_METRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"


@pytest.fixture(scope="module")
def busy(places):
    """A server that has answered some of everything; nothing is sent to it afterwards."""
    server = places.start().await_ready()
    with server.connect() as connection:
        for path, namespace, count in (("/mutate/enforce", "plain", 5), ("/mutate/audit", "plain", 3),
                                       ("/mutate/enforce", "watched", 2), ("/validate/enforce", "plain", 4),
                                       ("/mutate/enforce", "elsewhere", 1), ("/mutate/enforce", "retired", 1)):
            for _ in range(count):
                assert connection.post(path, review(pod("nginx", "quay.io/a/b", "registry.example.com/x",
                                                        namespace=namespace))).status == 200
        assert connection.post("/mutate/enforce", b"{}").status == 400
        assert connection.post("/validate/audit", b"{}").status == 400
    server.await_no_connections()
    yield server
    server.stop()


def families(text):
    """{family: type}; fails where a family is not in one piece under its HELP and TYPE."""
    types, helped, current = {}, set(), None
    for line in text.splitlines():
        if line.startswith("# HELP "):
            helped.add(line.split(" ", 3)[2])
        elif line.startswith("# TYPE "):
            _, _, current, kind = line.split(" ")
            assert current not in types, f"{current} stands twice"
            assert current in helped, f"{current} has no HELP"
            types[current] = kind
        elif not line.startswith("#"):
            assert re.match(rf"{current}(_total|_bucket|_sum|_count)?[{{ ]", line), f"{line!r} stands under {current}"
    return types


def test_families_and_types(busy):
    answer = busy.admin("/metrics")
    assert answer.header("Content-Type") == "text/plain; version=0.0.4; charset=utf-8"
    types = families(answer.text)
    assert types.items() >= {name: kind for name, (kind, _) in FAMILIES.items()}.items()
    assert all(name.startswith(("harborpilot_", "process_")) for name in types), types


def test_labels(busy):
    for (name, labels), _ in busy.metrics().items():
        family = re.sub("_(bucket|sum|count)$", "", name)
        if family in FAMILIES:
            assert dict(labels).keys() - {"le"} == FAMILIES[family][1], (name, labels)


def test_label_values(busy):
    samples = busy.metrics()
    allowed = {"webhook": {"mutate", "validate"}, "mode": {"enforce", "audit", "disabled"},
               "result": {"patched", "unchanged", "denied", "invalid"}, "outcome": {"rewrite", "keep"},
               "registry": {"docker.io", "ghcr.io", "quay.io", "registry.k8s.io", "other"}}
    for (name, labels), _ in samples.items():
        for label, value in labels:
            if name.startswith("harborpilot_") and label in allowed:
                assert value in allowed[label], (name, labels)


def test_no_label_holds_an_image_or_a_namespace(busy):
    text = busy.admin("/metrics").text
    for word in ("nginx", "elsewhere", "registry.example.com", "harbor.example.com"):
        assert word not in text, f"{word} would make a series for each value"


def test_reviews_add_up(busy):
    samples = busy.metrics()

    def reviews(**labels):
        return total(samples, "harborpilot_reviews_total", **labels)
    assert reviews() == 18
    assert reviews(webhook="mutate") == 13 and reviews(webhook="validate") == 5
    assert reviews(result="invalid") == 2
    assert reviews(webhook="mutate", mode="enforce", result="patched") == 5
    assert reviews(webhook="mutate", mode="audit", result="unchanged") == 3 + 2, "the effective mode counts"
    assert reviews(result="denied") == 0


def test_images_add_up(busy):
    samples = busy.metrics()

    def images(**labels):
        return total(samples, "harborpilot_images_total", **labels)
    assert images() == 12 * 3, "three of each mutating review"
    assert images(outcome="rewrite") == images(reason="rewritten") == 2 * (5 + 3 + 2)
    assert images(outcome="rewrite", mode="enforce", policy="plain", registry="docker.io") == 5
    assert images(outcome="rewrite", mode="audit", policy="watched", registry="quay.io") == 2
    assert images(reason="registry-not-proxied", registry="other") == 5 + 3 + 2
    assert images(reason="no-policy") == images(reason="no-policy", policy="") == 3
    assert images(reason="policy-disabled", mode="disabled", policy="retired") == 3


def test_histograms_add_up(busy):
    samples = busy.metrics()
    for webhook in ("mutate", "validate"):
        name = "harborpilot_review_duration_seconds"
        buckets = [(float(labels["le"]), value) for labels, value in select(samples, name + "_bucket", webhook=webhook)]
        assert buckets == sorted(buckets), "bounds and cumulative counts rise"
        assert [n for _, n in buckets] == sorted(n for _, n in buckets)
        assert buckets[-1][0] == float("inf")
        count = total(samples, name + "_count", webhook=webhook)
        assert buckets[-1][1] == count == total(samples, "harborpilot_reviews_total", webhook=webhook)
        assert 0 < total(samples, name + "_sum", webhook=webhook) < 60


def test_build_info_is_that_of_version(busy, binary):
    shown = subprocess.run([binary, "version"], capture_output=True, text=True, check=True).stdout.splitlines()[0]
    labels, value = select(busy.metrics(), "harborpilot_build_info")[0]
    assert value == 1
    assert shown == f"harbor-pilot {labels['version']} (commit {labels['commit']})"


def test_certificate_expiry(busy):
    with busy.connect() as connection:
        not_after = ssl.cert_time_to_seconds(connection.sock.getpeercert()["notAfter"])
    assert busy.metric("harborpilot_certificate_expiry_timestamp_seconds") == not_after


def test_process_figures_are_plausible(busy):
    samples = {key[0]: value for key, value in busy.metrics().items() if not key[1]}
    assert time.time() - 3600 < samples["process_start_time_seconds"] <= time.time() + 1
    assert samples["process_start_time_seconds"] - 2 <= samples["harborpilot_policy_last_reload_success_timestamp_seconds"]
    assert 1e6 < samples["process_resident_memory_bytes"] <= samples["process_virtual_memory_bytes"]
    assert 5 < samples["process_open_fds"] < samples["process_max_fds"]
    assert 0 <= samples["process_cpu_seconds_total"] < 60
    assert samples["harborpilot_policy_generation"] == 1
    assert samples["harborpilot_policy_last_reload_successful"] == 1


def test_work_costs_time(server):
    def used():
        for _ in range(50):
            mutate(server, review(pod("nginx")))
        return server.metric("process_cpu_seconds_total") > 0
    wait(used, "process_cpu_seconds_total rises")


def test_connections_are_counted(start):
    server = start()
    held = [server.connect() for _ in range(7)]
    for connection in held:
        connection.post("/mutate/enforce", review(pod("nginx")))
    assert server.metric("harborpilot_connections") == 7
    for connection in held:
        connection.close()
    server.await_no_connections()


def test_counters_only_rise(server):
    before = server.metrics()
    for _ in range(5):
        mutate(server, review(pod("nginx")))
    after = server.metrics()
    for (name, labels), value in before.items():
        if name.endswith(("_total", "_bucket", "_count", "_sum")):
            assert after[(name, labels)] >= value, (name, labels)


# --- OpenMetrics ---

@pytest.mark.parametrize("accept", [
    "application/openmetrics-text", "application/openmetrics-text; version=1.0.0",
    "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,"
    "text/plain;version=1.0.0;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1"])
def test_open_metrics_by_accept(busy, accept):
    answer = busy.admin("/metrics", headers={"Accept": accept})
    assert answer.header("Content-Type") == OPEN_METRICS
    lines = answer.text.splitlines()
    assert lines[-1] == "# EOF" and lines.count("# EOF") == 1 and answer.text.endswith("\n")
    assert "" not in lines
    types = families(answer.text)
    for name, (kind, _) in FAMILIES.items():
        assert types[name.removesuffix("_total") if kind == "counter" else name] == kind, name
    for name, _ in parse_metrics(answer.text):
        family = next(f for f in sorted(types, key=len, reverse=True) if name.startswith(f))
        suffix = name[len(family):]
        assert suffix in {"counter": {"_total"}, "histogram": {"_bucket", "_sum", "_count"}}.get(types[family], {""}), name


@pytest.mark.parametrize("accept", [None, "*/*", "text/plain", "text/plain;version=0.0.4"])
def test_the_text_format_otherwise(busy, accept):
    answer = busy.admin("/metrics", headers={"Accept": accept} if accept else {})
    assert answer.header("Content-Type").startswith("text/plain; version=0.0.4")
    assert "# EOF" not in answer.text


def test_both_formats_say_the_same(busy):
    def harborpilot(**headers):
        samples = parse_metrics(busy.admin("/metrics", headers=headers).text)
        return {key: value for key, value in samples.items() if key[0].startswith("harborpilot_")}
    assert harborpilot() == harborpilot(Accept="application/openmetrics-text")


def test_promtool_has_nothing_to_say(busy):
    promtool = shutil.which("promtool")
    if not promtool:
        pytest.skip("there is no promtool (Debian: prometheus)")
    checked = subprocess.run([promtool, "check", "metrics"], input=busy.admin("/metrics").body, capture_output=True)
    assert checked.returncode == 0, (checked.stdout + checked.stderr).decode()
