"""The completion scripts, run in the shells that they are for."""

import re
import shutil
import subprocess

import pytest

from shells import COMPLETION, Shell
from test_manpages import PAGES, commands_of, help_of, help_options

FILES = ["apps.yaml", "with space.yaml", "policies/"]


@pytest.fixture(scope="module", params=["bash", "zsh"])
def shell(request, tmp_path_factory):
    if not shutil.which(request.param):
        pytest.skip(f"{request.param} is not installed")
    directory = tmp_path_factory.mktemp("directory")
    (directory / "policies").mkdir()
    for name in FILES[:2]:
        (directory / name).touch()
    one = Shell(request.param, directory, tmp_path_factory.mktemp("scratch"))
    one.name = request.param
    yield one
    one.end()


def names(offered):
    """Without the ways in which shells write a directory and a space."""
    return sorted(name.rstrip("/").replace("\\ ", " ") for name in offered)


def forms(program, command):
    """Each option of --help in each of its forms: {"-o": "text|json", "--output": "text|json"};
    flags have None."""
    found = {}
    for form, _ in help_options(help_of(program, command)).values():
        options, _, value = (
            form.partition(" --")
            if form.startswith("-") and not form.startswith("--")
            else ("", "", form)
        )
        long, _, value = (value if not options else "--" + value).partition(" ")
        for option in filter(None, [options.rstrip(","), long]):
            found[option] = value or None
    return found


def test_commands(shell, program):
    listed = set(re.findall(r"^  ([a-z]+) ", program("--help").out, re.M))
    assert listed == commands_of(program)
    assert {o for o in shell.offers("harbor-pilot ") if not o.startswith("-")} == listed
    assert shell.offers("harbor-pilot ex") == ["explain"]
    assert {"--help", "--version"} <= set(shell.offers("harbor-pilot --"))
    assert "init" in shell.offers("harbor-pilot certs ")


@pytest.mark.parametrize("command", [*PAGES, "version"])
def test_options(shell, program, command):
    wanted = set(forms(program, command)) if command in PAGES else {"--help"}
    assert set(shell.offers(f"harbor-pilot {command} -")) - {"-h"} == wanted


@pytest.mark.parametrize("command", PAGES)
def test_words_and_files(shell, program, command):
    """A value of words completes to them, a file to files, and anything else to nothing."""
    for option, value in forms(program, command).items():
        if value is None:
            continue
        offered = shell.offers(f"harbor-pilot {command} {option} ")
        if "|" in value:
            assert offered == value.split("|"), option
            if option.startswith("--"):
                assert shell.offers(f"harbor-pilot {command} {option}=") == value.split("|"), option
            assert shell.offers(f"harbor-pilot {command} {option} {value[:2]}") == [
                value.split("|")[0]
            ], option
        elif value in ("FILE", "PATH"):
            assert names(offered) == names(FILES), option
            assert names(shell.offers(f"harbor-pilot {command} {option} ap")) == [
                "apps.yaml"
            ], option
        elif value == "DIR":
            assert names(offered) == ["policies"], option
        elif value != "P":
            assert offered == [], option


def test_files_after_an_equals_sign(shell):
    assert names(shell.offers("harbor-pilot plan --filename=ap")) == ["apps.yaml"]
    assert names(shell.offers("harbor-pilot check --policies=po")) == ["policies"]


def test_after_other_options(shell):
    line = "harbor-pilot plan --policies policies -f apps.yaml -o "
    assert shell.offers(line) == ["table", "json", "patch"]
    assert shell.offers(line + "json --ass") == ["--assume-mode"]
    assert shell.offers("harbor-pilot explain postgres:16 -n loki --mode e") == ["enforce"]
    assert "Never" in shell.offers("harbor-pilot explain --pull-policy ")


def test_what_is_no_command_offers_nothing(shell):
    assert shell.offers("harbor-pilot nonsense --") == []


def test_bash_function_by_itself(tmp_path):
    """Called outside the line editor, with `set -u`, it says nothing on stderr; a name with a space
    stays one."""
    if not shutil.which("bash"):
        pytest.skip("bash is not installed")
    (tmp_path / "with space.yaml").touch()
    script = (
        f"source {COMPLETION}/harbor-pilot.bash; "
        "COMP_WORDS=(harbor-pilot plan -f wi); COMP_CWORD=3; "
        "_harbor_pilot; printf '%s\\n' \"${COMPREPLY[@]}\""
    )
    done = subprocess.run(
        ["bash", "-u", "-c", script], cwd=tmp_path, capture_output=True, text=True
    )
    assert (done.stdout, done.stderr, done.returncode) == ("with space.yaml\n", "", 0)


def test_scripts_have_no_errors():
    if shutil.which("shellcheck"):
        done = subprocess.run(
            ["shellcheck", "-s", "bash", COMPLETION / "harbor-pilot.bash"],
            capture_output=True,
            text=True,
        )
        assert (done.returncode, done.stdout) == (0, "")
    for name, command in (("harbor-pilot.bash", ["bash", "-n"]), ("_harbor-pilot", ["zsh", "-n"])):
        if shutil.which(command[0]):
            done = subprocess.run([*command, COMPLETION / name], capture_output=True, text=True)
            assert (done.returncode, done.stderr) == (0, "")
