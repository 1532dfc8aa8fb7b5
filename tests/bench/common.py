"""What the rows of the benchmark share: servers, what a right answer is, and load."""
import base64
import http.client
import json
import os
import pathlib
import re
import signal
import socket
import ssl
import subprocess
import sys

import json_patch

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
BUILD = ROOT / os.environ.get("BUILD", "build")
BINARY = pathlib.Path(os.environ.get("HARBOR_PILOT") or BUILD / "harbor-pilot")
WORK = BUILD / "bench"
REVIEW = ROOT / "tests/data/admission-reviews/create-pod-8k.json"
HARBOR = "registry.test-cluster.agentydragon.com"
ORIGINALS = "harbor-pilot.io/original-images"
IMAGES = {  # what the policies of policies/estate make of that Pod; the rest stays as it is
    "grafana/grafana:11.1.0": f"{HARBOR}/docker-hub-proxy/grafana/grafana:11.1.0",
    "quay.io/kiwigrid/k8s-sidecar:1.27.4": f"{HARBOR}/quay-proxy/kiwigrid/k8s-sidecar:1.27.4",
}
CONNECTIONS, THREADS = 4, 2
TICKS = os.sysconf("SC_CLK_TCK")


class BenchError(Exception):
    """The benchmark cannot go on."""


class WrongAnswer(Exception):
    pass


def say(text):
    print(text, file=sys.stderr, flush=True)


# --- servers ---

class Server:
    """A process that answers on https://127.0.0.1:PORT."""

    def __init__(self, name, path, command, **options):
        self.name, self.path = name, path
        self.process = subprocess.Popen(command, cwd=ROOT, **options)
        self.port = self.admin_port = self.reader = None

    def end(self):
        if self.process.stdin:
            self.process.stdin.close()
        else:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if self.reader:
            self.reader.wait()

    def cpu_seconds(self):
        """User and system time so far."""
        text = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text()
        fields = text.rpartition(")")[2].split()
        return int(fields[11]) / TICKS, int(fields[12]) / TICKS

    def resident_bytes(self):
        text = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", text)[1]) * 1024


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def start_pilot(name, path, policies="policies/estate", port=0, wrapper=(), binary=BINARY):
    """Returns when it says that it is ready."""
    server = Server(name, path, [
        *wrapper, binary, "serve", "--policies", policies, "--log-format", "json", "--threads", str(THREADS),
        "--tls-cert-file", WORK / "certs/tls.crt", "--tls-private-key-file", WORK / "certs/tls.key",
        "--bind-address", f"127.0.0.1:{port}", "--admin-bind-address", "127.0.0.1:0"],
        stderr=subprocess.PIPE)
    for line in server.process.stderr:
        event = json.loads(line)
        if event["event"] == "ready":
            server.port = int(event["bindAddress"].rpartition(":")[2])
            server.admin_port = int(event["adminBindAddress"].rpartition(":")[2])
            break
    else:
        server.process.wait()
        raise BenchError(f"{name} did not start")
    # the log has a reader, as in a cluster
    server.reader = subprocess.Popen(["cat"], stdin=server.process.stderr,
                                     stdout=subprocess.DEVNULL)
    server.process.stderr.close()
    return server


# --- what is right ---

def ask(server, body):
    """One call: the answer's bytes."""
    context = ssl.create_default_context(cafile=WORK / "certs/ca.crt")
    connection = http.client.HTTPSConnection("127.0.0.1", server.port, timeout=10,
                                             context=context)
    connection.request("POST", server.path + "?timeout=2s", body,
                       {"Content-Type": "application/json"})
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    if answer.status != 200:
        raise WrongAnswer(f"{server.name}: status {answer.status}: {text[:200]!r}")
    return text


def check_answer(server, body, answer, patched, typed):
    """The answer patches the Pod as it should, or, `patched` false, not at all. A `typed` webhook
    reads the Pod into a type: it also adds the type's empty members."""
    request = json.loads(body)["request"]
    response = json.loads(answer)["response"]
    if response["uid"] != request["uid"] or response["allowed"] is not True:
        raise WrongAnswer(f"{server.name}: {response}")
    if not patched:
        if "patch" in response:
            raise WrongAnswer(f"{server.name}: a patch where none is expected")
        return
    operations = json.loads(base64.b64decode(response["patch"], validate=True))
    pod = json_patch.apply(request["object"], operations)
    expected = json.loads(json.dumps(request["object"]))
    originals = {}
    for kind in ("initContainers", "containers"):
        for container in expected["spec"].get(kind, []):
            if container["image"] in IMAGES:
                originals[container["name"]] = container["image"]
                container["image"] = IMAGES[container["image"]]
    if len(originals) != len(IMAGES):
        raise WrongAnswer(f"the Pod has other images than {list(IMAGES)}")
    if json.loads(pod["metadata"]["annotations"].pop(ORIGINALS)) != originals:
        raise WrongAnswer(f"{server.name}: other originals than {originals}")
    images = [[c["image"] for c in p["spec"].get(kind, [])] for p in (pod, expected)
              for kind in ("initContainers", "containers")]
    if images[:2] != images[2:] or (pod != expected and not typed):
        raise WrongAnswer(f"{server.name}: the patched Pod is not as expected: {images[:2]}")


# --- load ---

def run_load(row, seconds):
    server = row["server"]
    user, system = server.cpu_seconds()
    done = subprocess.run(
        ["wrk", "-t2", f"-c{CONNECTIONS}", f"-d{seconds}s", "--timeout", "10s", "-s",
         HERE / "load.lua", f"https://127.0.0.1:{server.port}{server.path}?timeout=2s", "--",
         row["body"], row["expected"], row["compare"]],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    user, system = (after - before for after, before in zip(server.cpu_seconds(), (user, system)))
    last = (done.stdout.strip().splitlines() or [""])[-1]
    if done.returncode or not last.startswith("{"):
        raise BenchError(f"wrk failed: {done.stdout}")
    figures = json.loads(last)
    answers = figures["right"] + figures["wrong"]
    if not answers:
        raise BenchError(f"{row['name']}: no answers: {done.stdout}")
    row["runs"].append({
        "reviews_per_second": answers / figures["seconds"],
        "cpu_us": (user + system) / answers * 1e6,
        "user_us": user / answers * 1e6,
        "system_us": system / answers * 1e6,
        "p50_ms": figures["p50"] / 1000,
        "p99_ms": figures["p99"] / 1000,
        "resident_bytes": server.resident_bytes(),
        "answers": answers,
        "wrong": figures["wrong"] + figures["errors"],
    })


def new_row(name, server, body, patched=True, typed=False, contains=None):
    """Checks one answer; the load then expects the same, or what it `contains`."""
    text = body.read_bytes()
    answer = ask(server, text)
    check_answer(server, text, answer, patched, typed)
    expected = WORK / f"expected-{re.sub('[^a-z0-9]+', '-', name.lower())}"
    expected.write_bytes(contains or answer)
    return {"name": name, "server": server, "body": body, "expected": expected,
            "compare": "contains" if contains else "equal", "runs": []}
