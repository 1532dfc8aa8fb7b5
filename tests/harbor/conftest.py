"""Starts the real program beside a fake Harbor. HARBOR_PILOT names the program.

With --real-harbor (`make test-harbor`) HARBOR_URL, HARBOR_USER, HARBOR_PASSWORD and HARBOR_CA name a real one: the tests
that take the fixture `harbor` run on it, the others are about the fake and are left out by name."""

import collections
import os
import pathlib
import signal
import sys
import tempfile
import threading

import pytest

HERE = pathlib.Path(__file__).parent
sys.path.append(str(HERE.parent / "server"))

from fake_harbor import GOOD_ACCOUNT, FakeHarbor  # noqa: E402
from real import RealHarbor, Settings  # noqa: E402
from recorded import RecordedHarbor  # noqa: E402
from serverlib import Certificates, Server  # noqa: E402

HOST = "registry.example.com"
REQUIRE, UNAVAILABLE = ("never", "cached", "servable"), ("keep", "rewrite")
REGISTRIES = {"docker.io": "docker-hub-proxy", "private.example.com": "private-proxy"}
HARBOR = """\
apiVersion: harbor-pilot.io/v1alpha1
kind: Harbor
metadata: {{name: default}}
spec:
  host: {host}
  {registries}
  api: {{url: "{url}"{credentials}{ca}}}
"""
POLICY = """\
---
apiVersion: harbor-pilot.io/v1alpha1
kind: Policy
metadata: {{name: {name}}}
spec: {{namespaces: [{name}], requireInHarbor: {require}, onHarborUnavailable: {unavailable}}}
"""


def find_binary():
    default = HERE.parent.parent / "build" / "harbor-pilot"
    path = pathlib.Path(os.environ.get("HARBOR_PILOT") or default).resolve()
    if not path.is_file():
        pytest.exit(f"{path} is not there: run make first, or name the program with HARBOR_PILOT", returncode=2)
    return path


class Places:
    """What the program and its Harbor need to start: certificates of each, an account, policies."""

    def __init__(self, binary, directory):
        self.binary, self.directory = binary, pathlib.Path(directory)
        self.certificates = Certificates(binary, self.directory / "certificates")
        self.harbor_certificates = Certificates(binary, self.directory / "harbor", "--dns-name", "localhost")
        self.other_authority = Certificates(binary, self.directory / "other").ca

    def new_directory(self):
        return pathlib.Path(tempfile.mkdtemp(dir=self.directory))

    def fake(self, tls=True, **how):
        own = self.harbor_certificates
        return FakeHarbor(own.cert, own.key, **how) if tls else FakeHarbor(**how)

    def write_account(self, directory, account=GOOD_ACCOUNT):
        for name, text in zip(("username", "password"), account):
            (directory / (name + ".new")).write_text(text)
            os.rename(directory / (name + ".new"), directory / name)
        return directory

    def write_policies(self, url, directory=None, ca="", account=GOOD_ACCOUNT, registries=REGISTRIES, more="",
                       harbor=""):
        """A file with one Policy for each pair of settings; its name is the namespace's: `servable-keep`. `more`:
        documents of a test's own, `harbor`: a line for the Harbor's. Without `registries` they are discovered."""
        directory = directory or self.new_directory()
        ca = self.harbor_certificates.ca if ca == "" else ca
        if account:
            self.write_account(directory, account)
        projects = ", ".join(f"{domain}: '{project}'" for domain, project in (registries or {}).items())
        text = HARBOR.format(host=HOST, url=url, ca=f', caFile: "{ca}"' if ca else "",
                             registries=f"registries: {{{projects}}}" if registries else "discover: true",
                             credentials=f', credentialsDirectory: "{directory}"' if account else "")
        text += f"  {harbor}\n" if harbor else ""
        for require in REQUIRE:
            for unavailable in UNAVAILABLE:
                text += POLICY.format(name=f"{require}-{unavailable}", require=require, unavailable=unavailable)
        (directory / "policies.yaml").write_text(text + more)
        return directory / "policies.yaml"


def pytest_addoption(parser):
    parser.addoption("--real-harbor", action="store_true", help="run on the Harbor that HARBOR_URL and the others name")


def pytest_configure(config):
    config.harbor_settings, config.left_out, config.harbor_version = None, collections.Counter(), "unknown"
    if config.option.real_harbor:
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # also then, what was made is removed
        try:
            config.harbor_settings = Settings.of_environment()
        except (ValueError, OSError) as error:
            pytest.exit(f"--real-harbor: {error}", returncode=2)


def pytest_report_header(config):
    settings = config.harbor_settings
    return settings and f"harbor: {settings.url} as {settings.user}; its upstream: {settings.upstream_address}"


def pytest_terminal_summary(terminalreporter, config):
    if config.harbor_settings:
        terminalreporter.write_line(f"Harbor {config.harbor_version} at {config.harbor_settings.url}")
    if config.left_out:
        files = ", ".join(f"{name} {count}" for name, count in sorted(config.left_out.items()))
        terminalreporter.write_line(f"left out: {sum(config.left_out.values())} tests that tell the fake what to answer, "
                                    f"or count what it was asked ({files}): `make test` runs them")


def pytest_collection_finish(session):
    if session.config.option.collectonly or not session.items:
        return
    session.config.harbor_directory = tempfile.TemporaryDirectory(prefix="harbor-pilot-harbor-",
                                                                  ignore_cleanup_errors=True)
    session.config.places = Places(find_binary(), session.config.harbor_directory.name)
    for item in session.items:
        if item.get_closest_marker("background"):
            item.background = Background(item, session.config.places)


def pytest_sessionfinish(session):
    if hasattr(session.config, "harbor_directory"):
        session.config.harbor_directory.cleanup()


class Client:
    """Certificates of a server, and one to show it."""

    def __init__(self, certificates, client):
        self.certificates, self.client = certificates, client

    def context(self):
        context = self.certificates.context()
        context.load_cert_chain(*self.client)
        return context


class Starter:
    """Starts servers of a test's own; they end with it."""

    def __init__(self, places):
        self.places, self.started = places, []

    def __call__(self, policies, *args, **how):
        self.started.append(Server(self.places.binary, self.places.certificates, policies, *args, **how))
        return self.started[-1]

    def verified(self, policies, *args, **how):
        """A server that verifies who asks, and whom it then tells everything."""
        own = self.places.certificates
        server = self(policies, "--client-ca-file", own.ca, *args, **how)
        server.certificates = Client(own, own.make_client(self.places.new_directory(), "api-server"))
        return server

    def stop(self):
        for server in reversed(self.started):
            server.stop()


class Background:
    """A test whose time is spent waiting for the program's own constants: it runs beside the other tests, from the
    session's start on, with a `fake` and a `start` of its own."""

    def __init__(self, item, places):
        self.item, self.places, self.error = item, places, None
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        fake, start = self.places.fake(), Starter(self.places)
        try:
            has = {"places": self.places, "fake": fake, "start": start,
                   **(self.item.callspec.params if hasattr(self.item, "callspec") else {})}
            try:
                self.item.obj(**{name: has[name] for name in self.item._fixtureinfo.argnames})
            finally:
                start.stop()
                fake.stop()
        except BaseException as error:  # pytest's own failures are BaseExceptions
            self.error = error

    def result(self):
        self.thread.join(120)
        assert not self.thread.is_alive(), "the test that runs in the background does not end"
        if self.error:
            raise self.error


def pytest_collection_modifyitems(config, items):
    if config.harbor_settings:
        left_out = [item for item in items if "harbor" not in item.fixturenames]
        config.left_out.update(item.path.name for item in left_out)
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if "harbor" in item.fixturenames]
    items.sort(key=lambda item: item.get_closest_marker("background") is not None)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    if hasattr(pyfuncitem, "background"):
        pyfuncitem.background.result()
        return True
    return None


@pytest.fixture(scope="session")
def places(request):
    return request.config.places


@pytest.fixture
def fake(places):
    one = places.fake()
    yield one
    one.stop()


@pytest.fixture
def start(places):
    starter = Starter(places)
    yield starter
    starter.stop()


@pytest.fixture(scope="session")
def harbor(places, request):
    """A Harbor, real or not, that a test may ask for images in every state: see harbors.py."""
    settings = request.config.harbor_settings
    one = RealHarbor(places, settings) if settings else RecordedHarbor(places)
    try:
        one.begin()
    except (AssertionError, OSError) as error:  # said once, not for each test
        pytest.exit(f"{one.url} cannot be used: {error}", returncode=2)
    request.config.harbor_version = one.version
    yield one
    one.end()


@pytest.fixture(scope="session")
def on_harbor(places, harbor):
    """A server that asks it."""
    server = Server(places.binary, places.certificates, harbor.policies()).await_ready()
    yield server
    server.stop()
