"""Asks the real binary what the model was asked, and compares everything that both say.

For each seed it writes the seed's policies into a directory, starts `harbor-pilot serve` with them
and posts the seed's reviews over one kept TLS connection. Compared are: allowed, patch or none, the
Pod after the patch, the audit annotations, the decisions of the log lines, and the counters of
`harborpilot_images_total`, which alone show the reasons of Pods that are left alone. Each Pod that
was changed is posted again: the second pass must change nothing.

    python3 tests/model/differential.py --seed 7             # all of seed 7, stops at the first
    python3 tests/model/differential.py --seed 7 --review 3  # one review of it
    python3 tests/model/differential.py --seed 1 --sets 200 --keep-going    # a summary of them all

The gate is asked of `harbor-pilot plan --facts`: Policies with random `findings`, manifests and
reviews, and a facts file about most of their images. A round is one of these documents.

    python3 tests/model/differential.py --gate --seed 7 --sets 200
"""

import argparse
import base64
import collections
import copy
import http.client
import json
import os
import pathlib
import random
import re
import signal
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

import generate
import model

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
BINARY = pathlib.Path(os.environ.get("HARBOR_PILOT") or REPOSITORY / "build" / "harbor-pilot")
RECORDED = [REPOSITORY / "tests" / "data" / name for name in ("admission-reviews", "captured-reviews")]


class Mismatch(AssertionError):
    """The binary and the model do not agree; the text holds all that a replay needs."""


# --- the binary -----------------------------------------------------------------------------------

def make_certificates(directory):
    """The arguments of `serve` and of the TLS client for a fresh authority."""
    subprocess.run([BINARY, "certs", "init", "--directory", directory, "--dns-name", "localhost",
                    "--ip-address", "127.0.0.1"], check=True, capture_output=True, timeout=60)


class Server:
    """`harbor-pilot serve`, from start to end; a context manager."""

    def __init__(self, certificates, policies, own_namespace=None):
        environment = {k: v for k, v in os.environ.items() if not k.startswith("HARBOR_PILOT")}
        if own_namespace:
            environment["HARBOR_PILOT_NAMESPACE"] = own_namespace
        self.process = subprocess.Popen(
            [BINARY, "serve", "--policies", policies,
             "--tls-cert-file", f"{certificates}/tls.crt",
             "--tls-private-key-file", f"{certificates}/tls.key",
             "--bind-address", "127.0.0.1:0", "--admin-bind-address", "127.0.0.1:0",
             "--threads", "1", "--shutdown-timeout", "1s", "--watch-interval", "1h",
             "--log-format", "json"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            env=environment)
        self.certificates = certificates
        self.lines = []
        self.is_ready = threading.Event()
        self.ready_line = None
        self.connection = None
        self.reader = threading.Thread(target=self._read, daemon=True)

    def __enter__(self):
        self.reader.start()
        try:
            if not self.is_ready.wait(60) or self.ready_line is None:
                raise RuntimeError("harbor-pilot did not become ready:\n" + self.log())
            host, _, port = self.ready_line["bindAddress"].rpartition(":")
            context = ssl.create_default_context(cafile=f"{self.certificates}/ca.crt")
            self.connection = http.client.HTTPSConnection(host, int(port), timeout=30,
                                                          context=context)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        if self.connection:
            self.connection.close()
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.reader.join()
        self.process.stderr.close()

    def _read(self):
        for line in self.process.stderr:
            try:
                entry = json.loads(line)
            except ValueError:
                entry = {"event": "not-json", "text": line.decode(errors="replace")}
            self.lines.append(entry)
            if entry.get("event") == "ready":
                self.ready_line = entry
                self.is_ready.set()
        self.is_ready.set()

    def log(self):
        return "\n".join(json.dumps(line, ensure_ascii=False) for line in self.lines[-50:])

    def post(self, path, body):
        """(HTTP status, body)."""
        try:
            self.connection.request("POST", path, body, {"Content-Type": "application/json"})
            response = self.connection.getresponse()
            return response.status, response.read()
        except (http.client.HTTPException, OSError):
            # The API server would see a failed call; nothing here may close a kept connection.
            self.connection.close()
            raise

    def metrics(self):
        url = f"http://{self.ready_line['adminBindAddress']}/metrics"
        with urllib.request.urlopen(url, timeout=30) as response:
            return response.read().decode()

    def takes_its_policies(self):
        return "harborpilot_policy_last_reload_successful 1" in self.metrics().splitlines()

    def reload(self):
        """SIGHUP, and waits until the policies have been read again."""
        before = self.generation()
        self.process.send_signal(signal.SIGHUP)
        deadline = time.monotonic() + 30
        while self.generation() == before:
            if time.monotonic() > deadline:
                raise RuntimeError("no new policy generation after SIGHUP:\n" + self.log())
            time.sleep(0.01)

    def generation(self):
        return re.search(r"^harborpilot_policy_generation (.*)$", self.metrics(), re.MULTILINE)[1]

    def image_counters(self):
        """Counter of (policy or "", reason) so far."""
        counters = collections.Counter()
        for line in self.metrics().splitlines():
            match = re.match(r"harborpilot_images_total\{(.*)\} ([0-9.e+]+)", line)
            if match:
                labels = dict(re.findall(r'(\w+)="([^"]*)"', match[1]))
                counters[labels["policy"], labels["reason"]] += int(float(match[2]))
        return counters


# --- JSON Patch -----------------------------------------------------------------------------------

def apply_patch(document, operations):
    """RFC 6902 as far as it may be used: `replace` of what is there, `add` where the parent is.

    Everything else, which an API server might answer with 500, is a ValueError.
    """
    document = copy.deepcopy(document)
    for operation in operations:
        if set(operation) != {"op", "path", "value"}:
            raise ValueError(f"members of {operation}")
        tokens = operation["path"].split("/")
        if tokens[0] != "" or len(tokens) < 2:
            raise ValueError(f"path of {operation}")
        tokens = [_unescape(token) for token in tokens[1:]]
        parent = document
        for token in tokens[:-1]:
            parent = _step(parent, token, operation)
        last, value = tokens[-1], copy.deepcopy(operation["value"])
        if operation["op"] == "replace":
            _step(parent, last, operation)
            parent[int(last) if isinstance(parent, list) else last] = value
        elif operation["op"] == "add" and isinstance(parent, dict):
            parent[last] = value
        elif operation["op"] == "add" and isinstance(parent, list):
            parent.insert(len(parent) if last == "-" else _index(last, len(parent) + 1, operation),
                          value)
        else:
            raise ValueError(f"op or parent of {operation}")
    return document


def _unescape(token):
    if re.search(r"~(?![01])", token):
        raise ValueError(f"~ in {token!r}")
    return token.replace("~1", "/").replace("~0", "~")


def _index(token, end, operation):
    if not re.fullmatch(r"0|[1-9][0-9]*", token) or int(token) >= end:
        raise ValueError(f"index of {operation}")
    return int(token)


def _step(parent, token, operation):
    if isinstance(parent, dict) and token in parent:
        return parent[token]
    if isinstance(parent, list):
        return parent[_index(token, len(parent), operation)]
    raise ValueError(f"{operation}: no {token!r}")


# --- comparing ------------------------------------------------------------------------------------

COMPARED = ("field", "container", "volume", "image", "renamed", "result", "rewrite", "policy", "bucket")


def comparable(decision):
    """The part of a decision that the model knows."""
    part = {k: v for k, v in decision.items() if k in COMPARED}
    if isinstance(part.get("rewrite"), dict):
        part["rewrite"] = {k: part["rewrite"].get(k) for k in ("outcome", "reason")}
    return part


def comparable_pod(pod):
    """The Pod with the original-images annotation as parsed JSON, where it is an object."""
    if not isinstance(pod, dict) or not isinstance(pod.get("metadata"), dict):
        return pod
    text = model.annotations_of(pod).get(model.ORIGINALS_ANNOTATION)
    try:
        originals = json.loads(text)
    except (TypeError, ValueError):
        return pod
    pod = copy.deepcopy(pod)
    pod["metadata"]["annotations"][model.ORIGINALS_ANNOTATION] = {"parsed": originals}
    return pod


def read_response(review, status, body):
    """The `response`, after everything that the API server checks, and a bit more."""
    if status != 200:
        raise ValueError(f"HTTP status {status}: {body[:300]!r}")
    answer = json.loads(body)
    if (answer.get("apiVersion"), answer.get("kind")) != (review["apiVersion"], "AdmissionReview"):
        raise ValueError("apiVersion or kind is not the request's")
    response = answer["response"]
    if response["uid"] != review["request"]["uid"]:
        raise ValueError("uid is not the request's")
    if ("patch" in response) != ("patchType" in response):
        raise ValueError("patch without patchType, or patchType without patch")
    if response.get("patchType", "JSONPatch") != "JSONPatch":
        raise ValueError("patchType")
    for key in response.get("auditAnnotations", {}):
        if len(key) > 63 or not re.fullmatch(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?", key):
            raise ValueError(f"audit annotation key {key!r}")
    return response


def compare(review, path_mode, answer, status, body):
    """(what is different, as text; the Pod after the binary's patch)."""
    pod = review["request"].get("object")
    try:
        response = read_response(review, status, body)
        patch = None
        if "patch" in response:
            patch = json.loads(base64.b64decode(response["patch"], validate=True))
            if not patch:
                raise ValueError("the patch is empty")
            patched = apply_patch(pod, patch)
        else:
            patched = pod
    except (ValueError, KeyError, TypeError) as error:
        return [f"answer: {type(error).__name__}: {error}"], pod

    differences = []
    if response["allowed"] is not True:
        differences.append("allowed: it is refused")
    if (patch is not None) != (answer.pod != pod):
        differences.append(f"patch: there is {'one' if patch is not None else 'none'}")
    if comparable_pod(patched) != comparable_pod(answer.pod):
        differences.append("pod: " + "; ".join(
            difference(comparable_pod(patched), comparable_pod(answer.pod), "")))
    elif answer.pod == pod and patched != pod:
        differences.append("pod: the bytes of original-images are not as they were")

    annotations = {}
    for key, value in response.get("auditAnnotations", {}).items():
        try:
            annotations[key] = value if key == "policy" else comparable(json.loads(value))
        except (ValueError, TypeError, AttributeError):
            annotations[key] = value
    if annotations != answer.audit_annotations:
        differences.append("auditAnnotations: " + "; ".join(
            difference(annotations, answer.audit_annotations, "")))
    warnings = response.get("warnings", [])
    if path_mode == "audit" and warnings:
        differences.append(f"warnings in audit: {warnings}")
    return differences, patched


def difference(got, expected, where):
    """Lines that say where two JSON values differ."""
    if isinstance(got, dict) and isinstance(expected, dict):
        lines = []
        for key in sorted(set(got) | set(expected)):
            if key not in got:
                lines.append(f"{where}/{key}: binary has none, model {expected[key]!r:.300}")
            elif key not in expected:
                lines.append(f"{where}/{key}: binary {got[key]!r:.300}, model has none")
            else:
                lines += difference(got[key], expected[key], f"{where}/{key}")
        return lines
    if isinstance(got, list) and isinstance(expected, list) and len(got) == len(expected):
        return [line for i, pair in enumerate(zip(got, expected))
                for line in difference(*pair, f"{where}/{i}")]
    return [] if got == expected else [f"{where}: binary {got!r:.300}, model {expected!r:.300}"]


# --- one set of policies --------------------------------------------------------------------------

class Set:
    """The policies of one seed and the reviews that go with them."""

    def __init__(self, seed):
        self.seed = seed
        self.files = generate.generate_policies(random.Random(str(seed)))
        rng = random.Random(f"{seed}/environment")
        self.own_namespace = rng.choice([None, None, "apps-blue", "harbor-pilot"])
        self.generated_from = model.load_policies(self.files, self.own_namespace)
        self.policies = self.generated_from
        if seed % 40 == 20:
            # A start with broken policies serves all the same.
            self.files["zz-broken.yaml"] = "apiVersion: harbor-pilot.io/v1alpha1\nkind: Polcy\n"
            self.policies = None

    def reviews(self, only=None):
        """(name, path mode, review, body)."""
        for i in range(generate.SET_SIZE) if only is None else [int(only)]:
            rng = random.Random(f"{self.seed}/{i}")
            path_mode, review = generate.generate_review(rng, self.generated_from)
            yield str(i), path_mode, review, generate.encode(rng, review)
        if only is None:
            for path in sorted(path for folder in RECORDED for path in folder.glob("*.json")):
                for path_mode in ("enforce", "audit"):
                    body = path.read_bytes()
                    uid = json.loads(body)["request"]["uid"].encode()
                    body = body.replace(uid, uid + b"-" + path_mode.encode(), 1)
                    yield f"{path.name} ({path_mode})", path_mode, json.loads(body), body


def write_files(directory, files):
    for path in pathlib.Path(directory).iterdir():
        path.unlink()
    for name, text in files.items():
        pathlib.Path(directory, name).write_text(text, encoding="utf-8")


class Run:
    """Sets against the binary. Collects the differences; `check` is what stops at the first."""

    def __init__(self, keep_going=False, scrape_each=False):
        self.keep_going = keep_going
        self.scrape_each = scrape_each
        self.rounds = 0
        self.logged = 0
        self.reasons = collections.Counter()
        self.mismatches = []
        self.directory = tempfile.TemporaryDirectory(prefix="harbor-pilot-model-")
        make_certificates(self.directory.name)

    def close(self):
        self.directory.cleanup()

    def report(self, the_set, name, review, body, answer, got, differences):
        policies = "\n".join(f"# {file}\n{text}" for file, text in the_set.files.items())
        text = "\n".join([
            f"seed {the_set.seed}, review {name}: the binary and the model do not agree",
            *[f"  * {d}" for d in differences],
            f"replay: python3 tests/model/differential.py --seed {the_set.seed}"
            + (f" --review {name}" if name.isdigit() else ""),
            f"--- policies (HARBOR_PILOT_NAMESPACE={the_set.own_namespace})", policies,
            "--- review", json.dumps(review, ensure_ascii=False) if review else "",
            "--- as it was sent", body.decode() if body else "",
            "--- the model", json.dumps(answer, ensure_ascii=False, default=vars),
            "--- the binary", got])
        self.mismatches.append((the_set.seed, name, differences))
        if not self.keep_going:
            raise Mismatch(text)

    def run_set(self, seed, only=None):
        the_set = Set(seed)
        with tempfile.TemporaryDirectory(dir=self.directory.name) as policies:
            # Every third set comes by a reload, in the place of another.
            comes_by_reload = seed % 3 == 1 and the_set.policies is not None
            write_files(policies, Set(seed + 10 ** 6).files if comes_by_reload else the_set.files)
            with Server(self.directory.name, policies, the_set.own_namespace) as server:
                if comes_by_reload:
                    write_files(policies, the_set.files)
                    server.reload()
                if server.takes_its_policies() != (the_set.policies is not None):
                    self.report(the_set, "none", None, None, None, server.log(),
                                ["policies: valid for one, invalid for the other"])
                    return
                expected = collections.Counter()
                by_uid = {}
                for name, path_mode, review, body in the_set.reviews(only):
                    self.one(the_set, server, expected, by_uid, name, path_mode, review, body)
                    if name.endswith("0"):
                        self.validate(the_set, server, name, path_mode, review, body)
                self.compare_counters(the_set, server, expected, only)
        self.compare_log(the_set, server, by_uid)
        if server.process.returncode != 0:
            self.report(the_set, "end", None, None, None, server.log(),
                        [f"exit: status {server.process.returncode} after SIGTERM"])

    def validate(self, the_set, server, name, path_mode, review, body):
        """The other half of the program, which refuses nothing that no `findings` forbid."""
        status, got = server.post(f"/validate/{path_mode}?timeout=2s", body)
        untouched = model.Answer([], review["request"].get("object"), {})
        differences, _ = compare(review, path_mode, untouched, status, got)
        if differences:
            self.report(the_set, name, review, body, untouched, got.decode(errors="replace"),
                        ["validate: " + d for d in differences])

    def one(self, the_set, server, expected, by_uid, name, path_mode, review, body):
        answer = self.post(the_set, server, expected, by_uid, name, path_mode, review, body)
        if answer is None or answer.pod == review["request"].get("object"):
            return
        # The second pass, as the API server's reinvocation makes it.
        again = copy.deepcopy(review)
        again["request"]["uid"] += "-again"
        again["request"]["object"] = answer.pod
        second = self.post(the_set, server, expected, by_uid, name + " again", path_mode, again,
                           json.dumps(again).encode())
        if second is not None and second.pod != answer.pod:
            raise Mismatch(f"seed {the_set.seed}, review {name}: "
                           "the model itself changes a Pod at the second pass")

    def post(self, the_set, server, expected, by_uid, name, path_mode, review, body):
        """The model's answer, or None where the binary had another."""
        self.rounds += 1
        answer = model.review(the_set.policies, path_mode, review["request"])
        status, got = server.post(f"/mutate/{path_mode}?timeout=2s", body)
        differences, patched = compare(review, path_mode, answer, status, got)
        for decision in answer.decisions:
            self.reasons[decision["rewrite"]["reason"]] += 1
            expected[decision.get("policy", ""), decision["rewrite"]["reason"]] += 1
        by_uid[review["request"]["uid"]] = (name, review, answer)
        if self.scrape_each:
            counters = server.image_counters()
            if counters != expected:
                differences = differences + [counters_differ(counters, expected)]
                expected.clear()
                expected.update(counters)
        if differences:
            self.report(the_set, name, review, body, answer,
                        got.decode(errors="replace") + "\n--- patched\n" + json.dumps(patched),
                        differences)
            return None
        # What the binary made of the Pod, which is the model's but for the annotation's bytes.
        answer.pod = patched
        return answer

    def compare_counters(self, the_set, server, expected, only):
        counters = server.image_counters()
        if counters == expected or self.scrape_each:
            return
        # Find the first review that it comes from.
        closer = Run(keep_going=self.keep_going, scrape_each=True)
        try:
            closer.run_set(the_set.seed, only)
        finally:
            closer.close()
            self.mismatches += closer.mismatches
        self.report(the_set, "all", None, None, None, "", [counters_differ(counters, expected)])

    def compare_log(self, the_set, server, by_uid):
        for line in server.lines:
            if line.get("event") == "not-json":
                self.report(the_set, "log", None, None, None, line["text"], ["log: not JSON"])
            if line.get("event") != "review" or line.get("uid") not in by_uid:
                continue
            self.logged += 1
            name, review, answer = by_uid[line["uid"]]
            got = {d["field"]: comparable(d) for d in line.get("images", [])}
            differences = ["log: " + text for text in difference(
                {"images": got, "mode": line.get("mode"), "namespace": line.get("namespace"),
                 "applied": line.get("applied")},
                {"images": {d["field"]: d for d in answer.decisions}, "mode": answer.mode,
                 "namespace": review["request"]["namespace"],
                 "applied": answer.mode == "enforce"}, "")]
            if differences:
                self.report(the_set, name, review, None, answer, json.dumps(line), differences)


def counters_differ(counters, expected):
    return "harborpilot_images_total: " + "; ".join(
        f"policy {key[0]!r} reason {key[1]}: binary {counters[key]}, model {expected[key]}"
        for key in sorted(set(counters) | set(expected)) if counters[key] != expected[key])


def run(rounds, first_seed=1):
    """At least that many reviews, from that seed on; the Run. Raises Mismatch."""
    the_run = Run()
    try:
        seed = first_seed
        while the_run.rounds < rounds:
            the_run.run_set(seed)
            seed += 1
    finally:
        the_run.close()
    return the_run


# --- the gate -------------------------------------------------------------------------------------

GATE_COMPARED = (*COMPARED, "mode", "gate")


def comparable_with_gate(image):
    """The part of an image of `plan` that the model knows: all of the gate but what is for people."""
    part = {k: v for k, v in image.items() if k in GATE_COMPARED}
    part["rewrite"] = {k: part["rewrite"].get(k) for k in ("outcome", "reason")}
    if "gate" in part:
        part["gate"] = {k: v for k, v in part["gate"].items() if k != "detail"}
    return part


class GateRun:
    """Seeds of the gate against `plan`. Collects the differences, or stops at the first."""

    def __init__(self, keep_going=False):
        self.keep_going = keep_going
        self.rounds = 0
        self.images = 0
        self.reasons = collections.Counter()    # (gate reason, outcome)
        self.mismatches = []

    def plan(self, files, documents, facts, assumed_mode):
        """What `plan -o json` says; images by (number of the document, field)."""
        with tempfile.TemporaryDirectory(prefix="harbor-pilot-gate-") as directory:
            policies = pathlib.Path(directory, "policies")
            policies.mkdir()
            write_files(policies, files)
            pathlib.Path(directory, "facts.json").write_text(json.dumps(facts), encoding="utf-8")
            lines = "\n".join("---\n" + json.dumps(d) for d in documents)
            environment = {k: v for k, v in os.environ.items() if not k.startswith("HARBOR_PILOT")}
            result = subprocess.run(
                [BINARY, "plan", "--policies", policies, "-f", "-", "-o", "json", "--facts",
                 f"{directory}/facts.json", "--assume-mode", assumed_mode],
                input=lines.encode(), capture_output=True, timeout=120, env=environment)
        try:
            got = json.loads(result.stdout)
        except ValueError:
            raise Mismatch(f"plan: status {result.returncode}, {result.stderr.decode()}\n"
                           f"{lines}") from None
        images = collections.defaultdict(dict)
        for image in got["images"]:
            number = int(image["document"].rpartition(":")[2]) // 2 - 1
            images[number][image["field"]] = comparable_with_gate(image)
        return got, images

    def run_set(self, seed):
        files, documents, facts = generate.generate_gate_set(seed)
        policies = model.load_policies(files)
        mode = random.Random(f"gate/{seed}/mode").choice(["enforce", "enforce", "audit"])
        got, images = self.plan(files, documents, facts, mode)
        outcomes = collections.Counter()
        if got["errors"]:
            self.report(seed, None, files, facts, [f"errors: {got['errors']}"])
        for number, document in enumerate(documents):
            self.rounds += 1
            decisions = model.plan(policies, mode, document, model.Facts(facts))
            expected = {d["field"]: d for d in decisions}
            self.images += len(expected)
            for decision in decisions:
                gate = decision.get("gate", {"reason": "-", "outcome": "-"})
                self.reasons[gate["reason"], gate["outcome"]] += 1
                outcomes[gate["outcome"]] += 1
            differences = difference(images[number], expected, "")
            if differences:
                self.report(seed, number, files, facts, differences, document)
        for key in ("deny", "warn"):
            if got["summary"][key] != outcomes[key]:
                self.report(seed, None, files, facts,
                            [f"summary.{key}: binary {got['summary'][key]}, model {outcomes[key]}"])

    def report(self, seed, number, files, facts, differences, document=None):
        self.mismatches.append((seed, number, differences))
        if self.keep_going:
            return
        raise Mismatch("\n".join([
            f"gate, seed {seed}, document {number}: the binary and the model do not agree",
            *[f"  * {d}" for d in differences],
            f"replay: python3 tests/model/differential.py --gate --seed {seed}",
            "--- policies", *[f"# {name}\n{text}" for name, text in files.items()],
            "--- facts", json.dumps(facts), "--- document", json.dumps(document)]))


def run_gate(rounds, first_seed=1):
    """At least that many documents, from that seed on; the GateRun. Raises Mismatch."""
    the_run = GateRun()
    seed = first_seed
    while the_run.rounds < rounds:
        the_run.run_set(seed)
        seed += 1
    return the_run


def main_gate(options):
    began = time.monotonic()
    the_run = GateRun(options.keep_going)
    try:
        for seed in range(options.seed, options.seed + options.sets):
            the_run.run_set(seed)
    except Mismatch as mismatch:
        print(mismatch)
        return 1
    for seed, number, differences in the_run.mismatches:
        for text in differences:
            print(f"seed {seed} document {number}: {text}")
    print(f"{the_run.rounds} documents, {the_run.images} images in {time.monotonic() - began:.1f} s, "
          f"{len(the_run.mismatches)} disagreements")
    print(", ".join(f"{reason} {outcome} {count}"
                    for (reason, outcome), count in sorted(the_run.reasons.items())))
    return 1 if the_run.mismatches else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--sets", type=int, default=1, help="how many seeds, from --seed on")
    parser.add_argument("--review", help="only this one of the seed")
    parser.add_argument("--keep-going", action="store_true", help="list all, stop at none")
    parser.add_argument("--scrape-each", action="store_true",
                        help="compare the counters after each review, which is slower")
    parser.add_argument("--gate", action="store_true", help="the gate, by `plan --facts`")
    options = parser.parse_args()
    if options.gate:
        return main_gate(options)

    began = time.monotonic()
    the_run = Run(options.keep_going, options.scrape_each)
    try:
        for seed in range(options.seed, options.seed + options.sets):
            the_run.run_set(seed, options.review)
    except Mismatch as mismatch:
        print(mismatch)
        return 1
    finally:
        the_run.close()
    for seed, name, differences in the_run.mismatches:
        for text in differences:
            print(f"seed {seed} review {name}: {text}")
    print(f"{the_run.rounds} rounds in {time.monotonic() - began:.1f} s, "
          f"{the_run.logged} log lines, {len(the_run.mismatches)} disagreements")
    print(", ".join(f"{reason} {the_run.reasons[reason]}" for reason in model.REASONS))
    return 1 if the_run.mismatches else 0


if __name__ == "__main__":
    sys.exit(main())
