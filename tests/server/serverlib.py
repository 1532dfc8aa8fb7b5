"""The program as others see it: a process with two ports, a log on stderr, and files that it reads. Nothing here knows
how it is built."""

import dataclasses
import fcntl
import functools
import http.client
import json
import os
import pathlib
import re
import signal
import socket
import ssl
import subprocess
import threading
import time

HERE = pathlib.Path(__file__).parent
PATIENCE = 30  # seconds for anything that takes milliseconds on an idle machine
F_SETPIPE_SZ = 1031


def wait(question, what, patience=PATIENCE):
    """Asks until the answer is true, and returns it. For what announces itself by no event."""
    deadline = time.monotonic() + patience
    while True:
        answer = question()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {patience} s: {what}; the last answer was {answer!r}")
        time.sleep(0.02)


# --- HTTP, byte by byte ---

@dataclasses.dataclass
class Answer:
    status: int
    reason: str
    headers: list  # of (name, value), as they came
    body: bytes

    def header(self, name):
        """The only value of a header, or None."""
        values = [v for n, v in self.headers if n.lower() == name.lower()]
        assert len(values) <= 1, f"{name} stands {len(values)} times: {self.headers}"
        return values[0] if values else None

    def headers_without_date(self):
        return {name: value for name, value in self.headers if name.lower() != "date"}

    @property
    def text(self):
        return self.body.decode()

    def json(self):
        return json.loads(self.body)


def request(path, body=b"", method="POST", headers=None, content_type="application/json", length=True):
    """The bytes of a request as an API server makes it."""
    lines = [f"{method} {path} HTTP/1.1", "Host: harbor-pilot.harbor-pilot.svc:443"]
    if content_type is not None:
        lines.append(f"Content-Type: {content_type}")
    if length:
        lines.append(f"Content-Length: {len(body)}")
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


class Closed(Exception):
    """The other side closed the connection where an answer was expected."""


class Connection:
    """A connection to the server, from which answers are read one after the other."""

    def __init__(self, sock):
        self.sock = sock
        self.sock.settimeout(PATIENCE)
        self.buffered = b""

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()

    def close(self):
        self.sock.close()

    def send(self, data):
        self.sock.sendall(data)

    def _receive(self):
        try:
            data = self.sock.recv(65536)
        except (ConnectionResetError, ssl.SSLEOFError, ssl.SSLZeroReturnError, BrokenPipeError) as error:
            raise Closed(f"{error}; read before: {self.buffered[:200]!r}") from error
        if not data:
            raise Closed(f"end of stream; read before: {self.buffered[:200]!r}")
        self.buffered += data

    def _take_until(self, mark):
        while mark not in self.buffered:
            self._receive()
        taken, self.buffered = self.buffered.split(mark, 1)
        return taken

    def read(self, head_only=False):
        """The next answer; 100 Continue is one."""
        head = self._take_until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        version, status, reason = head[0].split(" ", 2)
        assert version == "HTTP/1.1", head[0]
        answer = Answer(int(status), reason, [tuple(line.split(": ", 1)) for line in head[1:]], b"")
        length = 0 if head_only or answer.status < 200 else int(answer.header("Content-Length"))
        while len(self.buffered) < length:
            self._receive()
        answer.body, self.buffered = self.buffered[:length], self.buffered[length:]
        return answer

    def ask(self, path, body=b"", **how):
        self.send(request(path, body, **how))
        return self.read(head_only=how.get("method") == "HEAD")

    def post(self, path, review):
        """The answer to a review, given as an object or as bytes."""
        return self.ask(path, review if isinstance(review, bytes) else json.dumps(review).encode())

    def is_closed(self, within=PATIENCE):
        """Whether the other side closes, with nothing more to say, within so many seconds."""
        self.sock.settimeout(within)
        try:
            return self.sock.recv(1) == b""
        except (ConnectionResetError, BrokenPipeError, ssl.SSLEOFError, ssl.SSLZeroReturnError):
            return True
        except TimeoutError:
            return False


# --- metrics ---

SAMPLE = re.compile(r"([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)")
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)",?')


def parse_metrics(text):
    """{(name, frozenset of labels): value} of the Prometheus text format; fails on any line that is none."""
    samples = {}
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        match = SAMPLE.fullmatch(line)
        assert match, f"no sample: {line!r}"
        labels = LABEL.findall(match[2] or "")
        assert LABEL.sub("", match[2] or "") == "", f"no labels: {line!r}"
        key = (match[1], frozenset(labels))
        assert key not in samples, f"twice: {line!r}"
        samples[key] = float(match[3])
    return samples


def select(samples, name, **labels):
    """The samples of a name that carry these labels, as a list of (labels as dict, value)."""
    return [(dict(key[1]), value) for key, value in samples.items()
            if key[0] == name and labels.items() <= dict(key[1]).items()]


def total(samples, name, **labels):
    return sum(value for _, value in select(samples, name, **labels))


# --- the process ---

def openssl(*args):
    subprocess.run(["openssl", *map(str, args)], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


class Certificates:
    """A directory that `certs init` filled."""

    def __init__(self, binary, directory, *args):
        self.directory = pathlib.Path(directory)
        subprocess.run([binary, "certs", "init", "--directory", directory, "--dns-name",
                        "harbor-pilot.harbor-pilot.svc", "--ip-address", "127.0.0.1", *args],
                       check=True, stdout=subprocess.DEVNULL)
        self.ca, self.cert, self.key = (self.directory / n for n in ("ca.crt", "tls.crt", "tls.key"))

    def context(self):
        context = ssl.create_default_context(cafile=self.ca)
        context.check_hostname = True
        return context

    def make_client(self, directory, name, purpose="clientAuth", days=10):
        """A certificate and key for clients, signed by this authority."""
        key, wish, cert, extensions = (directory / f"{name}.{end}" for end in ("key", "csr", "crt", "ext"))
        extensions.write_text(f"extendedKeyUsage = {purpose}\n")
        openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}",
                "-keyout", key, "-out", wish)
        openssl("x509", "-req", "-in", wish, "-CA", self.ca, "-CAkey", self.directory / "ca.key", "-days", days,
                "-set_serial", 7, "-extfile", extensions, "-out", cert)
        return cert, key


@functools.cache
def members_of_events(binary):
    """What the program says of its own log: {event: members}."""
    dump = subprocess.run([binary, "help", "--dump-interface"], capture_output=True, check=True).stdout
    return {event["name"]: event["members"] for event in json.loads(dump)["events"]}


class Server:
    """`harbor-pilot serve`, started and read."""

    def __init__(self, binary, certificates, policies, *args, env=None, stderr=None, before_exec=None, cwd=HERE,
                 ready=True):
        self.binary, self.certificates = binary, certificates
        self.lines = []         # of the log, as bytes
        self._events = {}       # the same, parsed, by event
        self._news = threading.Condition()
        self._ended = False
        self._kept = None
        self.unchecked = False  # the log is not all ours to judge
        paths = [policies] if isinstance(policies, (str, pathlib.Path)) else policies
        command = [binary, "serve", "--tls-cert-file", certificates.cert, "--tls-private-key-file", certificates.key,
                   "--bind-address", "127.0.0.1:0", "--admin-bind-address", "127.0.0.1:0"]
        for path in paths:
            command += ["--policies", path]
        environment = {k: v for k, v in os.environ.items() if not k.startswith("HARBOR_PILOT")}
        self.process = subprocess.Popen([*command, *args], cwd=cwd, env={**environment, **(env or {})},
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.PIPE if stderr is None else stderr, preexec_fn=before_exec)
        if stderr is None:
            self._reader = threading.Thread(target=self._read_log, args=(self.process.stderr,), daemon=True)
            self._reader.start()
            if ready:
                try:
                    self.use_ports_of(self.event("ready"))
                except AssertionError:
                    self.process.kill()
                    self.process.wait()
                    raise

    def use_ports_of(self, line):
        self.port = int(line["bindAddress"].rpartition(":")[2])
        self.admin_port = int(line["adminBindAddress"].rpartition(":")[2])

    # the log

    def _read_log(self, stream):
        for line in stream:
            try:
                parsed = json.loads(line)
            except ValueError:
                parsed = {}
            with self._news:
                self.lines.append(line)
                self._events.setdefault(parsed.get("event"), []).append(parsed)
                self._news.notify_all()
        with self._news:
            self._ended = True
            self._news.notify_all()

    def _await_log(self, question, what, patience=PATIENCE):
        """Asks at each new line until the answer is true, and returns it."""
        deadline = time.monotonic() + patience
        with self._news:
            while not (answer := question()):
                left = deadline - time.monotonic()
                if left <= 0 or self._ended:
                    raise AssertionError(f"not in the log: {what}; its last lines are:\n" +
                                         b"".join(self.lines[-50:]).decode("utf-8", "replace"))
                self._news.wait(left)
            return answer

    def events(self, name):
        """The log lines of an event so far."""
        with self._news:
            return list(self._events.get(name, []))

    def event(self, name, matching=lambda line: True, count=1):
        """Waits for the count-th log line of an event."""
        def found():
            lines = [line for line in reversed(self._events.get(name, [])) if matching(line)]
            return len(lines) >= count and lines[len(lines) - count]
        return self._await_log(found, f"`{name}`, {count} of them")

    def line(self, word, count=1):
        """Waits for the count-th log line with these bytes in it, whatever its form."""
        def found():
            lines = [line for line in self.lines if word in line]
            return len(lines) >= count and lines[count - 1]
        return self._await_log(found, f"{word!r}, {count} of them")

    def check_log(self):
        """What is true of every line: JSON, with the members that each has."""
        for line in self.lines:
            try:
                members = json.loads(line)
            except ValueError as error:
                raise AssertionError(f"a log line is no JSON ({error}): {line!r}") from error
            missing = {"time", "level", "msg", "event"} - members.keys()
            assert not missing, f"a log line lacks {missing}: {line!r}"
            more = members.keys() - {"time", "level", "msg", "event", *members_of_events(self.binary)[members["event"]]}
            assert not more, f"a log line has {more}, which its event is not said to have: {line!r}"
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", members["time"]), line

    # the ports

    def plain_socket(self):
        return socket.create_connection(("127.0.0.1", self.port), PATIENCE)

    def connect(self, context=None):
        """A TLS connection; the server's certificate is verified."""
        return self.connect_over(self.plain_socket(), context)

    def connect_over(self, sock, context=None):
        context = context or self.certificates.context()
        patience = sock.gettimeout()
        connection = Connection(context.wrap_socket(sock, server_hostname="harbor-pilot.harbor-pilot.svc"))
        connection.sock.settimeout(patience)
        return connection

    def post(self, path, review):
        with self.connect() as connection:
            return connection.post(path, review)

    def post_again(self, path, review):
        """The same on a connection that is kept, as an API server does."""
        if self._kept:
            try:
                return self._kept.post(path, review)
            except (Closed, ConnectionError, ssl.SSLError):
                self._kept.close()
        self._kept = self.connect()
        return self._kept.post(path, review)

    def ask(self, path, body=b"", **how):
        with self.connect() as connection:
            return connection.ask(path, body, **how)

    def admin(self, path, method="GET", headers=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.admin_port, timeout=PATIENCE)
        try:
            connection.request(method, path, headers=headers or {})
            answer = connection.getresponse()
            return Answer(answer.status, answer.reason, answer.getheaders(), answer.read())
        finally:
            connection.close()

    def metrics(self):
        return parse_metrics(self.admin("/metrics").text)

    def metric(self, name, **labels):
        return total(self.metrics(), name, **labels)

    def await_ready(self):
        wait(lambda: self.admin("/readyz").status == 200, "/readyz is 200")
        return self

    def await_no_connections(self):
        wait(lambda: self.metric("harborpilot_connections") == 0, "harborpilot_connections is 0")

    # its life

    def signal(self, number):
        self.process.send_signal(number)

    def reload(self):
        """SIGHUP; returns when the policies were read."""
        def loads():
            return len(self._events.get("policies", [])) + len(self._events.get("policies-invalid", []))
        before = loads()
        self.signal(signal.SIGHUP)
        self._await_log(lambda: loads() > before, "a reload")

    def wait_end(self, patience=PATIENCE):
        """The exit status."""
        try:
            return self.process.wait(patience)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the server has not ended within {patience} s") from None

    def stop(self):
        """Ends it at once, and checks that it went well."""
        if self._kept:
            self._kept.close()
        if self.process.poll() is None:
            self.signal(signal.SIGTERM)
            self.signal(signal.SIGINT)  # the second ends it with connections open
        try:
            status = self.wait_end()
        finally:
            self.process.kill()
        if self.process.stderr:
            self._reader.join(PATIENCE)
            self.process.stderr.close()
        text = b"".join(self.lines[-20:]).decode("utf-8", "replace")
        assert status == 0, f"the server ended with {status}; its last lines:\n{text}"
        if not self.unchecked:
            self.check_log()


def small_pipe():
    """A pipe that is full after 4 KiB."""
    reader, writer = os.pipe()
    fcntl.fcntl(writer, F_SETPIPE_SZ, 4096)
    return reader, writer
