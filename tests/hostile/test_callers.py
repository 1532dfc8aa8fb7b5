"""--client-ca-file: only who shows a certificate of it may call, whatever the handshake let in."""

import json
import shutil
import ssl

import pytest

from conftest import POLICIES
from reviews import pod, review
from serverlib import Certificates, wait


@pytest.fixture(scope="module")
def authorities(binary, tmp_path_factory):
    return [Certificates(binary, tmp_path_factory.mktemp(f"ca{n}") / "c") for n in range(2)]


def call(server, client=None, **how):
    context = server.certificates.context()
    if client:
        context.load_cert_chain(*client)
    with server.connect(context) as connection:
        return connection.ask("/mutate/enforce", json.dumps(review(pod("nginx"))).encode(), **how)


def test_only_a_certificate_of_the_authority_lets_in(start, authorities, tmp_path):
    ours, other = authorities
    bundle = tmp_path / "clients.crt"
    shutil.copy(ours.ca, bundle)
    good = ours.make_client(tmp_path, "good")
    secret = tmp_path / "secret"
    secret.write_text("s")
    server = start(POLICIES, "--client-ca-file", bundle, "--watch-interval", "200ms", "--events-secret-file", secret)
    assert call(server, good).status == 200
    refused = {"none": None, "another authority": other.make_client(tmp_path, "other"),
               "for servers": ours.make_client(tmp_path, "server", purpose="serverAuth"),
               "expired": ours.make_client(tmp_path, "old", days=-1)}
    for what, client in refused.items():
        answer = call(server, client)
        assert answer.status == 403 and "expected a client certificate" in answer.text, (what, answer)
    assert "without a client certificate" in server.event("client-refused", count=1)["msg"]
    with server.connect() as connection:  # Harbor has none
        assert connection.ask("/harbor/events", b"{}", headers={"Authorization": "s"}).status == 400
    # other authorities from now on, also for connections that are there
    context = server.certificates.context()
    context.load_cert_chain(*good)
    with server.connect(context) as kept:
        assert kept.post("/mutate/enforce", review(pod("nginx"))).status == 200
        shutil.copy(other.ca, bundle)
        wait(lambda: call(server, refused["another authority"]).status == 200, "the other authority's are let in")
        assert kept.post("/mutate/enforce", review(pod("nginx"))).status == 403
        bundle.write_text("nonsense")
        server.event("client-ca-invalid")
        assert call(server, refused["another authority"]).status == 200, "the last good one stays"


@pytest.mark.parametrize("text", [None, "", "nonsense"])
def test_a_start_without_authorities_ends(binary, certificates, tmp_path, text):
    from serverlib import Server
    bundle = tmp_path / "clients.crt"
    if text is not None:
        bundle.write_text(text)
    server = Server(binary, certificates, POLICIES, "--client-ca-file", bundle, ready=False)
    assert server.wait_end() == 2
    assert str(bundle) in server.event("start-failed")["msg"]
