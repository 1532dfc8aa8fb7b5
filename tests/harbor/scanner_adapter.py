"""A stand-in for an image scanner behind Harbor's pluggable scanner interface (version 1.1). It scans nothing, and says so:
what it reports depends on the word that the tag begins with, or the repository's last part, and all of its findings are
invented. For Harbors whose real scanner cannot be had, and for findings on demand.

By itself: scanner_adapter.py ADDRESS PORT"""

import contextlib
import http.server
import json
import re
import sys
import threading
import time
import urllib.parse
import uuid

from web import OLD_REPORT, REPORT

CONSUMES = ["application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json"]
SCANNER = {"name": "harbor-pilot-test", "vendor": "a stand-in: it scans nothing", "version": "0"}
METADATA = {
    "scanner": SCANNER,
    "capabilities": [{"type": "vulnerability", "consumes_mime_types": CONSUMES,
                      "produces_mime_types": [OLD_REPORT, REPORT]}],
    "properties": {"harbor.scanner-adapter/scanner-type": "os-package-vulnerability"}}
TYPE = "application/vnd.scanner.adapter.{}+json; version=1.1"
SLOW_SECONDS = 20


def finding(number, severity, fixed):
    return {"id": f"CVE-2000-{number:04}", "package": f"invented-{number}", "version": "1.0",
            "fix_version": "1.1" if fixed else "", "severity": severity, "description": "Invented by a stand-in.",
            "links": [f"https://example.com/CVE-2000-{number:04}"], "cwe_ids": ["CWE-1"],
            "preferred_cvss": {"score_v3": 9.8 if severity == "Critical" else 3.1, "score_v2": None,
                               "vector_v3": "", "vector_v2": ""}, "vendor_attributes": {}}


FINDINGS = {
    "clean": [],
    "low": [finding(1, "Low", True), finding(2, "Low", False)],
    "critical-fixable": [finding(10, "Critical", True), finding(11, "High", False), finding(1, "Low", True)],
    "critical-unfixable": [finding(20, "Critical", False), finding(21, "Critical", False)],
    "critical": [finding(10, "Critical", True), finding(20, "Critical", False), finding(11, "High", False)],
}
KINDS = [*FINDINGS, "error", "slow"]  # `error`: the scan fails; `slow`: clean, in the end
SEVERITIES = ["Unknown", "None", "Negligible", "Low", "Medium", "High", "Critical"]


def kind_of(repository, tag):
    """The longest kind that the tag begins with, or else the repository's last part; clean without one."""
    for name in (tag or "", repository.rpartition("/")[2]):
        named = [kind for kind in KINDS if re.match(kind + r"\b", name)]
        if named:
            return max(named, key=len)
    return "clean"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.0"  # no connection outlives its answer: away is away

    def do_GET(self):
        scanner = self.server.scanner
        match = re.fullmatch(r"/api/v1/scan/([^/]+)/report", urllib.parse.urlsplit(self.path).path)
        if self.path == "/api/v1/metadata":
            self.answer(200, METADATA, TYPE.format("metadata"))
        elif match and match[1] in scanner.running:
            scanner.report(self, match[1])
        else:
            self.fail(404, "not found")

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path == "/api/v1/scan":
            self.answer(202, {"id": self.server.scanner.begin(json.loads(body))}, TYPE.format("scan.response"))
        else:
            self.fail(404, "not found")

    def answer(self, status, content, media_type, **headers):
        body = b"" if content is None else json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"Content-Type": media_type, "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def fail(self, status, message):
        self.answer(status, {"error": {"message": message}}, TYPE.format("error"))

    def log_message(self, *unused):
        pass


class Scanner:
    def __init__(self, address="127.0.0.1", port=0):
        self.kinds = {}     # {digest: kind}, before any name
        self.requests = []  # what was asked to be scanned
        self.running = {}   # {id: (kind, when it is ready, what was asked)}
        self.lock = threading.Lock()
        self.place = (address, port)
        self.start()
        self.url = f"http://{address}:{self.place[1]}"

    def start(self):
        """Also again, at the same port, after `stop`."""
        self.server = http.server.ThreadingHTTPServer(self.place, Handler)
        self.server.daemon_threads, self.server.scanner = True, self
        self.place = (self.place[0], self.server.server_port)
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()

    def begin(self, request):
        artifact = request["artifact"]
        kind = self.kinds.get(artifact["digest"]) or kind_of(artifact["repository"], artifact.get("tag"))
        with self.lock:
            self.requests.append(artifact)
            number = str(uuid.uuid4())
            self.running[number] = (kind, time.monotonic() + (SLOW_SECONDS if kind == "slow" else 0), artifact)
        return number

    def report(self, handler, number):
        kind, ready, artifact = self.running[number]
        if time.monotonic() < ready:
            return handler.answer(302, None, "text/plain", Location=handler.path, Refresh_After="2")
        if kind == "error":
            return handler.fail(500, "this image's scan fails")
        found = FINDINGS.get(kind, [])
        worst = max((f["severity"] for f in found), key=SEVERITIES.index, default="None")
        wanted = OLD_REPORT if "version=1.0" in handler.headers.get("Accept", "") else REPORT
        return handler.answer(200, {
            "generated_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "scanner": SCANNER, "severity": worst,
            "artifact": artifact, "vulnerabilities": found}, wanted)


if __name__ == "__main__":
    standing = Scanner(sys.argv[1], int(sys.argv[2]))
    print(f"{standing.url}: a stand-in for a scanner; kinds: {', '.join(KINDS)}", flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        threading.Event().wait()
