"""Who must not notice: the API server, with its calls, and the kubelet, with its probes."""

import collections
import json
import pathlib
import select
import socket
import subprocess
import sys
import threading
import time

from reviews import pod, review
from serverlib import Closed, request

HERE = pathlib.Path(__file__).parent
CALL_SECONDS = 10  # what the API server waits where a configuration says nothing


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def cpu_seconds(server):
    """What the server has used of its processors."""
    fields = pathlib.Path(f"/proc/{server.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


class ApiServer:
    """Calls at a rate over kept connections, as Go's client makes them: a connection that the other side has closed while
    it lay idle is not used again, and one that ends while it is used is a call lost, since a POST is not sent twice. Now
    and then a thread gives its connection up and opens another."""

    def __init__(self, server, rate, threads=8, renew=50, context=None, address="127.0.0.1"):
        self.server, self.context, self.address = server, context or server.certificates.context(), address
        self.each, self.renew = threads / rate, renew
        self.took, self.errors, self.opened = [], collections.Counter(), 0
        self.lock, self.stop = threading.Lock(), threading.Event()
        self.threads = [threading.Thread(target=self._run, args=(i * self.each / threads,)) for i in range(threads)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *unused):
        self.stop.set()
        for thread in self.threads:
            thread.join()

    def _open(self):
        sock = socket.create_connection(("127.0.0.1", self.server.port), CALL_SECONDS, source_address=(self.address, 0))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self.lock:
            self.opened += 1
        return self.server.connect_over(sock, self.context)

    def _call(self, connection, number):
        body = json.dumps(review(pod("nginx:1.27", name=f"api-{number}"))).encode()
        connection.sock.settimeout(CALL_SECONDS)
        connection.send(request("/mutate/enforce?timeout=2s", body))
        answer = connection.read()
        assert answer.status == 200, f"status {answer.status}: {answer.text}"
        assert answer.json()["response"]["allowed"] and "patch" in answer.json()["response"], answer.text
        return connection

    def _run(self, offset):
        connection, used, due = None, 0, time.monotonic() + offset
        while not self.stop.wait(max(0, due - time.monotonic())):
            due += self.each
            if connection and (used >= self.renew or select.select([connection.sock], [], [], 0)[0]):
                connection.close()
                connection, used = None, 0
            began, what = time.monotonic(), None
            fresh = connection is None
            try:
                connection = self._call(connection or self._open(), used)
                used += 1
            except (OSError, Closed, AssertionError, ValueError) as error:
                what = f"{'a new' if fresh else 'a kept'} connection: {type(error).__name__}: {error}"[:160]
                if connection:
                    connection.close()
                connection, used = None, 0
            with self.lock:
                self.took.append(time.monotonic() - began)
                if what:
                    self.errors[what] += 1

    def check(self, p99, least):
        lost = sum(self.errors.values())
        figures = (f"{len(self.took)} calls, {lost} lost, p50 {percentile(self.took, 0.5) * 1000:.1f} ms, p99 "
                   f"{percentile(self.took, 0.99) * 1000:.1f} ms, most {max(self.took) * 1000:.0f} ms, "
                   f"{self.opened} connections")
        print(figures)
        assert lost == 0, f"{figures}: {dict(self.errors)}"
        assert len(self.took) >= least, f"{figures}; expected {least} calls"
        assert percentile(self.took, 0.99) < p99, figures


class Kubelet:
    """A probe a second, each on a connection of its own, with a second for the answer."""

    def __init__(self, server, seconds=1.0, path="/livez"):
        self.server, self.seconds, self.path = server, seconds, path
        self.took, self.errors = [], []
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._run)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *unused):
        self.stop.set()
        self.thread.join()

    def _probe(self):
        with socket.create_connection(("127.0.0.1", self.server.admin_port), self.seconds) as sock:
            sock.settimeout(self.seconds)
            sock.sendall(f"GET {self.path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
            answer = sock.recv(4096)
            assert answer.startswith(b"HTTP/1.1 200"), answer[:100]

    def _run(self):
        while not self.stop.wait(0.25):
            began = time.monotonic()
            try:
                self._probe()
            except (OSError, AssertionError) as error:
                self.errors.append(repr(error))
            self.took.append(time.monotonic() - began)

    def check(self):
        figures = f"{len(self.took)} probes, {len(self.errors)} failed, slowest {max(self.took) * 1000:.0f} ms"
        print(figures)
        assert not self.errors, f"{figures}: {self.errors[:5]}"
        assert max(self.took) < self.seconds, figures


class Attack:
    """attackers.py at work."""

    def __init__(self, kind, **order):
        self.process = subprocess.Popen([sys.executable, str(HERE / "attackers.py"), json.dumps({"kind": kind, **order})],
                                        stdout=subprocess.PIPE, text=True)
        self.done = None

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def wait(self, patience):
        """Until it has ended; what it says it has done."""
        self.process.wait(patience)
        self.done = json.loads(self.process.stdout.read())
        print(self.done)
        return self.done
