"""Everything at once: reviews, refusals, reloads, new certificates, scrapes, connections that come and go, and the end. It says
most under ThreadSanitizer, which makes a race an exit status, but the answers must be right in any build."""

import os
import shutil
import signal
import ssl
import threading

import pytest

from reviews import HARBOR, apply, check_response, images, owner, patch_of, pod, review
from serverlib import Certificates, parse_metrics

ROUNDS = 25


@pytest.mark.parametrize("cores", [1, None])
def test_as_many_threads_as_cores_and_at_most_four(start, cores):
    own = sorted(os.sched_getaffinity(0))[:cores]
    server = start("policies", before_exec=lambda: os.sched_setaffinity(0, own)).await_ready()
    assert server.event("ready")["threads"] == min(len(own), 4)


def test_everything_at_once(places, start, policies):
    pairs = [Certificates(places.binary, places.new_directory() / "pair") for _ in range(2)]
    served = places.new_directory()
    trusted = served / "trusted.crt"
    trusted.write_text("".join(pair.ca.read_text() for pair in pairs))

    class Mount:
        cert, key = served / "tls.crt", served / "tls.key"

        @staticmethod
        def context():
            return ssl.create_default_context(cafile=trusted)

    def put(pair):
        for source, target in ((pair.cert, Mount.cert), (pair.key, Mount.key)):
            shutil.copy(source, served / "tmp")
            os.rename(served / "tmp", target)
    put(pairs[0])
    server = start(policies, "--threads", "4", "--watch-interval", "100ms", certificates=Mount).await_ready()
    failures, stop, done = [], threading.Event(), []

    def worker(work):
        def run():
            try:
                while not stop.is_set():
                    work()
                    done.append(work.__name__)
            except BaseException as error:
                failures.append(f"{work.__name__}: {error!r}")
                stop.set()
        return threading.Thread(target=run)

    def pods():
        with server.connect() as connection:
            for _ in range(10):
                sent = review(pod("nginx", "quay.io/a/b", owners=[owner("apps/v1", "ReplicaSet", f"r-{len(done) % 3}")]))
                response = check_response(sent, connection.post("/mutate/enforce", sent))
                after = images(apply(sent["request"]["object"], patch_of(response)))
                assert all(image.startswith(HARBOR) for image in after.values()), after

    def refusals():
        with server.connect() as connection:
            assert connection.ask("/mutate/enforce", b"{}").status == 400
            assert connection.ask("/nowhere", b"{}").status == 404
            connection.send(b"POST /mutate/audit HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")

    def scrapes():
        parse_metrics(server.admin("/metrics").text)
        assert server.admin("/livez").status == 200

    def changes():
        put(pairs[len(done) % 2])
        text = "" if len(done) % 3 else "kind: [\n"  # broken now and then
        (policies / "90-more.yaml").write_text(text or "# nothing\n")
        server.signal(signal.SIGHUP)
    threads = [worker(work) for work in (pods, pods, pods, refusals, scrapes, changes)]
    for thread in threads:
        thread.start()
    server.event("review", count=3)
    server.event("policies", count=ROUNDS)
    server.event("certificate", count=3)
    server.event("policies-invalid", count=1)
    stop.set()
    for thread in threads:
        thread.join()
    assert not failures, failures
    assert {"pods", "refusals", "scrapes", "changes"} <= set(done)
    server.await_no_connections()
    sent = review(pod("nginx"))
    with server.connect() as held:
        server.signal(signal.SIGTERM)
        server.event("draining")
        assert held.post("/mutate/enforce", sent).header("Connection") == "close"
    assert server.wait_end() == 0
