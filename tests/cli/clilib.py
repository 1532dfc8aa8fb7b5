"""Runs the program as a user does, and says what came of it. Nothing here knows how it is built."""

import base64
import copy
import dataclasses
import http.client
import json
import os
import pathlib
import re
import signal
import ssl
import subprocess
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PATIENCE = 60  # seconds for anything that takes milliseconds on an idle machine
# Environment of all runs: what changes the output is as the test says
PLAIN = {
    k: v
    for k, v in os.environ.items()
    if not k.startswith("HARBOR_PILOT") and k not in ("COLUMNS", "NO_COLOR", "TERM")
}
OURS = (
    "policies"  # relative to HERE, the usual working directory: it stands in `source` of decisions
)
HOST = "harbor.example.com:8443"  # of these policies


# --- one run ---


@dataclasses.dataclass
class Result:
    status: int
    out: str
    err: str
    wall: float  # seconds
    cpu: float = 0.0  # seconds, of a run that was measured
    memory: float = 0.0  # MiB at most, likewise

    def json(self):
        return json.loads(self.out)


# Runs a command and writes what it used. It is a process of its own, since Linux counts as a
# child's memory also what its parent had before the exec: here that is an empty Python's few MiB.
MEASURE = """
import json, os, sys
pid = os.posix_spawn(sys.argv[2], sys.argv[2:], os.environ)
_, code, usage = os.wait4(pid, 0)
with open(sys.argv[1], "w") as report:
    json.dump([usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024], report)
sys.exit(os.waitstatus_to_exitcode(code) % 256)
"""


class Program:
    def __init__(self, binary):
        self.binary = binary

    def measure(self, *args, **how):
        """The same as a call, with `cpu` and `memory` filled in."""
        with tempfile.NamedTemporaryFile("r") as report:
            command = [sys.executable, "-I", "-S", "-c", MEASURE, report.name, self.binary]
            result = self(*args, command=command, **how)
            result.cpu, result.memory = json.load(report)
        return result

    def __call__(self, *args, status=0, stdin=None, cwd=HERE, env=None, command=None):
        """Runs it to its end; `stdin` is text, bytes or an open file. Fails where the exit status
        is another one."""
        files = (tempfile.TemporaryFile() for _ in range(3))
        with next(files) as out, next(files) as err, next(files) as given:
            if isinstance(stdin, (str, bytes)):
                given.write(stdin.encode() if isinstance(stdin, str) else stdin)
                given.seek(0)
                stdin = given
            began = time.monotonic()
            done = subprocess.run(
                [*(command or [self.binary]), *map(str, args)],
                cwd=cwd,
                env={**PLAIN, **(env or {})},
                stdin=stdin or subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                timeout=PATIENCE,
            )
            wall = time.monotonic() - began
            out.seek(0)
            err.seek(0)
            result = Result(done.returncode, out.read().decode(), err.read().decode(), wall)
        assert status is None or result.status == status, (
            f"{' '.join(map(str, args))}: exit status {result.status}, expected {status}\n"
            f"stdout: {result.out[-3000:]}\nstderr: {result.err[-3000:]}"
        )
        return result

    def plan(self, text, *args, policies=OURS, **how):
        """`plan -o json` of a text on standard input."""
        result = self("plan", "--policies", policies, "-o", "json", *args, stdin=text, **how)
        return check_plan(result.json())


# --- plans ---

PLAN = {"apiVersion", "kind", "policies", "images", "errors", "warnings", "summary"}
DECISION = {"field", "image", "result", "rewrite"}
REASONS = [
    "policy-invalid",
    "protected",
    "no-policy",
    "policy-disabled",
    "mirror-pod",
    "opted-out",
    "owned-by-operator",
    "pull-policy-never",
    "placeholder",
    "image-id",
    "unparseable",
    "already-in-harbor",
    "registry-not-proxied",
    "excluded",
    "not-in-rollout",
    "too-long",
    "pull-secret-missing",
    "no-project",
    "harbor-down",
    "harbor-auth",
    "refused-by-harbor",
    "outside-proxy-filter",
    "not-in-harbor",
    "not-known-in-time",
    "rewritten",
]
WITHOUT_POLICY = {"policy-invalid", "protected", "no-policy"}


GATE_REASONS = {  # and which outcomes each can have
    "too-many": {"warn", "deny"},
    "clean": {"allow"},
    "below-threshold": {"allow"},
    "allowlisted": {"allow"},
    "findings": {"warn", "deny"},
    "unscanned": {"allow", "warn", "deny"},
    "scanning": {"allow", "warn", "deny"},
    "scan-failed": {"allow", "warn", "deny"},
    "not-scannable": {"allow"},
    "too-old": {"allow", "warn", "deny"},
    "unproxied": {"allow", "warn", "deny"},
    "unavailable": {"allow", "warn", "deny"},
    "refused-by-harbor": {"warn", "deny"},
}
SEVERITIES = ["Critical", "High", "Medium", "Low", "Unknown", "None"]


def check_gate(gate):
    """The shape of what the gate says."""
    if gate == {"outcome": "unknown"}:
        return  # nobody was asked
    optional = {"digest", "scanned", "counts", "cves", "detail"}
    assert {"outcome", "reason"} <= gate.keys() <= {"outcome", "reason"} | optional, gate
    assert gate["outcome"] in GATE_REASONS[gate["reason"]], gate
    assert set(gate.get("counts", {})) <= set(SEVERITIES), gate
    cves = gate.get("cves", [])
    assert len(cves) <= 10 and (not cves or gate["reason"] == "findings"), gate
    for cve in cves:
        assert {"id", "severity", "package"} <= cve.keys() <= {"id", "severity", "package", "fix"}
    worst = [SEVERITIES.index(cve["severity"]) for cve in cves]
    assert worst == sorted(worst), gate


def check_decision(decision):
    """The shape that plan, explain, the log and audit annotations share."""
    assert DECISION <= decision.keys(), decision
    assert ("container" in decision) != ("volume" in decision), decision
    rewrite = decision["rewrite"]
    assert {"outcome", "reason"} <= rewrite.keys() <= {"outcome", "reason", "detail"}, decision
    assert rewrite["reason"] in REASONS, decision
    assert rewrite["outcome"] == (
        "rewrite" if rewrite["reason"] == "rewritten" else "keep"
    ), decision
    assert (decision["result"] == decision["image"]) == (rewrite["outcome"] == "keep"), decision
    if "gate" in decision:
        check_gate(decision["gate"])
    there = {"policy", "source", "bucket"} & decision.keys()
    assert there == (
        set() if rewrite["reason"] in WITHOUT_POLICY else {"policy", "source", "bucket"}
    ), decision
    if there:
        assert re.fullmatch(r".+\.yaml:[1-9]\d*", decision["source"]), decision
        assert 0 <= decision["bucket"] <= 99, decision
    return decision


def check_plan(plan):
    """What holds of every plan; returns it."""
    assert PLAN <= plan.keys(), plan
    assert (plan["apiVersion"], plan["kind"]) == ("harbor-pilot.io/v1alpha1", "Plan")
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", plan["policies"]), plan["policies"]
    reasons = {}
    for image in plan["images"]:
        check_decision(image)
        assert {"document", "kind", "namespace", "name", "mode"} <= image.keys(), image
        assert image["mode"] in ("disabled", "audit", "enforce"), image
        assert re.fullmatch(r".+:[1-9]\d*", image["document"], re.S), image
        reason = image["rewrite"]["reason"]
        reasons[reason] = reasons.get(reason, 0) + 1
    for finding in plan["errors"] + plan["warnings"]:
        assert finding.keys() == {"document", "file", "line", "column", "message"} and finding["message"], finding
    summary = plan["summary"]
    assert {"images", "rewrite", "keep", "deny", "warn", "reasons"} <= summary.keys(), summary
    assert summary["reasons"] == reasons and summary["images"] == len(plan["images"]), summary
    assert summary["rewrite"] == reasons.get("rewritten", 0), summary
    outcomes = [image["gate"]["outcome"] for image in plan["images"] if "gate" in image]
    assert summary["deny"] == outcomes.count("deny"), summary
    assert summary["warn"] == outcomes.count("warn"), summary
    assert (
        summary["images"] == summary["rewrite"] + summary["keep"] == sum(reasons.values())
    ), summary
    return plan


def images(plan):
    """[(field, image)] of a plan."""
    return [(i["field"], i["image"]) for i in plan["images"]]


# --- objects ---


def pod(*images_, name="web", namespace="loki", **spec):
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "containers": [{"name": f"c{n}", "image": image} for n, image in enumerate(images_)],
            **spec,
        },
    }


def review(obj, operation="CREATE", uid="8e3b2d4c-0001", **members):
    """The AdmissionReview in which an API server asks about a Pod."""
    metadata = obj["metadata"]
    return {
        "kind": "AdmissionReview",
        "apiVersion": "admission.k8s.io/v1",
        "request": {
            "uid": uid,
            "kind": {"group": "", "version": "v1", "kind": "Pod"},
            "resource": {"group": "", "version": "v1", "resource": "pods"},
            "name": metadata.get("name", ""),
            "namespace": metadata["namespace"],
            "operation": operation,
            "userInfo": {
                "username": "system:kube-controller-manager",
                "groups": ["system:authenticated"],
            },
            "object": obj,
            "oldObject": None,
            "dryRun": False,
            **members,
        },
    }


def find(document, pointer):
    """What a JSON Pointer (RFC 6901) points to."""
    for part in pointer.split("/")[1:]:
        part = part.replace("~1", "/").replace("~0", "~")
        document = document[int(part) if isinstance(document, list) else part]
    return document


def apply_patch(document, operations):
    """RFC 6902, `add` and `replace`, as strict as the API server's library."""
    document = copy.deepcopy(document)
    for operation in operations:
        assert operation.keys() == {"op", "path", "value"}, operation
        parent, _, last = operation["path"].rpartition("/")
        target = find(document, parent)
        last = last.replace("~1", "/").replace("~0", "~")
        if operation["op"] == "replace":
            find(document, operation["path"])  # raises where it is not there
            target[int(last) if isinstance(target, list) else last] = operation["value"]
        elif operation["op"] == "add" and isinstance(target, list):
            target.insert(len(target) if last == "-" else int(last), operation["value"])
        elif operation["op"] == "add":
            target[last] = operation["value"]
        else:
            raise AssertionError(f"only replace and add are safe, not {operation}")
    return document


# --- the server ---


class Server:
    """`harbor-pilot serve` with one connection to each port."""

    def __init__(self, binary, policies, directory):
        certificates = pathlib.Path(directory)
        subprocess.run(
            [
                binary,
                "certs",
                "init",
                "--directory",
                certificates,
                "--dns-name",
                "localhost",
                "--force",
            ],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        self.process = subprocess.Popen(
            [
                binary,
                "serve",
                "--policies",
                policies,
                "--tls-cert-file",
                certificates / "tls.crt",
                "--tls-private-key-file",
                certificates / "tls.key",
                "--bind-address",
                "127.0.0.1:0",
                "--admin-bind-address",
                "127.0.0.1:0",
                "--shutdown-timeout",
                "0s",
                "--log-format",
                "json",
            ],
            cwd=HERE,
            env=PLAIN,
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        self.news = threading.Condition()
        self.lines = []
        self.asked = set()  # what was asked before, for tests to use
        threading.Thread(target=self._read, daemon=True).start()
        ready = self._await(
            lambda: [line for line in self.lines if line["event"] == "ready"], "it is ready"
        )[0]
        context = ssl.create_default_context(cafile=certificates / "ca.crt")
        port, admin_port = (
            int(ready[key].rpartition(":")[2]) for key in ("bindAddress", "adminBindAddress")
        )
        self.connection = http.client.HTTPSConnection(
            "localhost", port, timeout=PATIENCE, context=context
        )
        self.admin = http.client.HTTPConnection("localhost", admin_port, timeout=PATIENCE)

    def _read(self):
        for line in self.process.stderr:
            with self.news:
                self.lines.append(json.loads(line))
                self.news.notify_all()
        with self.news:
            self.lines.append({"event": "end of the log"})
            self.news.notify_all()

    def _await(self, question, what):
        with self.news:
            if not self.news.wait_for(question, PATIENCE):
                raise AssertionError(f"not in the log: {what}; its last lines: {self.lines[-20:]}")
            return question()

    def log_of(self, uids):
        """{uid: log line} of the reviews with these uids."""

        def found():
            lines = {
                line["uid"]: line
                for line in self.lines
                if line["event"] == "review" and line["uid"] in uids
            }
            return lines.keys() >= set(uids) and lines

        return self._await(found, f"the reviews {sorted(uids)[:5]}…") if uids else {}

    def _ask(self, connection, method, path, body=None):
        connection.request(method, path, body, {"Content-Type": "application/json"} if body else {})
        answer = connection.getresponse()
        text = answer.read()
        assert answer.status == 200, (path, answer.status, text)
        return text

    def post(self, path, sent):
        """The response to a review."""
        body = json.dumps(sent).encode()
        response = json.loads(self._ask(self.connection, "POST", path, body))["response"]
        assert response["allowed"] is True and response["uid"] == sent["request"]["uid"], response
        if "patch" in response:
            response["patch"] = json.loads(base64.b64decode(response["patch"]))
        return response

    def counts(self):
        """{(policy, outcome, reason, mode): count} of the images decided so far."""
        found = {}
        for labels, value in re.findall(
            r"^harborpilot_images_total\{(.*)\} (\d+)$",
            self._ask(self.admin, "GET", "/metrics").decode(),
            re.M,
        ):
            of = dict(re.findall(r'(\w+)="([^"]*)"', labels))
            key = (of["policy"], of["outcome"], of["reason"], of["mode"])
            found[key] = found.get(key, 0) + int(value)
        return found

    def stop(self):
        self.connection.close()
        self.admin.close()
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(PATIENCE)
        finally:
            self.process.kill()
        assert status == 0, f"the server ended with {status}: {self.lines[-20:]}"
