"""HARBOR_PILOT names the program; the default is where make leaves it."""

import os
import pathlib

import pytest

from clilib import ROOT, Program, Server


def pytest_addoption(parser):
    parser.addoption(
        "--update-golden",
        action="store_true",
        help="write tests/cli/golden/ anew; review the difference",
    )


@pytest.fixture(scope="session")
def binary():
    path = pathlib.Path(os.environ.get("HARBOR_PILOT") or ROOT / "build" / "harbor-pilot").resolve()
    if not path.is_file():
        pytest.exit(
            f"{path} is not there: run make first, or name the program with HARBOR_PILOT",
            returncode=2,
        )
    return path


@pytest.fixture(scope="session")
def program(binary):
    return Program(binary)


@pytest.fixture(scope="session")
def serve(binary, tmp_path_factory):
    """Starts servers, one for each set of policies."""
    running = {}

    def start(policies):
        if policies not in running:
            running[policies] = Server(binary, policies, tmp_path_factory.mktemp("certificates"))
        return running[policies]

    yield start
    for server in running.values():
        server.stop()


@pytest.fixture
def golden(request):
    """Compares a text with the file of that name, or writes it."""

    def compare(name, text):
        file = pathlib.Path(__file__).parent / "golden" / name
        if request.config.getoption("--update-golden"):
            file.write_text(text)
        assert text == file.read_text()

    return compare
