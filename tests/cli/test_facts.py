"""Facts from Harbor: `--facts` of plan and explain, `facts=` of check, and `--live`."""

import contextlib
import http.server
import json
import re
import socket
import threading

import pytest

from clilib import check_decision, check_plan, pod

DIGEST = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
LIVE_SECONDS = 10
IMAGE, KEY = "nginx:1.27", "hub/library/nginx:1.27"


def policies(url="https://127.0.0.1:1"):
    """A Policy, of a namespace of its name, for each thing that can be said about facts."""

    def document(kind, name, spec):
        return (
            f"apiVersion: harbor-pilot.io/v1alpha1\nkind: {kind}\nmetadata: {{name: {name}}}\n"
            f"spec: {spec}\n"
        )

    registries = "registries: {docker.io: hub, quay.io: quay}"
    api = f"api: {{url: '{url}'}}"
    parts = [
        document("Harbor", "h", f"{{host: h.example.com, {registries}, {api}}}"),
        document(
            "Harbor",
            "trusting",
            f"{{host: t.example.com, {registries}, {api}, nodesHaveCredentials: true}}",
        ),
        document("Harbor", "silent", f"{{host: s.example.com, {registries}}}"),
    ]
    for name, spec in (
        ("usual", "harbor: h"),
        ("servable", "harbor: h, requireInHarbor: servable"),
        ("cached", "harbor: h, requireInHarbor: cached"),
        ("never", "harbor: h, requireInHarbor: never"),
        ("keep", "harbor: h, onHarborUnavailable: keep"),
        ("anyway", "harbor: h, onHarborUnavailable: rewrite"),
        ("secret", "harbor: h, pullSecret: harbor-pull"),
        ("watched", "harbor: h, mode: audit"),
        ("trusting", "harbor: trusting"),
        ("silent", "harbor: silent"),
    ):
        parts.append(document("Policy", name, f"{{namespaces: [{name}], {spec}}}"))
    return "---\n".join(parts)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "10.yaml").write_text(policies())
    return tmp_path / "policies"


def facts(artifact, key=KEY, **harbor):
    """Of all Harbors the same; None: nothing is known of the artifact."""
    known = {**harbor, "artifacts": {} if artifact is None else {key: artifact}}
    return {"harbors": {"h": known, "trusting": known, "silent": known}}


HERE, NOT_HERE = {"present": True}, {"present": False}
DOWN, STRANGER = {"healthy": False}, {"authorized": False}
PRIVATE = {**HERE, "public": False}
# namespace, what is known of the artifact, of the Harbor, and what becomes of the image
QUESTIONS = [
    ("usual", HERE, {}, "rewritten"),
    ("usual", {**HERE, "servable": False}, {}, "not-in-harbor"),  # Harbor has a copy, and answers a pull 404
    ("usual", {**NOT_HERE, "servable": True}, {}, "rewritten"),
    ("usual", NOT_HERE, {}, "not-in-harbor"),
    ("usual", {}, {}, "not-in-harbor"),
    ("usual", {**NOT_HERE, "servable": False}, {}, "not-in-harbor"),
    ("usual", None, {}, "not-known-in-time"),
    ("usual", HERE, DOWN, "harbor-down"),
    ("usual", None, DOWN, "harbor-down"),
    ("usual", HERE, {"healthy": True, "authorized": True}, "rewritten"),
    ("usual", HERE, STRANGER, "harbor-auth"),
    ("usual", HERE, {**DOWN, **STRANGER}, "harbor-down"),
    ("usual", {**HERE, "authorized": False}, {}, "harbor-auth"),
    ("usual", {**HERE, "authorized": True}, {}, "rewritten"),
    ("usual", {**HERE, "pullGate": "refused"}, {}, "refused-by-harbor"),
    ("usual", {**HERE, "pullGate": "passed"}, {}, "rewritten"),
    ("usual", {**HERE, "inProxyFilter": False}, {}, "outside-proxy-filter"),
    ("usual", {**HERE, "inProxyFilter": True}, {}, "rewritten"),
    ("usual", {**HERE, "public": True}, {}, "rewritten"),
    ("usual", PRIVATE, {}, "pull-secret-missing"),
    ("usual", {**HERE, "scan": {"status": "Success"}, "digest": DIGEST, "x": [1]}, {}, "rewritten"),
    ("usual", {"noProject": True}, {}, "no-project"),
    ("usual", {**HERE, "noProject": False}, {}, "rewritten"),
    # where several would do, the first of the order
    ("usual", {**PRIVATE, "noProject": True, "authorized": False}, {}, "no-project"),
    ("usual", {**PRIVATE, "authorized": False}, {}, "pull-secret-missing"),
    ("usual", {"authorized": False, "pullGate": "refused"}, {}, "harbor-auth"),
    ("usual", {"pullGate": "refused", "inProxyFilter": False}, {}, "refused-by-harbor"),
    ("usual", {**NOT_HERE, "inProxyFilter": False}, {}, "outside-proxy-filter"),
    # settings
    ("servable", {**NOT_HERE, "servable": True}, {}, "rewritten"),
    ("servable", NOT_HERE, {}, "not-in-harbor"),
    ("cached", HERE, {}, "rewritten"),
    ("cached", {**HERE, "servable": False}, {}, "rewritten"),
    ("cached", {**NOT_HERE, "servable": True}, {}, "not-in-harbor"),
    ("cached", None, {}, "not-known-in-time"),
    ("cached", HERE, DOWN, "harbor-down"),
    ("never", NOT_HERE, {}, "rewritten"),
    ("never", None, {}, "rewritten"),
    ("never", None, DOWN, "harbor-down"),
    ("never", None, STRANGER, "rewritten"),
    ("keep", HERE, DOWN, "harbor-down"),
    ("anyway", HERE, DOWN, "rewritten"),
    ("anyway", NOT_HERE, DOWN, "rewritten"),
    ("anyway", None, DOWN, "rewritten"),
    ("anyway", HERE, STRANGER, "harbor-auth"),
    ("anyway", {**HERE, "authorized": False}, {}, "harbor-auth"),
    ("anyway", NOT_HERE, {}, "not-in-harbor"),
    ("anyway", None, {}, "not-known-in-time"),
    ("secret", PRIVATE, {}, "rewritten"),
    ("trusting", PRIVATE, {}, "rewritten"),
    ("watched", HERE, {}, "rewritten"),
    ("watched", NOT_HERE, {}, "not-in-harbor"),
    ("watched", HERE, DOWN, "harbor-down"),
    ("silent", NOT_HERE, DOWN, "rewritten"),
    ("silent", None, STRANGER, "rewritten"),
]
FACT_REASONS = {
    "no-project": "has no project `",
    "harbor-down": "onHarborUnavailable: rewrite",
    "harbor-auth": "api.credentialsDirectory",
    "refused-by-harbor": "CVE allowlist",
    "outside-proxy-filter": "proxy filter",
    "not-in-harbor": "requireInHarbor: never",
    "not-known-in-time": "in time",
    "pull-secret-missing": "pull secret",
}


def test_every_fact_reason_is_asked_for():
    assert FACT_REASONS.keys() < {reason for *_, reason in QUESTIONS}


@pytest.mark.parametrize(
    "namespace, artifact, harbor, reason",
    QUESTIONS,
    ids=[f"{q[0]}-{q[3]}-{n}" for n, q in enumerate(QUESTIONS)],
)
def test_reasons(program, folder, namespace, artifact, harbor, reason):
    """The same from plan, explain and check; only a fact that is not known is status 3."""
    file = folder / "facts.json"
    file.write_text(json.dumps(facts(artifact, **harbor)))
    status = 3 if reason == "not-known-in-time" else 0
    options = ["--policies", folder, "--facts", file, "-o", "json"]
    explained = program("explain", IMAGE, "-n", namespace, *options, status=status).json()
    plan = check_plan(
        program("plan", *options, stdin=json.dumps(pod(IMAGE, namespace=namespace)), status=status).json()
    )
    for decision in (check_decision(explained), plan["images"][0]):
        assert decision["rewrite"]["reason"] == reason, decision
    if reason != "rewritten":
        assert FACT_REASONS[reason] in explained["advice"], explained["advice"]
    expected = explained["result"] if reason == "rewritten" else f"keep:{reason}"
    (folder / "10.cases").write_text(f"{namespace} {IMAGE} {expected} facts=facts.json\n")
    said = program("check", "--policies", folder, "-o", "json").json()
    # a case is in `enforce`, and says itself what is known: no status 3
    assert said["cases"] == {"passed": 1, "failed": []} and not said["errors"], said


def test_the_detail_says_why_it_is_rewritten_all_the_same(program, folder):
    file = folder / "facts.json"
    file.write_text(json.dumps(facts(HERE, **DOWN)))
    said = program(
        "explain", IMAGE, "-n", "anyway", "--policies", folder, "--facts", file, "-o", "json"
    ).json()
    assert "Harbor is down" in said["rewrite"]["detail"]


@pytest.mark.parametrize(
    "image, key",
    [
        ("nginx", "hub/library/nginx:latest"),
        ("docker.io/grafana/loki:3", "hub/grafana/loki:3"),
        ("quay.io/a/b/c:1.0", "quay/a/b/c:1.0"),
        (f"nginx@{DIGEST}", f"hub/library/nginx@{DIGEST}"),
        (f"nginx:1.27@{DIGEST}", f"hub/library/nginx@{DIGEST}"),
    ],
)
def test_keys(program, folder, image, key):
    file = folder / "facts.json"
    options = ["explain", image, "-n", "usual", "--policies", folder, "--facts", file, "-o", "json"]
    file.write_text(json.dumps(facts(HERE, key=key)))
    assert program(*options).json()["rewrite"]["reason"] == "rewritten"
    file.write_text(json.dumps(facts(HERE, key=key + "x")))
    assert program(*options, status=3).json()["rewrite"]["reason"] == "not-known-in-time"


def test_a_harbor_that_is_not_in_the_file(program, folder):
    (folder / "facts.json").write_text('{"harbors": {"other": {"artifacts": {}}}}')
    options = ["explain", IMAGE, "--policies", folder, "--facts", folder / "facts.json"]
    assert "keep: not-known-in-time" in program(*options, "-n", "usual", status=3).out
    assert "keep: not-known-in-time" in program(*options, "-n", "anyway", status=3).out
    assert "rewrite to" in program(*options, "-n", "never").out


def test_what_needs_no_fact_is_decided_without(program, folder):
    (folder / "facts.json").write_text(json.dumps(facts(None, **DOWN)))
    options = ["--policies", folder, "--facts", folder / "facts.json", "-o", "json", "-n", "usual"]
    for image, reason in (
        ("h.example.com/hub/library/nginx", "already-in-harbor"),
        ("gcr.io/x/y", "registry-not-proxied"),
        ("Nginx", "unparseable"),
    ):
        assert program("explain", image, *options).json()["rewrite"]["reason"] == reason


def test_without_facts_nothing_has_to_be_known(program, folder):
    assert "rewrite to" in program("explain", IMAGE, "-n", "usual", "--policies", folder).out
    plan = program.plan(json.dumps(pod(IMAGE, namespace="usual")), policies=folder)
    assert plan["summary"]["reasons"] == {"rewritten": 1}


def test_a_pods_own_pull_secret(program, folder):
    (folder / "facts.json").write_text(json.dumps(facts(PRIVATE)))
    for secrets, reason in (([{"name": "own"}], "rewritten"), ([], "pull-secret-missing")):
        text = json.dumps(pod(IMAGE, namespace="usual", imagePullSecrets=secrets))
        plan = program.plan(text, "--facts", folder / "facts.json", policies=folder)
        assert plan["summary"]["reasons"] == {reason: 1}


# --- exit statuses ---


def test_could_not_be_found_out(program, folder):
    """2 before 3 before 1, and the output is there all the same."""
    (folder / "facts.json").write_text(json.dumps(facts(HERE)))
    command = ["plan", "--policies", folder, "--facts", folder / "facts.json", "-o", "json"]
    known, unknown = (json.dumps(pod(i, namespace="usual")) for i in (IMAGE, "redis"))
    kept = json.dumps(pod("gcr.io/x/y", namespace="usual"))
    broken = '{"kind": nonsense}'
    for parts, more, status in (
        ([known], [], 0),
        ([known, unknown], [], 3),
        ([known, kept], ["--expect-all-moved"], 1),
        ([kept, unknown], ["--expect-all-moved"], 3),
        ([unknown, kept, broken], ["--expect-all-moved"], 2),
    ):
        result = program(*command, *more, stdin="\n".join(parts), status=status)
        assert len(check_plan(result.json())["images"]) == len([p for p in parts if p != broken])
    for output in ("table", "patch"):
        assert program(*command[:-1], output, stdin=unknown, status=3).err == ""


# --- files that hold no facts ---

WRONG = {  # and at which byte
    "nothing": ("", 0),
    "no JSON": ("nonsense", 0),
    "cut off": ('{"harbors": {"h": {', 19),
    "more than one": ('{"harbors": {}} {}', 16),
    "a list": ("[]", 0),
    "a list of Harbors": ('{"harbors": []}', 12),
    "a Harbor that is none": ('{"harbors": {"h": 3}}', 18),
    "healthy": ('{"harbors": {"h": {"healthy": "yes"}}}', 30),
    "authorized": ('{"harbors": {"h": {"authorized": null}}}', 33),
    "artifacts": ('{"harbors": {"h": {"artifacts": [1]}}}', 32),
    "an artifact that is none": ('{"harbors": {"h": {"artifacts": {"a/b:c": true}}}}', 42),
    "present": ('{"harbors": {"h": {"artifacts": {"a/b:c": {"present": 1}}}}}', 54),
    "public": ('{"harbors": {"h": {"artifacts": {"a/b:c": {"public": {}}}}}}', 53),
    "pullGate of a type": ('{"harbors": {"h": {"artifacts": {"a/b:c": {"pullGate": true}}}}}', 55),
    "pullGate of a word": ('{"harbors": {"h": {"artifacts": {"a/b:c": {"pullGate": "ok"}}}}}', 59),
}


@pytest.mark.parametrize("what", WRONG)
def test_wrong_facts(program, folder, what):
    text, byte = WRONG[what]
    file = folder / "wrong.json"
    file.write_text(text)
    for command in (["plan"], ["explain", IMAGE, "-n", "usual"]):
        result = program(*command, "--policies", folder, "--facts", file, stdin="", status=2)
        assert result.out == "" and f"{file}: " in result.err, result.err
        assert re.search(rf"\bat byte {byte}, expected ", result.err), result.err
    (folder / "10.cases").write_text(
        f"usual {IMAGE} keep:harbor-down facts=wrong.json\nnever {IMAGE} h.example.com/{KEY}\n"
    )
    said = program("check", "--policies", folder, "-o", "json", status=2).json()
    assert [(e["file"], e["line"]) for e in said["errors"]] == [(str(folder / "10.cases"), 1)]
    assert str(file) in said["errors"][0]["message"] and f"byte {byte}," in said["errors"][0]["message"]
    assert said["cases"] == {"passed": 1, "failed": []}, "the other case is still run"


def test_facts_without_harbors_and_files_that_are_none(program, folder, tmp_path):
    (folder / "empty.json").write_text('{"Harbors": {}}')
    for file, said in (
        (folder / "empty.json", "`harbors` is missing"),
        (folder / "missing.json", "No such file"),
        (tmp_path, "directory"),
    ):
        for command in (["plan"], ["explain", IMAGE, "-n", "usual"]):
            result = program(*command, "--policies", folder, "--facts", file, stdin="", status=2)
            assert f"{file}: " in result.err and said.lower() in result.err.lower(), result.err
            assert result.out == ""
    (folder / "10.cases").write_text(f"usual {IMAGE} keep:harbor-down facts=missing.json\n")
    assert f"{folder}/missing.json" in program("check", "--policies", folder, status=2).err


# --- --live ---


@contextlib.contextmanager
def nobody():
    """A port at which nobody listens."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


@contextlib.contextmanager
def silence():
    """One that takes connections, and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


@pytest.mark.parametrize("port", [nobody, silence])
def test_live_without_a_harbor(program, tmp_path, port):
    """Bounded in time, and an answer: it is known that Harbor is down."""
    with port() as number:
        (tmp_path / "p.yaml").write_text(policies(f"https://127.0.0.1:{number}"))
        given = ["--policies", tmp_path / "p.yaml", "--live"]
        for namespace, reason in (
            ("usual", "harbor-down"),
            ("anyway", "rewritten"),
            ("never", "harbor-down"),
            ("silent", "rewritten"),
        ):
            explained = program("explain", IMAGE, "-n", namespace, *given, "-o", "json")
            assert explained.json()["rewrite"]["reason"] == reason
            assert explained.wall < LIVE_SECONDS
        record = tmp_path / "facts.json"
        text = "\n".join(json.dumps(pod(f"nginx:{n}", namespace="usual")) for n in range(50))
        planned = program("plan", *given, "--record", record, "-o", "json", stdin=text)
        assert planned.wall < LIVE_SECONDS
    plan = check_plan(planned.json())
    assert plan["summary"]["reasons"] == {"harbor-down": 50}
    assert json.loads(record.read_text())["harbors"]["h"] == {"healthy": False, "artifacts": {}}
    again = program.plan(text, "--facts", record, policies=tmp_path / "p.yaml")
    assert again["images"] == plan["images"], "what was recorded gives the same plan"
    for line in planned.err.splitlines():
        assert json.loads(line)["event"] == "harbor-health", line


class Harbor(http.server.BaseHTTPRequestHandler):
    """As much of a Harbor as is asked for: `here` is in its database and at its upstream, `there` at
    its upstream alone, and about `broken` it answers nonsense."""

    protocol_version = "HTTP/1.1"

    def answer(self, status, body, kind="application/json"):
        body = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_GET(self):
        self.server.asked.append(self.path)
        if self.path.endswith("/health"):
            parts = [{"name": n, "status": "healthy"} for n in ("core", "registry", "database")]
            self.answer(200, {"status": "healthy", "components": parts})
        elif self.path.endswith("/systeminfo"):
            self.answer(200, {"harbor_version": "v2.14.0"})
        elif "/artifacts/" in self.path:
            if "broken" in self.path:
                self.answer(500, {})
            elif "here" in self.path and "there" not in self.path:
                self.answer(200, {"digest": DIGEST})
            else:
                self.answer(404, {"errors": [{"code": "NOT_FOUND", "message": "not found"}]})
        elif self.path.startswith("/v2/"):
            if "here" in self.path:  # also what is `there`
                self.answer(200, {}, "application/vnd.oci.image.index.v1+json")
            else:
                self.answer(404, {"errors": [{"code": "MANIFEST_UNKNOWN"}]})
        else:
            self.answer(200, {"name": "hub", "registry_id": 1, "metadata": {"public": "true"}})

    do_HEAD = do_GET

    def log_message(self, *unused):
        pass


@pytest.fixture
def harbor(tmp_path):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Harbor)
    server.daemon_threads, server.asked = True, []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    (tmp_path / "p.yaml").write_text(policies(f"http://127.0.0.1:{server.server_port}"))
    yield server
    server.shutdown()
    server.server_close()


def test_live(program, harbor, tmp_path):
    images = {
        "here:1": "rewritten",
        "there:1": "rewritten",
        "nowhere:1": "not-in-harbor",
        "broken:1": "not-known-in-time",
    }
    images["nowhere:1"], images["nothing:1"] = "rewritten", "not-in-harbor"  # it ends with `here`
    given = ["--policies", tmp_path / "p.yaml", "--live", "-o", "json"]
    for image, reason in images.items():
        status = 3 if reason == "not-known-in-time" else 0
        said = program("explain", image, "-n", "usual", *given, status=status)
        assert said.json()["rewrite"]["reason"] == reason, (image, said.out)
        assert said.wall < LIVE_SECONDS
    text = "\n".join(json.dumps(pod(*images, name=f"p{n}", namespace="usual")) for n in range(20))
    harbor.asked.clear()
    result = program("plan", *given, "--record", tmp_path / "f.json", stdin=text, status=3)
    plan = check_plan(result.json())
    assert [i["rewrite"]["reason"] for i in plan["images"]] == list(images.values()) * 20
    once = [path for path in harbor.asked if "/artifacts/" in path]
    assert len(once) == len(set(once)) == len(images), "each image is asked for once"
    recorded = json.loads((tmp_path / "f.json").read_text())["harbors"]["h"]
    assert recorded["healthy"] is True
    assert recorded["artifacts"]["hub/library/here:1"]["present"] is True
    assert recorded["artifacts"]["hub/library/there:1"] == {
        "present": False,
        "servable": True,
        "public": True,
    }
    assert "hub/library/broken:1" not in recorded["artifacts"]
    again = program.plan(text, "--facts", tmp_path / "f.json", policies=tmp_path / "p.yaml", status=3)
    assert again["images"] == plan["images"], "what was recorded gives the same plan"


def test_live_asks_nobody_where_nothing_has_to_be_known(program, harbor, tmp_path):
    given = ["--policies", tmp_path / "p.yaml", "--live"]
    for image, namespace in ((IMAGE, "never"), (IMAGE, "silent"), ("gcr.io/a/b", "usual")):
        program("explain", image, "-n", namespace, *given)
    assert not [path for path in harbor.asked if "/artifacts/" in path or path.startswith("/v2/")]


def test_in_audit_the_upstream_is_not_asked(program, harbor, tmp_path):
    said = program(
        "explain", "there:1", "-n", "watched", "--policies", tmp_path / "p.yaml", "--live", "-o", "json"
    ).json()
    assert said["rewrite"]["reason"] == "rewritten" and "enforce would ask" in said["rewrite"]["detail"]
    assert not [path for path in harbor.asked if path.startswith("/v2/")]


def test_a_record_that_cannot_be_written(program, tmp_path):
    with nobody() as port:
        (tmp_path / "p.yaml").write_text(policies(f"https://127.0.0.1:{port}"))
        for file in (tmp_path / "no" / "such.json", tmp_path):
            result = program(
                "plan", "--policies", tmp_path / "p.yaml", "--live", "--record", file, stdin="", status=2
            )
            assert f"{file}: " in result.err and result.out == ""


def test_options_that_do_not_go_together(program, folder):
    (folder / "f.json").write_text(json.dumps(facts(HERE)))
    for args, said in (
        (["plan", "--live", "--facts", folder / "f.json"], "--live and --facts"),
        (["explain", IMAGE, "-n", "usual", "--live", "--facts", folder / "f.json"], "--live and --facts"),
        (["plan", "--record", folder / "r.json"], "--record is given without --live"),
        (["plan", "--record", folder / "r.json", "--facts", folder / "f.json"], "--record is given without"),
    ):
        result = program(*args, "--policies", folder, stdin="", status=2)
        assert said in result.err and "expected" in result.err and result.out == ""
    assert not (folder / "r.json").exists()
