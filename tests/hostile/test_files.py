"""What lies in the directories that the server reads, put there by whoever may write a ConfigMap."""

import os
import shutil
import signal
import socket
import time

import pytest

from conftest import POLICIES
from reviews import pod, review
from serverlib import wait


@pytest.mark.parametrize("what", ["fifo", "device"])
def test_what_is_no_file_holds_nothing_up(start, tmp_path, what):
    policies = shutil.copytree(POLICIES, tmp_path / "policies")
    server = start(policies, "--watch-interval", "100ms")
    if what == "fifo":
        os.mkfifo(policies / "a.yaml")
    else:
        os.symlink("/dev/zero", policies / "a.yaml")
    (policies / "99.yaml").write_text("apiVersion: harbor-pilot.io/v1alpha1\nkind: Policy\nmetadata: {name: late}\n"
                                      "spec:\n  namespaces: [late]\n")
    wait(lambda: server.metric("harborpilot_policy_generation") >= 2, "the new Policy is read", 5)
    assert server.post("/mutate/enforce", review(pod("nginx"))).status == 200


def test_conflicting_globs_keep_no_deadline_waiting(start, tmp_path, slow):
    """Thousands of them are seconds of work."""
    policies = shutil.copytree(POLICIES, tmp_path / "policies")
    server = start(policies, "--watch-interval", "100ms")
    with socket.create_connection(("127.0.0.1", server.admin_port)) as silent:  # has 5 s for its first line
        opened = time.monotonic()
        time.sleep(2.5)
        (policies / "99.yaml").write_text("---\n".join(
            f"apiVersion: harbor-pilot.io/v1alpha1\nkind: Policy\nmetadata: {{name: p{n}}}\nspec:\n"
            f"  namespaces: ['*{'a*' * 12}{n}*']\n" for n in range(1500 if slow else 3000)))
        silent.settimeout(30)
        assert silent.recv(1) == b""
        took = time.monotonic() - opened
    assert took < 8, f"a deadline of 5 s was kept after {took:.1f} s"
    assert server.post("/mutate/enforce", review(pod("nginx"))).status == 200
    server.signal(signal.SIGTERM)
    began = time.monotonic()
    assert server.wait_end(15) == 0
    assert time.monotonic() - began < 10, "the end does not wait for them either"
