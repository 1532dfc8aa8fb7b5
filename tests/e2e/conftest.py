"""One cluster for the whole session, with harbor-pilot installed in it as a user would: its image built, deploy/install.sh
run. Where there can be no cluster, every test is skipped with the reason (or fails, with E2E_REQUIRED=1)."""

import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time

import pytest

from harbor import Harbor
from harness import HERE, PROJECT, CannotRun, Cluster, Webhook, wait


def pytest_configure(config):
    # ends as Ctrl-C does, with the cluster taken down; SIGINT itself may be ignored, as in a shell's background job
    def interrupt(*_):
        raise KeyboardInterrupt
    signal.signal(signal.SIGTERM, interrupt)


def program():
    """The program's path; the default is where make leaves it."""
    path = pathlib.Path(os.environ.get("HARBOR_PILOT") or PROJECT / "build" / "harbor-pilot").resolve()
    if not path.is_file():
        pytest.exit(f"{path} is not there: run make first, or name the program with HARBOR_PILOT", returncode=2)
    return path


@pytest.fixture(scope="session")
def say(request):
    """Prints a line past pytest's capture: somebody waits."""
    capture = request.config.pluginmanager.getplugin("capturemanager")

    def line(text):
        with capture.global_and_fixture_disabled():
            print(f"\ne2e: {text}", flush=True)
    return line


@pytest.fixture(scope="session")
def binary():
    return program()


@pytest.fixture(scope="session")
def work():
    with tempfile.TemporaryDirectory(prefix="harbor-pilot-e2e-") as directory:
        yield pathlib.Path(directory)


@pytest.fixture(scope="session")
def callers(work):
    """What an API server needs to present a client certificate to harbor-pilot, as deploy/README.md says it: the certificate,
    its authority (ca.crt), a kubeconfig that says to whom it is shown, and the configuration of the plugins that names it."""
    directory = work / "callers"
    directory.mkdir()

    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], cwd=directory, check=True, capture_output=True)
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=callers", "-keyout", "ca.key", "-out", "ca.crt")
    openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=kube-apiserver", "-keyout", "tls.key", "-out", "tls.csr")
    (directory / "extensions").write_text("extendedKeyUsage = clientAuth\n")
    openssl("x509", "-req", "-in", "tls.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
            "-extfile", "extensions", "-out", "tls.crt")
    (directory / "kubeconfig").write_text(f"""\
apiVersion: v1
kind: Config
users:
  - name: harbor-pilot.harbor-pilot.svc
    user: {{client-certificate: {directory}/tls.crt, client-key: {directory}/tls.key}}
""")
    plugins = "".join(f"""\
  - name: {name}
    configuration: {{apiVersion: apiserver.config.k8s.io/v1, kind: WebhookAdmissionConfiguration, kubeConfigFile: {directory}/kubeconfig}}
""" for name in ("MutatingAdmissionWebhook", "ValidatingAdmissionWebhook"))
    (directory / "admission.yaml").write_text(
        f"apiVersion: apiserver.config.k8s.io/v1\nkind: AdmissionConfiguration\nplugins:\n{plugins}")
    return directory


@pytest.fixture(scope="session")
def bare_cluster(say, binary, callers):
    """The cluster without harbor-pilot; down at the end, whatever happened."""
    cluster = Cluster(say, callers / "admission.yaml")
    began = time.monotonic()
    try:
        cluster.up()
    except CannotRun as reason:
        if os.environ.get("E2E_REQUIRED"):
            pytest.fail(f"E2E_REQUIRED is set, and {reason}", pytrace=False)
        pytest.skip(str(reason))
    say(f"Kubernetes {cluster.env['KUBERNETES']} is up after {time.monotonic() - began:.1f} s; logs in {cluster.logs}")
    try:
        yield cluster
    finally:
        if os.environ.get("E2E_KEEP"):
            say(f"left running: export KUBECONFIG={cluster.env['KUBECONFIG']}; {HERE}/cluster.sh down")
        else:
            began = time.monotonic()
            cluster.down()
            say(f"down after {time.monotonic() - began:.1f} s")


@pytest.fixture(scope="session")
def harbor_certificates(bare_cluster, binary, work):
    """The certificate of the Harbor that can be asked, and its authority."""
    directory = work / "harbor"
    subprocess.run([binary, "certs", "init", "--directory", directory, "--dns-name", "harbor.test",
                    "--ip-address", bare_cluster.env["GATEWAY"]], check=True, capture_output=True)
    return directory


@pytest.fixture(scope="session")
def install(bare_cluster, binary, work, harbor_certificates):
    """Runs deploy/install.sh with the image that was built for this session, which trusts Debian's authorities and the
    one of the tests' Harbor; install() returns what it printed."""
    image = f"{bare_cluster.harbor}/platform/harbor-pilot:e2e"
    archive = work / "image.tar"
    bundle = work / "authorities.crt"
    bundle.write_bytes(pathlib.Path("/etc/ssl/certs/ca-certificates.crt").read_bytes()
                       + (harbor_certificates / "ca.crt").read_bytes())
    subprocess.run([PROJECT / "deploy" / "image.sh", "--binary", binary, "--ca-bundle", bundle, "--archive", archive, image],
                   check=True)
    bare_cluster.script("load", str(archive))
    policies = work / "policies"
    shutil.copytree(HERE / "policies", policies)

    def run(*arguments, **environment):
        done = subprocess.run(
            [PROJECT / "deploy" / "install.sh", "--image", image, "--policies", policies, *arguments],
            env={**os.environ, "HARBOR_PILOT": str(binary), "KUBECTL": bare_cluster.kubectl_program,
                 "KUBECONFIG": bare_cluster.env["KUBECONFIG"], **environment}, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr + bare_cluster.explain("harbor-pilot")
        return done.stdout + done.stderr
    run.policies, run.image, run.archive = policies, image, archive
    return run


@pytest.fixture(scope="session")
def cluster(bare_cluster, install, capture, say):
    """The cluster with harbor-pilot serving in it."""
    began = time.monotonic()
    install()
    wait("two harbor-pilot Pods", lambda: len(bare_cluster.harbor_pilot_pods()) == 2)
    say(f"harbor-pilot is installed after {time.monotonic() - began:.1f} s")
    yield bare_cluster
    for pod in bare_cluster.pods("harbor-pilot"):
        log = bare_cluster.kubectl("-n", "harbor-pilot", "logs", pod["metadata"]["name"], check=False).stdout
        (bare_cluster.logs / f"{pod['metadata']['name']}.log").write_text(log)


@pytest.fixture(scope="session")
def certificates(binary, work):
    """A certificate for programs of the tests' own on loopback, from `certs init`."""
    directory = work / "loopback"
    subprocess.run([binary, "certs", "init", "--directory", directory, "--dns-name", "localhost",
                    "--ip-address", "127.0.0.1"], check=True, capture_output=True)
    return directory


@pytest.fixture(scope="session")
def harbor(cluster, harbor_certificates):
    """The Harbor that can be asked, with harbor-pilot's account there. No policy names it yet."""
    one = Harbor(cluster, harbor_certificates)
    cluster.api.create("/api/v1/namespaces/harbor-pilot/secrets", one.secret)
    yield one
    if cluster.api.get("/api/v1/namespaces/harbor-pilot/secrets/harbor-pilot-harbor", missing_ok=True):
        cluster.api.delete("/api/v1/namespaces/harbor-pilot/secrets/harbor-pilot-harbor")
    one.close()


@pytest.fixture(scope="module")
def load_asked(cluster, install, harbor, work):
    """load_asked(TEXT): loads Policies of the Harbor that can be asked, besides the first ones, until the module is
    over; returns when Harbor is known to be up."""
    loaded = []

    def load(text):
        directory = pathlib.Path(tempfile.mkdtemp(dir=work)) / "policies"
        shutil.copytree(install.policies, directory)
        (directory / "50-asked.yaml").write_text(harbor.document + text)
        cluster.load_policies(directory)
        loaded.append(directory)
        wait("Harbor to be known as up", harbor.is_up, 60)
    yield load
    harbor.come_back()
    if loaded:
        cluster.load_policies(install.policies)


@pytest.fixture
def webhook(cluster, certificates):
    """webhook(name, answer, selector): registers a mutating webhook of the tests' own until the test is over."""
    made = []

    def register(name, answer, selector):
        server = Webhook(answer, certificates)
        made.append((name, server))
        cluster.api.create(f"{CONFIGURATIONS}", server.configuration(name, selector))
        return server
    yield register
    for name, server in made:
        cluster.api.delete(f"{CONFIGURATIONS}/{name}")
        server.close()


CONFIGURATIONS = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"


@pytest.fixture(scope="session")
def capture(bare_cluster, certificates):
    """With E2E_CAPTURE=DIRECTORY, every review that the API server sends about a labelled namespace's Pods is kept there,
    byte for byte as it would reach harbor-pilot: material for the unit tests."""
    directory = os.environ.get("E2E_CAPTURE")
    if not directory:
        yield
        return
    server = Webhook(lambda review: None, certificates)
    bare_cluster.api.create(CONFIGURATIONS, server.configuration("aa-capture", {
        "matchExpressions": [{"key": "harbor-pilot.io/mode", "operator": "Exists"}]}))
    yield
    bare_cluster.api.delete(f"{CONFIGURATIONS}/aa-capture")
    server.close()
    pathlib.Path(directory).mkdir(parents=True, exist_ok=True)
    for number, body in enumerate(server.bodies):
        (pathlib.Path(directory) / f"{number:05d}.json").write_bytes(body)
