"""The command line: exit statuses, messages that name the flag and say what was expected, environment variables."""

import re
import shutil
import signal
import socket
import subprocess
import time

import pytest

from reviews import pod, review
from serverlib import HERE, PATIENCE, Certificates


class Result:
    def __init__(self, done):
        self.status, self.out, self.err = done.returncode, done.stdout, done.stderr


@pytest.fixture
def run(binary):
    """Runs the program to its end; what serves on is ended, and its status is that of a start that went well: 0."""
    def begin(*args, env=None):
        process = subprocess.Popen([binary, *map(str, args)], cwd=HERE, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True, env={"PATH": "/usr/bin:/bin", **(env or {})})
        lines = []
        for line in process.stderr:
            lines.append(line)
            if '"event":"ready"' in line:
                process.send_signal(signal.SIGTERM)
        out = process.stdout.read()
        process.wait(PATIENCE)
        return Result(subprocess.CompletedProcess(args, process.returncode, out, "".join(lines)))
    return begin


@pytest.fixture
def needed(places):
    return {"policies": "policies", "tls-cert-file": places.certificates.cert,
            "tls-private-key-file": places.certificates.key, "bind-address": "127.0.0.1:0",
            "admin-bind-address": "127.0.0.1:0"}


def flags(**values):
    return [f"--{name}={value}" for name, value in values.items()]


def serve(run, needed, *more, without=(), env=None):
    return run("serve", *flags(**{k: v for k, v in needed.items() if k not in without}), *more, env=env)


def check_usage(result, *words):
    assert result.status == 2, (result.status, result.err)
    assert result.out == "", "messages go to stderr"
    assert result.err.startswith("harbor-pilot: ") and result.err.count("\n") == 1, result.err
    for word in words:
        assert word in result.err, f"{word!r} is not in {result.err!r}"


# --- serve: usage ---

@pytest.mark.parametrize("flag", ["policies", "tls-cert-file", "tls-private-key-file"])
def test_what_is_required_is_missing(run, needed, flag):
    check_usage(serve(run, needed, without=[flag]), f"--{flag} is missing", "expected")


ALL_FLAGS = ["policies", "tls-cert-file", "tls-private-key-file", "bind-address", "admin-bind-address", "client-ca-file",
             "events-secret-file", "metrics-token-file", "threads", "shutdown-timeout", "max-connections", "watch-interval", "log-format"]


@pytest.mark.parametrize("flag", ALL_FLAGS)
def test_a_flag_without_its_value(run, needed, flag):
    check_usage(serve(run, needed, f"--{flag}"), f"--{flag} has no value", "expected")


@pytest.mark.parametrize("flag", [f for f in ALL_FLAGS if f not in ("client-ca-file", "events-secret-file", "metrics-token-file")])
def test_usage_an_empty_value(run, needed, flag):
    result = serve(run, needed, f"--{flag}=", without=[flag])
    assert result.status == 2, f"--{flag}= is taken: {result.err}"
    check_usage(result, f"--{flag}", "expected")


DURATIONS = ["10", "s", "10x", "-5s", "+5s", "1 s", " 1s", "1s ", "1s1", "25h", "1e3s", "0x10s", ".5s", "nans", "infs", "1,5s", "1d",
             "99999999999999999999h"]
BAD = [("threads", value) for value in ("0", "-1", "257", "two", "1.5", "0x2", "+2", " 2", "2 ", "99999999999999999999")] + \
      [("max-connections", value) for value in ("0", "7", "-1", "1000001", "many", "1e3")] + \
      [("shutdown-timeout", value) for value in DURATIONS] + [("watch-interval", value) for value in DURATIONS] + \
      [("log-format", value) for value in ("xml", "JSON", "tex", "jsonx")]


@pytest.mark.parametrize("flag,value", BAD)
def test_usage_a_bad_value(run, needed, flag, value):
    check_usage(serve(run, needed, f"--{flag}={value}"), f"--{flag}", f"`{value}`", "expected")


@pytest.mark.parametrize("flag", ["bind-address", "admin-bind-address"])
@pytest.mark.parametrize("value", ["8443", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:65536", "127.0.0.1:-1",
                                   "localhost.example:1", "::1:80", "[::1]", "[::1", "300.1.1.1:1", "a" * 500 + ":1"],
                         ids=lambda value: value[:20])
def test_a_bad_address(run, needed, flag, value):
    result = serve(run, needed, f"--{flag}={value}", without=[flag])
    assert result.status == 2, result.err
    assert f"--{flag}" in result.err and "expected" in result.err, result.err


@pytest.mark.parametrize("flag", ["bind-address", "admin-bind-address"])
def test_an_address_in_use(run, needed, flag):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = "127.0.0.1:%d" % taken.getsockname()[1]
        result = serve(run, needed, f"--{flag}={address}", without=[flag])
    assert result.status == 2
    assert address in result.err and "in use" in result.err, result.err
    assert '"ready"' not in result.err


@pytest.mark.parametrize("value", ["--strict=yes", "--strict=true"])
def test_a_flag_that_takes_no_value(run, needed, value):
    check_usage(serve(run, needed, value), "--strict takes no value")


@pytest.mark.parametrize("arg", ["--polices=x", "--nothing", "-x", "--thread=2", "--", "extra", "---", "--=x"])
def test_what_is_no_flag(run, needed, arg):
    args = [arg] if arg != "--" else ["--", "extra"]
    check_usage(serve(run, needed, *args), args[-1], "--help")


def test_watch_interval_0_does_not_spin(run, needed, start):
    """Refused, or harmless: a server that does nothing takes no time."""
    result = serve(run, needed, "--watch-interval=0s")
    if result.status == 2:
        check_usage(result, "--watch-interval", "`0s`", "expected")
        return
    server = start("policies", "--watch-interval", "0s").await_ready()
    before = server.metrics()[("process_cpu_seconds_total", frozenset())]
    time.sleep(1)  # that is what is measured
    used = server.metrics()[("process_cpu_seconds_total", frozenset())] - before
    assert used <= 0.05, f"{used} s of CPU in a second without work"


def test_the_last_of_two_counts(run, needed):
    assert serve(run, needed, "--threads=1", "--threads", "2").err.count('"threads":2') == 1


# --- serve: files ---

@pytest.mark.parametrize("flag", ["tls-cert-file", "tls-private-key-file"])
@pytest.mark.parametrize("what", ["missing", "directory", "empty", "nonsense", "huge"])
def test_a_bad_certificate_file(run, needed, places, flag, what):
    path = places.new_directory() / "file"
    if what == "directory":
        path.mkdir()
    elif what != "missing":
        path.write_bytes({"empty": b"", "nonsense": b"hello\n", "huge": b"x" * (64 << 20)}[what])
    result = serve(run, needed, f"--{flag}={path}", without=[flag])
    assert result.status == 2
    assert str(path) in result.err and '"ready"' not in result.err, result.err


def test_a_pair_that_does_not_fit(run, needed, places):
    other = Certificates(places.binary, places.new_directory() / "other")
    result = serve(run, needed, f"--tls-private-key-file={other.key}", without=["tls-private-key-file"])
    assert result.status == 2
    assert str(other.key) in result.err and str(needed["tls-cert-file"]) in result.err, result.err


def test_strict_ends_on_broken_policies(run, needed, places):
    path = places.new_directory() / "a.yaml"
    shutil.copy(HERE / "policies" / "10-harbor.yaml", path)
    path.write_text(path.read_text().replace("registries:", "registrys:"))
    result = serve(run, needed, f"--policies={path}", "--strict", without=["policies"])
    assert result.status == 2
    assert f"{path}:6:3: " in result.err and "registrys" in result.err and "expected" in result.err, result.err
    assert '"ready"' not in result.err
    assert serve(run, needed, f"--policies={path}", without=["policies"]).status == 0, "without --strict it serves"


def test_strict_starts_with_good_policies(run, needed):
    assert serve(run, needed, "--strict").status == 0


# --- serve: environment ---

def test_flags_as_environment_variables(run, needed):
    env = {"HARBOR_PILOT_" + name.upper().replace("-", "_"): str(value) for name, value in needed.items()}
    result = serve(run, needed, without=needed, env={**env, "HARBOR_PILOT_THREADS": "3", "HARBOR_PILOT_STRICT": "true"})
    assert result.status == 0, result.err
    assert '"threads":3' in result.err


def test_the_command_line_wins(run, needed):
    result = serve(run, needed, "--threads=2", env={"HARBOR_PILOT_THREADS": "nonsense"})
    assert result.status == 0 and '"threads":2' in result.err, result.err


@pytest.mark.parametrize("name,value,words", [
    ("HARBOR_PILOT_THREADS", "0", ["threads", "`0`"]), ("HARBOR_PILOT_SHUTDOWN_TIMEOUT", "soon", ["shutdown-timeout", "`soon`"]),
    ("HARBOR_PILOT_LOG_FORMAT", "xml", ["log-format", "`xml`"]), ("HARBOR_PILOT_STRICT", "yes", ["STRICT", "`yes`"])])
def test_bad_environment_variables(run, needed, name, value, words):
    check_usage(serve(run, needed, env={name: value}), *words, "expected")


def test_strict_in_the_environment(run, needed, places):
    empty = places.new_directory()
    for value, status in (("true", 2), ("false", 0), ("", 0)):
        result = serve(run, needed, f"--policies={empty}", without=["policies"], env={"HARBOR_PILOT_STRICT": value})
        assert result.status == status, (value, result.err)


def test_unknown_environment_variables_are_ignored(run, needed):
    """Kubernetes makes these for a Service called harbor-pilot."""
    result = serve(run, needed, env={
        "HARBOR_PILOT_SERVICE_HOST": "10.0.0.1", "HARBOR_PILOT_SERVICE_PORT": "443", "HARBOR_PILOT_PORT": "tcp://10.0.0.1:443",
        "HARBOR_PILOT_SERVICE_PORT_HTTPS": "443", "HARBOR_PILOT_PORT_443_TCP": "tcp://10.0.0.1:443",
        "HARBOR_PILOT_PORT_443_TCP_PROTO": "tcp", "HARBOR_PILOT_PORT_443_TCP_ADDR": "10.0.0.1", "HARBOR_PILOT_": "x",
        "HARBOR_PILOT_NO_SUCH_FLAG": "x"})
    assert result.status == 0, result.err
    warned = [line for line in result.err.splitlines() if "unknown-variable" in line]
    assert len(warned) == 2 and "HARBOR_PILOT_NO_SUCH_FLAG is none of an option" in "".join(warned)
    assert "10.0.0.1" not in result.err and "=x" not in result.err and "SERVICE" not in result.err


def test_a_misspelled_variable_is_named_at_the_start(run, needed):
    """Those of other Services in the namespace are none, nor is what every command knows."""
    result = serve(run, needed, env={
        "HARBOR_PILOT_BIND_ADRESS": "[::]:1", "HARBOR_PILOT_NAMESPACE": "hp", "HARBOR_PILOT_WATCH_INTERVAL": "10s",
        "HARBOR_PILOT_METRICS_SERVICE_HOST": "10.0.0.1", "HARBOR_PILOT_METRICS_PORT_8080_TCP_ADDR": "10.0.0.1"})
    warned = [line for line in result.err.splitlines() if "unknown-variable" in line]
    assert result.status == 0 and len(warned) == 1 and "HARBOR_PILOT_BIND_ADRESS " in warned[0]
    assert '"level":"warn' in warned[0]


# --- serve: addresses ---

@pytest.mark.parametrize("address,shown", [("127.0.0.1:0", r"127\.0\.0\.1:\d+"), ("localhost:0", r"127\.0\.0\.1:\d+"),
                                           ("0.0.0.0:0", r"0\.0\.0\.0:\d+"), ("[::1]:0", r"\[::1\]:\d+"),
                                           ("[::]:0", r"\[::\]:\d+"), (":0", r"(\[::\]|0\.0\.0\.0):\d+")])
def test_addresses(run, needed, address, shown):
    if address.startswith("[") and not has_ipv6():
        pytest.skip("there is no IPv6 here")
    result = serve(run, needed, f"--bind-address={address}", without=["bind-address"])
    assert result.status == 0, result.err
    assert re.search(rf'"bindAddress":"{shown}"', result.err), result.err


def has_ipv6():
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
        return True
    except OSError:
        return False


def test_the_wildcard_takes_both_families(start):
    if not has_ipv6():
        pytest.skip("there is no IPv6 here")
    server = start("policies", "--bind-address", "[::]:0").await_ready()
    assert server.post("/mutate/enforce", review(pod("nginx"))).status == 200  # by 127.0.0.1
    socket.create_connection(("::1", server.port), PATIENCE).close()


# --- the program ---

def test_no_command_shows_help_and_is_2(run):
    result = run()
    assert result.status == 2 and "Usage: harbor-pilot COMMAND" in result.err and result.out == ""


@pytest.mark.parametrize("args", [["--help"], ["-h"], ["help"]], ids=str)
def test_help_is_0(run, args):
    result = run(*args)
    assert result.status == 0 and "Usage: harbor-pilot COMMAND" in result.out and result.err == ""
    for command in ("serve", "certs", "version"):
        assert command in result.out


@pytest.mark.parametrize("args", [["nothing"], ["--nothing"], ["Serve"], ["certs", "nothing"], ["version", "nothing"]], ids=str)
def test_unknown_commands_are_2(run, args):
    result = run(*args)
    assert result.status == 2 and result.out == "" and result.err.startswith("harbor-pilot: "), (result.out, result.err)


@pytest.mark.parametrize("command", [["serve"], ["certs", "init"]], ids=" ".join)
def test_help_of_a_command_has_an_example(run, command):
    result = run(*command, "--help")
    assert result.status == 0 and result.err == ""
    assert f"Usage: harbor-pilot {' '.join(command)}" in result.out and "Example:" in result.out


def test_help_lists_every_flag(run):
    text = run("serve", "--help").out
    for flag in [*ALL_FLAGS, "strict"]:
        assert f"--{flag}" in text, f"--{flag} is not in --help"


@pytest.mark.parametrize("args", [["version"], ["--version"]], ids=str)
def test_version(run, args):
    result = run(*args)
    assert result.status == 0 and result.err == ""
    first, *libraries = result.out.splitlines()
    match = re.fullmatch(r"harbor-pilot (\S+) \(commit ([0-9a-f]{7,40}|unknown)\)", first)
    assert match, first
    assert match[1] == (HERE.parent.parent / "VERSION").read_text().strip(), "the file VERSION says so"
    assert re.fullmatch(r"\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?", match[1]), f"SemVer, not {match[1]}"
    assert {line.split(" ")[0] for line in libraries} >= {"libmicrohttpd", "GnuTLS", "OpenSSL", "libyaml"}
    assert all(re.fullmatch(r"\S+ \d\S*", line) for line in libraries), libraries
