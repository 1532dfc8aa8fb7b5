"""Pods that were moved to Harbor just before it went away, and `harbor-pilot rescue`: by kubectl from outside the cluster,
once."""

import json
import os
import pathlib
import signal
import subprocess
import time

import pytest

import fake_harbor as f
from harbor import NAME, REGISTRIES
from harness import ORIGINAL_IMAGES, batch, images, once, originals, pod, pod_spec, wait, workload

RESCUED = "harbor-pilot.io/rescued"
SPACE = "e2e-rescue"  # the installed Policy moves its Pods without asking Harbor, so that they are caught by any outage
WAITING = ("ErrImagePull", "ImagePullBackOff")
POLICIES = """\
apiVersion: harbor-pilot.io/v1alpha1
kind: Harbor
metadata: {{name: {name}}}
spec:
  host: {host}
  registries: {registries}
  nodesHaveCredentials: true
  api: {{url: "{url}", credentialsDirectory: {directory}, caFile: {directory}/ca.crt}}
---
apiVersion: harbor-pilot.io/v1alpha1
kind: Policy
metadata: {{name: everything}}
spec: {{harbor: {name}, namespaces: ["e2e-*"]}}
"""


def statuses(item):
    """Container name -> its status, of all kinds."""
    return {status["name"]: status for kind in ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses")
            for status in item["status"].get(kind, [])}


def waiting(item):
    """Container name -> why it waits."""
    return {name: status["state"]["waiting"].get("reason") for name, status in statuses(item).items() if "waiting" in status["state"]}


def is_stuck(item):
    return any(reason in WAITING for reason in waiting(item).values())


class Rescue:
    """The command, from outside the cluster."""

    def __init__(self, cluster, binary, directory, policies):
        self.cluster, self.binary, self.policies = cluster, binary, policies
        self.runtime = directory / "runtime"  # where kubectl's socket is
        self.runtime.mkdir()
        tools = directory / "tools"
        tools.mkdir()
        (tools / "kubectl").symlink_to(cluster.kubectl_program)
        self.environment = {**os.environ, "PATH": f"{tools}:{os.environ['PATH']}", "XDG_RUNTIME_DIR": str(self.runtime),
                            "KUBECONFIG": cluster.env["KUBECONFIG"]}

    def command(self, *arguments):
        return [self.binary, "rescue", "--policies", self.policies, "-n", SPACE, *arguments]

    def start(self, *arguments, **how):
        return subprocess.Popen(self.command(*arguments), env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                stdin=subprocess.DEVNULL, text=True, **how)

    def __call__(self, *arguments, status=0):
        """Runs it to its end; status None: whatever it says."""
        done = subprocess.run(self.command(*arguments), env=self.environment, capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, timeout=120)
        assert status in (None, done.returncode), f"exit status {done.returncode}\n{done.stdout}{done.stderr}"
        self.left_nothing_behind()
        return done

    def json(self, *arguments, status=0):
        return json.loads(self(*arguments, "-o", "json", status=status).stdout)

    def left_nothing_behind(self):
        """No folder, no socket; and no kubectl that has it open."""
        assert not list(self.runtime.iterdir())
        assert not self.proxies()

    def proxies(self):
        found = []
        for entry in pathlib.Path("/proc").iterdir():
            try:
                if entry.name.isdigit() and str(self.runtime).encode() in (entry / "cmdline").read_bytes():
                    found.append(int(entry.name))
            except OSError:
                pass  # it has ended meanwhile
        return found


@pytest.fixture(scope="module")
def rescue(cluster, harbor, binary, tmp_path_factory):
    directory = tmp_path_factory.mktemp("rescue")
    account = directory / "account"
    account.mkdir()
    for name, text in zip(("username", "password"), f.GOOD_ACCOUNT):
        (account / name).write_text(text)
    (account / "ca.crt").write_bytes((harbor.certificates / "ca.crt").read_bytes())
    policies = directory / "policies.yaml"
    policies.write_text(POLICIES.format(name=NAME, host=cluster.harbor, registries=json.dumps(REGISTRIES), url=harbor.api.url,
                                        directory=account))
    cluster.push("steady:1", "quay.io/other/steady:1")
    cluster.namespace(SPACE, "enforce")
    return Rescue(cluster, binary, directory, policies)


@pytest.fixture(autouse=True)
def clean(cluster, harbor, rescue):
    """Each test has the namespace for itself, and a Harbor that is well."""
    yield
    harbor.come_back()
    for kind in ("apps/v1/namespaces/{}/deployments", "apps/v1/namespaces/{}/statefulsets", "apps/v1/namespaces/{}/daemonsets",
                 "batch/v1/namespaces/{}/jobs", "apps/v1/namespaces/{}/replicasets"):
        cluster.api.delete("/apis/" + kind.format(SPACE), propagationPolicy="Background")

    def gone():
        if cluster.pods(SPACE):
            cluster.api.delete(f"/api/v1/namespaces/{SPACE}/pods", gracePeriodSeconds=0)
        return not cluster.pods(SPACE)
    wait("the Pods of this test to be gone", gone, 120, every=0.5)


def always(image, *more, **fields):
    """A Pod's spec whose containers ask a registry each time they start."""
    spec = pod_spec(image, *more, **fields)
    for kind in ("containers", "initContainers"):
        for container in spec.get(kind, []):
            container["imagePullPolicy"] = "Always"
    return spec


def stuck(cluster, count, seconds=60):
    def all_wait():
        items = cluster.live_pods(SPACE)
        return items if len(items) == count and all(map(is_stuck, items)) else None
    return wait(f"{count} Pods that cannot pull", all_wait, seconds, explain=lambda: cluster.explain(SPACE))


def events(cluster, reason):
    return {event["involvedObject"]["name"] for event in
            cluster.api.get(f"/api/v1/namespaces/{SPACE}/events?fieldSelector=reason={reason}")["items"]}


def test_every_kind_of_pod_is_put_back(cluster, harbor, rescue, say):
    """Bare, with init containers and a sidecar, of each controller: found, patched, running, none restarted."""
    harbor.stop()
    mixed = always("steady:1", f"{cluster.upstream}/library/steady:1", initContainers=[
        once("first", "steady:1"), {"name": "beside", "image": "quay.io/other/steady:1", "restartPolicy": "Always"}])
    for container in mixed["initContainers"]:
        container["imagePullPolicy"] = "Always"
    two = always("steady:1", f"{cluster.upstream}/library/steady:1")
    job = batch("Job", "job", {**always("steady:1"), "restartPolicy": "Never"})
    cluster.create(SPACE, pod("mixed", mixed), pod("two", two), workload("Deployment", "web", always("steady:1"), replicas=2),
                   workload("StatefulSet", "db", always("steady:1"), serviceName="db"),
                   workload("DaemonSet", "each", always("steady:1")), job)
    before = {item["metadata"]["name"]: item for item in stuck(cluster, 7)}
    assert all(originals(item) for item in before.values())

    previewed = rescue.json("--dry-run")
    assert previewed["dryRun"] and previewed["summary"] == {"restored": 9, "deleted": 0, "left": 0}
    assert {item["metadata"]["name"]: item for item in cluster.pods(SPACE)}.keys() == before.keys()
    assert not any(RESCUED in item["metadata"]["annotations"] for item in cluster.pods(SPACE))

    since, patched = cluster.log_positions(), time.time()
    first = rescue.json("--yes")
    assert first["kind"] == "Rescue" and first["apiVersion"] == "harbor-pilot.io/v1alpha1"
    assert all(item["result"] == "restored" and item["reason"] == "harbor-down" for item in first["items"])
    took = time.time() - patched
    after = {item["metadata"]["name"]: item for item in cluster.running(SPACE, 7)}
    say(f"7 Pods rescued in {took:.2f} s, with kubectl's start")
    assert after.keys() == before.keys()
    for name, item in after.items():
        assert item["metadata"]["uid"] == before[name]["metadata"]["uid"]
        for container, image in images(item).items():
            assert image == originals(item).get(container, images(before[name])[container])
        assert all(status["restartCount"] == 0 for status in statuses(item).values()), name
        note = json.loads(item["metadata"]["annotations"][RESCUED])
        assert note["reason"] == "harbor-down" and note["at"].endswith("Z")
        assert all(image.startswith(cluster.harbor) for image in note["images"].values())
    assert not cluster.pulls("harbor", since)
    assert events(cluster, "Rescued") == after.keys()
    assert "no Pod waits" in rescue("--yes").stdout


def test_what_waits_in_a_pod_that_runs(cluster, harbor, rescue):
    """A container that ended, and is pulled for again: the one beside it goes on as it was."""
    spec = pod_spec("steady:1", f"{cluster.upstream}/library/steady:1")
    spec["containers"][0].update(imagePullPolicy="Always", args=["once"])
    cluster.create(SPACE, pod("again", spec))
    wait("the first container to have run", lambda: statuses(cluster.pods(SPACE)[0]).get("app", {}).get("restartCount"), 30)
    harbor.stop()
    before = wait("it to wait in a Pod that runs", lambda: next((
        item for item in cluster.pods(SPACE) if item["status"]["phase"] == "Running" and waiting(item).get("app") in WAITING), None), 90,
        explain=lambda: cluster.explain(SPACE))
    since = cluster.log_positions()
    rescue("--yes")
    wait("it to be pulled from its original", lambda: "library/steady:1" in cluster.pulled("upstream", since), 30)
    after = cluster.pods(SPACE)[0]
    assert images(after)["app"] == "steady:1"
    beside = [statuses(item)["app-1"] for item in (before, after)]
    assert beside[0]["containerID"] == beside[1]["containerID"] and beside[1]["restartCount"] == 0


def test_the_api_server_refuses_the_patch_once_the_container_runs(cluster, rescue):
    """The patch as `rescue` writes it (tests/unit/admit/test_rescue.c), of a container that has begun meanwhile."""
    cluster.create(SPACE, pod("runs", pod_spec("steady:1")))
    item = cluster.running(SPACE)[0]
    path = f"/api/v1/namespaces/{SPACE}/pods/runs"

    def patch(*guards):
        return cluster.api.ask("PATCH", path, [{"op": "test", "path": "/metadata/uid", "value": item["metadata"]["uid"]}, *guards,
                                               {"op": "replace", "path": "/spec/containers/0/image", "value": "steady:1"}],
                               content_type="application/json-patch+json")
    status, answer = patch({"op": "test", "path": "/status/containerStatuses/0/state/running", "value": None})
    assert status == 422, answer
    # and the guard is what refuses it: there is nothing at /waiting
    assert patch({"op": "test", "path": "/status/containerStatuses/0/state/waiting", "value": None})[0] == 200


def test_a_forged_annotation_and_a_protected_namespace(cluster, harbor, rescue):
    harbor.stop()
    image = f"{cluster.harbor}/docker-hub-proxy/library/steady:1"
    forged = json.dumps({"app": "evil.example.com/steady:1"})
    cluster.create(SPACE, pod("forged", always(image), annotations={ORIGINAL_IMAGES: forged}),
                   pod("foreign", always(f"{cluster.harbor}/somebody/steady:1")))
    stuck(cluster, 2)
    said = {item["name"]: item for item in rescue.json("--yes", status=1)["items"]}
    assert said["forged"]["result"] == "restored" and said["forged"]["original"] == "docker.io/library/steady:1"
    assert "evil.example.com" in said["forged"]["detail"]
    assert (said["foreign"]["result"], said["foreign"]["reason"]) == ("left", "not-ours")
    policies = rescue.policies.read_text()
    rescue.policies.write_text(policies.replace("spec:\n  host", f"spec:\n  protected: [{SPACE}]\n  host"))
    try:
        said = rescue.json("--yes", status=1)["items"]
        assert [(item["name"], item["result"], item["reason"]) for item in said] == [("foreign", "left", "protected")]
    finally:
        rescue.policies.write_text(policies)


def test_a_harbor_that_is_well_and_does_not_have_it(cluster, harbor, rescue):
    """404 is Harbor's own word; what it could serve, and the kubelet was refused, is left to the kubelet."""
    cluster.script("image", f"{cluster.upstream}/library/missing:1")
    cluster.create(SPACE, pod("missing", always("missing:1")))
    stuck(cluster, 1)
    done = rescue.json("--yes")
    assert [(item["result"], item["reason"]) for item in done["items"]] == [("restored", "not-in-harbor")]
    cluster.running(SPACE)
    cluster.script("registry", "harbor", "stop")  # the API goes on
    try:
        cluster.create(SPACE, pod("later", always("steady:1")))
        wait("it to fail", lambda: any(map(is_stuck, cluster.pods(SPACE))))
        harbor.set_cached("steady:1")
        done = rescue.json("--yes", status=1)
        assert [(item["result"], item["reason"]) for item in done["items"]] == [("left", "harbor-healthy")]
        done = rescue.json("--yes", "--even-if-healthy")
        assert [(item["result"], item["reason"]) for item in done["items"]] == [("restored", "even-if-healthy")]
    finally:
        cluster.script("registry", "harbor", "start")
    cluster.running(SPACE, 2)


def test_sixty_pods_two_at_once_and_one_that_is_killed(cluster, harbor, rescue, say):
    harbor.stop()
    cluster.create(SPACE, workload("Deployment", "many", always("steady:1"), replicas=60))
    before = stuck(cluster, 60, 180)
    killed = rescue.start("--yes")
    wait("it to have begun", lambda: any(RESCUED in item["metadata"]["annotations"] for item in cluster.pods(SPACE)), every=0.01)
    killed.kill()
    killed.communicate()
    wait("its kubectl to end", lambda: not rescue.proxies(), 10)
    for left in rescue.runtime.iterdir():
        (left / "kubectl").unlink(missing_ok=True)
        left.rmdir()
    began = time.time()
    both = [rescue.start("--yes", "-o", "json") for _ in range(2)]
    said = [json.loads(one.communicate(timeout=120)[0]) for one in both]
    took = time.time() - began
    assert [one.returncode for one in both] == [0, 0]
    restored = [item["name"] for one in said for item in one["items"] if item["result"] == "restored"]
    assert len(restored) == len(set(restored)), "nothing is done twice"
    after = cluster.running(SPACE, 60, 120)
    assert {item["metadata"]["uid"] for item in after} == {item["metadata"]["uid"] for item in before}
    assert all(status["restartCount"] == 0 for item in after for status in statuses(item).values())
    say(f"two at once put {len(restored)} of 60 Pods back in {took:.1f} s, after one was killed")


def test_ctrl_c_leaves_nothing_behind(cluster, harbor, rescue):
    running = rescue.start("--watch", "--yes")
    lines = iter(running.stderr)
    assert any('"event":"ready"' in line for line in lines)
    assert rescue.proxies()
    for number in (signal.SIGTERM,):
        running.send_signal(number)
        running.communicate(timeout=10)
        assert running.returncode == 0
    rescue.left_nothing_behind()


def test_without_a_terminal_and_yes_nothing_is_done(cluster, harbor, rescue):
    harbor.stop()
    cluster.create(SPACE, pod("one", always("steady:1")))
    stuck(cluster, 1)
    done = rescue(status=2)
    assert "--yes" in done.stderr and not done.stdout
    assert RESCUED not in cluster.pods(SPACE)[0]["metadata"]["annotations"]


def test_a_pull_that_hangs(cluster, harbor, rescue):
    """No patch ends it: a ReplicaSet's Pod is deleted, whose successor the webhook leaves at its original; a StatefulSet's and a bare
    one are named for a person."""
    cluster.script("registry", "harbor", "hang")
    harbor.api.hang_all()
    try:
        cluster.create(SPACE, workload("Deployment", "web", always("steady:1")), pod("bare", always("steady:1")),
                       workload("StatefulSet", "db", always("steady:1"), serviceName="db"))
        wait("three Pods to wait", lambda: len(cluster.pods(SPACE)) == 3 and all(
            set(waiting(item).values()) == {"ContainerCreating"} and any(
                condition["type"] == "PodReadyToStartContainers" and condition["status"] == "True"
                for condition in item["status"]["conditions"]) for item in cluster.pods(SPACE)), 60,
             explain=lambda: cluster.explain(SPACE))
        early = rescue.json("--yes", status=1)
        assert {item["reason"] for item in early["items"]} == {"pulling"}
        old = {item["metadata"]["name"] for item in cluster.pods(SPACE)}
        time.sleep(3)
        done = {item["name"].split("-")[0]: item for item in rescue.json("--yes", "--hung-after", "3s", status=1)["items"]}
        assert {name: (item["result"], item["reason"]) for name, item in done.items()} == {
            "web": ("deleted", "harbor-down"), "bare": ("left", "hung"), "db": ("left", "hung")}
        wait("the ReplicaSet's new Pod", lambda: any(
            item["metadata"]["name"] not in old for item in cluster.live_pods(SPACE)), 30)
        assert {item["metadata"]["name"] for item in cluster.live_pods(SPACE)} >= {"bare", "db-0"}
    finally:
        cluster.script("registry", "harbor", "resume")
        harbor.api.well()
