"""TLS: versions, ciphers, names, and what is no TLS at all."""

import socket
import ssl
import subprocess
import warnings

import pytest

from reviews import pod, review
from serverlib import PATIENCE


def context_of(server, version, ciphers=None):
    context = server.certificates.context()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of TLS 1.0 and 1.1
        context.minimum_version = context.maximum_version = version
    if ciphers:
        context.set_ciphers(ciphers)
    return context


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=lambda v: v.name)
def test_tls_1_2_and_1_3_are_spoken(server, version):
    with server.connect(context_of(server, version)) as connection:
        assert connection.sock.version() == version.name.replace("_", ".")
        assert connection.post("/mutate/enforce", review(pod("nginx"))).status == 200


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1], ids=lambda v: v.name)
def test_older_tls_is_refused(server, version):
    context = context_of(server, version, "ALL:@SECLEVEL=0")
    with pytest.raises((ssl.SSLError, ConnectionResetError)) as refusal:
        server.connect(context).close()
    if "NO_PROTOCOLS_AVAILABLE" in str(refusal.value):
        pytest.skip(f"the OpenSSL of this Python does not speak {version.name}")
    assert server.post("/mutate/enforce", review(pod("nginx"))).status == 200


@pytest.mark.parametrize("ciphers", ["AES256-GCM-SHA384", "ECDHE-ECDSA-AES256-SHA384:ECDHE-RSA-AES256-SHA384",
                                     "ECDHE-ECDSA-AES128-SHA:ECDHE-RSA-AES128-SHA", "AES128-SHA"])
def test_ciphers_without_forward_secrecy_or_authentication_are_refused(server, ciphers):
    with pytest.raises((ssl.SSLError, ConnectionResetError)):
        server.connect(context_of(server, ssl.TLSVersion.TLSv1_2, ciphers + ":@SECLEVEL=0")).close()


def test_http_1_1_of_alpn_is_not_refused(server):
    """The API server offers exactly this (CONTRACTS A1)."""
    context = server.certificates.context()
    context.set_alpn_protocols(["http/1.1"])
    with server.connect(context) as connection:
        assert connection.sock.selected_alpn_protocol() in (None, "http/1.1")
        assert connection.post("/mutate/enforce", review(pod("nginx"))).status == 200


@pytest.mark.parametrize("name", [None, "127.0.0.1", "other.example.com"])
def test_any_or_no_server_name_gets_the_certificate(server, name):
    context = server.certificates.context()
    context.check_hostname = False
    with context.wrap_socket(server.plain_socket(), server_hostname=name) as sock:
        names = {value for kind, value in sock.getpeercert()["subjectAltName"] if kind == "DNS"}
        assert names == {"harbor-pilot.harbor-pilot.svc"}


def test_a_client_that_does_not_trust_the_authority_harms_nobody(server):
    for _ in range(5):
        with pytest.raises(ssl.SSLCertVerificationError):
            server.connect(ssl.create_default_context())
    assert server.post("/mutate/enforce", review(pod("nginx"))).status == 200


@pytest.mark.parametrize("data", [b"POST /mutate/enforce HTTP/1.1\r\nHost: x\r\n\r\n", b"GET / HTTP/1.0\r\n\r\n",
                                  b"\0" * 1000, b"\xff" * 100000, b"\x16\x03\x01\xff\xff" + b"a" * 70000,
                                  b"\x80\x2e\x01\x00\x02" * 10, b"SSH-2.0-x\r\n"],
                         ids=["POST", "GET", "zeros", "ones", "record", "SSLv2", "SSH"])
def test_what_is_no_tls_is_cut_and_harms_nobody(server, data):
    with server.plain_socket() as sock:
        sock.settimeout(PATIENCE)
        received = b""
        try:
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)
            while piece := sock.recv(4096):
                received += piece
        except (ConnectionResetError, BrokenPipeError, OSError) as error:
            assert not isinstance(error, TimeoutError), "the server keeps what is no TLS"
        assert not received.startswith(b"HTTP"), received
    assert server.post("/mutate/enforce", review(pod("nginx"))).status == 200


def test_connections_that_never_say_a_word_disturb_nobody(server):
    silent = [server.plain_socket() for _ in range(50)]
    try:
        for _ in range(20):
            assert server.post("/mutate/enforce", review(pod("nginx"))).status == 200
    finally:
        for sock in silent:
            sock.close()


def test_the_admin_port_speaks_no_tls(server):
    with pytest.raises((ssl.SSLError, ConnectionResetError)):
        with socket.create_connection(("127.0.0.1", server.admin_port), PATIENCE) as sock:
            server.certificates.context().wrap_socket(sock, server_hostname="harbor-pilot.harbor-pilot.svc")
    assert server.admin("/livez").status == 200


def test_a_chain_is_sent_whole(start, places):
    """The leaf first, then what follows it in the file."""
    certificates = places.certificates
    chain = places.new_directory() / "chain.crt"
    chain.write_bytes(certificates.cert.read_bytes() + certificates.ca.read_bytes())
    server = start("policies", "--tls-cert-file", chain)
    assert server.post("/mutate/enforce", review(pod("nginx"))).status == 200
    try:
        shown = subprocess.run(["openssl", "s_client", "-showcerts", "-connect", f"127.0.0.1:{server.port}"],
                               stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE).stdout.decode()
    except FileNotFoundError:
        pytest.skip("there is no openssl program to look at a chain with")
    sent = [shown.find(pem.read_text().strip()) for pem in (certificates.cert, certificates.ca)]
    assert -1 < sent[0] < sent[1], shown
