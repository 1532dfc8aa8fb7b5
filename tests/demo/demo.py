"""The demonstration of `make run`: serves the example policies on loopback, sends recorded
AdmissionReviews in audit and in enforce, and shows what came of them. The Harbor of the policies is
a stand-in that says it is healthy and has every image; otherwise no image would be rewritten."""
import base64
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import ssl
import subprocess
import sys
import threading
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "harbor"))
import fake_harbor  # noqa: E402  the path has to be known first

BINARY = pathlib.Path(os.environ.get("HARBOR_PILOT", ROOT / "build" / "harbor-pilot"))
DIRECTORY = BINARY.parent / "demo"
REVIEWS = pathlib.Path("tests/data/admission-reviews")
BIND = os.environ.get("BIND_ADDRESS", "127.0.0.1:8443")
ADMIN = os.environ.get("ADMIN_BIND_ADDRESS", "127.0.0.1:8080")
COLOUR = sys.stdout.isatty() and "NO_COLOR" not in os.environ


def paint(code, text):
    return f"\033[{code}m{text}\033[0m" if COLOUR else text


class Server:
    """The server and its log, read line by line."""

    def __init__(self):
        self.process = subprocess.Popen(
            [BINARY, "serve", "--policies", "policies", "--log-format", "json",
             "--tls-cert-file", DIRECTORY / "tls.crt",
             "--tls-private-key-file", DIRECTORY / "tls.key",
             "--bind-address", BIND, "--admin-bind-address", ADMIN],
            cwd=DIRECTORY, stderr=subprocess.PIPE, text=True)
        self.ready = threading.Event()
        self.address = self.admin = None
        self.reviews = {}
        self.arrived = threading.Condition()
        self.failure = "the server ended without a word"
        threading.Thread(target=self.read_log, daemon=True).start()

    def read_log(self):
        for line in self.process.stderr:
            event = json.loads(line)
            if event["level"] == "error":
                self.failure = event["msg"]
            if event["event"] == "ready":
                self.address, self.admin = event["bindAddress"], event["adminBindAddress"]
                self.ready.set()
            elif event["event"] == "review":
                with self.arrived:
                    self.reviews[event["uid"], event["webhook"], event["mode"]] = event
                    self.arrived.notify_all()
        self.ready.set()

    def review(self, uid, mode):
        with self.arrived:
            self.arrived.wait_for(lambda: (uid, "mutate", mode) in self.reviews, timeout=2)
            return self.reviews.get((uid, "mutate", mode))


def start_harbor():
    """A Harbor on loopback that answers what a real one was recorded to answer, and has every image."""
    harbor = fake_harbor.FakeHarbor(DIRECTORY / "tls.crt", DIRECTORY / "tls.key")
    harbor.answers["artifact"] = fake_harbor.PRESENT
    for project in ("ghcr-proxy", "quay-proxy", "registry-k8s-proxy"):
        harbor.projects[project] = harbor.projects["docker-hub-proxy"]
    return harbor


def write_policies(harbor):
    """Those of policies/, with the address and the account of the stand-in in place of Harbor's."""
    for name, text in zip(("username", "password"), harbor.account):
        path = DIRECTORY / "account" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    (DIRECTORY / "policies").mkdir()
    for path in (ROOT / "policies").glob("*.yaml"):
        text = path.read_text()
        for written, used in (("https://harbor.example.com", harbor.url),
                              ("/etc/harbor-pilot/harbor/ca.crt", DIRECTORY / "ca.crt"),
                              ("/etc/harbor-pilot/harbor\n", f"{DIRECTORY / 'account'}\n")):
            text = text.replace(written, str(used))
        (DIRECTORY / "policies" / path.name).write_text(text)


def await_harbor(server):
    """Until the server has seen that the stand-in is healthy."""
    for _ in range(100):
        with urllib.request.urlopen(f"http://{server.admin}/metrics", timeout=5) as answer:
            if re.search(r'^harborpilot_harbor_up\{[^}]*\} 1$', answer.read().decode(), re.M):
                return
        time.sleep(0.05)


def ask(server, mode, body):
    host, port = server.address.rsplit(":", 1)
    context = ssl.create_default_context(cafile=DIRECTORY / "ca.crt")
    connection = http.client.HTTPSConnection(host, int(port), context=context, timeout=10)
    connection.request("POST", f"/mutate/{mode}?timeout=2s", body,
                       {"Content-Type": "application/json"})
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    if answer.status != 200:
        raise SystemExit(f"the server answered {answer.status}: {text.decode()}")
    return json.loads(text)["response"]


def plural(n, word):
    return f"{n} {word}" + ("" if n == 1 else "s")


def show_images(event):
    width = max(len(d["image"]) for d in event["images"])
    for decision in event["images"]:
        image = decision["image"].ljust(width)
        if decision["rewrite"]["outcome"] == "rewrite":
            print(f"           {image}   {paint('32', '→')}  {decision['result']}")
        else:
            reason = paint("33", decision["rewrite"]["reason"])
            print(f"           {image}   =  {reason} ({decision.get('source', 'no Policy')})")


def show(server, mode, name):
    """Sends one review; returns whether the answer was what the example promises."""
    review = json.loads((ROOT / REVIEWS / name).read_text())
    request = review["request"]
    metadata = request["object"]["metadata"]
    pod = request["namespace"] + "/" + (metadata.get("name") or metadata["generateName"] + "…")
    response = ask(server, mode, json.dumps(review, ensure_ascii=False).encode())
    event = server.review(request["uid"], mode)
    label = paint("36" if mode == "audit" else "35", mode.ljust(8))
    if event is None:
        print(f"{label} {pod}   allowed unchanged: no Policy claims `{request['namespace']}`")
        return response["allowed"] and "patch" not in response
    took = event["durationSeconds"] * 1000
    if "patch" not in response:
        print(f"{label} {pod}   nothing changes; enforce would:")
        show_images(event)
        return response["allowed"] and mode == "audit"
    patch = base64.b64decode(response["patch"])
    paths = [operation["path"] for operation in json.loads(patch)]
    images = sum(path.endswith(("/image", "/reference")) for path in paths)
    annotations = sum("/annotations" in path for path in paths)
    print(f"{label} {pod}   patched: {plural(images, 'image')}, "
          f"{plural(annotations, 'annotation')}, {len(patch)} bytes in {took:.2f} ms")
    return response["allowed"] and mode == "enforce" and images > 0


def main():
    shutil.rmtree(DIRECTORY, ignore_errors=True)
    subprocess.run([BINARY, "certs", "init", "--directory", DIRECTORY, "--dns-name", "localhost",
                    "--ip-address", "127.0.0.1"], check=True, stdout=subprocess.DEVNULL)
    harbor = start_harbor()
    write_policies(harbor)
    server = Server()
    server.ready.wait(timeout=10)
    if not server.address:
        server.process.wait()
        print(f"make run: {server.failure}", file=sys.stderr)
        print("Another port: make run BIND_ADDRESS=127.0.0.1:9443 ADMIN_BIND_ADDRESS=127.0.0.1:9080",
              file=sys.stderr)
        return 2
    await_harbor(server)
    print(f"The policies are those of policies/. A stand-in on {harbor.url} plays their Harbor: "
          "it is healthy and has every image.\n")
    good = True
    for mode, name in [("audit", "create-pod-8k.json"), ("enforce", "create-pod-8k.json"),
                       ("enforce", "create-deployment-pod.json"),
                       ("enforce", "create-statefulset-pod.json")]:
        good &= show(server, mode, name)
    ca = os.path.relpath(DIRECTORY / "ca.crt", ROOT)
    if os.environ.get("ONCE") != "1":
        print(f"serving on https://{server.address} · metrics http://{server.admin}/metrics · try: "
              f"curl --cacert {ca} -H 'Content-Type: application/json' --data-binary "
              f"@{REVIEWS}/create-pod-8k.json https://{server.address}/mutate/enforce", flush=True)
        try:
            server.process.wait()
        except KeyboardInterrupt:
            pass
    server.process.send_signal(signal.SIGTERM)
    server.process.wait()
    harbor.stop()
    return 0 if good else 1


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
    sys.exit(main())
