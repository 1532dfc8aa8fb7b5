"""The serving certificate is replaced while it serves."""

import os
import shutil
import signal
import ssl
import threading

import pytest

from reviews import pod, review
from serverlib import Certificates, wait

NEVER = "24h"


def serial(connection):
    return connection.sock.getpeercert()["serialNumber"]


class Mount:
    """A directory with a pair, to be replaced as a kubelet or a careless person does it."""

    def __init__(self, places):
        self.places = places
        self.directory = places.new_directory()
        self.ca = self.directory / "trusted.crt"
        self.trusted = ""
        self.cert, self.key = self.directory / "tls.crt", self.directory / "tls.key"
        self.put(self.make())

    def make(self):
        return Certificates(self.places.binary, self.places.new_directory() / "new")

    def trust(self, pair):
        """All authorities so far stay trusted."""
        self.trusted += pair.ca.read_text()
        (self.directory / "tmp").write_text(self.trusted)
        os.rename(self.directory / "tmp", self.ca)

    def put(self, pair, cert=True, key=True):
        if pair.ca.read_text() not in self.trusted:
            self.trust(pair)
        for wanted, source, target in ((cert, pair.cert, self.cert), (key, pair.key, self.key)):
            if wanted:
                shutil.copy(source, self.directory / "tmp")
                os.rename(self.directory / "tmp", target)

    def context(self):
        return ssl.create_default_context(cafile=self.ca)


@pytest.fixture
def mount(places):
    return Mount(places)


def new_serial(server):
    with server.connect() as connection:
        return serial(connection)


def serves(server):
    with server.connect() as connection:
        return connection.post("/mutate/enforce", review(pod("nginx"))).status == 200


@pytest.mark.parametrize("how", ["SIGHUP", "watch"])
def test_a_new_pair_is_for_new_handshakes_and_old_connections_live_on(start, mount, how):
    server = start("policies", "--watch-interval", NEVER if how == "SIGHUP" else "100ms", certificates=mount).await_ready()
    expiry = server.metric("harborpilot_certificate_expiry_timestamp_seconds")
    with server.connect() as old:
        first = serial(old)
        assert old.post("/mutate/enforce", review(pod("nginx"))).status == 200
        mount.put(mount.make())
        if how == "SIGHUP":
            server.signal(signal.SIGHUP)
        server.event("certificate", count=2)
        with server.connect() as new:
            assert serial(new) != first
            assert new.post("/mutate/enforce", review(pod("nginx"))).status == 200
        assert serial(old) == first
        assert old.post("/mutate/enforce", review(pod("nginx"))).status == 200
    assert server.metric("harborpilot_certificate_expiry_timestamp_seconds") >= expiry
    assert server.metric("harborpilot_policy_generation") == (2 if how == "SIGHUP" else 1)


@pytest.mark.parametrize("what", ["key of another", "certificate of another", "no key", "empty", "nonsense", "half"])
def test_a_pair_that_does_not_fit_keeps_the_one_before(start, mount, what):
    server = start("policies", "--watch-interval", "100ms", certificates=mount).await_ready()
    first = new_serial(server)
    new = mount.make()
    if what in ("key of another", "certificate of another"):
        mount.put(new, cert=what.startswith("certificate"), key=what.startswith("key"))
    elif what == "no key":
        mount.key.unlink()
    else:
        text = new.cert.read_text()
        mount.cert.write_text({"empty": "", "nonsense": "hello\n", "half": text[:len(text) // 2]}[what])
    line = server.event("certificate-invalid")
    assert line["level"] == "error" and "last good" in line["msg"], line
    assert str(mount.cert) in line["msg"] or str(mount.key) in line["msg"], line
    assert new_serial(server) == first
    assert server.admin("/readyz").status == 200
    mount.put(new)
    server.event("certificate", count=2)
    wait(lambda: new_serial(server) != first, "the whole pair is served")


def test_a_bad_pair_is_not_complained_about_at_each_look(start, mount, policies):
    """Every 10 s by default, for as long as nobody mends it: a line for each change is enough."""
    server = start(policies, "--watch-interval", "100ms", certificates=mount).await_ready()
    mount.key.write_text("nonsense")
    server.event("certificate-invalid")
    for count in range(2, 8):  # each change of the policies that is seen is another look
        (policies / "90-more.yaml").write_text(f"# {count}\n")
        server.event("policies", count=count)
    assert len(server.events("certificate-invalid")) == 1
    mount.cert.write_text("other nonsense")
    server.event("certificate-invalid", count=2)
    mount.put(mount.make())
    server.event("certificate", count=2)


def test_replaced_under_load(start, mount):
    """Handshakes go on while pairs are replaced; none fails."""
    server = start("policies", "--watch-interval", "100ms", certificates=mount).await_ready()
    pairs = [mount.make() for _ in range(3)]
    for pair in pairs:
        mount.trust(pair)  # before it is used
    failures, stop, serials = [], threading.Event(), set()

    def work():
        try:
            while not stop.is_set():
                with server.connect() as connection:
                    serials.add(serial(connection))
                    assert connection.post("/mutate/enforce", review(pod("nginx"))).status == 200
        except BaseException as error:
            failures.append(error)
    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for count in range(9):
        mount.put(pairs[count % 3])
        server.event("certificate", count=count + 2)
    stop.set()
    for thread in threads:
        thread.join()
    assert not failures, failures
    assert len(serials) >= 3, serials


def test_an_old_session_is_not_resumed_into_nonsense(start, mount):
    """A client that resumes a session of the certificate before is served, by resuming or anew."""
    server = start("policies", "--watch-interval", "100ms", certificates=mount).await_ready()
    context = mount.context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with server.connect(context) as connection:
        connection.post("/mutate/enforce", review(pod("nginx")))
        session = connection.sock.session
    new = mount.make()
    mount.put(new)
    context.load_verify_locations(new.ca)
    server.event("certificate", count=2)
    with context.wrap_socket(server.plain_socket(), server_hostname="harbor-pilot.harbor-pilot.svc", session=session) as sock:
        assert sock.version() == "TLSv1.2"
    assert serves(server)
