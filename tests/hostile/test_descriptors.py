"""Fewer descriptors than connections: neither silence nor a busy loop, nor a log that only says so."""

import resource
import time

from conftest import POLICIES
from victims import ApiServer, Attack, cpu_seconds

ADDRESSES = [f"127.0.0.{n}" for n in range(2, 6)]


def test_out_of_descriptors(start, slow, seconds):
    lasting = seconds(8)
    server = start(POLICIES, before_exec=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (128, 128)))
    with ApiServer(server, 20) as calls:
        order = dict(port=server.port, addresses=ADDRESSES, tls=False, count=100 * lasting, seconds=lasting)
        with Attack("hold", **order) as attack:
            time.sleep(lasting / 2)
            before, lines = cpu_seconds(server), len(server.lines)
            time.sleep(lasting / 2 - 0.5)
            used, said = cpu_seconds(server) - before, len(server.lines) - lines
            attack.wait(60)
    print(f"{used:.2f} s of CPU, {said} lines")
    calls.check(5 if slow else 1, 10 * lasting)
    noise = [line for line in server.lines if b'"event":"review"' not in line]
    assert len(noise) < 20, noise[-5:]
    assert slow or used < 0.25 * (lasting / 2), f"{used:.2f} s of CPU in {lasting / 2} s"
