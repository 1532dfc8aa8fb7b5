"""Connections: whoever opens many keeps nobody else out, neither the API server nor the kubelet."""

import contextlib
import json
import ssl
import time

from conftest import POLICIES
from reviews import pod, review
from serverlib import request
from victims import ApiServer, Attack, Kubelet, cpu_seconds

ADDRESSES = [f"127.0.0.{n}" for n in range(2, 10)]
RATE, P99 = 200, 0.05


def valid():
    return request("/mutate/audit", json.dumps(review(pod("nginx", namespace="apps", name="hold"))).encode()).decode()


def test_ten_thousand_connections_from_eight_addresses(start, slow, seconds):
    """Each holds what it gets, half of them with valid reviews now and then."""
    few = ["--max-connections", "64"] if slow else []  # so that a slow one comes to its mark, too
    server, lasting = start(POLICIES, *few), seconds(60)
    rate, each_second = (50, 40) if slow else (RATE, 10000 / 60)
    with ApiServer(server, rate) as calls, Kubelet(server) as probes:
        order = dict(port=server.port, addresses=ADDRESSES, count=int(each_second * lasting), seconds=lasting,
                     request=valid())
        with Attack("hold", **order) as attack:
            done = attack.wait(lasting + 60)
    print(f"the server used {cpu_seconds(server):.1f} s of CPU")
    calls.check(2 if slow else P99, 0.8 * rate * lasting)
    probes.check()
    assert done["opened"] > 0.8 * order["count"] and done["posted"] > 100, done
    if slow or order["count"] > 1100:
        assert server.metric("harborpilot_connections_closed_total", port="admission", reason="crowded") > 0
        line = server.event("connections-closed")
        assert line["level"] == "warning" and line["port"] == "admission" and line["closed"] > 0, line
        assert line["address"] in ADDRESSES, "it is the attackers' that are closed"
        assert len(server.events("connections-closed")) <= lasting / 10 + 2


def test_slow_handshakes_and_404s_hold_nothing(start, slow):
    """A handshake has ten seconds to its end, whatever it has begun; and what is no review renews nothing."""
    server = start()
    sock = server.plain_socket()
    opened = time.monotonic()
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    hello = server.certificates.context().wrap_bio(incoming, outgoing, server_hostname="a")
    with contextlib.suppress(ssl.SSLWantReadError):
        hello.do_handshake()
    sock.sendall(outgoing.read())
    sock.settimeout(20)
    assert sock.recv(10), "the server's part of the handshake"
    with contextlib.suppress(ConnectionResetError):
        while sock.recv(65536):
            pass
    assert 8 < time.monotonic() - opened < 14, f"it was cut after {time.monotonic() - opened:.1f} s"
    sock.close()
    assert server.metric("harborpilot_connections_closed_total", port="admission", reason="late") == 1
