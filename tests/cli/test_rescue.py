"""rescue: what it makes of Pods, and of an API server, a kubectl and a Harbor that fail. On a real node: tests/e2e/test_rescue.py."""

import contextlib
import json
import os
import pty
import signal
import socket
import subprocess
import time

import pytest

from clilib import PATIENCE, PLAIN, ROOT
from fake_api import FakeApi, status

HOST = "harbor.example.com"
IMAGE = f"{HOST}/hub/library/nginx:1"
POLICIES = """\
apiVersion: harbor-pilot.io/v1alpha1
kind: Harbor
metadata: {{name: h}}
spec: {{host: harbor.example.com, registries: {{docker.io: hub}}, protected: [harbor]{api}}}
---
apiVersion: harbor-pilot.io/v1alpha1
kind: Policy
metadata: {{name: p}}
spec: {{namespaces: ["*"]}}
"""


def waits(name, namespace="apps", image=IMAGE, original="nginx:1", reason="ImagePullBackOff", **metadata):
    """A Pod that cannot pull; no original: no annotation."""
    annotations = {"harbor-pilot.io/original-images": json.dumps({"app": original})} if original else {"kept": "as it is"}
    return {"metadata": {"name": name, "namespace": namespace, "annotations": annotations, **metadata},
            "spec": {"containers": [{"name": "app", "image": image}]},
            "status": {"phase": "Pending", "containerStatuses": [
                {"name": "app", "state": {"waiting": {"reason": reason, "message": "refused"}}}]}}


def pulls(name, seconds, **metadata):
    """A Pod whose pull has gone on for so long."""
    item = waits(name, reason="ContainerCreating", **metadata)
    since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - seconds))
    item["status"]["conditions"] = [{"type": "PodReadyToStartContainers", "status": "True", "lastTransitionTime": since}]
    return item


def owned_by(kind, version="apps/v1"):
    return {"ownerReferences": [{"apiVersion": version, "kind": kind, "name": "owner", "uid": "o", "controller": True}]}


def runs(name, namespace="apps"):
    item = waits(name, namespace)
    item["status"]["containerStatuses"][0]["state"] = {"running": {"startedAt": "2026-11-20T00:00:00Z"}}
    return item


class Rescue:
    def __init__(self, program, directory, api):
        self.program, self.api = program, api
        with socket.socket() as closed:  # nobody answers there: this Harbor is down
            closed.bind(("127.0.0.1", 0))
            port = closed.getsockname()[1]
        self.down = directory / "down.yaml"
        self.down.write_text(POLICIES.format(api=f', api: {{url: "https://127.0.0.1:{port}"}}'))
        self.unknown = directory / "unknown.yaml"
        self.unknown.write_text(POLICIES.format(api=""))
        self.runtime = directory / "runtime"
        self.runtime.mkdir()
        self.env = {"PATH": f"{api.tools}:{os.environ['PATH']}", "XDG_RUNTIME_DIR": str(self.runtime)}

    def __call__(self, *args, policies=None, status=0, env=None):
        done = self.program("rescue", "--policies", policies or self.down, *args, status=status, env={**self.env, **(env or {})})
        self.left_nothing_behind()
        return done

    def json(self, *args, **how):
        document = self("--yes", "-o", "json", *args, **how).json()
        assert (document["apiVersion"], document["kind"]) == ("harbor-pilot.io/v1alpha1", "Rescue")
        counts = {result: sum(item["result"] == result for item in document["items"]) for result in ("restored", "deleted", "left")}
        assert document["summary"] == counts
        return document

    def left_nothing_behind(self):
        assert not list(self.runtime.iterdir())
        for pid, _ in self.api.called():
            with pytest.raises(ProcessLookupError):
                os.kill(pid, 0)

    @contextlib.contextmanager
    def watching(self, *args, policies=None):
        """A running `rescue --watch`, and the list of its log lines so far; ended by SIGTERM."""
        with subprocess.Popen([self.program.binary, "rescue", "--policies", policies or self.down, "--watch", "--yes", *args],
                              env={**PLAIN, **self.env}, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True) as process:
            watch = Watch(process)
            try:
                watch.until(lambda line: line["event"] == "ready")
                yield watch
            finally:
                process.send_signal(signal.SIGTERM)
                assert process.wait(PATIENCE) == 0
        self.left_nothing_behind()


class Watch:
    def __init__(self, process):
        self.process, self.lines = process, []

    def until(self, wanted):
        for text in self.process.stderr:
            self.lines.append(json.loads(text))
            if wanted(self.lines[-1]):
                return self.lines[-1]
        raise AssertionError(f"it ended: {self.lines}")


@pytest.fixture
def api(tmp_path):
    one = FakeApi(tmp_path)
    yield one
    one.close()


@pytest.fixture
def rescue(program, tmp_path, api):
    return Rescue(program, tmp_path, api)


def wait(what, predicate):
    deadline = time.monotonic() + PATIENCE
    while not (value := predicate()):
        assert time.monotonic() < deadline, what
        time.sleep(0.02)
    return value


def image_of(api, name, namespace="apps"):
    return api.pods[namespace, name]["spec"]["containers"][0]["image"]


# --- once ---


def test_a_pod_is_put_back(rescue, api):
    api.put(waits("web"))
    api.put(runs("well"))
    before = api.pods["apps", "web"]
    done = rescue("--yes").out
    assert "restored  apps/web  app: " in done and "harbor-down: Harbor is down" in done
    assert done.endswith("1 restored, 0 deleted, 0 left\n")
    after = api.pods["apps", "web"]
    assert after["spec"]["containers"][0]["image"] == "nginx:1"
    note = json.loads(after["metadata"]["annotations"].pop("harbor-pilot.io/rescued"))
    assert note["reason"] == "harbor-down" and note["images"] == {"app": IMAGE}
    assert after["metadata"]["annotations"] == before["metadata"]["annotations"]
    assert [method for method, _, _ in api.changes()] == ["PATCH"]
    event = api.events[0]
    assert event["reason"] == "Rescued" and event["involvedObject"]["uid"] == "uid-web" and "Harbor is down" in event["message"]
    assert rescue("--yes").out == "no Pod waits for an image at Harbor\n"
    assert len(api.changes()) == 1


def test_json(rescue, api):
    api.put(waits("web"))
    api.put(waits("db", original=None, image=f"{HOST}/other/x"))
    items = {item["name"]: item for item in rescue.json(status=1)["items"]}
    assert items["web"] == {"namespace": "apps", "kind": "Pod", "name": "web", "container": "app", "result": "restored",
                            "reason": "harbor-down", "image": IMAGE, "original": "nginx:1", "detail": "Harbor is down"}
    assert items["db"]["result"] == "left" and items["db"]["reason"] == "not-ours" and "original" not in items["db"]


def test_a_dry_run_changes_nothing(rescue, api):
    api.put(waits("web"))
    document = rescue("--dry-run", "-o", "json").json()
    assert document["dryRun"] and document["summary"]["restored"] == 1
    assert "would be: 1 restored" in rescue("--dry-run").out
    assert not api.changes() and not api.events


def test_namespaces(rescue, api):
    for namespace in ("apps", "shop", "rest"):
        api.put(waits("web", namespace))
    said = rescue.json("-n", "apps", "--namespace", "shop")
    assert [item["namespace"] for item in said["items"]] == ["apps", "shop"]
    assert image_of(api, "web", "rest") == IMAGE
    assert "expected the name of one" in rescue("--yes", "-n", "../x", status=2).err


def test_a_harbor_that_nobody_can_ask(rescue, api):
    api.put(waits("web"))
    said = rescue.json(policies=rescue.unknown, status=1)
    assert [item["reason"] for item in said["items"]] == ["harbor-unknown"]
    said = rescue.json("--even-if-healthy", policies=rescue.unknown)
    assert [(item["result"], item["reason"]) for item in said["items"]] == [("restored", "even-if-healthy")]


def test_pulls_that_hang(rescue, api):
    """Deleted where something makes another, else named; the preconditions are the Pod's that was seen."""
    api.put(pulls("young", 20, **owned_by("ReplicaSet")))
    for kind, version in (("ReplicaSet", "apps/v1"), ("DaemonSet", "apps/v1"), ("Job", "batch/v1"),
                          ("StatefulSet", "apps/v1"), ("ReplicaSet", "example.com/v1")):
        api.put(pulls(f"{kind.lower()}-{version[0]}", 100, **owned_by(kind, version)))
    api.put(pulls("bare", 100))
    versions = {name: item["metadata"]["resourceVersion"] for (_, name), item in api.pods.items()}
    said = {item["name"]: (item["result"], item["reason"]) for item in rescue.json(status=1)["items"]}
    deleted, hung = ("deleted", "harbor-down"), ("left", "hung")
    assert said == {"replicaset-a": deleted, "daemonset-a": deleted, "job-b": deleted, "statefulset-a": hung, "replicaset-e": hung,
                    "bare": hung, "young": ("left", "pulling")}
    for method, path, body in api.changes():
        name = path.rpartition("/")[2]
        assert method == "DELETE"
        assert body["preconditions"] == {"uid": f"uid-{name}", "resourceVersion": versions[name]}
    assert {event["reason"] for event in api.events} == {"RescuedByDeletion"}
    assert rescue.json("--hung-after", "10s", status=1)["summary"]["deleted"] == 1  # the young one


def test_a_pull_while_nothing_is_known_of_harbor_is_left_alone(rescue, api):
    api.put(pulls("web", 100, **owned_by("ReplicaSet")))
    said = rescue.json("--even-if-healthy", policies=rescue.unknown, status=1)
    assert [(item["result"], item["reason"]) for item in said["items"]] == [("left", "harbor-healthy")]
    assert not api.changes()


def test_an_ephemeral_container_is_named_with_the_way_out(rescue, api):
    item = runs("web")
    item["spec"]["ephemeralContainers"] = [{"name": "debug", "image": f"{HOST}/hub/library/busybox"}]
    item["status"]["ephemeralContainerStatuses"] = [{"name": "debug", "state": {"waiting": {"reason": "ErrImagePull"}}}]
    api.put(item)
    said = rescue.json(status=1)["items"][0]
    assert (said["result"], said["reason"]) == ("left", "ephemeral")
    assert "kubectl debug -n apps web --image=docker.io/library/busybox" in said["detail"]


# --- asking first ---


def test_without_a_terminal_it_needs_yes(rescue, api):
    api.put(waits("web"))
    done = rescue(status=2)
    assert "--yes" in done.err and done.out == "" and not api.changes()
    api.pods.clear()
    assert rescue().out == "no Pod waits for an image at Harbor\n"  # there is nothing to ask


@pytest.mark.parametrize("answer,changes", [("y", 1), ("n", 0), ("", 0)])
def test_on_a_terminal_it_asks(rescue, api, answer, changes):
    api.put(waits("web"))
    ours, theirs = pty.openpty()
    with subprocess.Popen([rescue.program.binary, "rescue", "--policies", rescue.down], stdin=theirs, stderr=theirs,
                          stdout=subprocess.PIPE, env={**PLAIN, **rescue.env}, text=True) as process:
        os.close(theirs)
        shown = b""
        while b"[y/N]" not in shown:
            shown += os.read(ours, 4096)
        assert b"apps/web" in shown and b"-> nginx:1" in shown
        os.write(ours, f"{answer}\n".encode())
        out = process.stdout.read()
        assert process.wait(PATIENCE) == (0 if changes else 2)
    os.close(ours)
    assert len(api.changes()) == changes and ("1 restored" in out) == bool(changes)


# --- an API server that fails ---


def test_pages_and_a_list_that_is_forgotten_in_the_middle(rescue, api):
    """500 at a time; 410 begins again, and no Pod is told twice."""
    for i in range(1200):
        api.put(waits(f"web-{i}") if i % 100 == 0 else runs(f"web-{i}"))
    forgotten = []

    def forget(method, path, query, *_):
        if query.get("continue") == "1000" and len(forgotten) < 2:
            forgotten.append(path)
            return status(410, "Expired", "The provided continue parameter is too old")
    api.interfere.append(forget)
    assert rescue.json()["summary"] == {"restored": 12, "deleted": 0, "left": 0}
    lists = [query for method, _, query, *_ in api.requests if method == "GET" and "limit" in query]
    assert [query.get("continue", "") for query in lists] == ["", "500", "1000"] * 3
    assert {query["limit"] for query in lists} == {"500"}


def test_a_list_that_is_always_forgotten(rescue, api):
    for i in range(600):
        api.put(runs(f"web-{i}"))
    api.interfere.append(lambda method, path, query, *_: status(410, "Expired", "too old") if "continue" in query else None)
    assert "forgot the list" in rescue("--yes", status=3).err


def test_a_large_cluster_is_never_in_memory(rescue, api):
    """40 pages of 500 Pods of 8 KB: what `make bench` shows of larger ones is the same."""
    pages = 40
    filler = {"annotations": {"filler": "x" * 7000}}
    page = json.dumps([runs(f"web-{i}") | {"metadata": {"name": f"web-{i}", "namespace": "apps", **filler}} for i in range(500)])

    def answer(method, path, query, *_):
        if "limit" not in query:
            return None
        at = int(query.get("continue", "0"))
        metadata = {"resourceVersion": "1", **({"continue": str(at + 1)} if at + 1 < pages else {})}
        return 200, f'{{"kind":"PodList","metadata":{json.dumps(metadata)},"items":{page}}}'.encode()
    api.interfere.append(answer)
    done = rescue.program.measure("rescue", "--policies", rescue.down, "--yes", env=rescue.env)
    assert len(api.requests) == pages and done.memory < 64, done
    assert done.cpu < 5


@pytest.mark.parametrize("code", [409, 422])
def test_another_writer_between_reading_and_patching(rescue, api, code):
    """It is read again: nothing is done to a container that runs by then, and what still waits is put back."""
    api.put(waits("web"))
    api.put(waits("gone"))
    met = set()

    def meet(method, path, *_):
        name = path.rpartition("/")[2]
        if method == "PATCH" and name not in met:
            met.add(name)
            if name == "gone":
                api.put({**runs("gone"), "metadata": api.pods["apps", "gone"]["metadata"]})
            return status(code, "Conflict", "the object has been modified")
    api.interfere.append(meet)
    assert rescue.json()["summary"] == {"restored": 1, "deleted": 0, "left": 0}
    assert image_of(api, "web") == "nginx:1" and image_of(api, "gone") == IMAGE


def test_the_guard_of_the_patch_is_the_api_servers(rescue, api):
    """Begun after it was read, before the patch: refused there."""
    api.put(waits("web"))

    def begin(method, *_):
        if method == "PATCH":
            api.put({**runs("web"), "metadata": api.pods["apps", "web"]["metadata"]})
    api.interfere.append(begin)
    assert rescue.json()["items"] == []
    assert image_of(api, "web") == IMAGE


def test_a_refusal_is_quoted(rescue, api):
    api.put(waits("web"))
    api.interfere.append(lambda method, *_: status(403, "Forbidden", "pods is forbidden: no") if method == "PATCH" else None)
    said = rescue.json(status=1)["items"][0]
    assert (said["result"], said["reason"]) == ("left", "refused")
    assert said["detail"] == "the API server says: pods is forbidden: no (403 Forbidden)"
    api.interfere[:] = [lambda *_: status(403, "Forbidden", "may not list")]
    assert "the API server says: may not list (403 Forbidden)" in rescue("--yes", status=3).err


def test_events_that_may_not_be_made_keep_nothing_from_being_done(rescue, api):
    api.put(waits("web"))
    api.interfere.append(lambda method, *_: status(403, "Forbidden", "no events") if method == "POST" else None)
    assert rescue.json()["summary"]["restored"] == 1


def test_429_is_waited_out(rescue, api):
    api.put(waits("web"))
    times = []

    def busy(*_):
        times.append(time.monotonic())
        return (*status(429, "TooManyRequests", "busy"), {"Retry-After": "1"}) if len(times) in (1, 3) else None
    api.interfere.append(busy)
    assert rescue.json()["summary"]["restored"] == 1
    assert times[1] - times[0] >= 1 and times[3] - times[2] >= 1


def test_who_asks(rescue, api):
    api.put(waits("web"))
    rescue("--yes")
    version = (ROOT / "VERSION").read_text().strip()
    assert {headers["User-Agent"] for *_, headers, _ in api.requests} == {f"harbor-pilot/{version}"}
    assert {headers["Host"] for *_, headers, _ in api.requests} == {"localhost"}


# --- the way there ---


def test_kubectl_is_called_as_the_user_says(rescue, api):
    rescue("--kubeconfig", "/some/file", "--context", "there", "--as", "me")
    (_, arguments), = api.called()
    assert arguments[0] == "proxy" and {"--kubeconfig=/some/file", "--context=there", "--as=me"} <= set(arguments)
    assert any(argument.startswith(f"--unix-socket={rescue.runtime}/harbor-pilot.") for argument in arguments)


def test_the_socket_is_private(rescue, api):
    with rescue.watching():
        folder, = rescue.runtime.iterdir()
        assert folder.stat().st_mode & 0o777 == 0o700


def test_without_kubectl(rescue, api, tmp_path):
    (tmp_path / "empty").mkdir()
    done = rescue("--yes", status=3, env={"PATH": str(tmp_path / "empty")})
    assert "`kubectl` is not found" in done.err


def test_a_kubectl_that_ends(rescue, api):
    api.broken.write_text("context was not found")
    done = rescue("--yes", status=3)
    assert "context was not found" in done.err and "`kubectl proxy` ended at once" in done.err


def test_an_api_server_that_is_not_there(rescue, api):
    api.server.shutdown()
    api.server.server_close()
    done = rescue("--yes", status=3)
    assert "the API server cannot be asked: kubectl: dial tcp" in done.err and done.out == ""


def test_kubectl_ends_with_us_however_we_end(rescue, api):
    process = subprocess.Popen([rescue.program.binary, "rescue", "--policies", rescue.down, "--watch", "--yes"],
                               env={**PLAIN, **rescue.env}, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
    process.stderr.readline()
    wait("kubectl to start", lambda: api.requests)
    process.kill()
    process.communicate()
    (pid, _), = api.called()

    def is_over():
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        return False
    wait("kubectl to end", is_over)


# --- in a Pod ---

# what the kubelet mounts, in a mount namespace of our own
IN_A_POD = """
mount -t tmpfs tmpfs /run && mkdir -p /run/secrets/kubernetes.io && cp -r "$1" /run/secrets/kubernetes.io/serviceaccount
shift
exec "$@"
"""


@pytest.fixture
def in_a_pod(program, tmp_path):
    """Runs the command where a Pod's account is, against an API server of its own."""
    if os.geteuid() != 0 or subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode:
        pytest.skip("a Pod's account is mounted in a mount namespace, which needs root")
    account = tmp_path / "account"
    program("certs", "init", "--directory", account, "--dns-name", "localhost", "--ip-address", "127.0.0.1")
    (account / "token").write_text("a.b.c\n")
    api = FakeApi(tmp_path, account)
    (account / "tls.key").unlink()
    one = Rescue(program, tmp_path, api)

    def run(*args, status=0):
        return program("rescue", "--policies", one.down, *args, status=status, env={
            **one.env, "KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": str(api.server.server_port)},
            command=["unshare", "-m", "sh", "-ec", IN_A_POD, "sh", account, program.binary])
    run.api, run.account = api, account
    yield run
    api.close()


def test_in_a_pod_its_account_leads_there(in_a_pod):
    api = in_a_pod.api
    api.put(waits("web"))
    assert "1 restored" in in_a_pod("--yes").out
    assert {headers["Authorization"] for *_, headers, _ in api.requests} == {"Bearer a.b.c"}
    assert not any("Impersonate-User" in headers for *_, headers, _ in api.requests)
    assert not api.called(), "no kubectl"
    api.put(waits("web"))
    in_a_pod("--yes", "--as", "me")
    assert api.requests[-1][3]["Impersonate-User"] == "me"
    in_a_pod("--yes", "--context", "there", status=3)  # that is a kubectl's word
    assert api.called()


def test_in_a_pod_nobody_else_is_trusted(in_a_pod, program, tmp_path):
    other = tmp_path / "other"
    program("certs", "init", "--directory", other, "--dns-name", "localhost", "--ip-address", "127.0.0.1")
    (in_a_pod.account / "ca.crt").write_bytes((other / "ca.crt").read_bytes())
    assert "the API server cannot be asked" in in_a_pod("--yes", status=3).err
    assert not in_a_pod.api.requests


# --- usage ---


@pytest.mark.parametrize("args,said", [
    (["--watch", "-o", "json"], "--watch and --output json are both given"),
    (["--watch"], "expected --yes"),
    (["--admin-bind-address", "127.0.0.1:0"], "given without --watch"),
    (["--hung-after", "1"], "expected a duration"),
])
def test_usage(rescue, args, said):
    assert said in rescue(*args, status=2).err


# --- watching ---


def test_what_comes_to_wait_is_put_back_at_once(rescue, api):
    api.put(runs("well"))
    api.put(waits("early"))
    with rescue.watching() as watch:
        line = watch.until(lambda line: line["event"] == "rescue")
        assert (line["pod"], line["result"], line["reason"], line["original"]) == ("early", "restored", "harbor-down", "nginx:1")
        began = time.monotonic()
        api.put(waits("late"))
        assert watch.until(lambda line: line["event"] == "rescue")["pod"] == "late"
        assert time.monotonic() - began < 2
        assert image_of(api, "early") == image_of(api, "late") == "nginx:1"
    assert len(api.changes()) == 2


@pytest.mark.parametrize("how", ["gone", "closed", "refused", "no WatchList"])
def test_a_watch_that_ends_begins_again(rescue, api, how):
    api.initial_events = how != "no WatchList"
    with rescue.watching() as watch:
        wait("the watch", lambda: api.watches)
        api.put(waits("one"))
        assert watch.until(lambda line: line["event"] == "rescue")["pod"] == "one"
        if how == "gone":
            api.watches[0].put({"type": "ERROR", "object": status(410, "Expired", "too old")[1]})
        if how == "refused":
            failures = []

            def refuse(method, path, query, *_):
                if query.get("watch") and len(failures) < 2:
                    failures.append(path)
                    return status(500, "InternalError", "no")
            api.interfere.append(refuse)
        api.watches[0].put(None)
        wait("the old watch to end", lambda: not api.watches)
        api.put(waits("two"))  # while nobody watches
        if how in ("closed", "refused", "no WatchList"):  # it goes on from where it was: the real server sends what came since
            wait("the next watch", lambda: api.watches)
            api.tell("ADDED", api.pods["apps", "two"])
        assert watch.until(lambda line: line["event"] == "rescue")["pod"] == "two"
    watches = [query for _, _, query, *_ in api.requests if query.get("watch")]
    assert watches[0].get("sendInitialEvents") == "true" and "allowWatchBookmarks" in watches[0]
    assert (watches[-1].get("sendInitialEvents") == "true") == (how == "gone")


def test_a_pull_that_hangs_is_ended_when_its_time_comes(rescue, api):
    """Nothing happens to the Pod meanwhile of which the API server could tell."""
    api.put(pulls("web", 0, **owned_by("ReplicaSet")))
    with rescue.watching("--hung-after", "3s") as watch:
        began = time.monotonic()
        line = watch.until(lambda line: line["event"] == "rescue" and line["result"] == "deleted")
        assert (line["pod"], line["reason"]) == ("web", "harbor-down") and 1 < time.monotonic() - began < 13
    assert not api.pods


def test_what_is_left_is_said_once(rescue, api):
    api.put(waits("web", original=None, image=f"{HOST}/other/x"))
    with rescue.watching() as watch:
        line = watch.until(lambda line: line["event"] == "rescue")
        assert (line["result"], line["reason"], line["level"]) == ("left", "not-ours", "warning")
        for i in range(5):
            api.put(api.pods["apps", "web"])
        api.put(waits("other"))
        assert watch.until(lambda line: line["event"] == "rescue")["pod"] == "other"


def test_probes_and_metrics(rescue, api):
    import http.client

    with rescue.watching("--admin-bind-address", "127.0.0.1:0") as watch:
        host, _, port = watch.lines[-1]["adminBindAddress"].rpartition(":")

        def get(path):
            connection = http.client.HTTPConnection(host, int(port), timeout=PATIENCE)
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read().decode()
        wait("it to be ready", lambda: get("/readyz") == (200, "ok"))
        assert get("/livez") == (200, "ok") and get("/other")[0] == 404
        api.put(waits("web"))
        watch.until(lambda line: line["event"] == "rescue")
        text = wait("it to be counted", lambda: 'reason="harbor-down"} 1' in get("/metrics")[1] and get("/metrics")[1])
        assert 'harborpilot_rescued_containers_total{result="restored",reason="harbor-down"} 1' in text
        assert 'harborpilot_harbor_up{harbor="h"} 0' in text
        assert "harborpilot_rescue_watching 1" in text
