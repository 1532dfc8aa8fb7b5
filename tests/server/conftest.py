"""Starts the real program; HARBOR_PILOT names it, the default is where make leaves it."""

import os
import pathlib
import shutil
import tempfile
import threading

import pytest

from serverlib import HERE, PATIENCE, Certificates, Server

POLICIES = "policies"  # relative, with HERE as working directory: it stands in `source` of decisions


class Places:
    """What a server needs to start; safe to use from several threads."""

    def __init__(self, binary, directory):
        self.binary, self.directory = binary, pathlib.Path(directory)
        self.certificates = Certificates(binary, self.directory / "certificates")
        self.started = []

    def new_directory(self):
        return pathlib.Path(tempfile.mkdtemp(dir=self.directory))

    def copy_policies(self):
        return pathlib.Path(shutil.copytree(HERE / POLICIES, self.new_directory() / "policies"))

    def start(self, policies=POLICIES, *args, certificates=None, **how):
        server = Server(self.binary, certificates or self.certificates, policies, *args, **how)
        self.started.append(server)
        return server

    def end(self):
        """Nothing outlives the session, whatever its tests did."""
        for server in self.started:
            if server.process.poll() is None:
                server.process.kill()
                server.process.wait()


def find_binary():
    default = HERE.parent.parent / "build" / "harbor-pilot"
    path = pathlib.Path(os.environ.get("HARBOR_PILOT") or default).resolve()
    if not path.is_file():
        pytest.exit(f"{path} is not there: run make first, or name the program with HARBOR_PILOT", returncode=2)
    return path


class Background:
    """A test whose time is spent waiting for the program's own constants: its work runs beside the other tests."""

    def __init__(self, run, places):
        self.error = None
        self.thread = threading.Thread(target=self._run, args=(run, places), daemon=True)
        self.thread.start()

    def _run(self, run, places):
        try:
            run(places)
        except BaseException as error:  # pytest's own failures are BaseExceptions
            self.error = error

    def result(self):
        self.thread.join(120)
        assert not self.thread.is_alive(), "the test that runs in the background does not end"
        if self.error:
            raise self.error


def pytest_addoption(parser):
    parser.addoption("--update-golden", action="store_true", help="write tests/server/golden/ anew; review the difference")


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: item.get_closest_marker("background") is not None)


def pytest_collection_finish(session):
    if session.config.option.collectonly or not session.items:
        return
    session.config.server_directory = tempfile.TemporaryDirectory(prefix="harbor-pilot-server-",
                                                                  ignore_cleanup_errors=True)
    session.config.places = Places(find_binary(), session.config.server_directory.name)
    for item in session.items:
        marker = item.get_closest_marker("background")
        if marker:
            item.background = Background(marker.kwargs["run"], session.config.places)


def pytest_sessionfinish(session):
    if hasattr(session.config, "places"):
        session.config.places.end()
        session.config.server_directory.cleanup()


@pytest.fixture
def background(request):
    return request.node.background


@pytest.fixture(scope="session")
def places(request):
    return request.config.places


@pytest.fixture(scope="session")
def binary(places):
    return places.binary


@pytest.fixture(scope="session")
def server(places):
    """One server with the fixed policies, for all tests that neither stop nor reload it."""
    shared = places.start()
    shared.await_ready()
    yield shared
    shared.stop()


@pytest.fixture
def start(places):
    """Starts servers of a test's own; they end with it."""
    started = []

    def begin(*args, **how):
        started.append(places.start(*args, **how))
        return started[-1]
    yield begin
    for one in reversed(started):
        one.stop()


@pytest.fixture
def policies(places):
    """A directory with the fixed policies, to be changed."""
    return places.copy_policies()
