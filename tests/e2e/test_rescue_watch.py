"""`harbor-pilot rescue --watch` in the cluster, installed from deploy/rescue, while Harbor goes away and comes back and Pods are
created without end: none waits."""

import http.client
import json
import re
import shutil
import time

import pytest

from harbor import NAME
from harness import PROJECT, Creator, pod, pod_spec, wait

SPACE = "rescued"
RESCUED = "harbor-pilot.io/rescued"
STEADY = "steady:1"
PORT = 18099  # of its metrics, on loopback: see OVERLAY
LONGEST = 10  # seconds that a Pod may wait, once Harbor is known to be away
POLICY = f"""\
---
apiVersion: harbor-pilot.io/v1alpha1
kind: Policy
metadata: {{name: rescued}}
spec: {{harbor: {NAME}, namespaces: [{SPACE}], requireInHarbor: servable, onHarborUnavailable: keep}}
"""
# This cluster has no kube-proxy: its API server is reached on the node's own network, at an address that Kubernetes does not name.
OVERLAY = """\
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources: [rescue]
images: [{{name: harbor-pilot, newName: "{name}", newTag: "{tag}"}}]
patches:
  - target: {{kind: Deployment, name: harbor-pilot-rescue}}
    patch: |
      - {{op: add, path: /spec/template/spec/hostNetwork, value: true}}
      - {{op: replace, path: /spec/template/spec/containers/0/args/4, value: "--admin-bind-address=127.0.0.1:{port}"}}
      - {{op: add, path: /spec/template/spec/containers/0/env/-, value: {{name: KUBERNETES_SERVICE_HOST, value: "{host}"}}}}
      - {{op: add, path: /spec/template/spec/containers/0/env/-, value: {{name: KUBERNETES_SERVICE_PORT, value: "{api_port}"}}}}
      - {{op: replace, path: /spec/template/spec/containers/0/ports/0/containerPort, value: {port}}}
      - {{op: add, path: /spec/template/spec/containers/0/readinessProbe/httpGet/host, value: 127.0.0.1}}
      - {{op: add, path: /spec/template/spec/containers/0/livenessProbe/httpGet/host, value: 127.0.0.1}}
"""


class Watch:
    def __init__(self, cluster):
        self.cluster = cluster

    def pods(self):
        return self.cluster.live_pods("harbor-pilot", **{"app.kubernetes.io/name": "harbor-pilot-rescue"})

    def metrics(self):
        connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=5)
        try:
            connection.request("GET", "/metrics")
            return connection.getresponse().read().decode()
        finally:
            connection.close()

    def metric(self, name):
        found = re.search(rf"^{re.escape(name)} (\S+)$", self.metrics(), re.MULTILINE)
        return float(found[1]) if found else None

    def knows(self, up):
        return self.metric(f'harborpilot_harbor_up{{harbor="{NAME}"}}') == up

    def log(self):
        return [json.loads(line) for item in self.pods() for line in self.cluster.kubectl(
            "-n", "harbor-pilot", "logs", item["metadata"]["name"]).stdout.splitlines()]


@pytest.fixture(scope="module")
def watch(cluster, harbor, load_asked, install, tmp_path_factory):
    cluster.push(STEADY)
    harbor.set_cached(STEADY)
    load_asked(POLICY)
    cluster.namespace(SPACE, "enforce")
    directory = tmp_path_factory.mktemp("overlay")
    shutil.copytree(PROJECT / "deploy" / "rescue", directory / "rescue")
    name, _, tag = install.image.rpartition(":")
    (directory / "kustomization.yaml").write_text(OVERLAY.format(
        name=name, tag=tag, port=PORT, host=cluster.api.host, api_port=cluster.api.port))
    level = "pod-security.kubernetes.io/enforce"
    cluster.kubectl("label", "--overwrite", "namespace", "harbor-pilot", f"{level}=privileged")  # for the node's network
    try:
        cluster.kubectl("apply", "-k", str(directory))
        one = Watch(cluster)
        cluster.running("harbor-pilot", 1, 60, **{"app.kubernetes.io/name": "harbor-pilot-rescue"})
        yield one
        log = "".join(json.dumps(line) + "\n" for line in one.log())
        (cluster.logs / "rescue.log").write_text(log)
    finally:
        cluster.kubectl("delete", "-k", str(directory), check=False)
        cluster.kubectl("label", "--overwrite", "namespace", "harbor-pilot", f"{level}=restricted")
        wait("it to be gone", lambda: not cluster.pods("harbor-pilot", **{"app.kubernetes.io/name": "harbor-pilot-rescue"}), 60)


@pytest.fixture
def load(cluster, harbor):
    """Pods, two a second, each of which asks a registry."""
    numbers = iter(range(300))

    def one():
        spec = pod_spec(STEADY)
        spec["containers"][0]["imagePullPolicy"] = "Always"
        return pod(f"bare-{next(numbers)}", spec)
    creator = Creator(cluster, SPACE, one, 0.4)
    creator.start()
    yield creator
    creator.over.set()
    creator.join()
    harbor.come_back()

    def gone():
        if cluster.live_pods(SPACE):
            cluster.api.delete(f"/api/v1/namespaces/{SPACE}/pods")
        return not cluster.pods(SPACE)
    wait("the Pods of this test to be gone", gone, 240, every=1)


def why_it_waits(item):
    return {status["state"].get("waiting", {}).get("reason") for status in item["status"].get("containerStatuses", [{"state": {}}])}


def test_nothing_waits_through_outages(cluster, harbor, watch, load, say):
    lines = []
    for well in (8, 14):
        time.sleep(well)
        died = time.time()
        harbor.stop()
        wait("it to be known as away", lambda: watch.knows(0), 30, every=0.02)
        known = time.time()
        assert known - died < 3, "within 2 s, and a moment for this test to look"
        created = {item["metadata"]["name"] for item in cluster.pods(SPACE)}
        wait("all that was there to run", lambda: all(
            item["status"]["phase"] == "Running" and why_it_waits(item) == {None}
            for item in cluster.pods(SPACE) if item["metadata"]["name"] in created), LONGEST, explain=lambda: cluster.explain(SPACE))
        settled = time.time()
        time.sleep(max(0, known + LONGEST - time.time()))
        late = {item["metadata"]["name"]: why_it_waits(item) for item in cluster.pods(SPACE)
                if why_it_waits(item) & {"ErrImagePull", "ImagePullBackOff"}}
        rescued = sum(RESCUED in item["metadata"].get("annotations", {}) for item in cluster.pods(SPACE))
        lines.append(f"known after {known - died:.1f} s; all {len(created)} Pods ran {settled - known:.1f} s later; {rescued} rescued so far")
        assert len(late) <= 2, late  # such as came in this very moment
        harbor.come_back()
        wait("it to be known as back", lambda: watch.knows(1) and harbor.is_up(), 60)
    made = load.stop()
    items = cluster.running(SPACE, len(made), 60)
    saved = [item for item in items if RESCUED in item["metadata"].get("annotations", {})]
    say("\n  ".join([f"rescue --watch, {len(made)} Pods, {len(saved)} of them rescued", *lines]))
    assert saved
    assert all(status["restartCount"] == 0 for item in items for status in item["status"]["containerStatuses"])
    assert watch.metric('harborpilot_rescued_containers_total{result="restored",reason="harbor-down"}') == len(saved)
    assert {line["pod"] for line in watch.log() if line["event"] == "rescue" and line["result"] == "restored"} == {
        item["metadata"]["name"] for item in saved}
    told = {event["involvedObject"]["name"] for event in
            cluster.api.get(f"/api/v1/namespaces/{SPACE}/events?fieldSelector=reason=Rescued")["items"]}
    assert told == {item["metadata"]["name"] for item in saved}


def test_its_account_may_do_no_more(cluster, watch):
    """The rights of deploy/rescue are what is needed, and no others."""
    who = "--as=system:serviceaccount:harbor-pilot:harbor-pilot-rescue"

    def may(verb, resource):
        return cluster.kubectl("auth", "can-i", verb, resource, "-A", who, check=False).stdout.strip() == "yes"
    assert {verb for verb in ("get", "list", "watch", "create", "update", "patch", "delete", "deletecollection") if may(verb, "pods")} == {
        "list", "watch", "patch", "delete"}
    assert may("create", "events") and not may("list", "events")
    assert not any(may("get", resource) for resource in ("secrets", "configmaps", "namespaces", "deployments"))


def test_one_that_is_killed_is_followed_by_another(cluster, harbor, watch, load):
    time.sleep(3)
    cluster.kill(watch.pods()[0])
    harbor.stop()
    try:
        wait("a Pod to be rescued by the next one", lambda: any(
            RESCUED in item["metadata"].get("annotations", {}) for item in cluster.pods(SPACE)), 60)
        load.stop()
        cluster.running(SPACE, len(load.made), 60)
    finally:
        harbor.come_back()
