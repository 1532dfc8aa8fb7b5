"""`certs init`: what it writes, how, and what it refuses."""

import os
import ssl
import stat
import subprocess
import time

import pytest

from reviews import pod, review
from serverlib import Certificates, Connection

FILES = ["ca.crt", "ca.key", "tls.crt", "tls.key"]


@pytest.fixture
def init(binary):
    def run(directory, *args, umask=None):
        return subprocess.run([binary, "certs", "init", "--directory", directory, *map(str, args)], capture_output=True,
                              text=True, preexec_fn=(lambda: os.umask(umask)) if umask is not None else None)
    return run


@pytest.fixture
def directory(places):
    return places.new_directory() / "out"


def contents(directory):
    return {name: (directory / name).read_bytes() for name in sorted(os.listdir(directory))}


def check_refused(result, *words):
    assert result.returncode == 2, (result.returncode, result.stderr)
    assert result.stdout == "" and result.stderr.startswith("harbor-pilot: ") and result.stderr.count("\n") == 1, result
    for word in words:
        assert word in result.stderr, f"{word!r} is not in {result.stderr!r}"


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o277], ids=oct)
def test_it_writes_four_files_for_their_owner_only(init, directory, umask):
    result = init(directory, "--dns-name", "a.b.svc", umask=umask)
    assert result.returncode == 0 and result.stderr == "", result
    assert "ca.key" in result.stdout
    assert sorted(os.listdir(directory)) == FILES, "and nothing else"
    for name in FILES:
        assert stat.S_IMODE(os.stat(directory / name).st_mode) == 0o600, name
    assert stat.S_IMODE(os.stat(directory).st_mode) & 0o077 == 0


def test_an_existing_directory_keeps_what_else_is_in_it(init, directory):
    directory.mkdir()
    (directory / "mine").write_text("x")
    assert init(directory, "--dns-name", "a.b.svc").returncode == 0
    assert (directory / "mine").read_text() == "x"


@pytest.mark.parametrize("there", FILES)
def test_it_does_not_overwrite(init, directory, there):
    directory.mkdir()
    (directory / there).write_text("precious")
    check_refused(init(directory, "--dns-name", "a.b.svc"), f"{directory}/{there}", "--force", "expected")
    assert contents(directory) == {there: b"precious"}, "and nothing else is written"


def test_force_replaces_all_four(init, directory):
    init(directory, "--dns-name", "a.b.svc")
    before = contents(directory)
    assert init(directory, "--dns-name", "a.b.svc", "--force").returncode == 0
    after = contents(directory)
    assert after.keys() == before.keys()
    assert all(after[name] != before[name] for name in FILES)


def test_force_that_fails_keeps_the_old_ones(init, directory):
    init(directory, "--dns-name", "a.b.svc")
    before = contents(directory)
    os.unlink(directory / "tls.crt")
    (directory / "tls.crt").mkdir()  # cannot be replaced by a file
    result = init(directory, "--dns-name", "a.b.svc", "--force")
    assert result.returncode == 2 and "tls.crt" in result.stderr, result
    (directory / "tls.crt").rmdir()
    after = contents(directory)
    assert after == {name: before[name] for name in FILES if name != "tls.crt"}


@pytest.mark.parametrize("args,words", [
    ([], ["expected at least one"]),
    (["--dns-name", ""], ["--dns-name", "expected"]), (["--dns-name", "a..b"], ["a..b", "expected"]), (["--dns-name", "-a.b"], ["-a.b"]),
    (["--dns-name", "a b"], ["a b", "expected"]), (["--dns-name", "a.b."], ["a.b.", "expected"]),
    (["--dns-name", "a" * 64 + ".b"], ["expected"]), (["--dns-name", ".".join(["a" * 60] * 5)], ["expected at most 253"]),
    (["--dns-name", "10.0.0.1"], ["IP address", "expected a DNS name"]), (["--dns-name", "a_b.svc"], ["a_b"]),
    (["--dns-name", "a\nb"], ["expected"]), (["--dns-name", "*"], ["expected"]),
    (["--ip-address", "10.0.0"], ["10.0.0", "expected"]), (["--ip-address", "a.b.svc"], ["a.b.svc", "expected"]),
    (["--ip-address", "10.0.0.1/8"], ["10.0.0.1/8"]), (["--ip-address", ""], ["--ip-address", "expected"]),
    (["--dns-name", "a.b", "--days", "0"], ["--days", "`0`", "expected"]),
    (["--dns-name", "a.b", "--days", "-1"], ["--days", "expected"]),
    (["--dns-name", "a.b", "--days", "ten"], ["--days", "`ten`", "expected"]),
    (["--dns-name", "a.b", "--days", "9999999999"], ["--days", "expected"]),
    (["--dns-name", "a.b", "--ca-days", "0"], ["--ca-days", "expected"]),
    (["--dns-name", "a.b", "--days", "100", "--ca-days", "99"], ["99", "expected"]),
    (["--dns-name", "a.b", "extra"], ["extra"]), (["--dns-name"], ["--dns-name has no value", "expected"]),
    (["--dns-nam", "a.b"], ["--dns-nam"]), (["--dns-name", "a.b", "--force=x"], ["--force"])], ids=str)
def test_usage_errors(init, directory, args, words):
    check_refused(init(directory, *args), *words)
    assert not directory.exists(), "nothing is made for a call that is refused"


def test_directory_is_missing(binary):
    check_refused(subprocess.run([binary, "certs", "init", "--dns-name", "a.b"], capture_output=True, text=True),
                  "--directory is missing", "expected")


@pytest.mark.parametrize("what", ["no parent", "a file"])
def test_directories_that_cannot_be(init, directory, what):
    if what == "no parent":
        path = directory / "deeper"
    else:
        path = directory
        path.write_text("x")
    check_refused(init(path, "--dns-name", "a.b"), str(path))


def test_environment_variables_are_not_for_it(binary, directory):
    result = subprocess.run([binary, "certs", "init", "--dns-name", "a.b"], capture_output=True, text=True,
                            env={"HARBOR_PILOT_DIRECTORY": str(directory)})
    assert result.returncode == 2 and not directory.exists()


# --- what the files say, as Python's ssl sees it ---

def served(server, context, name):
    connection = Connection(context.wrap_socket(server.plain_socket(), server_hostname=name))
    with connection:
        assert connection.post("/mutate/enforce", review(pod("nginx"))).status == 200
        return connection.sock.getpeercert()


def test_names_and_addresses_and_times(places, start, directory):
    began = int(time.time())
    certificates = Certificates(places.binary, directory, "--dns-name", "second.svc", "--dns-name", "*.third.svc",
                                "--ip-address", "::1", "--days", "30", "--ca-days", "60")
    server = start(certificates=certificates)
    context = ssl.create_default_context(cafile=certificates.ca)
    for name in ("harbor-pilot.harbor-pilot.svc", "second.svc", "x.third.svc", "127.0.0.1", "::1"):
        peer = served(server, context, name)
    for name in ("other.svc", "a.b.third.svc", "127.0.0.2"):
        with pytest.raises(ssl.SSLCertVerificationError):
            served(server, context, name)
    assert len(peer["subjectAltName"]) == 5
    end = ssl.cert_time_to_seconds(peer["notAfter"])
    assert abs(end - (began + 30 * 86400)) < 3600, peer["notAfter"]
    assert ssl.cert_time_to_seconds(peer["notBefore"]) < began, "clocks differ: valid from a little before"
    ca = context.get_ca_certs()[0]
    assert abs(ssl.cert_time_to_seconds(ca["notAfter"]) - (began + 60 * 86400)) < 3600
    assert peer["issuer"] == ca["subject"] == ca["issuer"]
    assert peer["serialNumber"] != ca["serialNumber"]


def test_a_strict_client_takes_it(places, start):
    """RFC 5280 to the letter, as Python 3.13 and Go look at it."""
    server = start()
    context = ssl.create_default_context(cafile=places.certificates.ca)
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    served(server, context, "harbor-pilot.harbor-pilot.svc")


def test_another_authority_does_not_vouch_for_it(places, start, directory):
    server = start()
    other = Certificates(places.binary, directory)
    with pytest.raises(ssl.SSLCertVerificationError):
        served(server, ssl.create_default_context(cafile=other.ca), "harbor-pilot.harbor-pilot.svc")
