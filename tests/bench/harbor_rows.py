"""The rows of the benchmark with facts from a Harbor, each with what is wanted of it. The Harbor is
a stand-in that has every artifact and takes as long to answer as it is told (harbor.c)."""
import json
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import urllib.request

from common import (HARBOR, REVIEW, ROOT, WORK, BenchError, Server, ask,
                    free_port, new_row, run_load, say, start_pilot)

sys.path.append(str(ROOT / "tests/e2e"))
from harness import Api, wait  # noqa: E402

RECORDINGS = {"health": 1002, "systeminfo": 4029, "project": 4023, "artifact": 6004}
NEVER, SERVABLE = "never", "servable"
CACHED_MOST = 1.15          # × a review that needs no fact
CACHED_TURNS = 5            # for each of --rounds
COUNTED = 500               # reviews under callgrind
RATE, WAIT_MS, ADDED_MOST = 500, 5, 1.0   # reviews/s, what Harbor takes, ms beyond it
ARTIFACTS, IN_A_REVIEW, MEMORY_MOST = 100_000, 4000, 40  # MiB
PODS, IMAGES, SLOW_MS, CREATES_LEAST = 1000, 50, 20, 0.9
CREATING = 16               # connections: the API server shall never be idle
TURNS = 3                   # at least; by turns, so that what disturbs disturbs both
CLUSTER = ROOT / "tests/e2e/cluster.sh"
CLUSTER_PROGRAMS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl")
# both readings of "1,000 Pods of 50 images": containers in a Pod, turns for each of --rounds
CREATES = {f"{PODS:,} Pods that share {IMAGES} images": (1, 2),
           f"{PODS:,} Pods of {IMAGES} containers each": (IMAGES, 1)}


class CannotRun(Exception):
    """There can be no such row on this machine, now; the text says why."""


# --- what is needed ---

def start_harbor(delay_ms):
    """The stand-in."""
    folder = WORK / "harbor-bodies"
    folder.mkdir(exist_ok=True)
    for name, number in RECORDINGS.items():
        (path,) = (ROOT / "tests/data/harbor").glob(f"{number}-*.http")
        answer = path.read_bytes().split(b"\n=== RESPONSE ===\n", 1)[1]
        (folder / name).write_bytes(answer.partition(b"\r\n\r\n")[2])
    server = Server(f"a Harbor that takes {delay_ms} ms", None, [
        WORK / "harbor", WORK / "certs/tls.crt", WORK / "certs/tls.key", folder, str(delay_ms)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    server.port = int(server.process.stdout.readline())
    return server


def write_policies(harbor, require):
    """Those of policies/estate, with that Harbor's API, an account, and what they require of Harbor."""
    folder = WORK / f"policies-{harbor.port}-{require}"
    account = WORK / "harbor-account"
    for path in (folder, account):
        path.mkdir(exist_ok=True)
    (account / "username").write_text("robot$admission")
    (account / "password").write_text("not looked at")
    api = (f'  api: {{url: "https://localhost:{harbor.port}", caFile: "{WORK / "certs/ca.crt"}", '
           f'credentialsDirectory: "{account}"}}\n')
    changes = 0
    for path in sorted((ROOT / "policies/estate").glob("*.yaml")):
        text, apis = re.subn(r"(?m)^  host: .*\n", lambda m: m[0] + api, path.read_text())
        text, requires = re.subn(r"(?m)^  namespaces: ", f"  requireInHarbor: {require}\n\\g<0>", text)
        (folder / path.name).write_text(text)
        changes += apis + requires
    if changes < 2:
        raise BenchError("policies/estate holds no Harbor and Policy in the shape that is looked for")
    return folder


class Stage:
    """Servers of one row; they end with it."""

    def __init__(self):
        self.servers = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for server in reversed(self.servers):
            server.end()

    def harbor(self, delay_ms):
        self.servers.append(start_harbor(delay_ms))
        return self.servers[-1]

    def pilot(self, name, harbor, require, port=0, wrapper=()):
        """Started, and it knows that its Harbor is up: before, every image is kept."""
        self.servers.append(start_pilot(name, "/mutate/enforce", write_policies(harbor, require),
                                        port, wrapper))
        pilot = self.servers[-1]
        wait("Harbor to be known as up", lambda: metric(pilot, "harborpilot_harbor_up") == 1)
        return pilot

    def end(self, server):
        self.servers.remove(server)
        server.end()

    def kill(self, server):
        """At once: on SIGTERM it would wait until its clients have let go."""
        server.process.kill()
        self.end(server)


def run_client(name, port, request, expected, *, connections, count, rate=0, first=0):
    """How long answers took, in ms, and how many were not as expected."""
    done = subprocess.run([WORK / "client", str(port), request, expected, str(connections),
                           str(rate), str(count), str(first)], capture_output=True, text=True,
                          check=False)
    if done.returncode:
        raise BenchError(f"{name}: {done.stderr.strip()}")
    figures = json.loads(done.stdout)
    if figures["wrong"]:
        say(f"{name}: {figures['wrong']} wrong: {done.stderr.strip()[:300]}")
    return {key: value / 1000 if key.startswith("p") else value for key, value in figures.items()}


def write_request(name, path, body, method="POST", **headers):
    """A whole request in a file, for the client."""
    headers = {"Host": "localhost", "Content-Type": "application/json",
               "Accept": "application/json", "Content-Length": len(body), **headers}
    head = f"{method} {path} HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in headers.items())
    file = WORK / f"request-{name}"
    file.write_bytes(head.encode() + b"\r\n" + body)
    return file


def metric(server, name):
    with urllib.request.urlopen(f"http://127.0.0.1:{server.admin_port}/metrics", timeout=10) as r:
        return sum(float(value) for value in
                   re.findall(rf"(?m)^{name}(?:\{{[^}}]*\}})? (\S+)$", r.read().decode()))


def row(name, figure, bar, met, details, runs, wrong=0):
    return {"name": name, "figure": figure, "bar": bar, "met": met, "details": details,
            "runs": runs, "wrong": wrong}


# --- a review whose facts are cached ---

def instructions(stage, harbor, require):
    """Of the program's own part of a review, without TLS, by callgrind."""
    out = WORK / "callgrind.out"
    server = stage.pilot(require, harbor, require, wrapper=[
        "valgrind", "--quiet", "--tool=callgrind", "--toggle-collect=handle",
        f"--callgrind-out-file={out}"])
    wait("the facts under callgrind", lambda: b'"patch"' in ask(server, REVIEW.read_bytes()))
    request = write_request("plain", "/mutate/enforce?timeout=2s", REVIEW.read_bytes())
    run_client("callgrind", server.port, request, '"patch":"', connections=1, count=COUNTED)
    stage.end(server)
    return int(re.search(r"(?m)^(?:summary|totals): (\d+)", out.read_text())[1]) / (COUNTED + 1)


def measure_cached(arguments):
    with Stage() as stage:
        harbor = stage.harbor(0)
        none, cached = (new_row(require, stage.pilot(require, harbor, require), REVIEW)
                        for require in (NEVER, SERVABLE))
        for number in range(CACHED_TURNS * arguments.rounds):
            say(f"facts that are cached, turn {number + 1}")
            for one in (none, cached) if number % 2 else (cached, none):
                run_load(one, 1)
        hits = metric(cached["server"], "harborpilot_fact_hits_total")
        counts = []
        if shutil.which("valgrind"):
            say("facts that are cached: instructions")
            counts = [instructions(stage, harbor, require) for require in (SERVABLE, NEVER)]
    answers = sum(run["answers"] for run in cached["runs"])
    if hits < answers:
        raise BenchError(f"{answers:,} reviews, and only {hits:,.0f} facts were looked up")
    ratio = statistics.median(b["cpu_us"] / a["cpu_us"]
                              for a, b in zip(none["runs"], cached["runs"]))
    micros = [statistics.median(run["cpu_us"] for run in one["runs"]) for one in (cached, none)]
    details = [f"{micros[0]:.1f} µs and {micros[1]:.1f} µs; {len(none['runs'])} turns of 1 s each"]
    details.append("instructions are skipped: there is no valgrind" if not counts else
                   f"instructions without TLS: {counts[0]:,.0f} and {counts[1]:,.0f}, "
                   f"{counts[0] / counts[1]:.3f} ×")
    return [row("CPU of a review whose facts are cached", f"{ratio:.3f} × one that needs none",
                f"≤ {CACHED_MOST}", ratio <= CACHED_MOST, details,
                {NEVER: none["runs"], SERVABLE: cached["runs"], "instructions": counts},
                sum(run["wrong"] for one in (none, cached) for run in one["runs"]))]


# --- a review that waits ---

def measure_waiting(arguments):
    count = RATE * arguments.seconds
    body = REVIEW.read_bytes()
    image = b'"grafana/grafana:11.1.0"'
    if body.count(image) != 1:
        raise BenchError(f"{REVIEW} does not have the image {image.decode()} once")
    path = "/mutate/enforce?timeout=2s"
    review = write_request("waits", path, body.replace(image, b'"grafana/grafana:########"'))
    artifact = write_request(
        "artifact", "/api/v2.0/projects/docker-hub-proxy/repositories/grafana%252Fgrafana/artifacts/"
        "########", b"", "GET")
    moved = f"{HARBOR}/docker-hub-proxy/grafana/grafana:"
    with Stage() as stage:
        harbor = stage.harbor(WAIT_MS)
        waits, none = (stage.pilot(require, harbor, require) for require in (SERVABLE, NEVER))
        ask(waits, body)  # the Pod's other image is known from now on
        kinds = {"needs none": (none.port, review, moved),
                 "Harbor itself": (harbor.port, artifact, "digest"),
                 "waits": (waits.port, review, moved)}
        runs = {kind: [] for kind in kinds}
        for number in range(max(TURNS, arguments.rounds)):
            for kind, how in kinds.items():
                say(f"waiting, run {number + 1}: {kind}")
                runs[kind].append(run_client(kind, *how, connections=32, rate=RATE, count=count,
                                             first=10000000 + number * count))
        asked = metric(waits, "harborpilot_reviews_waited_total")
    wrong = sum(run["wrong"] for kind in runs for run in runs[kind])
    if asked < count * len(runs["waits"]):
        raise BenchError(f"only {asked:,.0f} reviews waited")
    p50, p95 = ({kind: statistics.median(run[p] for run in runs[kind]) for kind in runs}
                for p in ("p50", "p95"))
    added, added_95 = (p["waits"] - WAIT_MS - p["needs none"] for p in (p50, p95))
    return [row(f"added to Harbor's own time by waiting, {RATE} reviews/s",
                f"{added:.2f} ms (p95 {added_95:.2f} ms)", f"≤ {ADDED_MOST:.0f} ms", added <= ADDED_MOST,
                [f"{kind}: {p50[kind]:.2f} ms (p95 {p95[kind]:.2f} ms)" for kind in runs] +
                [f"Harbor takes {WAIT_MS} ms; added is what a review takes beyond that and beyond one "
                 "that needs none"], runs, wrong)]


# --- memory ---

def memory_of(server):
    text = pathlib.Path(f"/proc/{server.process.pid}/status").read_text()
    return {name: int(re.search(rf"{name}:\s+(\d+) kB", text)[1]) / 1024 for name in ("VmRSS", "VmHWM")}


def big_review():
    """A Pod of very many images, which all are new with each request."""
    review = json.loads(REVIEW.read_bytes())
    spec = review["request"]["object"]["spec"]
    spec.pop("initContainers", None)
    spec["containers"] = [{"name": f"c-{i}", "image": f"team/application-{i:04}:1.0.########"}
                          for i in range(IN_A_REVIEW)]
    return json.dumps(review, separators=(",", ":")).encode()


def measure_memory(_):
    with Stage() as stage:
        pilot = stage.pilot("memory", stage.harbor(0), SERVABLE)
        before = memory_of(pilot)
        say(f"memory with {ARTIFACTS:,} cached artifacts")
        took = run_client("memory", pilot.port,
                          write_request("big", "/mutate/enforce?timeout=30s", big_review()),
                          '"allowed":true', connections=1, count=ARTIFACTS // IN_A_REVIEW)
        after = memory_of(pilot)
        known = metric(pilot, "harborpilot_facts_cached")
    if known != ARTIFACTS:
        raise BenchError(f"{known:,.0f} artifacts are cached, expected {ARTIFACTS:,}")
    resident = after["VmRSS"]
    return [row(f"resident with {ARTIFACTS:,} cached artifacts", f"{resident:.1f} MiB",
                f"≤ {MEMORY_MOST} MiB", resident <= MEMORY_MOST,
                [f"at the start {before['VmRSS']:.1f} MiB, at most {after['VmHWM']:.1f} MiB on the way: "
                 f"{ARTIFACTS // IN_A_REVIEW} reviews of {IN_A_REVIEW:,} images in {took['seconds']:.1f} s"],
                [{"before": before, "after": after, **took}], took["wrong"])]


# --- creates through a real API server ---

class Cluster:
    """A control plane without a node (tests/e2e/cluster.sh); skipped where it is not built already."""

    def __enter__(self):
        done = subprocess.run([CLUSTER, "env"], capture_output=True, text=True, check=True)
        env = dict(line.split("=", 1) for line in done.stdout.splitlines())
        for program in CLUSTER_PROGRAMS:
            if not os.access(f"{env['BIN']}/{program}", os.X_OK):
                raise CannotRun(f"{program} is not built, `tests/e2e/cluster.sh build` does it")
        done = subprocess.run([CLUSTER, "up"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                              text=True, check=False)
        if done.returncode:
            raise CannotRun((done.stderr.strip().splitlines() or ["there is no cluster"])[0])
        self.api = Api(env["KUBECONFIG"])
        return self

    def __exit__(self, *_):
        subprocess.run([CLUSTER, "down"], check=False)

    def register(self, ports):
        """A namespace and a webhook for each variant; the settings are those of deploy/."""
        authority = subprocess.run(["base64", "-w0", WORK / "certs/ca.crt"], capture_output=True,
                                   text=True, check=True).stdout
        webhooks = []
        for namespace, port in ports.items():
            self.api.create("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace",
                                                   "metadata": {"name": namespace}})
            webhooks.append({
                "name": f"{namespace}.harbor-pilot.io", "failurePolicy": "Ignore", "timeoutSeconds": 2,
                "sideEffects": "NoneOnDryRun", "admissionReviewVersions": ["v1"],
                "matchPolicy": "Equivalent", "reinvocationPolicy": "IfNeeded",
                "clientConfig": {"url": f"https://127.0.0.1:{port}/mutate/enforce", "caBundle": authority},
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
                "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"],
                           "operations": ["CREATE"], "scope": "Namespaced"}]})
        self.api.create("/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations", {
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration",
            "metadata": {"name": "bench"}, "webhooks": webhooks})
        for namespace in ports:
            wait(f"namespace {namespace}'s service account", lambda name=namespace: self.api.get(
                f"/api/v1/namespaces/{name}/serviceaccounts/default", missing_ok=True))

    def empty(self, namespace):
        path = f"/api/v1/namespaces/{namespace}/pods"
        self.api.delete(path + "?gracePeriodSeconds=0")
        wait("all Pods to be gone", lambda: not self.api.get(path + "?limit=1")["items"], 60)


def pod_request(cluster, namespace, containers):
    images = ["app-@@"] if containers == 1 else [f"app-{i:02}" for i in range(containers)]
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "pod-########"},
           "spec": {"schedulerName": "nobody", "automountServiceAccountToken": False,
                    "containers": [{"name": image.replace("@@", "x"), "image": f"team/{image}:1.0"}
                                   for image in images]}}
    return write_request(f"pod-{namespace}-{containers}", f"/api/v1/namespaces/{namespace}/pods",
                         json.dumps(pod).encode(), Authorization=f"Bearer {cluster.api.token}")


def create_pods(stage, cluster, harbor, require, port, namespace, containers, number):
    """From a cold start: the program is ready, and knows nothing of any artifact."""
    pilot = stage.pilot(require, harbor, require, port)
    request = pod_request(cluster, namespace, containers)
    run = run_client(require, cluster.api.port, request,
                     f'"image":"{HARBOR}/docker-hub-proxy/team/app-', connections=CREATING,
                     count=PODS, first=number * PODS)
    run["creates_per_second"] = PODS / run["seconds"]
    run["cpu_seconds"] = sum(pilot.cpu_seconds())
    run["waited"] = metric(pilot, "harborpilot_reviews_waited_total")
    stage.kill(pilot)
    cluster.empty(namespace)
    return run


def creates_row(name, runs):
    never, servable = ([run["creates_per_second"] for run in runs[r]] for r in (NEVER, SERVABLE))
    ratio = statistics.median(b / a for a, b in zip(never, servable))  # turn by turn
    waited = statistics.median(run["waited"] for run in runs[SERVABLE])
    cpu = [statistics.median(run["cpu_seconds"] for run in runs[r]) for r in (SERVABLE, NEVER)]
    return row(f"creates/s of {name}", f"{ratio:.3f} × without facts", f"≥ {CREATES_LEAST}",
               ratio >= CREATES_LEAST,
               [f"{statistics.median(servable):.0f}/s and {statistics.median(never):.0f}/s; "
                f"the fastest {max(servable):.0f}/s and {max(never):.0f}/s; {len(never)} turns",
                f"a Harbor that takes {SLOW_MS} ms, nothing cached at the start: {waited:.0f} reviews "
                f"waited; the program's own CPU {cpu[0]:.2f} s and {cpu[1]:.2f} s"],
               runs, sum(run["wrong"] for r in runs for run in runs[r]))


def measure_creates(arguments):
    rows = []
    # the namespaces are two that policies/estate names
    namespaces = {NEVER: "monitoring", SERVABLE: "loki"}
    ports = {require: free_port() for require in namespaces}
    with Cluster() as cluster, Stage() as stage:
        cluster.register({namespaces[require]: ports[require] for require in namespaces})
        harbor = stage.harbor(SLOW_MS)
        for name, (containers, turns) in CREATES.items():
            runs = {require: [] for require in namespaces}
            for number in range(1 + turns * max(TURNS, arguments.rounds)):
                for require in (NEVER, SERVABLE) if number % 2 else (SERVABLE, NEVER):
                    say(f"{name}, turn {number}{' (not counted)' if number == 0 else ''}: {require}")
                    run = create_pods(stage, cluster, harbor, require, ports[require],
                                      namespaces[require], containers, number)
                    if number:
                        runs[require].append(run)
            rows.append(creates_row(name, runs))
    return rows


# --- all of them ---

MEASURES = {"facts that are cached": measure_cached, "waiting for Harbor": measure_waiting,
            "memory of facts": measure_memory, "creates through an API server": measure_creates}


def measure(arguments, skipped):
    """The rows; what cannot run here goes to `skipped`."""
    rows = []
    for name, function in MEASURES.items():
        if arguments.only not in (None, name):
            continue
        try:
            rows += function(arguments)
        except CannotRun as reason:
            skipped[name] = str(reason)
    return rows


def print_rows(rows):
    if not rows:
        return
    print("\nwith facts from a stand-in for Harbor")
    for one in rows:
        print(f"{one['name']:56}{one['figure']:>32}{one['bar']:>10}  "
              f"{'met' if one['met'] else 'MISSED'}{', WRONG ANSWERS' if one['wrong'] else ''}")
        for detail in one["details"]:
            print(f"    {detail}")
