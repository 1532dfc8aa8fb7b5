"""/livez and /readyz, from the start to the end; and a start with broken policies."""

import contextlib
import shutil
import socket
import threading
import time

import pytest

from reviews import HARBOR, check_response, images, mutate, pod, review
from serverlib import HERE, PATIENCE, wait

TEXT = "text/plain; charset=utf-8"


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
def test_probe_exactly(server, path):
    answer = server.admin(path)
    assert (answer.status, answer.reason, answer.body) == (200, "OK", b"ok")
    assert answer.headers_without_date() == {"Content-Type": TEXT, "Content-Length": "2"}


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/metrics"])
def test_head_and_query(server, path):
    answer = server.admin(path, method="HEAD")
    assert answer.status == 200 and answer.body == b""
    assert server.admin(path + "?verbose").status == 200


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/metrics"])
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_other_methods_are_405(server, path, method):
    answer = server.admin(path, method=method)
    assert answer.status == 405 and "GET" in answer.header("Allow").split(", ") and "expected GET" in answer.text


@pytest.mark.parametrize("path", ["/", "/healthz", "/livez/", "/metrics/", "/mutate/enforce", "/livez%00x", "/%6Civez%2F"])
def test_other_paths_are_404(server, path):
    answer = server.admin(path)
    assert answer.status == 404
    assert all(word in answer.text for word in ("expected", "/livez", "/readyz", "/metrics")), answer.text


def slow_scrapers(places):
    """Whoever reaches the admin port must not be able to keep the kubelet from it: it would kill a healthy server."""
    server = places.start().await_ready()
    slow = [socket.create_connection(("127.0.0.1", server.admin_port)) for _ in range(100)]
    stop = threading.Event()

    def trickle():
        while not stop.wait(0.5):
            for sock in slow:
                with contextlib.suppress(OSError):
                    sock.send(b"G")
    thread = threading.Thread(target=trickle)
    thread.start()
    try:
        for path in ("/livez", "/readyz", "/metrics"):
            try:
                assert server.admin(path).status == 200
            except OSError as error:
                raise AssertionError(f"{path} is not answered in {PATIENCE} s beside 100 slow connections: {error}") from error
    finally:
        stop.set()
        thread.join()
        for sock in slow:
            sock.close()
    server.stop()


@pytest.mark.background(run=slow_scrapers)
def test_slow_connections_to_the_admin_port_keep_nobody_from_it(background):
    background.result()


def broken_policies(places):
    directory = places.new_directory()
    shutil.copy(HERE / "policies" / "10-harbor.yaml", directory)
    (directory / "a.yaml").write_text("apiVersion: harbor-pilot.io/v1alpha1\nkind: Policy\nmetadata: {name: p}\n"
                                      "spec:\n  namespaces: [apps]\n  rolout: 5\n")
    return directory


def check_not_ready(server):
    answer = server.admin("/readyz")
    assert answer.status == 503, answer.body
    assert answer.header("Content-Type") == TEXT
    assert "polic" in answer.text and answer.text.endswith("\n"), f"a reason that a person can read, not {answer.text!r}"
    assert server.admin("/livez").status == 200


def test_a_start_with_broken_policies_answers_and_says_so(places, start):
    directory = broken_policies(places)
    server = start(directory)
    check_not_ready(server)
    sent = review(pod("nginx", namespace="apps"))
    for path in ("/mutate/enforce", "/mutate/audit", "/validate/enforce", "/validate/audit"):
        response = check_response(sent, server.post(path, sent))
        assert response.keys() == {"uid", "allowed"}, response
    assert server.metric("harborpilot_images_total", reason="policy-invalid", outcome="keep") == 2
    assert server.metric("harborpilot_policy_last_reload_successful") == 0
    assert server.metric("harborpilot_policy_generation") == 0
    line = server.event("policy")
    assert line["level"] == "error" and "rolout" in line["msg"] and "rollout" in line["msg"], line
    assert (line["file"], line["line"], line["column"]) == (str(directory / "a.yaml"), 6, 3)
    assert server.event("policies-invalid")["level"] == "error"


@pytest.mark.parametrize("how", ["SIGHUP", "watch"])
def test_it_gets_ready_when_they_are_mended(places, start, how):
    directory = broken_policies(places)
    server = start(directory, "--watch-interval", "24h" if how == "SIGHUP" else "100ms")
    check_not_ready(server)
    (directory / "a.yaml").unlink()
    shutil.copytree(HERE / "policies", directory, dirs_exist_ok=True)
    if how == "SIGHUP":
        server.reload()
    server.await_ready()
    _, after = mutate(server, review(pod("nginx")))
    assert images(after)["c0"].startswith(HARBOR)
    assert server.metric("harborpilot_policy_last_reload_successful") == 1


def hold_and_let_go(places):
    """Not ready for 30 s, and then ready in spite of it. The clock begins before the server, so it cannot be early."""
    began = time.monotonic()
    server = places.start(broken_policies(places), "--watch-interval", "1s")
    check_not_ready(server)
    wait(lambda: server.admin("/readyz").status == 200, "it is ready in spite of its policies", 60)
    held = time.monotonic() - began
    sent = review(pod("nginx", namespace="apps"))
    assert "patch" not in check_response(sent, server.post("/mutate/enforce", sent))
    assert server.metric("harborpilot_policy_last_reload_successful") == 0
    server.stop()
    assert held >= 30, f"ready after {held:.1f} s, expected 30 s in which the policies could be mended"


@pytest.mark.background(run=hold_and_let_go)
def test_after_30_s_it_is_ready_in_spite_of_broken_policies(background):
    background.result()


@pytest.mark.parametrize("what", ["empty directory", "no file", "no document", "no YAML"])
def test_paths_without_policies_are_broken_policies(places, start, what):
    """A mount that went wrong must not look like a cluster without policies."""
    path = places.new_directory()
    if what == "no file":
        path = path / "none.yaml"
    elif what != "empty directory":
        (path / "a.yaml").write_text("# nothing\n---\n" if what == "no document" else "a: [")
    server = start(path)
    check_not_ready(server)
    assert server.event("policy")["level"] == "error"


def test_warnings_do_not_hold(places, start, policies):
    (policies / "30-dead.yaml").write_text("apiVersion: harbor-pilot.io/v1alpha1\nkind: Policy\nmetadata: {name: dead}\n"
                                           "spec:\n  namespaces: [kube-system]\n")
    server = start(policies).await_ready()
    line = server.event("policy", lambda line: line["file"].endswith("30-dead.yaml"))
    assert line["level"] == "warning" and "dead" in line["msg"], line
    assert server.event("policies")["warnings"] == len(server.events("policy")), "each is counted"
