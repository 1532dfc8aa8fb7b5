"""Connections and descriptors: what happens at the limits."""

import contextlib
import resource
import select
import socket
import ssl
import threading
import time

import pytest

from reviews import mutate, pod, review
from serverlib import PATIENCE, Closed, wait

HANDSHAKE_SECONDS = 10


def limit_files(soft, hard):
    return lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def served(connection):
    return connection.post("/mutate/enforce", review(pod("nginx"))).status == 200


def test_past_max_connections_the_next_waits_for_its_turn(start):
    """Neither refused nor forgotten: it is answered when others have gone, and those that are open are not disturbed."""
    server = start("policies", "--max-connections", "8", "--threads", "2").await_ready()
    held, refused = [], None
    try:
        while refused is None and len(held) < 50:
            sock = server.plain_socket()
            sock.settimeout(1)
            try:
                connection = server.connect_over(sock)
                assert served(connection)
                held.append(connection)
            except (TimeoutError, ssl.SSLError, ConnectionError, Closed) as error:
                refused = error
                sock.close()
        assert refused and 4 <= len(held) <= 8, f"{len(held)} connections are served at once, expected at most 8"
        assert all(served(connection) for connection in held)
        assert server.admin("/readyz").status == 200
        answers = []
        thread = threading.Thread(target=lambda: answers.append(server.post("/mutate/enforce", review(pod("nginx")))))
        thread.start()
        while held:
            held.pop().close()
        thread.join()
        assert [answer.status for answer in answers] == [200], "the one that waited is answered"
    finally:
        for connection in held:
            connection.close()
    server.await_no_connections()


def test_the_limit_of_open_files_is_raised(start):
    server = start(before_exec=limit_files(64, 4096)).await_ready()
    assert 1024 < server.metric("process_max_fds") <= 4096, "1024 connections and what else is open"


def test_a_limit_that_cannot_be_raised_is_a_warning(start):
    server = start(before_exec=limit_files(64, 256)).await_ready()
    line = server.event("file-limit")
    assert line["level"] == "warning" and "--max-connections" in line["msg"] and "256" in line["msg"], line
    assert server.metric("process_max_fds") == 256
    mutate(server, review(pod("nginx")))


def test_without_descriptors_it_goes_on_with_what_it_has(start):
    """More connections than open files: it neither ends nor forgets those that it has."""
    server = start(before_exec=limit_files(48, 48)).await_ready()
    held = [server.connect()]
    assert served(held[0])
    more = [server.plain_socket() for _ in range(100)]
    assert all(served(held[0]) for _ in range(20))
    assert server.process.poll() is None
    for sock in more:
        sock.close()
    wait(lambda: server.post("/mutate/enforce", review(pod("nginx"))).status == 200, "new ones are served again")
    held[0].close()
    mutate(server, review(pod("nginx")))


def silent_connections(places):
    """A thousand that never speak TLS: from one address, so that at most three quarters of all are taken, and others are
    served meanwhile; and none for longer than about 10 s."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < 4096:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))
    server = places.start().await_ready()
    address = ("127.0.0.1", server.port)

    def served_elsewhere():
        sock = socket.create_connection(address, PATIENCE, source_address=("127.0.0.2", 0))
        with server.connect_over(sock) as connection:
            return served(connection)
    with contextlib.ExitStack() as stack:
        began = time.monotonic()
        silent = [stack.enter_context(socket.create_connection(address, PATIENCE)) for _ in range(1000)]
        opened = time.monotonic()
        assert opened - began < HANDSHAKE_SECONDS, f"opening them took {opened - began:.1f} s"
        poll = select.poll()
        left = {sock.fileno(): sock for sock in silent}
        for number in left:
            poll.register(number, select.POLLIN)
        at_once = kept = None
        while left and time.monotonic() < opened + 3 * HANDSHAKE_SECONDS:
            for number, _ in poll.poll(200):
                with contextlib.suppress(ConnectionResetError):
                    assert left[number].recv(1) == b"", "nothing is said to one that says nothing"
                poll.unregister(number)
                del left[number]
            assert served_elsewhere()
            if at_once is None and time.monotonic() > began + HANDSHAKE_SECONDS / 2:
                at_once, kept = 1000 - len(left), len(left)
        took = time.monotonic() - opened
        assert not left, f"{len(left)} of 1,000 silent connections are open after {took:.1f} s"
        assert at_once == 1000 - 768 and kept == 768, f"{at_once} were refused, expected those past 3/4 of 1,024"
        assert HANDSHAKE_SECONDS / 2 < took < 2 * HANDSHAKE_SECONDS, f"they were cut after {took:.1f} s"
    wait(lambda: server.post("/mutate/enforce", review(pod("nginx"))).status == 200, "the address is served again")
    server.await_no_connections()
    server.stop()


@pytest.mark.background(run=silent_connections)
def test_silent_connections_are_cut_and_keep_nobody_out(background):
    background.result()
