"""Every kind of Pod and every field on a real Kubernetes: rewritten where it should be, started all the same, and left
alone where that is the promise."""

import base64
import hashlib
import json
import re
import shutil
import subprocess

import pytest

from harness import HERE, ORIGINAL_IMAGES, images, nobody_schedules, once, originals, pod, pod_spec, wait, workload

WEB, NEXT, SIDECAR, DATA, DEBUGGER = "web:1", "web:2", "ghcr.io/mesh/proxy:1", "quay.io/team/data:3", "debugger:1"
ANNOTATIONS_LIMIT = 256 * 1024  # of one object, keys and values


@pytest.fixture(scope="module", autouse=True)
def pushed(cluster):
    cluster.push(WEB, NEXT, SIDECAR, DATA, DEBUGGER)


@pytest.fixture(scope="module", autouse=True)
def cron(cluster):
    """A CronJob runs at the next full minute: made first, looked at last."""
    namespace = cluster.namespace("e2e-cron", "enforce")
    job = {"template": {"spec": {**pod_spec(), "containers": [once("app", WEB)], "restartPolicy": "Never"}}}
    cluster.api.create(f"/apis/batch/v1/namespaces/{namespace}/cronjobs", {
        "apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "tick"},
        "spec": {"schedule": "* * * * *", "jobTemplate": {"spec": job}}})
    return namespace


@pytest.fixture(scope="module")
def more_policies(cluster, install, binary, certificates, work):
    """The policies that use what came after the first version are loaded as well, in Pods that run."""
    directory = work / "more-policies"
    shutil.copytree(install.policies, directory)
    for file in (HERE / "policies-pods").glob("*.yaml"):
        shutil.copy(file, directory)
    asked = subprocess.Popen(
        [binary, "serve", "--strict", "--policies", directory, "--bind-address=127.0.0.1:0", "--admin-bind-address=127.0.0.1:0",
         "--tls-cert-file", certificates / "tls.crt", "--tls-private-key-file", certificates / "tls.key"],
        stderr=subprocess.PIPE, text=True)
    said = []
    for line in asked.stderr:
        said.append(line)
        if '"ready"' in line:
            break
    asked.terminate()
    text = "".join(said)
    if '"ready"' not in text:
        if "not built yet" in text:
            pytest.skip(f"this harbor-pilot refuses a policy: {text.strip()}")
        pytest.fail(f"the policies of the tests are refused: {text}", pytrace=False)
    asked.kill()

    cluster.load_policies(directory, told=False)


def rollout_done(cluster, namespace, *what):
    cluster.kubectl("-n", namespace, "rollout", "status", *what, "--timeout=60s")


def template_of(cluster, namespace, plural, name):
    return cluster.api.get(f"/apis/apps/v1/namespaces/{namespace}/{plural}/{name}")["spec"]["template"]


# ---- whose Pods ----

@pytest.mark.parametrize("kind, count", [("StatefulSet", 2), ("DaemonSet", 1)])
def test_a_set_of_pods(cluster, kind, count):
    namespace = cluster.namespace(f"e2e-{kind.lower()}", "enforce")
    fields = {"replicas": count, "serviceName": "db"} if kind == "StatefulSet" else {}
    made = cluster.create(namespace, workload(kind, "db", pod_spec(WEB), **fields))
    for item in cluster.running(namespace, count, app="db"):
        assert images(item) == {"app": cluster.rewritten(WEB)} and originals(item) == {"app": WEB}
    assert template_of(cluster, namespace, f"{kind.lower()}s", "db") == made["spec"]["template"]


def test_a_job(cluster):
    namespace = cluster.namespace("e2e-job", "enforce")
    cluster.api.create(f"/apis/batch/v1/namespaces/{namespace}/jobs", {
        "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "migrate"},
        "spec": {"template": {"spec": {**pod_spec(), "containers": [once("app", WEB)], "restartPolicy": "Never"}}}})
    wait("the Job to complete", lambda: cluster.api.get(f"/apis/batch/v1/namespaces/{namespace}/jobs/migrate")["status"].get(
        "succeeded"), explain=lambda: cluster.explain(namespace))
    (item,) = cluster.pods(namespace)
    assert images(item) == {"app": cluster.rewritten(WEB)} and originals(item) == {"app": WEB}


def test_an_operators_pod_is_left_alone(cluster):
    """Its controller would compare what it finds with what it asked for, and delete it for ever."""
    namespace = cluster.namespace("e2e-operator", "enforce")
    owner = cluster.api.create(f"/api/v1/namespaces/{namespace}/configmaps", {
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "owner"}})
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner["metadata"]["uid"]}
    cluster.create(namespace, pod("controlled", pod_spec(WEB), ownerReferences=[{**reference, "controller": True}]),
                   pod("owned", pod_spec(WEB), ownerReferences=[reference]))
    (controlled,), (owned,) = cluster.running(namespace, app="controlled"), cluster.running(namespace, app="owned")
    assert images(controlled) == {"app": WEB} and originals(controlled) is None
    assert images(owned) == {"app": cluster.rewritten(WEB)}  # an owner that is no controller


def test_a_pod_that_opts_out(cluster):
    namespace = cluster.namespace("e2e-opt-out", "enforce")
    made = cluster.create(namespace, pod("web", nobody_schedules(pod_spec(WEB)), {"harbor-pilot.io/mode": "disabled"}))
    assert images(made) == {"app": WEB} and originals(made) is None


# ---- every field ----

def test_an_init_container_that_goes_on_running(cluster):
    namespace = cluster.namespace("e2e-init", "enforce")
    cluster.create(namespace, pod("web", pod_spec(WEB, initContainers=[
        {"name": "proxy", "image": SIDECAR, "restartPolicy": "Always"}, once("setup", NEXT)])))
    (item,) = cluster.running(namespace)
    assert images(item) == {"app": cluster.rewritten(WEB), "proxy": cluster.rewritten(SIDECAR), "setup": cluster.rewritten(NEXT)}
    assert item["status"]["initContainerStatuses"][0]["state"].get("running")


def test_kubectl_debug(cluster):
    namespace = cluster.namespace("e2e-debug", "enforce")
    cluster.create(namespace, pod("web", pod_spec(WEB)))
    cluster.running(namespace)
    since = cluster.log_positions()
    for name in ("first", "second"):  # the second request carries the first's container as well
        cluster.debug(namespace, "web", DEBUGGER, name)

    def running():
        (item,) = cluster.pods(namespace)
        states = item["status"].get("ephemeralContainerStatuses", [])
        return item if len(states) == 2 and all(state["state"].get("running") for state in states) else None
    item = wait("both debuggers to run", running, explain=lambda: cluster.explain(namespace))
    moved = cluster.rewritten(DEBUGGER)
    assert images(item) == {"app": cluster.rewritten(WEB), "first": moved, "second": moved}
    assert item["status"]["containerStatuses"][0]["restartCount"] == 0
    assert cluster.pulled("harbor", since) == {"docker-hub-proxy/library/debugger:1"} and not cluster.pulled("upstream", since)
    events = cluster.audit_events(namespace, verb="patch")
    assert ["mutate-enforce.harbor-pilot.io/image-first" in event["annotations"] for event in events] == [True, False]
    assert "mutate-enforce.harbor-pilot.io/image-second" in events[1]["annotations"]


def test_an_image_volume(cluster):
    namespace = cluster.namespace("e2e-volume", "enforce")
    since = cluster.log_positions()
    spec = pod_spec(WEB, volumes=[{"name": "data", "image": {"reference": DATA}}])
    spec["containers"][0]["volumeMounts"] = [{"name": "data", "mountPath": "/data", "readOnly": True}]
    cluster.create(namespace, pod("web", spec))
    (item,) = cluster.running(namespace)
    assert images(item) == {"app": cluster.rewritten(WEB), "volume/data": cluster.rewritten(DATA)}
    assert originals(item) == {"app": WEB, "volume/data": DATA}
    assert "quay-proxy/team/data:3" in cluster.pulled("harbor", since) and not cluster.pulled("upstream", since)
    (event,) = cluster.audit_events(namespace)
    assert json.loads(event["annotations"]["mutate-enforce.harbor-pilot.io/volume-data"])["volume"] == "data"


def test_64_containers(cluster):
    namespace = cluster.namespace("e2e-many", "enforce")
    cluster.create(namespace, pod("many", pod_spec(*[WEB, SIDECAR] * 32)))
    (item,) = cluster.running(namespace, seconds=90)
    found = images(item)
    assert len(found) == 64 and set(found.values()) == {cluster.rewritten(WEB), cluster.rewritten(SIDECAR)}
    assert len(originals(item)) == 64
    (event,) = cluster.audit_events(namespace)
    assert len([key for key in event["annotations"] if key.startswith("mutate-enforce.harbor-pilot.io/image-")]) == 64


def annotations_size(annotations):
    return sum(len(key.encode()) + len(value.encode()) for key, value in annotations.items())


def test_annotations_near_their_limit(cluster):
    """The Pod is created in any case: the annotation is left out where it would be the one too many."""
    namespace = cluster.namespace("e2e-annotations", "enforce")
    ours = len(ORIGINAL_IMAGES) + len(json.dumps({"app": WEB}, separators=(",", ":")))
    for name, size, fits in (("fits", ANNOTATIONS_LIMIT - ours, True), ("full", ANNOTATIONS_LIMIT - ours + 1, False),
                             ("brim", ANNOTATIONS_LIMIT, False)):
        mine = {"example.com/mine": "x" * (size - len("example.com/mine"))}
        item = cluster.create(namespace, pod(name, nobody_schedules(pod_spec(WEB)), mine))
        assert images(item) == {"app": cluster.rewritten(WEB)}, name
        assert item["metadata"]["annotations"]["example.com/mine"] == mine["example.com/mine"]
        assert originals(item) == ({"app": WEB} if fits else None), name
        assert annotations_size(item["metadata"]["annotations"]) <= ANNOTATIONS_LIMIT


# ---- among others ----

def test_a_sidecar_that_is_injected_afterwards(cluster, webhook):
    """The other webhook comes later in the alphabet; the API server calls ours again (reinvocationPolicy)."""
    namespace = cluster.namespace("e2e-injected", "enforce", inject="yes")

    def inject(request):
        containers = (request["object"] or {}).get("spec", {}).get("containers", [])
        if request["operation"] != "CREATE" or any(container["name"] == "mesh" for container in containers):
            return None
        return [{"op": "add", "path": "/spec/containers/-", "value": {"name": "mesh", "image": SIDECAR}}]
    webhook("zzz-injector", inject, {"matchLabels": {"inject": "yes"}})
    probe = pod("probe-", nobody_schedules(pod_spec(WEB)))
    wait("the API server to know the webhook", lambda: len(images(cluster.create(namespace, probe))) == 2)

    cluster.create(namespace, workload("Deployment", "web", pod_spec(WEB), replicas=1))
    (item,) = cluster.running(namespace, app="web")
    assert images(item) == {"app": cluster.rewritten(WEB), "mesh": cluster.rewritten(SIDECAR)}
    assert originals(item) == {"app": WEB, "mesh": SIDECAR}
    (event,) = cluster.audit_events(namespace, item["metadata"]["name"])
    rounds = {key: json.loads(value) for key, value in event["annotations"].items()
              if key.startswith("mutation.webhook.admission.k8s.io/")}
    ours = [value["mutated"] for key, value in sorted(rounds.items()) if value["webhook"] == "mutate-enforce.harbor-pilot.io"]
    assert ours == [True, True]
    # what was said in the first round is said again or not at all in the second: the API server keeps the first
    for name, image in (("app", WEB), ("mesh", SIDECAR)):
        decision = json.loads(event["annotations"][f"mutate-enforce.harbor-pilot.io/image-{name}"])
        assert (decision["image"], decision["result"]) == (image, cluster.rewritten(image))
    complaints = [line for line in (cluster.logs / "apiserver.log").read_text().splitlines()
                  if "annotation" in line and "harbor-pilot.io" in line]
    assert not complaints


def test_server_side_apply_of_a_pod_twice(cluster):
    namespace = cluster.namespace("e2e-apply", "enforce")
    wanted = pod("web", pod_spec(WEB))

    def apply():
        answer = cluster.kubectl("-n", namespace, "apply", "--server-side", "--field-manager=gitops", "-o", "json", "-f", "-",
                                 input=wanted)
        return json.loads(answer.stdout)
    assert images(apply()) == {"app": cluster.rewritten(WEB)}
    cluster.running(namespace)
    # No conflict. But whoever applies a Pod owns its image, and so puts it back as the manifest says: the container is
    # started once more, from the original. (The Pods of a Deployment are nobody's to apply.)
    assert images(apply()) == {"app": WEB}
    wait("the container to be started once more", lambda: cluster.pods(namespace)[0]["status"]["containerStatuses"][0][
        "restartCount"] == 1, explain=lambda: cluster.explain(namespace))
    assert images(apply()) == {"app": WEB}
    cluster.running(namespace)


def test_rollout_restart(cluster):
    namespace = cluster.namespace("e2e-restart", "enforce")
    made = cluster.create(namespace, workload("Deployment", "web", pod_spec(WEB), replicas=2))
    before = {item["metadata"]["uid"] for item in cluster.running(namespace, 2, app="web")}
    cluster.kubectl("-n", namespace, "rollout", "restart", "deployment/web")
    rollout_done(cluster, namespace, "deployment/web")
    after = cluster.running(namespace, 2, app="web")
    assert not before & {item["metadata"]["uid"] for item in after}
    for item in after:
        assert images(item) == {"app": cluster.rewritten(WEB)} and originals(item) == {"app": WEB}
    template = template_of(cluster, namespace, "deployments", "web")
    assert template["metadata"].pop("annotations").keys() == {"kubectl.kubernetes.io/restartedAt"}
    assert template == made["spec"]["template"]


# ---- what needs more than the first policies ----

def bucket(namespace, kind, name):
    """The share of a rollout that a workload is in, as the documentation says."""
    return int.from_bytes(hashlib.sha256(f"{namespace}/{kind}/{name}".encode()).digest()[:4], "big") % 100


def names_in_and_out(namespace, kind):
    """The first names that a rollout of 50 takes and does not take."""
    names = [f"db{number}" for number in range(50)]
    return (next(name for name in names if bucket(namespace, kind, name) < 50),
            next(name for name in names if bucket(namespace, kind, name) >= 50))


def test_the_bucket_is_the_documented_one():
    assert [bucket("monitoring", "Deployment", "grafana"), bucket("apps", "StatefulSet", "postgres"),
            bucket("apps", "CronJob", "backup")] == [74, 30, 24]


@pytest.mark.parametrize("kind, count", [("StatefulSet", 2), ("DaemonSet", 1), ("Deployment", 2)])
def test_a_rolling_update_in_half_a_rollout(cluster, more_policies, kind, count):
    """All Pods of a workload are in or out, before and after a rolling update, and both end."""
    namespace = cluster.namespace(f"half-{kind.lower()}", "enforce")
    inside, outside = names_in_and_out(namespace, kind)
    fields = {"StatefulSet": {"replicas": count, "serviceName": "db"}, "DaemonSet": {}, "Deployment": {"replicas": count}}[kind]
    cluster.create(namespace, *(workload(kind, name, pod_spec(WEB), **fields) for name in (inside, outside)))
    for image in (WEB, NEXT):
        if image == NEXT:
            for name in (inside, outside):
                cluster.kubectl("-n", namespace, "set", "image", f"{kind.lower()}/{name}", f"app={NEXT}")
        for name in (inside, outside):
            rollout_done(cluster, namespace, f"{kind.lower()}/{name}")
        for name, expected in ((inside, cluster.rewritten(image)), (outside, image)):
            for item in cluster.running(namespace, count, app=name):
                assert images(item) == {"app": expected}


def test_a_private_registry_with_a_pull_secret(cluster, more_policies):
    namespace = cluster.namespace("private-apps", "enforce")
    moved = f"{cluster.private}/private-proxy/library/web:1"
    cluster.script("image", moved)
    login = {"auth": base64.b64encode(f"{cluster.env['PRIVATE_USER']}:{cluster.env['PRIVATE_PASSWORD']}".encode()).decode()}
    for name in ("harbor-pull", "mine"):
        cluster.api.create(f"/api/v1/namespaces/{namespace}/secrets", {
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "type": "kubernetes.io/dockerconfigjson",
            "stringData": {".dockerconfigjson": json.dumps({"auths": {cluster.private: login} if name != "mine" else {}})}})
    since = cluster.log_positions()
    cluster.create(namespace, pod("none", pod_spec(WEB)), pod("other", pod_spec(WEB, imagePullSecrets=[{"name": "mine"}])),
                   pod("same", pod_spec(WEB, imagePullSecrets=[{"name": "harbor-pull"}])))
    for name, secrets in (("none", ["harbor-pull"]), ("other", ["mine", "harbor-pull"]), ("same", ["harbor-pull"])):
        (item,) = cluster.running(namespace, app=name)
        assert images(item) == {"app": moved}
        assert [secret["name"] for secret in item["spec"]["imagePullSecrets"]] == secrets
    assert cluster.pulled("private", since) == {"private-proxy/library/web:1"}
    # the registry does want the password: the first question is refused, the one with it is answered
    assert {pull.status for pull in cluster.pulls("private", since)} == {200, 401}


def test_a_cron_job(cluster, cron):
    def finished():
        return [item for item in cluster.pods(cron) if item["status"].get("phase") == "Succeeded"]
    item = wait("the CronJob's first Pod to end", finished, 75, explain=lambda: cluster.explain(cron))[0]
    assert re.fullmatch(r"tick-\d{8,}", item["metadata"]["ownerReferences"][0]["name"])
    assert images(item) == {"app": cluster.rewritten(WEB)} and originals(item) == {"app": WEB}
