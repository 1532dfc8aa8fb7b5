"""Connections and descriptors: what happens at the limits."""

import contextlib
import resource
import select
import socket
import time

import pytest

from reviews import mutate, pod, review
from serverlib import PATIENCE, wait

HANDSHAKE_SECONDS = 10


def limit_files(soft, hard):
    return lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def served(connection):
    return connection.post("/mutate/enforce", review(pod("nginx"))).status == 200


def test_past_max_connections_the_longest_idle_is_closed_for_the_next(start):
    """Nobody has to wait, and the others are not disturbed."""
    server = start("policies", "--max-connections", "8", "--threads", "2").await_ready()
    with contextlib.ExitStack() as stack:
        held = [stack.enter_context(server.connect()) for _ in range(8)]
        for connection in held:
            assert served(connection)
            time.sleep(0.02)  # the order in which they were used is to be told
        assert served(held[0]), "it is not the longest idle any more"
        assert served(stack.enter_context(server.connect()))
        assert held[1].is_closed(), "the longest idle"
        assert all(served(connection) for connection in held[:1] + held[2:])
        line = server.event("connections-closed")
        assert (line["level"], line["port"], line["address"]) == ("warning", "admission", "127.0.0.1"), line
        assert server.metric("harborpilot_connections_closed_total", port="admission", reason="crowded") == line["closed"]
    server.await_no_connections()


def test_what_brings_no_review_is_closed_first(start):
    server = start("policies", "--max-connections", "8").await_ready()
    with contextlib.ExitStack() as stack:
        held = [stack.enter_context(server.connect()) for _ in range(8)]
        assert all(served(connection) for connection in held[:7])
        for _ in range(5):
            assert held[7].ask("/nowhere").status == 404
        assert served(stack.enter_context(server.connect()))
        assert held[7].is_closed()
        assert all(served(connection) for connection in held[:7])


def test_whoever_has_most_is_who_loses_one(start):
    """Also where all that he has look well, and the other's is new."""
    server = start("policies", "--max-connections", "8").await_ready()

    def connect_from(address):
        return server.connect_over(socket.create_connection(("127.0.0.1", server.port), PATIENCE, source_address=(address, 0)))
    with contextlib.ExitStack() as stack:
        one = stack.enter_context(connect_from("127.0.0.2"))
        assert served(one)
        held = [stack.enter_context(connect_from("127.0.0.3")) for _ in range(7)]
        assert all(served(connection) for connection in held)
        others = [stack.enter_context(connect_from("127.0.0.2")) for _ in range(3)]
        assert all(served(connection) for connection in [one, *others])
        left = [connection for connection in held if not connection.is_closed(within=0.2)]
        assert len(left) == 4 and all(served(connection) for connection in left)


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
    """More than may be open, that never speak TLS: each past the most closes another of them, others are served meanwhile,
    and none is there for longer than about 10 s."""
    count, most = 1300, 1024
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
        silent = [stack.enter_context(socket.create_connection(address, PATIENCE)) for _ in range(count)]
        opened = time.monotonic()
        assert opened - began < HANDSHAKE_SECONDS / 2, f"opening them took {opened - began:.1f} s"
        poll = select.poll()
        left = {sock.fileno(): sock for sock in silent}
        for number in left:
            poll.register(number, select.POLLIN)
        kept = None
        while left and time.monotonic() < opened + 3 * HANDSHAKE_SECONDS:
            for number, _ in poll.poll(200):
                with contextlib.suppress(ConnectionResetError):
                    assert left[number].recv(1) == b"", "nothing is said to one that says nothing"
                poll.unregister(number)
                del left[number]
            assert served_elsewhere()
            if kept is None and time.monotonic() > began + HANDSHAKE_SECONDS / 2:
                kept = len(left)
        took = time.monotonic() - opened
        assert not left, f"{len(left)} of {count} silent connections are open after {took:.1f} s"
        assert most - 64 <= kept <= most, f"{kept} were kept, expected about {most} of {count}"
        assert HANDSHAKE_SECONDS / 2 < took < 2 * HANDSHAKE_SECONDS, f"they were cut after {took:.1f} s"
    wait(lambda: server.post("/mutate/enforce", review(pod("nginx"))).status == 200, "the address is served again")
    server.await_no_connections()
    server.stop()


@pytest.mark.background(run=silent_connections)
def test_silent_connections_are_cut_and_keep_nobody_out(background):
    background.result()
