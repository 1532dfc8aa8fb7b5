"""Command lines that are none, and exit statuses that every command has."""

import json
import re
import subprocess

import pytest

from clilib import HERE, OURS, PATIENCE, PLAIN, ROOT, pod

COMMANDS = {
    "serve": ["--policies", OURS, "--tls-cert-file", "x", "--tls-private-key-file", "x"],
    "plan": ["--policies", OURS],
    "explain": ["nginx", "-n", "loki", "--policies", OURS],
    "check": ["--policies", OURS],
    "certs init": ["--directory", "x", "--dns-name", "a.b"],
}


def test_no_command(program):
    result = program(status=2)
    assert "Usage: harbor-pilot COMMAND" in result.err and result.out == ""
    for args in (["--help"], ["-h"], ["help"]):
        result = program(*args)
        assert "Usage: harbor-pilot COMMAND" in result.out and result.err == ""
    result = program("nonsense", status=2)
    assert "`nonsense` is not a command" in result.err and result.out == ""


def test_version(program):
    version = program("version").out
    assert program("--version").out == version
    assert version.startswith("harbor-pilot ") and "commit" in version.splitlines()[0]
    for library in ("libmicrohttpd", "GnuTLS", "OpenSSL", "libyaml", "jansson"):
        assert library in version
    assert program("version", "extra", status=2).err


def test_certs_without_a_command(program):
    assert "certs init" in program("certs", "--help").out
    assert program("certs", status=2).out == ""
    assert "`certs nonsense`" in program("certs", "nonsense", status=2).err


@pytest.mark.parametrize("command", COMMANDS)
def test_help_wins(program, command):
    for args in (["--help"], ["-h"], [*COMMANDS[command], "--help"]):
        result = program(*command.split(), *args)
        assert (
            f"Usage: harbor-pilot {command} [options]" in result.out
            and "\nExample:\n" in result.out
            and result.err == ""
        )


@pytest.mark.parametrize("command", COMMANDS)
def test_options_that_are_none(program, command):
    given = COMMANDS[command]
    for wrong, said in (
        (["--nonsense"], "`--nonsense` is not an option"),
        (["-Z"], "`-Z` is not an option"),
        (["--nonsense=3"], "`--nonsense=3` is not an option"),
        ([given[-2]], "has no value"),
    ):
        if wrong == [given[-2]] and not given[-2].startswith("--"):
            continue
        result = program(*command.split(), *given, *wrong, status=2)
        assert (
            said in result.err and result.err.startswith("harbor-pilot: ") and result.out == ""
        ), result.err
    if command not in ("explain", "plan"):
        assert "`extra`" in program(*command.split(), *given, "extra", status=2).err


@pytest.mark.parametrize(
    "args, said",
    [
        (["plan", "-o", "yaml"], "`table`"),
        (["plan", "--assume-mode", "disabled"], "`audit` or `enforce`"),
        (["explain", "nginx", "-n", "x", "--mode=off"], "`audit` or `enforce`"),
        (["check", "-o", "table"], "`text` or `json`"),
        (["check", "--policies"], "--policies has no value"),
        (["plan", "--live=yes"], "takes no value"),
        (["explain", "-n", "loki"], "0 images, expected one"),
        (["explain", "a", "b", "-n", "loki"], "2 images, expected one"),
        (["explain", "", "-n", "loki"], "empty"),
        (["explain", "nginx"], "--namespace is missing"),
        (["explain", "nginx", "-n", "loki", "--owner", "Deployment/x"], "GROUP/KIND/NAME"),
    ],
)
def test_values_that_are_none(program, args, said):
    if "has no value" not in said:
        args = [*args, "--policies", OURS]
    result = program(*args, status=2)
    assert said in result.err and result.out == ""


@pytest.mark.parametrize(
    "args",
    [
        ["plan", "--policies", OURS],
        ["plan", "--policies", OURS, "-o", "json"],
        ["plan", "--policies", OURS, "-o", "patch"],
        ["plan", "--policies", OURS, "-o", "json", "-f", "-", "-f", "/nowhere.yaml"],
        ["explain", "nginx", "-n", "loki", "--policies", OURS],
        ["explain", "nginx", "-n", "loki", "--policies", OURS, "-o", "json"],
        ["check", "--policies", OURS],
        ["check", "--policies", OURS, "-o", "json"],
        ["version"],
        ["--version"],
        ["certs", "init", "--dns-name", "a.b", "--directory"],
    ],
    ids=" ".join,
)
def test_an_answer_that_cannot_be_written_is_none(program, tmp_path, args):
    """A full disk: status 2 and a sentence, whatever the answer was."""
    if args[-1] == "--directory":
        args = [*args, str(tmp_path / "certs")]
    pods = "".join(json.dumps(pod(f"nginx:{n}", name=f"p{n}")) + "\n" for n in range(200))
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [program.binary, *args],
            cwd=HERE,
            env=PLAIN,
            input=pods,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=PATIENCE,
        )
    assert done.returncode == 2 and "cannot write to standard output" in done.stderr, done


@pytest.mark.parametrize("command", [["plan"], ["explain", "nginx", "-n", "loki"], ["check"]])
def test_invalid_policies(program, command, tmp_path):
    """Each error with its place, all at once, and nothing on standard output but a JSON
    document."""
    bad = tmp_path / "bad.yaml"
    bad.write_text(
        "apiVersion: harbor-pilot.io/v1alpha1\nkind: Policy\nmetadata: {name: p}\n"
        "spec:\n  namespaces: [a]\n"
        "  rollout: 101\n  modee: audit\n"
    )
    for output in ([], ["-o", "json"]):
        result = program(*command, "--policies", bad, *output, status=2)
        if command == ["check"] and output:
            errors = [(e["line"], e["column"]) for e in result.json()["errors"]]
            assert {(6, 12), (7, 3)} <= set(errors)
        else:
            assert (
                f"{bad}:6:12: " in result.err
                and f"{bad}:7:3: " in result.err
                and "expected" in result.err
            )
        if command != ["check"]:
            assert result.out == ""
    for path in (tmp_path / "missing", tmp_path / "empty"):
        (tmp_path / "empty").mkdir(exist_ok=True)
        result = program(*command, "--policies", path, status=2)
        assert str(path) in result.err


def test_certs_init(program, tmp_path):
    directory = tmp_path / "certs"
    command = [
        "certs",
        "init",
        "--directory",
        directory,
        "--dns-name",
        "a.b.svc",
        "--ip-address",
        "127.0.0.1",
    ]
    assert str(directory) in program(*command).out
    assert {p.name: oct(p.stat().st_mode & 0o777) for p in directory.iterdir()} == dict.fromkeys(
        ["ca.crt", "ca.key", "tls.crt", "tls.key"], "0o600"
    )
    before = (directory / "tls.crt").read_bytes()
    assert (
        "--force" in program(*command, status=2).err
        and (directory / "tls.crt").read_bytes() == before
    )
    program(*command, "--force", "--days", "36500", "--ca-days", "36500")
    assert (directory / "tls.crt").read_bytes() != before
    for days in ("0", "36501", "x", "1.5", ""):
        assert "--days" in program(*command, "--force", "--days", days, status=2).err
    assert (
        program("certs", "init", "--directory", tmp_path / "other", status=2).err
        and not (tmp_path / "other").exists()
    )


def test_a_long_certificate_needs_no_second_option(program, tmp_path):
    """--ca-days was not given, so it cannot be what is wrong."""
    program("certs", "init", "--directory", tmp_path / "c", "--dns-name", "a.b", "--days", "4000")


# --- the Makefile ---


def make(*args):
    return subprocess.run(
        ["make", "-s", "--no-print-directory", *args],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )


def test_a_tool_that_is_missing_is_named_with_the_line_that_installs_it(tmp_path):
    done = make("CC=no-such-compiler", f"BUILD={tmp_path}")
    assert done.returncode == 2
    assert "no-such-compiler is missing" in done.stderr
    assert "apt-get install" in done.stderr and "libmicrohttpd-dev" in done.stderr


def test_help_lists_every_target():
    """Those that are phony and meant to be typed."""
    listed = re.findall(r"^make ?([a-z-]*)", make("help").stdout, re.M)
    assert {"install", "format", "check", "man", "clean"} <= set(listed)


def test_install_goes_below_the_prefix(tmp_path):
    commands = make("-n", "install", f"DESTDIR={tmp_path}", "PREFIX=/usr").stdout
    for place in (
        "bin/harbor-pilot",
        "share/man/man1",
        "share/bash-completion/completions/harbor-pilot",
        "share/zsh/site-functions/_harbor-pilot",
    ):
        assert f"{tmp_path}/usr/{place}" in commands
