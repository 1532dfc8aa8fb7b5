"""The end: SIGTERM loses no answer, tells clients to go elsewhere, and ends when they have gone or at the timeout."""

import json
import signal
import socket
import threading

import pytest

from reviews import check_response, pod, review
from serverlib import request, wait

LATE = "100s"


def begin_draining(server, number=signal.SIGTERM):
    server.signal(number)
    return server.event("draining")


def check_last(answer, sent):
    check_response(sent, answer)
    assert answer.header("Connection") == "close", answer.headers


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda n: n.name)
def test_without_connections_it_ends_at_once(start, number):
    server = start("policies", "--shutdown-timeout", LATE).await_ready()
    server.signal(number)
    assert server.wait_end() == 0
    server.event("ended")


def test_before_it_nothing_says_close(server):
    sent = review(pod("nginx"))
    assert server.post("/mutate/enforce", sent).header("Connection") is None


def test_in_flight_and_later_answers_are_not_lost(start):
    server = start("policies", "--shutdown-timeout", LATE).await_ready()
    sent = [review(pod("nginx")) for _ in range(4)]
    body = json.dumps(sent[0]).encode()
    with server.connect() as in_flight, server.connect() as kept, server.connect() as untouched:
        in_flight.send(request("/mutate/enforce", body)[:-10])
        check_response(sent[1], kept.post("/mutate/enforce", sent[1]))
        begin_draining(server)
        wait(lambda: server.admin("/readyz").status == 503, "/readyz is 503")
        assert "draining" in server.admin("/readyz").text
        assert server.admin("/livez").status == 200, "it lives until it ends"
        in_flight.send(body[-10:])
        check_last(in_flight.read(), sent[0])
        assert in_flight.is_closed()
        check_last(kept.post("/mutate/enforce", sent[2]), sent[2])
        assert kept.is_closed()
        with server.connect() as late:  # an API server that has not heard of it yet
            check_last(late.post("/mutate/enforce", sent[3]), sent[3])
        assert server.process.poll() is None, "a connection is still open"
        check_last(untouched.post("/validate/enforce", sent[3]), sent[3])
    assert server.wait_end() == 0
    server.event("ended")


@pytest.mark.parametrize("path,how,status", [("/nowhere", {}, 404), ("/mutate/enforce", {"method": "GET"}, 405),
                                             ("/mutate/enforce", {"content_type": "text/plain"}, 415),
                                             ("/mutate/enforce", {}, 400)], ids=str)
def test_refusals_say_close_as_well(start, path, how, status):
    server = start("policies", "--shutdown-timeout", LATE).await_ready()
    with server.connect() as held:
        begin_draining(server)
        answer = held.ask(path, b"{}", **how)
        assert (answer.status, answer.header("Connection")) == (status, "close")
        assert held.is_closed()
    assert server.wait_end() == 0


def test_pipelined_requests_get_at_least_the_first_answer(start):
    """What comes after a `Connection: close` may be dropped (RFC 9112 9.6), but not half answered."""
    server = start("policies", "--shutdown-timeout", LATE).await_ready()
    sent = [review(pod("nginx")) for _ in range(3)]
    with server.connect() as held:
        begin_draining(server)
        held.send(b"".join(request("/mutate/enforce", json.dumps(one).encode()) for one in sent))
        check_last(held.read(), sent[0])
        assert held.is_closed()
    assert server.wait_end() == 0


def test_under_load_no_answer_is_lost(start):
    """Clients that reconnect when told to, as Go's do: from the signal to the end every request sent is answered."""
    server = start("policies", "--shutdown-timeout", LATE).await_ready()
    answered, failures, hold = [], [], server.connect()

    def work():
        connection = server.connect()
        try:
            while True:
                sent = review(pod("nginx"))
                answer = connection.post("/mutate/enforce", sent)
                check_response(sent, answer)
                answered.append(answer.header("Connection"))
                if answer.header("Connection") == "close":
                    connection.close()
                    if answered.count("close") > 40:
                        return
                    connection = server.connect()
        except BaseException as error:
            failures.append(error)
    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    wait(lambda: len(answered) > 50, "clients are busy")
    begin_draining(server)
    for thread in threads:
        thread.join()
    hold.close()
    assert server.wait_end() == 0
    assert not failures, failures
    first = answered.index("close")
    assert answered[first:].count(None) <= 4, "an answer after the signal does not say close"


def test_at_the_timeout_it_ends_with_connections_open(start):
    server = start("policies", "--shutdown-timeout", "1s").await_ready()
    with server.connect() as idle, server.connect() as half:
        half.send(request("/mutate/enforce", b"x" * 100)[:-50])
        with server.plain_socket():  # not even a handshake
            server.signal(signal.SIGTERM)
            assert server.wait_end() == 0
        assert idle.is_closed()


def test_the_timeout_is_0(start):
    server = start("policies", "--shutdown-timeout", "0s").await_ready()
    with server.connect():
        server.signal(signal.SIGTERM)
        assert server.wait_end() == 0


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT], ids=lambda n: n.name)
def test_a_second_signal_ends_it_at_once(start, second):
    server = start("policies", "--shutdown-timeout", "1h").await_ready()
    with server.connect() as held:
        begin_draining(server)
        sent = review(pod("nginx"))
        server.admin("/livez")
        assert server.process.poll() is None
        server.signal(second)
        assert server.wait_end() == 0
        assert held.is_closed(), sent


def test_sighup_while_draining_does_not_end_it(start):
    server = start("policies", "--shutdown-timeout", LATE).await_ready()
    with server.connect() as held:
        begin_draining(server)
        for _ in range(3):
            server.signal(signal.SIGHUP)
        sent = review(pod("nginx"))
        check_last(held.post("/mutate/enforce", sent), sent)
    assert server.wait_end() == 0


def test_the_admin_port_does_not_hold_it(start):
    """A Prometheus keeps its connection; that is no reason to wait."""
    server = start("policies", "--shutdown-timeout", LATE).await_ready()
    with socket.create_connection(("127.0.0.1", server.admin_port)):
        server.signal(signal.SIGTERM)
        assert server.wait_end() == 0


def test_the_ports_are_free_afterwards(start):
    first = start().await_ready()
    with first.connect() as held:
        held.post("/mutate/enforce", review(pod("nginx")))
        first.signal(signal.SIGTERM)
        first.signal(signal.SIGINT)
        first.wait_end()
    second = start("policies", "--bind-address", f"127.0.0.1:{first.port}", "--admin-bind-address",
                   f"127.0.0.1:{first.admin_port}")
    assert (second.port, second.admin_port) == (first.port, first.admin_port)

