"""A Harbor that answers what a real one was recorded to answer (tests/data/harbor), and that can be ill in every way the
network knows, told so while it runs. It writes down every request."""

import base64
import contextlib
import dataclasses
import json
import pathlib
import re
import socket
import ssl
import struct
import threading
import time
import urllib.parse

RECORDINGS = pathlib.Path(__file__).parent.parent / "data" / "harbor"
PUBLIC_URL = "https://harbor.test"  # in the recordings; a realm follows the Host that was asked (5166)
GOOD_ACCOUNT = ("robot$admission", "right")
WRONG_SECRET_SECONDS = 1.5  # what a wrong, disabled or expired robot costs on every call (docs/contracts.md#account)


@dataclasses.dataclass
class Request:
    kind: str        # health, account, allowlist, projects, project, existence, summary, artifact, vulnerabilities, scan, manifest,
                     # token, other
    method: str
    target: str      # path and query as they came
    headers: dict    # names in lower case
    body: bytes
    began: float     # monotonic
    project: str = None
    repository: str = None
    reference: str = None

    @property
    def authorization(self):
        return self.headers.get("authorization")


def parse_target(target):
    """(kind, project, repository, reference) of what was asked."""
    path = urllib.parse.urlsplit(target).path
    if path == "/api/v2.0/health":
        return "health", None, None, None
    if path == "/api/v2.0/systeminfo":
        return "account", None, None, None
    if path == "/api/v2.0/system/CVEAllowlist":
        return "allowlist", None, None, None
    query = urllib.parse.parse_qs(urllib.parse.urlsplit(target).query)
    if path == "/api/v2.0/projects" and "project_name" in query:
        return "existence", query["project_name"][0], None, None
    if path == "/api/v2.0/projects":
        return "projects", None, None, None
    if path == "/service/token":
        scope = query.get("scope", [""])[0]
        match = re.fullmatch(r"repository:([^/]+)/(.+):pull", scope)
        return "token", match and match[1], match and match[2], None
    if match := re.fullmatch(r"/api/v2\.0/projects/([^/]+)(/summary)?", path):
        return "summary" if match[2] else "project", urllib.parse.unquote(match[1]), None, None
    if match := re.fullmatch(r"/api/v2\.0/projects/([^/]+)/repositories/([^/]+)/artifacts/([^/]+)"
                             r"(?:/additions/(vulnerabilities)|/(scan))?", path):
        twice = urllib.parse.unquote(urllib.parse.unquote(match[2]))
        kind = match[4] or match[5] or "artifact"
        return kind, urllib.parse.unquote(match[1]), twice, urllib.parse.unquote(match[3])
    if match := re.fullmatch(r"/v2/([^/]+)/(.+)/manifests/([^/]+)", path):
        return "manifest", match[1], match[2], match[3]
    return "other", None, None, None


# --- answers ---

@dataclasses.dataclass
class Answer:
    """A status line, headers, and a body: what is sent, less what the length of the body adds."""
    status: str
    headers: list
    body: bytes = b""

    def bytes(self, request, url):
        headers = [(n, v.replace(PUBLIC_URL, url)) for n, v in self.headers if n.lower() != "transfer-encoding"]
        if request.method != "HEAD":
            headers = [(n, v) for n, v in headers if n.lower() != "content-length"]
            headers.append(("Content-Length", str(len(self.body))))
        elif not any(n.lower() == "content-length" for n, _ in headers):
            headers.append(("Content-Length", "0"))
        head = f"HTTP/1.1 {self.status}\r\n" + "".join(f"{n}: {v}\r\n" for n, v in headers) + "\r\n"
        return head.encode("latin-1") + (b"" if request.method == "HEAD" else self.body)

    def json(self):
        return json.loads(self.body)

    def with_json(self, content):
        return dataclasses.replace(self, body=json.dumps(content).encode())

    def and_header(self, name, value):
        return dataclasses.replace(self, headers=[*self.headers, (name, value)])


def recording(number):
    """The answer of tests/data/harbor/NUMBER-*.http."""
    (path,) = RECORDINGS.glob(f"{number}-*.http")
    head, _, body = path.read_bytes().split(b"\n=== RESPONSE ===\n", 1)[1].partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    headers = [tuple(re.split(": ?", line, maxsplit=1)) for line in lines[1:]]
    return Answer(lines[0].removeprefix("HTTP/1.1 "), headers, body)


# What a place answers is a function of the conversation: it sends what it likes, and returns whether the connection
# goes on.

def play(answer):
    """Sends an Answer, or a recording by its number."""
    answer = answer if isinstance(answer, Answer) else recording(answer)

    def send(talk):
        talk.send(answer.bytes(talk.request, talk.fake.url))
        return True
    return send


def play_changed(number, change):
    """Sends a recording whose JSON `change` has changed in place, or whose replacement it returns."""
    answer = recording(number)
    content = answer.json()
    return play(answer.with_json(change(content) or content))


def status(line, body=b"", content_type="application/json; charset=utf-8", **headers):
    named = [(name.replace("_", "-"), value) for name, value in headers.items()]
    return play(Answer(line, [("Content-Type", content_type), *named], body))


def html(line="200 OK"):
    """A portal, or an ingress in front of nothing."""
    return status(line, b"<!DOCTYPE html><html><body>Harbor</body></html>", "text/html")


def garbage(talk):
    talk.send(b"\x00\xffSSH-2.0-nothing of HTTP\r\n\r\n" * 10)
    return False


def broken_json(talk):
    return status("200 OK", b'{"digest":"sha256:abc","tags":[{')(talk)


def huge_body(size):
    return status("200 OK", b'{"digest":"sha256:abc","x":"' + b"x" * size + b'"}')


def huge_headers(talk):
    talk.send(b"HTTP/1.1 200 OK\r\n")
    for i in range(40):
        talk.send(b"X-%d: " % i + b"x" * 4000 + b"\r\n")
    body = recording(6004).body
    talk.send(b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    return True


def endless(talk):
    """A body, or headers where `talk` asks for no body, that do not end until the other side has had enough."""
    talk.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n")
    if talk.request.method != "HEAD":
        talk.send(b"Transfer-Encoding: chunked\r\n\r\n")
    for _ in range(1000):
        talk.send(b"X: y\r\n" * 1000 if talk.request.method == "HEAD" else b"2000\r\n" + b" " * 0x2000 + b"\r\n")
        talk.fake.pause(0.001)
    talk.fake.released.wait()
    return False


def redirect(url):
    return status("302 Found", b"", "text/html", Location=url)


def slow(seconds, then):
    def send(talk):
        talk.fake.pause(seconds)
        return then(talk)
    return send


def cut_off(then, keep=0.5):
    """Only the first part of an answer, then the end."""
    def send(talk):
        whole = []
        then(dataclasses.replace(talk, send=whole.append))
        text = b"".join(whole)
        talk.send(text[:int(len(text) * keep)])
        return False
    return send


def chunked(then):
    """The same answer in pieces, after an informational one."""
    def send(talk):
        whole = []
        then(dataclasses.replace(talk, send=whole.append))
        head, _, body = b"".join(whole).partition(b"\r\n\r\n")
        head = b"\r\n".join(line for line in head.split(b"\r\n") if not line.lower().startswith(b"content-length"))
        talk.send(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + head + b"\r\nTransfer-Encoding: chunked\r\n\r\n")
        for at in range(0, len(body), 100):
            talk.send(b"%x\r\n%s\r\n" % (len(body[at:at + 100]), body[at:at + 100]))
        talk.send(b"0\r\n\r\n")
        return True
    return send


def reset(talk):
    """The connection is torn down without an answer."""
    talk.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return False


def hang(talk):
    """Never answers."""
    talk.fake.released.wait()
    return False


def hold(gate, then):
    """Answers when the threading.Event is set."""
    def send(talk):
        gate.wait(60)
        return then(talk)
    return send


def times(count, first, then):
    """`first` for so many requests, and then the other."""
    left, lock = [count], threading.Lock()

    def send(talk):
        with lock:
            left[0] -= 1
            early = left[0] >= 0
        return (first if early else then)(talk)
    return send


def to_token(then):
    """The proxy's answer to a request that brings a token; else it names its token service."""
    def send(talk):
        return (then if (talk.request.authorization or "").startswith("Bearer ") else CHALLENGE)(talk)
    return send


@dataclasses.dataclass
class Talk:
    """One request, and how to answer it."""
    fake: "FakeHarbor"
    request: Request
    socket: socket.socket
    send: object


# --- the server ---

HEALTHY, LIVE_ROBOT, DEAD_ROBOT = play(1002), play(4029), play(4036)
PRESENT, ABSENT, CHALLENGE = play(6004), play(4026), play(5007)
SERVED, NOT_SERVED, TOKEN, NO_RIGHTS = play(5025), play(5033), play(5014), play(5018)
NO_TAG = play(5031)  # 2.11 to 2.14 say so too of a tag that they have a copy of and that its upstream has deleted
NO_ALLOWLIST, NO_REPORT, SCAN_ACCEPTED = play(3052), play(6015), play(6025)
PROJECTS, NO_ENDPOINT = play(4079), play(3044)


class FakeHarbor:
    """Listens on a free port of `host`, with TLS where a certificate is given.

    `answers` maps a kind of request to what answers it, `images` a (project, repository), or first of all a (project,
    repository, reference), to a dictionary of kinds; both can be changed at any time, `everything` goes before them. `account` is the one that lives."""

    def __init__(self, certificate=None, key=None, host="127.0.0.1"):
        self.requests = []
        self.connections = 0
        self.account, self.another_account = GOOD_ACCOUNT, None
        self.everything = None
        self.images = {}
        self.projects = {"docker-hub-proxy": play(4023), "private-proxy": play(4024)}
        self.answers = {"health": HEALTHY}
        self.wrong_secret_seconds = WRONG_SECRET_SECONDS
        self.tokens_refused = 0          # how many HEADs with a token are answered 401 all the same
        self.released = threading.Event()
        self._lock = threading.Lock()
        self._open = set()
        self._listener = None
        self._context = None
        self._flapping = None
        if certificate:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._context.load_cert_chain(certificate, key)
        # bound and not listening: nobody else gets the port while this Harbor is down
        self._place = socket.socket()
        self._place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._place.bind((host, 0))
        self.port = self._place.getsockname()[1]
        self.host = host
        self.listen()
        self.url = f"{'https' if certificate else 'http'}://{host}:{self.port}"

    # faults of the whole

    def listen(self):
        with self._lock:
            if self._listener:
                return
            self._listener = listener = socket.create_server((self.host, self.port), backlog=256)
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def refuse(self):
        """As if the process had ended: nobody listens, and what was open is closed."""
        with self._lock:
            listener, self._listener = self._listener, None
        if listener:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        self.hang_up()

    def hang_up(self):
        with self._lock:
            for sock in self._open:
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)

    def hang_all(self):
        """Accepts, reads, and says nothing, until `well`."""
        self.released = threading.Event()
        self.everything = hang

    def well(self):
        """All faults of the whole are over."""
        self.everything = None
        self.released.set()
        if self._flapping:
            self._flapping.set()
        self.listen()

    def flap(self, seconds):
        """Goes away and comes back, each for so long, until `well`."""
        self._flapping = stop = threading.Event()

        def run():
            while not stop.wait(seconds):
                (self.refuse if self._listener else self.listen)()
            self.listen()
        threading.Thread(target=run, daemon=True).start()

    def pause(self, seconds):
        time.sleep(seconds)

    def stop(self):
        if self._flapping:
            self._flapping.set()
        self.released.set()
        self.refuse()
        self._place.close()

    # what was asked

    def asked(self, kind=None, repository=None, method=None):
        with self._lock:
            return [r for r in self.requests
                    if (kind is None or r.kind == kind) and (repository is None or r.repository == repository) and
                    (method is None or r.method == method)]

    def forget(self):
        with self._lock:
            self.requests.clear()

    # connections

    def _accept(self, listener):
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock):
        with self._lock:
            self._open.add(sock)
            self.connections += 1
        try:
            stream = sock
            if self._context:
                stream = self._context.wrap_socket(sock, server_side=True, suppress_ragged_eofs=True)
                with self._lock:
                    self._open.discard(sock)
                    self._open.add(stream)
            sock = stream
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            reader = sock.makefile("rb")
            while self._answer(sock, reader):
                pass
        except (OSError, ValueError):
            pass  # the other side has gone, or does not like our certificate
        finally:
            with self._lock:
                self._open.discard(sock)
            with contextlib.suppress(OSError):
                sock.close()

    def _answer(self, sock, reader):
        line = reader.readline().decode("latin-1").rstrip("\r\n")
        if not line:
            return False
        method, target, _ = line.split(" ", 2)
        headers = {}
        while (header := reader.readline().decode("latin-1").rstrip("\r\n")):
            name, _, value = header.partition(":")
            headers[name.lower()] = value.strip()
        body = reader.read(int(headers.get("content-length", 0)))
        request = Request(None, method, target, headers, body, time.monotonic())
        request.kind, request.project, request.repository, request.reference = parse_target(target)
        with self._lock:
            self.requests.append(request)
        return self._choose(request)(Talk(self, request, sock, sock.sendall))

    # what a Harbor would say

    def lives(self, request):
        """None for an anonymous request, else whether the account is alive."""
        if not (request.authorization or "").startswith("Basic "):
            return None
        accounts = [":".join(each) for each in (self.account, self.another_account) if each]
        return base64.b64decode(request.authorization[6:]).decode() in accounts

    def _choose(self, request):
        if self.everything:
            return self.everything
        alive = self.lives(request)
        place = (request.project, request.repository)
        chosen = (self.images.get((*place, request.reference), {}).get(request.kind) or
                  self.images.get(place, {}).get(request.kind) or
                  self.answers.get(request.kind) or getattr(self, "_" + request.kind)(request, alive))
        return chosen if alive is not False else slow(self.wrong_secret_seconds, chosen)

    def _health(self, request, alive):
        return HEALTHY

    def _account(self, request, alive):
        return LIVE_ROBOT if alive else DEAD_ROBOT

    def _project(self, request, alive):
        if request.project == "private-proxy" and not alive:
            return play(4031)
        return self.projects.get(request.project) or play(4025)

    def _existence(self, request, alive):
        """HEAD /projects?project_name=…: whoever lives may know (HeadProject in Harbor's src/server/v2.0/handler)."""
        if not alive:
            return play(6017)
        return status("200 OK") if request.project in self.projects else status("404 Not Found", b"{}")

    def _artifact(self, request, alive):
        return play(4034) if request.project == "private-proxy" and not alive else ABSENT

    _vulnerabilities = _scan = _artifact

    def _allowlist(self, request, alive):
        return NO_ALLOWLIST if alive else play(6017)

    def _projects(self, request, alive):
        return PROJECTS

    def _summary(self, request, alive):
        return NO_ENDPOINT

    def _token(self, request, alive):
        return NO_RIGHTS if request.project == "private-proxy" and not alive else TOKEN

    def _manifest(self, request, alive):
        if not (request.authorization or "").startswith("Bearer "):
            return CHALLENGE
        with self._lock:
            if self.tokens_refused > 0:
                self.tokens_refused -= 1
                return CHALLENGE
        return SERVED if self._stores(request) else NOT_SERVED

    def _stores(self, request):
        """Its upstream has what is in its database, unless a test has it deleted there."""
        place = (request.project, request.repository)
        here = (self.images.get((*place, request.reference), {}).get("artifact") or
                self.images.get(place, {}).get("artifact") or self.answers.get("artifact"))
        return here not in (None, ABSENT)

    def _other(self, request, alive):
        return play(1018)
