"""install.sh --uninstall. The last of all: it takes the namespace away, with what other tests have in it."""

import time

from harness import images, nobody_schedules, pod, pod_spec
from test_install import script


def test_it_is_taken_away_in_seconds(cluster, install, binary):
    began = time.monotonic()
    done = script(cluster, binary, "--uninstall")
    took = time.monotonic() - began
    assert done.returncode == 0, done.stderr
    assert "e2e-install-moved" in done.stderr  # still labelled
    assert took < 40, f"{took:.0f} s"
    for kind in ("mutating", "validating"):
        items = cluster.api.get(f"/apis/admissionregistration.k8s.io/v1/{kind}webhookconfigurations")["items"]
        assert not [item for item in items if "harbor-pilot" in item["metadata"]["name"]]
    assert cluster.api.get("/api/v1/namespaces/harbor-pilot", missing_ok=True) is None
    made = cluster.create("e2e-install-moved", pod("kept", nobody_schedules(pod_spec("web:1"))))
    assert images(made) == {"app": "web:1"}
    assert script(cluster, binary, "--uninstall").returncode == 0  # nothing is left to do
    install()
    made = cluster.create("e2e-install-moved", pod("moved", nobody_schedules(pod_spec("web:1"))))
    assert images(made) == {"app": cluster.rewritten("web:1")}
