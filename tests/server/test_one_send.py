"""An answer's headers and body leave in one segment, at once, whatever was answered before it on the same connection and
however slowly it is read."""

import contextlib
import json
import select
import socket
import ssl
import struct
import time

import pytest

from reviews import check_response, container, pod, review
from serverlib import PATIENCE, request

DATA_SEGMENTS_IN = 152  # in the kernel's struct tcp_info
REVIEWS = 20
STALL_SECONDS = 0.15    # the kernel holds the end of a message back for 200 ms where nobody pushes it


def segments(connection):
    """How many segments with data the client's kernel got."""
    info = connection.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 192)
    return struct.unpack_from("I", info, DATA_SEGMENTS_IN)[0]


def large(count):
    return review(pod(*(container(f"c{i}", f"nginx:1.{i}") for i in range(count)), name="large"))


def bare():
    return review(pod("registry.example.com/app:1", namespace="nowhere"))


KINDS = {  # some answers are below the 1,400 bytes at which libmicrohttpd holds headers back by itself, some above
    "a small answer": lambda: ("POST", "/mutate/enforce", json.dumps(bare()).encode(), 200),
    "a patch": lambda: ("POST", "/mutate/enforce", json.dumps(large(1)).encode(), 200),
    "a large patch": lambda: ("POST", "/mutate/enforce", json.dumps(large(25)).encode(), 200),
    "an audit": lambda: ("POST", "/mutate/audit", json.dumps(large(3)).encode(), 200),
    "no review": lambda: ("POST", "/mutate/enforce", b"{}", 400),
    "no such path": lambda: ("POST", "/nowhere", b"{}", 404),
    "no method of ours": lambda: ("PUT", "/mutate/enforce", b"{}", 405),
    "without a body": lambda: ("HEAD", "/mutate/enforce", b"", 405),
}


def ask(connection, kind):
    """The seconds and the segments that the answer took."""
    method, path, body, status = KINDS[kind]()
    before, began = segments(connection), time.monotonic()
    answer = connection.ask(path, body, method=method)
    took = time.monotonic() - began
    assert answer.status == status, answer
    return took, segments(connection) - before


def check_no_stall(times):
    """One may be late on a busy machine. Where something is held back, most are."""
    late = [took for took in times if took > STALL_SECONDS]
    assert len(late) <= len(times) / 4 and sum(times) < len(times) * STALL_SECONDS, times


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "no method of ours"])
def test_each_answer_on_a_kept_connection_is_one_segment(server, kind):
    with server.connect() as connection:
        ask(connection, "a patch")  # what belongs to the handshake has come, too
        asked = [ask(connection, kind) for _ in range(REVIEWS)]
    check_no_stall([took for took, _ in asked])
    assert {count for _, count in asked} == {1}, asked


def test_whatever_was_answered_before(server):
    with server.connect() as connection:
        ask(connection, "a patch")
        asked = [(kind, *ask(connection, kind)) for _ in range(4) for before in KINDS for kind in (before, "a patch")]
    check_no_stall([took for _, took, _ in asked])
    assert {count for kind, _, count in asked if kind != "no method of ours"} == {1}, asked


def test_an_answer_larger_than_a_record_comes_whole(server):
    """GnuTLS makes records of 16 KiB."""
    sent = large(600)
    with server.connect() as connection:
        for _ in range(REVIEWS):
            answer = connection.post("/mutate/enforce", sent)
            check_response(sent, answer)
            assert len(answer.body) > 3 * 16 * 1024


def test_the_last_answer_of_a_connection_comes_whole(server):
    for kind in KINDS:
        method, path, body, status = KINDS[kind]()
        with server.connect() as connection:
            connection.send(request(path, body, method=method, headers={"Connection": "close"}))
            answer = connection.read(head_only=method == "HEAD")
            assert (answer.status, answer.header("Connection")) == (status, "close")
            assert connection.is_closed()


class SlowClient:
    """Reads a little at a time from a socket that takes 8 KiB, and writes meanwhile: one thread for both, since an OpenSSL
    connection is none for two."""

    def __init__(self, server):
        self.sock = socket.socket()
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 1000)  # loopback's 64 KiB would never fit
        self.sock.connect(("127.0.0.1", server.port))
        self.sock.settimeout(PATIENCE)
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = server.certificates.context().wrap_bio(self.incoming, self.outgoing,
                                                          server_hostname="harbor-pilot.harbor-pilot.svc")
        self._handshake()

    def _handshake(self):
        while True:
            try:
                self.tls.do_handshake()
                self.sock.sendall(self.outgoing.read())
                return
            except ssl.SSLWantReadError:
                self.sock.sendall(self.outgoing.read())
                self.incoming.write(self.sock.recv(4096))

    def exchange(self, asked, size):
        """Sends all of it and returns the first `size` bytes of the answers; reads only what it has to at first."""
        self.tls.write(asked)
        unsent, answers, deadline = self.outgoing.read(), b"", time.monotonic() + 2 * PATIENCE
        while len(answers) < size:
            assert time.monotonic() < deadline, f"{len(answers)} of {size} bytes came, {len(unsent)} are unsent"
            readable, writable, _ = select.select([self.sock], [self.sock] if unsent else [], [], PATIENCE)
            if writable:  # as long as the server takes something, nothing is read: the buffers fill
                unsent = unsent[self.sock.send(unsent[:65536], socket.MSG_DONTWAIT):]
            elif readable:
                self.incoming.write(self.sock.recv(1500))
                with contextlib.suppress(ssl.SSLWantReadError):
                    while True:
                        answers += self.tls.read(65536)
        return answers


def test_a_slow_reader_gets_every_byte(server):
    """Each answer leaves in many parts, and the server meets a full socket at each point of one."""
    sizes = [1, 40, 3, 200, 7, 1, 1, 90] * 50
    sent = {size: large(size) for size in sizes}
    with server.connect() as usual:
        expected = {}
        for size, one in sent.items():
            answer = usual.post("/mutate/enforce", one)
            check_response(one, answer)
            expected[size] = answer.body
    client = SlowClient(server)
    asked = b"".join(request("/mutate/enforce", json.dumps(sent[size]).encode()) for size in sizes)
    headers = f"HTTP/1.1 200 OK\r\nDate: {' ' * 29}\r\nContent-Type: application/json\r\nContent-Length: \r\n\r\n"
    whole = sum(len(headers) + len(str(len(expected[size]))) + len(expected[size]) for size in sizes)
    answers = client.exchange(asked, whole)
    client.sock.close()
    for size in sizes:
        head, _, answers = answers.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 OK\r\n") and f"Content-Length: {len(expected[size])}".encode() in head, head
        body, answers = answers[:len(expected[size])], answers[len(expected[size]):]
        assert body == expected[size]
    assert answers == b""
    assert server.post("/mutate/enforce", review(pod("nginx"))).status == 200
