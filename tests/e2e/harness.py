"""What the end-to-end tests share: the cluster, its API, its registries' and audit logs, and waiting for things.

Nothing here knows what harbor-pilot does, except for where it rewrites to (rewritten()).
"""

import base64
import collections
import http.client
import http.server
import json
import os
import pathlib
import re
import shlex
import signal
import ssl
import subprocess
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
PROJECT = HERE.parent.parent
CANNOT_RUN_HERE = 75  # cluster.sh's exit status
PROJECTS = {"docker.io": "docker-hub-proxy", "ghcr.io": "ghcr-proxy", "quay.io": "quay-proxy"}  # policies/10-harbor.yaml
MODE_LABEL = "harbor-pilot.io/mode"
ORIGINAL_IMAGES = "harbor-pilot.io/original-images"
MANIFEST_TYPES = ("application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json")

Pull = collections.namedtuple("Pull", "method repository reference status")


class CannotRun(Exception):
    """There can be no cluster on this machine; the text says why."""


def wait(what, predicate, seconds=30, every=0.05, explain=None):
    """Calls predicate until it returns something true, and returns that."""
    deadline = time.monotonic() + seconds
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds} s for {what}" + (f"\n{explain()}" if explain else ""))
        time.sleep(every)


def is_building_wanted():
    """Nobody who types `make test` for the first time expects minutes of building and gigabytes."""
    return os.environ.get("E2E", "") not in ("", "0") or os.environ.get("CI") == "true" or "E2E_REQUIRED" in os.environ


def split_image(image):
    """(domain, path:tag) of an image as the tests write them; the C code's own reading is tested elsewhere."""
    first, slash, rest = image.partition("/")
    if not slash:
        return "docker.io", f"library/{image}"
    if first != "localhost" and not re.search(r"[.:]", first):
        return "docker.io", image
    if first == "docker.io" and "/" not in rest:
        return first, f"library/{rest}"
    return first, rest


class Cluster:
    """One Kubernetes with one node, from cluster.sh."""

    def __init__(self, say, admission_configuration):
        self.say = say
        self.admission_configuration = admission_configuration
        self.env = {}

    def script(self, *arguments, **environment):
        done = subprocess.run([HERE / "cluster.sh", *arguments], env={**os.environ, **environment},
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if done.returncode == CANNOT_RUN_HERE:
            raise CannotRun(done.stderr.strip().splitlines()[-1])
        assert done.returncode == 0, f"cluster.sh {arguments[0]}: exit status {done.returncode}\n{done.stderr}"
        return done.stdout

    def build(self):
        """What is missing; each line that cluster.sh says of it is shown as it comes."""
        with subprocess.Popen([HERE / "cluster.sh", "build"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as running:
            lines = []
            for line in running.stderr:
                lines.append(line.rstrip())
                self.say(lines[-1])
        if running.returncode == CANNOT_RUN_HERE:
            raise CannotRun(lines[-1])
        assert running.returncode == 0, "cluster.sh build: " + "\n".join(lines)

    def up(self):
        if os.geteuid() != 0:  # before minutes of building for nothing
            raise CannotRun("the end-to-end tests need root: a node's containers, mounts and network are made")
        for line in self.script("env").splitlines():
            name, _, value = line.partition("=")
            self.env[name] = value
        self.logs = pathlib.Path(self.env["LOGS"])
        self.harbor, self.upstream, self.private = (self.env[name] for name in ("HARBOR", "UPSTREAM", "PRIVATE"))
        missing = [name for name in ("kube-apiserver", "kubelet", "etcd", "containerd", "registry", "crane", "sleeper")
                   if not os.access(f"{self.env['BIN']}/{name}", os.X_OK)]
        if missing and not is_building_wanted():
            raise CannotRun("Kubernetes is not built here: `make e2e` builds it (once, about 15 minutes of two cores, 7 GB) and runs"
                            " these tests; E2E=1 with `make test` does both")
        self.build()
        self.audit_log = self.logs / "audit.log"
        self.script("up", "--node", APISERVER_FLAGS=" ".join([
            os.environ.get("APISERVER_FLAGS", ""),
            f"--admission-control-config-file={self.admission_configuration}",
            f"--audit-policy-file={HERE / 'audit-policy.yaml'}", f"--audit-log-path={self.audit_log}"]))
        self.kubectl_program = f"{self.env['BIN']}/kubectl"
        self.api = Api(self.env["KUBECONFIG"])

    def down(self):
        self.script("down")

    def kubectl(self, *arguments, input=None, check=True):
        """Runs kubectl; input (text, or an object) goes to its stdin. Returns the finished process."""
        if input is not None and not isinstance(input, str):
            input = json.dumps(input)
        done = subprocess.run([self.kubectl_program, *arguments], input=input, text=True, capture_output=True,
                              env={**os.environ, "KUBECONFIG": self.env["KUBECONFIG"]})
        if check:
            assert done.returncode == 0, f"kubectl {shlex.join(arguments)}: {done.stderr}{done.stdout}"
        return done

    def apply(self, namespace, *items, dry_run=False):
        """`kubectl apply`, as a person or a pipeline does it: the finished process. Its stderr is what they see of a refusal,
        and of warnings."""
        return self.kubectl("-n", namespace, "apply", *(["--dry-run=server"] if dry_run else []), "-f", "-", check=False, input={
            "apiVersion": "v1", "kind": "List", "items": items})

    def debug(self, namespace, pod_name, image, container, check=True):
        """`kubectl debug`: an ephemeral container."""
        return self.kubectl("-n", namespace, "debug", pod_name, f"--image={image}", "--container", container, "--profile=general",
                            check=check)

    # ---- images and what the registries saw ----

    def rewritten(self, image):
        """Where the mission's policy moves it."""
        domain, path = split_image(image)
        return f"{self.harbor}/{PROJECTS[domain]}/{path}"

    def push(self, *images):
        """Makes images that the node can pull as they are written, and from the registry in Harbor's place."""
        self.script("image", *(ref for image in images
                               for ref in (f"{self.upstream}/{split_image(image)[1]}", self.rewritten(image))))

    def tag(self, image, *tags):
        """Gives an image that was pushed further tags, in both registries."""
        for reference in (f"{self.upstream}/{split_image(image)[1]}", self.rewritten(image)):
            host, _, path = reference.partition("/")
            repository, _, first = path.rpartition(":")
            connection = http.client.HTTPConnection(host, timeout=30)
            connection.request("GET", f"/v2/{repository}/manifests/{first}", headers={"Accept": ", ".join(MANIFEST_TYPES)})
            response = connection.getresponse()
            manifest, content_type = response.read(), response.headers["Content-Type"]
            for name in tags:
                connection.request("PUT", f"/v2/{repository}/manifests/{name}", manifest, {"Content-Type": content_type})
                response = connection.getresponse()
                assert response.status == 201, f"{repository}:{name}: {response.status} {response.read()}"
                response.read()
            connection.close()

    def log_positions(self):
        return {name: (self.logs / f"{name}.log").stat().st_size for name in ("harbor", "upstream", "private")}

    def pulls(self, registry, since):
        """What the node asked that registry for, by its own access log, after log_positions()."""
        with open(self.logs / f"{registry}.log", encoding="utf-8", errors="replace") as log:
            log.seek(since[registry])
            found = re.findall(r'"(GET|HEAD) /v2/(\S+?)/manifests/([^ ?"]+)\S* HTTP/[\d.]+" (\d+) .*"containerd/', log.read())
        return [Pull(method, repository, reference, int(status)) for method, repository, reference, status in found]

    def pulled(self, registry, since):
        """The set of repository:tag that were asked for; those by digest (the second request of a pull) are left out."""
        return {f"{pull.repository}:{pull.reference}" for pull in self.pulls(registry, since)
                if not pull.reference.startswith("sha256:")}

    # ---- objects ----

    def namespace(self, name, mode=None, **labels):
        if mode:
            labels[MODE_LABEL] = mode
        self.api.create("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace",
                                               "metadata": {"name": name, "labels": labels}})
        # until its service account is there, Pods are refused
        wait(f"namespace {name}'s service account",
             lambda: self.api.get(f"/api/v1/namespaces/{name}/serviceaccounts/default", missing_ok=True))
        return name

    def set_mode(self, namespace, mode):
        self.api.request("PATCH", f"/api/v1/namespaces/{namespace}", {"metadata": {"labels": {MODE_LABEL: mode}}},
                         content_type="application/merge-patch+json")

    def create(self, namespace, *objects):
        """Creates objects, and returns them as the API server answered: before any controller saw them."""
        made = [self.api.create(path_of(namespace, item), item) for item in objects]
        return made[0] if len(made) == 1 else made

    def pods(self, namespace, **labels):
        selector = ",".join(f"{key}={value}" for key, value in labels.items())
        query = f"?labelSelector={selector}" if selector else ""
        return self.api.get(f"/api/v1/namespaces/{namespace}/pods{query}")["items"]

    def live_pods(self, namespace, **labels):
        return [pod for pod in self.pods(namespace, **labels) if "deletionTimestamp" not in pod["metadata"]]

    def running(self, namespace, count=1, seconds=30, **labels):
        """Waits until count Pods, all that there are, have all their containers running; returns them."""
        def ready():
            pods = self.live_pods(namespace, **labels)
            good = [pod for pod in pods if pod["status"].get("phase") == "Running" and any(
                condition["type"] == "Ready" and condition["status"] == "True"
                for condition in pod["status"].get("conditions", []))]
            return pods if len(pods) == len(good) == count else None
        return wait(f"{count} running Pods {labels or ''} in {namespace}", ready, seconds,
                    explain=lambda: self.explain(namespace))

    def explain(self, namespace):
        """For a person who reads a failure: what the cluster says about that namespace."""
        return "".join(self.kubectl(*arguments, "-n", namespace, check=False).stdout for arguments in (
            ["get", "pods", "-o", "wide"], ["get", "events", "--sort-by=.lastTimestamp"]))

    def audit_events(self, namespace, name=None, verb="create", resource="pods"):
        """The API server's record of finished requests for that namespace's objects, oldest first; also of refused ones,
        whose responseStatus says so."""
        events = []
        with open(self.audit_log, encoding="utf-8") as log:
            for line in log:
                if f'"namespace":"{namespace}"' not in line or not line.endswith("\n"):
                    continue
                event = json.loads(line)
                about = event["objectRef"]
                found = event.get("responseObject", {}).get("metadata", {}).get("name") or about.get("name")
                if (about.get("namespace") == namespace and about["resource"] == resource and event["verb"] == verb
                        and event["stage"] == "ResponseComplete" and name in (None, found)):
                    events.append(event)
        return events

    def failed_open(self, namespace):
        """The names of the Pods for which the API server says that it gave up on the webhook."""
        return {event["responseObject"]["metadata"]["name"] for event in self.audit_events(namespace)
                if any(key.startswith("failed-open.mutation.webhook.admission.k8s.io/") for key in event.get("annotations", {}))}

    # ---- harbor-pilot's own Pods ----

    def harbor_pilot_pods(self):
        return self.live_pods("harbor-pilot", **{"app.kubernetes.io/name": "harbor-pilot"})

    def processes(self, pod):
        """The pids, on this machine, of the processes in a Pod's first container, found by its control group."""
        container = pod["status"]["containerStatuses"][0].get("containerID", "").rpartition("/")[2]
        pids = []
        for entry in os.listdir("/proc") if container else []:
            try:
                if entry.isdigit() and container in pathlib.Path(f"/proc/{entry}/cgroup").read_text():
                    pids.append(int(entry))
            except OSError:
                pass  # it has ended meanwhile
        return pids

    def kill(self, pod, number=signal.SIGKILL):
        pids = self.processes(pod)
        assert pids, f"no process of {pod['metadata']['name']} found"
        for pid in pids:
            os.kill(pid, number)

    def admin(self, pod, path):
        """(status, text) from a Pod's admin port."""
        connection = http.client.HTTPConnection(pod["status"]["podIP"], 8080, timeout=5)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    def metric(self, pod, name, *default):
        """One value; name is the series with its labels, as it is written there. Without a default it has to be there."""
        found = re.search(rf"^{re.escape(name)} (\S+)$", self.admin(pod, "/metrics")[1], re.MULTILINE)
        if not found and default:
            return default[0]
        assert found, f"{name} is not among the metrics of {pod['metadata']['name']}"
        return float(found.group(1))

    def total(self, name, **labels):
        """The sum over all of harbor-pilot's Pods and over all series of that name with these labels."""
        total = 0
        for pod in self.harbor_pilot_pods():
            for found, value in re.findall(rf"^{name}{{(.*)}} (\S+)$", self.admin(pod, "/metrics")[1], re.MULTILINE):
                if labels.items() <= dict(re.findall(r'(\w+)="([^"]*)"', found)).items():
                    total += float(value)
        return total

    def replace_harbor_pilot(self):
        """Other Pods serve, which know nothing yet, and the old ones have ended: at once, where a rollout would let them drain
        for as long as the API server keeps its idle connections."""
        old = self.harbor_pilot_pods()
        for item in old:
            self.api.delete(f"/api/v1/namespaces/harbor-pilot/pods/{item['metadata']['name']}", gracePeriodSeconds=0)
        wait("the old Pods' programs to end", lambda: not any(self.processes(item) for item in old), 60)
        self.running("harbor-pilot", len(old), 60, **{"app.kubernetes.io/name": "harbor-pilot"})

    def load_policies(self, directory, told=True):
        """What harbor-pilot's Pods, which go on running, read; returns when all of them have taken it up. Where they are not
        told of it (SIGHUP), they find it themselves, within ten seconds."""
        pods = self.harbor_pilot_pods()
        wanted = {path.name: path.read_bytes() for path in pathlib.Path(directory).iterdir()}

        def has_come(item):
            (process,) = self.processes(item)
            mounted = pathlib.Path(f"/proc/{process}/root/etc/harbor-pilot/policies")
            return {path.name: path.read_bytes() for path in mounted.iterdir() if not path.name.startswith("..")} == wanted
        before = {item["metadata"]["name"]: self.metric(item, "harborpilot_policy_generation") for item in pods}
        self.kubectl("apply", "--server-side", "--force-conflicts", "--field-manager=harbor-pilot-install", "-f", "-",
                     input=self.kubectl("-n", "harbor-pilot", "create", "configmap", "harbor-pilot-policies", "--dry-run=client",
                                        "-o", "yaml", f"--from-file={directory}").stdout)
        for item in pods:
            wait("the new policies to be in its Pod", lambda: has_come(item), 60)
            if told:
                self.kill(item, signal.SIGHUP)
        wait("all Pods to take up the new policies", lambda: all(
            self.metric(item, "harborpilot_policy_generation") > before[item["metadata"]["name"]] for item in pods), 60)

    def harbor_pilot_events(self, pod, event):
        """The lines of that kind in a Pod's log, as objects."""
        lines = self.kubectl("-n", "harbor-pilot", "logs", pod["metadata"]["name"]).stdout.splitlines()
        return [line for line in map(json.loads, lines) if line["event"] == event]


class Api:
    """The API server over kept connections, one for each thread: kubectl would take longer to start than to ask."""

    def __init__(self, kubeconfig):
        text = pathlib.Path(kubeconfig).read_text()
        self.host, self.port = re.search(r"https://([\d.]+):(\d+)", text).groups()
        self.token = re.search(r"token: (\w+)", text).group(1)
        self.context = ssl.create_default_context(cafile=re.search(r'certificate-authority: "([^"]+)"', text).group(1))
        self.local = threading.local()

    def request(self, method, path, body=None, content_type="application/json", ok=(200, 201, 202)):
        """The decoded answer; for a status that is not in ok, an AssertionError with the server's message."""
        status, answer = self.ask(method, path, body, content_type)
        assert status in ok, f"{method} {path}: {status} {answer.get('message', answer)}"
        return answer

    def ask(self, method, path, body=None, content_type="application/json"):
        """(status, decoded answer)."""
        connection = getattr(self.local, "connection", None)
        if not connection:
            connection = self.local.connection = http.client.HTTPSConnection(
                self.host, int(self.port), timeout=40, context=self.context)
        try:
            connection.request(method, path, None if body is None else json.dumps(body), {
                "Authorization": f"Bearer {self.token}", "Content-Type": content_type, "Accept": "application/json"})
            response = connection.getresponse()
            return response.status, json.loads(response.read())
        except BaseException:  # also when the run is interrupted: a connection in mid-request is of no further use
            connection.close()
            self.local.connection = None
            raise

    def get(self, path, missing_ok=False):
        answer = self.request("GET", path, ok=(200, 404) if missing_ok else (200,))
        return None if answer.get("kind") == "Status" else answer

    def create(self, path, body):
        return self.request("POST", path, body)

    def delete(self, path, **options):
        return self.request("DELETE", path, options or None)


def path_of(namespace, item):
    group = item["apiVersion"]
    return f"/{'apis' if '/' in group else 'api'}/{group}/namespaces/{namespace}/{item['kind'].lower()}s"


# ---- manifests ----

def pod_spec(*images, **fields):
    """A Pod's spec with a container for each image: app, app-1, app-2 ..."""
    containers = [{"name": "app" if not index else f"app-{index}", "image": image} for index, image in enumerate(images)]
    return {"containers": containers, "terminationGracePeriodSeconds": 1, "automountServiceAccountToken": False, **fields}


def controlled_by(owner):
    """A Pod's ownerReferences, as a controller of that object would write them; anybody else can as well."""
    return [{"apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": owner["metadata"]["name"],
             "uid": owner["metadata"]["uid"], "controller": True, "blockOwnerDeletion": True}]


def once(name, image, **fields):
    """A container that ends at once, with success."""
    return {"name": name, "image": image, "args": ["once"], **fields}


def pod(name, spec, annotations=None, **metadata):
    metadata["generateName" if name.endswith("-") else "name"] = name
    if annotations is not None:
        metadata["annotations"] = annotations
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"labels": {"app": name.rstrip("-")}, **metadata}, "spec": spec}


def workload(kind, name, spec, **fields):
    """A Deployment, ReplicaSet, StatefulSet or DaemonSet of that Pod spec."""
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name},
            "spec": {"selector": {"matchLabels": {"app": name}},
                     "template": {"metadata": {"labels": {"app": name}}, "spec": spec}, **fields}}


def batch(kind, name, spec):
    """A Job, or a CronJob that does not run while anybody looks."""
    job = {"template": {"spec": {**spec, "restartPolicy": "Never"}}}
    if kind == "CronJob":
        job = {"schedule": "0 0 29 2 *", "jobTemplate": {"spec": job}}
    return {"apiVersion": "batch/v1", "kind": kind, "metadata": {"name": name}, "spec": job}


def replication_controller(name, spec):
    return {"apiVersion": "v1", "kind": "ReplicationController", "metadata": {"name": name}, "spec": {
        "selector": {"app": name}, "template": {"metadata": {"labels": {"app": name}}, "spec": spec}}}


def nobody_schedules(spec):
    """The same Pod, stored but never bound to a node: for what is decided at creation alone."""
    return {**spec, "schedulerName": "nobody"}


def images(pod):
    """Container name -> image; an image volume's is under volume/NAME."""
    spec = pod["spec"]
    found = {container["name"]: container["image"] for field in ("containers", "initContainers", "ephemeralContainers")
             for container in spec.get(field, [])}
    found.update({f"volume/{volume['name']}": volume["image"]["reference"]
                  for volume in spec.get("volumes", []) if "image" in volume})
    return found


def originals(pod):
    """What the Pod's annotation says its images were; None without one."""
    text = pod["metadata"].get("annotations", {}).get(ORIGINAL_IMAGES)
    return None if text is None else json.loads(text)


class Creator(threading.Thread):
    """Creates one object after the other, until told to stop or until make() returns None. Each is an entry (began, ended,
    status, answer)."""

    def __init__(self, cluster, namespace, make, pause=0.0):
        super().__init__(daemon=True)
        self.cluster, self.namespace, self.make, self.pause = cluster, namespace, make, pause
        self.made, self.over = [], threading.Event()

    def run(self):
        while not self.over.is_set() and (item := self.make()):
            began = time.monotonic()
            try:
                status, answer = self.cluster.api.ask("POST", path_of(self.namespace, item), item)
            except Exception as error:  # a request that got no answer is a failure of the test's promise, too
                status, answer = 0, {"message": repr(error)}
            self.made.append((began, time.monotonic(), status, answer))
            self.over.wait(self.pause)

    def stop(self):
        self.over.set()
        self.join()
        failed = [(status, answer.get("message")) for _, _, status, answer in self.made if status != 201]
        assert not failed, f"{len(failed)} of {len(self.made)} creates failed: {failed[:3]}"
        return self.made


class Webhook:
    """A mutating webhook of the tests' own, on loopback: answer(request) returns the list of JSON Patch operations.
    bodies keeps what it was sent."""

    def __init__(self, answer, certificates):
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                request = json.loads(body)["request"]
                outer.bodies.append(body)
                patch = answer(request)
                response = {"uid": request["uid"], "allowed": True}
                if patch:
                    response.update(patchType="JSONPatch", patch=base64.b64encode(json.dumps(patch).encode()).decode())
                text = json.dumps({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
                                   "response": response}).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_):
                pass

        self.bodies = []
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificates / "tls.crt", certificates / "tls.key")
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.ca = base64.b64encode((certificates / "ca.crt").read_bytes()).decode()
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def configuration(self, name, selector):
        return {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration",
                "metadata": {"name": name},
                "webhooks": [{"name": f"{name}.example.com", "failurePolicy": "Fail", "sideEffects": "None",
                              "admissionReviewVersions": ["v1"], "namespaceSelector": selector,
                              "clientConfig": {"url": f"https://127.0.0.1:{self.server.server_port}/", "caBundle": self.ca},
                              "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods", "pods/ephemeralcontainers"],
                                         "operations": ["CREATE", "UPDATE"], "scope": "Namespaced"}]}]}

    def close(self):
        self.server.shutdown()
        self.server.server_close()
