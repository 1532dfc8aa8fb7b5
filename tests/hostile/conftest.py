"""Starts the real program as a victim. HARBOR_PILOT names it; HARBOR_PILOT_SLOW=1 says that it is a sanitizer's build, which
has fewer attackers and no bar for its latency. SECONDS=n makes the floods last so long (default: what a bar asks for)."""

import os
import pathlib
import sys
import tempfile

import pytest

HERE = pathlib.Path(__file__).parent
sys.path.append(str(HERE.parent / "server"))

import serverlib  # noqa: E402
from serverlib import Certificates, Server  # noqa: E402

SLOW = os.environ.get("HARBOR_PILOT_SLOW") == "1"
POLICIES = serverlib.HERE / "policies"


@pytest.fixture(scope="session")
def binary():
    path = pathlib.Path(os.environ.get("HARBOR_PILOT") or HERE.parent.parent / "build" / "harbor-pilot").resolve()
    if not path.is_file():
        pytest.exit(f"{path} is not there: run make first, or name the program with HARBOR_PILOT", returncode=2)
    return path


@pytest.fixture(scope="session")
def certificates(binary):
    with tempfile.TemporaryDirectory(prefix="harbor-pilot-hostile-") as directory:
        yield Certificates(binary, pathlib.Path(directory) / "certificates")


@pytest.fixture
def start(binary, certificates):
    """Starts the program; it ends with the test, and well."""
    started = []

    def start_one(policies=POLICIES, *args, **how):
        server = Server(binary, certificates, policies, *args, **how)
        started.append(server)
        return server.await_ready()
    try:
        yield start_one
        for server in started:
            server.stop()
    finally:
        for server in started:
            if server.process.poll() is None:
                server.process.kill()
                server.process.wait()


@pytest.fixture
def slow():
    return SLOW


@pytest.fixture
def seconds():
    """How long a flood lasts: given the seconds that its bar names."""
    given = os.environ.get("SECONDS")

    def choose(bar):
        if given:
            return int(given)
        return min(bar, 3) if SLOW else bar
    return choose
